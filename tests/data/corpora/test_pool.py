"""Pools of corpora: names that cannot collide, common classes, folds without a speaker on two sides."""

from itertools import combinations
from pathlib import Path

import pytest

from zoo.data.corpora import pool
from zoo.data.protocols import lookup
from zoo.data.protocols import pool as protocols
from zoo.data.schema import Clip
from zoo.errors import UserError

CLASSES = ("angry", "sad")


def clips(n_speakers, labels, n_each=2, **tags):
    """`n_each` clips of each label by speakers 00, 01 ..., all with the same names in every corpus."""
    return [
        Clip(Path(f"{s}-{label}-{n}.wav"), f"{s:02d}-{label}-{n}", f"{s:02d}", label, tags)
        for s in range(n_speakers)
        for label in labels
        for n in range(n_each)
    ]


def pooled(**by_corpus):
    """Pool clips by the corpus's name."""
    return [clip for name, some in by_corpus.items() for clip in pool.pooled(pool.Member(name), some, None)[0]]


@pytest.fixture
def two():
    """Seven speakers of RAVDESS and three of EmoDB, whose names are the same."""
    ravdess = clips(7, ["angry", "sad", "calm"], channel="speech")
    return pooled(ravdess=ravdess, emodb=clips(3, ["anger", "sadness", "boredom"]))


def test_two_speakers_of_one_name_in_two_corpora_stay_two(two):
    assert len({clip.name for clip in two}) == len(two) == 7 * 6 + 3 * 6
    assert len({clip.speaker for clip in two}) == 10
    assert {"ravdess:00", "emodb:00"} <= {clip.speaker for clip in two}
    assert {clip.label for clip in two if clip.tags["corpus"] == "emodb"} == {"angry", "sad", "bored"}


def test_song_is_left_out():
    some = [*clips(1, ["sad"], channel="speech"), *clips(1, ["happy"], channel="song")]
    assert {clip.label for clip in pooled(ravdess=some)} == {"sad"}


def test_common_classes(two):
    assert pool.common_classes(two) == CLASSES
    lone = pooled(ravdess=clips(1, ["calm"], channel="speech"), emodb=clips(1, ["boredom"]))
    with pytest.raises(UserError, match=r"found none .ravdess has calm; emodb has bored"):
        pool.common_classes(lone)


def test_class_that_a_corpus_lacks(two):
    assert pool.check_classes(two, CLASSES, False) == []
    with pytest.raises(UserError, match=r"emodb has no clip of calm: .* found angry 6, bored 6, sad 6"):
        pool.check_classes(two, ("angry", "calm"), False)
    assert pool.check_classes(two, ("angry", "calm"), True) == ["emodb has no clip of calm"]
    with pytest.raises(UserError, match="emodb has no clip of calm, happy"):
        pool.check_classes(two, ("calm", "happy"), True)


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ("ravdess+emodbb", "unknown corpus of the pool .* 'emodbb'. Did you mean 'emodb'"),
        ("ravdess+ravdess", "ravdess is named twice"),
        ("ravdess+emodb:a+emodb:b", "emodb is named twice"),
        ("table:a.csv+table:./a.csv", "./a.csv is named twice"),
        ("ravdess+table", "expected table:PATH"),
        ("ravdess+", "unknown corpus of the pool"),
        ("ravdess+recola", "recola has ratings"),
    ],
)
def test_names_that_make_no_pool(corpus, message):
    with pytest.raises(UserError, match=message):
        pool.members(corpus)


def test_members():
    found = pool.members("ravdess+emodb:emodb_2s+table:mine/labels.csv")
    assert [(one.name, one.corpus, one.place) for one in found] == [
        ("ravdess", "ravdess", ""),
        ("emodb", "emodb", "emodb_2s"),
        ("mine/labels.csv", "table:mine/labels.csv", "mine/labels.csv"),
    ]


def test_where_members_lie(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "all" / "RAVDESS").mkdir(parents=True)
    (tmp_path / "all" / "other").mkdir()
    (tmp_path / "here").mkdir()
    root = tmp_path / "all"
    assert pool.root_of(pool.Member("ravdess"), root) == root / "RAVDESS"
    assert pool.root_of(pool.Member("emodb", "other"), root) == root / "other"
    assert pool.root_of(pool.Member("emodb", "here"), root) == Path("here")
    assert pool.root_of(pool.Member("ravdess"), None) is None
    with pytest.raises(UserError, match=r"one named EmoDB or emodb or EMODB for EmoDB in it, found none.*emodb:PATH"):
        pool.root_of(pool.Member("emodb"), root)
    with pytest.raises(UserError, match=r"table:no.csv: expected .*all/no.csv or no.csv, found nothing"):
        pool.root_of(pool.Member("table", "no.csv"), root)


@pytest.mark.parametrize("name", protocols.PROTOCOLS)
def test_folds_keep_speakers_apart(two, name):
    row = protocols.get(name, "ravdess+emodb", CLASSES)
    division = lookup.division(row, two)
    assert division.notes == ()
    for fold in division.folds:
        sides = [{clip.speaker for clip in side} for side in fold.sides]
        assert all(sides) and not any(one & other for one, other in combinations(sides, 2))
        assert {clip.label for side in fold.sides for clip in side} == set(CLASSES)


def test_every_speaker_is_tested_once_and_validates_once(two):
    folds = lookup.division(protocols.get("", "ravdess+emodb", CLASSES), two).folds
    for side in ("test", "validation"):
        speakers = [name for fold in folds for name in sorted({clip.speaker for clip in getattr(fold, side)})]
        assert len(speakers) == len(set(speakers)) == 10
    assert {clip.tags["corpus"] for clip in folds[0].test} == {"ravdess", "emodb"}


def test_unseen_corpus_is_tested_whole_and_nowhere_else(two):
    folds = lookup.division(protocols.get("pool-unseen", "ravdess+emodb", CLASSES), two).folds
    assert [fold.name for fold in folds] == ["0-ravdess", "1-emodb"]
    assert [len(fold.test) for fold in folds] == [7 * 4, 3 * 4]
    for fold in folds:
        (tested,) = {clip.tags["corpus"] for clip in fold.test}
        assert tested not in {clip.tags["corpus"] for clip in (*fold.train, *fold.validation)}


def test_speaker_groups_hold_classes_alike():
    uneven = [*clips(4, CLASSES, 10), *clips(24, CLASSES, 1)[8:]]  # four speakers have two thirds
    groups = protocols.speaker_groups(uneven)
    sizes = [sum(clip.speaker in group for clip in uneven) for group in groups]
    assert len(groups) == 5 and sum(sizes) == len(uneven) and max(sizes) <= 2 * min(sizes)


def test_speaker_groups_of_few_clips():
    assert protocols.speaker_groups(clips(8, ["sad"], 1)[:4]) == [{"00"}, {"01"}, {"02"}, {"03"}]
    few = [*clips(8, ["sad"], 1)[:4], *clips(8, ["angry"], 1)[4:]]
    assert protocols.speaker_groups(few) == [{"00", "05"}, {"01", "06"}, {"02", "07"}, {"03"}, {"04"}]


def test_protocols_that_do_not_fit():
    with pytest.raises(UserError, match="unknown protocol of a pool 'ravdess-actors'"):
        protocols.get("ravdess-actors", "ravdess+emodb", CLASSES)
    with pytest.raises(UserError, match="pool-unseen needs a pool of two corpora"):
        protocols.get("pool-unseen", "ravdess", CLASSES)
