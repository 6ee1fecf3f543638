"""Hidden states of a frozen speech encoder along recordings, a vector for each rating, as a front-end."""

from pathlib import Path
from typing import Any

from keras import KerasTensor, ops

from zoo.frontends.speech_encoder import ALL, MIDDLE, SpeechEncoder
from zoo.layers.masking import frame_mask, register

FRAME_SECONDS = 0.04
WINDOW_FRAMES, MARGIN_FRAMES = 500, 50  # windows of 20 s, near what encoders were trained on, with 2 s at either end


@register
class SpeechEncoderFrames(SpeechEncoder):
    """The hidden states of a frozen speech encoder along recordings of any length, averaged over 40 ms.

    A recording is computed in windows of 20 s, whose first and last 2 s only give context: attention over all of it
    would take memory with the square of its length. Which window a frame is from depends on its time alone. What makes
    no whole frame of 40 ms is left out.

    Call: waveforms (batch, samples) in -1..1 at `rate_hz`, sample counts (batch,) -> features (batch, frames, vectors *
    hidden), zero behind a recording's end, and their counts (batch,). There is one vector, or with layer "all" those in
    front of the first layer and behind each, one beside the other.

    Args:
        weights, weights_sha256: as of SpeechEncoder.
        layer: "all", "last", "middle", or a number: 0 is in front of the first layer.
    """

    def __init__(self, weights: str | Path, weights_sha256: str | None = None, layer: str = MIDDLE, **kwargs: Any):
        super().__init__(weights, weights_sha256, layer, frames=layer != ALL, **kwargs)
        self.frame_samples = round(FRAME_SECONDS * self.rate_hz)
        self.width = len(self.chosen) * self.config.hidden

    def call(self, waveform, n_samples):
        n_frames = ops.cast(n_samples, "int32") // self.frame_samples
        most = ops.shape(waveform)[1] // self.frame_samples
        size = min(most, WINDOW_FRAMES) if isinstance(most, int) else ops.minimum(most, WINDOW_FRAMES)
        inner = WINDOW_FRAMES - 2 * MARGIN_FRAMES
        n_windows = -(-most // inner)
        padded = ops.pad(waveform, [[0, 0], [0, WINDOW_FRAMES * self.frame_samples]])
        batch = ops.shape(waveform)[0]

        def of_window(first):
            start = ops.maximum(first - MARGIN_FRAMES, 0)
            place = ops.stack([ops.zeros_like(start), start * self.frame_samples])
            piece = ops.slice(padded, place, (batch, size * self.frame_samples))
            rated = self._averaged(piece, ops.clip(n_frames - start, 1, size) * self.frame_samples)
            rated = ops.pad(rated, [[0, 0], [0, inner], [0, 0]])
            place = ops.stack([ops.zeros_like(start), first - start, ops.zeros_like(start)])
            return ops.slice(rated, place, (batch, inner, self.width))

        windows = ops.map(of_window, ops.arange(n_windows, dtype="int32") * inner)
        joined = ops.reshape(ops.transpose(windows, (1, 0, 2, 3)), (batch, -1, self.width))[:, :most]
        real = frame_mask(joined, n_frames)[..., None]
        return ops.where(real, joined, 0.0), n_frames

    def _averaged(self, waveform, n_samples):
        """Return hidden states (batch, frames of 40 ms, width): each the mean of those of 20 ms within it."""
        *states, n_steps = self._hidden.encoder(
            {"features": waveform[..., None], "n_frames": n_samples}, training=False
        )
        found = ops.concatenate(states, axis=-1)
        real = ops.cast(frame_mask(found, n_steps), "float32")[..., None]
        steps = self.frame_samples // self.config.step_samples
        missing = steps - 1  # of the last frame, whose last steps would need samples behind the window
        values, real = (ops.pad(one, [[0, 0], [0, missing], [0, 0]]) for one in (found * real, real))
        values, real = (
            ops.sum(ops.reshape(one, (ops.shape(one)[0], -1, steps, one.shape[-1])), axis=2) for one in (values, real)
        )
        return values / ops.maximum(real, 1.0)

    def n_frames(self, n_samples):
        """Frames of the features of a recording of `n_samples` samples (number, array or tensor)."""
        return n_samples // self.frame_samples

    def compute_output_spec(self, waveform, n_samples):
        frames = None if waveform.shape[1] is None else waveform.shape[1] // self.frame_samples
        features = KerasTensor((waveform.shape[0], frames, self.width), "float32")
        return features, KerasTensor(n_samples.shape, "int32")

    def get_config(self):
        return {name: value for name, value in super().get_config().items() if name != "frames"}
