"""Compute the features of recordings, once, before training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data.audio.recording import Segment
from zoo.data.audio.scan import Probe
from zoo.data.batches.feature_store import OfFile
from zoo.frontends import opensmile
from zoo.utils.portable import cores

if TYPE_CHECKING:
    import keras

LEAST_SECONDS = 0.025  # of a clip: a window of the usual front-ends


@dataclass(frozen=True)
class Extractor:
    """`features` maps a waveform (samples,) at `rate_hz` to (frames, bands), and depends only on `settings`.

    It may be called by so many `threads` at once, with clips of `least_seconds` or more. A cache holds its features
    as `stored_as`, float32 or float16. `of_file` returns the facts of a file and the same features, where other
    processes read it (zoo.data.batches.feature_store.OfFile). `sources` are files of the code that computes them.
    """

    features: Callable[[np.ndarray], np.ndarray]
    settings: Mapping[str, Any]
    rate_hz: int
    threads: int = 1
    least_seconds: float = LEAST_SECONDS
    stored_as: str = "float32"
    of_file: OfFile | None = None
    sources: Sequence[Path] = ()


def of_layer(frontend: "keras.layers.Layer") -> Extractor:
    """Run a front-end layer on one recording at a time, padded to whole seconds so that few shapes are compiled."""
    import keras

    waveform, n_samples = keras.Input((None,)), keras.Input((), dtype="int32")
    model = keras.Model([waveform, n_samples], frontend(waveform, n_samples))

    def features(clip: np.ndarray) -> np.ndarray:
        padded = np.zeros((1, -(-len(clip) // frontend.rate_hz) * frontend.rate_hz), np.float32)
        padded[0, : len(clip)] = clip
        output, n_frames = model.predict_on_batch([padded, np.array([len(clip)], np.int32)])
        return np.asarray(output)[0, : int(n_frames[0])]

    settings = {**frontend.get_config(), "backend": keras.backend.backend()}
    if "weights_sha256" in settings:  # wherever the file lies
        del settings["weights"]
    least = getattr(frontend, "least_samples", 0) / frontend.rate_hz
    stored_as = getattr(frontend, "stored_as", "float32")
    return Extractor(features, settings, frontend.rate_hz, least_seconds=max(LEAST_SECONDS, least), stored_as=stored_as)


def of_functionals(feature_set: str, window_seconds: float, hop_seconds: float, rate_hz: int = 16_000) -> Extractor:
    """Run openSMILE over windows of a recording."""
    settings = opensmile.settings(feature_set, window_seconds, hop_seconds)

    def features(clip: np.ndarray) -> np.ndarray:
        return opensmile.functionals(clip, rate_hz, feature_set, window_seconds, hop_seconds)

    return Extractor(features, settings, rate_hz, len(cores()), opensmile.LEAST_WINDOW_SECONDS)


def of_clip_functionals(feature_set: str, functionals: str, rate_hz: int = 16_000) -> Extractor:
    """Run openSMILE over a whole utterance: one row of functionals."""
    settings = opensmile.clip_settings(feature_set, functionals)

    def features(clip: np.ndarray) -> np.ndarray:
        return opensmile.clip_functionals(clip, rate_hz, feature_set, functionals)[None]

    def of_file(path: Path, segment: Segment, max_seconds: float) -> tuple[Probe, np.ndarray]:
        kind = rate_hz, feature_set, functionals
        facts, values = opensmile.file_functionals(path, segment, max_seconds, *kind)
        return facts, values[None]

    return Extractor(
        features, settings, rate_hz, len(cores()), opensmile.LEAST_SECONDS, of_file=of_file, sources=opensmile.SOURCES
    )
