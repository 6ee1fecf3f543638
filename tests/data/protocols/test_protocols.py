"""Protocols on the full corpora's clips, made in memory from the rules and counts of their papers."""

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zoo.data.protocols import lookup as protocols
from zoo.data.protocols.lookup import DEFAULT_PROTOCOL, PROTOCOLS
from zoo.data.schema import Clip, Fold, Trace
from zoo.errors import UserError
from zoo.runs import dataset
from zoo.runs.sides import final, present


def clip(name: str, speaker: str, label: str, **tags: str) -> Clip:
    return Clip(Path(f"{name}.wav"), name, speaker, label, tags)


def spread(counts: dict[str, int], speakers: list[str], **tags: str) -> list[Clip]:
    """Clips of each label, dealt out to the speakers in turn."""
    labels = [label for label, n in counts.items() for _ in range(n)]
    return [
        clip(f"{speakers[i % len(speakers)]}_{i:05d}", speakers[i % len(speakers)], label, **tags)
        for i, label in enumerate(labels)
    ]


def iemocap(shared_data: Path) -> list[Clip]:
    with (shared_data / "iemocap_utterances.tsv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    clips = []
    for name, label in ((row["utterance"], row["label"]) for row in rows):
        kind = "impro" if "impro" in name else "script"
        clips.append(clip(name, f"Ses0{name[4]}{name.rpartition('_')[2][0]}", label, session=name[4], kind=kind))
    # Labels no protocol here uses must make no difference.
    return [*clips, clip("Ses01F_impro01_F999", "Ses01F", "fru", session="1", kind="impro")]


def aibo() -> list[Clip]:
    train = {"A": 881, "E": 2093, "N": 5590, "P": 674, "R": 721}
    test = {"A": 611, "E": 1508, "N": 5377, "P": 215, "R": 546}
    clips = spread(train, [f"Ohm_{i:02d}" for i in range(1, 27)], part="train")
    clips += spread(test, [f"Mont_{i:02d}" for i in range(1, 26)], part="test")
    # Interspeech 2009 challenge, Table 1: NEG 3,358 / 2,465, IDL 6,601 / 5,792; the sums are the five classes'.
    two = ["NEG"] * 3358 + ["IDL"] * 6601 + ["NEG"] * 2465 + ["IDL"] * 5792
    return [replace(c, tags={**c.tags, "label_2cl": label}) for c, label in zip(clips, two, strict=True)]


def ravdess(n_actors: int = 24) -> list[Clip]:
    words = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
    return [
        clip(f"{channel}-{word}-{take}-{actor:02d}", f"Actor_{actor:02d}", word, channel=channel)
        for channel in ("speech", "song")
        for actor in range(1, n_actors + 1)
        for word in (words if channel == "speech" else words[:6] * (actor != 18))
        for take in range(4 if word == "neutral" else 8)
    ]


def emodb() -> list[Clip]:
    words = ("anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness")
    speakers = ["03", "08", "09", "10", "11", "12", "13", "14", "15", "16"]
    return spread(dict(zip(words, (127, 81, 46, 69, 71, 79, 62), strict=True)), speakers)


def folds(name: str, clips: list[Clip], allow_incomplete: bool = False) -> tuple[Fold, ...]:
    return protocols.division(PROTOCOLS[name], clips, allow_incomplete).folds


def cremad() -> list[Clip]:
    counts = dict.fromkeys(("anger", "disgust", "fear", "happy", "sad"), 1271) | {"neutral": 1087}
    clips = spread(counts, [str(actor) for actor in range(1001, 1092)])
    # Every tenth clip is a tie, every third is heard as neutral: 7,442 clips have 745 ties.
    heard = ["" if i % 10 == 0 else "neutral" if i % 3 == 0 else c.label for i, c in enumerate(clips)]
    return [replace(c, tags={"voice": label}) for c, label in zip(clips, heard, strict=True)]


def rated(name: str, speaker: str, part: str) -> Clip:
    values = np.random.default_rng(list(name.encode())).random((5, 2), np.float32)
    return replace(clip(name, speaker, "", part=part), trace=Trace(("arousal", "valence"), values, 0.04))


def recola(n: int = 9) -> list[Clip]:
    names = [f"{part}_{i}" for part in ("train", "dev", "test") for i in range(1, n + 1)]
    return [rated(name, name, name.split("_")[0]) for name in names]


def full_recola(train: int = 16, dev: int = 15, test: int = 15) -> list[Clip]:
    """All 46 recordings, with the parts that a user's partition.csv gives them."""
    parts = ["train"] * train + ["dev"] * dev + ["test"] * test
    clips = [rated(f"P{number}", f"P{number}", "none") for number in range(10, 10 + len(parts))]
    return [replace(c, tags={**c.tags, "own_part": part}) for c, part in zip(clips, parts, strict=True)]


def music(artist_of=lambda song: str(song)) -> list[Clip]:
    """744 songs, of which every sixth (with 0) is for evaluation: 124, and the last one."""
    parts = ["evaluation" if song % 6 == 0 or song == 743 else "development" for song in range(744)]
    return [rated(f"{song:03d}", artist_of(song), part) for song, part in enumerate(parts)]


CORPORA = {make.__name__: make for make in (aibo, ravdess, emodb, cremad, recola)} | {"mediaeval_music": music}
# Name: clips of the complete corpus by the papers, folds.
TOTALS = {
    "iemocap-impro-4": (2943, 10),
    "iemocap-4": (5531, 5),
    "aibo-5": (9959 + 8257, 1),
    "aibo-2": (9959 + 8257, 1),
    "ravdess-random-67": (1440, 1),
    "ravdess-actors": (1440, 6),
    "ravdess-inner": (960, 4),
    "ravdess-strangers": (1200, 1),
    "ravdess-emobox-6": (1440, 6),
    "ravdess-luna-5": (1440, 5),
    "ravdess-both-random-67": (2452, 1),
    "ravdess-both-actors": (2452, 6),
    "ravdess-song-actors": (1012, 6),
    "emodb-speakers": (535, 10),
    "cremad-actors": (7442, 5),
    "cremad-voice-actors": (0, 5),  # no source states its numbers
    "avec-2016": (18, 1),
    "recola-nested": (18, 3),
    "recola-full": (46, 1),
    "recola-kfold-10": (18, 9),
    "mediaeval-2013": (744, 1),
}


def names(clips) -> list[str]:
    return [c.name for c in clips]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_complete_corpus(name, request):
    protocol = PROTOCOLS[name]
    is_iemocap = protocol.corpus == "iemocap"
    full = iemocap(request.getfixturevalue("shared_data")) if is_iemocap else CORPORA[protocol.corpus]()
    full = full_recola() if name == "recola-full" else full
    assert protocols.count_problems(protocol, full) == []
    formed, notes = folds(name, full), protocols.division(protocol, full).notes
    assert (sum(protocol.expected.values()), len(formed)) == TOTALS[name] and notes == ()
    assert folds(name, full[::-1]) == formed, "the order of clips makes no difference"
    assert protocol.targets == (() if protocol.classes else ("arousal", "valence"))
    chosen = names(protocol.select(full))
    assert {c.name for fold in formed for side in fold.sides for c in side} == set(chosen)
    assert len({fold.name for fold in formed}) == len(formed)
    for fold in formed:
        assert set(present([fold])) == {"train", "validation", "test"} - set(protocol.without)
        assert {c.label for c in fold.train} == set(protocol.classes or [""])
        train, validation, test = ({c.speaker for c in side} for side in fold.sides)
        assert bool(train & (validation | test)) != protocol.speaker_independent
        assert bool(validation & test) == (protocol.selects_on_test or not protocol.speaker_independent)
        if protocol.classes:
            assert sorted(name for side in fold.sides for name in names(side)) == sorted(chosen)
    tested = Counter(name for fold in formed for name in names(fold.test or fold.validation))
    assert set(tested.values()) == {len(formed) if name == "recola-kfold-10" else 1}
    if protocol.classes and len(formed) > 1:
        assert len(tested) == len(chosen)


def test_counts_of_a_complete_corpus_with_more_or_fewer_clips():
    more = [*emodb(), clip("03a01Nz", "03", "neutral")]
    problem = "all speakers, neutral: expected 79 clips, found 80"
    assert protocols.count_problems(PROTOCOLS["emodb-speakers"], more) == [problem]
    with pytest.raises(UserError, match="and 172 more"):
        folds("ravdess-actors", [c for c in ravdess() if c.name.split("-")[2] != "0"])
    assert protocols.count_problems(PROTOCOLS["cremad-voice-actors"], cremad()[:100]) == [], "it expects no numbers"


def test_iemocap_impro_4_tests_one_speaker_and_validates_on_the_other(shared_data):
    clips = iemocap(shared_data)
    found = Counter((c.tags["session"], c.label) for c in PROTOCOLS["iemocap-impro-4"].select(clips))
    # Zhao et al. 2019, Table 1
    assert [found["3", label] for label in ("neutral", "happy", "sad", "angry")] == [198, 149, 190, 90]
    formed = folds("iemocap-impro-4", clips)
    assert [fold.name for fold in formed[:3]] == ["0-Ses01F", "1-Ses01M", "2-Ses02F"]
    assert {c.speaker for c in formed[1].test} == {"Ses01M"}
    assert {c.speaker for c in formed[1].validation} == {"Ses01F"}


def test_iemocap_4_by_session(shared_data):
    counts = np.reshape([*PROTOCOLS["iemocap-4"].expected.values()], (5, 4))
    assert counts.sum(axis=1).tolist() == [1085, 1023, 1151, 1031, 1241]
    last = folds("iemocap-4", iemocap(shared_data))[4]
    sides = [{c.tags["session"] for c in side} for side in (last.train, last.validation, last.test)]
    assert sides == [set("234"), {"1"}, {"5"}]


@pytest.mark.parametrize("name", ["aibo-5", "aibo-2"])
def test_aibo_validation_is_a_fifth_of_ohm_with_every_class(name):
    (fold,) = folds(name, aibo())
    assert len(fold.test) == 8257 and {c.speaker[:4] for c in fold.test} == {"Mont"}
    assert 0.15 < len(fold.validation) / 9959 < 0.25
    assert {c.label for c in fold.validation} == set(PROTOCOLS[name].classes)


def test_aibo_validation_keeps_a_rare_class_on_both_sides():
    # Only Ohm_02 and Ohm_03 have the class R: Ohm_01, _06 ... and two others of the five sets hold none of it.
    clips = spread(dict.fromkeys("AENP", 40), [f"Ohm_{i:02d}" for i in range(1, 11)], part="train")
    clips += spread({"R": 4}, ["Ohm_02", "Ohm_03"], part="train")
    clips += spread(dict.fromkeys("AENPR", 5), ["Mont_01"], part="test")
    (fold,) = folds("aibo-5", clips, allow_incomplete=True)
    assert {c.speaker for c in fold.validation} in ({"Ohm_02", "Ohm_07"}, {"Ohm_03", "Ohm_08"})
    assert {c.label for c in fold.train} == {c.label for c in fold.validation} == set(PROTOCOLS["aibo-5"].classes)


def test_cremad_voice_takes_the_votes_and_leaves_out_ties():
    chosen = PROTOCOLS["cremad-voice-actors"].select(cremad())
    assert len(chosen) == 7442 - 745
    assert {c.label for c in chosen if int(c.name[-5:]) % 3 == 0} == {"neutral"}
    assert {c.label for c in PROTOCOLS["cremad-actors"].select(cremad()) if int(c.name[-5:]) < 1271} == {"anger"}
    sizes = [len({c.speaker for c in fold.test}) for fold in folds("cremad-actors", cremad())]
    assert sorted(sizes) == [18, 18, 18, 18, 19]


def test_ravdess_twenty_actors_fold_4():
    with pytest.raises(UserError, match="Actor_21: expected 60 clips, found 0"):
        folds("ravdess-actors", ravdess(20))
    division = protocols.division(PROTOCOLS["ravdess-actors"], ravdess(20), allow_incomplete=True)
    assert (len(division.folds), len(division.notes)) == (5, 4)
    fold, last_four = division.folds[4], {f"Actor_{i}" for i in (17, 18, 19, 20)}
    assert fold.name == "4-Actor_17-Actor_20"
    assert {c.speaker for c in fold.test} == {c.speaker for c in division.folds[0].validation} == last_four
    assert {c.speaker for c in fold.validation} == {f"Actor_{i}" for i in (13, 14, 15, 16)}


def test_ravdess_random_sizes():
    (fold,) = folds("ravdess-random-67", ravdess())
    # 0.67 * 1440 = 964.8 -> 965 to learn from, of which 0.15 * 965 = 144.75 -> 145 validate.
    assert (len(fold.train), len(fold.validation), len(fold.test)) == (820, 145, 475)
    # Drawn once and written down: another draw is another version of the protocol.
    assert [c.name for c in fold.test[:3]] == ["speech-happy-1-23", "speech-angry-2-04", "speech-fearful-1-03"]


def test_incomplete_corpus_says_what_differs(shared_data):
    clips = iemocap(shared_data)
    happy = next(c for c in clips if c.label == "exc" and c.tags == {"session": "1", "kind": "impro"})
    clips = [c for c in clips if c.tags["session"] != "3" and c is not happy]
    wanted = ["session 1, happy: expected 132 clips, found 131", "session 3: expected 627 clips, found 0"]
    message = r"iemocap-impro-4 \(version 1\) is defined on 2,943 clips .*\n  {}\n  {}\n.*--allow-incomplete"
    with pytest.raises(UserError, match=message.format(*wanted)):
        folds("iemocap-impro-4", clips)
    division = protocols.division(PROTOCOLS["iemocap-impro-4"], clips, allow_incomplete=True)
    assert [fold.name[2:] for fold in division.folds] == [f"Ses0{s}{g}" for s in "1245" for g in "FM"]
    left_out = [f"fold {fold} is left out: no clip for validation and test" for fold in ("4-Ses03F", "5-Ses03M")]
    assert list(division.notes) == wanted + left_out


@pytest.mark.parametrize("name", PROTOCOLS)
def test_no_clip_at_all(name):
    with pytest.raises(UserError, match=f"{name}: no complete division of 0 clips of no speaker"):
        folds(name, [], allow_incomplete=True)


@pytest.mark.parametrize(
    ("name", "clips", "says"),
    [
        # Only speaker 16 is ever sad: the folds that test it or validate on it have no sad training clip.
        (
            "emodb-speakers",
            [c for c in emodb() if c.label != "sadness" or c.speaker == "16"],
            r"emodb-speakers, fold 0-03: expected training clips of every class, .*none of sadness.*has anger 102, ",
        ),
        *(
            (name, spread({"fear": 9}, ["A"]), r"of 1 speaker \(A\); fold 0-A is left out: no clip for validation\.")
            for name in ("emodb-speakers", "cremad-actors")
        ),
        (
            "emodb-speakers",
            [c for c in emodb() if c.speaker in ("03", "08")],
            r"emodb-speakers, fold 0-03: .*found none of anger, .*Training has no clip; ",
        ),
        ("recola-nested", recola(1), r"recola-nested: .* fold 0-dev_1 is left out: no clip for validation"),
        ("recola-kfold-10", recola(1), r"recola-kfold-10, fold 0-train_1: expected training clips, found none"),
        (
            "aibo-2",
            [replace(c, tags={"part": c.tags["part"]}) for c in aibo()],
            r"chunk_labels_2cl_corpus\.txt, found none for 18216 of 18216 .* --protocol aibo-5",
        ),
        (
            "cremad-voice-actors",
            [*cremad()[1:], clip("1001_DFA_ANG_XX", "1001", "anger")],
            r"summaryTable\.csv, found none for 1 of 7442 \(1001_DFA_ANG_XX .*cremad-actors",
        ),
    ],
)
def test_what_cannot_be_divided_is_refused(name, clips, says):
    with pytest.raises(UserError, match=says):
        folds(name, clips, allow_incomplete=True)


def test_get():
    assert {corpus: protocols.get(None, corpus).name for corpus in DEFAULT_PROTOCOL} == DEFAULT_PROTOCOL
    assert protocols.get("iemocap-4", "iemocap") is PROTOCOLS["iemocap-4"]
    with pytest.raises(UserError, match=r"unknown emodb protocol 'ravdess-actors'\..* Known: emodb-speakers"):
        protocols.get("ravdess-actors", "emodb")
    with pytest.raises(UserError, match=r"unknown corpus 'emo'\."):
        protocols.get(None, "emo")


# Continuous ratings


@pytest.mark.parametrize(
    ("name", "fold", "train", "validation", "test"),
    [
        ("avec-2016", "0-dev", "123456789", "dev 123456789", "123456789"),
        ("recola-nested", "0-dev_1-dev_3", "123456789", "dev 456789", "123"),
        ("recola-nested", "1-dev_4-dev_6", "123456789", "dev 123789", "456"),
        ("recola-kfold-10", "0-train_1", "23456789", "train 1", "123456789"),
        ("recola-kfold-10", "8-train_9", "12345678", "train 9", "123456789"),
    ],
)
def test_recordings_of_recola_on_each_side(name, fold, train, validation, test):
    (found,) = [one for one in folds(name, recola()) if one.name == fold]
    for side, text in zip(found.sides, (f"train {train}", validation, f"dev {test}"), strict=True):
        part, numbers = text.split()
        assert names(side) == [f"{part}_{number}" for number in numbers]
    assert PROTOCOLS[name].selects_on_test == (name == "avec-2016")


def test_the_full_corpus_is_divided_as_its_user_says():
    """Tzirakis 2018, Table 1: 16, 15 and 15 recordings."""
    (fold,) = folds("recola-full", full_recola())
    assert [len(side) for side in fold.sides] == [16, 15, 15]
    assert names(fold.train) == [f"P{number}" for number in range(10, 26)]
    with pytest.raises(UserError, match=r"dev: expected 15 clips, found 14\n.*part .* of each .* in partition.csv"):
        folds("recola-full", full_recola(dev=14))
    with pytest.raises(UserError, match=r"train: expected 16 clips, found 0\n(.*\n)+Name the part .*partition.csv"):
        folds("recola-full", recola())
    with pytest.raises(UserError, match=r"0 clips of no speaker. .* partition.csv"):
        folds("recola-full", recola(), allow_incomplete=True)
    assert dataset.audit_folds(*opened("recola-full", full_recola()), allow=False) == []


def test_speech_and_song_together_need_both():
    (fold,) = folds("ravdess-both-random-67", ravdess())
    assert [len(side) for side in fold.sides] == [1397, 246, 809]
    channels = [Counter(c.tags["channel"] for c in side) for side in fold.sides]
    assert all(min(counts.values()) > 90 for counts in channels)
    for name in ("ravdess-both-random-67", "ravdess-both-actors"):
        for channel in ("speech", "song"):
            with pytest.raises(UserError, match="Put both archives, Audio_Speech_Actors_01-24 and Audio_Song_"):
                folds(name, [c for c in ravdess() if c.tags["channel"] == channel])
    assert PROTOCOLS["ravdess-both-random-67"].speaker_independent is False


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("avec-2016", [[3, 3, 3]]), ("recola-nested", [[3, 2, 1]] * 3), ("recola-kfold-10", [[2, 1, 3]] * 3)],
)
def test_three_recordings_of_each_part(name, sizes):
    with pytest.raises(UserError, match="train: expected 9 clips, found 3\n  dev: expected 9 clips, found 3"):
        folds(name, recola(3))
    division = protocols.division(PROTOCOLS[name], recola(3), allow_incomplete=True)
    assert division.notes == ("train: expected 9 clips, found 3", "dev: expected 9 clips, found 3")
    assert [[len(side) for side in fold.sides] for fold in division.folds] == sizes


