"""Distil other models: find the teachers of each fold, check what they have seen, and keep their probabilities.

Hinton, Vinyals, Dean: "Distilling the Knowledge in a Neural Network", NIPS 2014 workshop. The loss is
zoo.losses_auxiliary.distillation; of several teachers the mean of their probabilities is learnt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from zoo.config.run_config import RunConfig
from zoo.data.corpora import label_maps
from zoo.data.schema import Clip, Fold
from zoo.errors import UserError
from zoo.features.extractor import Extractor
from zoo.inference.open_predictor import open_predictor
from zoo.inference.predictor import checked, in_turn, read_all
from zoo.runs.dataset import Source
from zoo.runs.folder import fold_name
from zoo.runs.open_run import check_predicts, open_run
from zoo.serving.description import read_description
from zoo.serving.versions import version_folder
from zoo.training import initial_model, seen_before
from zoo.training.seen_before import Seen
from zoo.utils.atomic_files import read_csv, write_csv
from zoo.utils.progress import Progress

FILE = "teacher.csv"  # in a run's folder: a row for each training clip of each fold
_LEAST = 1e-7  # probability, as the loss clips it

Probabilities = Mapping[str, Mapping[str, np.ndarray]]  # (classes,) by the fold's and the clip's name


@dataclass(frozen=True)
class Teacher:
    """A run's fold (`fold` is its number), or an export: which `columns` of its output are ours, and what it has seen.

    `about` is what records say of it, with the SHA-256 of its weights.
    """

    place: Path
    fold: str | None
    columns: tuple[int, ...]
    about: Mapping[str, Any]
    seen: tuple[Seen, ...]

    @property
    def exported(self) -> bool:
        """Whether it is an export."""
        return self.about["kind"] == "export"


Teachers = Mapping[str, Sequence[Teacher]]  # by the fold's name


def opened(config: RunConfig, source: Source) -> Teachers:
    """Return the teachers of each fold; none without --teacher.

    Raises UserError for what is neither a finished run of emotions nor an export of one, for one that lacks a class,
    and for a run of several folds without one of the same number.
    """
    places = [Path(place) for place in config.teacher.split(",")] if config.teacher else []
    return {fold.name: [_open(place, config, source, fold) for place in places] for fold in source.folds if places}


def audit(
    teachers: Teachers,
    source: Source,
    audio_sha256: Mapping[str, str],
    extractor: Extractor | None,
    config: RunConfig,
) -> list[str]:
    """Return what a result says of speakers and recordings that it tests or validates on, and that teachers have seen.

    Those of the test side must be strange to a teacher, and those of the validation side not among what it was trained
    on; its own epoch may be chosen by the same ones. Where the protocol itself has speakers on both sides, recordings
    alone count. Raises UserError for any unless leakage is allowed.
    """
    found = []
    for fold in source.folds:
        for teacher in teachers.get(fold.name, ()):
            said = []
            for seen in teacher.seen:
                for side, known in (("test", seen), ("validation", seen_before.trained_on(seen, config))):
                    if source.protocol.speaker_independent:
                        said += seen_before.same_speakers(known, fold, config, side)
                    if extractor:
                        said += seen_before.same_audio(known, fold, audio_sha256, extractor, config, side)
            findings = [f"Fold {fold.name}: {one}" for one in dict.fromkeys(said)]
            found += seen_before.refuse(findings, config, "--teacher", str(teacher.place))
    return found


def about(teachers: Teachers) -> list[dict[str, Any]]:
    """Return what a run's records say of its teachers."""
    found = []
    for fold, several in teachers.items():
        for teacher in several:
            speakers: dict[str, list[str]] = {}
            for seen in teacher.seen:
                for corpus, names in seen.speakers.items():
                    speakers[corpus] = sorted({*speakers.get(corpus, ()), *names})
            said = {name: value for name, value in teacher.about.items() if name != "before"}
            reasons = dict.fromkeys(seen.reason for seen in teacher.seen if seen.reason)
            unchecked = {"not_checked": "; ".join(reasons)} if reasons else {}
            found.append({**said, "for_fold": fold, "seen_speakers": speakers, **unchecked})
    return found


def learn_from(
    folder: Path, teachers: Teachers, source: Source, config: RunConfig, progress: Progress
) -> tuple[Probabilities, dict[str, str]]:
    """Return the teachers' mean probabilities of every fold's training clips, and their hash for data.json.

    They are computed once and kept in the run's `folder`. Raises UserError for a file that cannot be read, BadClip for
    a recording that a teacher gives nothing for.
    """
    if not teachers:
        return {}, {}
    path, classes = folder / FILE, source.protocol.classes
    if not path.is_file():
        write_csv(path, _rows(teachers, source, config, progress))
    found: dict[str, dict[str, np.ndarray]] = {fold.name: {} for fold in source.folds}
    try:
        for row in read_csv(path):
            found[row["fold"]][row["clip"]] = np.array([float(row[f"p_{name}"]) for name in classes], np.float32)
        for fold in source.folds:
            found[fold.name] = {clip.name: found[fold.name][clip.name] for clip in fold.train}
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: expected the teachers' probabilities of this run's clips, found others ({error!r:.100}). Delete "
            "it and add --resume, or train into another folder"
        ) from error
    return found, hashes(folder, teachers)


