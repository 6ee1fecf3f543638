"""Predictions from a stream are those of the whole recording, however the stream is cut."""

import dataclasses
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny_runs
from predictions import predict_run
from streams import CUTS, level_of, pushed, speech, values, written

from zoo import registry
from zoo.data.audio.read import read
from zoo.errors import UserError
from zoo.inference import stateful, stream_run
from zoo.inference.stream import Stream
from zoo.inference.stream_model import Live

SAVED_RUNS = Path(__file__).parents[1] / "saved_formats" / "runs"


@pytest.fixture(scope="module")
def causal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("causal")
    return tiny_runs.make(folder, "conv_lstm", "recola", n_folds=2, label_delay_seconds=0.12)


@pytest.fixture(scope="module")
def causal_live(causal):
    return stream_run.of_run(causal)


@pytest.mark.parametrize(("cut", "seconds"), [("odd", 3.017), ("small", 1.017), ("at once", 0.04)])
def test_with_state_and_a_fixed_level_ratings_are_those_of_the_whole(causal, causal_live, tmp_path, cut, seconds):
    samples = speech(seconds)
    expected = list(predict_run(causal, [written(samples, tmp_path)]))
    rows = pushed(causal_live, samples, CUTS[cut], level=level_of(samples))
    assert causal_live.way == "state"
    assert [list(row) for row in rows] == [["time", "arousal", "valence", "trained_on", "reason"]] * len(rows)
    assert [row["time"] for row in rows] == [row["time"] for row in expected]
    np.testing.assert_allclose(values(rows), values(expected), atol=1e-5)
    assert seconds < 1 or np.ptp(values(rows), axis=0).min() > 0.01


def test_with_the_running_level_ratings_come_near_and_do_not_depend_on_the_cut(causal, causal_live, tmp_path):
    """The difference is a fifth of the ratings' range at most, and shrinks."""
    samples = speech(4)
    expected = values(list(predict_run(causal, [written(samples, tmp_path)])))
    rows = values(pushed(causal_live, samples))
    difference = np.abs(rows - expected)
    assert 1e-4 < difference.max() < 0.4 * np.ptp(expected) and difference[-25:].max() < 0.2 * np.ptp(expected)
    for cut in ("odd", "hops"):
        np.testing.assert_allclose(values(pushed(causal_live, samples, CUTS[cut])), rows, atol=2e-6)


def test_rows_come_within_the_latency(causal_live):
    for hop, delay in ((0.4, 3), (0.08, 0), (0.04, 9), (0.2, -5)):
        model = dataclasses.replace(causal_live, delay_frames=delay)
        opened, samples, rows = Stream(model, hop, level=(0, 0.1)), speech(2), []
        for start in range(0, len(samples), 160):
            rows += opened.push(samples[start : start + 160])
            received = (start + 160) / 16_000
            assert len(rows) * 0.04 <= received + 1e-9
            assert len(rows) * 0.04 > received - opened.latency_seconds - 1e-9
    assert Stream(causal_live, 0.4).latency_seconds == pytest.approx(0.44)


def test_a_negative_delay_gives_a_rating_of_every_frame(causal_live):
    """Ratings of three frames (0.12 s) later, the last one repeated."""
    samples = speech(1.2)
    plain = values(pushed(dataclasses.replace(causal_live, delay_frames=0), samples, CUTS["odd"], level=(0, 0.1)))
    ahead = dataclasses.replace(causal_live, delay_frames=-3)
    rows = pushed(ahead, samples, CUTS["odd"], level=(0, 0.1))
    assert [row["time"] for row in rows] == pytest.approx(np.arange(30) * 0.04)
    np.testing.assert_allclose(values(rows), plain[np.minimum(np.arange(30) + 3, 29)], atol=2e-6)
    assert Stream(ahead, 0.4).latency_seconds == pytest.approx(0.44 + 0.12)


def test_the_reach_of_convolutions_holds_every_frame_that_a_sample_changes():
    network = registry.build("conv_lstm", 2, 1, filters=[4, 6, 8], recurrent_units=6)
    local = stateful.local(network)
    assert stateful.reach(local) == (3 + 2 * 10 + 2 * 80, 4 + 3 * 10 + 3 * 80)
    clip = np.random.default_rng(0).normal(size=(1, 640 * 9, 1)).astype("float32")
    counts = np.array([640 * 9], np.int32)
    before = local.predict_on_batch({"features": clip, "n_frames": counts})
    changed = clip.copy()
    changed[0, 640 * 4 : 640 * 5] *= -3
    difference = np.abs(local.predict_on_batch({"features": changed, "n_frames": counts}) - before).max(axis=(0, 2))
    assert np.flatnonzero(difference).tolist() == [3, 4, 5]


