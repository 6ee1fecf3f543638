"""Put a trained denoising autoencoder in front of other networks: from MFCCs of a recording to those of clean speech.

It becomes a part of their saved models and exports, between the MFCCs of every frame and what the networks take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import registry
from zoo.config.run_config import RunConfig, heeds
from zoo.config.saved import load as load_config
from zoo.data.audio.recording import check_finite
from zoo.data.batches.by_length import in_batches
from zoo.data.batches.clips import Example, whole_batches
from zoo.data.batches.feature_store import InMemory
from zoo.errors import UserError
from zoo.frontends.clean_speech import CleanSpeech, UnlessClean
from zoo.frontends.compose import with_frontend
from zoo.frontends.mfcc import Mfcc, StreamStatistics, mfcc_frames
from zoo.runs import upstream_runs
from zoo.runs.model_file import load_model, network_of
from zoo.utils.atomic_files import written_aside
from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras
else:
    keras = lazy("keras")

_DENOISED, _SCORE = "denoised", "clean_speech"  # layers of the saved model


def assemble(denoiser: keras.Model, mean: np.ndarray, variance: np.ndarray, detector: CleanSpeech) -> keras.Model:
    """Return the enhancer: {"features": (batch, frames, n), "n_frames": (batch,)} -> enhanced frames, same shape.

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
    """Load the frozen enhancer of a fold's folder, with the inputs and output of `assemble`.

    Raises UserError where there is no trained model, or it is no denoising autoencoder.
    """
    path = folder / "model.keras"
    model = network_of(load_model(path))
    names = [layer.name for layer in model.layers]
    if not {_DENOISED, _SCORE} <= set(names):
        raise UserError(
            f"{path}: expected a trained denoising_autoencoder, found the layers {', '.join(names)}. Give a run of one"
        )
    model.trainable = False
    return model


def frames(config: RunConfig) -> Mfcc:
    """Return the front-end of an enhancer, or of a network that may be behind one. Raises UserError for bad sizes."""
    if not heeds(config.model, "coefficients"):
        return mfcc_frames(config.window_ms, config.hop_ms)
    size = (config.rate_hz, config.coefficients, config.mel_bands)
    try:
        return mfcc_frames(config.window_ms, config.hop_ms, *size, peak_normalize=config.amplitude == "peak")
    except ValueError as error:
        raise UserError(f"front-end: {error}") from error


def check(config: RunConfig) -> None:
    """Raise UserError unless `config.enhancer` is a run of an enhancer of the MFCCs that `config` takes."""
    run = config.enhancer
    theirs = load_config(Path(run) / "config.json")
    if registry.get(theirs.model).task != "enhancement":
        raise UserError(f"--enhancer {run}: expected a run of denoising_autoencoder, found one of {theirs.model}")
    found, wanted = _flags_of(frames(theirs)), _flags_of(frames(config))
    others = [flag for flag in found if found[flag] != wanted[flag]]
    if others:
        differ = [f"{flag} is {found[flag]} there and {wanted[flag]} here" for flag in others]
        needed = " ".join(f"{flag} {wanted[flag]}" for flag in others)
        raise UserError(
            f"--enhancer {run} enhances other MFCCs than {config.model} takes: {'; '.join(differ)}. Train a "
            f"denoising_autoencoder with {needed}"
        )


def _flags_of(mfcc: Mfcc) -> dict[str, Any]:
    return {
        "--coefficients": mfcc.coefficients,
        "--mel-bands": mfcc.mel_bands,
        "--rate-hz": mfcc.rate_hz,
        "--window-ms": mfcc.window_ms,
        "--hop-ms": mfcc.hop_ms,
        "--amplitude": "peak" if mfcc.peak_normalize else "recorded",
    }


def behind(examples: Sequence[Example], config: RunConfig, fold: str) -> list[Example]:
    """Replace the MFCCs of examples, and of their altered copies, by statistics of enhanced MFCCs.

    Raises BadClip where these are not finite.
    """
    clips = [features for example in examples for features in (example.features, *example.versions)]
    order = sorted(range(len(clips)), key=lambda index: clips[index].n_frames)  # pads least
    statistics = _statistics(config, fold)
    values, _ = statistics.predict(whole_batches([Example(clips[index], 0) for index in order]), verbose=0)
    images = iter(values[np.argsort(order)])

    def image(example: Example) -> Any:
        check_finite(values := next(images), example.name, "statistics of enhanced features")
        return InMemory(values)

    return [
        replace(example, features=image(example), versions=tuple(image(example) for _ in example.versions))
        for example in examples
    ]


def put_in(model_path: Path, config: RunConfig, fold: str) -> None:
    """Save a trained network on statistics of MFCCs again, with its enhancer and front-end."""
    network, statistics = network_of(load_model(model_path)), _statistics(config, fold)
    inputs = {item.name: keras.Input(item.shape[1:], dtype=item.dtype, name=item.name) for item in statistics.inputs}
    image, n_rows = statistics(inputs)
    output = network({"features": image, "n_frames": n_rows})
    complete = keras.Model(inputs, output, name=f"{network.name}_enhanced")
    with written_aside(model_path) as aside:
        with_frontend(frames(config), complete).save(aside)


def _statistics(config: RunConfig, fold: str) -> keras.Model:
    """Return a model from {"features": MFCCs (batch, frames, n), "n_frames": (batch,)} to an image of statistics."""
    enhancer = load(upstream_runs.folder_of("enhancer", config, fold))
    features = keras.Input((None, config.coefficients), name="features")
    inputs = {"features": features, "n_frames": keras.Input((), dtype="int32", name="n_frames")}
    over_time = StreamStatistics(statistics=config.statistics, name="stream_statistics")
    return keras.Model(inputs, over_time(enhancer(inputs), inputs["n_frames"]), name="enhanced_statistics")


def denoiser(enhancer: keras.Model) -> Callable[[Sequence[np.ndarray]], list[tuple[np.ndarray, bool]]]:
    """Return a function from the frames (frames, n) of utterances to the denoised ones, and which of them are clean."""
    model = keras.Model(enhancer.inputs, [enhancer.get_layer(name).output for name in (_DENOISED, _SCORE)])
    names = [item.name for item in enhancer.inputs]

    def run(features: np.ndarray, n_frames: np.ndarray) -> list[tuple[np.ndarray, bool]]:
        batch = {"features": features, "n_frames": n_frames}
        denoised, scores = (np.asarray(part) for part in model.predict_on_batch([batch[name] for name in names]))
        return [
            (values[:count], bool(score > 0)) for values, count, score in zip(denoised, n_frames, scores, strict=True)
        ]

    return lambda clips: in_batches(run, clips, multiple=50)
