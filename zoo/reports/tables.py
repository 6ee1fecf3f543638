"""Print tables of results on the terminal."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from zoo.utils.text import printable

Score = Mapping[str, float | None]


def decimal(value: float | None) -> str:
    """Format a figure with three decimals; "–" stands for one that is not defined."""
    return "–" if value is None else f"{value:.3f}"


def percent(value: float | None) -> str:
    """Format a share (0..1) in percent; "–" stands for one that is not defined."""
    return "–" if value is None else f"{100 * value:.1f} %"


def with_interval(score: Score, form: Callable[[float | None], str] = decimal) -> str:
    """Format `value` and, where it is known, the interval `low`..`high` in brackets."""
    text = form(score["value"])
    if score["low"] is None or score["high"] is None:
        return text
    low, high = (form(score[key]).removesuffix(" %") for key in ("low", "high"))
    return f"{text} [{low}, {high}]"


def table(*columns: str, numbers: Sequence[str]) -> Table:
    """Return a table of columns of words, then of columns of `numbers`, which are flush right."""
    made = Table(*columns)
    for heading in numbers:
        made.add_column(heading, justify="right")
    return made


def print_titled(title: str, lines: Sequence[str], shown: Table, console: Console | None = None) -> None:
    """Print a title, lines and a table. Square brackets in them are no markup: names may hold some."""
    console = console or Console()
    console.print(Text(printable(title), style="bold"))
    for line in lines:
        console.print(Text(printable(line)))
    console.print(shown)


def print_untested(record: Mapping[str, Any], title: str, console: Console | None = None) -> None:
    """Print the record of a run without a test side: the kept epoch of each fold, and its validation UA if it has one.

    A validation score of the best epoch is chosen on the same clips, and so too high.
    """
    folds = record["folds"]
    validated = all("validation_ua" in fold for fold in folds)
    shown = table("Fold", numbers=("Epochs", "Kept", *(["Validation UA"] if validated else [])))
    for fold in folds:
        figures = [percent(fold["validation_ua"])] if validated else []
        shown.add_row(Text(printable(fold["fold"])), str(fold["epochs"]), str(fold["best_epoch"]), *figures)
    lines = ["no test side: there are no test figures"]
    if theirs := record.get("figures_from"):
        ua, wa = (with_interval(theirs[name], percent) for name in ("ua", "wa"))
        lines += [theirs["said"], f"UA {ua}   WA {wa}"]
    if validated:
        mean = sum(fold["validation_ua"] for fold in folds) / len(folds)
        lines.append(f"validation UA {percent(mean)}, the mean of {len(folds)} folds")
    print_record(record, title, lines, shown, console)


def print_record(
    metrics: Mapping[str, Any], title: str, lines: Sequence[str], shown: Table, console: Console | None = None
) -> None:
    """Print a record of metrics.json as its title, remarks and a table.

    The title says where speech is `synthetic`. The remarks are the record's `warnings`, then `lines`, its `leakage`,
    and what of the corpus is absent (`notes`, `bad_clips`); older records lack some of them.
    """
    remarks = [*metrics.get("warnings", ()), *lines, *(metrics.get("leakage") or ())]
    remarks += [f"incomplete corpus: {note}" for note in metrics.get("notes", ())]
    if metrics.get("bad_clips"):
        remarks.append(f"{len(metrics['bad_clips'])} clips left out as unusable, listed in metrics.json")
    print_titled(f"SYNTHETIC DATA · {title}" if metrics.get("synthetic") else title, remarks, shown, console)
