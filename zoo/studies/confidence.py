"""Fit a run's confidence on its validation clips, and judge measures of confidence on its test clips.

Each fold has fits of its own, on its validation speakers, which are judged on its test speakers. The average over folds
has a fit on all folds' validation clips, each answered by its own fold: no clip of the corpus can test that average.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import expit

from zoo.confidence import fitting
from zoo.confidence.fit import Fit
from zoo.confidence.fitting import Answered
from zoo.confidence.measures import MEASURES, disagreement
from zoo.errors import UserError
from zoo.metrics import confidence as metrics
from zoo.metrics.confidence_figures import evaluate, evaluate_abstaining
from zoo.metrics.undefined import number
from zoo.runs import confidence_file
from zoo.runs.open_run import OpenedRun
from zoo.studies.confidence_clips import FoldAnswers
from zoo.utils.progress import Progress

OF_ENSEMBLES = {
    "ensemble": "mean probability that several runs give to the answer",
    "disagreement": "minus the mutual information of several runs' answers",
}
COVERAGE = 0.8  # at which accuracies are compared
_POINTS = 60  # of a curve in a record

Wanted = Mapping[str, float]
# Scores of the validation and test clips of each fold.
Scores = Sequence[tuple[np.ndarray, np.ndarray]]


def fits(run: OpenedRun, folds: Sequence[FoldAnswers], measure: str, wanted: Wanted) -> dict[str, Fit]:
    """Return the fit of each fold by its name, and that of the average over them as confidence_file.ALL."""
    classes = run.protocol.classes
    found = {
        fold.name: fitting.fit(fold.validation, classes, measure, wanted, _where(run, fold.name), fold.pool)
        for fold in folds
    }
    every = pooled([fold.validation for fold in folds])
    pools = [fold.pool for fold in folds if fold.pool is not None]
    pool = np.mean(pools, axis=0) if pools else None
    found[confidence_file.ALL] = fitting.fit(every, classes, measure, wanted, _where(run, "all"), pool)
    return found


def judge(
    run: OpenedRun, folds: Sequence[FoldAnswers], measure: str, wanted: Wanted, made: Mapping[str, Fit] | None = None
) -> dict[str, Any]:
    """Return a measure's figures on the test clips of all folds, by the fits of their own folds."""
    made = made or fits(run, folds, measure, wanted)
    confidences = [made[fold.name].confidence(fold.test.probabilities, fold.test.functionals) for fold in folds]
    thresholds = [made[fold.name].threshold for fold in folds]
    title = MEASURES[measure].title
    if MEASURES[measure].self_labelled:
        labelled = [f"{made[fold.name].validation['self_labelled']:g}" for fold in folds]
        title += f": {', '.join(labelled)} of them"
    return {"title": title, **_judged(folds, confidences, thresholds)}


def judge_ensemble(
    run: OpenedRun, folds: Sequence[FoldAnswers], others: Sequence[Sequence[FoldAnswers]], wanted: Wanted
) -> dict[str, Any]:
    """Return the figures of confidence by several runs of the same folds: their answers to the first run's clips.

    Raises UserError for runs that have not answered the same clips.
    """
    members = [_members(fold, others) for fold in folds]
    judged = {}
    for name, title in OF_ENSEMBLES.items():
        confidences, thresholds = [], []
        for fold, (validation, test) in zip(folds, members, strict=True):
            known = _of_ensemble(name, validation, fold.validation)
            correct, where = fold.validation.correct, _where(run, fold.name)
            slope, intercept, chosen = fitting.calibrated(known, correct, wanted, where)
            confidences.append(expit(slope * _of_ensemble(name, test, fold.test) + intercept))
            thresholds.append(chosen)
        judged[name] = {"title": f"{title} ({1 + len(others)} runs)", **_judged(folds, confidences, thresholds)}
    return judged


