"""Both releases of RECOLA, on small trees written here."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from zoo.data.corpora.gold_standard import evaluator_weighted_mean
from zoo.data.corpora.registry import load
from zoo.data.protocols.lookup import PROTOCOLS
from zoo.errors import UserError

ATTRIBUTES = (
    "@relation GOLDSTANDARD\n\n@attribute Instance_name string\n@attribute frameTime numeric\n"
    "@attribute GoldStandard numeric\n\n"
)
RATERS = ("FM1", "FM2", "FM3", "FF1", "FF2", "FF3")


def audio(path: Path, seconds: float = 2.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.sin(np.arange(round(seconds * 16_000))), 16_000)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def gold(name: str, seconds: float = 2.0) -> np.ndarray:
    """Labels from 0 to `seconds`, both included, that differ between recordings."""
    return np.round(0.5 * np.sin(np.arange(round(seconds / 0.04) + 1) / 9 + len(name)), 6)


def arff(name: str, values: np.ndarray) -> str:
    return ATTRIBUTES + "@data\n\n" + "".join(f"{name},{i * 0.04:.2f},{v:.6f}\n" for i, v in enumerate(values))


def avec(root: Path, names=("train_1", "dev_1"), seconds: float = 2.0, suffix: str = ".wav") -> Path:
    for name in names:
        audio(root / f"recordings_audio/{name}{suffix}", seconds)
        for sign, dimension in ((1, "arousal"), (-1, "valence")):
            write(root / f"ratings_gold_standard/{dimension}/{name}.arff", arff(name, sign * gold(name, seconds)))
    return root


def raters(rng, steps: int = 51) -> np.ndarray:
    return np.sin(np.arange(steps) / 9)[:, None] + 0.1 * rng.standard_normal((steps, 6))


def rater_csv(ratings: np.ndarray, names=RATERS) -> str:
    rows = [f"{i * 0.04:.2f};" + ";".join(f"{value:.6f}" for value in row) for i, row in enumerate(ratings)]
    return "\n".join(["time;" + ";".join(f"{name} " for name in names), *rows]) + "\n"


def website(root: Path, ratings: np.ndarray, participants=(16, 19, 17)) -> Path:
    for participant in participants:
        audio(root / f"RECOLA-Audio-recordings/P{participant}.wav")
        for sign, dimension in ((1, "arousal"), (-1, "valence")):
            folder = root / "RECOLA-Annotation/emotional_behaviour" / dimension
            write(folder / f"P{participant}.csv", rater_csv(sign * ratings))
    return root


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_avec(tmp_path, suffix):
    root = avec(tmp_path, ("train_1", "train_10", "dev_1"), suffix=suffix)
    loaded = load("recola", root)
    assert [clip.name for clip in loaded.clips] == ["dev_1", "train_1", "train_10"]
    for clip in loaded.clips:
        trace = clip.trace
        assert (clip.speaker, clip.label, clip.tags) == (clip.name, "", {"part": clip.name.split("_")[0]})
        assert (trace.dimensions, trace.step_seconds, trace.start_seconds) == (("arousal", "valence"), 0.04, 0)
        assert trace.values.dtype == np.float32
        expected = gold(clip.name)
        np.testing.assert_allclose(clip.trace.values, np.stack([expected, -expected], axis=1), atol=1e-7)
    assert (loaded.ignored, loaded.missing, loaded.duplicates) == ({}, [], [])


def test_what_is_left_out(tmp_path):
    root = avec(tmp_path, ("train_1", "dev_1", "dev_2"))
    for name in ("test_1.wav", "train_9.wav", "._train_1.wav", "notes.txt", "hello.wav"):
        (root / "recordings_audio" / name).touch()
    audio(root / "recordings_audio/train_1.flac")
    (root / "recordings_audio/dev_2.wav").unlink()
    loaded = load("recola", root)
    assert [clip.name for clip in loaded.clips] == ["dev_1", "train_1"]
    assert loaded.ignored == {
        "no labels (those of AVEC's test part are not public)": 2,
        "hidden file": 1,
        "not .wav or .flac": 1,
        "name not of this corpus": 1,
    }
    assert (loaded.missing, loaded.duplicates) == (["dev_2"], ["recordings_audio/train_1.wav"])


ODDITIES = {
    "quotes": lambda text: text.replace("train_1", "'train_1'").replace("frameTime", "'frameTime'"),
    "double quotes": lambda text: text.replace("train_1", '"train_1"'),
    "capitals": lambda text: text.replace("@data", "@DATA").replace("@attribute", "@ATTRIBUTE"),
    "windows": lambda text: "\ufeff" + text.replace("\n", "\r\n"),
    "blank lines": lambda text: text.replace("\ntrain_1", "\n \n\ntrain_1"),
    "spaces": lambda text: text.replace(",", " , "),
    "comments": lambda text: "% made by hand\n" + text.replace("@data\n", "@data\n% rows\n"),
    "heading": lambda text: text.replace("@data\n", "@data\nname,frameTime,GoldStandard\n"),
    "quoted numbers": lambda text: re.sub(r",(0\.\d\d),(\S+)", r",'\1','\2'", text),
    "exponents": lambda text: text.replace(",0.00,", ",0e0,"),
}


@pytest.mark.parametrize("oddity", ODDITIES)
def test_oddities_of_arff_make_no_difference(tmp_path, oddity):
    expected = load("recola", avec(tmp_path / "plain", ["train_1"])).clips[0].trace
    root = avec(tmp_path / "odd", ["train_1"])
    for path in root.glob("ratings_gold_standard/*/*.arff"):
        path.write_bytes(ODDITIES[oddity](path.read_text()).encode())
    (clip,) = load("recola", root).clips
    np.testing.assert_array_equal(clip.trace.values, expected.values)


def test_columns_are_found_by_name(tmp_path):
    root = avec(tmp_path, ["train_1"])
    rows = "".join(f"{v:.6f},x,{i * 0.04:.2f}\n" for i, v in enumerate(gold("train_1")))
    head = "@attribute GoldStandard numeric\n@attribute other string\n@attribute frameTime numeric\n@data\n"
    write(root / "ratings_gold_standard/arousal/train_1.arff", head + rows)
    (clip,) = load("recola", root).clips
    np.testing.assert_allclose(clip.trace.values[:, 0], gold("train_1"), atol=1e-7)


def test_website(tmp_path, rng):
    ratings = raters(rng)
    loaded = load("recola", website(tmp_path, ratings))
    assert [(clip.name, clip.speaker, clip.tags) for clip in loaded.clips] == [
        ("P16", "P16", {"part": "train"}),
        ("P17", "P17", {"part": "none"}),
        ("P19", "P19", {"part": "dev"}),
    ]
    assert loaded.ignored == {}
    expected, _ = evaluator_weighted_mean(np.round(ratings, 6))
    for clip in loaded.clips:
        np.testing.assert_allclose(clip.trace.values, np.stack([expected, -expected], axis=1), atol=1e-6)
    assert not np.allclose(loaded.clips[0].trace.values[:, 0], ratings.mean(axis=1), atol=1e-6)


def test_website_header_in_another_order_and_with_more(tmp_path, rng):
    ratings = raters(rng)
    root = website(tmp_path, ratings, [16])
    turned = np.concatenate([np.full((len(ratings), 1), 9.0), ratings[:, ::-1]], axis=1)
    write(root / "RECOLA-Annotation/emotional_behaviour/arousal/P16.csv", rater_csv(turned, ("FM4", *RATERS[::-1])))
    (clip,) = load("recola", root).clips
    np.testing.assert_allclose(clip.trace.values[:, 0], -clip.trace.values[:, 1], atol=1e-6)


def test_recordings_outside_the_challenge_and_those_of_an_own_partition(tmp_path, rng):
    root = website(tmp_path, raters(rng), (16, 17, 19, 13, 22))
    write(root / "partition.csv", "\ufeffRecording, Part\r\nP16,dev\r\nP17 ,test\r\nP13,train\r\nP99,train\r\n")
    clips = load("recola", root).clips
    found = {clip.name: (clip.tags["part"], clip.tags.get("own_part")) for clip in clips}
    parts = {"P13": ("test", "train"), "P16": ("train", "dev"), "P17": ("none", "test"), "P19": ("dev", None)}
    assert found == {**parts, "P22": ("none", None)}
    chosen = {name: PROTOCOLS[name].select(clips) for name in ("recola-full", "recola-nested")}
    assert {clip.name: clip.tags["part"] for clip in chosen["recola-full"]} == {
        "P13": "train",
        "P16": "dev",
        "P17": "test",
    }
    assert [clip.name for clip in chosen["recola-nested"]] == ["P16", "P19"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("P16;train\n", r"partition.csv, line 1: expected a header with the columns recording and part"),
        ("recording,part\nP16,training\n", r"line 2: expected a recording and its part, train, dev, test"),
        ("recording,part\nP16\n", r"line 2: expected a recording and its part"),
        ("recording,part\nP16,dev\n\nP16,test\n", r"line 4: expected each recording once, P16 has a line above"),
    ],
)
def test_a_broken_partition_is_refused(tmp_path, rng, text, says):
    root = website(tmp_path, raters(rng), [16])
    write(root / "partition.csv", text)
    with pytest.raises(UserError, match=says):
        load("recola", root)


def test_both_releases_in_one_folder_are_read_as_avec(tmp_path, rng):
    root = website(avec(tmp_path), raters(rng))
    assert [clip.name for clip in load("recola", root).clips] == ["dev_1", "train_1"]
