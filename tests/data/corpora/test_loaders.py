"""Corpus loaders on trees of empty files, full-size ones included: loaders list files and decode none."""

import csv
import os
from collections import Counter
from pathlib import Path

import pytest

from zoo.data.corpora.registry import load
from zoo.errors import UserError

RATINGS = "[2.5000, 3.0000, 3.5000]"
LABELS = "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
CHUNK_LABELS = "labels/IS2009EmotionChallenge/chunk_labels_{}_corpus.txt"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def touch(root: Path, *names: str) -> None:
    write(root, dict.fromkeys(names, ""))


def iemocap_wav(utterance: str) -> str:
    return f"Session{utterance[4]}/sentences/wav/{utterance.rpartition('_')[0]}/{utterance}.wav"


def label_line(utterance: str, code: str = "neu") -> str:
    return f"[6.2901 - 8.2357]\t{utterance}\t{code}\t{RATINGS}\n"


def test_iemocap_full_size(tmp_path, shared_data):
    with (shared_data / "iemocap_utterances.tsv").open(encoding="utf-8") as stream:
        codes = {row["utterance"]: row["label"] for row in csv.DictReader(stream, delimiter="\t")}
    touch(tmp_path, *map(iemocap_wav, codes))
    write(tmp_path, {LABELS: "".join(label_line(name, code) for name, code in codes.items())})
    loaded = load("iemocap", tmp_path)
    assert {clip.name: clip.label for clip in loaded.clips} == codes
    sizes = {"1": 1085, "2": 1023, "3": 1151, "4": 1031, "5": 1241}
    assert Counter(clip.tags["session"] for clip in loaded.clips) == sizes
    # The other speaker's turns are in every dialogue: the prefix's letter would give the same speaker to both.
    for clip in loaded.clips:
        assert clip.speaker == clip.name[:5] + clip.name.rpartition("_")[2][0]
    assert len({clip.speaker for clip in loaded.clips}) == 10
    assert not loaded.missing and not loaded.duplicates


@pytest.mark.parametrize(
    ("name", "speaker", "kind"),
    [
        ("Ses01F_impro01_F000", "Ses01F", "impro"),
        ("Ses01F_impro01_M000", "Ses01M", "impro"),
        ("Ses05M_script01_1b_F012", "Ses05F", "script"),
        ("Ses04M_impro02a_M003", "Ses04M", "impro"),
        ("Ses03F_impro08b_MXX4", "Ses03M", "impro"),
    ],
)
def test_iemocap_names(tmp_path, name, speaker, kind):
    write(tmp_path, {iemocap_wav(name): "", LABELS: label_line(name, "exc")})
    (clip,) = load("iemocap", tmp_path).clips
    assert (clip.speaker, clip.label) == (speaker, "exc")
    ratings = {"valence": "2.5000", "activation": "3.0000", "dominance": "3.5000"}
    assert clip.tags == {"session": name[4], "kind": kind, **ratings}
    sex = "female" if speaker.endswith("F") else "male"
    assert clip.targets == {"sex": sex, "valence": 2.5, "activation": 3.0, "dominance": 3.5}


def test_iemocap_label_file_as_released(tmp_path):
    text = (
        "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\r\n\r\n"
        "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000,2.5,2.5000]\r\nC-E2:\tNeutral;\t()\r\n"
        "A-E3:\tval 3; act 2; dom  2;\t(na\u00efve)\r\n\r\n"
        "[10 - 11.5]   Ses01F_impro01_F001  xxx [2.5000, 2.5000, 2.5000]\r\n"
    )
    wav = "Session1/sentences/wav/Ses01F_impro01/"
    names = ("Ses01F_impro01_F000.wav", "Ses01F_impro01_F000.flac", "._Ses01F_impro01_F000.wav", ".DS_Store")
    names += ("notes.txt", "Ses01F_impro01_F009.wav", "other.wav")
    write(tmp_path, {LABELS: text, LABELS.replace("Ses", "._Ses"): ""} | {wav + name: "" for name in names})
    loaded = load("iemocap", tmp_path)
    assert [clip.name for clip in loaded.clips] == ["Ses01F_impro01_F000"]
    assert loaded.missing == ["Ses01F_impro01_F001"]
    assert loaded.duplicates == [wav + "Ses01F_impro01_F000.wav"]
    assert loaded.ignored == {
        "hidden file": 2,
        "not .wav or .flac": 1,
        "no line in the label files": 1,
        "name not of this corpus": 1,
    }


