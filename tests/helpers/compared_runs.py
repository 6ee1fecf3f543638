"""Folders as train.py leaves them, with predictions drawn at random: nothing is trained."""

import numpy as np

from zoo.metrics import classification, regression
from zoo.utils.atomic_files import write_csv, write_json

CLASSES = ("angry", "happy", "sad")
DIMENSIONS = ("arousal", "valence")
SETTINGS = {"model": "fcn", "epochs": 3, "data_root": "A", "cache_dir": "", "option": {"dropout": 0.5}}
FACTS = {"corpus": "emodb", "protocol": "emodb-speakers v1", "synthetic": False, "leakage": [], "notes": []}


def emotion_rows(skill=0.5, seed=0, n_speakers=6, n_clips=8):
    """Rows of predictions.csv that are right with a chance of `skill`; clips and truth are the same for every seed."""
    rng = np.random.default_rng([seed, round(100 * skill)])
    rows = []
    for number in range(n_speakers * n_clips):
        truth = CLASSES[number % 3]
        prediction = truth if rng.random() < skill else str(rng.choice(CLASSES))
        clip = {"corpus": "emodb", "clip": f"c{number:03}", "speaker": f"s{number // n_clips}"}
        rows.append({**clip, "truth": truth, "prediction": prediction})
    return rows


def continuous_rows(noise=1.0, seed=0, n_speakers=6, n_frames=30):
    """Rows of predictions.csv of a recording per speaker. Nobody rated the last frame."""
    rng, waves = np.random.default_rng(seed), np.random.default_rng(99)
    rows = []
    for number in range(n_speakers):
        truth = waves.normal(size=(n_frames, 2)).cumsum(axis=0)
        predicted = truth + noise * rng.normal(size=truth.shape)
        for frame in range(n_frames):
            row = {"corpus": "recola", "fold": "0-x", "clip": f"dev_{number}", "speaker": f"P{number}"}
            row["time"] = f"{0.04 * frame:.2f}"
            for k, name in enumerate(DIMENSIONS):
                row[f"truth_{name}"] = f"{truth[frame, k]:.6f}" if frame < n_frames - 1 else ""
                row[name] = f"{predicted[frame, k]:.6f}"
                row[f"postprocessed_{name}"] = f"{(truth[frame, k] + predicted[frame, k]) / 2:.6f}"
            rows.append(row)
    return rows


def write_run(folder, rows, settings=None, **facts):
    """Writes a finished run with these predictions; returns its folder."""
    write_json(folder / "config.json", {**SETTINGS, "seed": 0, "out": str(folder), **(settings or {})})
    write_csv(folder / "predictions.csv", rows)
    if "fold" in rows[0]:
        figures = {**_ccc(rows, ""), "postprocessed": _ccc(rows, "postprocessed_")}
        facts = {"corpus": "recola", "protocol": "recola-dev v1", **facts}
    else:
        columns = [[row[name] for row in rows] for name in ("truth", "prediction", "speaker")]
        figures = classification.evaluate(*columns[:2], CLASSES, columns[2])
    write_json(folder / "metrics.json", {**FACTS, **figures, **facts})
    return folder


def _ccc(rows, prefix):
    rated = [row for row in rows if row["truth_arousal"]]
    clips = sorted({row["clip"] for row in rated})

    def column(kind):
        return [
            np.array([[float(row[kind + name]) for name in DIMENSIONS] for row in rated if row["clip"] == clip])
            for clip in clips
        ]

    return regression.evaluate(column("truth_"), column(prefix), DIMENSIONS, clips)
