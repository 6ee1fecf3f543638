"""Class probabilities for audio, by saved models that take waveforms."""

import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np

import zoo.cepstra
import zoo.frontends  # noqa: F401  a saved model's layers are looked up by name
from zoo import archive, config
from zoo.data import protocols
from zoo.data.audio import READABLE_SUFFIXES, BadClip, read
from zoo.errors import UserError
from zoo.folder import corpus_name, finished_folds

# Clips are read this many at a time, so that neighbours in length can share a batch and memory stays flat.
_WINDOW = 64
_BATCH_SECONDS = 120


def load_model(path: Path, waveforms: bool = True) -> keras.Model:
    """Loads a saved .keras model that takes waveforms, or one that takes features. Nothing in the file is executed
    (Keras's safe mode).

    Raises UserError when it is absent, damaged, or no such model.
    """
    if not path.is_file():
        raise UserError(f"{path}: no trained model is there; train to the end first, or add --resume to go on")
    try:
        archive.check(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        if waveforms and not any(hasattr(layer, "rate_hz") for layer in model.layers):
            raise ValueError("one without a front-end")
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{path}: expected a model as train.py saves it, found another or a damaged one ({reason}). "
            "Restore the file, or train again into another folder"
        ) from error
    return model


def frontend(model: keras.Model) -> keras.layers.Layer:
    """Returns the layer of a saved model that turns waveforms into features."""
    return next(layer for layer in model.layers if hasattr(layer, "rate_hz"))


def read_windows(
    paths: Sequence[Path],
    rate_hz: int,
    max_seconds: float = 60.0,
    on_bad: Callable[[BadClip], None] | None = None,
) -> Iterator[list[tuple[Path, np.ndarray]]]:
    """Yields the clips in order, some at a time, as (path, waveform (samples,)).

    A clip that cannot be used raises BadClip, or is handed to `on_bad` and left out.
    """

    def waveform(path: Path) -> np.ndarray | BadClip:
        try:
            return read(path, rate_hz, max_seconds=max_seconds)
        except BadClip as error:
            if on_bad is None:
                raise
            return error

    with ThreadPoolExecutor(max_workers=2) as pool:
        for start in range(0, len(paths), _WINDOW):
            window = paths[start : start + _WINDOW]
            good = []
            for path, result in zip(window, pool.map(waveform, window), strict=True):
                if isinstance(result, BadClip):
                    on_bad(result)  # type: ignore[misc]
                else:
                    good.append((path, result))
            yield good


def predict(model: keras.Model, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns the model's output for each waveform (samples,), in order.

    Clips of like length share a batch, padded to whole seconds: few shapes, little padding. The network ignores
    padding, so a clip's output does not depend on its neighbours.
    """
    rate_hz = frontend(model).rate_hz
    outputs: list[np.ndarray] = [np.empty(0)] * len(clips)
    by_seconds: dict[int, list[int]] = {}
    for index, clip in enumerate(clips):
        by_seconds.setdefault(-(-len(clip) // rate_hz), []).append(index)
    for seconds, members in sorted(by_seconds.items()):
        size = max(1, _BATCH_SECONDS // seconds)
        for start in range(0, len(members), size):
            chosen = members[start : start + size]
            padded = np.zeros((len(chosen), seconds * rate_hz), np.float32)
            for row, index in zip(padded, chosen, strict=True):
                row[: len(clips[index])] = clips[index]
            lengths = np.array([len(clips[index]) for index in chosen], np.int32)
            batch = model.predict_on_batch({"waveform": padded, "n_samples": lengths})
            for index, output in zip(chosen, np.asarray(batch), strict=True):
                outputs[index] = output
    return outputs


def predict_run(
    run: Path,
    paths: Sequence[Path],
    fold: str | None = None,
    max_seconds: float = 60.0,
    on_bad: Callable[[BadClip], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yields {"file", "emotion", "probabilities": {class: share}, "trained_on"} per clip, by a run's models.

    Probabilities are the mean over the run's folds, or those of the `fold` numbered so; most of a corpus was seen in
    training by all but one of its folds, so these are no test results on its own clips. A clip that cannot be used
    raises BadClip, or is handed to `on_bad` and left out. Raises UserError when no model is there.
    """
    if not 0 < max_seconds < float("inf"):
        raise UserError(f"--max-clip-seconds is {max_seconds}, expected a finite number above 0")
    settings = config.load(run / "config.json")
    classes = protocols.get(settings.protocol, settings.corpus).classes
    folders, record = finished_folds(run, fold)
    models = [load_model(folder / "model.keras") for folder in folders]
    corpus = corpus_name(record)
    for window in read_windows(paths, frontend(models[0]).rate_hz, max_seconds, on_bad):
        clips = [clip for _, clip in window]
        by_model = [predict(model, clips) for model in models]
        for (path, _), *outputs in zip(window, *by_model, strict=True):
            mean = np.mean(outputs, axis=0)
            shares = {name: round(float(share), 6) for name, share in zip(classes, mean, strict=True)}
            emotion = classes[int(mean.argmax())]
            yield {"file": str(path), "emotion": emotion, "probabilities": shares, "trained_on": corpus}


def audio_files(places: Sequence[str]) -> list[Path]:
    """Returns the audio files named, and those below the folders named, sorted within each.

    Raises UserError for a place that does not exist or a folder without audio.
    """
    files: list[Path] = []
    for place in map(Path, places):
        if place.is_dir():
            inside = sorted(p for p in place.rglob("*") if p.suffix.lower() in READABLE_SUFFIXES and p.is_file())
            inside = [p for p in inside if not p.name.startswith("._")]
            if not inside:
                raise UserError(f"{place}: no audio below it; expected files ending in {', '.join(READABLE_SUFFIXES)}")
            files += inside
        elif place.exists():
            files.append(place)
        else:
            raise UserError(f"{place}: no such file or folder")
    return files