@pytest.mark.parametrize(
    "line",
    [
        "[6.2901 - 8.2357]\tSes01F_impro01_F001",
        "6.2901 - 8.2357]\tSes01F_impro01_F001\tneu\t" + RATINGS,
        "[6.2901 - 8.2357]\tSes01F_impro01_F001\tnue\t" + RATINGS,
        "[6.2901 - 8.2357]\tSes09F_impro01_F001\tneu\t" + RATINGS,
        "[6.2901 - 8.2357]\tSes01F_impro01_F001\tneu\t[2.5, x, 2.5]",
        "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t" + RATINGS,
        "\x00\x01",
    ],
)
def test_iemocap_broken_line(tmp_path, line):
    write(tmp_path, {LABELS: label_line("Ses01F_impro01_F000") + "\n" + line + "\n"})
    with pytest.raises(UserError) as error:
        load("iemocap", tmp_path)
    message = str(error.value)
    assert message.startswith(f"{tmp_path / LABELS}, line 3: expected ") and f"found {line!r}" in message


def test_iemocap_without_labels_or_audio(tmp_path):
    touch(tmp_path / "audio", iemocap_wav("Ses01F_impro01_F000"))
    with pytest.raises(UserError, match="no labels found"):
        load("iemocap", tmp_path / "audio")
    write(tmp_path / "labels", {LABELS: label_line("Ses01F_impro01_F000")})
    with pytest.raises(UserError, match=r"no file at all\)\. The label files name 1 clips"):
        load("iemocap", tmp_path / "labels")


def write_aibo(root: Path, labels: str) -> Path:
    touch(root, *(f"wav/{line.split()[0]}.wav" for line in labels.splitlines()))
    return write(root, {CHUNK_LABELS.format("5cl"): labels})


def test_aibo_full_size(tmp_path):
    counts = {"Ohm": (881, 2093, 5590, 674, 721), "Mont": (611, 1508, 5377, 215, 546)}
    lines = []
    for school, row in counts.items():
        labels = "".join(label * n for label, n in zip("AENPR", row, strict=True))
        lines += [f"{school}_{i % 25 + 1:02d}_{i // 100:03d}_{i % 100:02d} {c} 0.8" for i, c in enumerate(labels)]
    loaded = load("aibo", write_aibo(tmp_path, "\n".join(lines)))
    assert Counter(clip.tags["part"] for clip in loaded.clips) == {"train": 9959, "test": 8257}
    assert Counter(clip.label for clip in loaded.clips if clip.tags["part"] == "train")["R"] == 721
    assert {clip.speaker for clip in loaded.clips} == {f"{s}_{i:02d}" for s in counts for i in range(1, 26)}
    assert not loaded.missing


@pytest.mark.parametrize("nesting", ["", "IS2009EmotionChallenge", "IS2009EmotionChallenge/IS2009EmotionChallenge"])
def test_aibo_nested_with_two_classes(tmp_path, nesting):
    home = write_aibo(tmp_path / nesting, "Ohm_01_000_00 E 0.75\nMont_02_003_01 P 1\n")
    write(home, {CHUNK_LABELS.format("2cl"): "Mont_02_003_01 IDL .5\n", "wav/Ohm_01_000_01.wav": ""})
    (home / "wav/Ohm_01_000_00.wav").rename(home / "wav/Ohm_01_000_00.FLAC")
    loaded = load("aibo", tmp_path)
    first, second = loaded.clips
    assert (first.name, first.speaker, first.label) == ("Mont_02_003_01", "Mont_02", "P")
    assert first.tags == {"part": "test", "confidence": "1", "label_2cl": "IDL"}
    assert (second.speaker, second.tags) == ("Ohm_01", {"part": "train", "confidence": "0.75"})
    assert loaded.ignored == {"no line in the label files": 1}


@pytest.mark.parametrize("line", [*(f"Ohm_01_000_01 {text}" for text in ("N", "X 0.8", "N high")), "Ohm_01_000_00 N 1"])
def test_aibo_broken_line(tmp_path, line):
    root = write_aibo(tmp_path, f"Ohm_01_000_00 N 0.8\n{line}\n")
    with pytest.raises(UserError, match=r"chunk_labels_5cl_corpus\.txt, line 2: expected .* found ") as error:
        load("aibo", root)
    assert repr(line) in str(error.value)


