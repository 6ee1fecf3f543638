"""Files to answers, batch after batch, by a run or an export: in this process, or in several that each load the model.

A worker is this module in a process of its own. It reads batches from its standard input and writes their answers, one
JSON line each; when its input ends, for whatever reason, so does the worker.
"""

import json
import os
import queue
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo import config, registry
from zoo.baselines.speakers import check_unknown_voices
from zoo.bulk import Answers, Failure
from zoo.data.audio import BadClip
from zoo.data.audio_blocks import moments, seconds_of, windows
from zoo.errors import UserError
from zoo.serving import saved_model
from zoo.serving.saved_model import Exported

CLIPS, RECORDINGS = 64, 1  # in a batch: clips of like length share a request, recordings have thousands of rows each
_LONG_SECONDS, _MARGIN = 120.0, 0.25  # windows of recordings beyond an export's limit; their share left to each side
_DAY_SECONDS = 86_400.0

Ask = Callable[[Sequence[Path], Callable[[BadClip], None]], Iterable[dict[str, Any]]]


@dataclass(frozen=True)
class Source:
    """The folder of a run, or of an export, and how it is asked. `max_seconds` of None is the kind's own limit."""

    place: str
    exported: bool
    continuous: bool
    fold: str | None = None
    max_seconds: float | None = None
    smooth: bool = False

    @property
    def batch(self) -> int:
        """Files that are answered together."""
        return RECORDINGS if self.continuous else CLIPS


def source(place: Path, exported: bool, **options: Any) -> Source:
    """Looks at the folder of a run, or of an export's version, without loading what is in it."""
    if exported:
        description = saved_model.read_description(place)
        return Source(str(place), True, description["task"] == "continuous", **options)
    settings = config.load(place / "config.json")
    registry.check_answers(settings.model, place)
    check_unknown_voices(settings, place)
    return Source(str(place), False, registry.get(settings.model).task == "continuous", **options)


def opened(source: Source) -> Ask:
    """Loads the models."""
    if source.exported:
        return of_export(saved_model.load(source.place))
    limit = {} if source.max_seconds is None else {"max_seconds": source.max_seconds}
    if source.continuous:
        from zoo.predict_traces import ratings_of

        return ratings_of(Path(source.place), source.fold, source.smooth, **limit)
    from zoo.predict_emotions import emotions_of

    return emotions_of(Path(source.place), source.fold, **limit)


def of_export(exported: Exported) -> Ask:
    """Asks an export. Recordings longer than its graph takes are rated in windows, by networks on waveforms."""
    description = exported.description
    if description["frontend"]["kind"] != "StandardWaveform":
        return exported.predict
    most = description["longest"] / exported.rate_hz

    def answer(paths: Sequence[Path], on_bad: Callable[[BadClip], None]) -> Iterator[dict[str, Any]]:
        for path in paths:
            if seconds_of(path) <= most:
                yield from exported.predict([path], on_bad)
                continue
            try:
                ratings = _in_windows(exported, path)
            except BadClip as error:
                on_bad(error)
            else:
                yield from exported.in_words(str(path), ratings)

    return answer


def _in_windows(exported: Exported, path: Path) -> np.ndarray:
    """Ratings (frames, dimensions) of a file of any length, in constant memory.

    As zoo.trace_prediction.trace_long has it, with shorter windows, for an export's convolutions cannot run in pieces.
    """
    description, rate_hz = exported.description, exported.rate_hz
    steps, segment = description["steps_per_frame"], description["segment_frames"]
    mean, variance, _ = moments(path, rate_hz, _DAY_SECONDS)
    size = int(min(description["longest"], _LONG_SECONDS * rate_hz)) // steps
    margin = segment or round(_MARGIN * size)  # segments must lie in every window as they do in the whole
    inner = (size - 2 * margin) // segment * segment if segment else size - 2 * margin
    if inner < 1:
        raise BadClip(
            path, "too-long", f"{seconds_of(path):.4g} s (the most is {description['longest'] / rate_hz:g} s)"
        )
    parts = []
    for window in windows(path, inner * steps, margin * steps, rate_hz):
        before, after = window.before // steps, window.after // steps
        if len(window.samples) // steps <= before + after:
            continue  # what is left of the file makes no frame
        features = ((window.samples - mean) / np.sqrt(variance + 1e-14)).astype(np.float32)[:, None]
        ratings = exported.on_features([features])[0]
        parts.append(ratings[before : len(ratings) - after])
    return np.concatenate(parts)


def batches_of(paths: Sequence[Path], size: int) -> Iterator[Sequence[Path]]:
    for start in range(0, len(paths), size):
        yield paths[start : start + size]


def here(ask: Ask, batches: Iterable[Sequence[Path]]) -> Iterator[Answers]:
    """Answers batch after batch in this process."""
    for paths in batches:
        failed: list[Failure] = []
        rows = list(ask(paths, lambda error: failed.append(Failure(str(error.path), error.kind, str(error)))))  # noqa: B023
        yield Answers(rows, failed)


def by_workers(source: Source, batches: Iterable[Sequence[Path]], n_workers: int) -> Iterator[Answers]:
    """Answers batches by processes that share them; in the batches' order.

    Raises UserError as the model's loading would here, and for a process that has ended by itself.
    """
    with _workers(source, n_workers) as idle, ThreadPoolExecutor(n_workers) as pool:
        pending: deque[Future[Answers]] = deque()
        try:
            for paths in batches:
                pending.append(pool.submit(_ask_one, idle, paths))
                if len(pending) > 2 * n_workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


@contextmanager
def _workers(source: Source, n_workers: int) -> Iterator["queue.Queue[subprocess.Popen[str]]"]:
    cores = len(os.sched_getaffinity(0))
    environment = {"TF_NUM_INTRAOP_THREADS": str(max(1, cores // n_workers)), **os.environ}
    # The search path by argument: a folder called zoo where the command runs is none of ours.
    code = (
        "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from zoo.answering import serve; serve(sys.argv[2])"
    )
    words = [sys.executable, "-c", code, json.dumps(sys.path), json.dumps(asdict(source))]
    options: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    processes = [subprocess.Popen(words, **options) for _ in range(n_workers)]
    idle: queue.Queue[subprocess.Popen[str]] = queue.Queue()
    for process in processes:
        idle.put(process)
    try:
        yield idle
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _ask_one(idle: "queue.Queue[subprocess.Popen[str]]", paths: Sequence[Path]) -> Answers:
    process = idle.get()
    try:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps([str(path) for path in paths]) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except OSError:
        line = ""
    finally:
        idle.put(process)
    if not line.endswith("\n"):
        raise UserError(
            f"a worker has ended while it answered {paths[0]} and {len(paths) - 1} more: out of memory? Take fewer "
            "--workers, and --resume"
        )
    answer = json.loads(line)
    if "error" in answer:
        raise UserError(answer["error"])
    return Answers(answer["rows"], [Failure(*failure) for failure in answer["failed"]])


def serve(words: str) -> None:
    """The worker: answers what comes until nothing does. `words` is its Source as JSON."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started it decides
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else prints must not come between
    try:
        ask = opened(Source(**json.loads(words)))
        for line in sys.stdin:
            rows, failed = next(here(ask, [[Path(name) for name in json.loads(line)]]))
            print(json.dumps({"rows": rows, "failed": failed}), file=answers, flush=True)
    except UserError as error:
        print(json.dumps({"error": str(error)}), file=answers, flush=True)
        sys.stdin.read()  # who started it hears of it with the next batch
    except BrokenPipeError:
        return
