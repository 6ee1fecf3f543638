"""Predict batches of files in this process, or in several that each load the model.

A worker is this module in a process of its own: batches on its standard input, answers on its standard output, a line
of JSON each. It ends when its input does.
"""

import json
import os
import queue
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.inference.open_predictor import open_predictor
from zoo.inference.predictions_file import Answers, Failure
from zoo.inference.predictor import Predictor
from zoo.utils.backends import announce_device
from zoo.utils.portable import cores

Idle = queue.Queue[subprocess.Popen[str]]  # workers without a batch


def in_this_process(predictor: Predictor, batches: Iterable[Sequence[Path]]) -> Iterator[Answers]:
    """Predict batch after batch of files."""
    for paths in batches:
        failed: list[Failure] = []
        rows = list(predictor.predict(paths, lambda e: failed.append(Failure(str(e.path), e.kind, str(e)))))  # noqa: B023
        yield Answers(rows, failed)


def by_workers(options: Mapping[str, Any], batches: Iterable[Sequence[Path]], n_workers: int) -> Iterator[Answers]:
    """Predict batches of files in `n_workers` processes, in the batches' order.

    `options` are what each gives to `open_predictor`, in JSON's types. Raises UserError as that does, and for a process
    that has ended by itself.
    """
    environment = {"TF_NUM_INTRAOP_THREADS": str(max(1, len(cores()) // n_workers)), **os.environ}
    # The search path by argument: a folder called zoo where the command runs is none of ours.
    code = (
        "import json, sys; sys.path[:] = json.loads(sys.argv[1])\n"
        "from zoo.inference.workers import serve; serve(sys.argv[2], int(sys.argv[3]))"
    )
    words = [sys.executable, "-c", code, json.dumps(sys.path), json.dumps(dict(options))]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    pipes["start_new_session"] = True  # Ctrl-C reaches this process only, which ends them
    processes = [subprocess.Popen([*words, str(number)], **pipes) for number in range(n_workers)]
    idle: Idle = queue.Queue()
    for process in processes:
        idle.put(process)
    pending: deque[Future[Answers]] = deque()
    with ThreadPoolExecutor(n_workers) as pool:
        try:
            for paths in batches:
                pending.append(pool.submit(_predict_one, idle, paths))
                if len(pending) > 2 * n_workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
            for process in processes:  # before the pool: threads that wait for them would not end
                process.kill()
                process.wait()


def _predict_one(idle: Idle, paths: Sequence[Path]) -> Answers:
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
        batch = f"{paths[0]} and {len(paths) - 1} more"
        raise UserError(f"a worker ended while it predicted {batch}: out of memory? Take fewer --workers, and --resume")
    answer = json.loads(line)
    if "error" in answer:
        raise UserError(answer["error"])
    return Answers(answer["rows"], [Failure(*failure) for failure in answer["failed"]])


def serve(words: str, number: int) -> None:
    """Run a worker until its input ends. `words` are the options of `open_predictor` as JSON."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started it decides
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else prints must not come between
    try:
        options = json.loads(words)
        predictor = open_predictor(**options)
        if number == 0:  # all of them use one kind of device
            announce_device("tensorflow" if options["exported"] else "")
        for line in sys.stdin:
            rows, failed = next(in_this_process(predictor, [[Path(name) for name in json.loads(line)]]))
            print(json.dumps({"rows": rows, "failed": failed}, allow_nan=False), file=answers, flush=True)
    except UserError as error:
        print(json.dumps({"error": str(error)}), file=answers, flush=True)
        sys.stdin.read()  # the error is read with the next batch
    except BrokenPipeError:
        return
