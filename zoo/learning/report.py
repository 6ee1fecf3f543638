"""Write curves of UA against labels and their comparison: CSV, JSON, Markdown, figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import UserError
from zoo.learning.curves import N_RESAMPLES, SHARE, Curve, Resampled, check_comparable, resample, uas, with_bounds
from zoo.reports import style
from zoo.reports.figures import save
from zoo.utils.atomic_files import write_csv, write_json, written_aside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BANDS = "bands: lowest to highest seed"
_VALIDATION = (
    "The validation clips' labels choose C, epoch and temperature; they are the same for every strategy and are not "
    "counted among the labels. Test clips are used for the curve alone."
)


def write(curve: Curve) -> dict[str, Any]:
    """Write curve.csv, summary.json and curve.png, .svg and .pdf into a simulation's folder; return the summary."""
    found = resample(curve)
    write_csv(curve.folder / "curve.csv", curve.rows)
    _draw([(curve, found)], curve.folder / "curve", f"{curve.name}: {curve.title}")
    summary = {
        **curve.facts,
        "plan": curve.plan,
        "said": _VALIDATION,
        **_figures(curve, found),
        "machine": _machine(curve),
        "minutes": curve.seconds / 60,
    }
    write_json(curve.folder / "summary.json", summary)
    return summary


def compare(curves: Sequence[Curve], out: Path) -> dict[str, Any]:
    """Draw several curves together and compare each with random labels; return what comparison.json holds.

    Writes comparison.json, .csv, .md, .png, .svg, .pdf, and curves.csv with every point, to `out`. Raises UserError for
    curves that cannot be compared, two of one strategy, or without one of strategy random.
    """
    if len(curves) < 2:
        raise UserError("--compare needs two folders or more, one of them of --strategy random")
    names = [curve.name for curve in curves]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f"--compare: two folders are of {twice.pop()}; leave one out")
    if "random" not in names:
        raise UserError("--compare: expected a folder of --strategy random, to measure against; found none")
    check_comparable(curves)
    found = {curve.name: resample(curve) for curve in curves}
    first = curves[0]
    record: dict[str, Any] = {
        **first.facts,
        "plan": {name: first.plan[name] for name in ("budget", "initial", "batch")},
        "said": _VALIDATION,
        "intervals": f"95 %, {N_RESAMPLES} draws of test speakers and seeds, paired between strategies",
        "share_of_full": SHARE,
        "strategies": {curve.name: _row(curve, found) for curve in curves},
        "cooperative_beats_both": _verdicts(curves, found),
    }
    write_json(out / "comparison.json", record)
    write_csv(out / "comparison.csv", [_flat(name, row) for name, row in record["strategies"].items()])
    write_csv(out / "curves.csv", [_short(curve.name, row) for curve in curves for row in curve.rows])
    with written_aside(out / "comparison.md") as aside:
        aside.write_text(markdown(record), encoding="utf-8")
    _draw([(curve, found[curve.name]) for curve in curves], out / "comparison", first.title)
    return record


def _figures(curve: Curve, found: Resampled) -> dict[str, Any]:
    return {
        "area": with_bounds(found.area),
        "ua_at_budget": with_bounds(found.ua[:, -1]),
        "ua_of_all_labels": with_bounds(found.full),
        "labels_to_90": with_bounds(found.labels_needed),
    }


def _row(curve: Curve, found: Mapping[str, Resampled]) -> dict[str, Any]:
    """Return the figures of one strategy, and their differences from random labels in the same draws.

    Where a curve, or that of random labels, does not reach 90 % within the budget, the budget takes the place of the
    number of labels: labels saved are then no exact figure; `reached` says in which share of the draws both did.
    """
    own, base, budget = found[curve.name], found["random"], float(curve.labels[-1])
    needed = [np.minimum(item.labels_needed, budget) for item in (own, base)]
    both = np.isfinite(own.labels_needed) & np.isfinite(base.labels_needed)
    return {
        **_figures(curve, own),
        "area_above_random": with_bounds(own.area - base.area),
        "labels_saved_at_90": with_bounds(needed[1] - needed[0]),
        "reached": float(both[1:].mean()),
        "machine": _machine(curve),
        "minutes": curve.seconds / 60,
        "curve": _pooled(curve, own),
    }


