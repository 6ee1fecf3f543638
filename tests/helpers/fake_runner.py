"""Stand-in for a trial in tests of workers: it does what the trial's values say."""

import errno
import json
import os
import signal
import sys
import time

from zoo.errors import UserError

DONE = {"status": "completed", "score": 0.5, "folds": [0.4, 0.6], "reason": "", "epochs": 3}


def trial(folder, assignment):
    values = assignment["values"]
    folder.mkdir(parents=True, exist_ok=True)
    start = {"pid": os.getpid(), "keras": "keras" in sys.modules, "cores": sorted(os.sched_getaffinity(0))}
    with (folder / "runs.jsonl").open("a+") as file:  # one line for each start of the trial
        file.write(json.dumps({**start, "threads": os.environ.get("OMP_NUM_THREADS")}) + "\n")
        file.seek(0)
        if len(file.readlines()) <= values.get("deaths", 0):
            os.kill(os.getpid(), signal.SIGKILL)
    end = time.monotonic() + values.get("seconds", 0.0)
    while time.monotonic() < end:
        time.sleep(0.01)
    return ACTS[values.get("act", "complete")]()


def fail_with(error, cause=None):
    raise error from cause


FULL = OSError(errno.ENOSPC, "No space left on device")
ACTS = {
    "complete": lambda: DONE,
    "mistake": lambda: fail_with(ValueError("two\nlines")),
    "fill": lambda: fail_with(UserError("model.keras: cannot be written (No space left on device)"), FULL),
    "blank": lambda: {**DONE, "score": float("nan")},
    "impossible": lambda: {"status": "infeasible", "reason": "pool\nbelow 1"},
}
