"""Count what finished runs confuse: in all, by speaker, and by sex, intensity and statement of RAVDESS's clips.

What people confuse is counted from CREMA-D's votes: each rater of a voice against the class that most of its other
raters chose. Both are compared on the classes they share, by common names.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.corpora import cremad, ravdess
from zoo.data.corpora.label_maps import LABEL_MAPS
from zoo.errors import UserError
from zoo.metrics.classification import (
    class_indices,
    confusion_matrix,
    recalls,
    unweighted_accuracy,
    weighted_accuracy,
)
from zoo.metrics.human_ceiling import one_against_the_others
from zoo.metrics.undefined import number
from zoo.runs.folder import read_record, read_rows

CALM, NEUTRAL = "calm", "neutral"
EVERY = "all"
Row = Mapping[str, str]


def study(folders: Sequence[Path], votes: Path | None = None) -> dict[str, Any]:
    """Return the confusions of finished runs on their test clips, taken together, for strict JSON.

    `groups` hold a confusion matrix for each value of each group; `pairs` the pairs of classes most confused;
    `calm_neutral`, where both are classes, how these two are told apart; `people`, with `votes` (tabulatedVotes.csv),
    what raters confuse. Raises UserError for a run that is not finished or of ratings, runs of other classes, one clip
    in two runs, and votes that cannot be read.
    """
    records = [read_record(folder, ("corpus", "classes", "protocol", "synthetic", "model")) for folder in folders]
    first = records[0]
    rows: dict[tuple[str, str], Row] = {}
    for folder, record in zip(folders, records, strict=True):
        if any(record[name] != first[name] for name in ("classes", "corpus", "protocol", "model", "synthetic")):
            raise UserError(f"{folder}: expected a run as {folders[0]}, found another model, corpus or classes")
        for row in read_rows(folder, ("corpus", "clip", "speaker", "truth", "prediction")):
            key = (row["corpus"], row["clip"])
            if key in rows:
                raise UserError(f"{folder}: clip {row['clip']} is in another run too. Give runs of different folds")
            if wrong := {row["truth"], row["prediction"]} - set(first["classes"]):
                raise UserError(f"{folder}: expected classes {', '.join(first['classes'])}, found {min(wrong)!r:.80}")
            rows[key] = row
    classes = first["classes"]
    groups = grouped(list(rows.values()), classes)
    every = groups[EVERY][EVERY]
    found = {
        **({"name": first["name"]} if first.get("name") else {}),
        **{name: first[name] for name in ("model", "corpus", "protocol", "synthetic", "classes")},
        "runs": [str(folder) for folder in folders],
        "clips": len(rows),
        "groups": {name: {value: one.tolist() for value, one in by.items()} for name, by in groups.items()},
        "figures": {name: {value: _figures(one, classes) for value, one in by.items()} for name, by in groups.items()},
        "pairs": pairs(every, classes),
    }
    return found | ({"people": _people(every, classes, first["corpus"], votes)} if votes else {})


def grouped(rows: Sequence[Row], classes: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
    """Return confusion matrices (classes, classes) by group and value, those of all rows as "all"."""
    truth, prediction = (class_indices([row[name] for row in rows], classes) for name in ("truth", "prediction"))
    facts = [{EVERY: EVERY, "speaker": row["speaker"], **ravdess.facts_of(row["clip"])} for row in rows]
    found: dict[str, dict[str, np.ndarray]] = {}
    for name in (EVERY, "sex", "intensity", "statement", "speaker"):
        values = np.array([fact.get(name, "") for fact in facts])
        for value in sorted(set(values.tolist()) - {""}):
            own = values == value
            found.setdefault(name, {})[value] = confusion_matrix(truth[own], prediction[own], len(classes))
    return found


def pairs(confusion: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return pairs of classes, the most confused first: shares of each class's clips taken for the other, their mean.

    A pair with a class that has no clip is left out.
    """
    n_true = confusion.sum(axis=1)
    shares = confusion / np.maximum(n_true, 1)[:, None]
    found = [
        {
            "classes": [classes[one], classes[other]],
            "first_as_second": float(shares[one, other]),
            "second_as_first": float(shares[other, one]),
            "mean": float((shares[one, other] + shares[other, one]) / 2),
        }
        for one in range(len(classes))
        for other in range(one + 1, len(classes))
        if n_true[one] and n_true[other]
    ]
    return sorted(found, key=lambda pair: -pair["mean"])


def calm_against_neutral(confusion: np.ndarray, classes: Sequence[str]) -> dict[str, float | None]:
    """Return how calm and neutral are told apart: recalls, shares of either taken for the other, and UA as one class.

    {} where either is no class.
    """
    if not {CALM, NEUTRAL} <= set(classes):
        return {}
    calm, neutral = classes.index(CALM), classes.index(NEUTRAL)
    shares = confusion / np.where(confusion.sum(axis=1) > 0, confusion.sum(axis=1), np.nan)[:, None]
    merged = confusion.copy()
    merged[calm] += merged[neutral]
    merged[:, calm] += merged[:, neutral]
    merged = np.delete(np.delete(merged, neutral, axis=0), neutral, axis=1)
    return {
        "calm": number(shares[calm, calm]),
        "neutral": number(shares[neutral, neutral]),
        "calm_as_neutral": number(shares[calm, neutral]),
        "neutral_as_calm": number(shares[neutral, calm]),
        "ua_as_one_class": number(unweighted_accuracy(merged)),
    }


def _figures(confusion: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """Return what is read of a confusion matrix."""
    return {
        "clips": int(confusion.sum()),
        "ua": number(unweighted_accuracy(confusion)),
        "wa": number(weighted_accuracy(confusion)),
        "recalls": {name: number(value) for name, value in zip(classes, recalls(confusion), strict=True)},
        "most_confused": pairs(confusion, classes)[:1],
        "calm_neutral": calm_against_neutral(confusion, classes),
    }


def _people(confusion: np.ndarray, classes: Sequence[str], corpus: str, path: Path) -> dict[str, Any]:
    """Return what raters of voices confuse, and the pairs of classes shared with the network beside its own."""
    if not path.is_file():
        raise UserError(f"--votes {path}: no such file; give CREMA-D's processedResults/tabulatedVotes.csv")
    labels = sorted(cremad.EMOTIONS.values())
    counts = cremad.read_counts(path)["voice"].values()
    votes = np.array([[of_clip.get(name, 0) for name in labels] for of_clip in counts]).reshape(-1, len(labels))
    of_raters = one_against_the_others(votes)[0].sum(axis=0).astype(int)
    names = [LABEL_MAPS["cremad"].names[label] for label in labels]
    common = LABEL_MAPS[corpus].names if corpus in LABEL_MAPS else {}
    own = [common.get(label, label) for label in classes]
    network = {frozenset(pair["classes"]): pair["mean"] for pair in pairs(confusion, own)}
    both = [
        {"classes": pair["classes"], "people": pair["mean"], "network": network[frozenset(pair["classes"])]}
        for pair in pairs(of_raters, names)
        if frozenset(pair["classes"]) in network
    ]
    return {
        "classes": names,
        "confusion": of_raters.tolist(),
        "ratings": int(of_raters.sum()),
        "recalls": {name: number(value) for name, value in zip(names, recalls(of_raters), strict=True)},
        "ua": number(unweighted_accuracy(of_raters)),
        "pairs": both,
        "rank_correlation": _rank_correlation([pair["people"] for pair in both], [pair["network"] for pair in both]),
    }


def _rank_correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation, None for fewer than three pairs."""
    from scipy.stats import spearmanr

    return number(spearmanr(one, other).statistic) if len(one) > 2 else None
