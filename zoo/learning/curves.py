"""Read curves of UA against labels, and compare them: areas, labels saved, intervals over speakers and seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import UserError
from zoo.metrics.bootstrap import draws
from zoo.utils.json_files import read_json

N_RESAMPLES = 2_000
SHARE = 0.9  # of the score of all labels, at which labels are counted
_ROW = {"labels": int, "machine_labels": int, "machine_right": int, "taken_back": int, "ua": float, "wa": float}
_CURVE = {"points": [{"row": _ROW, "hits": [[int]]}], "seconds": float}
_FULL = {"row": dict, "hits": [[int]], "speakers": [str], "totals": [[int]], "seconds": float}
_FACTS = {
    "seeds": [int],
    "folds": [{"fold": str, "pool": int, "validation": int, "test": int}],
    "classes": [str],
    "model": str,
    "corpus": str,
    "protocol": str,
}
_SETTINGS = {"plan": {"strategy": str, "query": str, "budget": int, "initial": int, "batch": int}, "config": dict}
_ADVICE = "Repeat the command of learn.py that made it, or name another folder"


@dataclass(frozen=True)
class Curve:
    """A finished simulation.

    `labels` (points,) are people's labels; `hits` (seeds, speakers, classes, points) and `full_hits` (speakers,
    classes), by a model of all labels, count recognised test clips out of `totals` (speakers, classes). `rows` are
    those of curve.csv.
    """

    folder: Path
    name: str
    labels: np.ndarray
    hits: np.ndarray
    totals: np.ndarray
    full_hits: np.ndarray
    speakers: tuple[str, ...]
    rows: Sequence[Mapping[str, Any]]
    plan: Mapping[str, Any]
    facts: Mapping[str, Any]
    seconds: float

    @property
    def title(self) -> str:
        twin = "SYNTHETIC " if self.facts.get("synthetic") else ""
        return f"{self.facts['model']} on {twin}{self.facts['corpus']}, {self.facts['protocol']}"


def load(folder: Path) -> Curve:
    """Read a finished simulation. Raises UserError where one is absent, unfinished or damaged."""
    settings = read_json(folder / "learning.json", "the settings of a simulation", _SETTINGS, _ADVICE)
    facts = read_json(folder / "facts.json", "a finished simulation", _FACTS, _ADVICE)
    hits, totals, full, speakers, rows, seconds = [], [], [], [], [], 0.0
    for fold in facts["folds"]:
        place = folder / f"fold-{fold['fold']}"
        whole = read_json(place / "full.json", "the score of all labels", _FULL, _ADVICE)
        curves = [read_json(place / f"seed-{s}.json", "a curve", _CURVE, _ADVICE) for s in facts["seeds"]]
        hits.append([np.stack([point["hits"] for point in curve["points"]], axis=-1) for curve in curves])
        totals += whole["totals"]
        full += whole["hits"]
        speakers += whole["speakers"]
        rows += [
            {"fold": fold["fold"], "seed": seed, **point["row"]}
            for seed, curve in zip(facts["seeds"], curves, strict=True)
            for point in curve["points"]
        ]
        seconds += whole["seconds"] + sum(curve["seconds"] for curve in curves)
    labels = np.array([point["row"]["labels"] for point in curves[0]["points"]])
    plan = settings["plan"]
    return Curve(
        folder=folder,
        name=_name(plan),
        labels=labels,
        hits=np.concatenate(hits, axis=1).astype(np.float64),
        totals=np.array(totals, np.float64),
        full_hits=np.array(full, np.float64),
        speakers=tuple(speakers),
        rows=rows,
        plan=plan,
        facts=facts,
        seconds=seconds,
    )


def _name(plan: Mapping[str, Any]) -> str:
    queries = {"active": plan["query"], "cooperative": f"cooperative, {plan['query']}"}
    return queries.get(plan["strategy"], plan["strategy"])


def uas(hits: np.ndarray, totals: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """UA in 0..1 of speakers pooled with `weights` (resamples, speakers), shape (resamples, points).

    `hits` are (speakers, classes, points), `totals` (speakers, classes). The mean recall of the classes that the
    speakers drawn have.

    >>> uas(np.array([[[1.0], [4.0]]]), np.array([[2.0, 4.0]]), np.ones((1, 1))).tolist()  # (1/2 + 4/4) / 2
    [[0.75]]
    """
    counts = weights @ totals
    right = np.einsum("rs,scp->rcp", weights, hits)
    recalls = right / np.where(counts > 0, counts, 1)[..., None]
    return recalls.sum(axis=1) / (counts > 0).sum(axis=1)[:, None]


def area(labels: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """Area under curves (resamples, points) by trapezoids over the range of labels: the mean UA over it, 0..1.

    >>> area(np.array([0, 10, 30]), np.array([[0.0, 0.4, 0.4]])).round(4).tolist()  # (10 * 0.2 + 20 * 0.4) / 30
    [0.3333]
    """
    widths, middles = np.diff(labels), (curves[:, 1:] + curves[:, :-1]) / 2
    if not len(widths):
        return curves[:, 0]
    return np.asarray(middles @ widths / widths.sum())


def labels_to_reach(labels: np.ndarray, curves: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Labels at which curves (resamples, points) first reach `scores` (resamples,); infinite for those that do not.

    Between two points a curve is a straight line.

    >>> labels_to_reach(np.array([10, 20]), np.array([[0.2, 0.4], [0.2, 0.3]]), np.array([0.35, 0.35])).tolist()
    [17.5, inf]
    """
    found = np.full(len(curves), np.inf)
    for index, (curve, score) in enumerate(zip(curves, scores, strict=True)):
        reached = np.flatnonzero(curve >= score)
        if not len(reached):
            continue
        first = reached[0]
        if first == 0:
            found[index] = labels[0]
            continue
        low, high = curve[first - 1], curve[first]
        found[index] = labels[first - 1] + (labels[first] - labels[first - 1]) * (score - low) / (high - low)
    return found