def test_music_validates_on_every_fifth_song_where_no_artist_is_known():
    (fold,) = folds("mediaeval-2013", music())
    development = sorted(name for name in names(music()) if int(name) % 6 and name != "743")
    assert len(development) == 619
    assert names(fold.validation) == development[::5]
    assert names(fold.train) == [name for name in development if name not in development[::5]]
    assert len(fold.test) == 125 and {c.tags["part"] for c in fold.test} == {"evaluation"}


def test_music_keeps_artists_apart_and_says_what_it_leaves_out():
    # Artists with five songs in a row. Every sixth song is tested, so most artists are: 619 songs, few of them left.
    clips = music(lambda song: f"artist {song // 5}")
    division = protocols.division(PROTOCOLS["mediaeval-2013"], clips)
    (fold,) = division.folds
    train, validation, test = ({c.speaker for c in side} for side in fold.sides)
    assert not train & validation and not test & (train | validation)
    left_out = 744 - sum(len(side) for side in fold.sides)
    assert division.notes[0].startswith(f"mediaeval-2013 uses {left_out} clips in no fold: 001, 002, 003, 004, 005 and")


def opened(name: str, clips: list[Clip]) -> tuple[dataset.Source, dict[str, str]]:
    chosen = folds(name, clips, allow_incomplete=True)
    return dataset.Source(PROTOCOLS[name], chosen, (), False), {c.name: c.name for c in clips}


