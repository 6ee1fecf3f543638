"""The card says what the run's files say, and its commands make the run's configuration again."""

import json
import shlex
from pathlib import Path

import pytest
import tiny_runs

from zoo.config import flags as config_flags
from zoo.config import saved as config_saved
from zoo.data.corpora.registry import CORPORA
from zoo.export import model_card
from zoo.metrics import classification
from zoo.runs import command_line
from zoo.runs.dataset import resolve
from zoo.runs.folder import read_record
from zoo.serving.description import DESCRIPTION
from zoo.utils.atomic_files import write_csv, write_json
from zoo.utils.parser import Parser

EXPORT = Path(__file__).parents[2] / "saved_models" / "attention_blstm_fcn-ravdess" / "1"


def parsed(words):
    parser = Parser()
    config_flags.add_flags(parser)
    return resolve(config_flags.from_flags(vars(parser.parse_args(words))))


@pytest.mark.parametrize(
    "given",
    [
        {"model": "fcn", "corpus": "ravdess", "recipe": "tuned", "fold": "4", "option": {"kernel_size": 5}},
        {"model": "conv_lstm", "corpus": "recola", "learning_rate": 3e-4, "option": {"filters": [4, 5, 6]}},
        {"model": "cnn1d_mfcc", "corpus": "emodb", "synthetic": True, "epochs": 3, "statistics": "six"},
        {"model": "fcn", "corpus": "ravdess+emodb:mine", "classes": ("angry", "sad"), "normalize_corpora": True},
        {"model": "fcn", "corpus": "ravdess", "protocol": "pool-speakers", "classes": ("sad", "calm"), "fold": "0"},
        {"model": "fcn", "corpus": "ravdess+emodb", "target": "quadrant", "classes": ("a", "b"), "neutral_radius": 0.3},
        {"model": "attention_blstm_fcn", "corpus": "iemocap", "option": {"recurrent": None}, "seed": 7},
    ],
)
def test_flags_make_the_configuration_again(given):
    settings = resolve(config_flags.from_flags(given))
    words = command_line.of(settings)
    assert config_saved.differences(settings, parsed(words)) == []
    assert ("--learning-rate" in words) == ("learning_rate" in given) and "--data-root" not in words


def exported(tmp_path, **changes):
    """The card of an export of a run with three speakers' predictions; the export's description is a real one's."""
    run, version = tiny_runs.make(tmp_path / "run", "fcn", "ravdess"), tmp_path / "fcn-ravdess" / "3"
    description = json.loads((EXPORT / DESCRIPTION).read_text())
    rows = [
        {"speaker": speaker, "truth": truth, "prediction": "fearful" if truth == "angry" and speaker != "08" else truth}
        for speaker in ("03", "08", "09")
        for truth in description["classes"]
    ]
    truth, prediction, speakers = ([row[key] for row in rows] for key in ("truth", "prediction", "speaker"))
    scores = classification.evaluate(truth, prediction, description["classes"], speakers)
    record = {**read_record(run), **scores, "leakage": [], "notes": ["Actor_99: expected 60 clips, found 0"]}
    write_json(run / "metrics.json", record)
    write_csv(run / "predictions.csv", rows)
    write_json(version / DESCRIPTION, {**description, **changes})
    return model_card.write(version, run, notes=["Recorded in a car."]).read_text()


def test_it_says_data_figures_weaknesses_and_origin(tmp_path):
    """Anger is found for one speaker of three: recall 1/3, so UA is (7 + 1/3) / 8 = 91.7 %; 7/8 = 87.5 % for two.

    Its command makes the run's configuration again.
    """
    card = exported(tmp_path)
    command = next(line for line in card.splitlines() if "scripts/train.py" in line)
    made = parsed([word for word in shlex.split(command)[2:] if word not in ("--data-root", "DIR", "--out", "RUN")])
    assert config_saved.differences(config_saved.load(tmp_path / "run" / "config.json"), made) == []
    for part in (
        f"licence: {CORPORA['ravdess'].licence}",
        "- Recorded in a car.",
        "Actor_99: expected 60 clips, found 0",
        "UA 91.7 %",
        "| 03 | 8 | 87.5 % | 87.5 % |",
        "| 08 | 8 | 100.0 % | 100.0 % |",
        "- angry: 33 % of 3 found, most often taken for fearful",
        "| validation | 0.177 | 0.074 |",
        f"`{json.loads((EXPORT / DESCRIPTION).read_text())['files']['saved_model.pb']}` saved_model.pb",
    ):
        assert part in card
    assert "mean nothing" not in card


def test_warnings_come_before_the_figures(tmp_path):
    card = exported(tmp_path, synthetic=True, warnings=["--weights random: no baseline"])
    head = card[: card.index("## Data")]
    assert "mean nothing" in head and "\n**--weights random: no baseline**\n" in head
    assert "licence" not in card
