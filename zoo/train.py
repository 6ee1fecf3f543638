"""A configuration in; a run folder with models, figures and the evidence for them out."""

import fcntl
import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo import checkpoint, config, evaluate, registry, report
from zoo.config import RunConfig
from zoo.data.features import Features, extract
from zoo.data.pipeline import Example
from zoo.data.schema import Clip, Fold
from zoo.data.source import Source, audit_folds, drop_clips, fingerprint, open_source, resolve
from zoo.errors import UserError
from zoo.fit import Task, best_epoch, fit
from zoo.folder import corpus_name, fold_folder, read_record, read_rows
from zoo.frontends import LogMel
from zoo.losses import class_weights
from zoo.progress import Progress
from zoo.storage import ASIDE, write_json


@dataclass(frozen=True)
class Run:
    """What every fold of a run shares. `facts` go into every metrics.json."""

    folder: Path
    config: RunConfig
    source: Source
    features: Mapping[str, Features]
    facts: Mapping[str, Any]

    def title(self, fold: str = "") -> str:
        """What every figure of the run says about itself."""
        corpus = f"{'SYNTHETIC ' if self.source.synthetic else ''}{self.config.corpus}"
        where = f"{self.config.protocol}{f', fold {fold}' if fold else ''}"
        seen = ", not speaker-independent" if self.facts["leakage"] else ""
        part = ", incomplete" if self.source.notes else ""
        return f"{self.config.model} ({self.config.recipe}) on {corpus}, {where}{part}{seen}"


def train(settings: RunConfig, resume: bool = False) -> Run:
    """Trains and tests every fold asked for, and writes their results and the pooled ones.

    With `resume`, finished folds are kept and an interrupted one goes on after its last whole epoch. Raises UserError
    for anything a user can repair.
    """
    settings = resolve(settings)
    source = open_source(settings)
    keras.config.set_dtype_policy(settings.precision)
    _try_out(settings, source.protocol.classes)
    folder = _open_folder(settings, resume)
    with _alone_in(folder), Progress() as progress:
        run = _prepare(folder, settings, source, progress)
        records = [_finish_fold(run, fold, progress) for fold in run.source.folds]
    rows = [row for fold in run.source.folds for row in read_rows(fold_folder(folder, fold))]
    scores = evaluate.scores(rows, source.protocol.classes)
    summary = {**run.facts, **scores, "folds": [_in_short(record) for record in records]}
    evaluate.write_results(folder, rows, summary, run.title())
    return run


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Holds the run's folder against other processes. The system lets go when this one ends, however it does."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"{folder}: another process is at work on this run; wait for it or give another --out"
            ) from error
        for leftover in folder.rglob(f"{ASIDE}*"):  # a kill came in the middle of a write
            leftover.unlink()
        yield


def _try_out(settings: RunConfig, classes: Sequence[str]) -> None:
    """Finds a setting that cannot work before anything is written and every clip is read."""
    _frontend(settings)
    registry.build(settings.model, len(classes), settings.bands, **settings.option)
    class_weights(settings.class_weights, range(len(classes)), classes)


def _open_folder(settings: RunConfig, resume: bool) -> Path:
    """Returns the run's folder: a new one with its config.json, or with `resume` one of the same configuration."""
    folder = Path(settings.out) if settings.out else _new_folder(settings)
    saved = folder / "config.json"
    if saved.is_file() and resume:
        changed = config.differences(config.load(saved), settings)
        if changed:
            raise UserError(
                f"{folder} holds a run of another configuration: {'; '.join(changed)}. Resume with the flags it was "
                "started with, or give another --out"
            )
        return folder
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        advice = "add --resume to go on with its run" if saved.is_file() else "no run is in it (config.json is absent)"
        raise UserError(f"{folder} is there already: {advice}, or give another --out")
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


def _prepare(folder: Path, settings: RunConfig, source: Source, progress: Progress) -> Run:
    """Reads, checks and audits every clip, and has its features on disk, before anything is trained."""
    frontend = _frontend(settings)
    clips = source.clips
    with progress.task("features", len(clips)) as advance:
        features, bad = extract(
            clips,
            _as_function(frontend),
            {**frontend.get_config(), "backend": keras.backend.backend()},
            config.cache_folder(settings),
            rate_hz=frontend.rate_hz,
            max_seconds=settings.max_clip_seconds,
            on_bad_clip=settings.on_bad_clip,
            progress=advance,
        )
    source = drop_clips(source, bad)
    hashes = {name: item.audio_sha256 for name, item in features.items()}
    data = fingerprint(source, hashes)
    _check_same_data(folder, data)
    facts = {
        "model": settings.model,
        "recipe": settings.recipe,
        "corpus": settings.corpus,
        "protocol": f"{source.protocol.name} v{source.protocol.version}",
        "synthetic": source.synthetic,
        "speaker_independent": source.protocol.speaker_independent,
        "leakage": audit_folds(source, hashes, settings.allow_leakage),
        "notes": list(source.notes),
        "data_sha256": data,
        "bad_clips": bad,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("speech-emotion-zoo", "keras", "numpy", settings.backend)},
        },
    }
    return Run(folder, settings, source, features, facts)


