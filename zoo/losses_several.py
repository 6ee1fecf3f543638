"""Compute the loss of a network with several targets, classes and numbers, some of whose labels are missing.

MixedEmotions D4.2, section 2.5, asks for learning with several targets of which any may be missing. A missing label has
no part in its target's loss: neither in a mean, nor in the moments of CCC.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from zoo.heads import Head, slices
from zoo.losses import BatchCCC, SumOfSquares

register = keras.saving.register_keras_serializable("zoo")

NUMBER_LOSSES = {"ccc": BatchCCC, "mse": SumOfSquares}
_LEAST = 1e-7  # probability, as Keras clips it


@register
class SeveralTargets(keras.losses.Loss):
    """The sum of the targets' losses, each times its weight: at least 0.

    Of classes, the cross-entropy: its mean over the labelled clips. Of numbers, 1 - CCC over the batch's labelled clips
    (MixedEmotions D4.2, eq 2), in 0..2, or their mean squared error in units of `deviations`. A target without a label
    in the batch, or for CCC with less than two, adds 0, and its gradient is 0.

    Call: labels (batch, label columns) and outputs (batch, columns), laid out as in zoo.heads; weights (batch,) are of
    the first target alone, whose class weights they are, and do not move its mean's divisor, as in Keras.

    Args:
        classes: number of classes of each target, 0 for a number; as many are `weights` and `deviations`.
        deviations: of the training numbers, above 0; for classes without effect.
        number_loss: "ccc" or "mse".
        label_smoothing: share of a label that is spread over all classes of its target.

    >>> labels, outputs = [[1.0, 0, 30, 1], [0, 0, 20, 1]], [[1.0, 0, 40], [0.5, 0.5, 20]]
    >>> loss = SeveralTargets([2, 0], [1, 1], [1, 10], "mse")  # the class of the second clip is missing
    >>> round(float(loss(labels, outputs)), 4)  # 0, and (1^2 + 0^2) / 2
    0.5
    """

    def __init__(
        self,
        classes: Sequence[int],
        weights: Sequence[float],
        deviations: Sequence[float],
        number_loss: str = "ccc",
        label_smoothing: float = 0.0,
        name: str = "several_targets",
    ):
        super().__init__(name=name, reduction=None)  # Keras has nothing left to reduce
        self.classes, self.weights, self.deviations = list(classes), list(weights), list(deviations)
        self.number_loss, self.label_smoothing = number_loss, label_smoothing
        heads = tuple(Head("", tuple(map(str, range(size)))) for size in classes)
        self.places = list(zip(slices(heads, labels=True), slices(heads), strict=True))

    def __call__(self, y_true, y_pred, sample_weight=None):
        truth, prediction = (ops.cast(ops.convert_to_tensor(values), "float32") for values in (y_true, y_pred))
        total = ops.zeros(())
        for number, (of_labels, of_output) in enumerate(self.places):
            labels, outputs = truth[:, of_labels], prediction[:, of_output]
            if self.classes[number]:
                clip_weights = sample_weight if number == 0 else None
                loss = cross_entropy(labels, outputs, clip_weights, self.label_smoothing)
            else:
                loss = number_loss(self.number_loss, labels, outputs[:, 0], self.deviations[number])
            total = total + self.weights[number] * loss
        return total

    def get_config(self):
        return {
            "name": self.name,
            "classes": self.classes,
            "weights": self.weights,
            "deviations": self.deviations,
            "number_loss": self.number_loss,
            "label_smoothing": self.label_smoothing,
        }


def cross_entropy(labels: Any, probabilities: Any, weights: Any = None, label_smoothing: float = 0.0) -> Any:
    """Return the mean cross-entropy over labelled clips: shares of classes (batch, classes), and probabilities.

    A row of zeros is a missing label; one that sums to less than 1 counts by its sum. Weights (batch,) multiply, and do
    not change the divisor. Probabilities are divided by their sum first, as Keras does.
    """
    labelled = ops.sum(labels, -1, keepdims=True)
    shares = (1 - label_smoothing) * labels + label_smoothing * labelled / probabilities.shape[-1]
    sums = ops.sum(probabilities, -1, keepdims=True)
    probabilities = ops.clip(probabilities / ops.where(sums > 0, sums, 1.0), _LEAST, 1 - _LEAST)
    entropies = -ops.sum(shares * ops.log(probabilities), -1)
    if weights is not None:
        entropies = entropies * ops.reshape(ops.cast(ops.convert_to_tensor(weights), "float32"), (-1,))
    return ops.sum(entropies) / _or_one(ops.sum(labelled))


def number_loss(kind: str, labels: Any, numbers: Any, deviation: float = 1.0) -> Any:
    """Return the loss, "ccc" or "mse", of numbers (batch,) with labels (batch, 2): number times weight, and weight."""
    weights = labels[:, 1]
    truth = labels[:, 0] / _or_one(weights)
    truth, numbers = ((values / deviation)[:, None, None] for values in (truth, numbers))
    loss = NUMBER_LOSSES[kind]()(truth, numbers, weights)
    least = 2 if kind == "ccc" else 1
    enough = ops.sum(ops.cast(weights > 0, "float32")) >= least
    return ops.where(enough, loss, 0.0)


def _or_one(divisor):
    return ops.where(divisor > 0, divisor, 1.0)
