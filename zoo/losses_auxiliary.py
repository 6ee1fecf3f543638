"""Compute losses beside that of classes: distillation, and supervised contrast. Functions of keras.ops, in float32."""

from typing import Any

import numpy as np
from keras import ops

_LEAST = 1e-7  # probability, as Keras clips it


def soften(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities (..., classes) at a temperature: q_i = p_i^(1/T) / sum_j p_j^(1/T), which sum to one.

    Where p is the softmax of logits z, q is the softmax of z / T (Hinton, Vinyals, Dean 2015, eq 1).

    >>> soften(np.array([0.9, 0.1]), 2.0).round(2).tolist()  # 0.949 and 0.316, of 1.265
    [0.75, 0.25]
    """
    logits = np.log(np.clip(probabilities, _LEAST, 1.0)) / temperature
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def distillation(targets: Any, probabilities: Any, temperature: float, weights: Any = None) -> Any:
    """Return T^2 times the mean cross-entropy of softened probabilities against a teacher's: at least 0.

    Hinton, Vinyals, Dean: "Distilling the Knowledge in a Neural Network", NIPS 2014 workshop, section 2: with q the
    teacher's and p the student's probabilities, both at the temperature T, T^2 * mean(-sum_i q_i log p_i). The factor
    keeps the size of gradients, which go with 1 / T^2. `targets` (batch, classes) are softened already (`soften`);
    `probabilities` (batch, classes) are not. Weights (batch,) multiply, and do not change the divisor, as in Keras.
    """
    targets, probabilities = (ops.cast(ops.convert_to_tensor(one), "float32") for one in (targets, probabilities))
    sums = ops.sum(probabilities, -1, keepdims=True)
    logits = ops.log(ops.clip(probabilities / ops.where(sums > 0, sums, 1.0), _LEAST, 1 - _LEAST))
    entropies = -ops.sum(targets * ops.log_softmax(logits / temperature, axis=-1), -1)
    if weights is not None:
        entropies = entropies * ops.reshape(ops.cast(ops.convert_to_tensor(weights), "float32"), (-1,))
    return temperature**2 * ops.mean(entropies)


def supervised_contrast(labels: Any, vectors: Any, temperature: float) -> Any:
    """Return the supervised contrastive loss of a batch: at least 0.

    Khosla et al.: "Supervised Contrastive Learning", NeurIPS 2020, eq 2: with z vectors of length one, P(i) the other
    clips of the class of i, and A(i) all other clips,

        mean over i of  -1 / |P(i)| sum over p in P(i) of log(exp(z_i z_p / T) / sum over a in A(i) of exp(z_i z_a / T))

    The paper sums over i; the mean makes the loss independent of the batch's size. A clip is there once, where the
    paper has two views of it. Clips without another one of their class are left out of the mean; of none the loss is 0.

    `labels` (batch, classes) are shares of classes, those of mixtures too: p counts by y_i y_p, its agreement with i,
    in place of 1, and the sum of these takes the place of |P(i)|. Clips without a label, rows of zeros, have no part.
    `vectors` (batch, width) may have any length.
    """
    labels, vectors = (ops.cast(ops.convert_to_tensor(one), "float32") for one in (labels, vectors))
    lengths = ops.sqrt(ops.sum(ops.square(vectors), -1, keepdims=True) + 1e-12)
    vectors = vectors / lengths
    labelled = ops.cast(ops.sum(labels, -1) > 0, "float32")
    other = 1 - ops.eye(ops.shape(labels)[0], dtype="float32")
    agreement = ops.matmul(labels, ops.transpose(labels)) * other
    similarity = ops.matmul(vectors, ops.transpose(vectors)) / temperature
    similarity = ops.where(other * labelled[None, :] > 0, similarity, -1e9)
    log_shares = ops.where(agreement > 0, ops.log_softmax(similarity, axis=-1), 0.0)
    total = ops.sum(agreement, -1)
    counted = ops.cast(total > 0, "float32")
    losses = -ops.sum(agreement * log_shares, -1) / ops.where(total > 0, total, 1.0)
    return ops.sum(losses * counted) / ops.maximum(ops.sum(counted), 1.0)
