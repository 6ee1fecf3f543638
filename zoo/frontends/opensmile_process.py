"""Run openSMILE in processes of its own; it is never loaded in this one.

Here, the Fourier transforms of TensorFlow and openSMILE would call each other's functions of the same names (bitrv2,
cftb1st ...): with openSMILE 2.6 and TensorFlow 2.21 that ends in "malloc(): invalid size". For the same reason a
process runs this module and nothing else: those of `multiprocessing` import the user's main script, TensorFlow with it.

A request is a line of JSON that names a file, or such a line and samples; an answer is a line of JSON and values, both
float32. A process ends when its input does.

Files are read, checked and hashed in the process too, so that the one that asks is left with little for each clip. A
request names one file: it costs far less than the file's features, so that several in one would gain nothing.
"""

import atexit
import json
import os
import queue
import signal
import subprocess
import sys
import traceback
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import numpy as np

from zoo.data.audio.read import named
from zoo.data.audio.recording import BadClip, Segment
from zoo.data.audio.scan import Probe, probe
from zoo.errors import UserError
from zoo.utils.portable import cores

_starting = Lock()


class Processes:
    """Processes of openSMILE, at most `most` at once, each started when it is needed."""

    def __init__(self, most: int):
        self._idle: queue.LifoQueue[subprocess.Popen[bytes] | None] = queue.LifoQueue()  # None: not yet started
        self._names: dict[tuple[str, str], list[str]] = {}  # 6,373 of them are not sent with every answer
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
        kind = {"rate_hz": rate_hz, "feature_set": feature_set, "level": level, "intervals": intervals}
        _, values, names = self._answer({"samples": len(samples), **kind}, samples.tobytes())
        return values, names

    def extract_file(
        self, path: Path, segment: Segment, seconds: tuple[float, float], rate_hz: int, feature_set: str, level: str
    ) -> tuple[Probe, np.ndarray]:
        """Return the facts of a file or a `segment` of it and its values, as `extract` does; the process reads it.

        `seconds` are the least and the most it may last. Raises BadClip too, as `probe` does.
        """
        file = {"path": str(Path.cwd() / path), "segment": segment, "seconds": seconds}
        answer, values, _ = self._answer({**file, "rate_hz": rate_hz, "feature_set": feature_set, "level": level})
        if "bad" in answer:
            raise BadClip(named(path, segment), *answer["bad"])
        return Probe(**answer["facts"]), values

    def _answer(self, request: dict[str, Any], samples: bytes = b"") -> tuple[dict[str, Any], np.ndarray, list[str]]:
        kind = request["feature_set"], request["level"]
        process = self._idle.get()
        try:
            process = process or _started()
            answer, values = _ask(process, {**request, "named": kind not in self._names}, samples)
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
        if "names" in answer:
            self._names[kind] = answer["names"]
        return answer, values, self._names.get(kind, [])

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
    processes = Processes(len(cores()))
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


def _ask(process: subprocess.Popen[bytes], request: dict[str, Any], samples: bytes) -> tuple[dict, np.ndarray]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps(request).encode() + b"\n" + samples)
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
        request = json.loads(line)
        content = requests.read(4 * request.get("samples", 0))
        if len(content) < 4 * request.get("samples", 0):  # the process that asks has ended
            return
        answer, values = _answered(content, **request)
        try:
            answers.write(json.dumps(answer).encode() + b"\n" + values.tobytes())
            answers.flush()
        except BrokenPipeError:
            return


def _answered(content: bytes, rate_hz: int, named: bool, **request: Any) -> tuple[dict[str, Any], np.ndarray]:
    """Return the answer to a request: its line, and values float32 (rows, features)."""
    answer: dict[str, Any] = {}
    kind = request["feature_set"], request["level"]
    try:
        if "path" in request:
            (least, most), (start, end) = request["seconds"], request["segment"]
            facts, waveform = probe(request["path"], rate_hz, least, most, (start, end))
            answer["facts"] = vars(facts)
        else:
            waveform = np.frombuffer(content, np.float32)
        values = _extract(waveform, rate_hz, *kind, request.get("intervals", ""))
        answer |= dict(zip(("rows", "features"), values.shape, strict=True))
        if named:
            answer["names"] = _smile(*kind).feature_names
    except BadClip as error:
        return {"bad": [error.kind, error.found, error.command]}, np.empty(0, np.float32)
    except Exception:  # whatever openSMILE raises is the answer
        return {"error": traceback.format_exc()}, np.empty(0, np.float32)
    return answer, values


@cache
def _smile(feature_set: str, level: str) -> Any:
    """Return openSMILE for a set, made once: finding the names of ComParE's 6,373 features takes as long as a clip."""
    import opensmile

    return opensmile.Smile(opensmile.FeatureSet[feature_set], opensmile.FeatureLevel[level])


def _extract(waveform: np.ndarray, rate_hz: int, feature_set: str, level: str, intervals: str) -> np.ndarray:
    """Run openSMILE, over `intervals` of descriptors if there are any; return values float32 (rows, features)."""
    smile = _smile(feature_set, level)
    # The package multiplies by 32768 and converts, so that a sample of 1 would become -1.
    within_16_bits = np.clip(waveform, -1, 32767 / 32768).astype(np.float32)
    with TemporaryDirectory() if intervals else nullcontext() as folder:
        smile.options = {}
        if folder:
            frame_mode = Path(folder) / "windows.conf.inc"
            frame_mode.write_text(f"frameMode = list\nframeList = {intervals}\n", encoding="ascii")
            smile.options = {"frameModeFunctionalsConf": str(frame_mode)}
        return smile(within_16_bits, rate_hz)[0].T.astype(np.float32)
