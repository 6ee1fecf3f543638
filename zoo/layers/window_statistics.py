"""Compute statistics of features in windows over time, as a Keras layer."""

from typing import Any

from keras import ops

from zoo.layers.masking import InFloat32, Weightless, frame_mask, register, zero_padding


@register
class WindowStatistics(Weightless, InFloat32):
    """Mean and variance of every feature in a window around each block of `hop_frames` frames.

    MixedEmotions D4.2, section 3: of MFCCs over 8 s every 40 ms. The window of block i begins half a window before it;
    at the ends of a clip it holds what there is. The paper does not say where the window lies; around the rating is
    our reading.

    Call: (batch, frames, n), frame counts (batch,) -> (batch, frames // hop_frames, 2 n), means before variances, zero
    on padding. In float32.

    Args:
        window_frames: a multiple of hop_frames.
        hop_frames: from one window to the next.
    """

    def __init__(self, window_frames: int = 800, hop_frames: int = 4, **kwargs: Any):
        super().__init__(**kwargs)
        if hop_frames < 1 or window_frames < hop_frames or window_frames % hop_frames:
            raise ValueError(f"window_frames is {window_frames}, expected a multiple of hop_frames, {hop_frames}")
        self.window_frames, self.hop_frames = window_frames, hop_frames

    def call(self, frames, n_frames):
        n_blocks = n_frames // self.hop_frames
        frames = frames[:, : ops.shape(frames)[1] // self.hop_frames * self.hop_frames]
        mask = frame_mask(frames, n_blocks * self.hop_frames)
        count = ops.cast(ops.maximum(n_blocks * self.hop_frames, 1), "float32")[:, None, None]
        # About the clip's own mean, so that the difference of squares below keeps its digits.
        centre = ops.sum(zero_padding(frames, mask), axis=1, keepdims=True) / count
        centred = zero_padding(frames - centre, mask)
        inside = ops.cast(mask, "float32")[..., None]
        sums = self._windows(ops.concatenate([centred, ops.square(centred), inside], axis=-1))
        n = ops.shape(frames)[2]
        held = ops.maximum(sums[..., 2 * n :], 0.5 / self.window_frames)  # a share of the window
        mean = sums[..., :n] / held
        variance = ops.maximum(sums[..., n : 2 * n] / held - ops.square(mean), 0.0)
        found = ops.concatenate([mean + centre, variance], axis=-1)
        return zero_padding(found, frame_mask(found, n_blocks))

    def _windows(self, frames):
        """Means over blocks, then over the blocks of a window, zeros beyond the clip counted."""
        blocks = ops.average_pool(frames, self.hop_frames, self.hop_frames, "valid", data_format="channels_last")
        width = self.window_frames // self.hop_frames
        blocks = ops.pad(blocks, [[0, 0], [width // 2, width - 1 - width // 2], [0, 0]])
        return ops.average_pool(blocks, width, 1, "valid", data_format="channels_last")

    def compute_output_shape(self, frames_shape, n_frames_shape=None):
        batch, frames, n = frames_shape
        return (batch, None if frames is None else frames // self.hop_frames, 2 * n)
