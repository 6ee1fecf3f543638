"""Put a front-end or a fixed standardisation in front of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras
else:
    keras = lazy("keras")


def with_frontend(frontend: keras.layers.Layer, network: keras.Model) -> keras.Model:
    """Return a model from {"waveform": (batch, samples), "n_samples": (batch,)} to the network's output."""
    waveform = keras.Input((None,), name="waveform")
    n_samples = keras.Input((), dtype="int32", name="n_samples")
    features, n_frames = frontend(waveform, n_samples)
    output = network({"features": features, "n_frames": n_frames})
    return keras.Model({"waveform": waveform, "n_samples": n_samples}, output, name=f"{network.name}_on_waveforms")


def with_normalization(
    mean: np.ndarray, variance: np.ndarray, network: keras.Model, least_variance: float = 1e-4
) -> keras.Model:
    """Return the network behind a fixed standardisation of its features, by `mean` and `variance`.

    Those are (bands,), or (frames, bands) where every clip has as many frames. Variances are raised to
    `least_variance`, by default for logarithms of energies, so that a band above a recording's cut-off is not
    amplified; a variance of exactly 0 is taken as 1.
    """
    features = keras.Input(mean.shape if mean.ndim == 2 else (None, len(mean)), name="features")
    n_frames = keras.Input((), dtype="int32", name="n_frames")
    variance = np.maximum(np.where(variance == 0, 1.0, variance), least_variance)
    moments = {"mean": mean.tolist(), "variance": variance.tolist(), "axis": (-2, -1) if mean.ndim == 2 else -1}
    normalize = keras.layers.Normalization(**moments, dtype="float32", name="normalization")
    output = network({"features": normalize(features), "n_frames": n_frames})
    return keras.Model({"features": features, "n_frames": n_frames}, output, name=f"{network.name}_normalized")
