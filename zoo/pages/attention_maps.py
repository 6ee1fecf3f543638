"""Show where an attention network looks: its weights (zoo/layers/attention.py) over the features of a clip."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.config.run_config import RunConfig
from zoo.features import from_config
from zoo.layers.attention import AttentionMap
from zoo.runs.model_file import load_model, network_of

if TYPE_CHECKING:
    import keras

_SIZE = (560, 128)  # pixels
_COLOR = np.array([213, 94, 0], float)  # Okabe and Ito's vermilion, over greys
_STRONGEST = 0.8  # share of the colour where the weight is largest
_FAINT = 3.0  # times the mean: maps whose largest weight is below have less colour, as they prefer little

# Waveform (samples,) -> features (frames, bands), and weights by the name of their layer: (frames,) or (frames, bands),
# of fewer frames and bands where the network pools before it.
Looks = Callable[[np.ndarray], tuple[np.ndarray, dict[str, np.ndarray]]]


def looks_of(folder: Path, config: RunConfig) -> Looks | None:
    """Return what gives the attention of a fold's model, or None for a network without attention over features."""
    import keras

    model = network_of(load_model(folder / "model.keras", waveforms=False))
    before, network = _attentive(model)
    if network is None:
        return None
    found = [layer for layer in network.layers if isinstance(layer, AttentionMap)]
    maps = keras.Model(network.input, {layer.name: layer.output for layer in found})
    extract = from_config.extractor(config).features

    def looks(waveform: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        features = extract(waveform)
        given = features[None]
        for layer in before:
            given = np.asarray(layer(given))
        weights = maps.predict_on_batch({"features": given, "n_frames": np.array([len(features)], np.int32)})
        return features, {name: np.asarray(one)[0] for name, one in weights.items()}

    return looks


def _attentive(network: "keras.Model") -> tuple[list["keras.layers.Layer"], "keras.Model | None"]:
    """Return the network whose own layers hold attention maps, None without one, and the standardisation before it."""
    import keras

    before: list[keras.layers.Layer] = []
    inner: keras.Model | None = network
    while inner is not None and not any(isinstance(layer, AttentionMap) for layer in inner.layers):
        before += [layer for layer in inner.layers if isinstance(layer, keras.layers.Normalization)]
        inner = next((layer for layer in inner.layers if isinstance(layer, keras.Model)), None)
    return before, inner


def overlay(features: np.ndarray, weights: np.ndarray | None = None) -> bytes:
    """Return a picture (WebP) of features (frames, bands), time to the right; weights above their mean in colour."""
    from PIL import Image

    low, high = np.quantile(features, [0.02, 0.998])
    grey = 255 * (1 - np.clip((features - low) / ((high - low) or 1), 0, 1))
    picture = _stretched(grey, Image.Resampling.BILINEAR)[..., None].repeat(3, axis=2)
    if weights is not None:
        grid = weights if weights.ndim == 2 else weights[:, None]
        above = grid / (grid.mean() or 1) - 1
        alpha = _stretched(above / (max(_FAINT - 1, above.max())), Image.Resampling.BILINEAR).clip(0, 1)[..., None]
        picture = picture * (1 - _STRONGEST * alpha) + _COLOR * _STRONGEST * alpha
    written = io.BytesIO()
    Image.fromarray(np.rint(picture).astype(np.uint8)).save(written, "WEBP", quality=80)
    return written.getvalue()


def _stretched(grid: np.ndarray, how: int) -> np.ndarray:
    """Return a grid (frames, bands) as a picture's rows, the lowest band below."""
    from PIL import Image

    return np.asarray(Image.fromarray(grid.T[::-1].astype(np.float32), "F").resize(_SIZE, how))


def in_words(names: Sequence[str]) -> dict[str, str]:
    """Return what attention layers of the zoo are called on a page."""
    known = {"fcn_attention": "convolutional stream", "recurrent_attention": "recurrent stream", "attention": "frames"}
    return {name: known.get(name, name) for name in names}
