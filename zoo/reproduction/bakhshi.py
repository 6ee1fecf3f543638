"""Make the tables of Bakhshi et al. 2020: raw waveforms of RECOLA to arousal and valence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.reproduction import published
from zoo.reproduction.job import Asked, Job, Result, Row, Training

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RECOLA = "RECOLA as released for AVEC 2016 (--data-root its folder)"
_NETWORKS = ("conv_bigru", "conv_blstm", "conv_lstm")
_DIMENSIONS = ("arousal", "valence")
_LENGTHS = tuple(range(2, 21, 2))  # seconds of a segment
_BATCHES = (10, 25, 50)
_SHORT = (2, 8)  # of these alone with --synthetic, which shows that the command works
_NOTE = "ours before post-processing, of which the paper has none"


def on(asked: Asked) -> dict[str, Any]:
    """Return the paper's corpus and protocol, or the corpus of --corpus with its usual protocol; a user may change it.

    A synthetic twin takes one fold and few epochs, to be done in minutes.
    """
    place = {} if asked.elsewhere else {"corpus": "recola", "protocol": "recola-kfold-10"}
    return {**place, **({"fold": "0", "epochs": 2} if asked.synthetic else {})}


def _networks(asked: Asked) -> Iterable[Training]:
    for seed in asked.seeds:
        for model in _NETWORKS:
            usual = {**on(asked), "segment_seconds": 8.0, "batch_size": 50}
            yield Training(f"{model}-seed-{seed}", {"model": model, "seed": seed}, usual)


def _table_3(asked: Asked, folders: Mapping[str, Path]) -> Result:
    rows = []
    for model, runs in _by_seed(folders).items():
        rows += _cells(model, "", runs)
    return Result(rows, [_NOTE])


def _by_seed(folders: Mapping[str, Path]) -> dict[str, list[Path]]:
    """Return the runs that differ in their seed alone, by what stands before it in their names."""
    found: dict[str, list[Path]] = {}
    for name, folder in folders.items():
        found.setdefault(name.rpartition("-seed-")[0], []).append(folder)
    return found


def _cells(row: str, column: str, runs: Sequence[Path]) -> list[Row]:
    """Return a row's cells, arousal and valence: the mean over seeds. `column` is what stands before the dimension."""
    from zoo.reproduction.over_seeds import averages

    _, *by_dimension = averages(runs)
    return [
        Row(
            row,
            f"{column}{dimension}",
            found.score,
            note=found.spread and f"{column}{dimension}: {found.spread}",
            run=" ".join(map(str, runs)),
        )
        for dimension, found in zip(_DIMENSIONS, by_dimension, strict=True)
    ]


def _of_length(asked: Asked, batches: Sequence[int]) -> Iterable[Training]:
    """Return a run for each length of segments, batch size and seed; with --synthetic of two lengths."""
    lengths = _SHORT if asked.synthetic else _LENGTHS
    for length, batch, seed in product(lengths, batches, asked.seeds):
        fixed = {"model": "conv_bigru", "seed": seed, "segment_seconds": float(length), "batch_size": batch}
        yield Training(f"{length}-s-batch-{batch}-seed-{seed}", fixed, on(asked))


def _lengths_of(folders: Mapping[str, Path]) -> dict[tuple[str, str], list[Path]]:
    """Return the runs of every (length, batch size), in words."""
    names = {name: name.split("-s-batch-") for name in _by_seed(folders)}
    return {(f"{length} s", batch): _by_seed(folders)[name] for name, (length, batch) in names.items()}


def _table_1(asked: Asked, folders: Mapping[str, Path]) -> Result:
    rows = [cell for (length, _), runs in _lengths_of(folders).items() for cell in _cells(length, "", runs)]
    return Result(rows, _lines(asked), _curves(asked, rows))


def _table_2(asked: Asked, folders: Mapping[str, Path]) -> Result:
    rows = []
    for (length, batch), runs in _lengths_of(folders).items():
        rows += _cells(length, f"batch {batch}, ", runs)
    return Result(rows, _lines(asked), _curves(asked, rows))


def _figure_2(asked: Asked, folders: Mapping[str, Path]) -> Result:
    found = _table_2(asked, folders)
    published = Row("arousal and valence", "curves", None, note="drawn; the figures are those of Table 2")
    return replace(found, rows=[*found.rows, published])


def _lines(asked: Asked) -> list[str]:
    return [_NOTE, *(["synthetic speech: two lengths of the ten"] if asked.synthetic else [])]


def _curves(asked: Asked, rows: Sequence[Row]) -> Figure:
    from zoo.reproduction.bakhshi_curves import figure

    return figure(rows, [] if asked.elsewhere else list(published.tables()[asked.job.family].figures.values()))


def _of_pooling(asked: Asked) -> Iterable[Training]:
    usual = {**on(asked), "segment_seconds": 8.0, "batch_size": 50}
    yield Training(f"conv_bigru-seed-{asked.seeds[0]}", {"model": "conv_bigru", "seed": asked.seeds[0]}, usual)


def _pooling(asked: Asked, folders: Mapping[str, Path]) -> Result:
    import numpy as np

    from zoo.reproduction import bakhshi_pooling

    (folder,) = folders.values()
    score, by_filter = bakhshi_pooling.agreement(folder)
    row = Row("max pooling, resampling", "CCC above", score, run=str(folder))
    alive = by_filter[~np.isnan(by_filter)]
    lines = [
        f"signals of the first convolution ({len(by_filter)} filters) on the test recordings, behind rectifier and batch "
        "normalisation; resampled by a polyphase filter",
        f"filter by filter: {alive.min():.3f} to {alive.max():.3f}, median {np.median(alive):.3f}; "
        f"{(alive > bakhshi_pooling.PUBLISHED).sum()} of {len(alive)} above {bakhshi_pooling.PUBLISHED}",
    ]
    return Result([row], lines, bakhshi_pooling.figure(score, by_filter))


def _job(name: str, title: str, *functions: Any, **more: Any) -> Job:
    return Job(f"bakhshi-{name}", f"Bakhshi et al. 2020, {title}", _RECOLA, ("recola",), *functions, **more)


JOBS = [
    _job(
        "table-1",
        "Table 1: CCC of conv_bigru on RECOLA by the length of segments, batch 25",
        _table_1,
        partial(_of_length, batches=(25,)),
        seeds=(0, 1, 2),
    ),
    _job(
        "table-2",
        "Table 2: CCC of conv_bigru on RECOLA by the length of segments and the batch size",
        _table_2,
        partial(_of_length, batches=_BATCHES),
    ),
    _job("table-3", "Table 3: CCC on RECOLA, 8 s segments, batch 50", _table_3, _networks),
    _job(
        "figure-2",
        "Figure 2: Table 2 as curves",
        _figure_2,
        partial(_of_length, batches=_BATCHES),
        runs_of="bakhshi-table-2",
    ),
    _job(
        "pooling",
        "section 4: max pooling against resampling to 8 kHz behind the first convolution, CCC of both",
        _pooling,
        _of_pooling,
        runs_of="bakhshi-table-3",
    ),
]
