"""Predict batches of files in this process, or in several that each load the model."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zoo.data.audio.recording import BadClip
from zoo.distributed.local_workers import LocalWorkers
from zoo.distributed.pool import Ended, Job, Pool, Runner, Task
from zoo.errors import UserError
from zoo.inference.open_predictor import open_predictor
from zoo.inference.predictions_file import Answers, Failure
from zoo.inference.predictor import Predictor
from zoo.inference.reading import DEFAULT, OnMixed, Reading, without_notice
from zoo.inference.recordings import rows
from zoo.utils.backends import device, runtime_of_exports

_AHEAD = 2  # batches per worker that wait for the one before them
_DEATHS = 2  # of workers that predict a batch, until the command ends
_WAIT_SECONDS = 0.5


def in_this_process(
    predictor: Predictor,
    batches: Iterable[Sequence[Path]],
    reading: Reading = DEFAULT,
    on_mixed: OnMixed = without_notice,
) -> Iterator[Answers]:
    """Predict batch after batch of files; `on_mixed` gets those whose channels are mixed down."""
    for paths in batches:
        failed: list[Failure] = []

        def on_bad(error: BadClip, failed: list[Failure] = failed) -> None:
            failed.append(Failure(str(error.path), error.kind, str(error)))

        yield Answers(list(rows(predictor, paths, reading, on_bad, on_mixed=on_mixed)), failed)


def by_workers(
    options: Mapping[str, Any],
    batches: Iterable[Sequence[Path]],
    n_workers: int,
    reading: Reading = DEFAULT,
    on_mixed: OnMixed = without_notice,
) -> Iterator[Answers]:
    """Predict batches of files in `n_workers` processes, in the batches' order.

    `options` are what each gives to `open_predictor`, in JSON's types. The batch of a process that has ended by itself
    is predicted by another. Raises UserError as `open_predictor`, and for a batch that ended two.
    """
    settings = {"options": dict(options), "reading": asdict(reading)}
    pool = LocalWorkers(n_workers, None, Job("zoo.inference.workers:opened", settings))
    tasks = (Task(str(number), {"files": [str(path) for path in paths]}, "") for number, paths in enumerate(batches))
    try:
        yield from _in_order(pool, tasks, _AHEAD * n_workers, on_mixed)
    finally:
        pool.close()


def opened(options: Mapping[str, Any], reading: Mapping[str, Any]) -> Runner:
    """Return the function that predicts a batch, in a worker."""
    loaded: list[Predictor] = []

    how = Reading(**reading)

    def answer(_: Path, content: Mapping[str, Any]) -> dict[str, Any]:
        try:
            if not loaded:
                loaded.append(open_predictor(**options))
            paths, mixed = [Path(name) for name in content["files"]], list[tuple[str, int]]()
            found = next(in_this_process(loaded[0], [paths], how, lambda *one: mixed.append(one)))
        except UserError as error:
            return {"error": str(error)}
        on = device(runtime_of_exports() if options["exported"] else "")
        return {"rows": found.rows, "failed": found.failed, "device": on, "mixed": mixed[:1]}

    return answer


def _in_order(pool: Pool, tasks: Iterator[Task], ahead: int, on_mixed: OnMixed) -> Iterator[Answers]:
    """Yield the answers of tasks numbered from 0, in order, while workers are at most `ahead` of the one to come."""
    running: dict[str, Task] = {}
    again: list[Task] = []
    done: dict[int, Answers] = {}
    deaths, n_begun, n_yielded, announced = Counter[str](), 0, 0, False
    while True:
        for worker in pool.free():
            task = again.pop() if again else next(tasks, None) if n_begun - n_yielded <= ahead else None
            if task is None:
                break
            n_begun = max(n_begun, int(task.name) + 1)
            running[task.name] = task
            pool.start(worker, task)
        if not running and not again:
            return
        for ended in pool.wait(_WAIT_SECONDS):
            task = running.pop(ended.task)
            if ended.outcome is None:
                again.append(_lost(task, ended, deaths))
                continue
            if "error" in ended.outcome:
                raise UserError(ended.outcome["error"])
            if not announced:  # all of them use one kind of device
                print(ended.outcome["device"], file=sys.stderr)
                announced = True
            for mixed in ended.outcome["mixed"]:
                on_mixed(*mixed)
            failed = [Failure(*failure) for failure in ended.outcome["failed"]]
            done[int(task.name)] = Answers(ended.outcome["rows"], failed)
        while n_yielded in done:
            yield done.pop(n_yielded)
            n_yielded += 1


def _lost(task: Task, ended: Ended, deaths: Counter[str]) -> Task:
    """Return a task whose worker ended. Raises UserError where it has ended too many."""
    deaths[task.name] += ended.began
    if deaths[task.name] == _DEATHS:
        files = task.content["files"]
        raise UserError(
            f"{_DEATHS} workers ended while they predicted {files[0]} and {len(files) - 1} more ({ended.cause}): out "
            "of memory? Take fewer --workers, and --resume"
        )
    return task