def test_bidirectional_networks_carry_no_state():
    assert not stateful.looks_back_only(registry.build("conv_blstm", 2, 1, recurrent_units=4, second_kernel_size=8))


def test_bidirectional_networks_rate_whole_segments(tmp_path):
    """Segments of 0.8 s; the last, overlapping one rates frames again that have their row."""
    segments, samples = tiny_runs.make(tmp_path / "run", "conv_bigru", "recola"), speech(2.9)
    expected = values(list(predict_run(segments, [written(samples, tmp_path)])))
    model = stream_run.of_run(segments)
    rows = values(pushed(model, samples, CUTS["odd"], level=level_of(samples)))
    assert rows.shape == expected.shape == (72, 2)
    shown = [*range(52), *range(60, 72)]  # the last segment is of 52 to 72
    np.testing.assert_allclose(rows[shown], expected[shown], atol=1e-5)
    assert Stream(model).live.way == "windows" and Stream(model).latency_seconds == pytest.approx(0.8)
    with pytest.raises(UserError, match="as wholes"):
        Stream(model, 0.4)


def test_a_window_is_classified_as_an_utterance(tmp_path):
    emotions, samples, paths = tiny_runs.make(tmp_path / "run", "fcn", "emodb"), speech(3.3), []
    for number, (start, end) in enumerate([(0, 2), (0.5, 2.5), (1, 3), (1.3, 3.3)]):
        paths.append(tmp_path / f"{number}.wav")
        soundfile.write(paths[-1], samples[round(start * 16_000) : round(end * 16_000)], 16_000)
    expected = list(predict_run(emotions, paths))
    rows = pushed(stream_run.of_run(emotions), samples, CUTS["odd"], hop_seconds=0.5, window_seconds=2.0)
    assert [(row["start"], row["end"]) for row in rows] == [(0.0, 2.0), (0.5, 2.5), (1.0, 3.0), (1.3, 3.3)]
    for row, clip in zip(rows, expected, strict=True):
        assert row["probabilities"] == pytest.approx(clip["probabilities"], abs=1e-5)
        assert (row["emotion"], row["trained_on"]) == (clip["emotion"], clip["trained_on"])


def plain():
    """One frame is 4 samples at 100 Hz; its rating their mean."""

    def answer(window):
        return window[: len(window) // 4 * 4].reshape(-1, 4, 1).mean(1)

    return Live(("arousal",), "x", 100, answer, shortest=4, longest=400, frame_samples=4)


def test_ratings_by_hand():
    opened = Stream(plain(), 0.08, window_seconds=0.2, look_ahead_seconds=0.04)
    ramp = np.arange(18, dtype="float32")
    assert opened.push(ramp[:11]) == []
    rows = opened.push(ramp[11:12])
    assert [(row["time"], row["arousal"]) for row in rows] == [(0.0, 1.5), (0.04, 5.5)]
    rows = opened.finish() if opened.push(ramp[12:]) == [] else None
    assert [(row["time"], row["arousal"]) for row in rows] == [(0.08, 9.5), (0.12, 13.5)]  # two samples make no frame
    with pytest.raises(UserError, match="is finished"):
        opened.push(ramp)


def test_classes_by_hand():
    model = Live(("low", "high"), "x", 10, lambda window: np.array([1 - window.mean(), window.mean()]), 2, 100)
    opened = Stream(model, 0.2, window_seconds=0.4)
    rows = opened.push(np.array([0, 0.5, 0, 0.5, 1, 1], "float32"))
    assert [(row["start"], row["end"], row["probabilities"]["high"]) for row in rows] == [
        (0, 0.4, 0.25),
        (0.2, 0.6, 0.625),
    ]
    assert opened.finish() == []  # all of it was answered
    for size, n_rows in ((0, 0), (1, 0), (3, 1), (5, 2)):
        assert len(pushed(model, np.zeros(size, "float32"), hop_seconds=0.2, window_seconds=0.4)) == n_rows


def test_unusable_samples_are_refused_and_left_out():
    opened = Stream(plain(), 0.04, window_seconds=0.2, look_ahead_seconds=0.0)
    for samples, found in (
        (np.array([0.1, np.nan]), "NaN or infinity at sample 1"),
        (np.array([np.inf]), "NaN or infinity at sample 0"),
        (np.zeros(3, "int16"), "found int16"),
        (np.zeros((3, 2), "float32"), r"found float32 \(3, 2\)"),
    ):
        with pytest.raises(UserError, match=found):
            opened.push(samples)
    assert len(opened.push(np.zeros(4, "float32"))) == 1
    assert opened.finish() == []


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"hop_seconds": 0.05}, "hop is 0.05 s, expected a multiple of 0.04"),
        ({"hop_seconds": float("nan")}, "hop is nan"),
        ({"hop_seconds": 0.0}, "hop is 0.0"),
        ({"window_seconds": 0.4}, "expected hop, look-ahead"),
        ({"window_seconds": 80.0}, "0.04 to 4 s as the model has it"),
        ({"look_ahead_seconds": -1.0}, "look-ahead is -1.0"),
        ({"rate_hz": 999}, "rate is 999 Hz"),
        ({"rate_hz": 400_000}, "rate is 400000 Hz"),
        ({"level": (0.0, 1.0)}, "for networks on waveforms"),
    ],
)
def test_options_out_of_range_are_refused(options, found):
    with pytest.raises(UserError, match=found):
        Stream(plain(), **{"hop_seconds": 1.0, "window_seconds": 4.0, **options})


