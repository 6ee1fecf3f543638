"""Ratings that cannot be used are refused with the file, what was expected and found, and the remedy."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from spoil import RATE_HZ, has

from zoo.config.flags import from_flags
from zoo.data.batches.feature_store import Features
from zoo.data.protocols.lookup import get
from zoo.data.schema import Clip, Trace
from zoo.errors import UserError
from zoo.training.tasks import continuous

ARFF = (
    "@relation GOLDSTANDARD\n\n@attribute Instance_name string\n@attribute frameTime numeric\n"
    "@attribute GoldStandard numeric\n\n@data\n"
)
RATERS = ("FM1 ", "FM2 ", "FM3 ", "FF1 ", "FF2 ", "FF3 ")
STEPS = 101  # of 4 s
GOLD = "ratings_gold_standard/arousal/dev_2.arff"
RATINGS = "RECOLA-Annotation/emotional_behaviour/arousal/P19.csv"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def sound(path, seconds=4.0, channels=1, rate_hz=RATE_HZ):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(list(path.stem.encode())).standard_normal((round(seconds * rate_hz), channels))
    soundfile.write(path, 0.1 * np.clip(noise, -3, 3), rate_hz)


def curve(name, dimension):
    return np.sin(np.arange(STEPS) / 7 + len(name + dimension))


@pytest.fixture
def avec(tmp_path):
    """The layout of AVEC 2016, three recordings a part."""
    root = tmp_path / "avec"
    for name in (f"{part}_{i}" for part in ("train", "dev") for i in (1, 2, 3)):
        sound(root / f"recordings_audio/{name}.wav")
        for dimension in ("arousal", "valence"):
            rows = [f"{name},{i * 0.04:.2f},{value:.5f}" for i, value in enumerate(curve(name, dimension))]
            write(root / f"ratings_gold_standard/{dimension}/{name}.arff", ARFF + "\n".join(rows) + "\n")
    return root


@pytest.fixture
def website(tmp_path):
    root = tmp_path / "website"
    rng = np.random.default_rng(0)
    for name in ("P16", "P19"):
        sound(root / f"RECOLA-Audio-recordings/{name}.wav")
        for dimension in ("arousal", "valence"):
            ratings = curve(name, dimension)[:, None] + 0.1 * rng.standard_normal((STEPS, 6))
            rows = [f"{i * 0.04:.2f};" + ";".join(f"{x:.4f}" for x in row) for i, row in enumerate(ratings)]
            text = "\n".join([f"time;{';'.join(RATERS)}", *rows])
            write(root / f"RECOLA-Annotation/emotional_behaviour/{dimension}/{name}.csv", text)
    return root


@pytest.fixture
def said_of(refused):
    """Spoils one file of a corpus and returns what check_corpus.py says of it."""

    def check(root: Path, file: str, spoil) -> str:
        spoil(root / file)
        return refused("check_corpus.py", "--corpus", "recola", "--data-root", root)

    return check


def edited(edit):
    """A way to spoil a text file by a function of its text."""
    return lambda path: path.write_text(edit(path.read_text()))


def rows(text):
    """The lines of an ARFF's rows."""
    return text[len(ARFF) :].splitlines(keepends=True)


def test_labels_shorter_or_longer_than_the_audio(said_of, avec):
    for seconds, words in ((6.0, "end 1.96 s too early"), (2.5, "end 1.50 s too late")):
        message = said_of(avec, "recordings_audio/dev_2.wav", lambda path, s=seconds: sound(path, s))
        assert has(message, avec / GOLD, f"end of {avec}/recordings_audio/dev_2.wav at {seconds:.2f} s", words)
        assert has(message, "expected labels that end within 1 s", "Check that labels and audio are of one recording")


def test_labels_that_begin_late(said_of, avec):
    late = edited(lambda text: ARFF + "".join(rows(text)[50:]))
    late(avec / GOLD.replace("arousal", "valence"))
    message = said_of(avec, GOLD, late)
    assert has(message, avec / GOLD, "expected labels that begin within 1 s", "found the first at 2 s", "Restore")