def study(
    run: OpenedRun,
    folds: Sequence[FoldAnswers],
    measures: Sequence[str],
    wanted: Wanted,
    made: Mapping[str, Mapping[str, Fit]],
    others: Sequence[Sequence[FoldAnswers]],
    progress: Progress,
    optional: Collection[str] = (),
) -> dict[str, Any]:
    """Return the record of all `measures`, and of ensembles with `others`; `made` are fits that are there already.

    An `optional` measure that cannot be fitted on these clips is left out, with the reason in the record.
    """
    start = time.perf_counter()
    with progress.task("measures", len(measures)) as advance:
        judged, left_out = {}, {}
        for n, measure in enumerate(measures, 1):
            try:
                judged[measure] = judge(run, folds, measure, wanted, made.get(measure))
            except UserError as error:
                if measure not in optional:
                    raise
                left_out[measure] = str(error)
            advance(n)
    if others:
        judged |= judge_ensemble(run, folds, others, wanted)
    own = [fold.test.probabilities.max(axis=1) for fold in folds]
    test = pooled([fold.test for fold in folds])
    record, settings = run.record, run.settings
    return {
        "model": settings.model,
        "recipe": settings.recipe,
        "corpus": settings.corpus,
        "synthetic": record["synthetic"],
        "protocol": record["protocol"],
        "seed": settings.seed,
        "folds": [fold.name for fold in folds],
        "wanted": dict(wanted),
        "coverage": COVERAGE,
        "validation_clips": sum(len(fold.validation.truth) for fold in folds),
        "test_clips": len(test.truth),
        "test_speakers": len(set(test.speakers)),
        "pool_recordings": 0 if folds[0].pool is None else len(folds[0].pool),
        "ece_of_largest_probability": number(metrics.expected_calibration_error(np.concatenate(own), test.correct)),
        **({"human_ceiling": record["human_ceiling"]} if "human_ceiling" in record else {}),
        "measures": judged,
        "left_out": left_out,
        "seconds": round(time.perf_counter() - start, 1),
    }


def pooled(parts: Sequence[Answered]) -> Answered:
    """Return the answers of several folds as one."""

    def joined(name: str) -> np.ndarray | None:
        values = [getattr(part, name) for part in parts]
        return None if any(value is None for value in values) else np.concatenate(values)

    return Answered(
        tuple(name for part in parts for name in part.names),
        tuple(speaker for part in parts for speaker in part.speakers),
        np.concatenate([part.truth for part in parts]),
        np.concatenate([part.probabilities for part in parts]),
        joined("functionals"),
        joined("agreement"),
    )


def _judged(
    folds: Sequence[FoldAnswers], confidences: Sequence[np.ndarray], thresholds: Sequence[float]
) -> dict[str, Any]:
    test, confidence = pooled([fold.test for fold in folds]), np.concatenate(confidences)
    kept = np.concatenate([one >= chosen for one, chosen in zip(confidences, thresholds, strict=True)])
    n_classes = test.probabilities.shape[1]
    labels = test.truth, test.prediction, test.speakers, n_classes
    curve = metrics.risk_coverage(confidence, test.correct)
    table = metrics.reliability_table(confidence, test.correct)
    some = np.unique(np.linspace(0, len(curve.coverage) - 1, _POINTS).round().astype(int))
    return {
        "figures": evaluate(confidence, *labels, COVERAGE),
        "fitted": {
            "thresholds": {fold.name: chosen for fold, chosen in zip(folds, thresholds, strict=True)},
            **evaluate_abstaining(kept, *labels),
        },
        "risk_coverage": [[round(float(x), 4) for x in (curve.coverage[n], curve.risk[n])] for n in some],
        "reliability": [
            {"lower": low, "upper": high, "n": int(n), "confidence": number(mean), "accuracy": number(accuracy)}
            for low, high, n, mean, accuracy in zip(*table, strict=True)
        ],
    }


def _members(fold: FoldAnswers, others: Sequence[Sequence[FoldAnswers]]) -> list[np.ndarray]:
    """Return every run's probabilities (runs, n, classes) of a fold's validation clips, and of its test clips."""
    sides = [[fold.validation.probabilities], [fold.test.probabilities]]
    for other in others:
        same = next(one for one in other if one.name == fold.name)
        for side, own, found in zip(sides, (fold.validation, fold.test), (same.validation, same.test), strict=True):
            place = {name: n for n, name in enumerate(found.names)}
            if absent := [name for name in own.names if name not in place]:
                raise UserError(f"--with: expected answers to the clips of fold {fold.name}, found none to {absent[0]}")
            side.append(found.probabilities[[place[name] for name in own.names]])
    return [np.stack(side) for side in sides]


def _of_ensemble(name: str, members: np.ndarray, answered: Answered) -> np.ndarray:
    if name == "disagreement":
        return disagreement(members)
    return members.mean(axis=0)[np.arange(len(answered.truth)), answered.prediction]


def _where(run: OpenedRun, fold: str) -> str:
    return f"{run.folder}, fold {fold}"
