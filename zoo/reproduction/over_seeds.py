"""Average a figure over runs that differ in their seed alone, with an interval over speakers and seeds."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.metrics import classification, regression
from zoo.metrics.bootstrap import Parts, Pool, bootstrap_interval, figures
from zoo.metrics.undefined import number, with_interval
from zoo.reproduction.job import Score
from zoo.studies.finished_runs import read_run


@dataclass(frozen=True)
class Average:
    """A figure's mean over runs with its 95 % interval, and the runs' standard deviation, None of a single run."""

    score: Score
    deviation: float | None
    n_runs: int

    @property
    def spread(self) -> str:
        """Return the deviation in words, "" of a single run."""
        return "" if self.deviation is None else f"standard deviation {self.deviation:.4f} over {self.n_runs} seeds"


def averages(runs: Iterable[Path], pool: Pool | None = None, postprocessed: bool = False) -> list[Average]:
    """Average the figures of finished runs of one configuration: as `pool` gives them, one after another.

    Without `pool` they are WA and UA, or CCC: the mean of the dimensions, then each. Raises UserError as `read_run`.
    """
    read = [read_run(folder, postprocessed=postprocessed) for folder in runs]
    pool = pool or (regression.concordances if read[0].continuous else classification.accuracies)
    parts: list[Parts] = [run.parts for run in read]
    by_run, bounds = figures(parts, pool), bootstrap_interval(parts, pool)
    spread = np.std(by_run, axis=0, ddof=1) if len(read) > 1 else np.full(by_run.shape[1], np.nan)
    values = zip(by_run.mean(axis=0), *bounds, strict=True)
    scores = [with_interval(*value) for value in values]
    return [Average(score, number(one), len(read)) for score, one in zip(scores, spread, strict=True)]


def recalls(parts: Parts, counts: np.ndarray) -> np.ndarray:
    """Pool confusion matrices, each `counts` (n, parts) times: every class's recall in 0..1, shape (n, classes)."""
    return classification.recalls(np.einsum("np,pij->nij", counts, np.stack(parts).astype(np.float64)))