def test_selecting_on_test_is_a_finding_and_training_is_still_audited():
    mine, hashes = opened("avec-2016", recola())
    (finding,) = dataset.audit_folds(mine, hashes, allow=False)
    assert finding.startswith("Fold 0-dev: validation and test are the same 9 recordings")
    with pytest.raises(UserError, match=r"1 of 17 recordings on two sides: train_3 \(train\) = dev_2 \(test\)"):
        dataset.audit_folds(mine, {**hashes, "dev_2": "train_3"}, allow=False)
    assert len(dataset.audit_folds(mine, {**hashes, "dev_2": "train_3"}, allow=True)) == 2
    for name in ("recola-nested", "recola-kfold-10"):
        assert dataset.audit_folds(*opened(name, recola()), allow=False) == []


def test_fingerprint_knows_the_traces():
    def fingerprint(**changes):
        clips = recola()
        clips[4] = replace(clips[4], trace=replace(clips[4].trace, **changes))
        return dataset.fingerprint(*opened("recola-kfold-10", clips))

    values = recola()[4].trace.values.copy()
    assert fingerprint() == fingerprint(values=values) == fingerprint(values=np.asfortranarray(values))
    values[-1, 1] += 1e-6
    changes = ({}, {"values": values}, {"step_seconds": 0.05}, {"start_seconds": 0.04}, {"values": values[:-1]})
    assert len({fingerprint(**change) for change in changes}) == len(changes)


