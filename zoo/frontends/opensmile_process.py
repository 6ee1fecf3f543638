"""Run openSMILE in processes of its own; it is never loaded in this one.

Here, the Fourier transforms of TensorFlow and openSMILE would call each other's functions of the same names (bitrv2,
cftb1st ...): with openSMILE 2.6 and TensorFlow 2.21 that ends in "malloc(): invalid size". For the same reason a
process runs this module and nothing else: those of `multiprocessing` import the user's main script, TensorFlow with it.

A request is a line of JSON and the samples, an answer a line of JSON and the values, both float32. A process ends when
its input does.
"""

import atexit
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import numpy as np

from zoo.errors import UserError

_starting = Lock()


class Processes:
    """Processes of openSMILE, at most `most` at once, each started when it is needed."""

    def __init__(self, most: int):
        self._idle: queue.LifoQueue[subprocess.Popen[bytes] | None] = queue.LifoQueue()  # None: not yet started
        for _ in range(most):
            self._idle.put(None)

    def extract(
        self, waveform: np.ndarray, rate_hz: int, feature_set: str, level: str, intervals: str = ""
    ) -> tuple[np.ndarray, list[str]]:
        """Return openSMILE's values, float32 (rows, features), and the features' names.

        `waveform` is (samples,), `feature_set` and `level` are names in openSMILE, `intervals` of descriptors such as
        "0-9,4-13" are what it summarises, by default all of them. Raises UserError where the process has ended before
        its work was done, RuntimeError with the error of openSMILE.
        """
        samples = np.ascontiguousarray(waveform, np.float32)
        request = {"samples": len(samples), "rate_hz": rate_hz, "feature_set": feature_set, "level": level}
        process = self._idle.get()
        try:
            process = process or _started()
            answer, values = _ask(process, {**request, "intervals": intervals}, samples)
        except BaseException as error:  # Ctrl-C, too: the process has an answer that nobody will read
            if process is not None:
                process.kill()
                process.wait()
                process = None
            if isinstance(error, (OSError, ValueError)):
                raise UserError(
                    "openSMILE's process has ended before its work was done: out of memory? Start again"
                ) from error
            raise
        finally:
            self._idle.put(process)
        if "error" in answer:
            raise RuntimeError(f"openSMILE: {answer['error']}")
        return values, answer["names"]

    def close(self) -> None:
        """End the processes, which must be idle."""
        while not self._idle.empty():
            process = self._idle.get()
            if process is not None:
                process.kill()
                process.communicate()


def own_processes() -> Processes:
    """Return the processes of openSMILE, one for each core, the same for all threads."""
    with _starting:
        return _own_processes()


@cache
def _own_processes() -> Processes:
    processes = Processes(os.cpu_count() or 1)
    atexit.register(processes.close)
    return processes


def _started() -> subprocess.Popen[bytes]:
    # The search path by argument: a folder called zoo where the command runs is none of ours.
    code = (
        "import json, sys; sys.path[:] = json.loads(sys.argv[1])\n"
        "from zoo.frontends.opensmile_process import serve; serve()"
    )
    words = [sys.executable, "-c", code, json.dumps(sys.path)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _ask(process: subprocess.Popen[bytes], request: dict[str, Any], samples: np.ndarray) -> tuple[dict, np.ndarray]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.write(samples.tobytes())
    process.stdin.flush()
    answer = json.loads(process.stdout.readline())
    shape = answer.get("rows", 0), answer.get("features", 0)
    return answer, np.frombuffer(process.stdout.read(4 * shape[0] * shape[1]), np.float32).reshape(shape).copy()


def serve() -> None:
    """Answer requests on standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started it decides
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints must not come between
    requests = sys.stdin.buffer
    while line := requests.readline():
        try:
            _answer(requests, answers, **json.loads(line))
        except BrokenPipeError:
            return


def _answer(requests: BinaryIO, answers: BinaryIO, samples: int, **request: Any) -> None:
    waveform = np.frombuffer(requests.read(4 * samples), np.float32)
    if len(waveform) < samples:  # the process that asks has ended
        return
    try:
        values, names = _extract(waveform, **request)
        rows, features = values.shape
        answer: dict[str, Any] = {"rows": rows, "features": features, "names": names}
    except Exception:  # whatever openSMILE raises is the answer
        values, answer = np.empty(0, np.float32), {"error": traceback.format_exc()}
    answers.write(json.dumps(answer).encode() + b"\n" + values.astype(np.float32).tobytes())
    answers.flush()


def _extract(
    waveform: np.ndarray, rate_hz: int, feature_set: str, level: str, intervals: str
) -> tuple[np.ndarray, list[str]]:
    """Run openSMILE, over `intervals` of descriptors if there are any; return values (rows, features) and names."""
    import opensmile

    with tempfile.TemporaryDirectory() as folder:
        frame_mode = Path(folder) / "windows.conf.inc"
        frame_mode.write_text(f"frameMode = list\nframeList = {intervals}\n", encoding="ascii")
        options = {"frameModeFunctionalsConf": str(frame_mode)} if intervals else {}
        kind = opensmile.FeatureSet[feature_set], opensmile.FeatureLevel[level]
        smile = opensmile.Smile(*kind, options=options)
        # The package multiplies by 32768 and converts, so that a sample of 1 would become -1.
        within_16_bits = np.clip(waveform, -1, 32767 / 32768).astype(np.float32)
        return smile(within_16_bits, rate_hz)[0].T, smile.feature_names
