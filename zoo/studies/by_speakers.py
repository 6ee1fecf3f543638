"""Draw nested sets of training speakers, and fit a power law to the errors of networks trained on them.

The error 1 - UA of n speakers is taken as a * n ** -b (Cortes et al. 1994; Hestness et al. 2017, arXiv 1712.00409). A
lower bound of the error, which a corpus may have, cannot be told from so few points: the curve goes on without one, and
beyond the points it is rather too good.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, zip_longest
from typing import Any

import numpy as np
import scipy  # its parts are imported when used

from zoo.data.schema import Clip, Fold
from zoo.errors import UserError
from zoo.metrics.bootstrap import draws, percentiles
from zoo.metrics.undefined import number, with_interval

N_RESAMPLES = 500
SEX = "sex"  # a target of the corpora that know it


def order(clips: Sequence[Clip], seed: int) -> list[str]:
    """Return the speakers of clips in a random order, in which the sexes take turns where the corpus has them.

    The first n of it are a draw of n speakers, and part of every larger one.
    """
    sexes = {clip.speaker: str(clip.targets.get(SEX, "")) for clip in clips}
    rng = np.random.default_rng(seed)
    groups = [sorted(name for name, sex in sexes.items() if sex == one) for one in sorted(set(sexes.values()))]
    shuffled = [[group[index] for index in rng.permutation(len(group))] for group in groups]
    shuffled = [shuffled[index] for index in rng.permutation(len(shuffled))]  # who is first of an odd number
    return [name for name in chain.from_iterable(zip_longest(*shuffled)) if name is not None]


def drawn(fold: Fold, n_speakers: int, seed: int) -> Fold:
    """Return the fold with training clips of `n_speakers` speakers alone. Raises UserError where it has fewer."""
    speakers = order(fold.train, seed)
    if not 1 <= n_speakers <= len(speakers):
        raise UserError(f"--speakers {n_speakers}: expected 1 to {len(speakers)}, the training speakers of {fold.name}")
    chosen = set(speakers[:n_speakers])
    return replace(fold, train=tuple(clip for clip in fold.train if clip.speaker in chosen))


def power_law(counts: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """Return a and b of errors (points,) = a * counts ** -b, by least squares.

    >>> a, b = power_law(np.array([4.0, 8.0, 16.0]), np.array([0.4, 0.2, 0.1]))  # each doubling halves it
    >>> round(a, 3), round(b, 3)
    (1.6, 1.0)
    """
    slope, intercept = np.polyfit(np.log(counts), np.log(np.maximum(errors, 1e-6)), 1)
    start = (float(np.exp(intercept)), float(-slope))
    found = scipy.optimize.least_squares(lambda law: law[0] * counts ** -law[1] - errors, start)
    return float(found.x[0]), float(found.x[1])


def extrapolate(counts: Sequence[int], uas: np.ndarray, factor: float = 2.0) -> dict[str, Any]:
    """Return the curve of UA, (draws, points) in 0..1, its power law, and the UA of `factor` times the most speakers.

    Intervals (95 %) are of a bootstrap over the draws, each a fold and seed with all its points. `backtest` predicts
    the last point from those before it, None with less than three points. Raises ValueError for less than two points.
    """
    if len(counts) < 2:
        raise ValueError(f"expected two numbers of speakers or more, found {len(counts)}")
    n = np.asarray(counts, np.float64)
    resampled = draws(np.random.default_rng(0), len(uas), N_RESAMPLES) @ uas / len(uas)
    every = np.concatenate([uas.mean(axis=0)[None], resampled])
    laws = np.array([power_law(n, 1 - curve) for curve in every])
    beyond = 1 - laws[:, 0] * (factor * n[-1]) ** -laws[:, 1]
    found: dict[str, Any] = {
        "speakers": list(counts),
        "draws": len(uas),
        "ua": [_bounded(every[:, index], len(uas)) for index in range(len(n))],
        "power_law": {"a": number(laws[0, 0]), "b": number(laws[0, 1])},
        "extrapolated": {"speakers": int(factor * n[-1]), "ua": _bounded(beyond, len(uas))},
        "backtest": None,
    }
    if len(n) > 2:
        a, b = power_law(n[:-1], 1 - every[0, :-1])
        found["backtest"] = {"speakers": counts[-1], "predicted": float(1 - a * n[-1] ** -b), "found": every[0, -1]}
    return found


def _bounded(values: np.ndarray, n_draws: int) -> Mapping[str, float | None]:
    """Return a figure, the first of `values`, with its interval over the others; none of a single draw."""
    if n_draws == 1:
        return with_interval(values[0], np.nan, np.nan)
    low, high = percentiles(values[1:, None])
    return with_interval(values[0], low[0], high[0])
