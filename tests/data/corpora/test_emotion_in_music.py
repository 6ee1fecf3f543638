"""Emotion in Music on small trees written here, with real MP3 files."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from zoo.data.audio import read
from zoo.data.corpora import emotion_in_music
from zoo.data.corpora.check import check
from zoo.errors import UserError

TIMES = range(15_000, 45_001, 500)
INFO = "song_id,file_name,Artist,Song title,Genre,Mediaeval 2013 set\n"


def ratings(songs, seed=0, times=TIMES) -> str:
    rng = np.random.default_rng(seed)
    head = ",".join(["song_id", *(f"sample_{time}ms" for time in times)])
    rows = [f"{song}," + ",".join(f"{v:.4f}" for v in rng.uniform(-1, 1, len(times))) for song in songs]
    return "\n".join([head, *rows]) + "\n"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def tree(root: Path, songs=(2, 10, 1000), suffix=".mp3", seconds=45.0, times=TIMES, rate_hz=16_000) -> Path:
    for seed, dimension in enumerate(("arousal", "valence")):
        write(root / f"annotations/{dimension}_cont_average.csv", ratings(songs, seed, times))
    sides = ["evaluation", *["development"] * (len(songs) - 1)]
    songs_and_sides = zip(songs, sides, strict=True)
    rows = [f'{song},{song}.mp3,"Band {song}\t","A song,  or two\t","Blues\t",{side}' for song, side in songs_and_sides]
    write(root / "songs_info.csv", INFO + "\n".join(rows) + "\n")
    (root / "clips_45seconds").mkdir()
    tone = 0.1 * np.sin(np.arange(round(seconds * rate_hz)) / 9)
    for song in songs:
        soundfile.write(root / f"clips_45seconds/{song}{suffix}", tone * (1 - song / 2000), rate_hz)
    return root


@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".flac", ".ogg"])
def test_songs(tmp_path, suffix):
    root = tree(tmp_path, suffix=suffix)
    loaded = emotion_in_music.load(root)
    found = [(clip.name, clip.speaker, clip.label, clip.tags["part"]) for clip in loaded.clips]
    assert found[:2] == [(name, f"Band {name}", "", "development") for name in ("10", "1000")]
    assert found[2:] == [("2", "Band 2", "", "evaluation")]
    trace = loaded.clips[-1].trace
    assert (trace.dimensions, trace.step_seconds, trace.start_seconds) == (("arousal", "valence"), 0.5, 15.0)
    assert trace.values.shape == (61, 2) and trace.values.dtype == np.float32
    for seed, values in enumerate(trace.values.T):
        expected = np.random.default_rng(seed).uniform(-1, 1, 61)  # of the first song written
        np.testing.assert_allclose(values, expected, atol=1e-4)
    assert loaded.ignored == {} and loaded.missing == []


def test_songs_without_artist_and_of_other_length(tmp_path):
    root = tree(tmp_path, seconds=5.0, times=range(2_000, 5_001, 500))
    text = (root / "songs_info.csv").read_text()
    write(root / "songs_info.csv", text.replace("Artist", "Somebody"))
    clips = emotion_in_music.load(root).clips
    assert {clip.speaker for clip in clips} == {"2", "10", "1000"}
    assert {clip.trace.values.shape for clip in clips} == {(7, 2)}


def test_what_is_left_out(tmp_path):
    root = tree(tmp_path)
    folder = root / "clips_45seconds"
    for name in (".DS_Store", "._2.mp3", "list.m3u", "77.mp3"):
        (folder / name).touch()
    (folder / "10.mp3").unlink()
    info = root / "songs_info.csv"
    info.write_text("".join(line for line in info.read_text().splitlines(True) if not line.startswith("1000")))
    loaded = emotion_in_music.load(root)
    assert [clip.name for clip in loaded.clips] == ["2"] and loaded.missing == ["10", "1000"]
    assert loaded.ignored == {
        "hidden file": 2,
        "not .wav, .flac, .ogg or .mp3": 1,
        "no line in the label files": 1,
        "no line in songs_info.csv": 1,
    }


def constant(text, song):
    """The ratings with 0.5 throughout for a song, or for all."""
    return re.sub(rf"\n({song}),.*", r"\n\1" + ",0.5" * 61, text)


@pytest.mark.parametrize(
    ("file", "spoil", "message"),
    [
        ("arousal", lambda text: text.replace(",", ";"), "line 1: expected a header song_id,sample_"),
        ("arousal", lambda text: text.replace("sample_15500ms", "sample_16000ms"), "line 1: .* in steps of 500 ms"),
        ("arousal", lambda text: text.replace("\n10,", "\n10,,"), "line 3: expected 62 fields"),
        ("arousal", lambda text: re.sub(r"\n10,[^,]*,", "\n10,x,", text), "line 3: expected a song and numbers"),
        ("arousal", lambda text: re.sub(r"\n10,[^,]*,", "\n10,,", text), "line 3: expected a song and numbers"),
        ("arousal", lambda text: re.sub(r"\n10,[^,]*,", "\n10,nan,", text), "line 3: expected finite numbers"),
        ("arousal", lambda text: text.replace("\n10,", "\n2,"), "line 3: expected each song once"),
        ("arousal", lambda text: text.splitlines()[0], "expected ratings of songs that change, found none"),
        ("arousal", lambda text: constant(text, r"\d+"), "expected ratings of songs that change, found none"),
        ("arousal", lambda text: "", "line 1: expected a header .* found ''"),
        ("arousal", lambda text: text.rpartition("\n1000")[0], "expected a line for song 1000, as in the other dimen"),
        ("arousal", lambda text: ratings((2, 10, 1000), times=TIMES[:-1]), "60 of arousal .* 61 of valence"),
        ("valence", None, "expected a label file"),
        ("songs_info", None, "expected a label file"),
        ("songs_info", lambda text: text.replace("evaluation", "test"), "line 2: .* development or evaluation as the"),
        ("songs_info", lambda text: text.replace("2013 set", "set"), "line 1: expected a header .*Mediaeval 2013 set"),
    ],
)
def test_spoilt_or_missing_label_files_are_named(tmp_path, file, spoil, message):
    (path,) = tree(tmp_path, suffix=".wav", rate_hz=8_000).rglob(f"{file}*.csv")
    text = path.read_text()
    path.unlink()
    if spoil:
        path.write_text(spoil(text))
    with pytest.raises(UserError, match=message) as error:
        emotion_in_music.load(tmp_path)
    assert "60 of" in message or str(path) in str(error.value)


def test_one_song_with_a_constant_rating_is_no_mistake(tmp_path):
    path = tree(tmp_path, suffix=".wav", rate_hz=8_000) / "annotations/arousal_cont_average.csv"
    write(path, constant(path.read_text(), 10))
    assert len(emotion_in_music.load(tmp_path).clips) == 3


@pytest.mark.parametrize(("seconds", "found"), [(43.0, "2.00 s too late"), (47.0, "1.50 s too early")])
def test_clips_of_another_length(tmp_path, seconds, found):
    with pytest.raises(UserError, match=rf"10\.wav .*{found}"):
        emotion_in_music.load(tree(tmp_path, suffix=".wav", seconds=seconds, rate_hz=8_000))


def test_a_cut_mp3_is_found_by_its_header(tmp_path):
    path = tree(tmp_path) / "clips_45seconds/10.mp3"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert soundfile.info(path).duration > 44  # as it declares
    report = check(emotion_in_music.load(tmp_path), rate_hz=44_100)
    (message,) = report.unreadable["truncated"]
    assert message.startswith(f"{path}: expected the whole recording, found ")


def test_a_cut_mp3_without_a_header_is_found_by_its_labels(tmp_path):
    """Half of such an MP3, up to a frame's end, reads without complaint; only the labels show that it is cut."""
    path = tree(tmp_path) / "clips_45seconds/10.mp3"
    loaded = emotion_in_music.load(tmp_path)
    content = path.read_bytes()
    frames = [at for at in range(len(content)) if content.startswith(content[:2], at)]
    path.write_bytes(content[frames[1] : frames[len(frames) // 2]])
    assert 22 < len(read.read(path)) / 16_000 < 23
    with pytest.raises(UserError, match=r"10\.mp3 at 22\.\d\d s, found labels that end 22\.[3-8]\d s too late"):
        emotion_in_music.load(tmp_path)
    report = check(loaded, rate_hz=44_100)  # cut since it was listed
    (found,) = report.misaligned
    assert re.fullmatch(r"10: labels that end 22\.[3-8]\d s after the audio", found)
    assert report.advice == ["1 recording(s) are over a second longer or shorter than their labels. Fetch them again."]
