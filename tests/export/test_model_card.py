"""The card says what the run's files say, and its commands make the run's configuration again."""

import argparse
import shlex

import pytest
import tiny_runs

from zoo.config import flags as config_flags
from zoo.config import saved as config_saved
from zoo.export import model_card
from zoo.metrics import classification
from zoo.runs import command_line
from zoo.runs.dataset import resolve
from zoo.runs.folder import read_record
from zoo.utils.atomic_files import write_csv, write_json

CLASSES = ("anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness")


def parsed(words):
    parser = argparse.ArgumentParser()
    config_flags.add_flags(parser)
    return resolve(config_flags.from_flags(vars(parser.parse_args(words))))


@pytest.mark.parametrize(
    "given",
    [
        {"model": "fcn", "corpus": "ravdess", "recipe": "tuned", "fold": "4", "option": {"kernel_size": 5}},
        {"model": "conv_lstm", "corpus": "recola", "learning_rate": 3e-4, "option": {"filters": [4, 5, 6]}},
        {"model": "cnn1d_mfcc", "corpus": "emodb", "synthetic": True, "epochs": 3, "statistics": "six"},
        {"model": "attention_blstm_fcn", "corpus": "iemocap", "option": {"recurrent": None}, "seed": 7},
    ],
)
def test_flags_make_the_configuration_again(given):
    settings = resolve(config_flags.from_flags(given))
    words = command_line.of(settings)
    assert config_saved.differences(settings, parsed(words)) == []
    assert ("--learning-rate" in words) == ("learning_rate" in given) and "--data-root" not in words


def exported(tmp_path, **description):
    """A run with three speakers' predictions, and the description of its export."""
    run = tiny_runs.make(tmp_path / "run", "fcn", "emodb")
    rows = [
        {"speaker": speaker, "truth": truth, "prediction": "fear" if truth == "anger" and speaker != "08" else truth}
        for speaker in ("03", "08", "09")
        for truth in CLASSES
    ]
    truth, prediction, speakers = ([row[key] for row in rows] for key in ("truth", "prediction", "speaker"))
    scores = classification.evaluate(truth, prediction, CLASSES, speakers)
    record = {**read_record(run), **scores, "leakage": [], "notes": ["Actor_99: expected 60 clips, found 0"]}
    write_json(run / "metrics.json", record)
    write_csv(run / "predictions.csv", rows)
    version = tiny_runs.made(tmp_path / "fcn-emodb" / "3")
    content = {
        "model": "fcn",
        "paper": "Someone 2019",
        "task": "emotion",
        "classes": list(CLASSES),
        "lengths_in": "samples",
        "rate_hz": 16000,
        "shortest": 400,
        "longest": 960000,
        "synthetic": False,
        "protocol": record["protocol"],
        "folds": ["0-x"],
        "temperature": 1.5,
        "calibration": {side: {"ece_before": 0.2, "ece_after": 0.1} for side in ("validation", "test")},
        "run_versions": {"keras": "3.15.1"},
        "files": {"saved_model.pb": "ab12"},
        "run_files": {"config.json": "cd34"},
        **description,
    }
    write_json(tiny_runs.made(version / "assets") / "description.json", content)
    return model_card.write(version, run, notes=["Recorded in a car."]).read_text()


def test_it_says_data_figures_weaknesses_and_origin(tmp_path):
    """Anger is found for one speaker of three: recall 1/3, so UA is (6 + 1/3) / 7 = 90.5 %; 6/7 = 85.7 % for two.

    Its command makes the run's configuration again.
    """
    card = exported(tmp_path)
    command = next(line for line in card.splitlines() if "scripts/train.py" in line)
    made = parsed([word for word in shlex.split(command)[2:] if word not in ("--data-root", "DIR", "--out", "RUN")])
    assert config_saved.differences(config_saved.load(tmp_path / "run" / "config.json"), made) == []
    for part in (
        "licence: free for research",
        "- Recorded in a car.",
        "Actor_99: expected 60 clips, found 0",
        "UA 90.5 %",
        "| 03 | 7 | 85.7 % | 85.7 % |",
        "| 08 | 7 | 100.0 % | 100.0 % |",
        "- anger: 33 % of 3 found, most often taken for fear",
        "| test | 0.200 | 0.100 |",
        "`ab12` saved_model.pb",
    ):
        assert part in card
    assert "mean nothing" not in card


def test_warnings_come_before_the_figures(tmp_path):
    card = exported(tmp_path, synthetic=True, warnings=["--weights random: no baseline"])
    head = card[: card.index("## Data")]
    assert "mean nothing" in head and "\n**--weights random: no baseline**\n" in head
    assert "licence" not in card
