"""Run a search without a tuner, for tests of its driver (as a program: fake_search.py FOLDER TRIALS [RAY])."""

import json
import sys
import threading
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace


def finished(folder):
    """Return the outcomes in the folder of a search, in order."""
    file = Path(folder) / "finished.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


class FakeSearch:
    def __init__(self, folder, values):
        self.trials = [SimpleNamespace(id=f"{n:04}", values=each, status="waiting") for n, each in enumerate(values, 1)]
        self.asked, self.lock, self.file = len(values), threading.Lock(), Path(folder) / "finished.jsonl"
        for outcome in finished(folder):
            self.trials[int(outcome["trial"]) - 1].status = outcome["status"]

    def together(self):
        return nullcontext()

    def next(self, worker):
        with self.lock:
            waiting = [trial for trial in self.trials if trial.status == "waiting"]
            if not waiting:
                return "wait" if any(trial.status == "running" for trial in self.trials) else "done"
            waiting[0].status = "running"
            return {"trial": waiting[0].id, "values": waiting[0].values}

    def finish(self, trial, outcome, worker):
        with self.lock:
            self.trials[int(trial) - 1].status = outcome["status"]
            with self.file.open("a") as file:
                file.write(json.dumps({"trial": trial, "worker": worker, **outcome}) + "\n")

    def release(self, trial):
        with self.lock:
            assert self.trials[int(trial) - 1].status == "running"
            self.trials[int(trial) - 1].status = "waiting"


if __name__ == "__main__":
    from tuning.distributed.drive import drive, on_ray, on_this_machine
    from zoo.utils.cli import run

    def main(folder, trials, ray=""):
        options = {"runner": "fake_runner:trial", "per_process": 4}
        pool = on_ray(ray, 2, folder, **options) if ray else on_this_machine(1, folder, **options)
        drive(FakeSearch(folder, [{"seconds": 0.3 if ray else 0.02}] * trials), pool)

    run(lambda: main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
