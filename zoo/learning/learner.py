"""Define the interface of models in simulated labelling: fit on the labelled clips, predict the others."""

from dataclasses import dataclass
from typing import Any
from typing import Protocol as Interface

import numpy as np

from zoo.confidence.temperature import fit_temperature, with_temperature
from zoo.errors import UserError


@dataclass(frozen=True)
class Predictions:
    """Calibrated probabilities (clips, classes) of a fold's three sides; `facts` go into the point of the curve."""

    pool: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    facts: dict[str, Any]


class Learner(Interface):
    """A model that is fitted again and again on clips of one fold's pool.

    `vectors` (clips of the pool, features) are standardised by the pool, for strategies that measure distances.
    """

    vectors: np.ndarray

    def fit(self, clips: np.ndarray, labels: np.ndarray, seed: int) -> Predictions:
        """Fit on `clips`, indices into the pool, with class indices `labels`; predict every clip of the fold.

        Raises UserError for labels of one class.
        """


def check_classes(labels: np.ndarray) -> None:
    """Raise UserError unless several classes are among the labels."""
    if len(np.unique(labels)) < 2:
        raise UserError(
            f"{len(labels)} labelled clips are of one class or none, expected several classes. Label clips of another "
            "class first (--initial of learn.py draws some of every class)"
        )


def calibrated(shares: dict[str, np.ndarray], truth: np.ndarray, facts: dict[str, Any]) -> Predictions:
    """Return predictions with one temperature, fitted on the validation side's labels `truth`.

    `shares` are probabilities (clips, classes) of "pool", "validation" and "test". A class that has none anywhere, as
    without a label, keeps 0 and leaves its validation clips out.
    """
    known = shares["validation"].sum(axis=0) > 0
    judged = known[truth]
    temperature = fit_temperature(shares["validation"][judged][:, known], _among(truth[judged], known))
    after = {side: np.zeros(values.shape) for side, values in shares.items()}
    for side, values in shares.items():
        after[side][:, known] = with_temperature(values[:, known], temperature)
    return Predictions(**after, facts={**facts, "temperature": temperature})


def _among(labels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return class indices among the known classes alone."""
    return (np.cumsum(known) - 1)[labels]
