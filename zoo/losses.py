"""Compute losses of continuous ratings.

The losses compare (batch, frames, targets) with the same. Weights per sequence (batch,), per frame (batch, frames) or
(batch, frames, 1), or per rating act inside the means and moments, where Keras would apply them after padding has moved
these: a weight of zero equals an absent frame, whatever its values, NaN too. Weights are not negative; of a mean only
their proportions matter. All is computed in float32, whatever the policy. Keras's implicit masks are not read.

Each loss has two reductions, which differ by a factor and so in the learning rate that goes with them: "mean", over
ratings or sequences, and "sum", as MixedEmotions D4.2 and its toolkit CURRENNT have it: its rates are for sums.
"""

import keras
import numpy as np  # noqa: F401 (the examples use it)
from keras import ops

from zoo.errors import unknown

register = keras.saving.register_keras_serializable("zoo")

REDUCTIONS = ("mean", "sum")


class RatingLoss(keras.losses.Loss):
    """A loss of continuous ratings that applies the weights itself.

    Subclasses define `call` of truth, prediction and weights, each (targets, batch, frames), and their `default_name`.
    `reduction` is one of `REDUCTIONS`; ValueError for another.
    """

    default_name: str

    def __init__(self, name: str | None = None, reduction: str = "mean"):
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction is {reduction!r}, expected {' or '.join(REDUCTIONS)}")
        super().__init__(name=name or self.default_name, reduction=None)  # Keras has nothing left to reduce
        self.summed = reduction == "sum"

    def __call__(self, y_true, y_pred, sample_weight=None):
        truth, prediction = _float32(y_true), _float32(y_pred)
        shapes = tuple(truth.shape), tuple(prediction.shape)
        pairs = zip(*shapes, strict=False)
        if {*map(len, shapes)} != {3} or any(None not in pair and pair[0] != pair[1] for pair in pairs):
            raise ValueError(f"{self.name}: expected two of one shape (batch, frames, targets), found {shapes}")
        weights = _float32(1.0 if sample_weight is None else sample_weight)
        while 0 < len(weights.shape) < 3:
            weights = ops.expand_dims(weights, -1)
        weights = weights * ops.ones_like(truth)
        # A product with a weight of zero would not keep NaN out.
        truth, prediction = (ops.where(weights > 0, values, 0.0) for values in (truth, prediction))
        # Frames last: over any other axis TensorFlow sums one by one, and float32 loses digits over long batches.
        return self.call(*(ops.transpose(values, (2, 0, 1)) for values in (truth, prediction, weights)))

    def get_config(self):
        return {"name": self.name, "reduction": "sum" if self.summed else "mean"}


@register
class SumOfSquares(RatingLoss):
    """The squared error, "sse": its mean over the ratings, by weight, or half its sum, as CURRENNT has it.

    Half the sum is N / 2 times the mean of N ratings. The mean makes the learning rate independent of batch size,
    sequence length and padding. At least 0. Raises ValueError for shapes that differ, as the next two.

    >>> float(SumOfSquares()(np.zeros((1, 2, 1)), np.array([[[1.0], [4.0]]])))  # (1 + 16) / 2
    8.5
    >>> float(SumOfSquares(reduction="sum")(np.zeros((1, 3, 1)), np.array([[[1.0], [4.0], [1.0]]])))  # (1 + 16 + 1) / 2
    9.0
    """

    default_name = "sse"

    def call(self, truth, prediction, weights):
        total = ops.sum(weights * ops.square(prediction - truth))
        return total / 2 if self.summed else total / _or_one(ops.sum(weights))


@register
class SequenceCCC(RatingLoss):
    """1 - CCC of each sequence by itself, "ccc_sum" (MixedEmotions D4.2, eq 2-3): the mean over sequences and targets,
    in 0..2, or the sum.

    A sequence counts by its largest weight, so that one without any is left out, and a weight per sequence is heeded.

    >>> truth, prediction = np.array([[[0.0], [2.0]], [[4.0], [6.0]]]), np.array([[[1.0], [1.0]], [[4.0], [6.0]]])
    >>> round(float(SequenceCCC()(truth, prediction)), 4)  # CCC 0, a constant, and 1
    0.5
    """

    default_name = "ccc_sum"

    def call(self, truth, prediction, weights):
        return _one_minus(_ccc, truth, prediction, weights, axes=(2,), summed=self.summed)


@register
class BatchCCC(RatingLoss):
    """1 - CCC with the whole mini-batch as one sequence, "ccc" (MixedEmotions D4.2): the mean over targets, in 0..2, or
    the sum.

    Unlike `SequenceCCC` it rewards the differences between sequences: predicting each one's mean scores above 0
    (Figure 5.2).

    >>> truth, prediction = np.array([[[0.0], [2.0]], [[4.0], [6.0]]]), np.array([[[1.0], [1.0]], [[5.0], [5.0]]])
    >>> round(float(BatchCCC()(truth, prediction)), 4)  # 1 - 2 * 4 / (5 + 4)
    0.1111
    """

    default_name = "ccc"

    def call(self, truth, prediction, weights):
        return _one_minus(_ccc, truth, prediction, weights, axes=(1, 2), summed=self.summed)


