"""Compute CCC of ratings, and UA and macro-F1 of classes, as metrics for Keras's compile and fit.

Values cover all batches since the last reset: moments and counts are added up. A mean of
batches' CCC is not the CCC (0.457 where it was 0.941), nor is a mean of batches' recalls the UA.

Weights, per clip (batch,), per frame (batch, frames) or per value, say how often a value counts; one of weight 0 is as
if it were not there, NaN too. A mask that Keras carries along predictions counts as weights of 0 and 1; where neither
is given, padding counts, so give `sample_weight` for padded batches. All is summed in float32, whatever the policy;
counts are exact up to 2^24 clips of a class. What has no value is NaN.
"""

from typing import Any

import keras
from keras import ops

register = keras.saving.register_keras_serializable("zoo")

_MOMENTS = ("n", "mean_truth", "mean_prediction", "squares_truth", "squares_prediction", "products")


@register
class CCC(keras.metrics.Metric):
    """Concordance correlation coefficient (Lin 1989) in -1..1, the mean over `dimensions` rated ones.

    2 cov(x, y) / (var x + var y + (mean x - mean y)^2), population moments, merged over batches as Chan, Golub and
    LeVeque (1983) do. NaN for one value, and where both are constant and equal, as zoo.metrics.regression.

    Call: truth and prediction (batch, frames, dimensions) or (batch, dimensions), of one dimension (batch,) too.
    Raises ValueError for `dimensions` below 1, and for truth that is not of the prediction's shape.

    >>> metric = CCC()
    >>> for truth, prediction in (([0.0, 1.0], [0.0, 1.0]), ([2.0], [1.0])):
    ...     metric.update_state(truth, prediction)
    >>> round(float(metric.result()), 3)  # variances 2/3 and 2/9, covariance 1/3, means 1 and 2/3
    0.667
    """

    def __init__(self, dimensions: int = 1, name: str = "ccc", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        if dimensions < 1:
            raise ValueError(f"dimensions is {dimensions}, expected 1 or more")
        self.dimensions = dimensions
        for moment in (*_MOMENTS, "count"):
            setattr(self, moment, _sum(self, (dimensions,), moment))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch."""
        truth, prediction = (ops.cast(ops.convert_to_tensor(values), "float32") for values in (y_true, y_pred))
        shape = tuple(prediction.shape)
        pairs = zip(truth.shape, shape, strict=False)
        differ = len(truth.shape) != len(shape) or any(None not in pair and pair[0] != pair[1] for pair in pairs)
        if differ or (self.dimensions > 1 and shape[-1] != self.dimensions):
            expected = f"truth and prediction of one shape that ends in {self.dimensions}"
            raise ValueError(f"{self.name}: expected {expected}, found {tuple(truth.shape)} and {shape}")
        weights = _weights(prediction, sample_weight, y_pred)
        # A product with a weight of zero would not keep NaN out. Values last: TensorFlow sums over them pairwise.
        truth, prediction, weights = (
            ops.transpose(ops.reshape(values, (-1, self.dimensions)))
            for values in (*(ops.where(weights > 0, one, 0.0) for one in (truth, prediction)), weights)
        )
        n = ops.sum(weights, axis=1)
        (mean_truth, x), (mean_prediction, y) = (_centred(values, weights, n) for values in (truth, prediction))
        sums = [ops.sum(weights * terms, axis=1) for terms in (x * x, y * y, x * y)]
        self.count.assign_add(ops.sum(ops.cast(weights > 0, "float32"), axis=1))
        self._merge(n, mean_truth, mean_prediction, *sums)

    def _merge(self, n, mean_truth, mean_prediction, *sums) -> None:
        total = self.n + n
        share = n / ops.where(total > 0, total, 1.0)
        x, y = mean_truth - self.mean_truth, mean_prediction - self.mean_prediction
        between = share * self.n
        for name, within, offsets in zip(_MOMENTS[3:], sums, (x * x, y * y, x * y), strict=True):
            getattr(self, name).assign_add(within + between * offsets)
        self.mean_truth.assign_add(share * x)
        self.mean_prediction.assign_add(share * y)
        self.n.assign(total)

    def by_dimension(self) -> Any:
        """Return the CCC of each dimension, (dimensions,)."""
        spread = self.squares_truth + self.squares_prediction
        spread = spread + self.n * ops.square(self.mean_prediction - self.mean_truth)
        is_defined = ops.logical_and(self.count > 1, spread > 0)
        return ops.where(is_defined, 2 * self.products / ops.where(is_defined, spread, 1.0), float("nan"))

    def result(self) -> Any:
        """Return the mean over dimensions."""
        return ops.mean(self.by_dimension())

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "dimensions": self.dimensions}


class OfConfusion(keras.metrics.Metric):
    """A metric of the confusion matrix (`n_classes`, `n_classes`), rows the truth, that is counted over batches.

    Call: truth as indices (batch,), or (batch, n_classes) of which the largest is taken; a negative index is a clip
    without a label, and left out. Predictions are (batch, n_classes). Raises ValueError for `n_classes` below 2.
    """

    def __init__(self, n_classes: int, name: str, **kwargs: Any):
        super().__init__(name=name, **kwargs)
        if n_classes < 2:
            raise ValueError(f"n_classes is {n_classes}, expected 2 or more")
        self.n_classes = n_classes
        self.confusion = _sum(self, (n_classes, n_classes), "confusion")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch."""
        truth, prediction = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if prediction.shape[-1] != self.n_classes:
            found = f"found {tuple(prediction.shape)}"
            raise ValueError(f"{self.name}: expected predictions (batch, {self.n_classes}), {found}")
        if len(truth.shape) == len(prediction.shape):
            truth = ops.argmax(truth, axis=-1) if truth.shape[-1] == self.n_classes else ops.squeeze(truth, -1)
        predicted = ops.argmax(prediction, axis=-1)
        weights = ops.reshape(_weights(ops.cast(predicted, "float32"), sample_weight, y_pred), (-1,))
        labels = [ops.reshape(ops.cast(one, "int32"), (-1,)) for one in (truth, predicted)]
        is_known = ops.cast(labels[0] >= 0, "float32") * weights
        rows, columns = (ops.one_hot(ops.maximum(one, 0), self.n_classes, dtype="float32") for one in labels)
        self.confusion.assign_add(ops.matmul(ops.transpose(rows * is_known[:, None]), columns))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "n_classes": self.n_classes}


