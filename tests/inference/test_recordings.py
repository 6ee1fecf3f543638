"""Recordings become rows of windows, channel by channel; sound without speech has no emotion."""

import csv
import io
import json

import numpy as np
import pytest
import soundfile
from spoken import RATE_HZ, SPOKEN_SECONDS, call, utterance

from zoo.data.audio.recording import BadClip
from zoo.errors import UserError
from zoo.inference.in_words import for_terminal
from zoo.inference.predictions_file import Answers, Sheet, as_csv
from zoo.inference.predictor import Predictor
from zoo.inference.reading import MixedNotice, Reading
from zoo.inference.recordings import rows
from zoo.inference.rows import KEYS
from zoo.inference.workers import in_this_process

TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE_HZ) / RATE_HZ)).astype(np.float32)
NOISE = np.random.default_rng(0).normal(0, 0.1, 2 * RATE_HZ).astype(np.float32)


def predictor(rate_hz=RATE_HZ, **options):
    """A stand-in for a model of two classes that notes what it is given."""
    given = []

    def answer(waveforms):
        given.extend(waveforms)
        return [np.array([0.25, 0.75])] * len(waveforms)

    model = Predictor(("a", "b"), "x", rate_hz, 0.025, 60.0, answer, **options)
    return model, given


def found(clips, **options):
    return list(rows(predictor()[0], clips, Reading(**options)))


def near(row, start, end):
    """Return whether a window contains the utterance from `start` to `end`, with at most 1.2 s around it."""
    return start - 1.2 <= row["start"] <= start + 0.2 and end - 0.2 <= row["end"] <= end + 1.2


def test_a_long_recording_has_a_row_per_utterance_and_a_clip_one():
    long, starts = call([2.0, 9.0, 16.0, 29.0], seconds=33.0)
    found_rows = found([long, utterance(0)])
    *windows, clip = found_rows
    assert len(windows) == 4 and all(near(row, s, s + SPOKEN_SECONDS) for row, s in zip(windows, starts, strict=True))
    assert [row["emotion"] for row in found_rows] == ["b"] * 5
    assert all(0.5 * SPOKEN_SECONDS < row["speech_seconds"] <= row["end"] - row["start"] for row in windows)
    assert (clip["start"], clip["end"], clip["file"], clip["channel"]) == (None, None, "#1", "mix")
    assert [tuple(row) for row in found_rows] == [KEYS] * 5
    assert len(found([utterance(0)], segments="always")) == 1
    with pytest.raises(BadClip, match=r"found 66 s \(the most is 60 s\)"):
        found([np.concatenate([long, long])], segments="never")


def test_windows_hold_the_samples_of_their_seconds():
    long, _ = call([2.0, 9.0, 16.0, 29.0], seconds=33.0)
    model, given = predictor()
    windows = list(rows(model, [long], Reading()))
    for row, waveform in zip(windows, given, strict=True):
        start = round(row["start"] * RATE_HZ)
        np.testing.assert_array_equal(waveform, long[start : start + len(waveform)])
        assert len(waveform) == pytest.approx((row["end"] - row["start"]) * RATE_HZ, abs=RATE_HZ * 1e-3)
        level = 10 * np.log10(np.mean(np.square(waveform, dtype=float)))
        assert row["quality"]["level_dbfs"] == pytest.approx(level, abs=0.06)


def test_files_arrays_and_contents_are_cut_alike_also_in_small_blocks(tmp_path, monkeypatch):
    long, _ = call([1.0, 12.0, 25.0], seconds=31.0)
    pcm = np.round(long * 32767) / 32767
    soundfile.write(tmp_path / "long.wav", pcm, RATE_HZ, subtype="PCM_16")
    samples = soundfile.read(tmp_path / "long.wav", dtype="float32")[0]
    expected = found([samples])
    assert len(expected) == 3
    for clip in (tmp_path / "long.wav", (tmp_path / "long.wav").read_bytes()):
        assert [{**row, "file": "#0"} for row in found([clip])] == expected
    monkeypatch.setattr("zoo.inference.sources.AT_ONCE", 7_001)
    model, given = predictor()
    assert list(rows(model, [samples], Reading())) == expected
    assert max(map(len, given)) <= 5 * RATE_HZ


