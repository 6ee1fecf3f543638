"""Show how far a run's confidence may be believed: tables, risk-coverage curves, reliability."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from zoo.reports import style
from zoo.reports.figures import save
from zoo.reports.tables import decimal, percent, print_titled, table, with_interval
from zoo.utils.atomic_files import write_csv, write_json, written_aside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]

# Heading, where the figure lies in a measure's record, and its form.
_COLUMNS = (
    ("AUROC of errors", "figures", "auroc", decimal),
    ("AURC", "figures", "aurc", decimal),
    ("ECE", "figures", "ece", decimal),
    ("UA at {coverage:.0%}", "figures", "ua_at_coverage", percent),
    ("gain", "figures", "ua_gain", percent),
    ("coverage by the fitted threshold", "fitted", "coverage", percent),
    ("UA answered", "fitted", "ua", percent),
    ("gain", "fitted", "ua_gain", percent),
)
# Of the columns, on a terminal.
_SHORT = (
    "AUROC",
    "AURC",
    "ECE",
    "UA at {coverage:.0%}",
    "gain",
    "answered",
    "UA then",
    "gain",
)


def write(record: Record, folder: Path) -> None:
    """Write figures.json, figures.csv, table.md; risk_coverage and reliability as .png, .svg and .pdf."""
    write_json(folder / "figures.json", record)
    write_csv(folder / "figures.csv", [_csv_row(name, found) for name, found in record["measures"].items()])
    with written_aside(folder / "table.md") as aside:
        aside.write_text("\n".join(markdown(record)) + "\n")
    _, about = title(record).split(" of ", 1)
    save(risk_coverage_figure(record), folder / "risk_coverage.png", "Wrong answers by share of clips answered", about)
    save(reliability_figure(record), folder / "reliability.png", "Right answers by confidence", about)


def title(record: Record) -> str:
    """Return the heading of every table and figure."""
    corpus = f"{'SYNTHETIC ' if record['synthetic'] else ''}{record['corpus']}"
    folds = f"{len(record['folds'])} fold{'s' if len(record['folds']) > 1 else ''}"
    return f"Confidence of {record['model']} ({record['recipe']}) on {corpus}, {record['protocol']}, {folds}"


def remarks(record: Record) -> list[str]:
    """Return what the figures are of, in sentences."""
    every = next(iter(record["measures"].values()))["figures"]
    kind, share = next(iter(record["wanted"].items()))
    people = record.get("human_ceiling")
    of_people = [f"one rater against the others: UA {with_interval(people['ua'], percent)}"] if people else []
    return [
        f"{record['test_clips']} test clips of {record['test_speakers']} speakers whom neither the model nor the fit "
        "of their fold has seen; 95 % intervals over speakers in brackets",
        f"of all clips: UA {with_interval(every['ua'], percent)}, WA {with_interval(every['wa'], percent)}",
        f"the fitted threshold is for {'an error' if kind == 'error' else 'a coverage'} of {percent(share)} on "
        f"{record['validation_clips']} validation clips",
        f"ECE of the largest probability as the model gives it: {decimal(record['ece_of_largest_probability'])}",
        *of_people,
    ]


def markdown(record: Record) -> list[str]:
    """Return the table of all measures as lines of Markdown."""
    headings = [heading.format(**record) for heading, *_ in _COLUMNS]
    lines = [f"# {title(record)}", "", *(f"- {line}" for line in remarks(record)), ""]
    lines += [f"| measure | {' | '.join(headings)} |", "|---" * (1 + len(headings)) + "|"]
    lines += [f"| {name} | {' | '.join(_cells(found))} |" for name, found in record["measures"].items()]
    return [*lines, "", *(f"- {name}: {found['title']}" for name, found in record["measures"].items())]


def print_table(record: Record, console: Console | None = None) -> None:
    """Print the table of all measures, below its title and remarks. Its intervals are in table.md: lines are short."""
    shown = table("Measure", numbers=[heading.format(**record) for heading in _SHORT])
    for name, found in record["measures"].items():
        shown.add_row(Text(name), *(form(found[part][key]["value"]) for _, part, key, form in _COLUMNS))
    print_titled(title(record), remarks(record), shown, console)


def _cells(found: Record) -> list[str]:
    return [with_interval(found[part][name], form) for _, part, name, form in _COLUMNS]


def _csv_row(name: str, found: Record) -> dict[str, Any]:
    parts = {"": found["figures"], "fitted_": {key: one for key, one in found["fitted"].items() if "value" in one}}
    scores = {f"{prefix}{key}": score for prefix, part in parts.items() for key, score in part.items()}
    bounds = (("", "value"), ("_low", "low"), ("_high", "high"))
    return {"measure": name, **{f"{key}{end}": score[of] for key, score in scores.items() for end, of in bounds}}


@style.styled
def risk_coverage_figure(record: Record) -> Figure:
    """Draw the share of wrong answers over the share of clips answered, the most confident first, by measure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(style.COLUMN_INCHES, 3.2))
    axes = figure.subplots()
    for name, found in record["measures"].items():
        coverage, risk = zip(*found["risk_coverage"], strict=True)
        label = f"{_in_words(name)}, AUROC {decimal(found['figures']['auroc']['value'])}"
        axes.plot([100 * x for x in coverage], [100 * x for x in risk], label=label)
    axes.set(xlabel="Coverage: clips answered (%)", ylabel="Risk: wrong answers (%)", xlim=(0, 100))
    axes.set_ylim(bottom=0)
    axes.grid()
    axes.legend(loc="lower right")
    return figure


@style.styled
def reliability_figure(record: Record) -> Figure:
    """Draw the share of right answers over mean confidence, in bins of confidence, by measure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(style.COLUMN_INCHES, 3.4))
    axes = figure.subplots()
    axes.plot([0, 100], [0, 100], color=style.GREY, linewidth=0.8, linestyle="--", label="as confident as right")
    for name, found in record["measures"].items():
        rows = [row for row in found["reliability"] if row["n"]]
        points = ([100 * row[key] for row in rows] for key in ("confidence", "accuracy"))
        label = f"{_in_words(name)}, ECE {decimal(found['figures']['ece']['value'])}"
        axes.plot(*points, marker=".", label=label)
    axes.set(xlabel="Mean confidence (%)", ylabel="Right answers (%)", xlim=(0, 100), ylim=(0, 100))
    axes.grid()
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    return figure


def _in_words(measure: str) -> str:
    return measure.replace("_", " ")
