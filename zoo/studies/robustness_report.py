"""Show the scores of a run in many conditions: a table on the terminal, a CSV, a figure.

All functions take the record that `zoo.studies.robustness.measure` returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zoo.reports import style
from zoo.reports.figures import save
from zoo.reports.tables import print_titled
from zoo.studies.compare import absences, leakage, warnings
from zoo.utils.atomic_files import write_csv
from zoo.utils.text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOT_AS_RECORDED = "NOT AS RECORDED: the clean figures differ from those of the run, so all others may be wrong too"

_NOISE_UNLIKE_TRAINING = "noise not known to be the training's: recordings of it may have been in training"
_SHARES = {"ua": "UA", "wa": "WA"}  # shown in percent; all others are CCC

Record = Mapping[str, Any]
Score = Mapping[str, "float | None"]


def write(record: Record, folder: Path) -> None:
    """Write scores.csv, a row per condition, and a figure: heatmap.png where there are rooms or microphones, else
    curve.png of the score over the ratio, or noises.png with the recordings of noise one by one; all as .svg and .pdf.
    """
    write_csv(folder / "scores.csv", [_csv_row(record, row) for row in record["conditions"]])
    settings = record["settings"]
    if settings["by_noise"]:
        what = f"Scores in each recording of noise, at {settings['snr_db'][0]:g} dB"
        figure, name = noises_figure(record), "noises.png"
    elif settings["rooms"] or settings["microphones"]:
        what, figure, name = "Scores by room, microphone and noise", heatmap_figure(record), "heatmap.png"
    else:
        what, figure, name = "Scores by level of noise", curve_figure(record), "curve.png"
    save(figure, folder / name, what, title(record))


def remarks(record: Record) -> list[str]:
    """Return what limits the figures, in a few words each; for titles and every row of the CSV."""
    subset = f"subset of {record['n_clips']} of {record['n_test_clips']} test clips"
    known = {
        "synthetic": record["synthetic"],
        _seen(record): leakage(record),
        "incomplete corpus": absences(record),
        _NOISE_UNLIKE_TRAINING: record["noise_unlike_training"],
        "rooms of the training": record["rooms_heard_in_training"],
        subset: record["n_clips"] < record["n_test_clips"],
        "NOT AS RECORDED": record.get("differs"),
    }
    return [*(text for text, holds in known.items() if holds), *warnings(record)]


def title(record: Record) -> str:
    """Return the heading of every table and figure: run, corpus, protocol, remarks."""
    corpus = f"{'SYNTHETIC ' if record['synthetic'] else ''}{record['corpus']}"
    fold = f", fold {record['fold']}" if record["fold"] is not None else ""
    about = f"{record['model']} ({record['recipe']}) on {corpus}, {record['protocol']}{fold}"
    return ", ".join([about, *(text for text in remarks(record) if text != "synthetic")])


def print_table(record: Record, console: Console | None = None) -> None:
    """Print a row per condition, below the title and notes on how the figures were made."""
    figures = record["conditions"][0]["figures"]
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("Condition", overflow="fold")
    for name in figures:
        table.add_column(_label(name, "\n"), justify="right", no_wrap=True)
    for row in record["conditions"]:
        cells = (_cell(name, score, " " if len(figures) < 3 else "\n") for name, score in row["figures"].items())
        table.add_row(Text(printable(row["condition"])), *map(Text, cells))
    print_titled(title(record), _notes(record), table, console)


def in_words(figures: Mapping[str, Score]) -> str:
    """Return figures as a progress line shows them."""
    values = {name: _number(name, score["value"]) for name, score in figures.items()}
    words = (f"{_SHARES[name]} {v} %" if name in _SHARES else f"{_label(name)} {v}" for name, v in values.items())
    return "  ".join(words)


@style.styled
def heatmap_figure(record: Record) -> Figure:
    """Draw every figure by rooms and microphones (rows) and ratios (columns)."""
    from matplotlib.figure import Figure

    rows = record["conditions"]
    paths = list(dict.fromkeys(_path(row) for row in rows))
    ratios = [None, *record["settings"]["snr_db"]]
    names = list(rows[0]["figures"])
    lines = [style.wrapped(path, 1.9, style.SMALL_POINTS) for path in paths]
    wide = len(ratios) > 4  # then a panel takes the page's width
    n_columns, height = 1 if wide else 2, 0.8 + 0.3 * len(paths)
    n_lines = -(-len(names) // n_columns)
    figure = Figure(figsize=(style.PAGE_INCHES, n_lines * height + 0.6))
    for name, axes in zip(names, figure.subplots(n_lines, n_columns, squeeze=False, sharey=True).flat, strict=True):
        values = np.full((len(paths), len(ratios)), np.nan)
        for row in rows:
            values[paths.index(_path(row)), ratios.index(row["snr_db"])] = row["figures"][name]["value"]
        axes.imshow(values, cmap=style.SHADES, aspect="auto")
        style.write_in_cells(axes, values, [[_number(name, value) for value in row] for row in values])
        axes.set_xticks(range(len(ratios)), ["no noise" if ratio is None else f"{ratio:g} dB" for ratio in ratios])
        axes.set_yticks(range(len(paths)), lines)
        axes.set(title=_label(name), xlabel="Signal-to-noise ratio")
    return figure


@style.styled
def curve_figure(record: Record) -> Figure:
    """Draw every figure over the ratio with its interval, and its clean value as a line across."""
    from matplotlib.figure import Figure

    rows, ratios = record["conditions"], record["settings"]["snr_db"]
    figure = Figure(figsize=(style.COLUMN_INCHES, 3.4))
    axes = figure.subplots()
    for number, name in enumerate(rows[0]["figures"]):
        (clean, *values), (_, *low), (_, *high) = _bounds(name, rows)
        color, short = style.COLOURS[number % len(style.COLOURS)], _label(name).removesuffix(" (%)")
        axes.plot(ratios, values, "os^Dv"[number % 5], linestyle="-", color=color, label=short)
        axes.fill_between(ratios, low, high, color=color, alpha=0.15, linewidth=0)
        axes.axhline(clean, color=color, linestyle="--", linewidth=1, label=f"{short}, no noise added")
    axes.set_xticks(ratios)
    axes.set(xlabel="Signal-to-noise ratio (dB)", ylabel=_axis_of(list(rows[0]["figures"])))
    axes.grid()
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    return figure


@style.styled
def noises_figure(record: Record) -> Figure:
    """Draw every figure in each recording of noise with its interval, and its clean value as a line."""
    from matplotlib.figure import Figure

    rows = record["conditions"]
    names, noises = list(rows[0]["figures"]), [row["noise"] or "all recordings" for row in rows[1:]]
    noises = [style.name(noise) for noise in noises]
    figure = Figure(figsize=(style.PAGE_INCHES, 1.3 + 0.22 * len(noises)))
    for name, axes in zip(names, figure.subplots(1, len(names), sharey=True, squeeze=False).flat, strict=True):
        (clean, *values), (_, *low), (_, *high) = _bounds(name, rows)
        axes.hlines(range(len(noises)), low, high, color=style.GREY)
        axes.plot(values, range(len(noises)), "o", color=style.BLACK, label="in noise, 95 % interval")
        axes.axvline(clean, color=style.BLUE, linestyle="--", label="no noise added")
        axes.set_yticks(range(len(noises)), noises)
        axes.set_xlabel(_label(name))
        axes.grid(axis="x")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    axes.invert_yaxis()
    return figure


def _axis_of(names: Sequence[str]) -> str:
    """Return the label of an axis that several figures share: UA and WA in percent, or CCC."""
    shares = [_SHARES[name] for name in names if name in _SHARES]
    return f"{' and '.join(shares)}, test clips (%)" if shares else "CCC, test recordings"


def _seen(record: Record) -> str:
    return "chosen on the recordings it is tested on" if record["selects_on_test"] else "not speaker-independent"


def _notes(record: Record) -> list[str]:
    settings, n_speakers = record["settings"], record["conditions"][0]["n_speakers"]
    interval = "in brackets the 95 % interval over speakers" if n_speakers > 1 else "no interval: one speaker"
    clips = f"{record['n_clips']} test clips of {n_speakers} speakers"
    lines = [f"{clips}; in parentheses the change from clean, {interval}"]
    if record["noise_files"]:
        level = {"active": "while somebody speaks", "all": "over all of a clip"}[settings["snr_level"]]
        kept = {"files": "", "time": " (the last third of each)"}[settings["noise"]["split"]]
        recordings = f"{len(record['noise_files'])} recordings{kept} kept for testing in {record['noise']}"
        lines.append(f"noise: {recordings}; the level of speech is that {level}")
    if record["reverberation_seconds"]:
        times = ", ".join(f"{name} {seconds:g} s" for name, seconds in record["reverberation_seconds"].items())
        lines.append(f"rooms by their reverberation times: {times}")
    below = ((_seen(record), leakage(record)), ("incomplete corpus:", absences(record)))
    for heading, sentences in (*below, (NOT_AS_RECORDED, record["differs"])):
        lines += [heading, *(f"  {sentence}" for sentence in sentences)] if sentences else []
    return lines


def _csv_row(record: Record, row: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in row.items() if key != "figures"}
    for name, score in row["figures"].items():
        parts = (("", "value"), ("_low", "low"), ("_high", "high"), ("_change", "change"))
        found |= {f"{name}{suffix}": score[key] for suffix, key in parts}
    found["remarks"] = "; ".join(remarks(record))
    return {name: "" if value is None else value for name, value in found.items()}


def _path(row: Mapping[str, Any]) -> str:
    """Return what a condition puts between the speaker and the recording, without noise."""
    parts = [f"{kind} {row[kind]}" for kind in ("microphone", "room") if row[kind] is not None]
    return " + ".join(parts) or "as recorded"


def _label(name: str, before: str = " ") -> str:
    if name in _SHARES:
        return f"{_SHARES[name]} (%)"
    after = f",{before}post-processed" if name.startswith("postprocessed_") else ""
    return f"CCC {name.removeprefix('postprocessed_').removeprefix('ccc_')}{after}"


def _bounds(name: str, rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Return value, low and high of a figure as shown, (3, conditions); NaN for what is not defined."""
    scale = 100 if name in _SHARES else 1
    return scale * np.array([[row["figures"][name][key] for key in ("value", "low", "high")] for row in rows], float).T


def _cell(name: str, score: Score, before: str) -> str:
    value, low, high, change = (_number(name, score[key]) for key in ("value", "low", "high", "change"))
    if change != "–" and float(change) != 0:
        value += f" ({change if change.startswith('-') else f'+{change}'})"
    interval = "" if "–" in (low, high) else f"{before}[{low}, {high}]"
    return (value + interval).replace("-", "−")


def _number(name: str, value: float | None) -> str:
    """Format an accuracy in percent with one decimal, a CCC with three. What rounds to 0 has no sign."""
    if value is None or np.isnan(value):
        return "–"
    text = f"{100 * value:.1f}" if name in _SHARES else f"{value:.3f}"
    return text.lstrip("-") if float(text) == 0 else text
