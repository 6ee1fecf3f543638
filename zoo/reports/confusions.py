"""Write what runs confuse: Markdown, CSV, JSON, and a figure of the matrices of network and people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.reports import latex, style
from zoo.reports.classification import confusion_inches, draw_confusion
from zoo.reports.figures import save
from zoo.reports.tables import decimal, percent
from zoo.utils.atomic_files import write_csv, write_json, written_aside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
_MOST = 10  # pairs in the table
_CALM = ("calm", "neutral", "calm_as_neutral", "neutral_as_calm", "ua_as_one_class")
_CALM_HEADINGS = ("calm right", "neutral right", "calm taken for neutral", "neutral taken for calm", "UA as one class")


def write(record: Record, folder: Path) -> None:
    """Write confusions.md, .tex, .csv (a row per group, value, true and predicted class), .json and figures."""
    write_json(folder / "confusions.json", record)
    write_csv(folder / "confusions.csv", _cells(record))
    with written_aside(folder / "confusions.md") as aside:
        aside.write_text("\n".join(markdown(record)) + "\n", encoding="utf-8")
    about = title(record).removeprefix("Confusions of ")
    with written_aside(folder / "confusions.tex") as aside:
        aside.write_text(tex(record, about), encoding="utf-8")
    save(confusions_figure(record), folder / "confusions.png", "Confusion of test clips", about)


def tex(record: Record, about: str) -> str:
    """Return the tables for LaTeX: recall of each class, the confusion matrix, and that of people if it is there."""
    every = record["figures"]["all"]["all"]
    counts = record["groups"]["all"]["all"]
    rows = [
        [name, str(sum(row)), percent(every["recalls"][name]).removesuffix(" %")]
        for name, row in zip(record["classes"], counts, strict=True)
    ]
    caption = f"{about}: recall of each class (%). UA {percent(every['ua'])}, WA {percent(every['wa'])}."
    found = [latex.table(("Class", "Clips", "Recall"), rows, caption, latex.label("classes", about))]
    found.append(latex.confusion(counts, record["classes"], about))
    if "people" in record:
        found.append(latex.confusion(record["people"]["confusion"], record["people"]["classes"], "Raters of CREMA-D"))
    return "\n".join([latex.NEEDS, *found])


def title(record: Record) -> str:
    """Return the heading of table and figure."""
    corpus = f"{'SYNTHETIC ' if record['synthetic'] else ''}{record['corpus']}"
    name = record.get("name") or record["model"]
    return f"Confusions of {name} on {corpus}, {record['protocol']}, {record['clips']} test clips"


def markdown(record: Record) -> list[str]:
    """Return all tables as lines of Markdown."""
    every, classes = record["figures"]["all"]["all"], record["classes"]
    lines = [f"# {title(record)}", "", f"UA {percent(every['ua'])}, WA {percent(every['wa'])}.", ""]
    lines += ["Share of each true class (rows) by prediction:", "", *_matrix(record["groups"]["all"]["all"], classes)]
    lines += ["", "Pairs most confused, each direction as a share of the true class:", ""]
    shown = [[*pair["classes"], *_directions(pair)] for pair in record["pairs"][:_MOST]]
    lines += _table(("class", "other", "taken for the other", "the other for it", "mean"), shown)
    if every["calm_neutral"]:
        lines += [
            "",
            "Calm against neutral:",
            "",
            *_table(("group", "value", *_CALM_HEADINGS), _of_groups(record, _calm)),
        ]
    lines += [
        "",
        "By group:",
        "",
        *_table(("group", "value", "clips", "UA", "most confused"), _of_groups(record, _short)),
    ]
    if "people" in record:
        lines += _people(record)
    return lines


def _people(record: Record) -> list[str]:
    people = record["people"]
    shown = [
        [" / ".join(pair["classes"]), percent(pair["people"]), percent(pair["network"])] for pair in people["pairs"]
    ]
    return [
        "",
        f"People: one rater of CREMA-D's voices against the others, {people['ratings']} ratings, UA "
        f"{percent(people['ua'])}. Another corpus, and a choice among {len(people['classes'])} classes; the network "
        f"chooses among {len(record['classes'])}:",
        "",
        *_matrix(people["confusion"], people["classes"]),
        "",
        "Shared pairs, the mean of both directions; rank correlation of people and network "
        f"{decimal(people['rank_correlation'])}:",
        "",
        *_table(("pair", "people", "network"), shown),
    ]


def _calm(found: Record) -> list[str]:
    return [percent(found["calm_neutral"][key]) for key in _CALM]


def _short(found: Record) -> list[str]:
    most = [f"{' / '.join(pair['classes'])} {percent(pair['mean'])}" for pair in found["most_confused"]]
    return [str(found["clips"]), percent(found["ua"]), *(most or ["–"])]


def _of_groups(record: Record, row: Any) -> list[list[str]]:
    return [[name, value, *row(found)] for name, by in record["figures"].items() for value, found in by.items()]


def _directions(pair: Record) -> list[str]:
    return [percent(pair[key]) for key in ("first_as_second", "second_as_first", "mean")]


def _matrix(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> list[str]:
    n_true = [max(1, sum(row)) for row in counts]
    rows = [[name, *(percent(cell / n) for cell in row)] for name, row, n in zip(classes, counts, n_true, strict=True)]
    return _table(("true", *classes), rows)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|", *(f"| {' | '.join(row)} |" for row in rows)]


def _cells(record: Record) -> list[dict[str, Any]]:
    groups = dict(record["groups"])
    if "people" in record:
        groups["people"] = {"CREMA-D voices": record["people"]["confusion"]}
    return [
        {"group": name, "value": value, "truth": true, "prediction": predicted, "count": count}
        for name, by in groups.items()
        for value, counts in by.items()
        for true, row in zip(_classes(record, name), counts, strict=True)
        for predicted, count in zip(_classes(record, name), row, strict=True)
    ]


def _classes(record: Record, group: str) -> Sequence[str]:
    return record["people"]["classes"] if group == "people" else record["classes"]


@style.styled
def confusions_figure(record: Record) -> Figure:
    """Draw the confusion matrix of the network, and below it that of people where the record has it."""
    from matplotlib.figure import Figure

    shown = [(record["groups"]["all"]["all"], record["classes"], "clips")]
    if "people" in record:
        shown.append((record["people"]["confusion"], record["people"]["classes"], "ratings of CREMA-D voices"))
    width = confusion_inches(record["classes"])
    figure = Figure(figsize=(width, len(shown) * (width - 0.3)))
    for axes, (counts, classes, counted) in zip(figure.subplots(len(shown), squeeze=False).flat, shown, strict=True):
        draw_confusion(axes, np.asarray(counts), classes, counted)
    return figure
