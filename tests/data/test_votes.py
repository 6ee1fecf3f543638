"""Raters' votes: read with CREMA-D, drawn for its twin, mapped by protocols, trained on."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from zoo.data import votes
from zoo.data.batches.clips import Example, Mixing, training_batches
from zoo.data.batches.feature_store import InMemory
from zoo.data.corpora import registry
from zoo.data.corpora.cremad import read_counts
from zoo.data.protocols import lookup, splits
from zoo.data.schema import Clip
from zoo.data.synthetic import voice
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError

HEADER = '"","A","D","F","H","N","S","fileName","numResponses"\n'
VOICE = '"100001",0,0,0,1,10,0,"1001_DFA_ANG_XX",11\n'
CLASSES = ("a", "b", "c")


def clip(counts, name="x"):
    return Clip(Path(f"{name}.wav"), name, "s", "a", votes={"emotion": counts})


def test_shares_of_raters():
    found = clip({"a": 3, "b": 1})
    np.testing.assert_array_equal(votes.distribution(found, CLASSES), [0.75, 0.25, 0])
    assert votes.agreement(found) == 0.75
    assert votes.agreement(clip({})) is None
    voted, speakers = votes.table([found, clip({})], CLASSES)
    assert voted.tolist() == [[3, 1, 0]] and speakers == ["s"]
    assert votes.table([clip({})], CLASSES)[0].shape == (0, 3)
    of_table = Clip(Path("x.wav"), "x", "s", "a", votes={"mood": {"a": 1, "c": 3}})
    np.testing.assert_array_equal(votes.distribution(of_table, CLASSES), [0.25, 0, 0.75])


def test_votes_that_cannot_be_used_name_the_clip():
    with pytest.raises(UserError, match=r"x\.wav: expected the vote of at least one rater on a, b, c, found none"):
        votes.distribution(clip({"a": 0, "other": 3}), CLASSES)
    for number in (-1, float("nan"), float("inf")):
        with pytest.raises(UserError, match=r"x\.wav: expected numbers of raters, found .* for a"):
            votes.agreement(clip({"a": number, "b": 1}))


def test_votes_follow_the_classes_of_a_protocol():
    """Two labels become one class, one is not among them."""
    (found,) = splits.select([clip({"a": 2, "exc": 3, "other": 4})], {"a": "happy", "exc": "happy"})
    assert found.votes == {"emotion": {"happy": 5}} and found.label == "happy"


@pytest.fixture
def cremad(tmp_path):
    for name in ("1001_DFA_ANG_XX", "1002_DFA_SAD_XX"):
        (tmp_path / "AudioWAV").mkdir(exist_ok=True)
        (tmp_path / "AudioWAV" / f"{name}.wav").write_bytes(b"RIFF")
    (tmp_path / "processedResults").mkdir()
    return tmp_path


def test_votes_of_cremad_are_those_on_the_voice_alone(cremad):
    others = VOICE.replace("100001", "200001").replace("0,0,0,1,10", "9,0,0,0,0")
    (cremad / "processedResults" / "tabulatedVotes.csv").write_text(HEADER + VOICE + others)
    first, second = registry.load("cremad", cremad).clips
    assert first.votes == {"emotion": {"happy": 1, "neutral": 10}} and second.votes == {}
    counted = read_counts(cremad / "processedResults" / "tabulatedVotes.csv")
    assert counted["face"] == {"1001_DFA_ANG_XX": {"anger": 9}} and counted["both"] == {}


@pytest.mark.parametrize(
    ("line", "number"),
    [
        (VOICE, 3),
        (VOICE.replace("100001", "400001"), 3),
        (VOICE.replace("1001_DFA", "1001_dfa"), 3),
        (VOICE.replace("100001", "100002").replace("0,0,0,1,10", "0,0,0,0,0").replace("1001", "1002"), 3),
        (VOICE.replace("100001", "100002").replace("1001_", "1002_").replace(",10,", ",nan,"), 3),
        (VOICE.replace("100001", "100002").replace("1001_", "1002_").replace(",10,", ",-1,"), 3),
    ],
)
def test_broken_votes_name_their_line(cremad, line, number):
    (cremad / "processedResults" / "tabulatedVotes.csv").write_text(HEADER + VOICE + line)
    with pytest.raises(UserError, match=rf"tabulatedVotes\.csv, line {number}: expected "):
        registry.load("cremad", cremad)


def test_the_real_votes_are_those_of_the_summary(shared_data):
    counted = read_counts(shared_data / "cremad_votes" / "tabulatedVotes.csv")
    assert {modality: len(of_clip) for modality, of_clip in counted.items()} == {
        "voice": 7442,
        "face": 7442,
        "both": 7442,
    }


def test_the_twin_of_cremad_draws_votes_that_agree_more_on_longer_clips(tmp_path, monkeypatch):
    monkeypatch.setattr(voice, "utterance", lambda *_: np.zeros(100, np.float32))
    clips = registry.load("cremad", synthesize("cremad", tmp_path / "twin", 192)).clips
    assert all(9 <= sum(one.votes["emotion"].values()) <= 11 for one in clips)
    most = [max(one.votes["emotion"], key=one.votes["emotion"].__getitem__) for one in clips if one.tags["voice"]]
    assert most == [one.tags["voice"] for one in clips if one.tags["voice"]]
    assert Counter(bool(one.tags["voice"]) for one in clips) == {True: 183, False: 9}
    assert 0.5 < np.mean([votes.agreement(one) for one in clips]) < 0.9
    protocol = lookup.get("cremad-actors", "cremad")
    assert {len(one.votes) for one in protocol.select(clips)} == {1}


def test_shares_are_targets_and_are_mixed_as_labels_are():
    examples = [
        Example(
            InMemory(np.full((4, 1), n, np.float32)), n % 2, labels=np.array([0.75, 0.25] if n else [1, 0], np.float32)
        )
        for n in range(4)
    ]
    (batch,) = training_batches(examples, 4, 10, seed=0, epoch=1, mixing=Mixing(0.0, 2)).as_numpy_iterator()
    found = {int(row[0, 0]): label.tolist() for row, label in zip(batch[0]["features"], batch[1], strict=True)}
    assert found == {0: [1, 0], **{n: [0.75, 0.25] for n in (1, 2, 3)}}
    (batch,) = training_batches(examples, 4, 10, seed=0, epoch=1, mixing=Mixing(0.4, 2)).as_numpy_iterator()
    np.testing.assert_allclose(batch[1].sum(axis=1), 1, rtol=1e-6)
    assert batch[1][:, 0].min() >= 0.75
