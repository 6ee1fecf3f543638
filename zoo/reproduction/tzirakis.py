"""Make the table and figure of Tzirakis et al. 2018: raw waveforms of RECOLA to arousal and valence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.data.synthetic import recola_standin
from zoo.reproduction.job import Asked, Job, Result, Row, Training

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RECOLA = "all 46 recordings of RECOLA, and partition.csv in their folder (--data-root), as the partition is not public"
_DIMENSIONS = ("arousal", "valence")
_PAPERS = "recola-full"
_ON_AVEC = "recola-nested"  # for 18 recordings, as a stand-in has
# Strides instead of poolings keep an overlap near one half with these kernels (section 3).
_STRIDES = {"downsampling": "stride", "kernel_sizes": [20, 16, 16]}


def _on(asked: Asked) -> dict[str, Any]:
    """Return the paper's corpus and protocol, which a user may change; a stand-in for RECOLA has no partition."""
    if asked.elsewhere:
        return {}
    root = asked.root("recola")
    stand_in = root is not None and bool(recola_standin.origin(root))
    short = {"fold": "0", "epochs": 2} if asked.synthetic else {}
    return {"corpus": "recola", "protocol": _ON_AVEC if stand_in else _PAPERS, **short}


def _networks(asked: Asked, strides: bool = False) -> Iterable[Training]:
    for seed in asked.seeds:
        yield Training(f"conv_lstm-seed-{seed}", {"model": "conv_lstm", "seed": seed}, _on(asked))
        if strides:
            fixed = {"model": "conv_lstm", "seed": seed, "option": _STRIDES}
            yield Training(f"conv_lstm-strides-seed-{seed}", fixed, _on(asked))


def _table_2(asked: Asked, folders: Mapping[str, Path]) -> Result:
    runs = list(folders.values())
    rows = [*_test(runs, True), *_validation(runs), *_test(runs, False)]
    return Result(rows, ["validation is before post-processing; the epoch is chosen on it", *_lines(asked, runs)])


def _test(runs: Sequence[Path], postprocessed: bool) -> list[Row]:
    """Return test CCC, the mean over seeds, after the paper's post-processing or before."""
    from zoo.reproduction.over_seeds import averages

    _, *by_dimension = averages(runs, postprocessed=postprocessed)
    variant = "" if postprocessed else "before post-processing"
    run = " ".join(map(str, runs))
    return [
        Row("conv_lstm", dimension, found.score, variant=variant, note=_spread(dimension, found.spread), run=run)
        for dimension, found in zip(_DIMENSIONS, by_dimension, strict=True)
    ]


def _spread(what: str, spread: str) -> str:
    return spread and f"{what}: {spread}"


def _validation(runs: Sequence[Path]) -> list[Row]:
    """Return validation CCC of the kept epochs, the mean over folds and seeds."""
    import numpy as np

    from zoo.runs.folder import fold_folders, read_record
    from zoo.utils.atomic_files import read_csv

    kept = []
    for run in runs:
        for fold in read_record(run, ("folds",))["folds"]:
            kept.append(read_csv(fold_folders(run)[fold["fold"]] / "history.csv")[fold["best_epoch"] - 1])
    run = " ".join(map(str, runs))
    return [
        Row(
            "conv_lstm",
            f"{name}, validation",
            float(np.mean([float(row[f"validation_ccc_{name}"]) for row in kept])),
            run=run,
        )
        for name in _DIMENSIONS
    ]


def _lines(asked: Asked, runs: Sequence[Path]) -> list[str]:
    from zoo.runs.folder import read_record

    protocol = read_record(runs[0])["protocol"]
    if asked.elsewhere or protocol.startswith(f"{_PAPERS} "):
        return ["after post-processing, as the paper's figures are; the other systems' as its Table 2 has them"]
    return [f"ours under {protocol}, which is not the paper's division (recola-full)"]


def _strides(asked: Asked, folders: Mapping[str, Path]) -> Result:
    from zoo.reproduction.over_seeds import averages

    rows = []
    for name, words in {"conv_lstm-seed-": "pooling", "conv_lstm-strides-seed-": "strides in place of pooling"}.items():
        runs = [folder for run, folder in folders.items() if run.startswith(name)]
        for label, found in zip(("CCC", *_DIMENSIONS), averages(runs) if runs else (), strict=False):
            rows.append(Row(words, label, found.score, note=_spread(label, found.spread), run=" ".join(map(str, runs))))
    below = "before post-processing; CCC is the mean of both. The paper says that strides are worse, without a figure"
    return Result(rows, [below, *_lines(asked, list(folders.values()))])


def _figure_2(asked: Asked, folders: Mapping[str, Path]) -> Result:
    from zoo.runs.folder import read_record, read_rows

    run = next(iter(folders.values()))
    record, clip = read_record(run), ""
    frames = []
    for row in read_rows(run):
        clip = clip or row["clip"]
        if row["clip"] == clip and row["fold"] == (frames or [row])[0]["fold"]:
            frames.append(row)
    rows = [
        Row(clip, f"{name}, {what}", _ccc(frames, name, column), run=str(run))
        for name in _DIMENSIONS
        for what, column in (("as predicted", name), ("post-processed", f"postprocessed_{name}"))
    ]
    rows.append(Row("arousal and valence", "traces", None, note="drawn: the first test recording"))
    return Result(rows, _lines(asked, [run]), _traces(record, frames))


def _ccc(frames: Sequence[Mapping[str, str]], name: str, column: str) -> float:
    """Return the CCC of a recording's rated frames."""
    import numpy as np

    from zoo.metrics.regression import ccc

    rated = [row for row in frames if row[f"truth_{name}"] != ""]
    truth, prediction = ([float(row[key]) for row in rated] for key in (f"truth_{name}", column))
    return float(ccc(np.array(truth), np.array(prediction)))


def _traces(record: Mapping[str, Any], frames: Sequence[Mapping[str, str]]) -> Figure:
    from zoo.reports.continuous import traces_figure

    return traces_figure(record, frames)


def _job(name: str, title: str, *functions: Any, **more: Any) -> Job:
    return Job(f"tzirakis-{name}", f"Tzirakis et al. 2018, {title}", _RECOLA, ("recola",), *functions, **more)


JOBS = [
    _job("table-2", "Table 2: CCC on RECOLA, test and validation", _table_2, _networks),
    _job(
        "figure-2",
        "Figure 2: gold standard and prediction of a test recording",
        _figure_2,
        _networks,
        runs_of="tzirakis-table-2",
    ),
    _job(
        "strides",
        "section 3: strides in place of pooling",
        _strides,
        partial(_networks, strides=True),
        runs_of="tzirakis-table-2",
    ),
]
