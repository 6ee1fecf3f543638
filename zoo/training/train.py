"""Train and test every fold of a configuration, and write a run folder with models, predictions and figures."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo import registry
from zoo.config import saved as config_saved
from zoo.config import validation
from zoo.config.run_config import RunConfig
from zoo.data.batches.feature_store import Features, extract
from zoo.data.schema import Clip, Fold
from zoo.errors import UserError
from zoo.features import augmented_copies, from_config, speaker_normalization
from zoo.features.extractor import Extractor
from zoo.runs import upstream_runs
from zoo.runs.dataset import Source, audit_folds, drop_clips, fingerprint, open_source, resolve
from zoo.runs.folder import corpus_name, fold_folder, read_record, read_rows
from zoo.runs.lock import alone_in
from zoo.training import checkpoint, evaluate, fit_linear
from zoo.training.fit import fit, kept_epoch
from zoo.training.tasks import base as tasks
from zoo.training.tasks.base import FoldData
from zoo.utils.atomic_files import write_json
from zoo.utils.progress import Progress

# Hashes in data.json, and what they cover.
_DATA = {
    "data_sha256": "clips, labels or folds",
    "noise_sha256": "recordings of noise",
    "responses_sha256": "impulse responses",
    "copies_sha256": "ways of altering copies",
    "from_run_sha256": "networks of --from-run",
    "enhancer_sha256": "models of --enhancer",
    "weights_sha256": "weights of --weights",
}
RANDOM_WEIGHTS = "--weights random: features of an untrained network, no baseline to be reported"


@dataclass(frozen=True)
class Run:
    """What the folds of a run share.

    `features` are those of every clip, `versions` those of altered copies of training clips, by the clip's name;
    `facts` go into every metrics.json.
    """

    folder: Path
    config: RunConfig
    source: Source
    features: Mapping[str, Features]
    versions: Mapping[str, tuple[Features, ...]]
    facts: Mapping[str, Any]

    def title(self, fold: str = "") -> str:
        """Return the title of every figure and table of the run."""
        corpus = f"{'SYNTHETIC ' if self.source.synthetic else ''}{self.config.corpus}"
        where = f"{self.config.protocol}{f', fold {fold}' if fold else ''}"
        seen = ", not speaker-independent" if self.facts["leakage"] else ""
        if self.source.protocol.selects_on_test:
            seen = ", chosen on the recordings it is tested on"
        part = ", incomplete" if self.source.notes else ""
        part += ", last epoch kept" * (self.config.keep == "last")
        part += ", RANDOM WEIGHTS" * (self.config.weights == "random")
        part += ", against each speaker's own clips" * self.config.standardize_speakers
        part += ", refitted with validation clips" * self.config.refit
        part += ", fitted in noise" * self.config.is_fitted_in_noise + ", enhanced" * bool(self.config.enhancer)
        return f"{self.config.model} ({self.config.recipe}) on {corpus}, {where}{part}{seen}"


def train(settings: RunConfig, resume: bool = False) -> Run:
    """Train and test the chosen folds, and write their results and the pooled ones.

    With `resume`, finished folds are kept and an interrupted one continues after its last whole epoch. Raises UserError
    for anything a user can repair.
    """
    settings = resolve(settings)
    source = open_source(settings)
    keras.config.set_dtype_policy(settings.precision)
    # Before anything is written and every clip is read.
    tasks.of(settings.model).check(settings, source.protocol)
    upstream_runs.check(settings, source.folds)
    folder = _open_folder(settings, resume)
    with alone_in(folder), Progress() as progress:
        run = prepare(folder, settings, source, progress)
        records = [_finish_fold(run, fold, progress) for fold in run.source.folds]
    rows = [row for fold in run.source.folds for row in read_rows(fold_folder(folder, fold))]
    task = tasks.of(settings.model)
    scores = task.scores(rows, source.protocol)
    summary = {**run.facts, **scores, "folds": [_in_short(record, task.FIGURES.short) for record in records]}
    evaluate.write_results(folder, rows, summary, run.title())
    return run


def _open_folder(settings: RunConfig, resume: bool) -> Path:
    """Return the run's folder: a new one with its config.json, or with `resume` one of the same configuration."""
    folder = Path(settings.out) if settings.out else _new_folder(settings)
    saved = folder / "config.json"
    if saved.is_file() and resume:
        changed = config_saved.differences(config_saved.load(saved), settings)
        if changed:
            raise UserError(
                f"{folder} holds a run of another configuration: {'; '.join(changed)}. Resume with the flags it was "
                "started with, or give another --out"
            )
        return folder
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        advice = "add --resume to go on with its run" if saved.is_file() else "no run is in it (config.json is absent)"
        raise UserError(f"{folder} exists already: {advice}, or give another --out")
    write_json(saved, settings.saved())
    return folder


