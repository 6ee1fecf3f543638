"""Make the page of a recording: pictures, emotion along it, a player, summaries, a table, and the model's card."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import UserError
from zoo.pages import summary
from zoo.pages.audio_views import FileView, top_hz, view
from zoo.pages.embedded_audio import data_address, mp3
from zoo.pages.model_facts import model_facts
from zoo.pages.page import clock, colors_of, render
from zoo.pretrained import Pretrained
from zoo.utils.atomic_files import csv_text
from zoo.utils.text import file_name
from zoo.version import __version__

EMBEDDED_SECONDS = 3600.0  # the longest recording that is put into its page unasked: 24 MB of it
AUDIO = ("auto", "embed", "none")
_PER_SECOND, _MOST_PEAKS, _MOST_COLUMNS, _ROWS = 50, 40_000, 4096, 128  # of pictures
_WAVE_HEIGHT, _CHART_HEIGHT = 72, 190  # pixels
_MOST_POINTS, _MOST_STEPS = 6_000, 2_000  # of a chart of ratings, of their table
_SCRIPTS = ("vendor/wavesurfer.min.js", "vendor/uPlot.iife.min.js", "templates/recording.js")
_DASHES: tuple[list[int] | None, ...] = (None, [8, 4], [2, 3])  # lines differ in more than colour
_RATED = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")

Row = dict[str, Any]


def page(model: Pretrained, path: Path, channels: str = "mix", audio: str = "auto") -> str:
    """Return the page of a recording. `channels` is as in `segments`, `audio` one of `AUDIO`.

    Raises BadClip for a file that cannot be used.
    """
    pictures = _pictures(path)
    embedded = audio == "embed" or (audio == "auto" and pictures.seconds <= EMBEDDED_SECONDS)
    continuous = model.description["task"] == "continuous"
    shown = _ratings(model, path, pictures) if continuous else _classes(model, path, pictures, channels)
    sound = data_address(mp3(path, stereo=channels == "split"), "audio/mpeg") if embedded else ""
    warnings = shown.pop("warnings")
    if not embedded and audio == "auto":
        longest = f"{EMBEDDED_SECONDS / 60:.0f} minutes"
        warnings.append(
            f"The sound is left out, since the recording is longer than {longest}; --audio embed puts it in."
        )
    if model.description.get("synthetic"):
        warnings.append("The model was trained on synthetic speech: its answers show how the page works, nothing more.")
    names = _channel_names(len(pictures.channels))
    facts, notes, card = model_facts(model)
    data = {
        "seconds": pictures.seconds,
        "waveHeight": _WAVE_HEIGHT,
        **_waves(pictures),
        "segments": shown.pop("places"),
        "charts": shown["charts"],
    }
    return render(
        shown.pop("template"),
        _SCRIPTS,
        data,
        name=path.name,
        about=_about(path, pictures, facts),
        warnings=warnings,
        audio=sound,
        view=pictures,
        top=f"{top_hz(pictures.rate_hz) / 1000:g} kHz",
        channel_names=names,
        wave_height=_WAVE_HEIGHT,
        spectrograms=[data_address(one.spectrogram, "image/png") for one in pictures.channels],
        model_facts=facts,
        model_notes=notes,
        card=card,
        version=__version__,
        made=_today(),
        **shown,
    )


def _pictures(path: Path) -> FileView:
    from zoo.data.audio.blocks import seconds_of

    wanted = round(_PER_SECOND * seconds_of(path))
    return view(path, max(200, min(_MOST_PEAKS, wanted)), max(200, min(_MOST_COLUMNS, wanted)), _ROWS)


def _waves(pictures: FileView) -> dict[str, Any]:
    """Return each channel's peaks as bytes of 1/255 of full scale, base64, and the loudest of all."""
    loudest = np.array([np.abs(one.peaks).max(axis=1).clip(0, 1) for one in pictures.channels])
    peaks = [base64.b64encode(np.rint(255 * one).astype(np.uint8).tobytes()).decode() for one in loudest]
    return {"peaks": peaks, "loudest": max(float(loudest.max(initial=0)), 1 / 255)}


def _about(path: Path, pictures: FileView, facts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    n = len(pictures.channels)
    of_model = [pair for pair in facts if pair[0] in ("Model", "Trained on", "Model's date")]
    return [
        ("Length", clock(pictures.seconds)),
        ("Sound", f"{n} channel{'s' * (n > 1)} at {pictures.rate_hz} Hz"),
        *of_model,
        ("File's date", datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).date().isoformat()),
    ]


def _channel_names(n: int) -> list[str]:
    if n <= 2:
        return ["Sound"] if n == 1 else ["Left", "Right"]
    return [f"Channel {number + 1}" for number in range(n)]


def _name_of(channel: int | str, n_channels: int) -> str:
    if channel == "mix":
        return "Sound" if n_channels == 1 else "Mix"
    return _channel_names(n_channels)[int(channel)]