def hashes(folder: Path, teachers: Teachers) -> dict[str, str]:
    """Return the SHA-256 of the teachers' weights and of their probabilities, as they are now; nothing without any."""
    if not teachers:
        return {}
    weights = [teacher.about["sha256"] for several in teachers.values() for teacher in several]
    return {"teacher_sha256": sha256("".join(weights).encode() + (folder / FILE).read_bytes()).hexdigest()}


def _open(place: Path, config: RunConfig, source: Source, fold: Fold) -> Teacher:
    if (place / "config.json").is_file():
        return _of_run(place, config, source, fold)
    if version := version_folder(place):
        return _of_export(version, config, source)
    what = "a file" if place.is_file() else "a folder without one" if place.is_dir() else "nothing"
    raise UserError(
        f"--teacher {place}: expected a finished run or an export, found {what}. Give the folder that train.py or "
        "export.py wrote"
    )


def _of_run(place: Path, config: RunConfig, source: Source, fold: Fold) -> Teacher:
    run = open_run(place)
    check_predicts(run.settings, place)
    columns = _columns(place, run.protocol.classes, source.protocol.classes)
    by_number = {fold_name(folder).split("-")[0]: folder for folder in run.fold_folders}
    number = fold.name.split("-")[0]
    if number not in by_number and len(by_number) > 1:
        raise UserError(
            f"--teacher {place} has the folds {', '.join(by_number)} and none of the number {number}. Give --fold as "
            "the teacher had it, or a teacher of one fold"
        )
    chosen = number if number in by_number else next(iter(by_number))
    path = by_number[chosen] / "model.keras"
    if not path.is_file():
        raise UserError(f"{path}: no trained model is there; train --teacher {place} to the end first")
    digest = sha256(path.read_bytes()).hexdigest()
    said = initial_model.about_model("run", place.name, digest, run.real_corpus, run.record["synthetic"])
    said |= {"model": run.settings.model, "protocol": run.record["protocol"], "fold": fold_name(by_number[chosen])}
    said |= {"before": seen_before.ancestors(run.record)}
    return Teacher(place, chosen, columns, said, (seen_before.of(said, config, run.settings),))


def _of_export(version: Path, config: RunConfig, source: Source) -> Teacher:
    """Return an export as a teacher: the mean of all its folds, which together have seen what each of them has."""
    description = read_description(version)
    columns = _columns(version, description.get("classes", ()), source.protocol.classes)
    corpus, digest = description["trained_on"].removeprefix("synthetic "), description["files"][initial_model.VARIABLES]
    said = initial_model.about_model("export", version.parent.name, digest, corpus, bool(description.get("synthetic")))
    folds = description.get("folds") or ["0"]
    said |= {"model": description["model"], "protocol": description.get("protocol", ""), "fold": ", ".join(folds)}
    said |= {"before": seen_before.ancestors(description)}
    seen = tuple(seen_before.of({**said, "fold": fold}, config, None) for fold in folds)
    return Teacher(version, None, columns, said, seen)


def _columns(place: Path, known: Sequence[str], classes: Sequence[str]) -> tuple[int, ...]:
    """Return which column of a teacher's output each of `classes` is. Anger and angry are one class."""
    theirs = label_maps.common(known)
    absent = [name for name in classes if label_maps.common([name])[0] not in theirs]
    if absent:
        raise UserError(
            f"--teacher {place}: expected probabilities of {', '.join(classes)}, found none of {', '.join(absent)} "
            f"(it has {', '.join(known) or 'no classes'}). Give a model of these classes, or fewer --classes"
        )
    return tuple(theirs.index(name) for name in label_maps.common(classes))


def _rows(teachers: Teachers, source: Source, config: RunConfig, progress: Progress) -> list[dict[str, Any]]:
    """Compute the teachers' mean probabilities. A teacher of several folds answers once for each clip."""
    wanted: dict[tuple[Path, str | None], dict[str, Clip]] = {}
    for fold in source.folds:
        for teacher in teachers[fold.name]:
            wanted.setdefault((teacher.place, teacher.fold), {}).update({clip.name: clip for clip in fold.train})
    by_key = {(one.place, one.fold): one for several in teachers.values() for one in several}
    found: dict[tuple[Path, str | None], dict[str, np.ndarray]] = {}
    with progress.task("teachers' probabilities", sum(map(len, wanted.values()))) as advance:
        for key, clips in wanted.items():
            found[key] = _of_teacher(by_key[key], list(clips.values()), config)
            advance(sum(map(len, found.values())))
    rows = []
    for fold in source.folds:
        several = [found[one.place, one.fold] for one in teachers[fold.name]]
        for clip in fold.train:
            shares = np.mean([one[clip.name] for one in several], axis=0)
            columns = zip(source.protocol.classes, shares, strict=True)
            rows.append({"fold": fold.name, "clip": clip.name, **{f"p_{name}": f"{p:.8g}" for name, p in columns}})
    return rows


def _of_teacher(teacher: Teacher, clips: Sequence[Clip], config: RunConfig) -> dict[str, np.ndarray]:
    """Return a teacher's probabilities of our classes by clip; what it gives to others of its classes is left out."""
    predictor = open_predictor(teacher.place, teacher.exported, teacher.fold)
    found = {}
    for some in in_turn(clips):
        waveforms = read_all(some, predictor.rate_hz, predictor.min_seconds, config.max_clip_seconds)
        for clip, output in zip(some, predictor.predict_waveforms(waveforms), strict=True):
            shares = checked(output, (None,), clip.path).astype(np.float64)[list(teacher.columns)]
            shares = np.maximum(shares, _LEAST)
            found[clip.name] = shares / shares.sum()
    return found
