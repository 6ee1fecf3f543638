"""Class probabilities for audio, by saved models that take waveforms."""

import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np

from zoo import archive, cepstra, frontends, long_convolution, recurrent
from zoo.baselines import deep_spectrum, window_statistics
from zoo.data.audio import BadClip, read
from zoo.errors import UserError
from zoo.noise import clean_speech
from zoo.stream import Stream as Stream  # prediction from a stream, by the same address

# A saved model's layers are looked up by name: these modules have all that a network is not built of elsewhere.
LAYERS = (cepstra, clean_speech, deep_spectrum, frontends, long_convolution, recurrent, window_statistics)
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
    min_seconds: float = 0.025,
) -> Iterator[list[tuple[Path, np.ndarray]]]:
    """Yields the clips in order, some at a time, as (path, waveform (samples,)).

    A clip that cannot be used raises BadClip, or is handed to `on_bad` and left out.
    """

    def waveform(path: Path) -> np.ndarray | BadClip:
        try:
            return read(path, rate_hz, min_seconds, max_seconds)
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
