"""Compute confidence in the graph: the measures of zoo.confidence that probabilities alone decide."""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from zoo.confidence.fit import Fit
from zoo.confidence.measures import LEAST, MEASURES
from zoo.errors import UserError

Answers = dict[str, tf.Tensor]


def check(fit: Fit | None, where: str) -> None:
    """Raise UserError for a confidence that no graph can hold."""
    if fit and not MEASURES[fit.measure].in_graph:
        usable = ", ".join(name for name, row in MEASURES.items() if row.in_graph)
        raise UserError(
            f"{where}: its confidence is measured by {fit.measure}, from openSMILE's functionals, which no graph can "
            f"compute. Fit another measure ({usable}) with scripts/confidence.py, or add --without-confidence"
        )


def with_confidence(answers: Answers, fit: Fit) -> Answers:
    """Add `confidence` (batch,), 0..1, and `abstained` (batch,), bool, to answers with `probabilities`."""
    logit = fit.slope * _score(answers["probabilities"], fit) + fit.intercept
    confidence = tf.sigmoid(logit)
    return {**answers, "confidence": confidence, "abstained": confidence < fit.threshold}


def _score(probabilities: tf.Tensor, fit: Fit) -> tf.Tensor:
    if fit.measure in _MEASURES:
        return _MEASURES[fit.measure](probabilities)
    parts = [tf.math.log(tf.maximum(probabilities, LEAST))]
    parts += [_MEASURES[name](probabilities)[:, None] for name in ("maximum", "margin", "entropy")]
    inputs = tf.concat(parts, axis=-1)
    weights = tf.constant(np.stack([one.weights for one in fit.engines]), tf.float32)
    biases = tf.constant([one.bias for one in fit.engines], tf.float32)
    return tf.reduce_mean(tf.sigmoid(tf.matmul(inputs, weights, transpose_b=True) + biases), axis=-1)


def _maximum(probabilities: tf.Tensor) -> tf.Tensor:
    return tf.reduce_max(probabilities, axis=-1)


def _margin(probabilities: tf.Tensor) -> tf.Tensor:
    largest = tf.math.top_k(probabilities, 2).values
    return largest[:, 0] - largest[:, 1]


def _entropy(probabilities: tf.Tensor) -> tf.Tensor:
    shares = tf.maximum(probabilities, LEAST)
    n_classes = tf.cast(tf.shape(probabilities)[-1], tf.float32)
    return 1 + tf.reduce_sum(shares * tf.math.log(shares), axis=-1) / tf.math.log(n_classes)


def _hyperplane(probabilities: tf.Tensor) -> tf.Tensor:
    largest = tf.math.log(tf.math.top_k(tf.maximum(probabilities, LEAST), 2).values)
    return largest[:, 0] - largest[:, 1]


_MEASURES: Mapping[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "maximum": _maximum,
    "margin": _margin,
    "entropy": _entropy,
    "hyperplane": _hyperplane,
}
