"""Measure how far raters agree on classes, from the number of raters that chose each class for each clip."""

import numpy as np
from numpy.typing import ArrayLike


def krippendorff_alpha(counts: ArrayLike) -> float:
    """Krippendorff's alpha for nominal data (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability").

    1 - D_o / D_e, the disagreement of pairs of raters within units over that of pairs of all ratings. Units may have
    any number of raters; those with one say nothing of agreement and do not count. 1 is perfect agreement, 0 what
    chance gives, below 0 worse than chance; NaN without a pair, or where all ratings are of one class.

    Args:
        counts: number of raters by unit and class, (units, classes).

    Raises ValueError for another shape or counts below 0.

    >>> round(krippendorff_alpha([[2, 0], [0, 2], [1, 1]]), 3)  # 1 - (6 - 1) (2) / (2 * 3 * 3)
    0.444
    """
    table = np.asarray(counts, np.float64)
    if table.ndim != 2 or not np.all(table >= 0):
        raise ValueError(f"expected counts (units, classes) from 0, found the shape {table.shape}")
    raters = table.sum(axis=1)
    table, raters = table[raters >= 2], raters[raters >= 2]
    by_class = table.sum(axis=0)
    # Ordered pairs of different classes; each unit's count by 1 / (raters - 1), so that each rating weighs the same.
    observed = ((raters**2 - np.square(table).sum(axis=1)) / (raters - 1)).sum()
    total = by_class.sum()
    expected = total**2 - np.square(by_class).sum()
    return float(1 - (total - 1) * observed / expected) if expected > 0 else float("nan")
