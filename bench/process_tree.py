"""Measure a command as a user waits for it: wall time, processor time, and the peak memory of all its processes."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import UserError

_LAST_LINES = 15
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True)
class Cost:
    """What a command took.

    Args:
        seconds: wall time.
        processor: seconds of all cores, user and system, of the command and the children it waited for.
        mib: highest sum of the resident memory of its processes, sampled, in MiB; pages that several share count for
            each.
        output: standard output and standard error, joined.
    """

    seconds: float
    processor: float
    mib: float
    output: str

    def __add__(self, other: "Cost") -> "Cost":
        """Return the cost of one command after the other."""
        return Cost(
            self.seconds + other.seconds,
            self.processor + other.processor,
            max(self.mib, other.mib),
            self.output + other.output,
        )


def measured(
    command: Sequence[str], folder: Path, log: Path, environment: Mapping[str, str], every_seconds: float = 0.05
) -> Cost:
    """Run a command in `folder`, with more variables of the environment; return what it took.

    Its output goes to the file `log`. Raises UserError, with the last lines, where the exit code is not 0, and where
    the kernel shows no processes below /proc.
    """
    if not Path("/proc/self/stat").is_file():
        raise UserError("/proc/self/stat: memory of a tree of processes is measured on Linux only")
    begin, peak = time.perf_counter(), 0
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
            start_new_session=True,  # its children are known by the session
        )
        try:
            while True:
                ended, status, usage = os.wait4(process.pid, os.WNOHANG)
                if ended:
                    break
                peak = max(peak, _resident_pages(process.pid))
                time.sleep(every_seconds)
        except BaseException:  # Ctrl-C too: a session of its own gets none
            os.killpg(process.pid, signal.SIGKILL)
            raise
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)  # it was waited for here, not by subprocess
    output = log.read_text(encoding="utf-8", errors="replace")
    if process.returncode:
        last = "\n".join(f"  {line}" for line in output.splitlines()[-_LAST_LINES:])
        raise UserError(f"{Path(command[0]).name} ended with exit code {process.returncode}; its last lines:", last)
    # Not usage.ru_maxrss: until the command begins, its process has the memory of the one that started it.
    return Cost(seconds, usage.ru_utime + usage.ru_stime, peak * _PAGE / 2**20, output)


def _resident_pages(session: int) -> int:
    """Return the resident pages of all processes of a session."""
    total = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()  # a name may hold blanks and brackets
        except OSError:
            continue  # it ended in the meantime
        if int(fields[3]) == session:
            total += int(fields[21])
    return total