def test_aibo_without_five_class_file(tmp_path):
    with pytest.raises(UserError, match=r"chunk_labels_5cl_corpus\.txt: expected a label file"):
        load("aibo", write(tmp_path, {CHUNK_LABELS.format("2cl"): "Ohm_01_000_00 NEG 1"}))


def ravdess_names(channel: str) -> list[str]:
    """The names of the full corpus from its rules: neutral has no strong intensity, song no disgust or surprise."""
    emotions, actors = (range(1, 9), range(1, 25)) if channel == "01" else (range(1, 7), {*range(1, 25)} - {18})
    return [
        f"03-{channel}-{emotion:02d}-{intensity}-{statement}-{repetition}-{actor:02d}"
        for actor in actors
        for emotion in emotions
        for intensity in (("01",) if emotion == 1 else ("01", "02"))
        for statement in ("01", "02")
        for repetition in ("01", "02")
    ]


def test_ravdess_full_size_speech_and_song_twice(tmp_path):
    speech, song = ravdess_names("01"), ravdess_names("02")
    for folder, names in ((".", speech), ("Audio_Song_Actors_01-24", song), ("audio_speech_actors_01-24", speech)):
        touch(tmp_path, *(f"{folder}/Actor_{name[-2:]}/{name}.wav" for name in names))
    loaded = load("ravdess", tmp_path)
    assert [clip.name for clip in loaded.clips] == sorted(speech + song)
    assert Counter(clip.tags["channel"] for clip in loaded.clips) == {"speech": 1440, "song": 1012}
    assert Counter(clip.label for clip in loaded.clips if clip.tags["channel"] == "speech") == {
        **dict.fromkeys(("calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"), 192),
        "neutral": 96,
    }
    assert len(loaded.duplicates) == 1440 and loaded.duplicates[0].startswith("audio_speech_actors_01-24/Actor_01/")


def test_ravdess_fields_and_ignored(tmp_path):
    names = ["03-01-06-01-02-01-12.wav", "03-01-09-01-02-01-12.wav", "02-01-06-01-02-01-12.wav", "03-01-06.wav"]
    touch(tmp_path, *(f"Actor_12/{name}" for name in [*names, "03-01-06-01-02-01-99.wav", "._x.wav", "clip.mp4"]))
    loaded = load("ravdess", tmp_path)
    found = [(clip.name, clip.speaker, clip.label, clip.tags, clip.targets) for clip in loaded.clips]
    targets = {"sex": "female", "intensity": "normal", "statement": "dogs"}
    assert found == [("03-01-06-01-02-01-12", "Actor_12", "fearful", {"channel": "speech"}, targets)]
    assert loaded.ignored == {
        "unknown emotion code": 1,
        "not the audio-only modality": 1,
        "name not of this corpus": 2,
        "hidden file": 1,
        "not .wav or .flac": 1,
    }


def test_emodb_fields_and_ignored(tmp_path):
    # Ärger or Wut is W, Langeweile L, Ekel E, Angst A, Freude F, neutral N and Trauer T.
    words = {"W": "anger", "L": "boredom", "E": "disgust", "A": "fear"}
    words |= {"F": "happiness", "N": "neutral", "T": "sadness"}
    touch(
        tmp_path, *(f"wav/16b10{letter}b.wav" for letter in words), "wav/03a01Fa.flac", "wav/03a01Xa.wav", "wav/03.wav"
    )
    first, *others = load("emodb", tmp_path).clips
    assert (first.name, first.speaker, first.label) == ("03a01Fa", "03", "happiness")
    assert first.targets == {"sex": "male", "age": 31} and others[0].targets == {"sex": "female", "age": 31}
    assert {(clip.speaker, clip.name[5]): clip.label for clip in others} == {("16", w): words[w] for w in words}
    assert load("emodb", tmp_path).ignored == {"unknown emotion code": 1, "name not of this corpus": 1}


