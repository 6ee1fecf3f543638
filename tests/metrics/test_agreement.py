"""Agreement of raters against published and hand-worked numbers, and against its definition pair by pair."""

from itertools import permutations

import numpy as np
import pytest

from zoo.metrics.agreement import krippendorff_alpha

# Krippendorff 2011, section C: four observers, twelve units, five values; alpha of nominal data is 0.743.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]


def counted(observers) -> np.ndarray:
    units = zip(*observers, strict=True)
    return np.array([[unit.count(value) for value in range(1, 6)] for unit in units])


def by_definition(counts) -> float:
    """Compute Krippendorff's alpha from its definition, 1 - D_o / D_e, over all pairs of ratings."""
    units = [[k for k, n in enumerate(unit) for _ in range(n)] for unit in counts]
    units = [unit for unit in units if len(unit) > 1]
    ratings = [k for unit in units for k in unit]
    observed = sum(sum(a != b for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in units) / len(ratings)
    expected = np.mean([a != b for a, b in permutations(ratings, 2)])
    return 1 - observed / expected


def test_published_example():
    assert krippendorff_alpha(counted(OBSERVERS)) == pytest.approx(0.743, abs=5e-4)


def test_definition(rng):
    counts = rng.integers(0, 4, (20, 3))
    assert krippendorff_alpha(counts) == pytest.approx(by_definition(counts), abs=1e-12)


def test_edges():
    assert krippendorff_alpha([[3, 0], [0, 2]]) == 1
    assert krippendorff_alpha([[1, 1], [1, 1]]) == pytest.approx(1 - 1 / (2 * 2 * 2 / 12))  # all pairs differ: -0.5
    assert krippendorff_alpha([[2, 0], [0, 2], [1, 0]]) == 1  # one rater alone says nothing
    assert np.isnan(krippendorff_alpha([[2, 0], [3, 0]]))
    assert np.isnan(krippendorff_alpha(np.zeros((0, 2))))
    with pytest.raises(ValueError, match="expected counts"):
        krippendorff_alpha([1, 2])
    with pytest.raises(ValueError, match="expected counts"):
        krippendorff_alpha([[1, -1]])