@register
class SequencePearson(RatingLoss):
    """1 - Pearson's r of each sequence by itself, "pearson" (MixedEmotions D4.2, eq 8): the mean over sequences and
    targets, in 0..2, or the sum.

    It ignores scale and offset: infinitely many networks minimise it, of which most have a low CCC, which is why the
    deliverable advises against it. Sequences count as in `SequenceCCC`; r is taken as 0 where either is constant.

    >>> truth, prediction = np.array([[[0.0], [2.0]], [[4.0], [6.0]]]), np.array([[[1.0], [1.0]], [[9.0], [10.0]]])
    >>> round(float(SequencePearson()(truth, prediction)), 4)  # r 0, a constant, and 1, at another scale and offset
    0.5
    """

    default_name = "pearson"

    def call(self, truth, prediction, weights):
        return _one_minus(_pearson, truth, prediction, weights, axes=(2,), summed=self.summed)


LOSSES = {"sse": SumOfSquares, "ccc_sum": SequenceCCC, "ccc": BatchCCC, "pearson": SequencePearson}
# Of a run whose loss says nothing of a part of what is scored.
WARNINGS = {
    "pearson": "the loss pearson ignores the scale and the offset of ratings, so that CCC may be low at a high r"
}


def get_loss(name: str, reduction: str = "mean") -> keras.losses.Loss:
    """Return a loss of ratings by its name in `LOSSES`. Raises UserError for an unknown name or reduction."""
    if name not in LOSSES:
        raise unknown("--loss", name, LOSSES)
    if reduction not in REDUCTIONS:
        raise unknown("--loss-reduction", reduction, REDUCTIONS)
    return LOSSES[name](reduction=reduction)


def _one_minus(agreement, truth, prediction, weights, axes: tuple[int, ...], summed: bool):
    """1 - `agreement` over `axes`, averaged or `summed` over the rest by each part's largest weight.

    Where both are constant and equal, 0 / 0, it is taken as 0, as it is where they are constant and differ; the
    gradient is 0 there. Without any weight the loss is 0.
    """
    found = agreement(truth, prediction, weights, axes)
    heaviest = ops.max(weights, axes, keepdims=True)
    if summed:
        return ops.sum(heaviest * (1 - found))
    return ops.mean(_sum(heaviest * (1 - found), (1, 2)) / _or_one(_sum(heaviest, (1, 2))))


def _ccc(truth, prediction, weights, axes: tuple[int, ...]):
    """2 cov(x, y) / (var x + var y + (mean x - mean y)^2), with population moments."""
    low_truth, range_truth = _range(truth, weights, axes)
    low_prediction, range_prediction = _range(prediction, weights, axes)
    # CCC does not change when both are shifted and scaled alike. From their lowest values constants are exactly 0 and
    # offsets cost no digits; in units of the range no square overflows or vanishes. Both are constants to the gradient.
    gap = low_prediction - low_truth
    unit = ops.maximum(ops.maximum(range_truth, range_prediction), ops.abs(gap))
    unit = ops.where(unit > 1e-30, unit, 1.0)
    share = weights / _or_one(_sum(weights, axes))
    truth, mean_truth = _about_mean((truth - low_truth) / unit, share, axes)
    prediction, mean_prediction = _about_mean((prediction - low_prediction) / unit, share, axes)

    covariance = _sum(share * truth * prediction, axes)
    variances = _sum(share * ops.square(truth), axes) + _sum(share * ops.square(prediction), axes)
    spread = variances + ops.square(gap / unit + mean_prediction - mean_truth)
    return 2 * covariance / _or_one(spread)


def _pearson(truth, prediction, weights, axes: tuple[int, ...]):
    """cov(x, y) / sqrt(var x var y)."""
    share = weights / _or_one(_sum(weights, axes))
    centred = []
    for values in (truth, prediction):
        low, width = _range(values, weights, axes)
        unit = ops.where(width > 1e-30, width, 1.0)  # each its own: r heeds neither scale
        centred.append(_about_mean((values - low) / unit, share, axes)[0])
    truth, prediction = centred
    variances = _sum(share * ops.square(truth), axes) * _sum(share * ops.square(prediction), axes)
    return _sum(share * truth * prediction, axes) / ops.sqrt(_or_one(variances))


def _about_mean(values, share, axes: tuple[int, ...]):
    mean = _sum(share * values, axes)
    return values - mean, mean


def _range(values, weights, axes):
    """The lowest value with a weight, and the highest less the lowest (negative where nothing has a weight)."""
    values, most = ops.stop_gradient(values), 1e38
    low = ops.min(ops.where(weights > 0, values, most), axes, keepdims=True)
    high = ops.max(ops.where(weights > 0, values, -most), axes, keepdims=True)
    return low, high - low


def _sum(values, axes: tuple[int, ...]):
    return ops.sum(values, axes, keepdims=True)


def _or_one(divisor):
    return ops.where(divisor > 0, divisor, 1.0)


def _float32(values):
    return ops.cast(ops.convert_to_tensor(values), "float32")
