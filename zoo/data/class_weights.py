"""Weigh the classes of a corpus against each other in training."""

from collections.abc import Sequence

import numpy as np

from zoo.errors import UserError, unknown

CLASS_WEIGHTS = ("none", "inverse", "balanced")


def class_weights(kind: str, labels: Sequence[int], classes: Sequence[str]) -> dict[str, float]:
    """Return the weight in the loss of each class's utterances.

    "inverse" is N / (10 N_k) (Zhao et al. 2019, eq 11, with the factor of their Table 4); "balanced" is N / (K N_k), so
    that the mean weight is one; "none" is one throughout; or weights by name, "sad=2,angry=1.5,...".

    `labels` are those of the training utterances, as indices into `classes`. Raises UserError for an unknown kind or
    class, a class without a weight, or a weight that is no positive number.

    >>> class_weights("balanced", [0, 0, 0, 1], ("angry", "sad"))  # 4 / (2 * 3), 4 / (2 * 1)
    {'angry': 0.6666666666666666, 'sad': 2.0}
    """
    counts = np.bincount(labels, minlength=len(classes))
    if kind == "none":
        return dict.fromkeys(classes, 1.0)
    if kind in ("inverse", "balanced"):
        factor = 10 if kind == "inverse" else len(classes)
        return {name: float(len(labels) / (factor * count)) for name, count in zip(classes, counts, strict=True)}
    if "=" not in kind:
        raise unknown("--class-weights", kind, CLASS_WEIGHTS)
    weights: dict[str, float] = {}
    for part in kind.split(","):
        name, _, value = part.partition("=")
        if name not in classes:
            raise unknown("class in --class-weights", name, classes)
        try:
            weights[name] = float(value)
        except ValueError:
            weights[name] = -1.0
        if not 0 < weights[name] <= 1000:
            raise UserError(f"--class-weights: {name} has {value!r}, expected a positive number up to 1000")
    if absent := ", ".join(name for name in classes if name not in weights):
        raise UserError(f"--class-weights: no weight for {absent}; expected one for every class")
    return weights
