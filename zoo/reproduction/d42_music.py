"""Make Table 5.2 of MixedEmotions D4.2: objectives of the LSTM-DRNN on music (MediaEval 2013)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations, product
from pathlib import Path

from zoo.metrics.significance import correlation_z
from zoo.reproduction import d42_plots, d42_rates, published
from zoo.reproduction.d42_rates import DIMENSIONS, OBJECTIVES, Measured
from zoo.reproduction.d42_ratings import in_order, objective_rows
from zoo.reproduction.job import Asked, Job, Result, Row, Training

_UNITS = (192, 256)
_MEASURES = {"E{tau}": "kendall", "CC": "pearson", "CCC": "ccc", "E{CCC}": "mean_ccc", "MLE": "mae"}
_FRAMES = 125 * 45  # of the evaluation set at 1 Hz: the published test is of so many


def _objectives(asked: Asked) -> Iterable[Training]:
    corpus = {} if asked.elsewhere else {"corpus": "mediaeval_music"}
    usual = {**corpus, **({} if asked.synthetic else {"recipe": "paper"})}
    for units in _sizes(asked):
        own = {"option": {"recurrent_units": units}} if units else {}
        fixed = {"model": "lstm_drnn_music", **own}
        yield from d42_rates.trainings(asked, fixed, usual, list(OBJECTIVES.values()), _system(units))


def _sizes(asked: Asked) -> tuple[int, ...]:
    """Return both published widths, or 0 where the user gave another one by --option."""
    return (0,) if "recurrent_units" in str(asked.given.get("option", "")) else _UNITS


def _system(units: int) -> str:
    return f"{units}-units" if units else "given-width"


def _table_5_2(asked: Asked, folders: Mapping[str, Path]) -> Result:
    rows: list[Row] = []
    lines = d42_rates.stated(folders)
    every: list[Measured] = []
    for units, seed, dimension in product(_sizes(asked), asked.seeds, DIMENSIONS):
        found = {
            name: d42_rates.measure(folders, loss, seed, dimension, _system(units)) for name, loss in OBJECTIVES.items()
        }
        known = {name: one for name, one in found.items() if one}
        every += known.values()
        variant = _system(units) + (f", seed {seed}" if len(asked.seeds) > 1 else "")
        for name, one in known.items():
            rows += objective_rows(name, one, dimension, _MEASURES, variant)
        lines += [
            f"{variant}: {d42_rates.comparison(known[a], known[b], (a, b))}"
            for a, b in combinations(known, 2)
            if a == "sse"
        ]
        lines += [f"{variant}, {dimension}: {name} diverged at every rate" for name in found if name not in known]
    lines += ["the published differences by a z-test of independent correlations: " + "; ".join(_published_tests())]
    lines += d42_rates.keep(asked.out, every)
    drawn = [row for row in rows if row.row.endswith(", E{tau}")]
    return Result(in_order(rows), lines, d42_plots.scores(asked.job.name, drawn, "E{tau}"))


def _published_tests() -> list[str]:
    """Say what a z-test over all rated seconds makes of the published figures; which test it was is not said."""
    said = []
    pairs = [("E{tau}", "ccc_sum", "arousal"), ("E{tau}", "ccc_sum", "valence"), ("CC", "total ccc", "valence")]
    for measure, objective, dimension in pairs:
        values = [published.find("d42-table-5.2", f"{name}, {measure}", dimension) for name in ("sse", objective)]
        one, other = (figure.value for figure in values if figure and figure.value is not None)
        z, p = correlation_z(one, other, _FRAMES, kind="kendall" if measure == "E{tau}" else "pearson")
        said.append(f"{measure} of {dimension} z = {z:.2f}, one-tailed p = {p:.3f}")
    return said


JOBS = [
    Job(
        "d42-table-5.2",
        "MixedEmotions D4.2, Table 5.2: objectives of the LSTM-DRNN on music, each at its own rate",
        "MediaEval 2013, Emotion in Music (--data-root its folder)",
        ("mediaeval_music",),
        _table_5_2,
        _objectives,
    )
]
