"""Suggestions for misspelt names, and names in capitals."""

import json

import pytest

import zoo
from zoo import registry
from zoo.commands import ser
from zoo.config import saved
from zoo.config.flags import from_flags, need_corpus
from zoo.data.corpora import pool
from zoo.data.corpora import registry as corpora
from zoo.data.protocols import pool as protocols_of_pools
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError, did_you_mean, missing, spelt
from zoo.runs.dataset import resolve


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [("trian", " Did you mean 'train'?"), ("TUNE", " Did you mean 'Tune'?"), ("xyz", ""), ("", "")],
)
def test_the_nearest_known_name_is_suggested_whatever_its_capitals(name, suggestion):
    assert did_you_mean(name, ["train", "Tune"]) == suggestion


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("RAVDESS", ["ravdess"], "ravdess"),
        ("EmoDB", ["ravdess"], "EmoDB"),
        ("A", ["a", "A"], "A"),
        ("Aa", ["aa", "AA"], "Aa"),  # either may be meant
    ],
)
def test_capitals_do_not_matter_where_one_name_is_meant(name, known, expected):
    assert spelt(name, known) == expected


def test_networks_recipes_protocols_corpora_and_choices_may_be_in_capitals():
    given = {"model": "Residual_BiGRU", "corpus": "RAVDESS", "recipe": "Small_Data", "synthetic": True}
    given |= {"protocol": "RAVDESS-Actors", "on_bad_clip": "SKIP", "backend": "JAX"}
    config = resolve(from_flags(given))
    found = config.model, config.corpus, config.recipe, config.protocol, config.on_bad_clip, config.backend
    assert found == ("residual_bigru", "ravdess", "small_data", "ravdess-actors", "skip", "jax")
    assert protocols_of_pools.get("Pool-Speakers", "ravdess+emodb", ()).name == "pool-speakers"
    assert registry.get("FCN") is registry.MODELS["fcn"] and corpora.get("EmoDB") is corpora.CORPORA["emodb"]


@pytest.mark.parametrize(
    ("corpus", "expected"),
    [
        ("Table:Mine/Data.csv", "table:Mine/Data.csv"),  # a path keeps its capitals
        ("EMODB:Folder+TABLE:X.csv", "emodb:Folder+table:X.csv"),
        ("Nothing", "Nothing"),
    ],
)
def test_only_names_of_corpora_are_changed(corpus, expected):
    assert corpora.as_spelt(corpus) == expected


def test_members_of_pools_and_synthetic_twins_too(tmp_path):
    assert [member.kind for member in pool.members("RAVDESS+Emodb")] == ["ravdess", "emodb"]
    with pytest.raises(UserError, match=r"unknown corpus 'RAVDES'\. Did you mean 'ravdess'\?"):
        synthesize("RAVDES", tmp_path / "out", 0, 0)


def test_a_folder_that_is_absent_gets_the_name_beside_it(tmp_path):
    (tmp_path / "my-run").mkdir()
    assert missing(tmp_path / "my-runn") == "no such folder. Did you mean 'my-run'?"
    assert missing(tmp_path / "else") == missing(tmp_path / "none" / "x") == "no such folder"
    with pytest.raises(UserError, match=r"no such folder\. Did you mean 'my-run'"):
        saved.load(tmp_path / "my-runn" / "config.json")
    with pytest.raises(UserError, match=r"expected an exported model, found no such folder\. Did you mean 'my-run'"):
        zoo.load(tmp_path / "my-runn")


def test_models_of_the_checkout_are_found_in_capitals_and_suggested():
    assert zoo.load("Attention_BLSTM_FCN-RAVDESS").outputs[0] == "neutral"
    with pytest.raises(UserError, match=r"unknown model 'conv_lstm-standinn'\. Did you mean 'conv_lstm-standin'\?"):
        zoo.load("conv_lstm-standinn")


def test_predict_suggests_a_model_for_a_misspelt_name(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name, code in (("attention_blstm-ravdess", 2), ("Attention_blstm_fcn-RAVDESS", 0)):
        monkeypatch.setattr("sys.argv", ["ser", "predict", name, "--example", "--json"])
        with pytest.raises(SystemExit) as ended:
            ser.main()
        out, err = capsys.readouterr()
        assert ended.value.code == code
        assert json.loads(out)["emotion"] if out else "Did you mean 'attention_blstm_fcn-ravdess'?" in err


def test_train_alone_says_what_to_give(monkeypatch):
    monkeypatch.delenv("SPEECH_CORPORA", raising=False)
    monkeypatch.setattr("sys.argv", ["ser train"])
    for given in ({}, {"model": "fcn"}, {"epochs": 3}):
        with pytest.raises(UserError) as error:
            need_corpus(given)
        first, second = str(error.value).splitlines()
        assert first.endswith("as in: ser train --model residual_bigru --corpus ravdess --data-root DIR")
        assert "--synthetic" in second
    need_corpus({"corpus": "ravdess"})
    monkeypatch.setenv("SPEECH_CORPORA", "corpora")
    need_corpus({})