def test_clips_that_cannot_be_used_are_dropped():
    mine, _ = opened("recola-nested", recola())
    kept = dataset.drop_clips(mine, [{"clip": "dev_1"}, {"clip": "train_2"}])
    assert [[len(side) for side in fold.sides] for fold in kept.folds] == [[8, 6, 2], [8, 5, 3], [8, 5, 3]]
    with pytest.raises(UserError, match=r"Expected clips on every side; left are train 9, validation 6, test 0\. Rep"):
        dataset.drop_clips(mine, [{"clip": f"dev_{i}"} for i in (1, 2, 3)])


# From the public split files, as design/encoders.md quotes them.
EMOBOX = ["1 11 20 21", "4 10 12 14", "8 9 19 23", "3 5 7 24", "2 15 16 18", "6 13 17 22"]
LUNA = ["2 5 14 15 16", "3 6 7 13 18", "10 11 12 19 20", "8 17 21 23 24", "1 4 9 22"]


def actors(clips):
    return sorted({int(clip.speaker.removeprefix("Actor_")) for clip in clips})


def test_inner_folds_hold_actors_1_to_16_alone_and_need_no_others():
    found = folds("ravdess-inner", ravdess(n_actors=20))  # complete for it: --allow-incomplete is not needed
    assert [actors(fold.validation) for fold in found] == [[*range(k, k + 4)] for k in (1, 5, 9, 13)]
    for fold in found:
        assert sorted(actors(fold.train) + actors(fold.validation)) == [*range(1, 17)] and not fold.test
        assert (len(fold.train), len(fold.validation)) == (12 * 60, 4 * 60)
        assert {clip.tags["channel"] for clip in fold.train} == {"speech"}


