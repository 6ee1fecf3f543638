"""Write the table, the record and the figure of a learning curve by number of training speakers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.reports import style
from zoo.reports.figures import save
from zoo.studies.by_speakers import extrapolate
from zoo.utils.atomic_files import write_csv, write_json, written_aside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
_COLUMNS = ("speakers", "fold", "seed", "ua", "epochs", "train_clips", "seconds_per_epoch")


def write(records: Sequence[Record], folder: Path, command: str) -> dict[str, Any]:
    """Write curve.csv, .json, .md, .png, .svg and .pdf of finished runs; return the curve.

    Draws, a fold and a seed each, count once all their numbers of speakers are finished. Without one, or with a single
    number of speakers, curve.csv is all, and the curve empty.
    """
    rows = [{"speakers": record["about"]["speakers"], **record} for record in records]
    write_csv(folder / "curve.csv", [{name: row[name] for name in _COLUMNS} for row in rows])
    counts = sorted({row["speakers"] for row in rows})
    by_draw: dict[tuple[str, int], dict[int, float]] = {}
    for row in rows:
        by_draw.setdefault((row["fold"], row["seed"]), {})[row["speakers"]] = row["ua"]
    whole = [[found[count] for count in counts] for found in by_draw.values() if len(found) == len(counts)]
    if not whole or len(counts) < 2:
        return {}
    first = rows[0]
    facts = {name: first[name] for name in ("model", "recipe", "corpus", "protocol", "synthetic")}
    curve = {**facts, "scored": first["about"]["scored"], **extrapolate(counts, np.array(whole))}
    write_json(folder / "curve.json", {**curve, "command": command})
    with written_aside(folder / "curve.md") as aside:
        aside.write_text("\n".join(_page(curve, first, command)) + "\n")
    save(curve_figure(curve), folder / "curve.png", "UA by number of training speakers", _about(curve))
    return curve


def _title(curve: Record) -> str:
    return f"{_about(curve)}: UA by training speakers"


def _about(curve: Record) -> str:
    corpus = f"{'SYNTHETIC ' if curve['synthetic'] else ''}{curve['corpus']}"
    return f"{curve['model']} ({curve['recipe']}) on {corpus}, {curve['protocol']}"


def _percent(figure: Record) -> str:
    interval = "" if figure["low"] is None else f" [{100 * figure['low']:.1f}, {100 * figure['high']:.1f}]"
    return f"{100 * figure['value']:.1f}{interval}"


def _page(curve: Record, first: Record, command: str) -> Iterator[str]:
    yield f"# {_title(curve)}\n"
    last = "the last epoch" if curve["scored"] == "test" else f"the last {first['last']} epochs (mean)"
    yield f"UA in percent on {curve['scored']} speakers, of {last}, mean of {curve['draws']} draws of speakers, each"
    yield "with a seed and fold of its own and the smaller draws within the larger; in brackets 95 % over the draws."
    yield f"Epochs with fewer speakers: {first['about']['length']}.\n"
    yield f"```\n{command}\n```\n"
    yield "| training speakers | UA |\n|---:|---:|"
    for count, figure in zip(curve["speakers"], curve["ua"], strict=True):
        yield f"| {count} | {_percent(figure)} |"
    beyond, law = curve["extrapolated"], curve["power_law"]
    yield f"| {beyond['speakers']} (extrapolated) | {_percent(beyond['ua'])} |"
    yield f"\nError = {law['a']:.3f} n ** -{law['b']:.3f} through the means. It has no lower bound: what it"
    yield "extrapolates is rather too good, and its interval is of the draws alone, not of the law's choice."
    if back := curve["backtest"]:
        yield f"The points before the last predict {100 * back['predicted']:.1f} for {back['speakers']} speakers, and"
        yield f"{100 * back['found']:.1f} was found."


@style.styled
def curve_figure(curve: Record) -> Figure:
    """Draw the curve with its intervals, the power law, and the extrapolated point."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(style.COLUMN_INCHES, 2.8))
    axes = figure.subplots()
    points = [*zip(curve["speakers"], curve["ua"], strict=True)]
    points.append((curve["extrapolated"]["speakers"], curve["extrapolated"]["ua"]))
    shown = (("measured", points[:-1], "o", style.BLACK), ("extrapolated", points[-1:], "s", style.ORANGE))
    for name, some, marker, colour in shown:
        values = np.array([[score[key] or score["value"] for key in ("value", "low", "high")] for _, score in some])
        bars = 100 * np.abs(values[:, 1:] - values[:, :1]).T
        counts = [count for count, _ in some]
        axes.errorbar(counts, 100 * values[:, 0], yerr=bars, fmt=marker, color=colour, capsize=2, label=name)
    law, n = curve["power_law"], np.linspace(points[0][0], points[-1][0], 100)
    axes.plot(n, 100 * (1 - law["a"] * n ** -law["b"]), "--", color=style.BLUE, linewidth=1, label="power law")
    axes.set(xlabel="Training speakers", xscale="log", xticks=[count for count, _ in points])
    axes.set_ylabel(f"UA, {curve['scored']} speakers (%)")
    axes.set_xticklabels([str(count) for count, _ in points])
    axes.minorticks_off()
    axes.grid()
    axes.legend()
    return figure