def _check_same_data(folder: Path, data: str) -> None:
    """Folds trained on other clips, labels or divisions must never be pooled with this run's."""
    path = folder / "data.json"
    if not path.is_file():
        write_json(path, {"data_sha256": data})
    elif json.loads(path.read_text())["data_sha256"] != data:
        raise UserError(
            f"{folder}: the clips, labels or folds are not those this run was started on ({path.name}). Resume with "
            "the data it had, or give another --out"
        )


def _frontend(settings: RunConfig) -> LogMel:
    try:
        return LogMel(
            window_ms=settings.window_ms,
            hop_ms=settings.hop_ms,
            bands=settings.bands,
            mel_scale=settings.mel_scale,
            floor=settings.floor,
            name="log_mel",
        )
    except ValueError as error:
        raise UserError(f"front-end: {error}") from error


def _as_function(frontend: LogMel) -> Callable[[np.ndarray], np.ndarray]:
    """Runs the layer on one clip at a time, padded to whole seconds so that few shapes are compiled."""
    waveform, n_samples = keras.Input((None,)), keras.Input((), dtype="int32")
    model = keras.Model([waveform, n_samples], frontend(waveform, n_samples))

    def features(clip: np.ndarray) -> np.ndarray:
        padded = np.zeros((1, -(-len(clip) // frontend.rate_hz) * frontend.rate_hz), np.float32)
        padded[0, : len(clip)] = clip
        output, n_frames = model.predict_on_batch([padded, np.array([len(clip)], np.int32)])
        return np.asarray(output)[0, : int(n_frames[0])]

    return features


def _finish_fold(run: Run, fold: Fold, progress: Progress) -> dict[str, Any]:
    """Trains and tests a fold unless that is done; returns its line in the run's metrics."""
    folder = fold_folder(run.folder, fold)
    if not all((folder / name).is_file() for name in ("model.keras", "metrics.json")):
        settings, classes = run.config, run.source.protocol.classes
        task = Task(
            fold.name,
            folder,
            classes,
            _examples(run, fold.train, settings.class_weights),
            sorted(_examples(run, fold.validation), key=lambda example: example.features.n_frames),
            _frontend(settings),
        )
        history = fit(task, settings, progress)
        report.plot_curves(history, folder / "curves.png", run.title(fold.name))
        corpus = corpus_name(run.facts)
        rows = evaluate.score_clips(folder / "model.keras", fold.test, classes, corpus, settings.max_clip_seconds)
        record = {**_record(fold, history), **evaluate.scores(rows, classes)}
        evaluate.write_results(folder, rows, {**run.facts, **record}, run.title(fold.name))
    checkpoint.remove(folder)
    return read_record(folder)


def _record(fold: Fold, history) -> dict[str, Any]:
    best = best_epoch(history)
    return {
        "fold": fold.name,
        "train_clips": len(fold.train),
        "validation_clips": len(fold.validation),
        "test_speakers": sorted({clip.speaker for clip in fold.test}),
        "epochs": len(history),
        "best_epoch": best,
        "validation_ua": history[best - 1]["validation_ua"],
        "seconds_per_epoch": float(np.median([row["seconds"] for row in history])),
    }


def _in_short(record: Mapping[str, Any]) -> dict[str, Any]:
    names = ("fold", "n_clips", "ua", "wa", "validation_ua", "best_epoch", "epochs", "seconds_per_epoch")
    return {name: record[name] for name in names}


def _examples(run: Run, clips: Sequence[Clip], weighting: str = "none") -> list[Example]:
    classes = run.source.protocol.classes
    labels = [classes.index(clip.label) for clip in clips]
    weights = class_weights(weighting, labels, classes)
    return [
        Example(run.features[clip.name], label, weights[clip.label]) for clip, label in zip(clips, labels, strict=True)
    ]
