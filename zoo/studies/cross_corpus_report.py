"""Write the record of a study across corpora: as JSON, CSV, a page of tables, and a figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.reports import style
from zoo.reports.figures import save
from zoo.utils.atomic_files import write_csv, write_json, written_aside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = (
    '"choosing a trained model of the same language or language family increases the emotion recognition performance" '
    "(MixedEmotions D4.2, summary)"
)
_WAYS = {False: "features as they are", True: "features standardised by each corpus's own clips (transductive)"}

Record = Mapping[str, Any]


def write(record: Record, folder: Path) -> None:
    """Write matrix.json, .csv, .md, .png, .svg and .pdf."""
    save(matrix_figure(record), folder / "matrix.png", "UA by corpus of training and of testing", title(record))
    write_csv(folder / "matrix.csv", [_csv_row(cell) for cell in record["cells"]])
    with written_aside(folder / "matrix.md") as aside:
        aside.write_text("\n".join(_page(record)) + "\n")
    write_json(folder / "matrix.json", record)


def title(record: Record) -> str:
    """Return the heading of every output."""
    synthetic = "SYNTHETIC corpora, " if record["synthetic"] else ""
    return f"{record['model']} ({record['recipe']}), {synthetic}{', '.join(record['classes'])}"


def percent(score: Mapping[str, Any], sign: bool = False) -> str:
    """Format a share and its interval in percent: "51.2 [48.0, 54.1]"; a dash for none."""
    if score["value"] is None:
        return "–"
    form = "+.1f" if sign else ".1f"
    interval = "" if score["low"] is None else f" [{100 * score['low']:{form}}, {100 * score['high']:{form}}]"
    return f"{100 * score['value']:{form}}{interval}"


def _csv_row(cell: Record) -> dict[str, Any]:
    row = {name: cell[name] for name in ("trained_on", "tested_on", "normalized", "n_clips", "n_speakers")}
    for name in ("ua", "wa"):
        row |= {f"{name}{end}": cell[name][key] for end, key in (("", "value"), ("_low", "low"), ("_high", "high"))}
    return {**row, "why_empty": cell.get("why_empty", "")}


def _ways(record: Record) -> list[bool]:
    return list(dict.fromkeys(cell["normalized"] for cell in record["cells"]))


def _cells(record: Record, normalized: bool) -> dict[tuple[str, str], Record]:
    cells = (cell for cell in record["cells"] if cell["normalized"] == normalized)
    return {(cell["trained_on"], cell["tested_on"]): cell for cell in cells}


def _page(record: Record) -> Iterator[str]:
    corpora = list(record["corpora"])
    yield f"# Trained on one corpus, tested on another: {title(record)}\n"
    yield f"UA in percent with its 95 % interval over the tested corpus's speakers; seeds {_listed(record['seeds'])}."
    yield "The diagonal is of five folds by speaker. C or the epoch is chosen on a fifth of the trained speakers."
    yield f"Fitting took {record['fitting_seconds'] / 60:.1f} minutes.\n"
    if "command" in record:
        yield f"```\n{record['command']}\n```\n"
    yield from (f"- {note}" for note in (*record["notes"], *record["warnings"], *record["leakage"]))
    for normalized in _ways(record):
        cells = _cells(record, normalized)
        yield f"\n## {_WAYS[normalized].capitalize()}\n"
        yield from _table(["trained on", *corpora], _rows(cells, corpora))
        reasons = {cell["why_empty"] for cell in cells.values() if "why_empty" in cell}
        yield from (f"\nEmpty: {reason}" for reason in sorted(reasons))
    yield from _findings(record)
    yield "\n## Corpora and what their labels are called\n"
    columns = ["corpus", "licence", *record["classes"], "labels' source"]
    yield from _table(columns, [_corpus_row(name, row) for name, row in record["corpora"].items()])


def _rows(cells: Mapping[tuple[str, str], Record], corpora: Sequence[str]) -> list[list[str]]:
    trained = dict.fromkeys(name for name, _ in cells)
    return [
        [
            one,
            *(
                f"**{percent(cells[one, tested]['ua'])}**" if one == tested else percent(cells[one, tested]["ua"])
                for tested in corpora
            ),
        ]
        for one in trained
    ]


def _findings(record: Record) -> Iterator[str]:
    if record["family_effect"]:
        yield f"\n## Same family or not\n\nThe claim: {CLAIM}."
        yield "Mean UA when trained on the others of the family, less the mean when trained on corpora outside it, in"
        yield "points, on the same test speakers; the interval is over them. It says nothing of other corpora of these"
        yield "languages: rooms, microphones, raters and acting differ between corpora too."
        yield from _verdicts(record["family_effect"])
        columns = ["family", "features", "tested on", "trained inside", "trained outside", "difference"]
        yield ""
        yield from _table(columns, [_effect_row(row) for row in record["family_effect"]])
    if record["normalization_effect"]:
        yield "\n## What standardising by corpus does\n"
        yield "Mean UA over the other corpora trained on, less that of features as they are, in points.\n"
        rows = [[row["tested_on"], percent(row["difference"], sign=True)] for row in record["normalization_effect"]]
        yield from _table(["tested on", "difference"], rows)
    yield "\n## Which other corpus trains best\n"
    rows = [
        [
            row["tested_on"],
            _WAYS[row["normalized"]].split(" (")[0],
            ", ".join(f"{k} {100 * v:.1f}" for k, v in row["ua"].items()),
        ]
        for row in record["best_training"]
    ]
    yield from _table(["tested on", "features", "trained on, best first"], rows)


def _verdicts(effects: Sequence[Record]) -> Iterator[str]:
    yield ""
    for row in effects:
        low, high = row["difference"]["low"], row["difference"]["high"]
        if low is None:
            word = "not tested (one speaker)"
        elif low > 0:
            word = "as the claim says"
        elif high < 0:
            word = "against the claim"
        else:
            word = "undecided: the interval holds 0"
        way = _WAYS[row["normalized"]].split(" (")[0]
        yield f"- {row['family']}, tested on {row['tested_on']}, {way}: {percent(row['difference'], sign=True)}, {word}"


def _effect_row(row: Record) -> list[str]:
    inside, outside = (", ".join(row.get(name, ())) for name in ("trained_inside", "trained_outside"))
    way = _WAYS[row["normalized"]].split(" (")[0]
    return [row["family"], way, row["tested_on"], inside, outside, percent(row["difference"], sign=True)]


def _corpus_row(name: str, corpus: Record) -> list[str]:
    by_class = []
    for of_class, count in corpus["clips"].items():
        labels = [label for label, other in corpus["label_map"].items() if other == of_class]
        by_class.append(f"{count} ({' + '.join(labels)})" if labels else str(count))
    return [name, corpus["licence"], *by_class, corpus["label_source"]]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values))


@style.styled
def matrix_figure(record: Record) -> Figure:
    """Draw UA in percent, with its interval, by the corpus of training (rows) and of testing (columns)."""
    from matplotlib.figure import Figure

    corpora, ways = list(record["corpora"]), _ways(record)
    height = 1.2 + 0.33 * (len(corpora) + 1)
    figure = Figure(figsize=(style.PAGE_INCHES, 0.6 + height * len(ways)))
    all_axes = figure.subplots(len(ways), squeeze=False)[:, 0]
    for axes, normalized in zip(all_axes, ways, strict=True):
        cells = _cells(record, normalized)
        trained = list(dict.fromkeys(name for name, _ in cells))
        scores = [[cells[one, tested]["ua"] for tested in corpora] for one in trained]
        values = np.array([[np.nan if s["value"] is None else 100 * s["value"] for s in row] for row in scores])
        shown = axes.imshow(values, cmap=style.SHADES, vmin=100 / len(record["classes"]), vmax=100, aspect="auto")
        style.write_in_cells(axes, values, [[percent(score).replace(" ", "\n", 1) for score in row] for row in scores])
        axes.set_xticks(range(len(corpora)), [style.name(corpus) for corpus in corpora])
        axes.set_yticks(range(len(trained)), [style.name(corpus) for corpus in trained])
        axes.set(xlabel="Tested on", ylabel="Trained on", title=_WAYS[normalized])
    figure.colorbar(shown, ax=list(all_axes), label="UA (%), from chance up")
    return figure


def lines(record: Record) -> list[str]:
    """Return the matrix in words, a line per row of it."""
    corpora, found = list(record["corpora"]), []
    for normalized in _ways(record):
        cells = _cells(record, normalized)
        found.append(f"UA in percent, {_WAYS[normalized]}:")
        for one in dict.fromkeys(name for name, _ in cells):
            scores = ", ".join(f"{tested} {percent(cells[one, tested]['ua'])}" for tested in corpora)
            found.append(f"  trained on {one}: {scores}")
    return found
