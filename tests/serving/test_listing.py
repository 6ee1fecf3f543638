"""The list of named models: what it says of each, from descriptions alone."""

import json
import shutil
from pathlib import Path

import pytest

import zoo
from zoo import pretrained
from zoo.commands import models
from zoo.errors import UserError
from zoo.serving.listing import licence_of

ROOT = Path(__file__).parents[2]
NAME = "attention_blstm_fcn-ravdess"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with one of the project's models, and what is none."""
    shutil.copytree(ROOT / "saved_models" / NAME, tmp_path / "models" / NAME)
    (tmp_path / "models" / "notes").mkdir()
    monkeypatch.setenv(pretrained.MODELS_VARIABLE, str(tmp_path / "models"))
    return tmp_path / "models"


def test_a_model_is_described_by_its_export(folder):
    (found,) = zoo.list_models()
    description = json.loads((folder / NAME / "1" / "assets" / "description.json").read_text())
    size = sum(path.stat().st_size for path in (folder / NAME / "1").rglob("*") if path.is_file())
    assert found.pop("megabytes") == pytest.approx(size / 1e6, abs=0.05)
    assert found == {
        "name": NAME,
        "title": "both streams, two BLSTM layers (Zhao et al. 2019)",
        "task": "emotion",
        "outputs": description["classes"],
        "trained_on": "ravdess",
        "licence": "CC BY-NC-SA 4.0",
    }


def test_every_model_of_the_checkout_can_be_listed_and_loaded(monkeypatch):
    monkeypatch.delenv(pretrained.MODELS_VARIABLE, raising=False)
    names = [model["name"] for model in zoo.list_models()]
    assert names == pretrained.names() and {NAME, "conv_lstm-standin"} <= set(names)


def test_models_of_an_installation_come_before_those_of_a_checkout(tmp_path, monkeypatch):
    monkeypatch.delenv(pretrained.MODELS_VARIABLE, raising=False)
    monkeypatch.setattr(zoo, "__file__", str(tmp_path / "site" / "zoo" / "__init__.py"))
    assert pretrained.folder() == tmp_path / "site" / "saved_models"
    (tmp_path / "site" / "zoo" / "saved_models").mkdir(parents=True)
    assert pretrained.folder() == tmp_path / "site" / "zoo" / "saved_models"


FEW = {"corpus": "cremad", "licence": "ODbL", "synthetic": False}


@pytest.mark.parametrize(
    ("description", "licence"),
    [
        ({"trained_on": "ravdess"}, "CC BY-NC-SA 4.0"),
        ({"trained_on": "ravdess+emodb"}, "CC BY-NC-SA 4.0; free for research"),
        ({"trained_on": "synthetic ravdess", "synthetic": True}, "Apache 2.0"),
        ({"trained_on": "stand-in for RECOLA made from RAVDESS"}, "CC BY-NC-SA 4.0"),
        ({"trained_on": "table:calls.csv"}, "that of its owner"),
        ({"trained_on": "somewhere"}, "unknown"),
        ({"trained_on": "emodb", "initial": [FEW], "teachers": [FEW]}, "free for research; ODbL"),
        ({"trained_on": "emodb", "initial": [{**FEW, "synthetic": True}]}, "free for research"),
    ],
)
def test_the_licence_is_that_of_all_data_it_learnt_from(description, licence):
    assert licence_of(description) == licence


def test_a_damaged_model_is_an_error(folder):
    (folder / NAME / "1" / "assets" / "description.json").write_text("{}")
    with pytest.raises(UserError, match="expected format 1"):
        zoo.list_models()


def test_the_command_lists_them_in_words_and_as_json(folder, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["ser models"])
    assert models.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{NAME}: both streams, two BLSTM layers (Zhao et al. 2019)"
    assert lines[3] == "  licence     CC BY-NC-SA 4.0" and lines[-1] == f"Try one: ser predict {NAME} --example"
    monkeypatch.setattr("sys.argv", ["ser models", "--json"])
    assert models.main() == 0
    assert json.loads(capsys.readouterr().out) == zoo.list_models()[0]
    assert max(map(len, models.in_words(zoo.list_models()[0], 50).splitlines()[1:])) <= 50
    monkeypatch.setenv(pretrained.MODELS_VARIABLE, str(folder / "none"))
    with pytest.raises(UserError, match="no model is there; name a folder of models in SPEECH_ZOO_MODELS"):
        models.main()
