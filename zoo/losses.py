"""What training minimises: class weights here; the losses themselves are Keras's."""

from collections.abc import Sequence

import numpy as np

from zoo.errors import UserError, unknown

CLASS_WEIGHTS = ("none", "inverse", "balanced")


def class_weights(kind: str, labels: Sequence[int], classes: Sequence[str]) -> dict[str, float]:
    """Returns the weight of each class's clips in the loss.

    "inverse" is r_k ~ N / N_k (Zhao et al. 2019, eq 11) with the factor 1/10 that their Table 4 has; "balanced" is
    N / (K N_k), so that the mean weight is one; "none" is one throughout; or weights by name, "sad=2,angry=1.5,...".

    Args:
        labels: training labels as indices into `classes`.

    Raises:
        UserError: unknown kind or class, a class without a weight, or a weight that is no positive number.
    """
    counts = np.bincount(labels, minlength=len(classes))
    if kind == "none":
        return dict.fromkeys(classes, 1.0)
    if kind in ("inverse", "balanced"):
        factor = 10 if kind == "inverse" else len(classes)
        return {name: float(len(labels) / (factor * count)) for name, count in zip(classes, counts, strict=True)}
    if "=" not in kind:
        raise unknown("--class-weights", kind, CLASS_WEIGHTS)
    return _explicit(kind, classes)


def _explicit(text: str, classes: Sequence[str]) -> dict[str, float]:
    weights = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name not in classes:
            raise unknown("class in --class-weights", name, classes)
        try:
            weights[name] = float(value)
        except ValueError:
            weights[name] = -1.0
        if not 0 < weights[name] <= 1000:
            raise UserError(f"--class-weights: {name} has {value!r}, expected a positive number up to 1000")
    absent = [name for name in classes if name not in weights]
    if absent:
        raise UserError(f"--class-weights: no weight for {', '.join(absent)}; expected one for every class")
    return weights
