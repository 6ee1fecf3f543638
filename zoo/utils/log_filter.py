"""Hold back the logs of libraries on standard input; print what is no log on standard error.

A program of its own, so that it outlives the process whose messages it reads: where that crashes, nothing of them is
lost. It imports nothing of the package.
"""

import re
import sys

FINISHED = b"\0finished\n"  # the last that comes where nothing failed; "\0" is in no log
# Lines as absl writes them, and as TensorFlow did up to 2.19: "I0000 00:00:17960.5 16748 port.cc:153] ...". F is fatal.
_LOG = rb"(?:%b\d{4} \d\d:\d\d:\d\d|%b\d{4} [\d:.]+ +\d+ |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: %b )"
_TOLD = rb"WARNING: All log messages before absl::InitializeLog|To enable the following instructions: "


def shown(text: bytes) -> bytes:
    """Return the lines of `text` that are to be shown.

    Information and warnings of logs are not; errors of logs only where the text does not end with FINISHED. All else
    is, such as a fatal error.
    """
    finished = text.endswith(FINISHED)
    levels = b"[IWE]" if finished else b"[IW]"
    held = re.compile(b"|".join([_LOG % (levels, levels, levels), _TOLD]))
    lines = text.removesuffix(FINISHED).splitlines(keepends=True)
    return b"".join(line for line in lines if not held.match(line))


if __name__ == "__main__":
    sys.stderr.buffer.write(shown(sys.stdin.buffer.read()))
