"""Measure what dynamic asking saves: how many raters, by CREMA-D's votes; whom, by simulated raters.

Nothing is fitted or chosen on the clips that are scored: the rater model and the level of each rule come from the other
half of the actors.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.corpora.cremad import EMOTIONS
from zoo.errors import UserError
from zoo.learning.raters.how_many import LEVELS, Drawn, asked_and_label, draw, fit_unnamed
from zoo.learning.raters.whom import WAYS, ask, panel, task
from zoo.metrics.bootstrap import bootstrap_interval, figures
from zoo.metrics.undefined import with_interval

MODALITIES = {"voice": "1", "face": "2", "both": "3"}  # the first digit of the table's first column
REFERENCES = (
    "further",
    "intended",
)  # what labels are compared with: one more rater, the emotion that the actor intended
MARGIN = 0.005  # of agreement with the reference that a chosen level may lose against asking all
FIGURES = ("votes", "saved", "further", "further_less_all", "intended", "intended_less_all", "as_all")
GRID = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)  # mean votes per clip
WANTED = (0.9, 0.95)  # accuracies
N_CLIPS = 600

OnStep = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Counted:
    """Counts of votes (clips, classes), the class that the actor intended (clips,), and the actors."""

    counts: np.ndarray
    intended: np.ndarray
    actors: np.ndarray


def read_counts(path: Path, modality: str = "voice") -> Counted:
    """Read processedResults/tabulatedVotes.csv of CREMA-D. Raises UserError where it is another file."""
    codes = [code[0] for code in EMOTIONS]
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row[""].startswith(MODALITIES[modality])]
        counts = np.array([[int(row[code]) for code in codes] for row in rows])
        intended = np.array([list(EMOTIONS).index(row["fileName"].split("_")[2]) for row in rows])
        actors = np.array([row["fileName"][:4] for row in rows])
    except (OSError, KeyError, ValueError, AttributeError, TypeError, IndexError) as error:
        raise UserError(f"{path}: expected CREMA-D's processedResults/tabulatedVotes.csv ({error!r:.80})") from error
    if not len(counts) or counts.min() < 0 or counts.sum(axis=1).min() < 2:
        raise UserError(f"{path}: expected two votes or more of each clip for {modality}, found fewer")
    return Counted(counts, intended, actors)


def how_many(counted: Counted, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Return a row for each rule and level, and for each rule and reference at the level chosen on the other actors.

    Figures, with 95 % intervals over actors and draws: `votes` asked per clip; `saved`, their share of asking all;
    `further`, agreement of the label with one further rater; `intended`, with the actor's emotion; `as_all`, with the
    label of all votes; `*_less_all`, the difference from that label's.
    """
    names = np.unique(counted.actors)
    halves = [np.isin(counted.actors, names[side::2]) for side in (0, 1)]
    tables: dict[tuple[str, float], np.ndarray] = {}
    for test, other in (halves, halves[::-1]):
        model = fit_unnamed(counted.counts[other])
        for number, seed in enumerate(seeds):
            for fitted_on, side in ((False, test), (True, other)):
                drawn = draw(counted.counts[side], np.random.default_rng([seed, int(side[0]), fitted_on]))
                for rule, levels in LEVELS.items():
                    for level in levels:
                        asked, label = asked_and_label(drawn, model, rule, level)
                        key = (rule, level)
                        table = tables.setdefault(key, np.full((2, len(seeds), len(counted.counts), 8), np.nan))
                        table[int(fitted_on), number, side] = _scored(drawn, asked, label, counted.intended[side])
    rows = [_row(rule, level, tables[rule, level][0], counted.actors) for rule, level in tables]
    return rows + [
        _chosen(rule, reference, tables, halves, counted.actors) for reference in REFERENCES for rule in LEVELS
    ]


def _scored(drawn: Drawn, asked: np.ndarray, label: np.ndarray, intended: np.ndarray) -> np.ndarray:
    """Return for each clip what `_pooled` sums, (clips, 8)."""
    of_all = (drawn.so_far()[:, -1] + drawn.ties).argmax(axis=1)
    hits = [label == drawn.further, of_all == drawn.further, label == intended, of_all == intended, label == of_all]
    return np.stack([np.ones(len(label)), asked, drawn.available, *hits], axis=1)


def _pooled(parts: Sequence[np.ndarray], counts: np.ndarray) -> np.ndarray:
    """Return `FIGURES` of actors' sums, (resamples, figures)."""
    n, asked, all_, further, further_all, intended, intended_all, as_all = (counts @ np.array(parts)).T
    shares = [further, further - further_all, intended, intended - intended_all, as_all]
    return np.stack([asked / n, 1 - asked / all_, *(share / n for share in shares)], axis=1)


def _row(rule: str, level: float | str, table: np.ndarray, actors: np.ndarray) -> dict[str, Any]:
    """Return a row of figures; `table` is (draws, clips, 8)."""
    runs = [[run[actors == actor].sum(axis=0) for actor in np.unique(actors)] for run in table]
    means = figures(runs, _pooled).mean(axis=0)
    bounds = bootstrap_interval(runs, _pooled, n_resamples=1000)
    scores = {name: with_interval(*values) for name, *values in zip(FIGURES, means, *bounds, strict=True)}
    return {"rule": rule, "level": level, **scores}


def _chosen(
    rule: str,
    reference: str,
    tables: Mapping[tuple[str, float], np.ndarray],
    halves: Sequence[np.ndarray],
    actors: np.ndarray,
) -> dict[str, Any]:
    """Return the row of a rule at the lowest level that loses no more than `MARGIN` on the other half of the actors.

    Where none does, it is the highest.
    """
    hit = 3 + 2 * REFERENCES.index(reference)  # the column of `_scored`, before that of asking all
    joined, levels = np.empty_like(tables[rule, LEVELS[rule][0]][0]), []
    for test, other in (halves, halves[::-1]):
        tried = {level: tables[rule, level][1][:, other].mean(axis=(0, 1)) for level in LEVELS[rule]}
        enough = [level for level, means in tried.items() if means[hit + 1] - means[hit] <= MARGIN]
        levels.append(min(enough, default=LEVELS[rule][-1]))
        joined[:, test] = tables[rule, levels[-1]][0][:, test]
    return _row(rule, f"chosen by {reference}: " + " and ".join(f"{level:g}" for level in levels), joined, actors)


def whom(prior: Sequence[float], seeds: Sequence[int], on_step: OnStep) -> list[dict[str, Any]]:
    """Return a row for each way of `zoo.learning.raters.whom` and seed.

    `accuracy` by mean votes per clip (`GRID`); `votes_for`, the mean votes per clip to an accuracy (`WANTED`; None: not
    within the grid); `error`, the mean absolute error of the raters' matrices by the model in the end. All ways of a
    seed have the same clips, raters and answers.
    """
    rows = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        _, matrices = panel(len(prior), rng)
        drawn = task(matrices, np.asarray(prior), N_CLIPS, rng)
        for way in WAYS:
            rounds = ask(way, drawn, GRID[-1], np.random.default_rng([seed, WAYS.index(way)]))
            votes, right = np.array([point[:2] for point in rounds]).T
            accuracy = {f"{n:g}": float(np.interp(n, votes, right)) if n >= votes[0] else None for n in GRID}
            first = {
                wanted: next((float(n) for n, a in zip(votes, right, strict=True) if a >= wanted), None)
                for wanted in WANTED
            }
            error = float(np.abs(rounds[-1][2].confusions - matrices).mean())
            rows.append({"way": way, "seed": seed, "accuracy": accuracy, "votes_for": first, "error": error})
        on_step(f"seed {seed}")
    return rows
