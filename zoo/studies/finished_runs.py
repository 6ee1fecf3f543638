"""Finished runs as a comparison reads them: configuration, record, and the predictions, checked and summed up."""

import csv
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo import registry
from zoo.errors import UserError
from zoo.metrics import classification, regression, significance
from zoo.runs.folder import read_record, read_rows

_AGREEMENT = 1e-6  # between a record's figures and those of its predictions
_REPAIR = "Restore it, or train again into another folder"
Key = tuple[str, ...]


@dataclass(frozen=True)
class FinishedRun:
    """One run. `outputs` are its classes, or with ratings its dimensions.

    `truth` has what two runs must share to be comparable: by clip, its speaker and its true class, or the times and
    ratings of its rated frames as bytes. `parts` has what figures are pooled from, a part per speaker in order of their
    names: confusion matrices, or moments. `right` says which clips, in order of their keys, have their class; it is
    empty with ratings.
    """

    folder: Path
    settings: Mapping[str, Any] | None
    record: Mapping[str, Any]
    outputs: tuple[str, ...]
    truth: Mapping[Key, tuple[str, Any]]
    parts: Sequence[Any]
    right: np.ndarray

    @property
    def continuous(self) -> bool:
        return "dimensions" in self.record

    @property
    def speakers(self) -> list[str]:
        return sorted({speaker for speaker, _ in self.truth.values()})


def read_run(folder: Path, with_settings: bool = True, postprocessed: bool = False) -> FinishedRun:
    """Reads a finished run's config.json (unless `with_settings` is false), metrics.json and predictions.csv.

    `postprocessed` takes ratings after their post-processing. Raises UserError for a folder that holds no run, a run
    that is not finished or answers with neither emotions nor ratings, files that are absent or damaged, and predictions
    that give other figures than were recorded.
    """
    if not any((folder / name).is_file() for name in ("config.json", "metrics.json")):
        what = "no run is in it (config.json and metrics.json are absent)" if folder.is_dir() else "no such folder"
        raise UserError(f"{folder}: {what}; give a folder that train.py made")
    settings = _settings(folder / "config.json") if with_settings else None
    _check_answers(folder, settings)
    record = read_record(folder)
    _check_answers(folder, record)
    record = _checked_record(folder, record)
    rows = _rows(folder)
    if "dimensions" not in record:
        if postprocessed:
            raise UserError(f"--postprocess is for continuous ratings; {folder} tells classes apart. Leave it out")
        return _emotion(folder, settings, record, rows)
    return _continuous(folder, settings, record, rows, "postprocessed_" if postprocessed else "")


def _settings(path: Path) -> dict[str, Any]:
    """As they were saved: runs of baselines and of other versions count, whatever their fields."""
    try:
        settings = json.loads(path.read_text())
        if not isinstance(settings, dict) or not isinstance(settings.get("seed"), int):
            raise ValueError("no seed in it")
    except OSError as error:
        raise UserError(
            f"{path.parent}: config.json cannot be read ({error.strerror}), so that nothing says which runs differ in "
            "their seed only. Restore it, or take every run by itself with --by-run"
        ) from error
    except ValueError as error:
        raise UserError(
            f"{path}: expected the configuration of a run, found another file ({error}). Restore it, or take every run "
            "by itself with --by-run"
        ) from error
    return settings


def _check_answers(folder: Path, about: Any) -> None:
    """Raises UserError where what a file says is of a network without figures; models of other versions may be any."""
    model = about.get("model") if isinstance(about, dict) else None
    if isinstance(model, str) and model in registry.MODELS:
        registry.check_answers(model, folder)


def _checked_record(folder: Path, record: Any) -> dict[str, Any]:
    needed = ["corpus", "protocol", "synthetic", "n_speakers"]
    found = record if isinstance(record, dict) else {}
    needed += ["dimensions", "ccc", "n_recordings"] if "dimensions" in found else ["classes", "wa", "ua", "n_clips"]
    absent = [name for name in needed if name not in found]
    if absent:
        raise UserError(
            f"{folder / 'metrics.json'}: expected a run's figures, found none of {', '.join(absent)}. {_REPAIR}"
        )
    return found


def _rows(folder: Path) -> list[dict[str, str]]:
    path = folder / "predictions.csv"
    try:
        rows = read_rows(folder)
    except FileNotFoundError as error:
        raise UserError(
            f"{folder}: predictions.csv is absent, which a comparison needs; copy it from the run, or train again"
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error}). {_REPAIR}") from error
    if not rows:
        raise UserError(f"{path}: expected predictions, found none. {_REPAIR}")
    for line, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise UserError(f"{path}, row {line}: expected {len(rows[0])} columns, found more or fewer. {_REPAIR}")
    return rows


def _check_columns(folder: Path, rows: Sequence[Mapping[str, str]], needed: Iterable[str]) -> None:
    absent = [name for name in needed if name not in rows[0]]
    if absent:
        raise UserError(
            f"{folder / 'predictions.csv'}: expected the columns {', '.join(needed)}, found none of "
            f"{', '.join(absent)}. {_REPAIR}"
        )
    for line, row in enumerate(rows, start=2):
        if not (row["clip"] and row["speaker"]):
            raise UserError(f"{folder / 'predictions.csv'}, row {line}: a clip or its speaker has no name. {_REPAIR}")


