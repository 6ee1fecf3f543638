"""Collect a run's answers to its validation and test clips, with what measures of confidence take besides."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from zoo.confidence.fitting import Answered
from zoo.data.audio.recording import BadClip
from zoo.data.batches.feature_store import Features
from zoo.data.schema import Clip, Fold
from zoo.data.votes import agreement
from zoo.errors import UserError
from zoo.features import from_config
from zoo.features.extractor import Extractor, of_clip_functionals
from zoo.inference import places
from zoo.inference.categorical import load_classifier, of_features
from zoo.inference.confidence import FUNCTIONALS
from zoo.inference.predictor import READ_AHEAD, Predictor
from zoo.inference.run_predictor import CLIP_SECONDS
from zoo.runs import dataset
from zoo.runs.confidence_file import checksum
from zoo.runs.folder import fold_name, read_rows
from zoo.runs.model_file import load_model
from zoo.runs.open_run import OpenedRun, check_predicts
from zoo.training.tasks import classification
from zoo.utils.atomic_files import read_csv, write_csv
from zoo.utils.progress import Progress

Rows = Sequence[dict[str, str]]


@dataclass(frozen=True)
class FoldAnswers:
    """A fold's answers to clips that it was not trained on. `pool` are probabilities of unlabelled recordings."""

    name: str
    validation: Answered
    test: Answered
    pool: np.ndarray | None = None


def collect(
    run: OpenedRun,
    data_root: str,
    with_functionals: bool,
    progress: Progress,
    pool: Path | None = None,
    only: Sequence[str] = (),
) -> list[FoldAnswers]:
    """Return the answers of each fold of a finished run, or of those named in `only`.

    Those to validation clips are made by the saved models and kept in the fold's folder, validation-CHECKSUM.csv; those
    to test clips are the recorded ones. Raises UserError for a run of ratings, one without validation clips that it was
    not fitted on, or a corpus that is not there.
    """
    if run.entry.task != "emotion":
        raise UserError(f"{run.folder} predicts no classes; confidence is for classifications. Give a run of emotions")
    check_predicts(run.settings, run.folder)
    if run.settings.refit:
        raise UserError(
            f"{run.folder} was fitted on its validation clips too (--refit), so that none are left to fit confidence "
            "on; train without --refit"
        )
    source = dataset.of_run(run, data_root)
    folds = {fold.name: fold for fold in source.folds}
    folders = [folder for folder in run.fold_folders if not only or fold_name(folder) in only]
    chosen = [folds[fold_name(folder)] for folder in folders]
    if absent := set(only) - {fold.name for fold in chosen}:
        raise UserError(f"{run.folder}: expected a run with fold {min(absent)}, found none; give one of the same folds")
    for fold in chosen:
        if not fold.validation:
            raise UserError(f"{run.folder}: fold {fold.name} has no validation clips, on which confidence is fitted")
        if not fold.test:
            raise UserError(f"{run.folder}: fold {fold.name} has no test clips, on which confidence is judged")
    vectors = _functionals(run, chosen, progress) if with_functionals else None
    answers = []
    for folder, fold in zip(folders, chosen, strict=True):
        validation = _answered(validation_rows(run, folder, fold.validation, progress), fold.validation, run, vectors)
        test = _answered(recorded_rows(run, folder), fold.test, run, vectors)
        found = FoldAnswers(fold.name, validation, test)
        answers.append(replace(found, pool=_pool(run, fold.name, pool, progress)) if pool else found)
    return answers


def validation_rows(run: OpenedRun, folder: Path, clips: Sequence[Clip], progress: Progress) -> Rows:
    """Return a fold's predictions of its validation clips, made once for a model.

    Where openSMILE computes the features, which takes longest, those that training kept are taken.
    """
    path = folder / f"validation-{checksum(folder)[:8]}.csv"
    if path.is_file():
        return read_csv(path)
    what = f"fold {fold_name(folder)}, validation clips"
    rows: list[dict[str, str]] = []
    if not run.entry.takes_waveforms:
        rows = _rows_by_features(run, folder, clips, progress, what)
    with progress.task(what, len(clips)) as advance:
        for start in range(len(rows), len(clips), READ_AHEAD):
            some = clips[start : start + READ_AHEAD]
            rows += classification.test_rows(folder, some, run.protocol, run.corpus, run.settings)
            advance(len(rows))
    write_csv(path, rows)
    return rows


