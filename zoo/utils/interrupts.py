"""End a script on Ctrl-C with one line and exit code 130, whatever it is doing; a second Ctrl-C ends it at once.

Importing this module takes the signal, so scripts import it (by zoo.utils.cli) before anything that takes long. Where
whoever started the process has it ignored, as nohup does, it stays ignored. SIGTERM keeps the system's default.

Ending at once loses nothing that was finished: files appear whole or not at all (zoo.utils.atomic_files), and helper
processes end when their input closes.
"""

import atexit
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

INTERRUPTED = 130  # what a shell gives for SIGINT
MESSAGE = "interrupted; what was finished is kept"
_PATIENCE_SECONDS = 10.0  # for helpers to be ended and progress to be shown; then the process ends nevertheless
_IMPORTS = "<frozen importlib._bootstrap>"
_MAIN = threading.main_thread()

stderr = 2  # file descriptor of standard error; zoo.utils.quiet changes it for a while

_came = threading.Event()
_ending = threading.Event()
_code = INTERRUPTED
_watching = False


def came() -> bool:
    """Say whether Ctrl-C was pressed. Errors after it are its consequences."""
    return _came.is_set()


def end_at_once() -> NoReturn:
    """Print the line on standard error and end this process, without clearing up."""
    if not _ending.is_set():
        _ending.set()
        shown_cursor = "\x1b[?25h" if os.isatty(stderr) else ""  # progress bars hide it
        with suppress(OSError):  # no buffer, whose lock the interrupted code may hold
            os.write(stderr, f"{shown_cursor}{MESSAGE}\n".encode())
    os._exit(_code)


def work_is_done(code: int) -> None:
    """Let Ctrl-C, while the interpreter ends, give the exit code of the work, which is finished."""
    global _code
    _code = code
    _ending.set()


def watch() -> None:
    """End the process at a second Ctrl-C, and 10 s after a first one that code has swallowed or a library holds up.

    Both also where Python's handler cannot run, as in a long computation of a library.
    """
    import socket  # slower than all else here

    global _watching
    if _watching or signal.getsignal(signal.SIGINT) is not _handle:
        return
    _watching = True
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_wait, args=(reader, writer), daemon=True, name="interrupts").start()


def _wait(reader: Any, writer: Any) -> None:
    """Read the numbers of signals from a socket as they come. The other end stays open by being an argument."""
    first = True
    while True:
        try:
            number = reader.recv(1)[0]
        except TimeoutError:
            end_at_once()
        if number == signal.SIGINT:
            if not first:
                end_at_once()
            first = False
            reader.settimeout(_PATIENCE_SECONDS)


def _handle(_number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; within an import, which may swallow it or fail half-way, end at once."""
    if _came.is_set() or _ending.is_set():
        end_at_once()
    _came.set()
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTS:
            end_at_once()
        frame = frame.f_back
    raise KeyboardInterrupt


def _not_raised(unraisable: Any) -> None:
    """End at once where KeyboardInterrupt came in a callback or a destructor, from which Python raises nothing."""
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        end_at_once()
    sys.__unraisablehook__(unraisable)


if signal.getsignal(signal.SIGINT) is signal.default_int_handler and threading.current_thread() is _MAIN:
    signal.signal(signal.SIGINT, _handle)
    # Registered first, it is called last: behind it, Python gives the signal back to the system, which would kill.
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    sys.unraisablehook = _not_raised
