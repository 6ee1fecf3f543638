"""Run a script: a user's mistake becomes one message and exit code 2, Ctrl-C one line and 130.

Scripts import this before all else, so that Ctrl-C is taken (zoo.utils.interrupts) while the rest is imported.
"""

from zoo.utils import interrupts  # isort: skip  # takes Ctrl-C

import atexit
import errno
import gc
import os
import re
import sys
from collections.abc import Callable, Sequence

from zoo.errors import UserError
from zoo.utils import quiet
from zoo.utils.text import as_started, printable

# Of disks and folders; any other error of the system is a bug and keeps its traceback.
_REFUSED_BY_THE_DISK = {
    getattr(errno, name)
    for name in ("EROFS", "EACCES", "EPERM", "ENOSPC", "EDQUOT", "EFBIG", "EIO", "ENAMETOOLONG", "ENOTDIR", "EISDIR")
    if hasattr(errno, name)
}
OUTPUT_CLOSED = 141  # what a shell gives for SIGPIPE


def run(main: Callable[[], int | None]) -> None:
    """Call `main` and end the process with its exit code."""
    sys.argv[1:] = joined_values(quiet.without_flag(sys.argv[1:]))
    quiet.begin()
    # By its default, after every 700 new objects, the collector goes through modules and graphs that stay: a second of
    # every start.
    gc.set_threshold(20_000)
    interrupts.watch()
    try:
        try:
            code = main() or 0
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # as of `| head`, which has seen enough
        _drop_output()
        code = OUTPUT_CLOSED
    except UserError as error:
        told = as_started(sys.argv[0], error.message), as_started(sys.argv[0], error.lines)
        shown = "\n".join(map(printable, [f"error: {told[0]}", *told[1].splitlines()]))
        code = _ended_by(error, shown, 2)
    except OSError as error:
        if error.errno not in _REFUSED_BY_THE_DISK and not interrupts.came():
            raise
        if error.filename is None:  # maybe the output's
            _drop_output()
        code = _ended_by(error, f"error: {printable(_of_the_disk(error))}", 2)
    except (Exception, KeyboardInterrupt) as error:
        if not (interrupts.came() or isinstance(error, KeyboardInterrupt)):
            raise
        code = _ended_by(error, "", interrupts.INTERRUPTED)
    atexit.register(interrupts.work_is_done, code)
    raise SystemExit(code)


def _ended_by(error: BaseException, message: str, code: int) -> int:
    """Print why the script ends; return its exit code. What fails after Ctrl-C does so because of it."""
    if interrupts.came() or isinstance(error, KeyboardInterrupt):
        message, code = interrupts.MESSAGE, interrupts.INTERRUPTED
    print(message, file=sys.stderr)
    return code


def _of_the_disk(error: OSError) -> str:
    place = error.filename if isinstance(error.filename, str | bytes) else "a file or the output"
    advice = "see its permissions and the free space there, or choose another folder"
    return f"{os.fsdecode(place)}: cannot be written or read ({error.strerror}); {advice}"


def _drop_output() -> None:
    """Send what is left of standard output nowhere: the interpreter flushes once more, and would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def joined_values(words: Sequence[str]) -> list[str]:
    """Join each option and a value such as -0.1,0.05, which argparse takes for another option: --level=-0.1,0.05."""
    found: list[str] = []
    for word in words:
        if found and re.fullmatch(r"--[^=]+", found[-1]) and re.match(r"-\.?\d[^,]*,", word):
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found
