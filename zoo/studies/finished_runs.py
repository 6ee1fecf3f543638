"""Read finished runs for a comparison: configuration, record, and predictions, checked and pooled by speaker."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo import registry
from zoo.errors import UserError
from zoo.metrics import classification, regression
from zoo.metrics.bootstrap import Parts, figures
from zoo.runs.folder import check_holds, read_record, read_rows
from zoo.utils.json_files import parse_json, read_regular

_AGREEMENT = 1e-6  # between a record's figures and those of its predictions
Key = tuple[str, ...]


@dataclass(frozen=True)
class FinishedRun:
    """One run, of classes or of continuous ratings."""

    folder: Path
    settings: Mapping[str, Any]  # empty where they were not read
    record: Mapping[str, Any]
    outputs: tuple[str, ...]  # classes or dimensions
    truth: Mapping[Key, tuple[str, Any]]  # by clip its speaker, and its class or rated frames as bytes
    parts: Parts  # confusion matrix or moments of each speaker, in order of their names
    right: np.ndarray  # which clips, in order of their keys, are classified correctly; empty with ratings

    @property
    def continuous(self) -> bool:
        return "dimensions" in self.record

    @property
    def seed(self) -> int:
        return self.settings.get("seed", 0)


def read_run(folder: Path, with_settings: bool = True, postprocessed: bool = False) -> FinishedRun:
    """Read a finished run's config.json (unless `with_settings` is false), metrics.json and predictions.csv.

    `postprocessed` takes ratings after their post-processing.

    Raises UserError for a folder without a run, a run that is not finished or whose outputs are neither emotions nor
    ratings, files that are absent or damaged, and predictions with other figures than were recorded.
    """
    if not any((folder / name).is_file() for name in ("config.json", "metrics.json")):
        what = "no run is in it (config.json and metrics.json are absent)" if folder.is_dir() else "no such folder"
        raise UserError(f"{folder}: {what}; give a folder that train.py made")
    settings = _settings(folder / "config.json") if with_settings else {}
    record = read_record(folder)
    _check_task(folder, record)
    needed = ["corpus", "protocol", "synthetic", "n_speakers"]
    needed += ["dimensions", "ccc", "n_recordings"] if "dimensions" in record else ["classes", "wa", "ua", "n_clips"]
    check_holds(record, needed, folder / "metrics.json")
    if "dimensions" in record:
        return _continuous(folder, settings, record, "postprocessed_" if postprocessed else "")
    if postprocessed:
        raise UserError(f"--postprocess is for continuous ratings; {folder} classifies emotions. Leave it out")
    return _categorical(folder, settings, record)


def _damaged(path: Path, finding: str, line: int | None = None) -> UserError:
    row = "" if line is None else f", row {line}"
    return UserError(f"{path}{row}: {finding}. Restore it, or train again into another folder")


def _settings(path: Path) -> dict[str, Any]:
    """Read a run's config.json without checking its fields, so that runs of other versions count too."""
    try:
        settings = parse_json(read_regular(path), {"seed": int, "model?": str})
    except (OSError, ValueError) as error:
        expected = "expected the configuration of a run, which shows what runs differ in their seed only"
        raise UserError(f"{path}: {expected} ({error}). Restore it, or take every run by itself: --by-run") from error
    _check_task(path.parent, settings)
    return settings


def _check_task(folder: Path, about: Mapping[str, Any]) -> None:
    """Raise UserError for a model without emotions or ratings; models of other versions may be any."""
    if (model := about.get("model")) in registry.MODELS:
        registry.check_answers(model, folder)


