"""Penalise hidden units that are active too often, for sparse autoencoders."""

from typing import Any

import keras
from keras import ops

from zoo.layers.masking import Configured, register


@register
class KLSparsity(Configured):
    """Leaves activations as they are and adds to the loss how far their means are from a small one.

        weight * sum over units j of KL(rho || rho_j),  rho_j = mean over the batch of h_j,
        KL(rho || r) = rho log(rho / r) + (1 - rho) log((1 - rho) / (1 - r)),  rho = `activity`

    (Ng: "Sparse autoencoder", CS294A lecture notes, 2011, section 3). It is 0 where every mean is `activity`. A layer,
    since Keras divides an activity regulariser's value, here one of means, by the size of the batch.

    Call: activations in 0..1, as those of sigmoid units, (batch, units) -> the same.
    """

    def __init__(self, activity: float = 0.05, weight: float = 0.1, **kwargs: Any):
        super().__init__(**kwargs)
        if not 0 < activity < 1 or weight < 0:
            raise ValueError(f"activity {activity}, weight {weight}: expected an activity in 0..1 and a weight from 0")
        self.activity, self.weight = activity, weight

    def call(self, activations):
        mean = ops.clip(ops.mean(ops.cast(activations, "float32"), axis=0), 1e-7, 1 - 1e-7)
        rho = self.activity
        divergence = rho * ops.log(rho / mean) + (1 - rho) * ops.log((1 - rho) / (1 - mean))
        self.add_loss(self.weight * ops.sum(divergence))
        return activations

    def compute_output_spec(self, activations):
        return keras.KerasTensor(activations.shape, activations.dtype)