@pytest.mark.parametrize(
    ("edit", "line", "parts"),
    [
        (lambda text: text.replace("dev_2,0.40,", "dev_2,0.40,nan #"), 18, ["a time and numbers", "nan #"]),
        (lambda text: ARFF + "".join(["dev_2,0.00,NaN\n", *rows(text)[1:]]), 8, ["finite numbers", "'dev_2,0.00,NaN'"]),
        (lambda text: text.replace("dev_2,0.40,", "dev_2,0.40,?"), 18, ["a time and numbers"]),
        (lambda text: ARFF + "".join(rows(text)[::2]), 9, ["a row every 0.04 s, here 0.04", "'dev_2,0.08,"]),
        (lambda text: text.replace("dev_2,0.40,", "dev_2,0.04,"), 18, ["a row every 0.04 s, here 0.40"]),
        (lambda text: text.replace("dev_2,0.40,", "dev_2;0.40;"), 18, ["Instance_name,frameTime,GoldStandard"]),
        (lambda text: text.replace("dev_2,", "dev_1,"), 8, ["rows of dev_2", "'dev_1,0.00,"]),
        (lambda text: text.replace("@data\n", ""), 7, ["'@data' before the first row", "'dev_2,0.00,"]),
    ],
)
def test_broken_row(said_of, avec, edit, line, parts):
    message = said_of(avec, GOLD, edited(edit))
    assert has(message, f"{avec / GOLD}, line {line}: expected", *parts, "found", "Correct the line or restore")


CONSTANT = "".join(f"dev_2,{i * 0.04:.2f},0.25\n" for i in range(STEPS))


@pytest.mark.parametrize(
    ("edit", "parts"),
    [
        (lambda text: ARFF, ["a row every 0.04 s, found none", "Restore the file"]),
        (lambda text: ARFF.replace("@data\n", ""), ["a line '@data' above the rows, found none", "Restore the file"]),
        (lambda text: text.replace("GoldStandard", "Rating"), ["attributes frameTime and Gold", "frameTime, Rating"]),
        (lambda text: ARFF + CONSTANT, ["labels that change, found 0.25 in all 101 steps", "leave out the rec"]),
        (
            lambda text: ARFF + "".join(rows(text)[:90]),
            ["same steps in each", "90 of arousal from 0 s and 101 of valence from 0 s", "valence/dev_2", "Restore"],
        ),
        (None, ["arousal and valence labels of dev_2.wav", "found no file of arousal", "Restore it"]),
    ],
)
def test_file_without_usable_labels(said_of, avec, edit, parts):
    message = said_of(avec, GOLD, edited(edit) if edit else Path.unlink)
    assert has(message, avec / GOLD, "expected", *parts)


def test_validation_ratings_that_never_change_are_refused_before_training(refused, avec, tmp_path):
    """Each file changes, but only before the frames that the label delay leaves a rating."""
    for name in ("dev_2", "dev_3"):
        still = [f"{name},{i * 0.04:.2f},{0.5 if i == 0 else 0.25}\n" for i in range(STEPS)]
        write(avec / f"ratings_gold_standard/valence/{name}.arff", ARFF + "".join(still))
    words = ["--model", "conv_lstm", "--corpus", "recola", "--data-root", avec, "--allow-incomplete", "--fold", "0"]
    words += ["--label-delay-seconds", "0.2", "--segment-seconds", "2", "--out", tmp_path / "run"]
    message = refused("train.py", *words)
    assert has(message, "validation ratings of valence: expected some that change, found 0.25 in all 192 rated frames")
    assert has(message, "Restore the label files", "--fold or --protocol")
    assert not (tmp_path / "run").exists()


def examples(*traces, training=False, model="conv_lstm", **given):
    """Recordings as long as their traces (steps, 2), named a, b ..., as they are given to training."""
    clips = [
        Clip(Path(name), name, name, "", {}, Trace(("arousal", "valence"), np.asarray(values, np.float32), 0.04))
        for name, values in zip("abcdefghij", traces, strict=False)
    ]
    features = {clip.name: Features(clip.path, 640 * len(clip.trace.values), 1, "") for clip in clips}
    config = from_flags({"model": model, "corpus": "recola", "segment_seconds": 0.4, **given})
    return continuous.examples(config, get(None, "recola"), features, clips, training)


