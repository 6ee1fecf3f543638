"""Make the tables of Khan, Butt, Ali 2020: MFCC statistics of RAVDESS to eight emotions."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from zoo.reproduction.job import Asked, Job, Result, Row, Training

_RAVDESS = "RAVDESS, speech (--data-root its folder); the paper's clips are of speech and song"
_PROTOCOLS = ("ravdess-random-67", "ravdess-actors")


def _networks(asked: Asked) -> Iterable[Training]:
    for seed in asked.seeds:
        for protocol in ("",) if asked.elsewhere else _PROTOCOLS:
            usual = {"allow_leakage": True} if protocol == "ravdess-random-67" else {}
            for model in ("cnn1d_mfcc", "rnn_mfcc"):
                named = {"protocol": protocol, "corpus": "ravdess"} if protocol else {}
                place = "-".join(filter(None, (model, protocol, f"seed-{seed}")))
                yield Training(place, {"model": model, "seed": seed, **named}, usual)


def _table_5(asked: Asked, folders: Mapping[str, Path]) -> Result:
    from zoo.runs.folder import read_record
    from zoo.training.evaluate import training_accuracy

    rows, one_fits_all = [], len(asked.seeds) == 1
    for name, folder in folders.items():
        record, (_, _, seed) = read_record(folder), name.rpartition("-seed-")
        variant = record["protocol"].partition(" ")[0] + ("" if one_fits_all else f", seed {seed}")
        rows += [
            Row(record["model"], column, ours, "%", variant, run=str(folder))
            for column, ours in (
                ("accuracy, test", record["wa"]),
                ("UA, test", record["ua"]),
                ("accuracy, training", training_accuracy(folder)),
            )
        ]
    below = "training accuracy is that of the kept epoch; each run's folder has its confusion matrix"
    return Result(rows, [below])


JOBS = [
    Job(
        "khan-table-5",
        "Khan, Butt, Ali 2020, text and Table 5: accuracy of the two networks",
        _RAVDESS,
        ("ravdess",),
        _table_5,
        _networks,
        seeds=(0, 1, 2),
    )
]