def _pooled(curve: Curve, found: Resampled) -> list[dict[str, Any]]:
    """Return the curve itself: at each number of labels the UA pooled over folds, mean of the seeds, with bounds."""
    points = zip(curve.labels, found.ua.T, strict=True)
    return [{"labels": int(labels), "ua": with_bounds(values)} for labels, values in points]


def _machine(curve: Curve) -> dict[str, Any]:
    """Return how many labels the machine gave at the budget, on average, and the share of them that are right."""
    last = [row for row in curve.rows if row["labels"] == curve.labels[-1]]
    given, right = (sum(row[name] for row in last) for name in ("machine_labels", "machine_right"))
    return {"labels": given / len(last), "right": right / given if given else None}


def _verdicts(curves: Sequence[Curve], found: Mapping[str, Resampled]) -> dict[str, Any]:
    """Say of each cooperative curve whether its area is above those of active and of semi-supervised learning.

    "yes" where both differences are positive with their intervals, "no" where one is negative with its interval, else
    "not shown". MixedEmotions D4.2, section 2.3.4, has cooperative learning more efficient than either.
    """
    verdicts: dict[str, Any] = {}
    for curve in curves:
        others = {"active": curve.plan["query"], "semi-supervised": "semi-supervised"}
        if curve.plan["strategy"] != "cooperative" or not all(name in found for name in others.values()):
            continue
        own = found[curve.name].area
        above = {kind: with_bounds(own - found[name].area) for kind, name in others.items()}
        lows, highs = ([one[bound] or 0.0 for one in above.values()] for bound in ("low", "high"))
        verdict = "yes" if min(lows) > 0 else "no" if min(highs) < 0 else "not shown"
        verdicts[curve.name] = {**{f"area_above_{kind}": one for kind, one in above.items()}, "verdict": verdict}
    return verdicts


def markdown(record: Mapping[str, Any]) -> str:
    """Return a comparison as Markdown: a table with intervals, and the verdicts."""
    plan = record["plan"]
    lines = [
        f"# Labels by people and UA: {record['model']} on {record['corpus']}, {record['protocol']}",
        "",
        f"{'Synthetic speech, no claim. ' * bool(record['synthetic'])}Folds: {_sizes(record['folds'])}; seeds "
        f"{', '.join(map(str, record['seeds']))}; first {plan['initial']} labels of each of {len(record['classes'])} "
        f"classes, then {plan['batch']} at a time up to {plan['budget']}. {record['said']} Intervals: "
        f"{record['intervals']}. Area: mean UA over the range of labels. Saved: labels fewer than random labels need "
        "for 90 % of the UA of all labels.",
        "",
        "| strategy | area % | above random, points | UA at the budget % | labels to 90 % | saved | machine labels "
        "(right) | minutes |",
        "|---|---|---|---|---|---|---|---|",
        *(_markdown_row(name, row, plan["budget"]) for name, row in record["strategies"].items()),
        "",
        f"UA of all labels: {_percent(record['strategies']['random']['ua_of_all_labels'])} %.",
    ]
    for name, found in record["cooperative_beats_both"].items():
        above = {kind: _percent(found[f"area_above_{kind}"], "+.1f") for kind in ("active", "semi-supervised")}
        lines.append(
            f"\n{name.capitalize()}: area above active learning {above['active']} points, above semi-supervised "
            f"{above['semi-supervised']} points. Beats both: {found['verdict']}."
        )
    return "\n".join(lines) + "\n"


def _sizes(folds: Sequence[Mapping[str, Any]]) -> str:
    """Return the number of folds, and of clips to label, to validate on and to test on in each."""
    spans = []
    for side, words in (("pool", "to label"), ("validation", "for validation"), ("test", "to test")):
        sizes = sorted({fold[side] for fold in folds})
        spans.append(f"{sizes[0]}{f' to {sizes[-1]}' if len(sizes) > 1 else ''} clips {words}")
    return f"{len(folds)} ({', '.join(spans)} in each)"


