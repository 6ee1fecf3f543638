"""Compute deep-spectrum features: an image network on an utterance's mel-spectrogram."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
from keras import ops

from zoo.errors import UserError
from zoo.frontends.spectrogram_image import SpectrogramImage
from zoo.layers.masking import register
from zoo.models.image_networks import RANDOM, body, get
from zoo.models.weights.image import check_name, checksum


@register
class DeepSpectrum(keras.layers.Layer):
    """The second fully connected layer of an image network, on the picture of a whole clip's mel-spectrogram.

    Cummins et al. 2017 (ACM Multimedia) name these features; Zhao et al. 2019 (IEEE Access 7, section IV) take them of
    mel-spectrograms by AlexNet, VGG16 and VGG19. See `SpectrogramImage` for the picture.

    The network's frozen weights stay in their own file, half a gigabyte, which a saved model names with its SHA-256 and
    reads when the layer is first used. Always computed in float32.

    Call: waveforms (batch, samples) in -1..1, sample counts (batch,) -> (batch, 1, 4096), none below 0, and frame
    counts (batch,), all 1: a clip has one description.

    Args:
        network: "alexnet", "vgg16" or "vgg19".
        weights: file of its weights (see `zoo.models.weights.image`), or "random", drawn by `seed`.
        weights_sha256: of the file; by default whatever the file has now.
        colormap, rate_hz, picture: settings of `SpectrogramImage`, the last by name, such as {"bands": 64}.

    Raises UserError for an unknown network and a file that is absent or not the expected one; ValueError for an unknown
    colour map.
    """

    weights_elsewhere = True

    def __init__(
        self,
        network: str,
        weights: str,
        weights_sha256: str | None = None,
        colormap: str = "viridis",
        seed: int = 0,
        rate_hz: int = 16_000,
        picture: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.image = SpectrogramImage(get(network).side, colormap, rate_hz, **(picture or {}))
        self.network, self.weights_file, self.colormap, self.seed = network, str(weights), colormap, seed
        self.rate_hz = rate_hz
        self.weights_sha256 = _checked(self.weights_file, weights_sha256)
        self._hidden = SimpleNamespace(body=None)  # where Keras, which looks at attributes, does not find it to save it

    def build(self, waveform_shape, n_samples_shape=None):
        self.image.build(waveform_shape, n_samples_shape)
        self._hidden.body = body(self.network, self.weights_file, self.seed)

    @property
    def variables(self):
        """The network's too, which `weights` leaves out: those are what a file of this layer would hold."""
        own = super().variables
        return own if self._hidden.body is None else [*own, *self._hidden.body.variables]

    def call(self, waveform, n_samples):
        features = self._hidden.body(self.image(waveform, n_samples), training=False)
        return features[:, None, :], self.n_frames(ops.cast(n_samples, "int32"))

    def n_frames(self, n_samples):
        """Frames of the features of a clip of `n_samples` samples (number, array or tensor): one for each clip."""
        return n_samples * 0 + 1

    def compute_output_spec(self, waveform, n_samples):
        features = keras.KerasTensor((waveform.shape[0], 1, get(self.network).n_features), "float32")
        return features, keras.KerasTensor(n_samples.shape, "int32")

    @classmethod
    def from_config(cls, config):
        return cls(**config)  # Keras's own turns what the constructor raises into an error of another kind

    def get_config(self):
        names = ("network", "weights_sha256", "colormap", "seed", "rate_hz")
        settings = {name: getattr(self, name) for name in names}
        of_image = self.image.get_config()
        # All of them, so that a saved model does not depend on what the defaults are later.
        picture = {name: of_image[name] for name in ("window_ms", "hop_ms", "bands", "mel_scale", "range_db")}
        return {**super().get_config(), **settings, "weights": self.weights_file, "picture": picture}


def _checked(weights: str, expected: str | None) -> str | None:
    """Return the checksum of a file of weights; None for random ones."""
    if weights == RANDOM:
        return None
    check_name(Path(weights))  # a model may name any path of this machine
    found = checksum(Path(weights))
    if expected not in (None, found):
        raise UserError(
            f"{weights}: expected the weights that the model was made with (SHA-256 {expected[:12]}...), found others "
            f"({found[:12]}...). Put that file there again, or make the model anew with these"
        )
    return found