MOVING = np.stack([np.arange(20.0), np.arange(20.0) ** 2], axis=1) / 400
STILL = np.stack([np.arange(20.0) / 400, np.full(20, 0.1)], axis=1)


def test_one_constant_recording_among_others_is_used():
    assert [item.name for item in examples(MOVING, STILL)] == ["a", "b"]
    assert len(examples(STILL, STILL + np.array([0, 0.1]))) == 2, "constant each, but not together"
    assert len(examples(STILL, training=True)) == 1, "nothing is chosen by training's ratings"


@pytest.mark.parametrize(
    ("traces", "message"),
    [
        ([STILL], r"ratings of valence: .*0\.1 in all 20 rated frames of a\b"),
        ([STILL] * 10, "200 rated frames of a, b, c, d, e and 5 more"),
        ([MOVING[:1]], "ratings of arousal: .*0 in all 1 rated frames"),
    ],
)
def test_constant_recordings_are_named_but_not_all_of_many(traces, message):
    with pytest.raises(UserError, match=message):
        examples(*traces)


def line_5(change):
    def edit(text):
        lines = text.splitlines()
        lines[4] = change(lines[4])
        return "\n".join(lines)

    return edit


UNRELATED = "\n".join([f"time;{';'.join(RATERS)}", *(f"{i * 0.04:.2f};0;0;0;0;0;0" for i in range(STEPS))])
COLUMNS = ", line 1: expected the columns time;FM1;FM2;FM3;FF1;FF2;FF3"


@pytest.mark.parametrize(
    ("edit", "parts"),
    [
        (lambda text: text.replace(";", ","), [", line 1: expected", "by semicolons", "found 'time,FM1 ,FM2"]),
        (lambda text: text.replace("FF2 ", "other"), [COLUMNS, "missing: FF2"]),
        (
            lambda text: "\n".join(line.rpartition(";")[0] for line in text.splitlines()),
            [COLUMNS, "missing: FF3", "found 'time;FM1 ;FM2 ;FM3 ;FF1 ;FF2'"],
        ),
        (line_5(lambda line: line.rpartition(";")[0]), [", line 5: expected 7 fields separated by sem", "'0.12;"]),
        (line_5(lambda line: line.rpartition(";")[0] + ";"), [", line 5: expected a time and numbers", "'0.12;"]),
        (lambda text: UNRELATED, [": expected raters who agree, found none", "Restore the file"]),
        (lambda text: "", [": expected a row every 0.04 s, found none"]),
    ],
)
def test_broken_ratings(said_of, website, edit, parts):
    first, *others = parts
    assert has(said_of(website, RATINGS, edited(edit)), f"{website / RATINGS}{first}", *others)


def test_stereo_and_another_rate_are_fine(script, avec):
    sound(avec / "recordings_audio/dev_2.wav", channels=2)
    sound(avec / "recordings_audio/dev_3.wav", rate_hz=44_100)
    code, out, _ = script("check_corpus.py", "--corpus", "recola", "--data-root", avec)
    assert code == 1  # for three recordings a part
    assert has(out, "train: expected 9 clips, found 3", "44100 Hz", "2 count(s) differ")
    assert "unreadable" not in out


def test_audio_that_ends_before_its_labels_is_refused(said_of, avec):
    path = avec / "recordings_audio/dev_2.wav"
    message = said_of(avec, GOLD, lambda _: path.write_bytes(path.read_bytes()[:60_000]))
    assert has(message, avec / GOLD, "dev_2.wav at 1.87 s", "end 2.13 s too late", "restore the shorter one")


def test_a_recording_of_ten_minutes_is_not_too_long(script, tmp_path):
    sound(tmp_path / "long/recordings_audio/dev_1.wav", 600, rate_hz=8_000)
    values = np.sin(np.arange(15_001) / 99)
    text = ARFF + "".join(f"dev_1,{i * 0.04:.2f},{value:.4f}\n" for i, value in enumerate(values))
    for dimension in ("arousal", "valence"):
        write(tmp_path / f"long/ratings_gold_standard/{dimension}/dev_1.arff", text)
    _, out, _ = script("check_corpus.py", "--corpus", "recola", "--data-root", tmp_path / "long")
    assert has(out, "600.00 s") and "unreadable" not in out
