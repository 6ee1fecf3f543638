"""Compute the figures of a study across corpora: the matrix, and whether a corpus of the same family trains best.

The claim is that of MixedEmotions D4.2 (its summary of D4.1): "choosing a trained model of the same language or
language family increases the emotion recognition performance".
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo.errors import UserError
from zoo.metrics import classification
from zoo.metrics.bootstrap import draws, mean_figures, percentiles
from zoo.metrics.undefined import number, with_interval

OTHERS = "all others"
N_RESAMPLES = 2000

# Predictions by what was trained on and what was tested on.
Rows = dict[tuple[str, str], list[dict[str, Any]]]


def cells(
    rows: Mapping[bool, Sequence[Rows]],
    corpora: Sequence[str],
    classes: Sequence[str],
    empty: Mapping[tuple[str, str], str],
) -> list[dict[str, Any]]:
    """Return a record per cell of the matrix, of each seed's `rows` with features standardised by corpus or not.

    `empty` says by (trained on, tested on) why a cell has no figure. UA and WA are means over the seeds, with their
    95 % interval over the tested corpus's speakers (and seeds).
    """
    found = []
    for normalized, runs in rows.items():
        has_others = any(trained_on == OTHERS for trained_on, _ in (*runs[0], *empty))
        for trained_on in (*corpora, *([OTHERS] if has_others else [])):
            for tested_on in corpora:
                cell: dict[str, Any] = {"trained_on": trained_on, "tested_on": tested_on, "normalized": normalized}
                if (trained_on, tested_on) in runs[0]:
                    cell |= _figures([run[trained_on, tested_on] for run in runs], classes)
                else:
                    nothing = {"value": None, "low": None, "high": None}
                    reason = empty.get((trained_on, tested_on), "not tested")
                    cell |= {"n_clips": 0, "n_speakers": 0, "ua": nothing, "wa": nothing, "why_empty": reason}
                found.append(cell)
    return found


def _figures(runs: Sequence[Sequence[Mapping[str, Any]]], classes: Sequence[str]) -> dict[str, Any]:
    confusions = [_by_speaker(rows, classes) for rows in runs]
    (wa, ua), (low, high) = _interval(confusions, classification.accuracies)
    total = np.sum([parts.sum(axis=0) for parts in confusions], axis=0)
    recalls = classification.recalls(total)
    return {
        "n_clips": len(runs[0]),
        "n_speakers": len(confusions[0]),
        "ua": with_interval(ua, low[1], high[1]),
        "wa": with_interval(wa, low[0], high[0]),
        "recalls": {name: number(value) for name, value in zip(classes, recalls, strict=True)},
        "absent_classes": [name for name, n in zip(classes, total.sum(axis=1), strict=True) if not n],
        "confusion": total.tolist(),
    }


def _by_speaker(rows: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> np.ndarray:
    """Return confusion matrices (speakers, classes, classes), speakers in the order of their names."""
    truth, prediction = (
        classification.class_indices([row[key] for row in rows], classes) for key in ("truth", "prediction")
    )
    return classification.speaker_confusions(truth, prediction, [row["speaker"] for row in rows], len(classes))[1]


def _interval(runs: Sequence[np.ndarray], pool: Any) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return figures averaged over the runs and their bounds over speakers and runs; NaN bounds of one speaker."""
    value = np.mean([pool(run, np.ones((1, len(run))))[0] for run in runs], axis=0)
    if len(runs[0]) == 1:
        return value, (np.full(len(value), np.nan), np.full(len(value), np.nan))
    return value, percentiles(_resampled(runs, pool))