@register
class UA(OfConfusion):
    """Unweighted accuracy in 0..1: the mean recall over the classes that have a true clip.

    >>> metric = UA(2)
    >>> metric.update_state([0, 0, 0, 1], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])
    >>> metric.update_state([1], [[0.7, 0.3]])
    >>> round(float(metric.result()), 4)  # (2/3 + 1/2) / 2
    0.5833
    """

    def __init__(self, n_classes: int, name: str = "ua", **kwargs: Any):
        super().__init__(n_classes, name, **kwargs)

    def result(self) -> Any:
        """Return the mean of recalls."""
        return _mean_ratio(ops.diagonal(self.confusion), ops.sum(self.confusion, axis=1))


@register
class MacroF1(OfConfusion):
    """Macro F1 in 0..1: the mean F1, 2 hits / (true + predicted), over the classes in truth or prediction."""

    def __init__(self, n_classes: int, name: str = "macro_f1", **kwargs: Any):
        super().__init__(n_classes, name, **kwargs)

    def result(self) -> Any:
        """Return the mean of F1 scores."""
        either = ops.sum(self.confusion, axis=1) + ops.sum(self.confusion, axis=0)
        return _mean_ratio(2 * ops.diagonal(self.confusion), either)


def _sum(metric: keras.metrics.Metric, shape: tuple[int, ...], name: str) -> Any:
    return metric.add_weight(shape=shape, initializer="zeros", dtype="float32", name=name)


def _weights(values: Any, sample_weight: Any, masked: Any) -> Any:
    """Return a weight for each value, of their shape."""
    weights = ops.ones_like(values)
    for given in (sample_weight, getattr(masked, "_keras_mask", None)):
        if given is not None:
            given = ops.cast(ops.convert_to_tensor(given), "float32")
            if len(given.shape) > len(values.shape):  # (batch, 1) of clips
                given = ops.squeeze(given, -1)
            while 0 < len(given.shape) < len(values.shape):
                given = ops.expand_dims(given, -1)
            weights = weights * given
    return weights


def _centred(values: Any, weights: Any, n: Any) -> tuple[Any, Any]:
    """Return the weighted mean of values (dimensions, n), 0 without any, and the values less it."""
    mean = ops.sum(weights * values, axis=1) / ops.where(n > 0, n, 1.0)
    return mean, values - mean[:, None]


def _mean_ratio(part: Any, whole: Any) -> Any:
    """Return the mean of part / whole where the whole is above 0; NaN where it nowhere is."""
    is_there = ops.cast(whole > 0, "float32")
    n = ops.sum(is_there)
    return ops.where(n > 0, ops.sum(part / ops.where(whole > 0, whole, 1.0)) / ops.where(n > 0, n, 1.0), float("nan"))
