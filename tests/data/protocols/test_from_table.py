"""Folds of a user's own table: by speakers, one speaker, its split, its recordings."""

from collections import Counter
from pathlib import Path

import pytest

from zoo.data.protocols import from_table, lookup
from zoo.data.protocols.leakage import audit
from zoo.data.schema import Clip
from zoo.errors import UserError

CLASSES = ("angry", "sad")


def clip(number, speaker, label, file=None, segment=(0.0, None), **tags):
    return Clip(Path(file or f"{number}.wav"), f"{number:04d}", speaker, label, tags, None, None, *segment)


def corpus(n_speakers=10, clips=8):
    return [clip(n, f"s{n % n_speakers}", CLASSES[n // n_speakers % 2]) for n in range(n_speakers * clips)]


def divided(name, clips, classes=CLASSES, **options):
    return lookup.division(from_table.protocol(name, "table:x.csv", classes), clips, **options).folds


def names(side):
    return [clip.name for clip in side]


@pytest.mark.parametrize(("name", "n_folds"), [("table-speakers", 5), ("table-leave-one-speaker-out", 10)])
def test_speakers_are_tested_once_and_never_trained_on(name, n_folds):
    clips = corpus()
    folds = divided(name, clips[::-1])
    assert len(folds) == n_folds and Counter(names(clip for fold in folds for clip in fold.test)) == Counter(
        names(clips)
    )
    for number, fold in enumerate(folds):
        speakers = [{clip.speaker for clip in side} for side in fold.sides]
        assert sum(map(len, speakers)) == 10 and fold.validation == folds[number - 1].test
        assert audit(fold, {clip.name: clip.name for clip in clips}) == []
    assert divided(name, clips) == folds, "the order of the table does not matter"


def test_folds_are_balanced_by_class():
    """Of ten speakers, two say only "sad": no fold has both."""
    clips = [clip(n, f"s{n % 10}", "sad" if n % 10 < 2 else CLASSES[n // 10 % 2]) for n in range(80)]
    shares = [Counter(clip.label for clip in fold.test)["sad"] for fold in divided("table-speakers", clips)]
    assert max(shares) < 16, "both would give 16"


@pytest.mark.parametrize("n_speakers", [1, 2])
def test_too_few_speakers_are_refused(n_speakers):
    with pytest.raises(UserError, match=rf"at least 3 speakers, to train, validate and test, found {n_speakers} \(s0"):
        divided("table-speakers", corpus(n_speakers))


def test_a_class_of_one_speaker_cannot_be_trained_where_that_one_is_tested():
    clips = [*corpus(), clip(900, "s3", "bored"), clip(901, "s3", "bored")]
    with pytest.raises(UserError) as error:
        divided("table-speakers", clips, (*CLASSES, "bored"))
    assert "expected training clips of every class, found none of bored" in str(error.value)
    assert "leave them out with --classes or --label-map" in str(error.value)


def test_a_split_is_taken_as_it_is():
    said = ("Training", "dev", "TEST")
    clips = [clip(n, f"s{n % 3}", CLASSES[n // 3 % 2], split=said[n % 3]) for n in range(30)]
    (fold,) = divided("table-split", clips)
    assert [{clip.speaker for clip in side} for side in fold.sides] == [{"s0"}, {"s1"}, {"s2"}]
    with pytest.raises(UserError, match=r"0002: expected train, validation \(dev\) or test as the split, found 'tset'"):
        divided("table-split", [*clips[:2], clip(2, "s2", "sad", split="tset"), *clips[3:]])
    leaking = [*clips, clip(99, "s0", "sad", split="test")]
    with pytest.raises(UserError, match=r"1 of 3 speakers on two sides: s0 \(train, test\)"):
        audit(divided("table-split", leaking)[0], {clip.name: clip.name for clip in leaking})


def test_without_a_validation_part_training_speakers_validate():
    clips = [clip(n, f"s{n % 6}", CLASSES[n // 6 % 2], split="test" if n % 6 == 5 else "train") for n in range(60)]
    (fold,) = divided("table-split", clips)
    speakers = [{clip.speaker for clip in side} for side in fold.sides]
    assert [len(side) for side in speakers] == [4, 1, 1] and speakers[2] == {"s5"}
    with pytest.raises(UserError, match="no clip for validation"):
        divided("table-split", [one for one in clips if one.speaker in ("s0", "s5")])


def test_without_speakers_a_recording_never_crosses_a_fold():
    clips = [clip(n, f"r{n // 8}", CLASSES[n % 2], f"r{n // 8}.wav", (n % 8, n % 8 + 1.0)) for n in range(80)]
    for fold in divided("table-recordings", clips):
        files = [{clip.path for clip in side} for side in fold.sides]
        assert sum(map(len, files)) == 10 and all(files)
    known = [clip(n, f"s{n % 4}", CLASSES[n // 4 % 2]) for n in range(40)]
    with pytest.raises(UserError, match="speakers on two sides"):
        audit(divided("table-recordings", known)[0], {one.name: one.name for one in known})
    assert not from_table.protocol("table-recordings", "table:x.csv", CLASSES).speaker_independent


def test_overlapping_segments_stay_on_one_side():
    """Speakers s0 and s1 talk at once in one recording, s1 and s2 in another: all three are in one group."""
    clips = corpus()
    clips += [clip(900, "s0", "sad", "talk.wav", (0.0, 2.0)), clip(901, "s1", "sad", "talk.wav", (1.5, 3.0))]
    clips += [clip(902, "s1", "sad", "more.wav", (0.0, None)), clip(903, "s2", "sad", "more.wav", (10.0, 11.0))]
    clips += [clip(904, "s3", "sad", "talk.wav", (3.0, 4.0))]  # only touches
    for fold in divided("table-speakers", clips):
        speakers = [{clip.speaker for clip in side} for side in fold.sides]
        assert sum({"s0", "s1", "s2"} <= side for side in speakers) == 1
        assert audit(fold, {clip.name: clip.name for clip in clips}) == []
    split = [
        clip(n, f"s{n}", CLASSES[n % 2], "talk.wav", (n, n + 1.5), split=("train", "dev", "test")[n // 2])
        for n in range(6)
    ]
    with pytest.raises(UserError, match=r"1 of 1 groups of overlapping segments on two sides: 0000 \(train\) and"):
        audit(divided("table-split", split)[0], {one.name: one.name for one in split})


def test_what_a_machine_labelled_is_trained_on_and_never_scored():
    clips = [clip(n, f"s{n % 10}", CLASSES[n // 10 % 2], **({"source": "model"} if n % 3 else {})) for n in range(120)]
    for fold in divided("table-speakers", clips):
        assert {one.tags.get("source") for one in fold.train} == {None, "model"}
        assert {one.tags.get("source") for side in (fold.validation, fold.test) for one in side} == {None}


def test_unknown_protocols_are_refused_by_name():
    with pytest.raises(UserError, match=r"unknown table protocol 'table-speaker'. Did you mean 'table-speakers'"):
        from_table.protocol("table-speaker", "table:x.csv", CLASSES)
