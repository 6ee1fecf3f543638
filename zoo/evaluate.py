"""Scores of a run on its test clips, always from the saved model and the audio, as a user of the model would."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo import config, metrics, report
from zoo.data.schema import Clip
from zoo.data.source import drop_clips, open_source
from zoo.errors import UserError
from zoo.folder import corpus_name, fold_folder, read_record
from zoo.predict import frontend, load_model, predict, read_windows
from zoo.storage import write_csv, write_json

Row = dict[str, Any]


def score_clips(
    model_path: Path, clips: Sequence[Clip], classes: Sequence[str], corpus: str, max_seconds: float
) -> list[Row]:
    """Returns one row per clip: corpus, clip, speaker, truth, prediction, and a probability per class as p_CLASS."""
    model = load_model(model_path)
    windows = read_windows([clip.path for clip in clips], frontend(model).rate_hz, max_seconds)
    outputs = [output for window in windows for output in predict(model, [waveform for _, waveform in window])]
    return [
        {
            "corpus": corpus,
            "clip": clip.name,
            "speaker": clip.speaker,
            "truth": clip.label,
            "prediction": classes[int(np.argmax(output))],
            **{f"p_{name}": f"{value:.6f}" for name, value in zip(classes, output, strict=True)},
        }
        for clip, output in zip(clips, outputs, strict=True)
    ]


def scores(rows: Sequence[Row], classes: Sequence[str]) -> dict[str, Any]:
    """Returns the metrics of rows as `score_clips` makes them."""
    truth, prediction, speakers = ([row[name] for row in rows] for name in ("truth", "prediction", "speaker"))
    return metrics.evaluate(truth, prediction, classes, speakers)


def write_results(folder: Path, rows: Sequence[Row], summary: Mapping[str, Any], title: str) -> None:
    """Writes predictions.csv, confusion.png and, last, metrics.json: its presence says that all are there."""
    write_csv(folder / "predictions.csv", rows)
    report.plot_confusion(summary["confusion"], summary["classes"], folder / "confusion.png", title)
    write_json(folder / "metrics.json", summary)


def evaluate_run(run: Path, data_root: str = "") -> tuple[dict, list[str]]:
    """Scores a finished run again on its test clips.

    Returns the metrics, and in what they differ from those the run recorded (empty: the same figures again). Raises
    UserError when the run is not finished or its data is absent.
    """
    settings = config.load(run / "config.json")
    recorded = read_record(run)
    source = open_source(replace(settings, data_root=data_root or settings.data_root))
    if source.synthetic != recorded["synthetic"]:
        raise UserError(f"{run} was trained on {'synthetic' if recorded['synthetic'] else 'real'} clips, these are not")
    source = drop_clips(source, recorded["bad_clips"])
    classes = source.protocol.classes
    rows = [
        row
        for fold in source.folds
        for row in score_clips(
            fold_folder(run, fold) / "model.keras", fold.test, classes, corpus_name(recorded), settings.max_clip_seconds
        )
    ]
    summary = {**recorded, **scores(rows, classes)}
    changed = [
        f"{name}: {recorded[name]} was recorded, {summary[name]} found"
        for name in ("n_clips", "ua", "wa", "macro_f1", "confusion")
        if recorded[name] != summary[name]
    ]
    return summary, changed


def compare(run: Path, other: Path) -> dict[str, float]:
    """Tests whether the accuracy (WA) of `other` exceeds that of `run`: {"z", "p"}, one-tailed.

    The z-test of Zhao et al. 2019, section IV, takes the runs' test clips as independent samples. Raises UserError when
    the runs were tested under different protocols.
    """
    records = [read_record(folder) for folder in (run, other)]
    if records[0]["protocol"] != records[1]["protocol"]:
        raise UserError(
            f"{run} is under {records[0]['protocol']}, {other} under {records[1]['protocol']}: not comparable"
        )
    z, p = metrics.z_test(*(value for record in records for value in (record["wa"]["value"], record["n_clips"])))
    return {"z": z, "p": p}
