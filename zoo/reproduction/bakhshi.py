"""Make the tables of Bakhshi et al. 2020: raw waveforms of RECOLA to arousal and valence."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from zoo.reproduction.job import Asked, Job, Result, Row, Training

_RECOLA = "RECOLA as released for AVEC 2016 (--data-root its folder)"
_NETWORKS = ("conv_bigru", "conv_blstm", "conv_lstm")
_DIMENSIONS = ("arousal", "valence")


def on(asked: Asked) -> dict[str, Any]:
    """Return the paper's corpus and protocol, or the corpus of --corpus with its usual protocol."""
    return {} if asked.elsewhere else {"corpus": "recola", "protocol": "recola-kfold-10"}


def _networks(asked: Asked) -> Iterable[Training]:
    for seed in asked.seeds:
        for model in _NETWORKS:
            usual = {**on(asked), "segment_seconds": 8.0, "batch_size": 50}
            yield Training(f"{model}-seed-{seed}", {"model": model, "seed": seed}, usual)


def _table_3(asked: Asked, folders: Mapping[str, Path]) -> Result:
    from zoo.runs.folder import read_record

    rows = []
    for name, folder in folders.items():
        record, (model, _, seed) = read_record(folder), name.rpartition("-seed-")
        variant = f"seed {seed}" if len(asked.seeds) > 1 else ""
        for dimension in _DIMENSIONS:
            score = record["dimensions"][dimension]["ccc"]
            rows.append(Row(model, dimension, score, variant=variant, run=str(folder)))
    return Result(rows, ["ours before post-processing"])


JOBS = [
    Job(
        "bakhshi-table-3",
        "Bakhshi et al. 2020, Table 3: CCC on RECOLA, 8 s segments, batch 50",
        _RECOLA,
        ("recola",),
        _table_3,
        _networks,
    )
]
