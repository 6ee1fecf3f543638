"""Run a trial for a search in a worker's process."""

import errno
import sys
import time
import traceback
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tuning import trials
from zoo.distributed.pool import Runner, load
from zoo.errors import UserError

RUNNER = "tuning.run_trial:run"
_MAX_REASON = 2000  # characters


def opened(runner: str) -> Runner:
    """Return `perform` with the function "module:function" that runs a trial."""
    return partial(perform, load(runner))


def perform(runner: Runner, folder: Path, assignment: Mapping[str, Any]) -> dict[str, Any]:
    """Run a trial below the search's `folder`; return its outcome, which is "failed" with a reason where it raises.

    `runner` is called with the trial's folder and its assignment. A full disk gives the status "stop": the other trials
    would end so, too.
    """
    start = time.monotonic()
    try:
        outcome = trials.outcome(runner(folder / "trials" / assignment["trial"], assignment))
    except Exception as error:
        print(traceback.format_exc(), file=sys.stderr, flush=True)
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        outcome = trials.outcome({"status": "failed", "reason": reason})
        if _disk_full(error):
            outcome |= {"status": trials.STOP, "reason": f"{reason}; free space, then go on with --resume"}
    text = "".join(c if c.isprintable() else " " for c in outcome["reason"])
    return outcome | {"reason": " ".join(text.split())[:_MAX_REASON], "seconds": time.monotonic() - start}


def _disk_full(error: BaseException | None) -> bool:
    """Return whether an error, or its cause, is a full disk or an exceeded quota."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False