def _new_folder(settings: RunConfig) -> Path:
    base = f"{settings.model}-{settings.corpus}{'-synthetic' if settings.synthetic else ''}"
    for number in count(1):
        folder = Path("runs") / (base if number == 1 else f"{base}-{number}")
        try:
            folder.mkdir(parents=True)  # made here, so that two runs started together get one each
            return folder
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(f"{folder} cannot be made ({error.strerror}); give another --out") from error
    raise AssertionError("count() does not end")


def prepare(folder: Path, settings: RunConfig, source: Source, progress: Progress) -> Run:
    """Read, check and audit every clip, and compute its features, before anything is trained."""
    extractor = from_config.extractor(settings)
    sounds = augmented_copies.open_sounds(settings, extractor.rate_hz)
    clips = source.clips
    with progress.task("features", len(clips)) as advance:
        features, bad = extract(
            clips,
            extractor.features,
            extractor.settings,
            config_saved.cache_folder(settings),
            rate_hz=extractor.rate_hz,
            max_seconds=settings.max_clip_seconds,
            on_bad_clip=settings.on_bad_clip,
            min_seconds=extractor.least_seconds,
            threads=extractor.threads,
            progress=advance,
        )
    source = drop_clips(source, bad)
    hashes = {name: item.audio_sha256 for name, item in features.items()}
    data = {"data_sha256": fingerprint(source, hashes), **sounds.sha256, **upstream_runs.hashes(settings, source.folds)}
    if "weights_sha256" in extractor.settings:
        data["weights_sha256"] = str(extractor.settings["weights_sha256"])
    _check_same_data(folder, data)
    leakage = audit_folds(source, hashes, settings.allow_leakage)
    facts = {**_facts(settings, source), "leakage": leakage, **data, "bad_clips": bad}
    versions = _versions(settings, source, extractor, sounds, progress)
    run = Run(folder, settings, source, features, versions, facts)
    return _against_speakers(run) if settings.standardize_speakers else run


def _against_speakers(run: Run) -> Run:
    """Return the run with features standardised by each speaker's own clips."""
    found = speaker_normalization.measure(run.source.clips, run.features)
    speaker_normalization.keep(run.folder, found)
    speakers = {clip.name: clip.speaker for clip in run.source.clips}

    def standardized(name: str, features: Any) -> Any:
        return speaker_normalization.Standardized(features, found, speakers[name])

    return replace(
        run,
        features={name: standardized(name, item) for name, item in run.features.items()},
        versions={name: tuple(standardized(name, item) for item in copies) for name, copies in run.versions.items()},
    )


def _versions(
    settings: RunConfig, source: Source, extractor: Extractor, sounds: augmented_copies.Sounds, progress: Progress
) -> dict[str, tuple[Features, ...]]:
    """Compute the features of altered copies. They are the same in all folds, since their noise is training's."""
    if not validation.augmentations(settings):
        return {}
    fitted = (clip for fold in source.folds for clip in (*fold.train, *(fold.validation if settings.refit else ())))
    clips = list({clip.name: clip for clip in fitted}.values())
    with progress.task("features of altered copies", settings.copies * len(clips)) as advance:
        return augmented_copies.extract_copies(settings, extractor, sounds, clips, advance)


