"""Reverse gradients, so that the layers below a head lose the information that the head predicts."""

from typing import Any

import keras
from keras import ops

from zoo.layers.masking import Weightless, register


@register
class GradientReversal(Weightless):
    """Leaves values as they are and multiplies their gradient by -`scale`.

    Ganin, Lempitsky: "Unsupervised Domain Adaptation by Backpropagation", ICML 2015, section 3.1, eq 10 and 11; `scale`
    is their lambda. It stays constant here, where they raise it from 0 in training. Values may differ in their last
    digit. Raises ValueError for a negative scale.

    Call: any tensor -> the same.
    """

    def __init__(self, scale: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        if scale < 0:
            raise ValueError(f"scale {scale}: expected a number from 0")
        self.scale = scale

    def call(self, values):
        return ops.stop_gradient((1 + self.scale) * values) - self.scale * values

    def compute_output_spec(self, values):
        return keras.KerasTensor(values.shape, values.dtype)
