"""Show a confusion matrix beside that of Khan, Butt, Ali 2020, Table 5."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.reports import style
from zoo.reproduction import published

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TABLE = "khan-table-5-cells"


def counts(runs: Sequence[Path]) -> tuple[np.ndarray, list[str]]:
    """Return the test clips of all runs by true (row) and predicted class, and the classes."""
    from zoo.runs.folder import read_record

    records = [read_record(run, ("confusion", "classes")) for run in runs]
    return np.sum([record["confusion"] for record in records], axis=0), list(records[0]["classes"])


def paper(classes: Sequence[str]) -> np.ndarray | None:
    """Return the published counts in the order of `classes`; None where these are other classes."""
    table = published.tables()[_TABLE]
    if set(table.columns) != set(classes):
        return None
    return np.array([[int(table.figures[row, column].value or 0) for column in classes] for row in classes])


def in_words(matrix: np.ndarray, classes: Sequence[str], of: str) -> list[str]:
    """Return the matrix and the published one as lines of text, a true class each."""
    theirs = paper(classes)
    lines = [f"confusion of {of}, all seeds, true: predicted as {' '.join(classes)}"]
    for index, name in enumerate(classes):
        before = "" if theirs is None else f"published {_in_a_row(theirs[index])}; "
        lines.append(f"{name}: {before}ours {_in_a_row(matrix[index])}")
    if theirs is not None:
        right = ((f"{values.trace()} of {values.sum()}") for values in (theirs, matrix))
        lines.append("right: published {}, ours {}".format(*right))
    return lines


def _in_a_row(values: np.ndarray) -> str:
    return " ".join(map(str, values.tolist()))


@style.styled
def figure(matrix: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw the matrix below the published one, where that has the same classes."""
    from matplotlib.figure import Figure

    from zoo.reports.classification import confusion_inches, draw_confusion

    theirs, width = paper(classes), confusion_inches(classes)
    shown = {"published": theirs, "ours": matrix} if theirs is not None else {"ours": matrix}
    drawn = Figure(figsize=(width, (width - 0.3) * len(shown)))
    for axes, (title, values) in zip(drawn.subplots(len(shown), squeeze=False)[:, 0], shown.items(), strict=True):
        draw_confusion(axes, values, classes)
        axes.set_title(title)
    return drawn