def _markdown_row(name: str, row: Mapping[str, Any], budget: int) -> str:
    machine, needed = row["machine"], row["labels_to_90"]
    share = f" ({100 * machine['right']:.0f} %)" if machine["right"] is not None else ""
    saved = _span(row["labels_saved_at_90"], 1, ".0f") + ("" if row["reached"] == 1 else " *")
    cells = (
        name,
        _percent(row["area"]),
        _percent(row["area_above_random"], "+.1f") if name != "random" else "",
        _percent(row["ua_at_budget"]),
        _span(needed, 1, ".0f", f"over {budget}"),
        saved if name != "random" else "",
        f"{machine['labels']:.0f}{share}",
        f"{row['minutes']:.1f}",
    )
    return f"| {' | '.join(cells)} |"


def _percent(figure: Mapping[str, float | None], form: str = ".1f") -> str:
    return _span(figure, 100, form)


def _span(figure: Mapping[str, float | None], factor: float, form: str, beyond: str = "-") -> str:
    value, low, high = (
        beyond if figure[name] is None else f"{factor * (figure[name] or 0.0):{form}}"
        for name in ("value", "low", "high")
    )
    return f"{value} [{low}, {high}]"


def _flat(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a strategy's figures as a row of CSV: what is not reached is empty."""
    cells: dict[str, Any] = {"strategy": name}
    for key, figure in row.items():
        if isinstance(figure, dict):
            cells |= {f"{key}_{part}": "" if value is None else round(value, 6) for part, value in figure.items()}
        elif not isinstance(figure, list):
            cells[key] = round(figure, 6)
    return cells


def _short(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a point for curves.csv, of all strategies: some models have no C."""
    kept = ("fold", "seed", "labels", "machine_labels", "machine_right", "taken_back", "ua", "wa", "validation_ua")
    values = {key: row.get(key, "") for key in kept}
    return {"strategy": name} | {
        key: round(value, 4) if isinstance(value, float) else value for key, value in values.items()
    }


def _draw(curves: Sequence[tuple[Curve, Resampled]], path: Path, title: str) -> None:
    """Draw UA against people's labels, the mean of the seeds and their range, as PNG, SVG and PDF."""
    save(labels_figure(curves), path.with_suffix(".png"), "UA by number of labelled clips", f"{title} ({BANDS})")


@style.styled
def labels_figure(curves: Sequence[tuple[Curve, Resampled]]) -> Figure:
    """Draw UA of test clips in percent against people's labels: mean of the seeds, their range, UA of all labels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(style.PAGE_INCHES, 3.6) if len(curves) > 3 else (style.COLUMN_INCHES, 2.8))
    axes = figure.subplots()
    for curve, found in curves:
        every = np.ones((1, len(curve.speakers)))
        seeds = np.concatenate([uas(hits, curve.totals, every) for hits in curve.hits])
        (line,) = axes.plot(curve.labels, 100 * found.ua[0], label=curve.name)
        axes.fill_between(
            curve.labels, 100 * seeds.min(axis=0), 100 * seeds.max(axis=0), color=line.get_color(), alpha=0.12
        )
    full = 100 * curves[0][1].full[0]
    axes.axhline(full, color=style.GREY, linewidth=1, linestyle="-", label="UA with all labels")
    axes.axhline(SHARE * full, color=style.GREY, linewidth=1, linestyle=":", label=f"{100 * SHARE:.0f} % of that")
    axes.set(xlabel="Clips labelled by people", ylabel="UA, test clips (%)")
    axes.grid()
    axes.legend(loc="lower right")
    return figure


def sentence(summary: Mapping[str, Any]) -> str:
    """Return one line of what a simulation came to."""
    budget = summary["plan"]["budget"]
    return (
        f"UA {_percent(summary['ua_at_budget'])} % with {budget} labels by people and "
        f"{summary['machine']['labels']:.0f} by the machine; {_percent(summary['ua_of_all_labels'])} % with all. Area "
        f"{_percent(summary['area'])} %; 90 % of the score of all labels with "
        f"{_span(summary['labels_to_90'], 1, '.0f', f'over {budget}')} labels. {summary['minutes']:.1f} minutes"
    )
