"""What every script does the same way: a user's mistake becomes one message and exit code 2."""

import gc
import logging
import os
import sys
from collections.abc import Callable

from zoo.errors import UserError, unknown
from zoo.registry import BACKENDS

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


def use_backend(name: str) -> None:
    """Chooses the Keras backend of this process. Must come before anything imports keras.

    Raises UserError for an unknown backend, one that is not installed, or a keras already running on another.
    """
    from importlib.util import find_spec

    if name not in BACKENDS:
        raise unknown("backend", name, BACKENDS)
    if find_spec(name) is None:
        raise UserError(f"backend {name!r} is not installed: pip install {name}")
    if "keras" in sys.modules:
        import keras

        if keras.backend.backend() != name:
            raise UserError(f"keras already runs on {keras.backend.backend()!r} here; start a new process for {name!r}")
    os.environ["KERAS_BACKEND"] = name