def _resampled(runs: Sequence[np.ndarray], pool: Any, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    speakers = draws(rng, len(runs[0]), N_RESAMPLES)
    return mean_figures([list(run) for run in runs], pool, speakers, draws(rng, len(runs), N_RESAMPLES))


def comparisons(
    rows: Mapping[bool, Sequence[Rows]],
    corpora: Sequence[str],
    classes: Sequence[str],
    families: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Return differences of mean UA between trainings, each on the same test speakers, with 95 % intervals over them.

    `family_effect`: for each family and each of its corpora, trained on the others of the family less trained on
    corpora outside it; and the mean of these. `normalization_effect`: trained on another corpus, standardised by corpus
    less as recorded, by tested corpus; and the mean. `best_training` names the best other corpus for each one.
    """
    effects, best = [], []
    for normalized, runs in rows.items():
        for name, family in families.items():
            effects += _family_effect(runs, name, family, corpora, classes, {"normalized": normalized})
        best += [_best(runs, corpora, classes, tested, normalized) for tested in corpora]
    both = _normalization_effect(rows, corpora, classes) if len(rows) == 2 else []
    return {"family_effect": effects, "normalization_effect": both, "best_training": [row for row in best if row]}


def check_families(families: Mapping[str, Sequence[str]], corpora: Sequence[str]) -> None:
    """Raise UserError for a family with a corpus that is not of the study."""
    for name, some in families.items():
        for corpus in some:
            if corpus not in corpora:
                known = ", ".join(corpora)
                raise UserError(f"--family {name}: {corpus} is not among the corpora ({known}). Correct it")


def _family_effect(runs, name, family, corpora, classes, about) -> list[dict[str, Any]]:
    found, resampled = [], []
    for tested in family:
        inside = [one for one in family if one != tested and (one, tested) in runs[0]]
        outside = [one for one in corpora if one not in family and (one, tested) in runs[0]]
        if not inside or not outside:
            continue
        stacks = [_stack(run, [*inside, *outside], tested, classes) for run in runs]
        pool = _difference(len(inside))
        value, (low, high) = _interval(stacks, pool)
        about_it = {"family": name, **about, "tested_on": tested, "trained_inside": inside, "trained_outside": outside}
        found.append({**about_it, "difference": with_interval(value[0], low[0], high[0])})
        resampled.append(_resampled(stacks, pool, seed=len(found)))
    if len(found) > 1:
        value = np.mean([row["difference"]["value"] for row in found])
        low, high = percentiles(np.mean(resampled, axis=0))
        found.append(
            {"family": name, **about, "tested_on": "mean", "difference": with_interval(value, low[0], high[0])}
        )
    return found


def _normalization_effect(rows, corpora, classes) -> list[dict[str, Any]]:
    found, resampled = [], []
    for tested in corpora:
        trained = [one for one in corpora if one != tested and (one, tested) in rows[False][0]]
        if not trained:
            continue
        stacks = [
            np.concatenate([_stack(run, trained, tested, classes) for run in pair], axis=1)
            for pair in zip(rows[True], rows[False], strict=True)
        ]
        pool = _difference(len(trained))
        value, (low, high) = _interval(stacks, pool)
        found.append({"tested_on": tested, "difference": with_interval(value[0], low[0], high[0])})
        resampled.append(_resampled(stacks, pool, seed=len(found)))
    if len(found) > 1:
        value = np.mean([row["difference"]["value"] for row in found])
        low, high = percentiles(np.mean(resampled, axis=0))
        found.append({"tested_on": "mean", "difference": with_interval(value, low[0], high[0])})
    return found


def _best(runs, corpora, classes, tested: str, normalized: bool) -> dict[str, Any] | None:
    trained = [one for one in corpora if one != tested and (one, tested) in runs[0]]
    if not trained:
        return None
    ua = {}
    for one in trained:
        confusions = [_by_speaker(run[one, tested], classes).sum(axis=0) for run in runs]
        ua[one] = float(np.mean([classification.unweighted_accuracy(confusion) for confusion in confusions]))
    order = sorted(ua, key=lambda one: -ua[one])
    return {
        "normalized": normalized,
        "tested_on": tested,
        "trained_on": order[0],
        "ua": {one: ua[one] for one in order},
    }


def _stack(run: Rows, trained: Sequence[str], tested: str, classes: Sequence[str]) -> np.ndarray:
    """Return confusion matrices on one corpus (speakers, trainings, classes, classes)."""
    return np.stack([_by_speaker(run[one, tested], classes) for one in trained], axis=1)


def _difference(n_first: int) -> Any:
    """Return a pool that gives the mean UA of the first trainings less that of the others, (n, 1)."""

    def pool(parts: Any, counts: np.ndarray) -> np.ndarray:
        stacked = np.asarray(parts, np.float64)
        confusions = np.einsum("ns,stij->ntij", counts, stacked)
        ua = classification.unweighted_accuracy(confusions)
        return (ua[:, :n_first].mean(axis=1) - ua[:, n_first:].mean(axis=1))[:, None]

    return pool
