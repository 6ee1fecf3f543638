"""Draw a clip's mel-spectrogram as a picture of fixed size, as a Keras layer, for networks trained on photographs."""

from difflib import get_close_matches
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.frontends.log_mel import LogMel
from zoo.layers.masking import frame_mask, register

ENTRIES = 256  # of a colour map


@register
class SpectrogramImage(keras.layers.Layer):
    """Log-mel spectrogram of a whole clip, in the colours of a map, resized to side x side pixels.

    After Cummins et al. 2017 ("An image-based deep spectrum feature representation for the recognition of emotional
    speech", ACM Multimedia), with the mel-spectrograms of Zhao et al. 2019. Window, hop, bands and range are ours.

    Energies in dB, from `range_db` below the clip's own largest up to it, spread evenly over the map's 256 entries,
    without interpolation (matplotlib's rule). The coloured picture is resized bilinearly, pixel centres on pixel
    centres, edges repeated; of more than two frames in a pixel, those nearest to its centre count. Time runs from left
    to right, low frequencies are at the bottom. A silent clip is all in the map's first colour. Neither neighbours in
    the batch nor padding change a picture. Always computed in float32.

    Call: waveforms (batch, samples) in -1..1, sample counts (batch,) -> images (batch, side, side, 3): red, green and
    blue in 0..255.

    Args:
        side: pixels; 224 for VGG, 227 for AlexNet.
        colormap: any of matplotlib's by name. Its table is looked up in the matplotlib that runs.
        rate_hz, window_ms, hop_ms, bands, mel_scale: of the spectrogram, see `LogMel`.
    """

    def __init__(
        self,
        side: int = 224,
        colormap: str = "viridis",
        rate_hz: int = 16_000,
        window_ms: float = 32.0,
        hop_ms: float = 16.0,
        bands: int = 128,
        mel_scale: str = "htk",
        range_db: float = 80.0,
        **kwargs: Any,
    ):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.side, self.colormap, self.rate_hz, self.range_db = side, colormap, rate_hz, range_db
        self.log_mel = LogMel(rate_hz, window_ms, hop_ms, bands, mel_scale)
        self.colours = colour_table(colormap)
        self.rows = bilinear_weights(bands, side)[::-1]  # the top row is the highest band

    def build(self, waveform_shape, n_samples_shape=None):
        self.log_mel.build(waveform_shape, n_samples_shape)

    def call(self, waveform, n_samples):
        features, n_frames = self.log_mel(waveform, n_samples)
        entries = self._entries(features, n_frames)
        before, after, share = _neighbours(n_frames, self.side)
        left, right = (ops.take_along_axis(entries, column[:, :, None], axis=1) for column in (before, after))
        left, right = ops.take(self.colours, left, axis=0), ops.take(self.colours, right, axis=0)
        columns = left + share[:, :, None, None] * (right - left)  # (batch, side, bands, 3)
        columns = ops.reshape(ops.transpose(columns, (0, 2, 1, 3)), (-1, self.log_mel.bands, self.side * 3))
        return ops.reshape(ops.matmul(self.rows, columns), (-1, self.side, self.side, 3))

    def _entries(self, features, n_frames):
        """Return the entry of the colour map for each energy: (batch, frames, bands) int32."""
        silent = float(np.log(self.log_mel.floor))
        features = ops.where(frame_mask(features, n_frames)[:, :, None], features, silent)
        loudest = ops.max(features, axis=(1, 2), keepdims=True)
        level = 1 + (features - loudest) * (10 / np.log(10) / self.range_db)
        level = ops.where(loudest > silent, level, 0.0)
        return ops.cast(ops.clip(level * ENTRIES, 0, ENTRIES - 1), "int32")

    def compute_output_spec(self, waveform, n_samples):
        return keras.KerasTensor((waveform.shape[0], self.side, self.side, 3), "float32")

    def get_config(self):
        own = {"side": self.side, "colormap": self.colormap, "range_db": self.range_db}
        of_spectrogram = ("rate_hz", "window_ms", "hop_ms", "bands", "mel_scale")
        return {**super().get_config(), **own, **{name: getattr(self.log_mel, name) for name in of_spectrogram}}


def colour_table(name: str) -> np.ndarray:
    """Return a colour map of matplotlib's as (256, 3): red, green and blue, whole numbers in 0..255.

    Raises ValueError for a name that is not among its maps.
    """
    from matplotlib import colormaps

    if name not in colormaps:
        near = get_close_matches(name, colormaps, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"colormap is {name!r}, expected one of matplotlib's, such as viridis, magma or gray.{hint}")
    return np.round(255 * colormaps[name](np.linspace(0, 1, ENTRIES))[:, :3]).astype("float32")


def bilinear_weights(n_inputs: int, n_outputs: int) -> np.ndarray:
    """Return (n_outputs, n_inputs): what each output takes of the two inputs around its centre; rows sum to 1."""
    centres = np.clip((np.arange(n_outputs) + 0.5) * n_inputs / n_outputs - 0.5, 0, n_inputs - 1)
    return np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(n_inputs))).astype("float32")


def _neighbours(n_frames, side):
    """Return the frames before and after the centre of each column, and how near the centre is to the second, in 0..1.

    Frame counts (batch,) -> three times (batch, side). So `bilinear_weights` has them, for each clip's own length.
    """
    n_frames = ops.maximum(ops.cast(n_frames, "int32"), 1)[:, None]
    scale = ops.cast(n_frames, "float32") / side
    centre = (ops.arange(side, dtype="float32")[None, :] + 0.5) * scale - 0.5
    centre = ops.clip(centre, 0.0, ops.cast(n_frames - 1, "float32"))
    before = ops.cast(ops.floor(centre), "int32")
    return before, ops.minimum(before + 1, n_frames - 1), centre - ops.floor(centre)
