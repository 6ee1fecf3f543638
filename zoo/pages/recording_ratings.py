"""Show the ratings of a recording: lines along it, a summary by minute, a table and CSV of steps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.pages import summary
from zoo.pages.audio_views import FileView
from zoo.pages.embedded_audio import data_address
from zoo.pretrained import Pretrained
from zoo.utils.atomic_files import csv_text
from zoo.utils.text import file_name

_HEIGHT = 240  # of the chart, pixels
_MOST_POINTS, _MOST_STEPS = 6_000, 2_000  # of the chart, of the table
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # as in zoo.pages.page
_DASHES: tuple[list[int] | None, ...] = (None, [8, 4], [2, 3])  # lines differ in more than colour


def shown(model: Pretrained, path: Path, pictures: FileView) -> dict[str, Any]:
    """Return the values of the template for a model of ratings, and what else `page` takes."""
    answer: Mapping[str, Any] = model.predict(path)  # type: ignore[assignment]  # one clip's: ratings
    dimensions = list(model.outputs)
    time = np.array(answer["time"], float)
    values = np.array([answer["ratings"][name] for name in dimensions], float).T.reshape(-1, len(dimensions))
    step = next((one for one in (1, 2, 5, 10, 30, 60) if pictures.seconds / one <= _MOST_STEPS), 120)
    starts, means = summary.in_steps(time, values, step) if len(time) else (time, values)
    rows = [
        {"file": path.name, "start": round(float(start), 3), **dict(zip(dimensions, line, strict=True))}
        for start, line in zip(starts, means.round(6).tolist(), strict=True)
    ]
    frame = model.description["frame_seconds"]
    return {
        "template": "ratings.html",
        "warnings": [] if len(time) else [f"No ratings: {answer['reason']}"],
        "places": [],
        "charts": [_lines(time, values, dimensions, frame)] if len(time) else [],
        "lanes": [],
        "colors": dict(zip(dimensions, _COLORS, strict=False)),
        "unsure": False,
        "without": False,
        "reason": answer["reason"],
        "dimensions": dimensions,
        "minutes": summary.ratings_by_minute(time, values) if len(time) else [],
        "rows": rows,
        "step": step,
        "frame": f"{frame:g}",
        "csv": data_address(csv_text(rows).encode() if rows else b"", "text/csv"),
        "csv_name": f"{file_name(path.stem)}-ratings.csv",
        "explanation": "Ratings are on the scale of the raters, about -1 to 1. Drag over the chart to zoom; click "
        "anywhere to move there.",
    }


def _lines(time: np.ndarray, values: np.ndarray, dimensions: Sequence[str], frame: float) -> dict[str, Any]:
    starts, means = summary.in_steps(time, values, max(frame, (time[-1] + frame) / _MOST_POINTS))
    colors = [_COLORS[n % len(_COLORS)] for n in range(len(dimensions))]
    found = [summary.plain(means[:, n]) for n in range(len(dimensions))]
    series = [
        {"label": name, "color": color, "dash": _DASHES[n % len(_DASHES)], "y": found[n], "shown": found[n]}
        for n, (name, color) in enumerate(zip(dimensions, colors, strict=True))
    ]
    bound = max(1.0, float(np.abs(means).max()))
    return {
        "title": f"Ratings of {' and '.join(dimensions)} along the recording",
        "stacked": False,
        "height": _HEIGHT,
        "range": [-bound, bound],
        "x": starts.round(3).tolist(),
        "series": series,
    }
