"""Give a classification its confidence, and say whether to abstain, by the fit of a run or an export.

Rows of classes always have both columns: `confidence`, the estimated probability that the emotion is right, and
`abstained`, whether it lies below the threshold. Without a fit they are None. The emotion stays as predicted.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from zoo.confidence.fit import Fit
from zoo.errors import UserError
from zoo.frontends import opensmile

NOTHING: dict[str, Any] = {"confidence": None, "abstained": None}  # the columns, without a fit or an answer
FUNCTIONALS = ("egemaps", "opensmile")  # feature set, and its own functionals: 88 of a clip
RATE_HZ = 16_000  # at which functionals are computed where a fit takes them

# (probabilities (classes,), waveform (samples,)) -> the two columns
Judge = Callable[[np.ndarray, np.ndarray], dict[str, Any]]


def without_fit(probabilities: np.ndarray, waveform: np.ndarray) -> dict[str, Any]:
    """Return the two columns of a model without a fit."""
    return NOTHING


def judge_of(fit: Fit | None, rate_hz: int) -> Judge:
    """Return what gives answers of a model on waveforms at `rate_hz` their two columns.

    Raises UserError for a fit on functionals of a model at another rate than theirs, or without openSMILE.
    """
    if fit is None:
        return without_fit
    if fit.takes_functionals:
        check_rate(fit.measure, rate_hz)
        opensmile.clip_settings(*FUNCTIONALS)

    def judge(probabilities: np.ndarray, waveform: np.ndarray) -> dict[str, Any]:
        vector = opensmile.clip_functionals(waveform, rate_hz, *FUNCTIONALS)[None] if fit.takes_functionals else None
        confidence = float(fit.confidence(np.asarray(probabilities)[None], vector)[0])
        return {"confidence": round(confidence, 6), "abstained": confidence < fit.threshold}

    return judge


def check_rate(measure: str, rate_hz: int) -> None:
    """Raise UserError unless a model takes waveforms at the rate of the functionals."""
    if rate_hz != RATE_HZ:
        raise UserError(
            f"confidence by {measure} takes functionals at {RATE_HZ} Hz, and this model takes waveforms at {rate_hz} "
            "Hz; choose another --measure"
        )
