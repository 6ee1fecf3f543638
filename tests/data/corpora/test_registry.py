"""The table of corpora and the search for a corpus's folder, on trees of one clip."""

from pathlib import Path

import pytest

from zoo.data.corpora import registry as corpora
from zoo.errors import UserError

NAMES = tuple(corpora.CORPORA)
ARFF = """@relation GOLDSTANDARD
@attribute Instance_name string
@attribute frameTime numeric
@attribute GoldStandard numeric
@data
dev_1,0.00,0.1
dev_1,0.04,0.2
"""
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
        (root / file).write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize("name", NAMES)
def test_small_tree_is_found_and_loaded(tmp_path, name):
    root = small_tree(name, tmp_path)
    assert corpora.resolve_root(name, root) == root
    assert len(corpora.load(name, root).clips) == 1


@pytest.mark.parametrize("name", NAMES)
def test_load_refuses_another_folder(tmp_path, name):
    (tmp_path / "a.wav").touch()
    with pytest.raises(UserError, match="not laid out as expected"):
        corpora.load(name, tmp_path)


def test_unknown_corpus(tmp_path):
    with pytest.raises(UserError, match=r"unknown corpus 'ravdes'\. Did you mean 'ravdess'\? Known: aibo, cremad"):
        corpora.load("ravdes", tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_variable_names_the_folder_of_all_corpora(tmp_path, monkeypatch, name):
    root = small_tree(name, tmp_path / corpora.CORPORA[name].folders[1])
    monkeypatch.setenv(corpora.DATA_ROOT_VARIABLE, str(tmp_path))
    assert corpora.resolve_root(name, None) == root
    assert corpora.resolve_root(name, root) == root


@pytest.mark.parametrize("name", NAMES)
def test_nothing_given_says_how_to_obtain(tmp_path, monkeypatch, name):
    corpus = corpora.CORPORA[name]
    monkeypatch.delenv(corpora.DATA_ROOT_VARIABLE, raising=False)
    for variable in ("", str(tmp_path)):
        monkeypatch.setenv(corpora.DATA_ROOT_VARIABLE, variable)
        with pytest.raises(UserError) as error:
            corpora.resolve_root(name, None)
        for part in (
            corpus.licence,
            corpus.address,
            corpus.loader.LAYOUT,
            "--synthetic",
            "--data-root",
            "SPEECH_CORPORA",
        ):
            assert part in str(error.value)


def test_missing_empty_and_file(tmp_path):
    with pytest.raises(UserError, match="expected the folder of RAVDESS, found nothing"):
        corpora.resolve_root("ravdess", tmp_path / "absent")
    (tmp_path / ".DS_Store").touch()
    with pytest.raises(UserError, match="found an empty folder"):
        corpora.resolve_root("ravdess", tmp_path)
    (tmp_path / "speech.zip").touch()
    with pytest.raises(UserError, match=r"found a file\. Unpack it"):
        corpora.resolve_root("ravdess", tmp_path / "speech.zip")
    with pytest.raises(UserError, match=r"this is not RAVDESS: found \.DS_Store, speech\.zip"):
        corpora.resolve_root("ravdess", tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_parent_and_children_name_the_right_folder(tmp_path, name):
    root = small_tree(name, tmp_path / "mine")
    with pytest.raises(UserError, match="above the corpus's folder") as error:
        corpora.resolve_root(name, tmp_path)
    assert f"Did you mean {root}?" in str(error.value)
    (audio,) = [path for path in root.rglob("*") if path.suffix == ".wav"]
    for child in audio.relative_to(root).parents[:-1]:
        with pytest.raises(UserError, match="inside the corpus's folder") as error:
            corpora.resolve_root(name, root / child)
        assert f"Did you mean {root}?" in str(error.value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("other", NAMES)
def test_another_corpus_is_recognised(tmp_path, name, other):
    root = small_tree(other, tmp_path)
    if name != other:
        with pytest.raises(UserError) as error:
            corpora.resolve_root(name, root)
        title = corpora.CORPORA[other].title
        assert f"this looks like {title}, not {corpora.CORPORA[name].title}" in str(error.value)


def test_usual_nestings_are_accepted(tmp_path):
    archive = small_tree("ravdess", tmp_path / "a" / "Audio_Speech_Actors_01-24")
    assert corpora.resolve_root("ravdess", archive) == archive
    assert corpora.resolve_root("ravdess", archive.parent) == archive.parent
    nested = small_tree("aibo", tmp_path / "IS2009EmotionChallenge" / "IS2009EmotionChallenge")
    assert corpora.resolve_root("aibo", tmp_path) == nested
