"""Show the progress of long work: bars on a terminal, else lines."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from zoo.utils.text import printable


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
        task = self.add_task(name, total=total)
        try:
            yield lambda done: self.update(task, completed=done)
        finally:
            self.remove_task(task)