def test_channels_are_mixed_split_or_chosen(tmp_path, capsys):
    left, _ = call([1.0], seconds=6.0)
    right, _ = call([3.5], seconds=6.0)
    soundfile.write(tmp_path / "call.wav", np.stack([left, right], axis=1), RATE_HZ)
    soundfile.write(tmp_path / "mono.wav", left, RATE_HZ)
    split = found([tmp_path / "call.wav"], segments="always", channels="split")
    assert [row["channel"] for row in split] == [0, 1]
    assert near(split[0], 1.0, 1.0 + SPOKEN_SECONDS) and near(split[1], 3.5, 3.5 + SPOKEN_SECONDS)
    for channels, expected in (("left", split[:1]), ("right", split[1:])):
        assert found([tmp_path / "call.wav"], segments="always", channels=channels) == expected
    assert [row["channel"] for row in found([tmp_path / "call.wav"], channels="split")] == [0, 1]
    assert found([tmp_path / "mono.wav"], channels="left")[0]["channel"] == 0
    with pytest.raises(BadClip, match="expected a recording with a right channel, found one of a single channel"):
        found([tmp_path / "mono.wav"], channels="right")
    with pytest.raises(UserError, match=r"unknown channels 'both'\. Known: left, mix, right, split"):
        Reading(channels="both")
    list(
        in_this_process(predictor()[0], [[tmp_path / "mono.wav"], [tmp_path / "call.wav"] * 2], on_mixed=MixedNotice())
    )
    assert capsys.readouterr().err.count("2 channels are mixed down") == 1
    (mixed,) = found([tmp_path / "call.wav"])
    assert mixed["quality"]["notes"] == ["2 channels were mixed down."]


def test_channels_of_which_one_is_silent_and_channels_that_cancel():
    voice = utterance(0)
    split = found([np.stack([voice, 0 * voice], axis=1)], channels="split")
    assert [(row["emotion"], (row["reason"] or "").partition(":")[0]) for row in split] == [("b", ""), (None, "silent")]
    (mixed,) = found([np.stack([voice, -voice], axis=1)])
    assert mixed["reason"].startswith("cancelling: ")
    for segments in ("never", "always"):
        rows_of = found([np.stack([voice, -voice], axis=1)], channels="split", segments=segments)
        assert [row["emotion"] for row in rows_of] == ["b", "b"]


@pytest.mark.parametrize("sound", [TONE, NOISE, TONE[:1600], NOISE[:800]])
@pytest.mark.parametrize("segments", ["never", "always"])
def test_sound_without_speech_has_no_emotion_unless_asked_for(sound, segments):
    (row,) = found([sound], segments=segments)
    assert row["emotion"] is None and row["probabilities"] == {"a": None, "b": None}
    assert row["reason"].startswith("no speech found: ") and row["speech_seconds"] == 0
    assert row["quality"]["level_dbfs"] is not None
    for any_row in found([sound], segments=segments, any_sound=True):
        assert any_row["emotion"] == "b" and any_row["reason"] is None
    (silent,) = found([0 * sound], segments=segments, any_sound=True)
    assert silent["reason"].startswith("silent: ") and silent["emotion"] is None


def test_a_source_of_8_khz_is_noted_and_so_is_clipping(tmp_path):
    import soxr

    voice = utterance(0, emotion="angry")
    narrow = soxr.resample(np.round(soxr.resample(voice, RATE_HZ, 8_000) * 32768) / 32768, 8_000, RATE_HZ)
    soundfile.write(tmp_path / "narrow.wav", narrow, RATE_HZ)
    soundfile.write(tmp_path / "stored.wav", soxr.resample(voice, RATE_HZ, 8_000), 8_000)
    soundfile.write(tmp_path / "loud.wav", np.clip(20 * voice, -1, 1), RATE_HZ)
    soundfile.write(tmp_path / "wide.wav", voice, RATE_HZ)
    for segments in ("never", "always"):
        every = [
            found([tmp_path / f"{n}.wav"], segments=segments)[0]["quality"]
            for n in ("narrow", "stored", "loud", "wide")
        ]
        narrow_q, stored_q, loud, wide = every
        for quality in (narrow_q, stored_q):
            assert quality["bandwidth_hz"] <= 4_300
            assert any("a source of 8 kHz; the model takes speech up to 8 kHz" in note for note in quality["notes"])
        assert wide["bandwidth_hz"] > 4_500 and wide["notes"] == [] and wide["clipped_share"] == 0
        assert loud["clipped_share"] > 0.01 and any("of the samples are clipped" in note for note in loud["notes"])


def test_models_at_another_rate_get_their_own():
    long, starts = call([2.0, 20.0], seconds=32.0)
    model, given = predictor(rate_hz=8_000)
    found_rows = list(rows(model, [long], Reading(), clips_hz=RATE_HZ))
    assert all(near(row, s, s + SPOKEN_SECONDS) for row, s in zip(found_rows, starts, strict=True))
    assert [len(w) for w in given] == pytest.approx([(r["end"] - r["start"]) * 8_000 for r in found_rows], abs=9)


