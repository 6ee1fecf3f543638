"""Train the folds of one or several runs side by side, each in a worker's process; results are those of one process.

The driver holds the runs' locks, finds the clips and computes features; a worker trains and tests a fold
(zoo.training.fold_worker), and the driver pools the folds. A killed worker's fold goes to another one, which goes on
behind its last whole epoch; a killed driver is started again with --resume.
"""

import shutil
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any

from zoo.config.run_config import RunConfig
from zoo.distributed import flags
from zoo.distributed.drive import drive
from zoo.distributed.pool import Job, Task
from zoo.errors import UserError
from zoo.runs import begin
from zoo.runs.folder import fold_folder, fold_folders, is_finished
from zoo.training.run import Run
from zoo.training.train import checked, pool_folds, prepare
from zoo.utils.atomic_files import written_aside
from zoo.utils.progress import Progress

_FOLDS_PER_PROCESS = 10  # then another one: building models repeatedly leaks memory
MARK = "workers/folder.txt"  # by which the nodes of a cluster know that they see the folder


def train(
    settings: Sequence[RunConfig], resume: bool, workers: Mapping[str, Any], root: Path | None = None
) -> list[Run]:
    """Train and test the folds of runs on `workers` (zoo.distributed.flags), and write results as zoo.training.train.

    `root` is the folder around several runs; that of a single run by default. Raises UserError as zoo.training.train
    does, and for folds that failed, once the others are done.
    """
    with ExitStack() as stack, Progress() as progress:
        runs = []
        for one in settings:
            one, source = checked(one)
            runs.append(prepare(stack.enter_context(begin.opened(one, resume)), one, source, progress))
        root = root or runs[0].folder
        folds = Folds(runs, root)
        if not folds.is_done():
            with written_aside(root / MARK) as aside:
                aside.write_text(f"{uuid.uuid4()}\n")
            job = Job("zoo.training.fold_worker:opened", {"backend": settings[0].backend}, "fold")
            count = min(workers.get("workers", 1), len(folds))  # each worker has its share of the cores
            pool = flags.pool({**workers, "workers": count}, root, job, MARK, per_process=_FOLDS_PER_PROCESS)
            try:
                drive(folds, pool, progress.line)
            except Exception:  # raised again behind the removal
                if not any(fold_folders(run.folder) for run in runs):  # `begin` removes what it has made, too
                    shutil.rmtree(root / "workers", ignore_errors=True)
                raise
        folds.check()
        for run in runs:
            for fold in run.source.folds:
                (fold_folder(run.folder, fold) / ".lock").unlink(missing_ok=True)
            pool_folds(run)
        shutil.rmtree(root / "workers", ignore_errors=True)
    return runs


class Folds:
    """The unfinished folds of runs in folders below `root`, as tasks (zoo.distributed.drive.Work)."""

    def __init__(self, runs: Sequence[Run], root: Path):
        self.root, self.failed = root, dict[str, str]()
        self._running, self._waiting = dict[str, Task](), list[Task]()
        for run in runs:
            name = run.folder.relative_to(root).as_posix()
            for fold in run.source.folds:
                place = fold_folder(run.folder, fold)
                if not is_finished(place):
                    content = {"run": name, "settings": run.config.saved(), "fold": fold.name}
                    below = place.relative_to(root).as_posix()
                    self._waiting.append(Task(below, content, below, (below,)))

    def __len__(self) -> int:
        return len(self._waiting) + len(self._running)

    def is_done(self) -> bool:
        return not (self._waiting or self._running)

    def together(self) -> AbstractContextManager:
        return nullcontext()

    def next(self, worker: str) -> Task | str:
        if not self._waiting:
            return "wait" if self._running else "done"
        task = self._waiting.pop(0)
        self._running[task.name] = task
        return task

    def begins(self, task: str, worker: str) -> str:
        return f"{task} begins on {worker}"

    def finish(self, task: str, outcome: Mapping[str, Any], worker: str) -> str:
        del self._running[task]
        if "error" in outcome:
            self.failed[task] = outcome["error"]
            return f"{task} failed on {worker}: {outcome['error']}"
        return f"{task} finished on {worker}: validation score {outcome['score']:.4f}"

    def release(self, task: str, worker: str, cause: str) -> str:
        self._waiting.insert(0, self._running.pop(task))
        return f"{worker} was lost with {task}: {cause}"

    def give_up(self, task: str, reason: str, seconds: float, worker: str) -> str:
        return self.finish(task, {"error": reason}, worker)

    def check(self) -> None:
        """Raise UserError that names the folds that failed, and why."""
        if self.failed:
            lines = "\n".join(f"{name}: {reason}" for name, reason in self.failed.items())
            raise UserError(
                f"{self.root}: {len(self.failed)} folds failed, the others are finished. What their workers printed is "
                f"in {self.root / 'workers'}. Repair it, then go on with --resume:",
                lines,
            )
