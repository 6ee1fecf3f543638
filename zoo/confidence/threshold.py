"""Choose the threshold below which a model abstains, on validation clips, for a wanted error or coverage."""

from collections.abc import Mapping

import numpy as np

from zoo.errors import UserError
from zoo.metrics.confidence import risk_coverage

LEAST_COVERAGE = 0.1  # of a threshold for an error: a few right answers in a row say little


def check(wanted: Mapping[str, float]) -> None:
    """Raise UserError for an error or a coverage that is no share."""
    (name, value), flag = next(iter(wanted.items())), {"error": "--abstain-at-error", "coverage": "--coverage"}
    if name == "error" and not 0 < value < 1:
        raise UserError(f"{flag[name]} is {value}, expected a share of wrong answers between 0 and 1, such as 0.3")
    if name == "coverage" and not LEAST_COVERAGE <= value <= 1:
        raise UserError(f"{flag[name]} is {value}, expected a share of answered clips in {LEAST_COVERAGE}..1")


def choose(confidence: np.ndarray, correct: np.ndarray, wanted: Mapping[str, float], where: str) -> float:
    """Return the threshold, 0..1, of the largest coverage with at most the wanted error, or of the wanted coverage.

    It lies in the middle between two clips' confidences, so that rounding moves no clip across; 0 abstains never.
    `where` names the clips in errors. Raises UserError where no threshold that leaves `LEAST_COVERAGE` reaches the
    error.
    """
    curve = risk_coverage(confidence, correct)
    if "coverage" in wanted:
        last = int(np.argmax(curve.coverage >= wanted["coverage"] - 1e-9))
    else:
        enough = curve.coverage >= LEAST_COVERAGE
        reached = np.flatnonzero(enough & (curve.risk <= wanted["error"]))
        if not len(reached):
            best = int(np.argmin(np.where(enough, curve.risk, np.inf)))
            raise UserError(
                f"{where}: no threshold on the validation clips reaches an error of {100 * wanted['error']:g} %; the "
                f"least is {100 * curve.risk[best]:.1f} %, at a coverage of {100 * curve.coverage[best]:.0f} %. Give a "
                "higher --abstain-at-error, or --coverage"
            )
        last = int(reached[-1])
    if last + 1 == len(curve.threshold):
        return 0.0
    return float((curve.threshold[last] + curve.threshold[last + 1]) / 2)
