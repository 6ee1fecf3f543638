"""A trained denoising autoencoder as a body: from cepstral coefficients of any recording to those of clean speech."""

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np

from zoo.batched import in_batches
from zoo.errors import UserError
from zoo.noise.clean_speech import CleanSpeech, UnlessClean
from zoo.predict import load_model
from zoo.trace_prediction import network_of

_DENOISED, _SCORE = "denoised", "clean_speech"  # layers of the saved model


def assemble(denoiser: keras.Model, mean: np.ndarray, variance: np.ndarray, detector: CleanSpeech) -> keras.Model:
    """Returns the enhancer: {"features": (batch, frames, n), "n_frames": (batch,)} -> enhanced frames, same shape.

    `denoiser` gives standardised coefficients, which `mean` and `variance` (n,) of clean speech bring back to natural
    units. A clip that `detector` takes for clean is left as it is.
    """
    features = keras.Input((None, len(mean)), name="features")
    n_frames = keras.Input((), dtype="int32", name="n_frames")
    inputs = {"features": features, "n_frames": n_frames}
    natural = keras.layers.Normalization(
        axis=-1, mean=mean.tolist(), variance=variance.tolist(), invert=True, dtype="float32", name=_DENOISED
    )
    denoised = natural(denoiser(inputs))
    enhanced = UnlessClean(dtype="float32", name="enhanced")(features, denoised, detector(features, n_frames))
    return keras.Model(inputs, enhanced, name="enhancer")


def load(folder: Path) -> keras.Model:
    """Returns the enhancer of a fold's folder, not to be trained: {"features": MFCCs (batch, frames, 13), "n_frames"}
    to enhanced MFCCs of the same shape, in the same units.

    Raises UserError where there is no trained model, or it is no denoising autoencoder.
    """
    path = folder / "model.keras"
    model = network_of(load_model(path))
    names = [layer.name for layer in model.layers]
    if not {_DENOISED, _SCORE} <= set(names):
        raise UserError(
            f"{path}: expected a trained denoising_autoencoder, found the layers {', '.join(names)}. Give a run of "
            "train.py --model denoising_autoencoder"
        )
    model.trainable = False
    return model


def denoiser(enhancer: keras.Model) -> Callable[[Sequence[np.ndarray]], list[tuple[np.ndarray, bool]]]:
    """Returns a function that tells the two parts of an enhancer apart: from each clip's frames (frames, n) to what the
    network makes of them (frames, n), and whether they are taken for clean and would be left as they are.
    """
    model = keras.Model(enhancer.inputs, [enhancer.get_layer(name).output for name in (_DENOISED, _SCORE)])
    names = [item.name for item in enhancer.inputs]

    def run(features: np.ndarray, n_frames: np.ndarray) -> list[tuple[np.ndarray, bool]]:
        batch = {"features": features, "n_frames": n_frames}
        denoised, scores = (np.asarray(part) for part in model.predict_on_batch([batch[name] for name in names]))
        return [
            (values[:count], bool(score > 0)) for values, count, score in zip(denoised, n_frames, scores, strict=True)
        ]

    return lambda clips: in_batches(run, clips)
