"""Make the tables and figures of MixedEmotions D4.2, section 4 (objectives, on speech) and 5 (from waveforms)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations, product
from pathlib import Path
from typing import Any

from zoo.reproduction import d42_cells, d42_plots, d42_rates, d42_traces
from zoo.reproduction.d42_rates import DIMENSIONS, OBJECTIVES, Measured
from zoo.reproduction.job import Asked, Job, Result, Row, Training

RECOLA = "RECOLA (--data-root its folder); which of the 46 recordings are tested says partition.csv in it"
_MEASURES = {"CCC": "ccc", "E{CCC}": "mean_ccc", "CC": "pearson", "RMSE": "rmse"}
_SYSTEMS = {"SVR": "egemaps_svr", "BLSTM": "blstm_drnn", "network on waveforms": "conv_blstm"}
_SETS = {"eGeMAPS": "egemaps", "ComParE": "compare_five"}
_LOSSES = {"MSE": "sse", "CCC": "ccc"}


def on(asked: Asked) -> dict[str, Any]:
    """Return the paper's corpus and protocol, or the corpus of --corpus with its usual protocol; its recipe."""
    recipe = {} if asked.synthetic else {"recipe": "paper"}
    return recipe if asked.elsewhere else {"corpus": "recola", "protocol": "recola-full", **recipe}


def _objectives(asked: Asked) -> Iterable[Training]:
    yield from d42_rates.trainings(asked, {"model": "lstm_drnn"}, on(asked), list(OBJECTIVES.values()))


def _table_5_3(asked: Asked, folders: Mapping[str, Path]) -> Result:
    lines = d42_rates.stated(folders)
    rows: list[Row] = []
    every: list[Measured] = []
    for seed, dimension in product(asked.seeds, DIMENSIONS):
        found = {name: d42_rates.measure(folders, loss, seed, dimension) for name, loss in OBJECTIVES.items()}
        known = {name: one for name, one in found.items() if one}
        every += known.values()
        variant = f"seed {seed}" if len(asked.seeds) > 1 else ""
        for name, one in known.items():
            rows += objective_rows(name, one, dimension, _MEASURES, variant)
            rows.append(Row(f"{name}, CCC before post-processing", dimension, one.before["ccc"], variant=variant))
        lines += [d42_rates.comparison(known[a], known[b], (a, b)) for a, b in combinations(known, 2) if a == "sse"]
        lines += [f"{dimension}: {name} diverged at every rate" for name in found if name not in known]
    rows = in_order(rows)
    lines += ["after post-processing, which validation recordings chose", *d42_rates.keep(asked.out, every)]
    return Result(
        rows, lines, d42_plots.scores(asked.job.name, [row for row in rows if row.row.endswith(", CCC")], "CCC")
    )


def objective_rows(
    name: str, found: Measured, dimension: str, measures: Mapping[str, str], variant: str = ""
) -> list[Row]:
    """Return a row for each measure of an objective's test figures, after post-processing."""
    run = found.choices[0].run
    return [
        Row(f"{name}, {words}", dimension, found.after[key], variant=variant, run=run)
        for words, key in measures.items()
    ]


def in_order(rows: list[Row]) -> list[Row]:
    """Return rows with those of one name together, in the order of their first."""
    names = list(dict.fromkeys(row.row for row in rows))
    return sorted(rows, key=lambda row: names.index(row.row))


def _systems(asked: Asked) -> Iterable[Training]:
    """SVR and BLSTM on both sets of features, and the network on waveforms; the last two by both losses."""
    models, usual = list(_SYSTEMS.values()), on(asked)
    for seed, (words, features) in product(asked.seeds, _SETS.items()):
        own: dict[str, Any] = {"model": "egemaps_svr", "seed": seed, "feature_set": features}
        yield Training(f"SVR-{words}-seed-{seed}", own, usual, models)
    for words, features in _SETS.items():
        fixed = {"model": "blstm_drnn", "feature_set": features}
        system = f"BLSTM-{words}"
        yield from d42_rates.trainings(asked, fixed, usual, list(_LOSSES.values()), system, beside=models)
    for seed, loss in product(asked.seeds, _LOSSES.values()):
        of_loss: dict[str, Any] = {"model": "conv_blstm", "loss": loss, "seed": seed}
        without = {"learning_rate"}  # fixed in the deliverable, that of the recipe
        yield Training(f"network-{loss}-seed-{seed}", of_loss, usual, models, without)


def _table_6_1(asked: Asked, folders: Mapping[str, Path]) -> Result:
    cells = [(f"SVR, {words}", f"SVR-{words}", {"MSE": ""}) for words in _SETS]
    cells += [(f"BLSTM, {words}", f"BLSTM-{words}", _LOSSES) for words in _SETS]
    cells += [("network on waveforms", "network", _LOSSES)]
    lines = d42_rates.stated(folders)
    rows: list[Row] = []
    every: list[Measured] = []
    for (row, system, losses), seed, dimension in product(cells, asked.seeds, DIMENSIONS):
        variant = f"seed {seed}" if len(asked.seeds) > 1 else ""
        known: dict[str, Measured] = {}
        for words, loss in losses.items():
            found = d42_rates.measure(folders, loss, seed, dimension, system)
            if found is None:
                lines.append(f"{row}, {dimension}, {words}: diverged at every rate")
                continue
            known[words] = found
            chosen = found.choices[0]
            rows.append(Row(row, f"{dimension}, {words}", found.after["ccc"], variant=variant, run=chosen.run))
        every += known.values()
        if len(known) == len(_LOSSES):
            lines.append(f"{row}: {d42_rates.comparison(known['MSE'], known['CCC'], ('MSE', 'CCC'))}")
    lines += ["after post-processing, which validation recordings chose", *d42_rates.keep(asked.out, every)]
    lines.append("SVR is liblinear's with an epsilon-insensitive loss in place of libsvm's")
    return Result(in_order(rows), lines, d42_plots.scores(asked.job.name, rows, "CCC"))


def _network(asked: Asked) -> Iterable[Training]:
    for seed in asked.seeds:
        yield Training(f"conv_blstm-seed-{seed}", {"model": "conv_blstm", "seed": seed}, on(asked))


JOBS = [
    Job(
        "d42-table-5.3",
        "MixedEmotions D4.2, Table 5.3: objectives of the LSTM-DRNN, each at its own rate, CCC on RECOLA",
        RECOLA,
        ("recola",),
        _table_5_3,
        _objectives,
    ),
    Job(
        "d42-figure-5.1",
        "MixedEmotions D4.2, Figure 5.1: CCC of a trace with altered versions of itself",
        "nothing: it is computed",
        (),
        d42_traces.figure_5_1,
    ),
    Job(
        "d42-figure-5.2",
        "MixedEmotions D4.2, Figure 5.2: each sequence's mean as prediction",
        "nothing: it is computed",
        (),
        d42_traces.figure_5_2,
    ),
    Job(
        "d42-table-6.1",
        "MixedEmotions D4.2, Table 6.1: SVR, BLSTM and the network by two losses, CCC on RECOLA",
        RECOLA,
        ("recola",),
        _table_6_1,
        _systems,
    ),
    Job(
        "d42-figure-6.2",
        "MixedEmotions D4.2, Figure 6.2: recurrent cells that follow acoustic measures of one recording",
        RECOLA,
        ("recola",),
        d42_cells.figure_6_2,
        _network,
    ),
]