def _classes(model: Pretrained, path: Path, pictures: FileView, channels: str) -> dict[str, Any]:
    """Return the values of the template for a model of classes, and what else `page` takes."""
    rows, n_channels = model.segments(path, channels=channels), len(pictures.channels)
    colors, speakers = colors_of(list(model.outputs)), any(row.get("speaker") for row in rows)
    names = summary.answers(rows, model.outputs)
    lanes: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(rows):
        name = _name_of(row["channel"], n_channels)
        lane = lanes.setdefault(name, {"name": name if n_channels > 1 else "Emotion", "segments": [], "rows": []})
        lane["segments"].append(_segment(number, row, pictures.seconds))
        lane["rows"].append(row)
    group = (lambda row: row["speaker"] or "unknown") if speakers else lambda row: _name_of(row["channel"], n_channels)
    warnings = [
        *(["No speech was found in this recording."] if not any(row["emotion"] for row in rows) else []),
        *dict.fromkeys(note for row in rows for note in row["quality"]["notes"]),
    ]
    if n_channels > 1 and channels == "mix" and rows:
        warnings.append(
            f"Its {n_channels} channels were mixed for the model; --channels split gives each its own rows."
        )
    return {
        "template": "classes.html",
        "warnings": warnings,
        "places": [[row["start"], row["end"]] for row in rows],
        "charts": [_stacked(lane["name"], lane["rows"], colors) for lane in lanes.values()],
        "lanes": list(lanes.values()),
        "colors": colors,
        "unsure": any(row["abstained"] for row in rows),
        "without": any(row["emotion"] is None for row in rows),
        "speakers": speakers,
        "answers": names,
        "groups": summary.by_group(rows, group, names),
        "minutes": summary.by_minute(rows, pictures.seconds, names),
        "rows": [_table_row(row, n_channels) for row in rows],
        "csv": _csv(rows),
        "csv_name": f"{file_name(path.stem)}-emotion.csv",
        "explanation": "Each segment has the colour of its likeliest emotion; below, all probabilities, stacked. "
        " Drag over the chart to zoom; click anywhere to move there, on a segment to play it.",
    }


def _segment(number: int, row: Row, seconds: float) -> dict[str, Any]:
    emotion, place = row["emotion"], f"{clock(row['start'])} to {clock(row['end'])}"
    said = "no emotion" if emotion is None else f"{emotion}, {100 * row['probabilities'][emotion]:.0f} %"
    unsure = f", abstained at confidence {100 * row['confidence']:.0f} %" if row["abstained"] else ""
    return {
        "number": number,
        "emotion": emotion,
        "abstained": row["abstained"],
        "label": emotion or "–",
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
        {"label": emotion, "color": color, "dash": None, "y": _plain(sums[n]), "shown": list(shown[emotion])}
        for n, (emotion, color) in enumerate(colors.items())
    ]
    title = f"Probabilities of emotions along the recording, {name}; the table of segments below has the likeliest"
    return {
        "title": title,
        "stacked": True,
        "height": _CHART_HEIGHT,
        "range": [0, 1],
        "x": [round(one, 3) for one in x],
        "series": series[::-1],
    }


def _table_row(row: Row, n_channels: int) -> Row:
    level = row["quality"]["level_dbfs"]
    remarks = "; ".join([*([row["reason"]] if row["reason"] else []), *row["quality"]["notes"]])
    likeliest = None if row["emotion"] is None else row["probabilities"][row["emotion"]]
    name = _name_of(row["channel"], n_channels)
    return {**row, "probability": likeliest, "level": level, "remarks": remarks, "channel_name": name}


def _csv(rows: Sequence[Row]) -> str:
    flat = []
    for row in rows:
        cells: Row = {}
        for name, value in row.items():
            if name == "probabilities":
                cells |= {f"p_{label}": share for label, share in value.items()}
            elif name == "quality":
                cells |= {key: "; ".join(one) if isinstance(one, list) else one for key, one in value.items()}
            else:
                cells[name] = value
        flat.append(cells)
    return data_address(csv_text(flat).encode() if flat else b"", "text/csv")


def _ratings(model: Pretrained, path: Path, pictures: FileView) -> dict[str, Any]:
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
        "colors": dict(zip(dimensions, _RATED, strict=False)),
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
    colors = [_RATED[n % len(_RATED)] for n in range(len(dimensions))]
    found = [_plain(means[:, n]) for n in range(len(dimensions))]
    series = [
        {"label": name, "color": color, "dash": _DASHES[n % len(_DASHES)], "y": found[n], "shown": found[n]}
        for n, (name, color) in enumerate(zip(dimensions, colors, strict=True))
    ]
    bound = max(1.0, float(np.abs(means).max()))
    return {
        "title": f"Ratings of {' and '.join(dimensions)} along the recording",
        "stacked": False,
        "height": 240,
        "range": [-bound, bound],
        "x": starts.round(3).tolist(),
        "series": series,
    }


def _plain(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(one) else round(float(one), 4) for one in values]


def _today() -> str:
    return datetime.now(timezone.utc).date().isoformat()


def check_audio(audio: str) -> None:
    """Raise UserError for another value than those of `AUDIO`."""
    if audio not in AUDIO:
        raise UserError(f"--audio is {audio!r}, expected one of {', '.join(AUDIO)}")