def test_limits_of_the_model_hold_for_windows():
    long, _ = call([1.0, 8.0], seconds=14.0)
    model, given = predictor()
    short = Predictor(("a", "b"), "x", RATE_HZ, 0.025, 1.5, model.predict_waveforms, longest_seconds=20.0)
    assert len(list(rows(short, [long], Reading()))) > 2 and max(map(len, given)) <= 1.5 * RATE_HZ
    with pytest.raises(BadClip, match=r"the most is 20 s"):
        list(rows(short, [np.concatenate([long, long])], Reading()))
    wide = Predictor(("a", "b"), "x", RATE_HZ, 4.0, 60.0, model.predict_waveforms)
    given.clear()
    assert list(rows(wide, [long], Reading("always"))) and min(map(len, given)) >= 4 * RATE_HZ
    with pytest.raises(BadClip, match="the least is 4 s"):
        list(rows(wide, [long[:RATE_HZ]], Reading("always")))


def test_undefined_windows_have_a_reason_and_bad_files_no_row(tmp_path):
    long, _ = call([1.0, 20.0], seconds=32.0)
    model = Predictor(("a", "b"), "x", RATE_HZ, 0.025, 60.0, lambda w: [np.array([np.nan, 0])] * len(w))
    assert [row["reason"] for row in rows(model, [long], Reading())] == [
        "undefined: an output that is NaN or infinite"
    ] * 2
    soundfile.write(tmp_path / "cut.wav", long, RATE_HZ)
    content = (tmp_path / "cut.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(content[:-100_000])
    (answers,) = in_this_process(predictor()[0], [[tmp_path / "cut.wav", tmp_path / "none.wav"]])
    assert answers.rows == [] and [failure.kind for failure in answers.failed] == ["truncated", "missing"]


def test_models_of_ratings_refuse_these_options():
    ratings = Predictor(("v",), "x", RATE_HZ, 0.04, 60.0, lambda w: [np.zeros((len(x) // 640, 1)) for x in w], 0.04)
    assert len(list(rows(ratings, [NOISE], Reading()))) == 50
    with pytest.raises(UserError, match="--channels, --any-sound: for classes of emotion"):
        list(rows(ratings, [NOISE], Reading(channels="left", any_sound=True)))


def test_tables_have_columns_for_quality_and_words_have_seconds():
    long, _ = call([2.0, 20.0], seconds=32.0)
    windows = found([np.stack([long, long], axis=1), utterance(0)], channels="split")
    table = list(csv.DictReader(io.StringIO("".join(map(as_csv(), windows)))))
    assert list(table[0]) == [
        *("file", "channel", "start", "end", "emotion", "confidence", "abstained", "speech_seconds", "trained_on"),
        *("level_dbfs", "clipped_share", "bandwidth_hz", "notes", "p_a", "p_b", "reason"),
    ]
    assert [row["channel"] for row in table] == ["0", "1", "0", "1", "0"]
    assert float(table[0]["level_dbfs"]) == windows[0]["quality"]["level_dbfs"]
    words = for_terminal(windows[1]).split("\t")
    assert words[:4] == ["#0", "channel 1", f"{windows[1]['start']:.2f} to {windows[1]['end']:.2f} s", "b"]


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_a_recording_with_some_of_its_rows_is_predicted_again(tmp_path, kind):
    long, _ = call([2.0, 14.0, 20.0], seconds=32.0)
    names = ["a.wav", "long.wav", "b.wav"]
    every = list(rows(predictor()[0], [utterance(0), long, utterance(1)], Reading(), names=names))

    def go_on(path):
        with Sheet(path, kind, resume=True, rows_per_file=True) as sheet:
            for name in names:
                if not sheet.answered(name):
                    sheet.add(Answers([row for row in every if row["file"] == name], []))
                    asked.append(name)

    asked: list[str] = []
    go_on(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    assert len(whole.splitlines()) == 5 + (kind == "csv")
    for size in range(0, len(whole) + 1, 61):
        (tmp_path / "cut").write_bytes(whole[:size])
        go_on(tmp_path / "cut")
        assert (tmp_path / "cut").read_bytes() == whole, size
    (tmp_path / "cut").write_bytes(whole)
    asked.clear()
    go_on(tmp_path / "cut")
    assert asked == []  # a clip classified whole has no further row
    if kind == "json":
        row = {key: value for key, value in every[0].items() if key != "channel"}
        (tmp_path / "old").write_text(json.dumps(row) + "\n")
        with pytest.raises(UserError, match="expected answers with a channel"):
            Sheet(tmp_path / "old", kind, resume=True, rows_per_file=True)