def _facts(settings: RunConfig, source: Source) -> dict[str, Any]:
    return {
        "model": settings.model,
        "recipe": settings.recipe,
        "corpus": settings.corpus,
        "protocol": f"{source.protocol.name} v{source.protocol.version}",
        "synthetic": source.synthetic,
        "speaker_independent": source.protocol.speaker_independent,
        "notes": list(source.notes),
        "warnings": [
            *([RANDOM_WEIGHTS] if settings.weights == "random" else []),
            *([speaker_normalization.NOTE] if settings.standardize_speakers else []),
        ],
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("speech-emotion-zoo", "keras", "numpy", settings.backend)},
        },
    }


def fold_data(run: Run, fold: Fold) -> FoldData:
    """Return a fold of a run, ready to train."""
    task, settings, protocol = tasks.of(run.config.model), run.config, run.source.protocol
    return FoldData(
        fold.name,
        fold_folder(run.folder, fold),
        protocol.classes or protocol.targets,
        _training_examples(run, fold.train),
        task.examples(settings, protocol, run.features, fold.validation, training=False),
        from_config.frontend(settings),
        _training_examples(run, (*fold.train, *fold.validation)) if settings.refit else (),
    )


def _training_examples(run: Run, clips: Sequence[Clip]) -> list[Any]:
    task = tasks.of(run.config.model)
    examples = task.examples(run.config, run.source.protocol, run.features, clips, training=True)
    if not run.versions:
        return examples
    return [replace(example, versions=run.versions[clip.name]) for example, clip in zip(examples, clips, strict=True)]


def _check_same_data(folder: Path, data: Mapping[str, str]) -> None:
    """Raise UserError where a resumed run has other data than it was started on, so that its folds are never pooled.

    `data` holds hashes of clips, labels and folds, and of noise, impulse responses and other models where it uses some.
    """
    path = folder / "data.json"
    if not path.is_file():
        write_json(path, data)
        return
    before = json.loads(path.read_text())
    for name, what in _DATA.items():
        if before.get(name) != data.get(name):
            raise UserError(
                f"{folder}: the {what} are not those this run was started on ({path.name}). Resume with what it "
                "had, or give another --out"
            )


def _finish_fold(run: Run, fold: Fold, progress: Progress) -> dict[str, Any]:
    """Train and test a fold unless that is done; return its record."""
    folder, settings, protocol = fold_folder(run.folder, fold), run.config, run.source.protocol
    if not all((folder / name).is_file() for name in ("model.keras", "metrics.json")):
        task, data = tasks.of(settings.model), fold_data(run, fold)
        linear = registry.get(settings.model).fitted == "linear"
        history = (fit_linear.fit if linear else fit)(data, settings, progress)
        (fit_linear.plot if linear else task.report.plot_curves)(history, folder / "curves.png", run.title(fold.name))
        task.after_training(folder / "model.keras", data, settings)
        rows = task.test_rows(folder, fold.test, protocol, corpus_name(run.facts), settings)
        record = {**_record(fold, history, task.FIGURES.score, settings), **task.scores(rows, protocol)}
        evaluate.write_results(folder, rows, {**run.facts, **record}, run.title(fold.name))
    checkpoint.remove(folder)
    return read_record(folder)


def _record(fold: Fold, history, score: str, settings: RunConfig) -> dict[str, Any]:
    best = kept_epoch(history, score, settings)
    return {
        "fold": fold.name,
        "train_clips": len(fold.train),
        "validation_clips": len(fold.validation),
        "test_speakers": sorted({clip.speaker for clip in fold.test}),
        "epochs": len(history),
        "best_epoch": best,
        score: history[best - 1][score],
        "seconds_per_epoch": float(np.median([row["seconds"] for row in history])),
    }


def _in_short(record: Mapping[str, Any], figures: Sequence[str]) -> dict[str, Any]:
    return {name: record[name] for name in ("fold", *figures, "best_epoch", "epochs", "seconds_per_epoch")}
