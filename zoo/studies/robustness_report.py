"""What the scores of a run in many conditions show to people: a table on the terminal, a CSV, a figure.

All take the record that zoo.studies.robustness returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zoo.reports.figures import save_png
from zoo.studies.compare import absences, leakage, warnings
from zoo.utils.atomic_files import write_csv

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOT_AS_RECORDED = "NOT AS RECORDED: the clean figures differ from those of the run, so all others may be wrong too"
UNLIKE_TRAINING = "noise not known to be the training's: recordings of it may have been heard in training"

_SHARES = {"ua": "UA", "wa": "WA"}  # shown in percent; all others are CCC
_NONE = "–"

Record = Mapping[str, Any]
Score = Mapping[str, "float | None"]


def write(record: Record, folder: Path) -> None:
    """Writes scores.csv, a row per condition, and a figure.

    The figure is heatmap.png where there are rooms or microphones, curve.png of the score over the ratio where there
    are none, noises.png with the recordings of noise one by one.
    """
    write_csv(folder / "scores.csv", [_csv_row(record, row) for row in record["conditions"]])
    if record["settings"]["by_noise"]:
        plot_noises(record, folder / "noises.png")
    elif record["settings"]["rooms"] or record["settings"]["microphones"]:
        plot_heatmap(record, folder / "heatmap.png")
    else:
        plot_curve(record, folder / "curve.png")


def remarks(record: Record) -> list[str]:
    """What is to be held against the figures, in a few words each; for titles and every row of the CSV."""
    subset = f"subset of {record['n_clips']} of {record['n_test_clips']} test clips"
    held = {
        "synthetic": record["synthetic"],
        _seen(record): leakage(record),
        "incomplete corpus": absences(record),
        UNLIKE_TRAINING: record["noise_unlike_training"],
        "rooms heard in training": record["rooms_heard_in_training"],
        subset: record["n_clips"] < record["n_test_clips"],
        "NOT AS RECORDED": record.get("differs"),
    }
    return [*(text for text, holds in held.items() if holds), *warnings(record)]


def title(record: Record) -> str:
    """What every table and figure says of itself."""
    corpus = f"{'SYNTHETIC ' if record['synthetic'] else ''}{record['corpus']}"
    fold = f", fold {record['fold']}" if record["fold"] is not None else ""
    about = f"{record['model']} ({record['recipe']}) on {corpus}, {record['protocol']}{fold}"
    return ", ".join([about, *(text for text in remarks(record) if text != "synthetic")])


def print_table(record: Record, console: Console | None = None) -> None:
    """Prints a row per condition, and above it what the figures are of and what is to be held against them."""
    console = console or Console()
    # Text, not str: names may hold square brackets, which rich would read as markup.
    console.print(Text(title(record), style="bold"))
    for line in _notes(record):
        console.print(Text(line))
    figures = record["conditions"][0]["figures"]
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("Condition", overflow="fold")
    for name in figures:
        table.add_column(_label(name, "\n"), justify="right", no_wrap=True)
    for row in record["conditions"]:
        cells = (_cell(name, score, " " if len(figures) < 3 else "\n") for name, score in row["figures"].items())
        table.add_row(Text(row["condition"]), *map(Text, cells))
    console.print(table)


def in_words(figures: Mapping[str, Score]) -> str:
    """Figures as a progress line shows them."""
    values = ((name, _number(name, score["value"])) for name, score in figures.items())
    return "  ".join(
        f"{_SHARES[name]} {text} %" if name in _SHARES else f"{_label(name)} {text}" for name, text in values
    )


def plot_heatmap(record: Record, path: Path) -> None:
    """Draws every figure by rooms and microphones (rows) and ratios (columns) to a PNG."""
    from matplotlib.figure import Figure

    rows = record["conditions"]
    ways = list(dict.fromkeys(_way(row) for row in rows))
    ratios = [None, *record["settings"]["snr_db"]]
    names = list(rows[0]["figures"])
    labels_inches = max(1.6, 0.065 * max(map(len, ways)))  # at 8 points
    width, height = labels_inches + 0.75 * len(ratios), 1.4 + 0.5 * len(ways)
    n_lines = -(-len(names) // 2)
    figure = Figure(figsize=(max(6.0, 2 * width), n_lines * height + 0.8), layout="constrained")
    for name, axes in zip(names, figure.subplots(n_lines, 2, squeeze=False).flat, strict=True):
        values = np.full((len(ways), len(ratios)), np.nan)
        for row in rows:
            values[ways.index(_way(row)), ratios.index(row["snr_db"])] = _shown(name, row["figures"][name]["value"])
        axes.imshow(values, cmap="viridis", aspect="auto")
        _write_cells(axes, name, values)
        axes.set_xticks(range(len(ratios)), ["no noise" if ratio is None else f"{ratio:g} dB" for ratio in ratios])
        axes.set_yticks(range(len(ways)), ways)
        axes.set_title(_label(name), fontsize=10)
        axes.tick_params(labelsize=8)
    figure.suptitle(title(record), wrap=True, fontsize=10)
    save_png(figure, path)


def plot_curve(record: Record, path: Path) -> None:
    """Draws every figure over the ratio to a PNG: with its interval, and the clean condition's as a line across."""
    from matplotlib.figure import Figure

    clean, *noisy = record["conditions"]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    ratios = [row["snr_db"] for row in noisy]
    for number, (name, score) in enumerate(clean["figures"].items()):
        value, low, high = (
            np.array([_shown(name, row["figures"][name][key]) for row in noisy]) for key in ("value", "low", "high")
        )
        color = f"C{number}"
        axes.plot(ratios, value, "o-", color=color, label=_label(name))
        axes.fill_between(ratios, low, high, color=color, alpha=0.15, linewidth=0)
        axes.axhline(_shown(name, score["value"]), color=color, linestyle="--", linewidth=1)
    axes.set_xticks(ratios)
    axes.set(xlabel="Signal-to-noise ratio (dB)", ylabel="dashed: without noise")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.suptitle(title(record), wrap=True, fontsize=10)
    save_png(figure, path)


