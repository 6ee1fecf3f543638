"""Every label of every registered corpus has a common name; a user's map comes first; what is unknown is an error."""

import pytest

from zoo.data.corpora import aibo, cremad, emodb, iemocap, label_maps, ravdess
from zoo.errors import UserError

LABELS = {
    "ravdess": ravdess.EMOTIONS.values(),
    "emodb": emodb.EMOTIONS.values(),
    "cremad": cremad.EMOTIONS.values(),
    "iemocap": iemocap.CODES,
    "aibo": aibo.CLASSES["5cl"],
}


@pytest.mark.parametrize("corpus", LABELS)
def test_every_label_that_a_loader_gives_has_a_name(corpus):
    found = label_maps.of(corpus, LABELS[corpus])
    assert set(found.names) == set(LABELS[corpus]) == set(label_maps.LABEL_MAPS[corpus].names)
    assert found.source == label_maps.LABEL_MAPS[corpus].source


def test_one_emotion_has_one_name_in_all_corpora():
    words = {"ravdess": "fearful", "emodb": "fear", "cremad": "fear", "iemocap": "fea", "table:nemo/data.tsv": "fear"}
    assert {label_maps.of(corpus, [word]).names[word] for corpus, word in words.items()} == {"fearful"}
    assert label_maps.of("table:urdu.csv", ["Angry"]).names == {"Angry": "angry"}


def test_calm_is_not_neutral_unless_a_map_says_so(tmp_path):
    path = tmp_path / "map.csv"
    path.write_text("corpus,label,class\nravdess,calm,neutral\nemodb,boredom,\n")
    assert label_maps.of("ravdess", ["calm", "neutral"]).names == {"calm": "calm", "neutral": "neutral"}
    mapped = label_maps.of("ravdess", ["calm", "neutral"], path)
    assert mapped.names == {"calm": "neutral", "neutral": "neutral"}
    assert mapped.source.startswith("map.csv; Livingstone")
    assert label_maps.of("emodb", ["boredom", "fear"], path).names == {"boredom": "", "fear": "fearful"}
    assert label_maps.of("cremad", ["fear"], path).source == label_maps.LABEL_MAPS["cremad"].source


def test_label_without_an_entry(tmp_path):
    with pytest.raises(UserError, match=r"'wut'.*LABEL,CLASS.*--label-map"):
        label_maps.of("table:mine.csv", ["wut", "sad"])
    path = tmp_path / "map.csv"
    path.write_text("label,class\nwut,angry\n")
    assert label_maps.of("table:mine.csv", ["wut", "sad"], path).names == {"sad": "sad", "wut": "angry"}
    path.write_text("label,class\nwut,angry\nwut,sad\n")
    with pytest.raises(UserError, match=r"map.csv, line 3: expected one class for 'wut'"):
        label_maps.of("table:mine.csv", ["wut"], path)
    path.write_text("from,to\nwut,angry\n")
    with pytest.raises(UserError, match="expected the columns label and class, found from, to"):
        label_maps.of("table:mine.csv", ["wut"], path)
