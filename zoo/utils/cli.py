"""Run a script: a user's mistake becomes one message and exit code 2."""

import gc
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence

from zoo.errors import UserError
from zoo.utils.text import printable

INTERRUPTED = 130
OUTPUT_CLOSED = 141  # what a shell gives for SIGPIPE


def run(main: Callable[[], int | None]) -> None:
    """Call `main` and end the process with its exit code."""
    sys.argv[1:] = joined_values(sys.argv[1:])
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
        print("\n".join(map(printable, [f"error: {error.message}", *error.lines.splitlines()])), file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept", file=sys.stderr)
        code = INTERRUPTED
    raise SystemExit(code)


def joined_values(words: Sequence[str]) -> list[str]:
    """Join each option and a value such as -0.1,0.05, which argparse takes for another option: --level=-0.1,0.05."""
    found: list[str] = []
    for word in words:
        if found and re.fullmatch(r"--[^=]+", found[-1]) and re.match(r"-\.?\d[^,]*,", word):
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found