def plot_noises(record: Record, path: Path) -> None:
    """Draws every figure in each recording of noise to a PNG: with its interval, and the clean one as a line."""
    from matplotlib.figure import Figure

    clean, *noisy = record["conditions"]
    names = list(clean["figures"])
    figure = Figure(figsize=(3.5 + 2.5 * len(names), 1.8 + 0.3 * len(noisy)), layout="constrained")
    for name, axes in zip(names, figure.subplots(1, len(names), sharey=True, squeeze=False).flat, strict=True):
        for place, row in enumerate(noisy):
            value, low, high = (_shown(name, row["figures"][name][key]) for key in ("value", "low", "high"))
            axes.plot([low, high], [place, place], color="grey")
            axes.plot(value, place, "o", color="black")
        axes.axvline(_shown(name, clean["figures"][name]["value"]), color="tab:blue", linestyle="--", label="clean")
        axes.set_yticks(range(len(noisy)), [row["noise"] or "all recordings" for row in noisy])
        axes.set_xlabel(_label(name))
        axes.grid(alpha=0.3, axis="x")
    axes.legend(fontsize=8)
    axes.invert_yaxis()
    figure.suptitle(f"{title(record)}: noise at {record['settings']['snr_db'][0]:g} dB", wrap=True, fontsize=10)
    save_png(figure, path)


def _seen(record: Record) -> str:
    chosen = record["selects_on_test"]
    return "chosen on the recordings it is tested on" if chosen else "not speaker-independent"


def _notes(record: Record) -> list[str]:
    settings, n_speakers = record["settings"], record["conditions"][0]["n_speakers"]
    tested = f"{record['n_clips']} test clips of {n_speakers} speakers; in parentheses the change from clean, "
    lines = [tested + ("in brackets the 95 % interval over speakers" if n_speakers > 1 else "no interval: one speaker")]
    if record["noise_files"]:
        level = {"active": "while somebody speaks", "all": "over all of a clip"}[settings["snr_level"]]
        kept = {"files": "", "time": " (the last third of each)"}[settings["noise"]["split"]]
        lines.append(
            f"noise: {len(record['noise_files'])} recordings{kept} kept for testing in {record['noise']}; the level of "
            f"speech is that {level}"
        )
    if record["reverberation_seconds"]:
        times = ", ".join(f"{name} {seconds:g} s" for name, seconds in record["reverberation_seconds"].items())
        lines.append(f"rooms by their reverberation times: {times}")
    if leakage(record):
        lines += [_seen(record), *(f"  {sentence}" for sentence in leakage(record))]
    if absences(record):
        lines += ["incomplete corpus:", *(f"  {note}" for note in absences(record))]
    if record["differs"]:
        lines += [NOT_AS_RECORDED, *(f"  {line}" for line in record["differs"])]
    return lines


def _csv_row(record: Record, row: Mapping[str, Any]) -> dict[str, Any]:
    columns = ("condition", "snr_db", "room", "microphone", "noise", "n_clips", "n_speakers")
    found = {name: row[name] for name in columns}
    for name, score in row["figures"].items():
        parts = (("", "value"), ("_low", "low"), ("_high", "high"), ("_change", "change"))
        found |= {f"{name}{suffix}": score[key] for suffix, key in parts}
    found["remarks"] = "; ".join(remarks(record))
    return {name: "" if value is None else value for name, value in found.items()}


def _way(row: Mapping[str, Any]) -> str:
    """What is between the speaker and the recording but noise."""
    return (
        " + ".join(f"{kind} {row[kind]}" for kind in ("microphone", "room") if row[kind] is not None) or "as recorded"
    )


def _write_cells(axes: Axes, name: str, values: np.ndarray) -> None:
    low, high = (np.nan, np.nan) if np.isnan(values).all() else (np.nanmin(values), np.nanmax(values))
    for line, column in np.ndindex(*values.shape):
        value = values[line, column]
        text = _NONE if np.isnan(value) else f"{value:.1f}" if name in _SHARES else f"{value:.3f}"
        color = "white" if value < (low + high) / 2 else "black"  # viridis is dark below
        axes.text(column, line, text, ha="center", va="center", fontsize=8, color=color)


def _label(name: str, before: str = " ") -> str:
    if name in _SHARES:
        return f"{_SHARES[name]} (%)"
    after = f",{before}post-processed" if name.startswith("postprocessed_") else ""
    return f"CCC {name.removeprefix('postprocessed_').removeprefix('ccc_')}{after}"


def _shown(name: str, value: float | None) -> float:
    return np.nan if value is None else 100 * value if name in _SHARES else value


def _cell(name: str, score: Score, before: str) -> str:
    value, low, high, change = (_number(name, score[key]) for key in ("value", "low", "high", "change"))
    if change != _NONE and float(change) != 0:
        value += f" ({change if change.startswith('-') else f'+{change}'})"
    interval = "" if _NONE in (low, high) else f"{before}[{low}, {high}]"
    return (value + interval).replace("-", "−")


def _number(name: str, value: float | None) -> str:
    """An accuracy in percent with one decimal, a CCC with three. What rounds to 0 has no sign."""
    if value is None:
        return _NONE
    text = f"{100 * value:.1f}" if name in _SHARES else f"{value:.3f}"
    return text.lstrip("-") if float(text) == 0 else text
