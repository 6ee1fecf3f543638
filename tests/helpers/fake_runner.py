"""Stands for a trial in tests of chief and worker: it does what the trial's values say."""

import errno
import json
import os
import signal
import sys
import time


def trial(folder, assignment, heartbeat):
    values = assignment["values"]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "runs.jsonl").open("a") as file:  # one line for each time that the trial is begun
        file.write(json.dumps({"pid": os.getpid(), "keras": "keras" in sys.modules, **settings()}) + "\n")
    end = time.monotonic() + values.get("seconds", 0.0)
    while time.monotonic() < end:
        time.sleep(0.02)
        if not values.get("deaf"):
            heartbeat()
    return ACTS[values.get("act", "complete")](values)


def slow_trial(folder, assignment, heartbeat):
    return trial(folder, {**assignment, "values": {"seconds": 0.3}}, heartbeat)


def settings():
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "CUDA_VISIBLE_DEVICES")
    return {"cores": sorted(os.sched_getaffinity(0)), **{name: os.environ.get(name) for name in names}}


def complete(values):
    return {"status": "completed", "score": 0.5, "folds": [0.4, 0.6], "reason": "", "epochs": 3}


def die(values):
    os.kill(os.getpid(), signal.SIGKILL)


def lack(values):
    raise MemoryError("no more")


def mistake(values):
    raise ValueError("two\nlines")


def fill(values):
    from zoo.errors import UserError

    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    except OSError as error:
        raise UserError("model.keras: cannot be written (No space left on device)") from error


def blank(values):
    return {**complete(values), "score": float("nan")}


def impossible(values):
    return {**complete(values), "status": "infeasible", "score": None, "folds": (), "reason": "pool\nbelow 1"}


ACTS = {
    function.__name__: function for function in (complete, die, lack, mistake, fill, blank, impossible)
}  # fmt: skip
