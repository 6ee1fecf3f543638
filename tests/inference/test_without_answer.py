"""Recordings without speech get a row that says so; outputs that are not finite or of another shape get none."""

import csv
import io
import json

import numpy as np
import pytest
import soundfile

from zoo.data.audio.recording import BadClip, check_level
from zoo.errors import UserError
from zoo.inference.predictions_file import Answers, Sheet, as_csv, as_json
from zoo.inference.predictor import Predictor
from zoo.inference.stream import Stream
from zoo.inference.stream_model import Live

NOISE = np.random.default_rng(0).normal(0, 0.1, 8_000).astype(np.float32)
SILENT = {"zeros": 0 * NOISE, "near": 1e-4 * NOISE, "offset": 0 * NOISE + 0.5}
ZEROS = "silent: nothing above -66 dB of full scale so far"
with pytest.raises(BadClip) as silence:
    check_level(0 * NOISE, "x")
QUIET = f"silent: {silence.value.found}"


def classes(answer=lambda waveform: np.array([0.25, 0.75])):
    """A predictor of two classes by a stand-in for a model."""
    return Predictor(("a", "b"), "x", 16_000, 0.025, 60.0, lambda waveforms: list(map(answer, waveforms)))


def ratings(answer=lambda waveform: np.zeros((len(waveform) // 640, 2)), **options):
    names = ("arousal", "valence")
    return Predictor(names, "x", 16_000, 0.04, 60.0, lambda waveforms: list(map(answer, waveforms)), 0.04, **options)


@pytest.fixture
def files(tmp_path):
    """A good file, a silent one, and one whose channels cancel."""
    for name, samples in (("a", NOISE), ("b", 0 * NOISE), ("c", np.stack([NOISE, -NOISE], axis=1)), ("d", NOISE)):
        soundfile.write(tmp_path / f"{name}.wav", samples, 16_000)
    return sorted(tmp_path.iterdir())


def test_files_and_waveforms_without_speech_have_a_row_in_their_turn(files):
    rows = list(classes().predict(files))
    assert [row["file"] for row in rows] == list(map(str, files))
    assert [row["emotion"] for row in rows] == ["b", None, None, "b"]
    columns = ["file", "emotion", "probabilities", "confidence", "abstained", "trained_on", "reason"]
    assert [list(row) for row in rows] == [columns] * 4
    assert [(row["confidence"], row["abstained"]) for row in rows] == [(None, None)] * 4  # nothing was fitted
    assert [(row["reason"] or "answered").partition(":")[0] for row in rows] == [
        "answered",
        "silent",
        "cancelling",
        "answered",
    ]
    assert rows[1]["probabilities"] == {"a": None, "b": None}
    rows = list(classes().predict([*SILENT.values(), NOISE]))
    assert [row["reason"] is None for row in rows] == [False, False, False, True]
    assert rows[0] == {
        "file": "#0",
        "emotion": None,
        "probabilities": {"a": None, "b": None},
        "confidence": None,
        "abstained": None,
        "trained_on": "x",
        "reason": QUIET,
    }


def test_a_recording_without_speech_has_one_row_of_ratings(files):
    rows = list(ratings().predict([files[1], 0 * NOISE, NOISE[:1280]]))
    nothing = {"time": None, "arousal": None, "valence": None, "trained_on": "x", "reason": QUIET}
    assert rows[:2] == [{"file": str(files[1]), **nothing}, {"file": "#1", **nothing}]
    assert [(row["time"], row["arousal"], row["reason"]) for row in rows[2:]] == [(0.0, 0.0, None), (0.04, 0.0, None)]

    def silent(path):
        raise BadClip(path, "silent", silence.value.found)

    assert list(ratings(whole_seconds=0.1, rate_long=silent).predict(files[1:2])) == rows[:1]


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (np.array([0.5, np.nan]), "an output that is NaN or infinite"),
        (np.array([np.inf, 0]), "an output that is NaN or infinite"),
        (np.array([0.2, 0.3, 0.5]), r"an output of the shape \(3,\) instead of \(2,\)"),
        (np.zeros((1, 2)), r"\(1, 2\) instead of \(2,\)"),
        (np.float32(1), r"\(\) instead of \(2,\)"),
        ("features that are NaN or infinite", "features that are NaN or infinite"),
    ],
)
def test_undefined_outputs_name_their_clip_and_no_other(output, found):
    """By its length: 4,000 samples get the output."""
    bad: list[BadClip] = []
    model = classes(lambda waveform: output if len(waveform) == 4_000 else np.array([0.25, 0.75]))
    rows = list(model.predict([NOISE, NOISE[:4_000], NOISE[:7_000]], bad.append))
    assert [row["file"] for row in rows] == ["#0", "#2"]
    assert [(error.kind, str(error.path)) for error in bad] == [("undefined", "#1")]
    with pytest.raises(BadClip, match=f"#1: expected features and predictions that are finite, found .*{found}"):
        list(model.predict([NOISE, NOISE[:4_000]]))


def test_undefined_ratings_name_their_recording(files):
    for output, found in ((np.full((12, 2), np.nan), "NaN"), (np.zeros((11, 2)), r"\(11, 2\) instead of \(12, 2\)")):
        with pytest.raises(BadClip, match=found):
            list(ratings(lambda _, output=output: output).predict([NOISE]))
    with pytest.raises(BadClip, match=r"\(3, 1\) instead of \(n, 2\)"):
        list(ratings(whole_seconds=0.1, rate_long=lambda _: np.zeros((3, 1))).predict(files[:1]))


def test_tables_have_the_same_columns_for_all_rows(files):
    rows = list(classes().predict(files))
    table = "".join(map(as_csv(), rows))
    assert list(csv.reader(io.StringIO(table)))[:3] == [
        ["file", "emotion", "confidence", "abstained", "trained_on", "p_a", "p_b", "reason"],
        [str(files[0]), "b", "", "", "x", "0.25", "0.75", ""],
        [str(files[1]), "", "", "", "x", "", "", QUIET],
    ]
    assert [json.loads(as_json(row)) for row in rows] == rows
    with pytest.raises(ValueError, match="not JSON compliant"):
        as_json({"file": "a", "p": float("nan")})


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_a_recording_without_speech_counts_as_answered(files, tmp_path, kind):
    rows = list(classes().predict(files[1:2]))
    with Sheet(tmp_path / "out", kind) as sheet:
        sheet.add(Answers(rows, []))
    with Sheet(tmp_path / "out", kind, resume=True) as sheet:
        assert sheet.answered(files[1]) and not sheet.answered(files[0])


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("json", '{"file": "a", "emotion": "x", "probabilities": {"x": 1.0}, "trained_on": "y"}\n'),
        ("csv", "file,emotion,trained_on,p_x\na,x,y,1.0\n"),
        ("json", '{"file": "a", "emotion": "x", "probabilities": {"x": 1.0}, "trained_on": "y", "reason": null}\n'),
        ("csv", "file,emotion,trained_on,p_x,reason\na,x,y,1.0,\n"),
    ],
)
def test_answers_of_an_older_version_are_not_continued(tmp_path, kind, text):
    (tmp_path / "out").write_text(text)
    lacking = "confidence" if "reason" in text else "reason"
    with pytest.raises(UserError, match=rf"out: expected answers with a {lacking}, .*choose another --out"):
        Sheet(tmp_path / "out", kind, resume=True)
    assert (tmp_path / "out").read_text() == text