def test_strangers_are_actors_17_to_20_without_validation():
    for n_actors in (20, 24):
        (fold,) = folds("ravdess-strangers", ravdess(n_actors))
        assert (actors(fold.train), fold.validation, actors(fold.test)) == ([*range(1, 17)], (), [17, 18, 19, 20])
    with pytest.raises(UserError, match="Actor_20: expected 60 clips, found 0"):
        folds("ravdess-strangers", ravdess(19))


@pytest.mark.parametrize(("name", "groups"), [("ravdess-emobox-6", EMOBOX), ("ravdess-luna-5", LUNA)])
def test_groups_of_others_are_tested_in_turn(name, groups):
    found = folds(name, ravdess())
    assert [actors(fold.test) for fold in found] == [[*map(int, group.split())] for group in groups]
    assert all(actors(fold.train) == sorted({*range(1, 25)} - {*actors(fold.test)}) for fold in found)
    assert not any(fold.validation for fold in found)


def test_a_side_that_the_protocol_has_must_not_be_empty():
    only = [clip for clip in ravdess() if clip.speaker not in ("Actor_17", "Actor_18", "Actor_19", "Actor_20")]
    with pytest.raises(UserError, match=r"no clip for test. Expected speakers for training and test"):
        folds("ravdess-strangers", only, allow_incomplete=True)


def test_the_final_fold_trains_on_every_clip_once():
    every = folds("ravdess-actors", ravdess())
    fold = final(every)
    assert fold.name == "final" and fold.sides[1:] == ((), ())
    assert sorted(clip.name for clip in fold.train) == sorted(
        c.name for c in ravdess() if c.tags["channel"] == "speech"
    )
    assert present([fold]) == ["train"] and present(every) == ["train", "validation", "test"]
