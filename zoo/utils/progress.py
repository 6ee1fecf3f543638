"""Show the progress of long work: bars on a terminal, else a line every half minute."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from zoo.utils.text import printable

LINE_SECONDS = 30.0  # between lines that tell how far the work is, where there is no terminal


class Progress(Bars):
    """Bars for what is under way, and lines for what is done. Use as a context manager."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        counts = (MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        columns = (TextColumn("{task.description}"), BarColumn(), *counts)
        super().__init__(*columns, console=console, disable=not console.is_terminal)

    def line(self, text: str) -> None:
        self.console.print(printable(text), highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """Yield a function to call with how much of `total` is done."""
        task, lines = self.add_task(name, total=total), _Lines(self, name, total)
        if self.disable:
            lines.start()
        try:
            yield lambda done: self._advance(task, lines, done)
        finally:
            lines.ended.set()
            self.remove_task(task)

    def _advance(self, task, lines: "_Lines", done: int) -> None:
        lines.done = done
        self.update(task, completed=done)


class _Lines(threading.Thread):
    """Writes a line on a task every half minute, also while one step of it takes longer."""

    def __init__(self, progress: Progress, name: str, total: int):
        super().__init__(daemon=True)
        self.progress, self.what, self.total, self.done = progress, name, total, 0
        self.begin, self.ended = time.monotonic(), threading.Event()

    def run(self) -> None:
        while not self.ended.wait(LINE_SECONDS):
            self.progress.line(in_words(self.what, self.done, self.total, time.monotonic() - self.begin))


def in_words(name: str, done: int, total: int, seconds: float) -> str:
    """Return how far work is that has taken so many seconds, with an estimate by the steps that are done.

    >>> in_words("features", 50, 200, 90.0)
    'features: 50 of 200 in 1:30, about 4:30 left'
    """
    left = f", about {clock(seconds * (total - done) / done)} left" if done else ""
    return f"{name}: {done} of {total} in {clock(seconds)}{left}"


def clock(seconds: float) -> str:
    """Return seconds as minutes and seconds, or hours too: "1:30"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
