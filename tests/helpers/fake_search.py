"""A search without a tuner, for tests of the chief: it hands out the values it is given, and keeps what is finished.

As a program it is a chief that may be killed: `python fake_search.py FOLDER TRIALS PORT WORKERS SECONDS`.
"""

import json
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class FakeTrial:
    id: str
    values: dict[str, Any]
    status: str = "waiting"


class FakeSearch:
    def __init__(self, folder, values, on_next=lambda: None):
        self.trials = [FakeTrial(f"{index + 1:04}", value) for index, value in enumerate(values)]
        self.asked, self.lock, self.on_next = len(values), threading.Lock(), on_next
        self.file = Path(folder) / "finished.jsonl"
        self.handed = []
        for outcome in self.finished():
            self.trials[int(outcome["trial"]) - 1].status = outcome["status"]

    def finished(self):
        """Whole lines of the journal, in order."""
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
            self.handed.append((waiting[0].id, worker))
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
    options = {
        "port": port,
        "workers": workers,
        "runner": "fake_runner:trial",
        "lease_seconds": 30.0 if workers else 1.0,
    }
    run(lambda: serve(search, folder, **options))