def test_cremad_intended_and_old_name(tmp_path):
    touch(tmp_path, *(f"AudioWAV/{name}.wav" for name in ("1040_ITH_SAD_X", "1001_DFA_ANG_LO", "1001_DFA_JOY_LO", "1")))
    loaded = load("cremad", tmp_path)
    first, second = loaded.clips
    assert (first.name, first.speaker, first.label) == ("1001_DFA_ANG_LO", "1001", "anger")
    assert (second.name, second.path.stem, second.label) == ("1040_ITH_SAD_XX", "1040_ITH_SAD_X", "sad")
    assert (first.targets, second.targets) == ({"intensity": "low"}, {})
    assert loaded.ignored == {"unknown emotion code": 1, "name not of this corpus": 1}
    touch(tmp_path, "AudioWAV/1040_ITH_SAD_XX.wav")
    assert load("cremad", tmp_path).duplicates == ["AudioWAV/1040_ITH_SAD_XX.wav"]


ACTORS = "ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n1002,21,Female,Asian,Hispanic\n"


def test_cremad_actors(tmp_path):
    touch(tmp_path, *(f"AudioWAV/{name}.wav" for name in ("1001_DFA_ANG_XX", "1002_IEO_SAD_HI", "1003_DFA_SAD_XX")))
    write(tmp_path, {"VideoDemographics.csv": ACTORS})
    assert [clip.targets for clip in load("cremad", tmp_path).clips] == [
        {"sex": "male", "age": 51.0},
        {"sex": "female", "age": 21.0, "intensity": "high"},
        {},
    ]


@pytest.mark.parametrize("line", ["1003,old,Male,,", "1003,inf,Male,,", "1003,30,M,,", "1001,30,Male,,", "x,30,Male,,"])
def test_cremad_broken_actors(tmp_path, line):
    touch(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav")
    write(tmp_path, {"VideoDemographics.csv": f"{ACTORS}{line}\n"})
    with pytest.raises(UserError, match=r"VideoDemographics.csv, line 4"):
        load("cremad", tmp_path)


VOTES = '"","FileName","VoiceVote","VoiceLevel"\n"1","1001_DFA_ANG_XX","N","65"\n"2","1002_DFA_SAD_XX","A:N","50:50"\n'


def test_cremad_voice_votes(tmp_path):
    names = ("1001_DFA_ANG_XX", "1002_DFA_SAD_XX", "1003_DFA_SAD_XX")
    touch(tmp_path, *(f"AudioWAV/{name}.wav" for name in names))
    write(tmp_path, {"processedResults/summaryTable.csv": VOTES + '"3","1040_ITH_SAD_X","S","90"\n'})
    loaded = load("cremad", tmp_path)
    found = [(clip.name, clip.label, clip.tags.get("voice")) for clip in loaded.clips]
    voted = ("neutral", "", None)  # the second is a tie, the third not in the table
    assert found == list(zip(names, ("anger", "sad", "sad"), voted, strict=True))
    assert loaded.missing == ["1040_ITH_SAD_XX"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (VOTES + '"3","1003_DFA_SAD_XX","Q","9"\n', 4),
        (VOTES + '"3","1003_DFA_SAD_XX"\n', 4),
        (VOTES + '"3","1001_DFA_ANG_XX","A","9"\n', 4),
        ("File,Vote\n", 1),
        ("", 1),
    ],
)
def test_cremad_broken_votes(tmp_path, text, number):
    touch(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav")
    write(tmp_path, {"processedResults/summaryTable.csv": text})
    with pytest.raises(UserError, match=rf"summaryTable\.csv, line {number}: expected "):
        load("cremad", tmp_path)


@pytest.mark.parametrize("folder", ["Session1", "Session1/sentences", "Session1/sentences/wav/Ses01F_impro01"])
def test_a_folder_that_cannot_be_read_is_no_empty_one(tmp_path, monkeypatch, folder):
    """Globs leave it out; the superuser, as which tests may run, reads all."""
    touch(tmp_path, *(iemocap_wav(f"Ses0{n}F_impro01_F000") for n in (1, 2)))
    write(tmp_path, {LABELS: label_line("Ses01F_impro01_F000")})
    scandir = os.scandir

    def without_permission(place):
        if Path(place) == tmp_path / folder:
            raise PermissionError(13, "Permission denied", place)
        return scandir(place)

    monkeypatch.setattr(os, "scandir", without_permission)
    with pytest.raises(UserError, match=f"{folder}: the folder cannot be read"):
        load("iemocap", tmp_path)
