"""Chart what a run's files hold: learning curves, calibration, risk and coverage, traces of ratings, differences."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from zoo.errors import UserError
from zoo.metrics import confidence as metrics
from zoo.pages.charts import Line, differences, lines
from zoo.reports.tables import decimal
from zoo.runs.folder import fold_name, read_rows
from zoo.runs.open_run import OpenedRun

_POINTS = 400  # of a curve
_TRACES = 3  # recordings
_SMALL = (340, 230)
_SCORES = {"validation_ua": ("validation UA (%)", 100), "validation_ccc": ("validation CCC", 1)}

Chart = dict[str, Any]


def curves(run: OpenedRun) -> list[Chart]:
    """Return the learning curves of every fold that has a history.csv: losses, and the validation score."""
    found = []
    for folder in run.fold_folders:
        path = folder / "history.csv"
        if not path.is_file():  # of networks that are not trained by epochs
            continue
        history = _history(path)
        epochs = (1.0, float(max(2, len(history["epoch"]))))
        loss = [Line("training", _points(history, "loss"), "s1")]
        if "validation_loss" in history:
            loss.append(Line("validation", _points(history, "validation_loss"), "s2 dashed"))
        values = [value for line in loss for _, value in line.points if value is not None]
        least, most = min([0.0, *values]), max([0.1, *values])
        name = fold_name(folder)
        charts = [lines(f"Loss of fold {name} by epoch", loss, ("epoch", *epochs), ("loss", least, most), _SMALL)]
        for key, (label, scale) in _SCORES.items():
            if key in history and any(value is not None for value in history[key]):
                score = Line(label, _points(history, key, scale), "s1")
                known = [value for _, value in score.points if value is not None]
                best = next(x for x, value in score.points if value == max(known))
                top = max(100.0 if scale == 100 else 1.0, *known)
                bottom = min(0.0, *known)
                title = f"{label} of fold {name} by epoch"
                mark = (best, f"best epoch {best:g}")
                charts.append(lines(title, [score], ("epoch", *epochs), (label, bottom, top), _SMALL, mark))
        found.append({"fold": name, "charts": charts, "file": f"{folder.name}/history.csv"})
    return found


def _history(path: Path) -> dict[str, list[float | None]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        columns = {
            name: [float(row[name]) if row[name] else None for row in rows] for name in (rows[0] if rows else [])
        }
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise UserError(f"{path}: expected a training's history, found none ({error}). Restore it") from error
    if not {"epoch", "loss"} <= set(columns):
        raise UserError(
            f"{path}: expected the columns epoch and loss, found {', '.join(columns) or 'none'}. Restore it"
        )
    return {
        name: [None if one is None or not np.isfinite(one) else one for one in column]
        for name, column in columns.items()
    }


def _points(history: Mapping[str, list[float | None]], key: str, scale: float = 1) -> list[tuple[float, float | None]]:
    pairs = zip(history["epoch"], history[key], strict=True)
    return [(float(epoch or 0), None if value is None else scale * value) for epoch, value in pairs]


def confidence(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return reliability, and risk by coverage, of the largest probability of each test clip."""
    largest = np.array([max(row["probabilities"].values()) for row in rows]).clip(0, 1)
    right = np.array([row["truth"] == row["prediction"] for row in rows])
    found = [
        ("ECE", metrics.expected_calibration_error(largest, right), "mean gap between probability and share right"),
        ("AURC", metrics.area_under_risk_coverage(largest, right), "area below the curve of risk; lower is better"),
    ]
    if 0 < right.sum() < len(right):
        meaning = "how well probabilities tell errors apart; 0.5 by chance"
        found.append(("AUROC of errors", metrics.auroc_of_errors(largest, right), meaning))
    figures = [(name, decimal(float(value)), meaning) for name, value, meaning in found]
    return {"figures": figures, "reliability": _reliability(largest, right), "risk": _risk(largest, right)}


def _reliability(largest: np.ndarray, right: np.ndarray) -> Markup:
    table = metrics.reliability_table(largest, right)
    some = table.n > 0
    points = list(zip(100 * table.confidence[some], 100 * table.accuracy[some], strict=True))
    diagonal = Line("as good as said", [(0, 0), (100, 100)], "thin dashed")
    axes = ("largest probability (%)", 0.0, 100.0), ("right answers (%)", 0.0, 100.0)
    return lines("Right answers by largest probability", [diagonal, Line("run", points, "s1", dots=True)], *axes)


def _risk(largest: np.ndarray, right: np.ndarray) -> Markup:
    curve, every = metrics.risk_coverage(largest, right), 100 * (1 - float(right.mean()))
    some = np.unique(np.linspace(0, len(curve.coverage) - 1, _POINTS).round().astype(int))
    risk = list(zip(100 * curve.coverage[some], 100 * curve.risk[some], strict=True))
    axes = ("clips answered (%)", 0.0, 100.0), ("wrong answers (%)", 0.0, max(10.0, 100 * float(curve.risk.max())))
    flat = Line("all clips", [(0, every), (100, every)], "thin dashed")
    return lines("Wrong answers by share of clips answered", [flat, Line("run", risk, "s1")], *axes)


def traces(run: OpenedRun) -> list[Chart]:
    """Return charts of ratings and predictions over time, of the first recordings, one for each dimension."""
    names = run.protocol.targets
    rows = read_rows(run.folder, ("clip", "time", *(f"truth_{name}" for name in names)), names)
    found = []
    for clip, group in _first(rows):
        for name in names:
            time = np.array([float(row["time"]) for row in group])
            keys = [("raters", f"truth_{name}", "s3"), ("prediction", name, "s1")]
            if f"postprocessed_{name}" in group[0]:
                keys.append(("post-processed", f"postprocessed_{name}", "s2 dashed"))
            drawn = [Line(label, _thinned(time, group, key), kind) for label, key, kind in keys]
            values = [value for line in drawn for _, value in line.points if value is not None]
            y = (name, min(-1.0, *values), max(1.0, *values))
            chart = lines(f"{name} of {clip}", drawn, ("time (s)", 0.0, float(time[-1])), y, (760, 210))
            found.append({"clip": clip, "chart": chart})
    return found


def _first(rows: Sequence[Mapping[str, str]]) -> list[tuple[str, list[Mapping[str, str]]]]:
    found: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        if row["clip"] not in found and len(found) == _TRACES:
            break
        found.setdefault(row["clip"], []).append(row)
    return list(found.items())


def _thinned(time: np.ndarray, rows: Sequence[Mapping[str, str]], key: str) -> list[tuple[float, float | None]]:
    every = max(1, len(time) // _POINTS)
    return [(float(time[n]), float(rows[n][key]) if rows[n][key] else None) for n in range(0, len(time), every)]


def compared(figure: str, rows: Sequence[tuple[str, float, float, float]], unit: str) -> Chart:
    """Return the chart of other runs' differences from the first in a figure."""
    title = f"Difference in {figure} from the first run, with 95 % intervals over speakers"
    return {"figure": figure, "chart": differences(title, rows, f"difference in {figure} ({unit})")}