@dataclass(frozen=True)
class Resampled:
    """Figures of one curve in every resample, the plain one first: UA (1 + n, points), area, labels to `SHARE`."""

    ua: np.ndarray
    area: np.ndarray
    full: np.ndarray
    labels_needed: np.ndarray


def resample(curve: Curve, n_resamples: int = N_RESAMPLES) -> Resampled:
    """Draw test speakers and seeds with replacement (Efron and Tibshirani 1993, chapter 13).

    Curves of the same speakers and number of seeds are given the same draws, so that differences are paired.
    """
    rng = np.random.default_rng(0)
    n_seeds, n_speakers = curve.hits.shape[:2]
    speakers = np.concatenate([np.ones((1, n_speakers)), draws(rng, n_speakers, n_resamples)])
    seeds = np.concatenate([np.ones((1, n_seeds)), draws(rng, n_seeds, n_resamples)]) / n_seeds
    ua = sum(seeds[:, number, None] * uas(hits, curve.totals, speakers) for number, hits in enumerate(curve.hits))
    ua = np.asarray(ua)
    full = uas(curve.full_hits[..., None], curve.totals, speakers)[:, 0]
    return Resampled(ua, area(curve.labels, ua), full, labels_to_reach(curve.labels, ua, SHARE * full))


def with_bounds(values: np.ndarray) -> dict[str, float | None]:
    """Return a figure, the first of `values`, with its 95 % interval over the others; None for what is infinite."""
    ordered = np.sort(values[1:])  # by hand, as np.quantile makes NaN of two infinite neighbours
    low, high = (ordered[round(share * (len(ordered) - 1))] for share in (0.025, 0.975))
    named = {"value": values[0], "low": low, "high": high}
    return {name: float(value) if np.isfinite(value) else None for name, value in named.items()}


def check_comparable(curves: Sequence[Curve]) -> None:
    """Raise UserError for curves of other clips, models, seeds or numbers of labels than the first one's."""
    first = curves[0]
    for other in curves[1:]:
        for what, one, two in (
            ("model", first.facts["model"], other.facts["model"]),
            ("corpus", first.facts["corpus"], other.facts["corpus"]),
            ("protocol", first.facts["protocol"], other.facts["protocol"]),
            ("folds", [fold["fold"] for fold in first.facts["folds"]], [f["fold"] for f in other.facts["folds"]]),
            ("test speakers", list(first.speakers), list(other.speakers)),
            ("seeds", first.facts["seeds"], other.facts["seeds"]),
            ("numbers of labels", first.labels.tolist(), other.labels.tolist()),
        ):
            if one != two:
                raise UserError(
                    f"{other.folder}: expected the {what} of {first.folder}, {_short(one)}; found {_short(two)}. "
                    "Compare curves of the same clips, seeds, --initial, --batch and --budget"
                )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) < 80 else f"{text[:77]}..."
