"""The table of corpora and the search for a corpus's folder, on trees of one clip."""

from itertools import permutations
from pathlib import Path

import pytest

from zoo.data.corpora import registry as corpora
from zoo.errors import UserError

NAMES = tuple(corpora.CORPORA)
ARFF = "@attribute frameTime numeric\n@attribute GoldStandard numeric\n@data\n0.00,0.1\n0.04,0.2\n"
RATINGS = "song_id,sample_15000ms,sample_15500ms\n2,0.1,0.2\n"
TREES = {
    "iemocap": {
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav": "",
        "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt": "[0.0 - 1.0]\tSes01F_impro01_F000\tneu\t[1.0, 2.0, 3.0]\n",
    },
    "aibo": {
        "wav/Ohm_01_000_00.wav": "",
        "labels/IS2009EmotionChallenge/chunk_labels_5cl_corpus.txt": "Ohm_01_000_00 N 0.8\n",
    },
    "ravdess": {"Actor_12/03-01-06-01-02-01-12.wav": ""},
    "emodb": {"wav/03a01Fa.wav": ""},
    "cremad": {"AudioWAV/1001_DFA_ANG_XX.wav": ""},
    "recola": {
        "recordings_audio/dev_1.wav": "",
        **{f"ratings_gold_standard/{dimension}/dev_1.arff": ARFF for dimension in ("arousal", "valence")},
    },
    "mediaeval_music": {
        "clips_45seconds/2.wav": "",
        **{f"annotations/{dimension}_cont_average.csv": RATINGS for dimension in ("arousal", "valence")},
        "songs_info.csv": "song_id,Mediaeval 2013 set\n2,evaluation\n",
    },
}


def small_tree(name: str, root: Path) -> Path:
    for file, text in TREES[name].items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text)
    return root


def test_another_folder_or_name_is_refused(tmp_path):
    with pytest.raises(UserError, match="not laid out as expected"):
        corpora.load("emodb", tmp_path)
    with pytest.raises(UserError, match=r"unknown corpus 'ravdes'\. Did you mean 'ravdess'\? Known: aibo, cremad"):
        corpora.load("ravdes", tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_is_found_by_the_variable_or_as_given_and_loaded(tmp_path, monkeypatch, name):
    root = small_tree(name, tmp_path / corpora.CORPORA[name].folders[1])
    monkeypatch.setenv(corpora.DATA_ROOT_VARIABLE, str(tmp_path))
    assert corpora.resolve_root(name, None) == corpora.resolve_root(name, root) == root
    assert len(corpora.load(name, root).clips) == 1


@pytest.mark.parametrize("name", NAMES)
def test_without_a_folder_the_error_states_how_to_obtain_the_corpus(tmp_path, monkeypatch, name):
    corpus = corpora.CORPORA[name]
    parts = (corpus.licence, corpus.address, corpus.loader.LAYOUT, "--synthetic", "--data-root", "SPEECH_CORPORA")
    for variable in ("", str(tmp_path)):
        monkeypatch.setenv(corpora.DATA_ROOT_VARIABLE, variable)
        with pytest.raises(UserError) as error:
            corpora.resolve_root(name, None)
        assert all(part in str(error.value) for part in parts)


def test_missing_empty_and_other_folders_are_stated(tmp_path):
    (tmp_path / "empty").mkdir()
    for path in ("empty/.DS_Store", "speech.zip"):
        (tmp_path / path).touch()
    for folder, message in (
        ("absent", "expected the folder of RAVDESS, found nothing"),
        ("empty", "found an empty folder"),
        ("speech.zip", r"found a file\. Unpack it"),
        (".", r"this is not RAVDESS: found empty, speech\.zip"),
    ):
        with pytest.raises(UserError, match=message):
            corpora.resolve_root("ravdess", tmp_path / folder)


@pytest.mark.parametrize("name", NAMES)
def test_parent_and_children_name_the_right_folder(tmp_path, name):
    root = small_tree(name, tmp_path / "mine")
    with pytest.raises(UserError, match="above the corpus's folder") as error:
        corpora.resolve_root(name, tmp_path)
    assert f"Did you mean {root}?" in str(error.value)
    (audio,) = root.rglob("*.wav")
    for child in audio.relative_to(root).parents[:-1]:
        with pytest.raises(UserError, match="inside the corpus's folder") as error:
            corpora.resolve_root(name, root / child)
        assert f"Did you mean {root}?" in str(error.value)


@pytest.mark.parametrize(("name", "other"), permutations(NAMES, 2))
def test_another_corpus_is_recognised(tmp_path, name, other):
    with pytest.raises(UserError) as error:
        corpora.resolve_root(name, small_tree(other, tmp_path))
    titles = [corpora.CORPORA[key].title for key in (other, name)]
    assert "this looks like {}, not {}".format(*titles) in str(error.value)


def test_usual_nestings_are_accepted(tmp_path):
    archive = small_tree("ravdess", tmp_path / "a" / "Audio_Speech_Actors_01-24")
    assert corpora.resolve_root("ravdess", archive) == archive
    assert corpora.resolve_root("ravdess", archive.parent) == archive.parent
    nested = small_tree("aibo", tmp_path / "IS2009EmotionChallenge" / "IS2009EmotionChallenge")
    assert corpora.resolve_root("aibo", tmp_path) == nested