def _rows(folder: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of predictions.csv, with the columns needed."""
    path = folder / "predictions.csv"
    rows = read_rows(folder, needed)
    if not rows:
        raise _damaged(path, "expected predictions, found none")
    for line, row in enumerate(rows, start=2):
        if not (row["clip"] and row["speaker"]):
            raise _damaged(path, "a clip or its speaker has no name", line)
    return rows


def _categorical(folder: Path, settings: Mapping[str, Any], record: Mapping[str, Any]) -> FinishedRun:
    path, classes = folder / "predictions.csv", list(record["classes"])
    by_clip: dict[Key, Mapping[str, str]] = {}
    for line, row in enumerate(_rows(folder, ("corpus", "clip", "speaker", "truth", "prediction")), start=2):
        key = (row["corpus"], row["clip"])
        if key in by_clip:
            raise _damaged(path, f"clip {row['clip']} is there twice", line)
        for column in ("truth", "prediction"):
            if row[column] not in classes:
                found = f"the {column} of {row['clip']} is {row[column]!r}, expected one of {', '.join(classes)}"
                raise _damaged(path, found, line)
        by_clip[key] = row
    ordered = [by_clip[key] for key in sorted(by_clip)]
    labels = ([row[name] for row in ordered] for name in ("truth", "prediction"))
    truth, prediction = (classification.class_indices(names, classes) for names in labels)
    speakers = [row["speaker"] for row in ordered]
    parts = list(classification.speaker_confusions(truth, prediction, speakers, len(classes))[1])
    wa, ua = figures([parts], classification.accuracies)[0]
    recorded = {"n_clips": record["n_clips"], "WA": record["wa"]["value"], "UA": record["ua"]["value"]}
    _check_agreement(folder, recorded, {"n_clips": len(ordered), "WA": wa, "UA": ua})
    counts, matrix = np.sum(parts, axis=0).tolist(), record.get("confusion", [])
    if len(matrix) == len(counts) and matrix != counts:
        what = "its confusion matrix is not that of predictions.csv: classes in another order, or another run's"
        raise _damaged(folder / "metrics.json", what)
    shared = {key: (row["speaker"], row["truth"]) for key, row in by_clip.items()}
    return FinishedRun(folder, settings, record, tuple(classes), shared, parts, truth == prediction)


def _continuous(folder: Path, settings: Mapping[str, Any], record: Mapping[str, Any], prefix: str) -> FinishedRun:
    path, dimensions = folder / "predictions.csv", tuple(record["dimensions"])
    columns = ["time", *(f"truth_{name}" for name in dimensions), *(prefix + name for name in dimensions)]
    rows = _rows(folder, ("corpus", "fold", "clip", "speaker", *columns))
    values = _values(path, rows, columns)
    lines_of: dict[Key, list[int]] = {}
    for line, row in enumerate(rows):
        lines_of.setdefault((row["corpus"], row["fold"], row["clip"]), []).append(line)

    shared: dict[Key, tuple[str, Any]] = {}
    moments: list[regression.Moments] = []
    speakers: list[str] = []
    for key, lines in lines_of.items():
        times, names = values[lines, 0], {rows[line]["speaker"] for line in lines}
        frames = values[[line for line in lines if not math.isnan(values[line, 1])]]
        if len(names) > 1 or not len(frames) or not (np.diff(times) > 0).all():
            expected = f"one speaker, rated frames and rising times of {key[-1]} in fold {key[1]}"
            raise _damaged(path, f"expected {expected}, found otherwise")
        n = 1 + len(dimensions)
        speakers.append(*names)
        shared[key] = (speakers[-1], frames[:, :n].tobytes())
        moments.append(regression.moments(frames[:, 1:n], frames[:, n:]))
    parts = regression.merged_by_speaker(moments, speakers)
    of_kind = record.get("postprocessed", {}) if prefix else record
    check_holds(of_kind, ("ccc",), folder / "metrics.json")
    recorded = {"n_recordings": record["n_recordings"], "CCC": of_kind["ccc"]}
    ccc = figures([parts], regression.concordances)[0, 0]
    _check_agreement(folder, recorded, {"n_recordings": len(shared), "CCC": None if math.isnan(ccc) else ccc})
    return FinishedRun(folder, settings, record, dimensions, shared, parts, np.zeros(0, bool))


def _values(path: Path, rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> np.ndarray:
    """Return the columns of every row as numbers (rows, columns); NaN, except for the time, where nobody rated."""
    values = np.full((len(rows), len(columns)), np.nan)
    for line, row in enumerate(rows):
        for index, name in enumerate(columns if row[columns[1]] else columns[:1]):
            with suppress(ValueError):
                values[line, index] = float(row[name])
            if not math.isfinite(values[line, index]):
                raise _damaged(path, f"{name} is {row[name]!r}, expected a number", line + 2)
    return values


def _check_agreement(folder: Path, recorded: Mapping[str, float | None], found: Mapping[str, float | None]) -> None:
    for name, value in recorded.items():
        other = found[name]
        if value != other and (value is None or other is None or abs(value - other) > _AGREEMENT):
            what = f"metrics.json has {name} {value}, predictions.csv gives {other}: one of them is not of this run"
            raise _damaged(folder, what)
