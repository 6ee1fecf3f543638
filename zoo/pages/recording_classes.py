"""Show the emotions of a recording, window by window: segments, stacked probabilities, summaries, table and CSV."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.audio.recording import WITHOUT_SPEECH, BadClip
from zoo.inference.rows import MIX, flat_quality
from zoo.pages import summary
from zoo.pages.audio_views import FileView
from zoo.pages.embedded_audio import data_address
from zoo.pages.page import clock, colors_of
from zoo.pretrained import Pretrained
from zoo.utils.atomic_files import csv_text
from zoo.utils.text import file_name

_HEIGHT = 190  # of a chart, pixels

Row = Mapping[str, Any]


def channel_names(n: int) -> list[str]:
    """Return what a page calls the channels of a file."""
    if n <= 2:
        return ["Sound"] if n == 1 else ["Left", "Right"]
    return [f"Channel {number + 1}" for number in range(n)]


def _name_of(channel: int | str, n_channels: int) -> str:
    if channel == MIX:
        return "Sound" if n_channels == 1 else "Mix"
    return channel_names(n_channels)[int(channel)]


def shown(model: Pretrained, path: Path, pictures: FileView, channels: str) -> dict[str, Any]:
    """Return the values of the template for a model of classes, and what else `page` takes."""
    rows, without = _rows(model, path, channels)
    n_channels = len(pictures.channels)
    colors, speakers = colors_of(list(model.outputs)), any(row.get("speaker") for row in rows)
    names = summary.answers(rows, model.outputs)
    lanes = _lanes(rows, n_channels, pictures.seconds)

    def group_of(row: Row) -> str:
        return row["speaker"] or "unknown" if speakers else _name_of(row["channel"], n_channels)

    return {
        "template": "classes.html",
        "warnings": _warnings(rows, without),
        "places": [[row["start"], row["end"]] for row in rows],
        "charts": [
            _stacked(lane["name"], lane["rows"], colors)
            for lane in lanes
            if any(row["emotion"] for row in lane["rows"])
        ],
        "lanes": lanes,
        "colors": colors,
        "unsure": any(row["abstained"] for row in rows),
        "without": any(row["emotion"] is None for row in rows),
        "speakers": speakers,
        "answers": names,
        "groups": summary.by_group(rows, group_of, names),
        "minutes": summary.by_minute(rows, pictures.seconds, names),
        "rows": [_table_row(row, n_channels) for row in rows],
        "csv": _csv(rows),
        "csv_name": f"{file_name(path.stem)}-emotion.csv",
        "explanation": "Each segment has the colour of its likeliest emotion; below, all probabilities, stacked. "
        "Drag over the chart to zoom; click anywhere to move there, on a segment to play it.",
    }


def _rows(model: Pretrained, path: Path, channels: str) -> tuple[Sequence[Row], str]:
    """Return the rows of a recording, and why there are none, "" where there are."""
    try:
        return model.segments(path, channels=channels), ""
    except BadClip as error:
        if error.kind not in WITHOUT_SPEECH:
            raise
        return [], error.found


def _lanes(rows: Sequence[Row], n_channels: int, seconds: float) -> list[dict[str, Any]]:
    """Return the segments of each channel, in order of the channels."""
    lanes: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(rows):
        name = _name_of(row["channel"], n_channels)
        lane = lanes.setdefault(name, {"name": name if n_channels > 1 else "Emotion", "segments": [], "rows": []})
        lane["segments"].append(_segment(number, row, seconds))
        lane["rows"].append(row)
    return [lanes[name] for name in sorted(lanes)]  # "Channel 1", "Channel 2"; "Left", "Right"


def _warnings(rows: Sequence[Row], without: str) -> list[str]:
    """Return why there is no emotion, what holds for the sound of all segments, and that some have remarks."""
    reasons = without or "; ".join(dict.fromkeys(row["reason"] for row in rows if row["reason"]))
    why = f": {reasons}" if reasons else ""
    nothing = [] if any(row["emotion"] for row in rows) else [f"No emotion was found in this recording{why}."]
    every = [row["quality"]["notes"] for row in rows]
    shared = [note for note in every[0] if all(note in notes for notes in every)] if every else []
    remarked = sum(bool(set(notes) - set(shared)) for notes in every)
    some = f"The table has remarks on the sound of {remarked} of the {len(rows)} segments." if remarked else ""
    return [*nothing, *shared, *([some] if some else [])]


def _segment(number: int, row: Row, seconds: float) -> dict[str, Any]:
    emotion, place = row["emotion"], f"{clock(row['start'])} to {clock(row['end'])}"
    said = "no emotion" if emotion is None else f"{emotion}, {100 * row['probabilities'][emotion]:.0f} %"
    unsure = f", abstained at confidence {100 * row['confidence']:.0f} %" if row["abstained"] else ""
    return {
        "number": number,
        "emotion": emotion,
        "abstained": row["abstained"],
        "label": emotion or "no emotion",
        "title": f"{place}: {said}{unsure}{', ' + row['reason'] if row['reason'] else ''}",
        "left": f"{100 * row['start'] / seconds:.4f}",
        "width": f"{100 * (row['end'] - row['start']) / seconds:.4f}",
    }


def _stacked(name: str, rows: Sequence[Row], colors: Mapping[str, str]) -> dict[str, Any]:
    """Return the chart of a channel's probabilities, one above the other: the highest sum is drawn first."""
    x: list[float] = []
    shown: dict[str, list[float | None]] = {emotion: [] for emotion in colors}
    for row, behind in zip(rows, [*rows[1:], None], strict=True):
        gap = behind is None or behind["start"] > row["end"] + 0.01
        x += [row["start"], row["end"] - 1e-3, *([row["end"]] if gap else [])]
        for emotion, values in shown.items():
            share = row["probabilities"][emotion]
            values += [share, share, *([None] if gap else [])]
    sums = np.cumsum([[np.nan if one is None else one for one in values] for values in shown.values()], axis=0)
    series = [
        {"label": emotion, "color": color, "dash": None, "y": summary.plain(sums[n]), "shown": list(shown[emotion])}
        for n, (emotion, color) in enumerate(colors.items())
    ]
    title = f"Probabilities of emotions along the recording, {name}; the table of segments below has the likeliest"
    return {
        "title": title,
        "stacked": True,
        "height": _HEIGHT,
        "range": [0, 1],
        "x": [round(one, 3) for one in x],
        "series": series[::-1],
    }


def _table_row(row: Row, n_channels: int) -> dict[str, Any]:
    level = row["quality"]["level_dbfs"]
    remarks = " ".join([*([row["reason"]] if row["reason"] else []), *row["quality"]["notes"]])
    likeliest = None if row["emotion"] is None else row["probabilities"][row["emotion"]]
    name = _name_of(row["channel"], n_channels)
    return {**row, "probability": likeliest, "level": level, "remarks": remarks, "channel_name": name}


def _csv(rows: Sequence[Row]) -> str:
    flat = []
    for row in rows:
        cells: dict[str, Any] = {}
        for name, value in row.items():
            if name == "probabilities":
                cells |= {f"p_{label}": share for label, share in value.items()}
            elif name == "quality":
                cells |= flat_quality(value)
            else:
                cells[name] = value
        flat.append(cells)
    return data_address(csv_text(flat).encode() if flat else b"", "text/csv")
