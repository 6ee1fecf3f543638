"""Folders, label files and sets of speakers that are not what the recipe needs."""

import shutil

import pytest
from spoil import SMALL, has

from zoo.config.flags import from_flags
from zoo.data.corpora import registry as corpora
from zoo.data.synthetic.corpora import MARKER
from zoo.runs.dataset import open_source, resolve


def test_nothing_given_or_a_variable_without_the_corpus(refused, monkeypatch, tmp_path):
    message = refused("train.py", "--corpus", "emodb")
    assert has(message, "no folder given for EmoDB", "--data-root DIR", corpora.DATA_ROOT_VARIABLE)
    monkeypatch.setenv(corpora.DATA_ROOT_VARIABLE, str(tmp_path))
    message = refused("train.py", "--corpus", "emodb")
    assert has(message, f"{corpora.DATA_ROOT_VARIABLE}={tmp_path}", "EmoDB or emodb", "found none", "--synthetic")


def test_synthetic_beside_a_data_root(refused, twins):
    message = refused("train.py", "--corpus", "emodb", "--synthetic", "--data-root", twins["emodb"])
    assert has(message, "--synthetic and --data-root", "exclude each other; give one of them")


def keep(root, wanted):
    """Removes the clips whose speaker ("03") and emotion ("F") are not wanted."""
    for path in root.glob("wav/*"):
        if not wanted(path.stem[:2], path.stem[5]):
            path.unlink()


@pytest.mark.parametrize(
    ("wanted", "parts"),
    [
        (
            lambda speaker, emotion: emotion != "W" or speaker in ("03", "16"),
            ["emodb-speakers, fold 0-03", "of every class", "none of anger", "Training has boredom 8", "Add the cor"],
        ),
        (
            lambda speaker, _: speaker == "08",
            ["no complete division of 7 clips of 1 speaker (08)", "speakers for training", "add the corpus's other"],
        ),
    ],
)
def test_class_without_training_clips_or_one_speaker(refused, emodb, wanted, parts):
    keep(emodb, wanted)
    assert has(refused("train.py", "--corpus", "emodb", "--data-root", emodb), *parts)


def test_class_without_test_clips_is_allowed(emodb):
    keep(emodb, lambda speaker, emotion: emotion != "W" or speaker != "03")
    source = open_source(resolve(from_flags({"corpus": "emodb", "data_root": str(emodb), "fold": "0"})))
    assert "anger" not in {clip.label for clip in source.folds[0].test} and len(source.folds[0].test) == 6


def test_incomplete_real_corpus_says_what_differs_and_how_to_go_on(refused, emodb):
    (emodb / MARKER).unlink()
    message = refused("train.py", "--corpus", "emodb", "--data-root", emodb)
    assert has(message, "defined on 535 clips", "anger: expected 127 clips, found 10", "--allow-incomplete")
    settings = from_flags({"corpus": "emodb", "data_root": str(emodb), "allow_incomplete": True})
    assert "all speakers, anger: expected 127 clips, found 10" in open_source(resolve(settings)).notes


def test_same_audio_on_two_sides(refused, emodb):
    shutil.copy(emodb / "wav" / "03a01Wa.wav", emodb / "wav" / "16a01Wa.wav")
    message = refused("train.py", *SMALL, "--data-root", emodb)
    assert has(message, "Fold 0-03: 1 of 69 recordings", "16a01Wa (", "03a01Wa (test)", "--allow-leakage")