def _rows_by_features(
    run: OpenedRun, folder: Path, clips: Sequence[Clip], progress: Progress, what: str
) -> list[dict[str, str]]:
    """Return the rows that the model of a fold gives to features in the cache, as `classification.test_rows` does."""
    classes = run.protocol.classes
    model = load_model(folder / "model.keras", False, classes)
    features = _features(run, from_config.extractor(run.settings), clips, progress, what)

    outputs = of_features(model)([features[clip.name].read() for clip in clips])
    return [
        {"clip": clip.name, "speaker": clip.speaker, "truth": clip.label}
        | {f"p_{name}": f"{value:.6f}" for name, value in zip(classes, output, strict=True)}
        for clip, output in zip(clips, outputs, strict=True)
    ]


def recorded_rows(run: OpenedRun, folder: Path) -> Rows:
    """Return a fold's recorded predictions of its test clips."""
    return read_rows(folder, ("clip", "speaker", "truth"), [f"p_{name}" for name in run.protocol.classes])


def _answered(rows: Rows, clips: Sequence[Clip], run: OpenedRun, vectors: dict[str, np.ndarray] | None) -> Answered:
    classes, by_name = run.protocol.classes, {clip.name: clip for clip in clips}
    for row in rows:
        known = by_name.get(row["clip"])
        if known is None or row["truth"] != known.label:
            raise UserError(
                f"{run.folder}: expected predictions of the clips of {run.protocol.name}, found {row['clip']!r:.80} of "
                f"class {row['truth']!r:.80}. Restore the run's files, or name the corpus with --data-root"
            )
    names = tuple(row["clip"] for row in rows)
    agreements = [agreement(by_name[name]) for name in names]
    return Answered(
        names,
        tuple(row["speaker"] for row in rows),
        np.array([classes.index(row["truth"]) for row in rows], int),
        np.array([[float(row[f"p_{name}"]) for name in classes] for row in rows]),
        np.stack([vectors[name] for name in names]) if vectors else None,
        None if None in agreements else np.array(agreements, float),
    )


def _functionals(run: OpenedRun, folds: Sequence[Fold], progress: Progress) -> dict[str, np.ndarray]:
    """Return eGeMAPS's functionals (88,) of all validation and test clips, by name; kept in the feature cache."""
    clips = list({clip.name: clip for fold in folds for clip in (*fold.validation, *fold.test)}.values())
    found = _features(run, of_clip_functionals(*FUNCTIONALS), clips, progress, "functionals")
    return {name: features.read()[0] for name, features in found.items()}


def _features(
    run: OpenedRun, extractor: Extractor, clips: Sequence[Clip], progress: Progress, what: str
) -> dict[str, Features]:
    """Return clips' features by name, from the feature cache or into it."""
    with progress.task(what, len(clips)) as advance:
        found, _ = from_config.features_of(run.settings, extractor, clips, advance)
    return found


def _pool(run: OpenedRun, fold: str, folder: Path, progress: Progress) -> np.ndarray:
    """Return a fold's probabilities (m, classes) of the recordings in a folder; those that it cannot use are named."""
    classifier = load_classifier(run.folder / f"fold-{fold}", run.settings)
    limits = classifier.rate_hz, classifier.min_seconds, CLIP_SECONDS
    predictor = Predictor(run.outputs, run.corpus, *limits, classifier.probabilities)
    on_bad: Callable[[BadClip], None] = lambda error: progress.line(f"left out: {error}")  # noqa: E731
    shares = []
    with places.found([str(folder)]) as found, progress.task(f"fold {fold}, --pool", len(found.files)) as advance:
        for row in predictor.predict(found.files, on_bad):
            if row["reason"] is None:
                shares.append([row["probabilities"][name] for name in run.protocol.classes])
            advance(len(shares))
    if not shares:
        raise UserError(f"--pool {folder}: expected recordings of speech, found none that can be used")
    return np.array(shares)