def live(answer, **options):
    return Live(("a", "b"), "x", 16_000, answer, 400, 960_000, **options)


def pushed(model, samples, **options):
    stream = Stream(model, **options)
    return stream.push(samples) + stream.finish()


def test_windows_of_a_stream_are_judged_as_clips_are():
    tone = np.sin(np.arange(16_000, dtype=np.float32))
    model = live(lambda window: np.array([0.25, 0.75]) if window.max() < 1.5 else np.array([np.nan, 0]))
    rows = pushed(model, np.concatenate([tone, 0 * tone, 2 * tone]), hop_seconds=1, window_seconds=1)
    assert [row["emotion"] for row in rows] == ["b", None, None]
    assert [row["reason"] for row in rows] == [None, QUIET, "undefined: an output that is NaN or infinite"]
    assert rows[1]["probabilities"] == {"a": None, "b": None}
    assert [list(row)[-1] for row in rows] == ["reason"] * 3
    with pytest.raises(UserError, match=r"expected samples about -1\.\.1"):
        Stream(model).push(101 * tone)


@pytest.mark.parametrize("cut", [48_000, 1_000])
def test_a_stream_has_ratings_from_its_first_sound_on(cut):
    """A pause later is part of the recording; blocks of 0.4 s, of which the second has the first sound."""
    samples = np.zeros(48_000, np.float32)
    samples[10_000:12_000] = 0.1 * np.sin(np.arange(2_000))
    model = live(lambda window: np.full((len(window) // 640, 2), 0.5), frame_samples=640)
    stream = Stream(model, 0.4, window_seconds=2.0, look_ahead_seconds=0.0)
    rows = [row for start in range(0, 48_000, cut) for row in stream.push(samples[start : start + cut])]
    rows += stream.finish()
    assert len(rows) == 75
    assert [row["reason"] for row in rows] == [ZEROS] * 10 + [None] * 65
    assert [row["a"] for row in rows] == [None] * 10 + [0.5] * 65


def test_undefined_ratings_of_a_stream_are_none():
    samples = np.sin(np.arange(32_000, dtype=np.float32))
    for output in (np.full((50, 2), np.nan), np.zeros((2, 2)), "no output"):
        model = live(lambda window, output=output: output, frame_samples=640)
        rows = pushed(model, samples, hop_seconds=1, window_seconds=2, look_ahead_seconds=0)
        assert [(row["a"], row["reason"]) for row in rows] == [
            (None, "undefined: an output that is NaN or infinite")
        ] * 50


@pytest.mark.parametrize(
    "rate_hz", [0, -1, 3_999, 384_001, 16_000.5, float("nan"), float("inf"), True, "16000", [16_000]]
)
def test_rates_that_no_recording_has_are_refused(rate_hz):
    with pytest.raises(UserError, match=r"rate is .*expected a whole number"):
        Stream(live(lambda window: np.array([0.25, 0.75])), rate_hz=rate_hz)


@pytest.mark.parametrize("option", ["hop_seconds", "window_seconds", "look_ahead_seconds", "level"])
@pytest.mark.parametrize("value", ["1", True, [1], (), float("nan"), {}, 0.0123, (0, "1"), (0.0, True), (0, 1, 2)])
def test_options_of_streams_that_are_no_numbers_are_refused(option, value):
    model = live(lambda window: np.zeros((len(window) // 640, 2)), frame_samples=640, standard=True)
    with pytest.raises(UserError, match="expected a"):
        Stream(model, **{option: value})


def test_a_stream_takes_lists_and_other_kinds_of_floats():
    model = live(lambda window: np.array([0.25, 0.75]))
    for samples in (NOISE.tolist(), NOISE.astype(np.float64)):
        assert pushed(model, samples, hop_seconds=0.5, window_seconds=0.5)[0]["emotion"] == "b"
    for samples in ([[0.1], [0.2, 0.3]], None, "x", {}, (NOISE * 100).astype(int)):
        with pytest.raises(UserError, match="stream: expected"):
            Stream(model).push(samples)