def _emotion(folder: Path, settings: Any, record: Mapping[str, Any], rows: Sequence[Mapping[str, str]]) -> FinishedRun:
    path, classes = folder / "predictions.csv", list(record["classes"])
    _check_columns(folder, rows, ("corpus", "clip", "speaker", "truth", "prediction"))
    by_clip: dict[Key, Mapping[str, str]] = {}
    for line, row in enumerate(rows, start=2):
        key = (row["corpus"], row["clip"])
        if key in by_clip:
            raise UserError(f"{path}, row {line}: clip {row['clip']} is there twice. {_REPAIR}")
        for column in ("truth", "prediction"):
            if row[column] not in classes:
                raise UserError(
                    f"{path}, row {line}: the {column} of {row['clip']} is {row[column]!r}, expected one of "
                    f"{', '.join(classes)}. {_REPAIR}"
                )
        by_clip[key] = row
    ordered = [by_clip[key] for key in sorted(by_clip)]
    truth, prediction = (
        classification.class_indices([row[name] for row in ordered], classes) for name in ("truth", "prediction")
    )
    speakers = np.array([row["speaker"] for row in ordered])
    parts = [
        classification.confusion_matrix(truth[speakers == name], prediction[speakers == name], len(classes))
        for name in np.unique(speakers)
    ]
    wa, ua = significance.figures([parts], significance.accuracies)[0]
    recorded = {"n_clips": record["n_clips"], "WA": record["wa"]["value"], "UA": record["ua"]["value"]}
    _check_agreement(folder, recorded, {"n_clips": len(ordered), "WA": wa, "UA": ua})
    shared = {key: (row["speaker"], row["truth"]) for key, row in by_clip.items()}
    return FinishedRun(folder, settings, record, tuple(classes), shared, parts, truth == prediction)


def _continuous(
    folder: Path, settings: Any, record: Mapping[str, Any], rows: Sequence[Mapping[str, str]], prefix: str
) -> FinishedRun:
    dimensions = tuple(record["dimensions"])
    columns = [f"truth_{name}" for name in dimensions] + [prefix + name for name in dimensions]
    _check_columns(folder, rows, ("corpus", "fold", "clip", "speaker", "time", *columns))
    values = _values(folder / "predictions.csv", rows, ["time", *columns], lambda row: row[columns[0]] != "")
    lines_of: dict[Key, list[int]] = {}
    for line, row in enumerate(rows):
        lines_of.setdefault((row["corpus"], row["fold"], row["clip"]), []).append(line)

    shared: dict[Key, tuple[str, Any]] = {}
    by_speaker: dict[str, list[regression.Moments]] = {}
    for key, lines in lines_of.items():
        times, speakers = values[lines, 0], {rows[line]["speaker"] for line in lines}
        frames = values[[line for line in lines if not math.isnan(values[line, 1])]]
        if len(speakers) > 1 or not len(frames) or not (np.diff(times) > 0).all():
            raise UserError(
                f"{folder / 'predictions.csv'}: expected one speaker, rated frames and rising times of {key[-1]} in "
                f"fold {key[1]}, found otherwise. {_REPAIR}"
            )
        truth, prediction = frames[:, 1 : 1 + len(dimensions)], frames[:, 1 + len(dimensions) :]
        (speaker,) = speakers
        shared[key] = (speaker, frames[:, : 1 + len(dimensions)].tobytes())
        by_speaker.setdefault(speaker, []).append(regression.moments(truth, prediction))
    parts = [regression.merged(by_speaker[name]) for name in sorted(by_speaker)]
    recorded = (record["postprocessed"] if prefix else record)["ccc"]
    ccc = significance.figures([parts], significance.concordances)[0, 0]
    found = {"n_recordings": len(shared), "CCC": None if math.isnan(ccc) else ccc}
    _check_agreement(folder, {"n_recordings": record["n_recordings"], "CCC": recorded}, found)
    return FinishedRun(folder, settings, record, dimensions, shared, parts, np.zeros(0, bool))


def _values(
    path: Path, rows: Sequence[Mapping[str, str]], columns: Sequence[str], rated: Callable[[Mapping[str, str]], bool]
) -> np.ndarray:
    """The columns of every row as numbers, (rows, columns); NaN, except for the time, where nobody rated."""
    values = np.full((len(rows), len(columns)), np.nan)
    for line, row in enumerate(rows):
        for index, name in enumerate(columns if rated(row) else columns[:1]):
            try:
                values[line, index] = float(row[name])
            except ValueError:
                values[line, index] = math.nan
            if not math.isfinite(values[line, index]):
                raise UserError(f"{path}, row {line + 2}: {name} is {row[name]!r}, expected a number. {_REPAIR}")
    return values


def _check_agreement(folder: Path, recorded: Mapping[str, float | None], found: Mapping[str, float | None]) -> None:
    for name, value in recorded.items():
        other = found[name]
        if value is None and other is None:
            continue
        if value is None or other is None or abs(value - other) > _AGREEMENT:
            raise UserError(
                f"{folder}: metrics.json has {name} {value}, predictions.csv gives {other}: one of them is not of this "
                f"run. {_REPAIR}"
            )
