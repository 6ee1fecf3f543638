"""Fit confidence on validation clips: engines, the map from a score to a probability, and a threshold."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import StratifiedGroupKFold

from zoo.confidence import threshold
from zoo.confidence.fit import Engine, Fit, engine_inputs, estimate, score
from zoo.confidence.measures import MEASURES
from zoo.errors import UserError

ENGINES = 4  # at most, each trained without another part of the speakers
CERTAIN = 0.8  # an engine labels a recording right from this estimate on, wrong up to 1 less this
ROUNDS = 3  # of labelling and training again


@dataclass(frozen=True)
class Answered:
    """Answers of a model to clips that it was not trained on.

    `truth` (n,) are class indices, `probabilities` (n, classes); `functionals` (n, 88) are eGeMAPS's and `agreement`
    (n,) the share of raters that chose the most frequent class, where they are known.
    """

    names: tuple[str, ...]
    speakers: tuple[str, ...]
    truth: np.ndarray
    probabilities: np.ndarray
    functionals: np.ndarray | None = None
    agreement: np.ndarray | None = None

    @property
    def prediction(self) -> np.ndarray:
        return self.probabilities.argmax(axis=-1)

    @property
    def correct(self) -> np.ndarray:
        return self.prediction == self.truth


def fit(
    clips: Answered,
    classes: tuple[str, ...],
    measure: str,
    wanted: Mapping[str, float],
    where: str,
    pool: np.ndarray | None = None,
) -> Fit:
    """Fit a confidence on the validation `clips` of a model; `where` names them in errors.

    Engines are trained on all speakers but one part of them, and estimate that part, so that the threshold is chosen on
    estimates of unseen speakers. `pool` are the model's probabilities (m, classes) of unlabelled recordings, which
    error_model_self needs.

    Raises UserError where it lacks clips, several speakers, right and wrong answers, votes, or the pool, and where no
    threshold reaches the error.
    """
    threshold.check(wanted)
    _check(clips, where)
    engines: tuple[Engine, ...] = ()
    n_labelled = 0
    if MEASURES[measure].has_engines:
        engines, values, n_labelled = _engines(clips, measure, where, pool)
    else:
        values = score(measure, clips.probabilities, None, ())
    slope, intercept, chosen = calibrated(values, clips.correct, wanted, where)
    kept = expit(slope * values + intercept) >= chosen
    figures = {"clips": len(kept), "error": 1 - float(clips.correct.mean()), "coverage": float(kept.mean())}
    figures["error_of_answered"] = 1 - float(clips.correct[kept].mean())
    if MEASURES[measure].self_labelled:
        figures["self_labelled"] = n_labelled
    return Fit(measure, classes, slope, intercept, chosen, dict(wanted), engines, figures)


def calibrated(
    values: np.ndarray, correct: np.ndarray, wanted: Mapping[str, float], where: str
) -> tuple[float, float, float]:
    """Return slope and intercept of `to_probability`, and the threshold for what is wanted (`threshold.choose`)."""
    slope, intercept = to_probability(values, correct)
    return slope, intercept, threshold.choose(expit(slope * values + intercept), correct, wanted, where)


def _check(clips: Answered, where: str) -> None:
    correct = clips.correct if len(clips.truth) else np.zeros(0)
    if len(correct) == 0:
        raise UserError(f"{where}: no validation clips, on which confidence is fitted. Train with a validation side")
    if not np.isfinite(clips.probabilities).all():
        raise UserError(f"{where}: expected probabilities that are finite, found NaN. Train and predict again")
    if correct.all() or not correct.any():
        which = "right" if correct.all() else "wrong"
        raise UserError(f"{where}: all {len(correct)} validation clips are {which}; confidence needs both. Give more")


def to_probability(values: np.ndarray, correct: np.ndarray) -> tuple[float, float]:
    """Return slope and intercept of the logistic function from a score to the probability of being right.

    Platt 1999 ("Probabilistic outputs for support vector machines"), with his smoothed targets, (n + 1) / (n + 2) for
    n right clips and 1 / (n + 2) for n wrong ones. A score that is no higher where answers are right says nothing: its
    slope is 0, and every clip gets the share of right ones.
    """
    n_right = int(correct.sum())
    share = (n_right + 1) / (len(correct) + 2)
    target = np.where(correct, (n_right + 1) / (n_right + 2), 1 / (len(correct) - n_right + 2))
    deviation, mean = float(values.std()), float(values.mean())
    if deviation < 1e-12:
        return 0.0, float(np.log(share / (1 - share)))
    rows = np.concatenate([values, values])[:, None]
    labels = np.repeat([1, 0], len(values))
    model = LogisticRegression(C=1e6).fit((rows - mean) / deviation, labels, np.concatenate([target, 1 - target]))
    slope = float(model.coef_[0, 0]) / deviation
    if slope <= 0:
        return 0.0, float(np.log(share / (1 - share)))
    return slope, float(model.intercept_[0]) - slope * mean


def _engines(
    clips: Answered, measure: str, where: str, pool: np.ndarray | None
) -> tuple[tuple[Engine, ...], np.ndarray, int]:
    """Train engines on parts of the speakers.

    Returns them, of each clip the estimate of that engine which lacks it, and how many recordings of the pool were
    labelled in the last round.
    """
    row, n_engines = MEASURES[measure], _check_engines(clips, measure, where, pool)
    inputs = engine_inputs(measure, clips.probabilities, clips.functionals)
    target = clips.agreement if row.of_agreement else clips.correct
    assert target is not None
    divided = StratifiedGroupKFold(n_engines, shuffle=True, random_state=0)
    parts = list(divided.split(inputs, clips.correct, clips.speakers))
    engines = [_engine(inputs[train], target[train], row.of_agreement, where) for train, _ in parts]
    n_labelled = 0
    if row.self_labelled and pool is not None:
        others = engine_inputs(measure, pool, None)
        for _ in range(ROUNDS):
            chosen, labels = self_labelled(measure, engines, others)
            n_labelled, known = len(chosen), others[chosen]
            engines = [
                _engine(np.concatenate([inputs[train], known]), np.concatenate([target[train], labels]), False, where)
                for train, _ in parts
            ]
    values = np.empty(len(inputs))
    for engine, (_, held) in zip(engines, parts, strict=True):
        values[held] = estimate(measure, engine, inputs[held])
    return tuple(engines), values, n_labelled


def _check_engines(clips: Answered, measure: str, where: str, pool: np.ndarray | None) -> int:
    """Return the number of engines. Raises UserError where what they learn from is absent."""
    n_engines = min(ENGINES, len(set(clips.speakers)))
    if n_engines < 2:
        raise UserError(f"{where}: {measure} needs validation clips of at least 2 speakers, found one. Choose another")
    if MEASURES[measure].of_agreement and clips.agreement is None:
        raise UserError(f"{where}: agreement is learnt from raters' votes, and the validation clips have none")
    if MEASURES[measure].self_labelled and (pool is None or not len(pool)):
        raise UserError("error_model_self labels recordings without a label itself; name their folder with --pool")
    return n_engines


def self_labelled(measure: str, engines: list[Engine], inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the recordings that every engine is sure of, and whether they say that the model is right there.

    Self-training of the error models (MixedEmotions D4.2, section 2.4.2): indices (k,) and labels (k,). Sure is an
    estimate of at least `CERTAIN`, or at most 1 - `CERTAIN`, by all of them.
    """
    estimates = np.stack([estimate(measure, engine, inputs) for engine in engines])
    right = np.all(estimates >= CERTAIN, axis=0)
    wrong = np.all(estimates <= 1 - CERTAIN, axis=0)
    chosen = np.flatnonzero(right | wrong)
    return chosen, np.asarray(right)[chosen]


def _engine(inputs: np.ndarray, target: np.ndarray, of_agreement: bool, where: str) -> Engine:
    """Train one engine on standardised inputs, regularised the more the more inputs there are."""
    mean, deviation = inputs.mean(axis=0), np.maximum(inputs.std(axis=0), 1e-9)
    standard, n_inputs = (inputs - mean) / deviation, inputs.shape[1]
    if of_agreement:
        ridge = Ridge(alpha=n_inputs).fit(standard, target)
        weights, bias = ridge.coef_, float(ridge.intercept_)
    else:
        if len(set(target.tolist())) < 2:
            raise UserError(f"{where}: some speakers' answers are all right or all wrong; choose another --measure")
        logistic = LogisticRegression(C=1 / n_inputs, max_iter=1000).fit(standard, target)
        weights, bias = logistic.coef_[0], float(logistic.intercept_[0])
    return Engine(weights / deviation, bias - float((weights / deviation) @ mean))
