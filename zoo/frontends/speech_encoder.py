"""Hidden states of a frozen speech encoder as a front-end."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
from keras import ops

from zoo.errors import UserError
from zoo.layers.masking import frame_mask, register
from zoo.models import encoders
from zoo.models.weights import encoder_folder, encoder_memory

LAST, MIDDLE, ALL = "last", "middle", "all"
_SECONDS = 20.0  # of a clip, as long as most are, for which there must be memory


@register
class SpeechEncoder(keras.layers.Layer):
    """The hidden states of a frozen speech encoder (wav2vec 2.0, emotion2vec...), averaged over a clip or by frame.

    The encoder's weights stay in their own folder (`zoo.models.weights.encoder_folder`), which a saved model names with
    their SHA-256 and reads when the layer is first used. Always computed in float32.

    Call: waveforms (batch, samples) in -1..1 at `rate_hz`, sample counts (batch,) -> features and their frame counts
    (batch,): with layer "all" (batch, layers + 1, hidden), the mean over the clip's frames of the hidden states in
    front of the first layer and behind each; with one layer (batch, 1, hidden), its mean, or with `frames` (batch,
    frames, hidden), a vector per 20 ms.

    Args:
        weights: folder that ser convert-weights made.
        weights_sha256: of its weights; by default whatever they are now.
        layer: "all", "last", "middle", or a number: 0 is in front of the first layer.
        frames: whether to keep frames.

    Raises UserError for a folder that is absent, damaged or not the expected one, and for a layer that it has not.
    """

    weights_elsewhere = True
    stored_as = "float16"  # in a cache: half the size, and far finer than layers differ

    def __init__(
        self,
        weights: str | Path,
        weights_sha256: str | None = None,
        layer: str = ALL,
        frames: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**{**kwargs, "dtype": "float32"})
        found = encoder_folder.read(Path(weights))
        if weights_sha256 not in (None, found.sha256):
            raise UserError(
                f"{weights}: expected the encoder that the model was made with (SHA-256 {weights_sha256[:12]}...), "
                f"found another ({found.sha256[:12]}...). Put that folder there again, or train with this one"
            )
        self.weights_folder, self.weights_sha256, self.layer, self.frames = str(weights), found.sha256, layer, frames
        self.rate_hz, self.config = found.config.rate_hz, found.config
        self.least_samples = found.config.least_samples
        self.chosen = chosen_states(layer, found.config.n_layers, frames)
        # Where Keras, which saves what attributes hold, does not find them.
        self._hidden = SimpleNamespace(converted=found, encoder=None)

    def build(self, waveform_shape, n_samples_shape=None):
        encoder_memory.check(self.weights_folder, self.config, _SECONDS)
        whole = encoders.build(self.config)
        encoder_folder.load_into(whole, self._hidden.converted)
        outputs = [whole.outputs[index] for index in self.chosen]
        self._hidden.encoder = keras.Model(whole.inputs, [*outputs, whole.outputs[-1]])
        self._hidden.encoder.trainable = False

    @property
    def about(self) -> dict[str, Any]:
        """What a description or a card says of the encoder: its folder's name, family, licence and checksum."""
        found = self._hidden.converted
        return {
            "name": Path(self.weights_folder).name,
            "family": self.config.family,
            "licence": found.licence,
            "sha256": self.weights_sha256,
        }

    @property
    def variables(self):
        """The encoder's too, which `weights` leaves out: those are what a file of this layer would hold."""
        own = super().variables
        return own if self._hidden.encoder is None else [*own, *self._hidden.encoder.variables]

    def call(self, waveform, n_samples):
        n_samples = ops.cast(n_samples, "int32")
        inputs = {"features": waveform[..., None], "n_frames": n_samples}
        *states, n_frames = self._hidden.encoder(inputs, training=False)
        if self.frames:
            return states[0], n_frames
        real = ops.cast(frame_mask(states[0], n_frames), "float32")
        shares = (real / ops.sum(real, axis=1, keepdims=True))[:, None, :]
        means = [ops.matmul(shares, state) for state in states]
        return ops.concatenate(means, axis=1), self.n_frames(n_samples)

    def n_frames(self, n_samples):
        """Frames of the features of a clip of `n_samples` samples (number, array or tensor)."""
        return self.config.n_frames(n_samples) if self.frames else n_samples * 0 + len(self.chosen)

    def compute_output_spec(self, waveform, n_samples):
        rows = None if self.frames else len(self.chosen)
        features = keras.KerasTensor((waveform.shape[0], rows, self.config.hidden), "float32")
        return features, keras.KerasTensor(n_samples.shape, "int32")

    @classmethod
    def from_config(cls, config):
        return cls(**config)  # Keras's own turns what the constructor raises into an error of another kind

    def get_config(self):
        settings = {name: getattr(self, name) for name in ("weights_sha256", "layer", "frames")}
        return {**super().get_config(), **settings, "weights": self.weights_folder}


def chosen_states(layer: str, n_layers: int, frames: bool) -> list[int]:
    """Return the indices of the hidden states that `layer` names.

    Raises UserError for a layer that is not there, and for frames of all layers.
    """
    if layer == ALL:
        if frames:
            raise UserError("--encoder-layer all gives a clip's means; choose one layer for frames, such as last")
        return list(range(n_layers + 1))
    named = {LAST: n_layers, MIDDLE: n_layers // 2}
    number = named.get(layer, int(layer) if layer.isdecimal() else -1)
    if not 0 <= number <= n_layers:
        raise UserError(f"--encoder-layer {layer}: expected all, last, middle or a number in 0..{n_layers}")
    return [number]
