"""Make the tables and figures of Khan, Butt, Ali 2020: MFCC statistics of RAVDESS to eight emotions.

The paper's clips are of speech and song. Where song is at hand the protocols are those of both, else of speech alone.
All runs record the accuracy of every epoch on training and test clips, for Figure 6; nothing is chosen by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from zoo.reproduction.job import Asked, Job, Result, Row, Training

_RAVDESS = "RAVDESS, speech and song as in the paper, or speech alone (--data-root its folder)"
_SPEECH = ("ravdess-random-67", "ravdess-actors")
_BOTH = ("ravdess-both-random-67", "ravdess-both-actors")
_MODELS = ("cnn1d_mfcc", "rnn_mfcc")


def _networks(asked: Asked, models: Sequence[str] = _MODELS) -> Iterable[Training]:
    for protocol in _protocols(asked):
        usual: dict[str, Any] = {"allow_leakage": True} if "random" in protocol else {}
        usual |= {"epochs": 10} if asked.synthetic else {}
        named = {"protocol": protocol, "corpus": "ravdess"} if protocol else {}
        for model in models:
            for seed in asked.seeds:
                place = "-".join(filter(None, (model, protocol, f"seed-{seed}")))
                fixed = {"model": model, "seed": seed, "record_accuracy": True}
                yield Training(place, fixed, {**named, **usual})


def _protocols(asked: Asked) -> Sequence[str]:
    """Return the protocols: the one of --protocol, or those of speech and song, or of speech where there is no song."""
    if asked.elsewhere:
        return ("",)
    if "protocol" in asked.given:
        return (asked.given["protocol"],)
    from zoo.data.corpora import registry
    from zoo.runs.dataset import root_of

    root = root_of(asked.config(Training("", {"model": _MODELS[0]}, {"corpus": "ravdess"})))
    channels = {clip.tags["channel"] for clip in registry.load("ravdess", root).clips}
    return _BOTH if {"speech", "song"} <= channels else _SPEECH


def _groups(folders: Mapping[str, Path]) -> dict[tuple[str, str], list[Path]]:
    """Return the runs of every network and protocol, seed by seed."""
    from zoo.runs.folder import read_record

    found: dict[tuple[str, str], list[Path]] = {}
    for folder in folders.values():
        record = read_record(folder)
        found.setdefault((record["model"], record["protocol"].partition(" ")[0]), []).append(folder)
    return found


def _lines(groups: Iterable[tuple[str, str]]) -> list[str]:
    protocols = list(dict.fromkeys(protocol for _, protocol in groups))
    lines = [f"protocols: {', '.join(protocols)}"]
    if set(protocols) & set(_SPEECH):
        song = "Audio_Song_Actors_01-24 beside the speech brings the protocols of both"
        lines.append(f"ours on speech alone, as no song is at hand; the paper's clips are of speech and song: {song}")
    if set(protocols) & {_SPEECH[0], _BOTH[0]}:
        lines.append("a random division, as the paper's, has the same speakers in training and test")
    return lines


def _table_5(asked: Asked, folders: Mapping[str, Path]) -> Result:
    from zoo.reproduction import khan_epochs, khan_matrix
    from zoo.reproduction.over_seeds import averages

    rows, groups = [], _groups(folders)
    for (model, protocol), runs in groups.items():
        test, ua, *_ = averages(runs)
        kept, last = (khan_epochs.accuracy(runs, at_end=at_end) for at_end in (False, True))
        run = " ".join(map(str, runs))
        rows += [
            Row(model, "accuracy, training", kept["train"], "%", protocol, run=run),
            Row(
                model, "accuracy, test", test.score, "%", protocol, _note("accuracy, test", protocol, test.spread), run
            ),
            Row(model, "UA, test", ua.score, "%", protocol, _note("UA, test", protocol, ua.spread), run),
            *(
                Row(model, f"accuracy, {words}", last[side], "%", f"{protocol}, last epoch", run=run)
                for side, words in (("train", "training"), ("test", "test"))
            ),
        ]
    below = "the kept epoch is the best on validation clips, of which the paper has none; the last one is beside it"
    model, protocol = next(iter(groups))
    matrix, classes = khan_matrix.counts(groups[model, protocol])
    lines = [below, *_lines(groups), *khan_matrix.in_words(matrix, classes, f"{model}, {protocol}")]
    return Result(rows, lines, khan_matrix.figure(matrix, classes))


def _note(column: str, protocol: str, spread: str) -> str:
    return spread and f"{column}, {protocol}: {spread}"


def _table_6(asked: Asked, folders: Mapping[str, Path]) -> Result:
    from zoo.reproduction import over_seeds
    from zoo.reproduction.khan_bars import figure
    from zoo.runs.folder import read_record

    rows, groups = [], _groups(folders)
    for (_, protocol), runs in groups.items():
        found = over_seeds.averages(runs, over_seeds.recalls)
        for emotion, one in zip(read_record(runs[0])["classes"], found, strict=True):
            run = " ".join(map(str, runs))
            rows.append(Row(emotion, "recall", one.score, "%", protocol, _note("recall", protocol, one.spread), run))
    return Result(rows, _lines(groups), figure(rows, with_published=not asked.elsewhere))


def _figure_7(asked: Asked, folders: Mapping[str, Path]) -> Result:
    found = _table_6(asked, folders)
    return Result([*found.rows, Row("eight emotions", "bars", None, note="drawn")], found.lines, found.figure)


def _figure_6(asked: Asked, folders: Mapping[str, Path]) -> Result:
    from zoo.reproduction import khan_epochs

    rows, groups = [Row("training and test", "curves", None, note="drawn")], _groups(folders)
    for (model, protocol), runs in groups.items():
        for side, value in khan_epochs.accuracy(runs, at_end=True).items():
            column = "accuracy, training, last epoch" if side == "train" else "accuracy, test, last epoch"
            rows.append(Row(model, column, value, "%", protocol, run=" ".join(map(str, runs))))
    below = (
        "lines: means over seeds, and the seeds; test accuracy is recorded at every epoch, and no epoch chosen by it"
    )
    curves = {protocol: runs for (_, protocol), runs in groups.items()}
    return Result(rows, [below, *_lines(groups)], khan_epochs.figure(curves, with_published=not asked.elsewhere))


def _job(name: str, title: str, *functions: Any, **more: Any) -> Job:
    return Job(f"khan-{name}", f"Khan, Butt, Ali 2020, {title}", _RAVDESS, ("ravdess",), *functions, **more)


_CNN: dict[str, Any] = {
    "runs": partial(_networks, models=_MODELS[:1]),
    "seeds": (0, 1, 2),
    "runs_of": "khan-table-5",
}
JOBS = [
    _job(
        "table-5",
        "text and Table 5: accuracy of the two networks, confusion matrix",
        _table_5,
        _networks,
        seeds=(0, 1, 2),
    ),
    _job("table-6", "Table 6: accuracy of cnn1d_mfcc by emotion", _table_6, **_CNN),
    _job("figure-6", "Figure 6: accuracy of cnn1d_mfcc over 500 epochs", _figure_6, **_CNN),
    _job("figure-7", "Figure 7: Table 6 as bars", _figure_7, **_CNN),
]
