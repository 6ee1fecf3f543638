"""Predict files in several processes that each load the model."""

import json
import os
import queue
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.inference.predictions_file import Answers, Failure
from zoo.inference.predictor import Source, here, opened


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
        "import json, sys; sys.path[:] = json.loads(sys.argv[1])\n"
        "from zoo.inference.workers import serve; serve(sys.argv[2])"
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
