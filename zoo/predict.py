"""Class probabilities for audio, by saved models that take waveforms."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np

import zoo.frontends  # noqa: F401  a saved model's layers are looked up by name
from zoo.data.audio import READABLE_SUFFIXES, BadClip, read
from zoo.errors import UserError

# Clips are read this many at a time, so that neighbours in length can share a batch and memory stays flat.
_WINDOW = 64
_BATCH_SECONDS = 120


def load_model(path: Path) -> keras.Model:
    """Loads a saved .keras model that takes waveforms. Nothing in the file is executed (Keras's safe mode).

    Raises UserError when it is absent or no such model.
    """
    if not path.is_file():
        raise UserError(f"{path}: no trained model is there; train to the end first, or add --resume to go on")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: not a model this version saved ({reason})") from error


def frontend(model: keras.Model) -> keras.layers.Layer:
    """Returns the layer of a saved model that turns waveforms into features."""
    return next(layer for layer in model.layers if hasattr(layer, "rate_hz"))


def probabilities(
    model: keras.Model,
    paths: Sequence[Path],
    *,
    max_seconds: float = 60.0,
    on_bad: Callable[[BadClip], None] | None = None,
) -> Iterator[tuple[Path, np.ndarray]]:
    """Yields (path, probabilities (classes,)) in the order given.

    A clip's probabilities do not depend on its neighbours. A clip that cannot be used raises BadClip, or is handed to
    `on_bad` and left out.
    """
    rate_hz = frontend(model).rate_hz

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
            outputs = _in_batches(model, [clip for _, clip in good], rate_hz)
            yield from ((path, output) for (path, _), output in zip(good, outputs, strict=True))


def _in_batches(model: keras.Model, clips: Sequence[np.ndarray], rate_hz: int) -> list[np.ndarray]:
    """Predicts clips of like length together, padded to whole seconds: few shapes, little padding."""
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