def test_options_of_another_way_are_refused(causal_live):
    for options in ({"window_seconds": 4.0}, {"look_ahead_seconds": 1.0}, {"level": (0.0, 0.0)}, {"level": (1.0,)}):
        with pytest.raises(UserError, match=r"leave it out|a deviation above 0"):
            Stream(causal_live, **options)


def test_other_rates_are_resampled_as_files_are(causal, causal_live, tmp_path):
    samples, path = speech(3, rate_hz=44_100), tmp_path / "44100.wav"
    soundfile.write(path, samples, 44_100)
    expected = values(list(predict_run(causal, [path])))
    rows = pushed(causal_live, samples, CUTS["odd"], rate_hz=44_100, level=level_of(read(path)))
    assert len(rows) == len(expected) == 75
    np.testing.assert_allclose(values(rows), expected, atol=1e-5)


class Buffer(io.BytesIO):
    """Standard input that comes in blocks of an odd size."""

    def read1(self, size=-1):
        return self.read(4999)


@pytest.fixture
def stream(script, monkeypatch):
    """Runs predict.py --stream on data; returns exit code, output and errors."""

    def run(data, *words):
        monkeypatch.setattr(sys, "stdin", type("Standard", (), {"buffer": Buffer(data)}))
        return script("predict.py", *words, "--stream")

    return run


def test_the_command_prints_the_rows_of_the_stream(stream, causal, causal_live):
    samples = speech(1.2)
    words = [causal, "--json", "--hop-seconds", "0.2", "--level", "-0.09,0.06"]
    expected = pushed(causal_live, samples, hop_seconds=0.2, level=(-0.09, 0.06))
    for data, form in ((np.round(samples * 32768).astype("<i2"), "s16le"), (samples.astype("<f4"), "f32le")):
        code, out, err = stream(data.tobytes(), *words, "--sample-format", form)
        assert code == 0 and "latency 0.24 s (state)" in err
        rows = [json.loads(line) for line in out.splitlines()]
        np.testing.assert_allclose(values(rows), values(expected), atol=2e-6)


def test_streams_that_break_off(stream, causal):
    data = np.round(speech(1.2) * 32768).astype("<i2").tobytes()
    for sent, words, code, n_lines, found in (
        (data[:-1], ["--csv"], 1, 1 + 29, "inside a sample: its last 1 bytes"),
        (b"", [], 1, 0, "ended before there was enough"),
        (b"RIFF" + data, [], 2, 0, "found an audio file"),
        (np.array([np.nan], "<f4").tobytes(), ["--sample-format", "f32le"], 2, 0, "NaN or infinity at sample 0"),
        (data, ["--level", "1"], 2, 0, "--level is '1'"),
    ):
        found_code, out, err = stream(sent, causal, *words)
        assert (found_code, len(out.splitlines())) == (code, n_lines) and found in err


def test_a_run_on_another_one_streams_without_it(stream):
    """A deep_spectrum_svm, the --from-run of which is gone."""
    run = SAVED_RUNS / "joint"
    assert not Path(json.loads((run / "config.json").read_text())["from_run"]).exists()
    data = np.round(speech(1.5) * 32768).astype("<i2").tobytes()
    code, out, err = stream(data, run, "--json", "--hop-seconds", "0.5", "--window-seconds", "1")
    assert code == 0, err
    assert [json.loads(line)["end"] for line in out.splitlines()] == [1.0, 1.5]
