"""Format a comparison: two tables and their notes on the terminal, in Markdown or LaTeX; or as CSV."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zoo.errors import UserError
from zoo.metrics.significance import MOST_EXACT, N_RESAMPLES, smallest_p
from zoo.reports import latex
from zoo.studies.compare import TESTS, Comparison, Difference, Score, System, absences, leakage, warnings
from zoo.utils.atomic_files import csv_text
from zoo.utils.text import printable

ALPHA = 0.05
SUFFIXES = {".md": "markdown", ".csv": "csv", ".tex": "latex"}
_NONE = "–"
_N_NAMES = 2  # columns of every table that hold names; the others hold numbers


Grid = tuple[str, Sequence[str], Sequence[Sequence[str]]]  # title, header, rows


def print_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print the tables and the notes on the terminal."""
    console = console or Console()
    for title, header, rows in grids(comparison):
        bold = Text(title, style="bold")
        table = Table(title=bold, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        for heading in header[:_N_NAMES]:
            table.add_column(Text(heading), overflow="fold")  # a name that is cut short might be another's
        for heading in header[_N_NAMES:]:
            table.add_column(Text(heading.replace(" ", "\n")), justify="right", no_wrap=True)
        for row in rows:
            # Text, not str: names may hold square brackets, which rich would read as markup.
            numbers = (cell.replace(" [", "\n[") for cell in row[_N_NAMES:])
            table.add_row(*map(Text, (*row[:_N_NAMES], *numbers)))
        console.print(table)
    for note in notes(comparison):
        console.print(Text(note))


def format_of(path: Path) -> str:
    """Return the format of `FORMATS` that a file's suffix stands for. Raises UserError for another suffix."""
    if path.suffix not in SUFFIXES:
        expected = f"expected a name that ends in {', '.join(SUFFIXES)}"
        raise UserError(f"--out {path}: {expected}, found {path.suffix or 'none'}")
    return SUFFIXES[path.suffix]


def grids(comparison: Comparison) -> list[Grid]:
    """Return the table of systems, and of each that others are compared with the table of differences from it."""
    continuous = comparison.continuous
    tested = f"{comparison.n_tested} {'recordings' if continuous else 'clips'} of {comparison.n_speakers} speakers"
    names = [name if continuous else f"{name} (%)" for name in comparison.figures]
    tests = [test for test in TESTS if any(not math.isnan(item.p[test]) for item in comparison.differences)]
    difference = "Difference" if continuous else "Difference (points)"
    header = ("System", "Figure", difference, *(f"p {TESTS[test]}" for test in tests))
    rows = [_system_row(comparison, system) for system in comparison.systems]
    title = printable(f"{comparison.corpus}, {comparison.protocol}: {tested}")
    found: list[Grid] = [(title, ("System", "Remarks", *names, "Seeds"), rows)]
    for reference, items in groupby(comparison.differences, key=lambda item: item.reference):
        rows = [_difference_row(item, continuous, tests) for item in items]
        found.append((f"Differences from {printable(reference)}", header, rows))
    return [(title, header, [[*map(printable, row)] for row in rows]) for title, header, rows in found]


def notes(comparison: Comparison) -> Iterator[str]:
    """Yield the sentences below the tables: how figures and tests are made, and their limits."""
    yield from map(printable, _notes(comparison))


def _notes(comparison: Comparison) -> Iterator[str]:
    several = any(len(system.runs) > 1 for system in comparison.systems)
    if comparison.continuous:
        after = "after post-processing" if comparison.postprocessed else "as predicted"
        yield f"CCC is over all rated frames of all recordings, {after}."
    if several:
        yield "Figures of several seeds are their mean, with the seeds' standard deviation after ±."
    exact = comparison.n_speakers <= MOST_EXACT
    yield (
        f"In brackets: 95 % intervals of the bootstrap over speakers{' and seeds' if several else ''}. p bootstrap: "
        f"paired, two-sided, {N_RESAMPLES:,} resamples. p sign flips: two-sided, the systems' predictions swapped by "
        f"speaker, {f'all 2^{comparison.n_speakers}' if exact else f'{N_RESAMPLES:,} random'} flips."
    )
    if not comparison.continuous:
        yield (
            "p McNemar (exact, two-sided) and p z-test (one-tailed: is the system more accurate than the one it is "
            "compared with? Zhao et al. 2019, section IV) take clips as independent, which a speaker's clips are not."
        )
    if comparison.n_pairs > 1:
        yield f"p after Holm's correction for {comparison.n_pairs} comparisons, each figure and test by itself."
    yield from _warnings(comparison)
    yield from _marks(comparison.systems)


def _warnings(comparison: Comparison) -> Iterator[str]:
    smallest, n_pairs = smallest_p(comparison.n_speakers), comparison.n_pairs
    if comparison.n_speakers == 1:
        yield "One speaker: there is no interval over speakers and no test over speakers. Test on more."
    elif smallest > ALPHA:
        yield (
            f"Too few speakers: with {comparison.n_speakers}, p sign flips is never below {smallest:.3g} and cannot "
            "reach 5 %; the bootstrap's intervals and p are too small. Test on six speakers or more."
        )
    elif smallest * n_pairs > ALPHA:
        yield (
            f"Too few speakers for {n_pairs} comparisons: with {comparison.n_speakers}, p sign flips after correction "
            f"is never below {min(1.0, smallest * n_pairs):.3g} and cannot reach 5 %. Compare fewer systems."
        )
    seeds = {system.name: system.seeds for system in comparison.systems}
    pairs = {(item.reference, item.other) for item in comparison.differences}
    if any(seeds[a] != seeds[b] and len(seeds[a]) + len(seeds[b]) > 2 for a, b in pairs):
        yield "Systems with different seeds are paired by speaker only, each run of one with every run of the other."


def _marks(systems: Sequence[System]) -> Iterator[str]:
    records = [(run.folder.name, run.record) for system in systems for run in system.runs]
    if any(record["synthetic"] for _, record in records):
        yield "Synthetic clips: the figures say nothing about real speech."
    marks = (("not speaker-independent", leakage), ("incomplete corpus", absences), ("warning", warnings))
    for what, lines_of in marks:
        by_text: dict[str, list[str]] = {}
        for name, record in records:
            by_text.setdefault("; ".join(line.rstrip(".") for line in lines_of(record)), []).append(name)
        for text, names in [(text, names) for text, names in by_text.items() if text]:
            yield f"{'All runs' if len(names) == len(records) else ', '.join(names)}: {what}: {text}."


def _system_row(comparison: Comparison, system: System) -> tuple[str, ...]:
    continuous, scores = comparison.continuous, []
    for score in comparison.scores[system.name].values():
        spread = "" if math.isnan(score.deviation) else f" ± {_number(score.deviation, continuous)}"
        scores.append(_number(score.value, continuous) + spread + _interval(score, continuous))
    seeds = f"{len(system.seeds)} ({', '.join(map(str, system.seeds))})" if system.seeds else _NONE
    return (system.name, ", ".join(system.marks) or _NONE, *scores, seeds)


def _difference_row(item: Difference, continuous: bool, tests: Sequence[str]) -> tuple[str, ...]:
    value = _number(item.value, continuous, sign="+") + _interval(item, continuous, sign="+")
    every = [item.corrected[test] for test in tests]
    p = (_NONE if math.isnan(value) else f"{value:.3f}" if value >= 0.001 else "< 0.001" for value in every)
    return (item.other, item.figure, value, *p)


def _interval(item: Score | Difference, continuous: bool, sign: str = "") -> str:
    if math.isnan(item.low) or math.isnan(item.high):
        return ""
    return f" [{_number(item.low, continuous, sign)}, {_number(item.high, continuous, sign)}]"


def _number(value: float, continuous: bool, sign: str = "") -> str:
    """A CCC with three decimals, an accuracy in percent with one. What rounds to 0 has no sign."""
    if math.isnan(value):
        return _NONE
    text = f"{value:{sign}.3f}" if continuous else f"{100 * value:{sign}.1f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "−")


def _markdown(comparison: Comparison) -> str:
    def escaped(text: str) -> str:
        return re.sub(r"[\\|*`<]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", text)  # _ within a word is a plain letter

    lines = []
    for title, header, rows in grids(comparison):
        head, *body = (f"| {' | '.join(map(escaped, row))} |" for row in (header, *rows))
        rule = f"|{'---|' * _N_NAMES}{'---:|' * (len(header) - _N_NAMES)}"
        lines += [f"**{escaped(title)}**", "", head, rule, *body, ""]
    lines += [f"- {escaped(note)}" for note in notes(comparison)]
    return "\n".join(lines) + "\n"


def _latex(comparison: Comparison) -> str:
    """Tables with booktabs' rules, captions and labels; the notes below as paragraphs."""
    about = f"{comparison.corpus} {comparison.protocol}"
    found = [latex.NEEDS]
    for number, (title, header, rows) in enumerate(grids(comparison)):
        name = latex.label("differences" if number else "systems", about, str(number) if number > 1 else "")
        found.append(latex.table(header, rows, f"{title}.", name, n_words=_N_NAMES))
    return "\n".join([*found, *(f"{latex.escaped(note)}\n" for note in notes(comparison))])


def _csv(comparison: Comparison) -> str:
    """One row per figure of a system and per difference, unrounded; accuracies in 0..1, what is undefined empty."""
    shared = ["corpus", "protocol", "n_tested", "n_speakers"]
    columns = ["row", "system", "against", "figure", "value", "low", "high", "deviation"]
    columns += [f"p_{test}{suffix}" for test in TESTS for suffix in ("", "_holm")]
    about: dict[str, dict[str, Any]] = {}
    for system in comparison.systems:
        lines = dict.fromkeys(line for run in system.runs for line in warnings(run.record))
        about[system.name] = {name: getattr(comparison, name) for name in shared}
        about[system.name] |= {"seeds": " ".join(map(str, system.seeds)), "remarks": "; ".join([*system.marks, *lines])}
    rows: list[dict[str, Any]] = [
        {"row": "system", "system": name, "figure": figure, **vars(score), **about[name]}
        for name, scores in comparison.scores.items()
        for figure, score in scores.items()
    ]
    for item in comparison.differences:
        row = {"row": "difference", "system": item.other, "against": item.reference, **vars(item), **about[item.other]}
        row |= {f"p_{test}": p for test, p in item.p.items()}
        rows.append(row | {f"p_{test}_holm": p for test, p in item.corrected.items()})
    columns += [*shared, "seeds", "remarks"]
    found = ({name: row.get(name, "") for name in columns} for row in rows)
    return csv_text([{name: "" if value != value else value for name, value in row.items()} for row in found])


FORMATS: dict[str, Callable[[Comparison], str]] = {"markdown": _markdown, "csv": _csv, "latex": _latex}
