"""A search without a tuner, for tests of the chief: it hands out given values and writes what is finished.

As a program it is a chief that may be killed: `python fake_search.py FOLDER TRIALS PORT WORKERS SECONDS`.
"""

import json
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace


class FakeSearch:
    def __init__(self, folder, values, on_next=lambda: None):
        self.trials = [SimpleNamespace(id=f"{n:04}", values=each, status="waiting") for n, each in enumerate(values, 1)]
        self.asked, self.lock, self.on_next = len(values), threading.Lock(), on_next
        self.file = Path(folder) / "finished.jsonl"
        for outcome in self.finished():
            self.trials[int(outcome["trial"]) - 1].status = outcome["status"]

    def finished(self):
        """Return the complete lines of the file, in order."""
        if not self.file.exists():
            return []
        return [json.loads(line) for line in self.file.read_text().splitlines() if line.endswith("}")]

    def next(self, worker):
        self.on_next()
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
                torn = file.tell() and not self.file.read_text().endswith("\n")
                file.write("\n" * bool(torn) + json.dumps({"trial": trial, "worker": worker, **outcome}) + "\n")
                file.flush()
                os.fsync(file.fileno())
        return True

    def release(self, trial):
        with self.lock:
            assert self.trials[int(trial) - 1].status == "running"
            self.trials[int(trial) - 1].status = "waiting"


if __name__ == "__main__":
    from tuning.distributed.chief import serve
    from zoo.utils.cli import run

    folder, trials, port, workers = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    search = FakeSearch(folder, [{"seconds": float(sys.argv[5])}] * trials)
    lease = 30.0 if workers else 1.0
    run(lambda: serve(search, folder, port=port, workers=workers, runner="fake_runner:trial", lease_seconds=lease))
