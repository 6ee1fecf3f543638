"""What every script does the same way: a user's mistake becomes one message and exit code 2."""

import gc
import logging
import os
import sys
from collections.abc import Callable

from zoo.errors import UserError

INTERRUPTED = 130
OUTPUT_CLOSED = 141  # what a shell gives for SIGPIPE


def run(main: Callable[[], int | None]) -> None:
    """Calls `main` and ends the process with its exit code."""
    # By its default, after every 700 new objects, the collector goes through modules and graphs that stay: a second of
    # every start.
    gc.set_threshold(20_000)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a machine without a GPU is no error
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of every new length of clip
    try:
        try:
            code = main() or 0
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # as of `| head`, which has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more
        code = OUTPUT_CLOSED
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept", file=sys.stderr)
        code = INTERRUPTED
    raise SystemExit(code)
