"""label.py as a user runs it: labels of several raters and of a model, queues, tables, and mistakes."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from zoo.data.schema import Clip
from zoo.data.tables import table
from zoo.inference.predictor import Predictor
from zoo.learning.labelling import queue
from zoo.learning.labelling.label_file import Label, append, current, read
from zoo.utils.atomic_files import write_json

RATE_HZ = 16_000


@pytest.fixture
def clips(tmp_path) -> Path:
    """Six clips of two seconds, the n-th with an amplitude of n / 10."""
    folder = tmp_path / "clips"
    folder.mkdir()
    tone = np.sin(np.arange(2 * RATE_HZ) / 20)
    for number in range(1, 7):
        soundfile.write(folder / f"{number}.wav", number / 10 * tone, RATE_HZ)
    return folder


@pytest.fixture
def label(script):
    """Runs label.py; returns its exit code, output and errors."""
    return lambda *words: script("label.py", *words)


def add(label, clip, name, rater, *more):
    code, out, errors = label("add", "labels.csv", f"clips/{clip}.wav", name, "--rater", rater, *more)
    assert code == 0 and out == "", errors
    return errors


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_labels_are_added_shown_taken_back_and_exported(clips, label):
    for clip, name, rater in (
        ("1", "angry", "anna"),
        ("1", "angry", "ben"),
        ("2", "sad", "anna"),
        ("2", "angry", "ben"),
    ):
        assert add(label, clip, name, rater) == ""
    add(label, "2", "sad", "ben", "--confidence", "0.5")  # his last word
    add(label, "3", "sad", "anna", "--start", "0.5", "--end", "1.5", "--channel", "0")
    code, out, _ = label("show", "labels.csv")
    assert code == 0 and "6 lines" in out and "3 clips and segments" in out and "1.000" in out
    by_rater = [line.replace("│", " ").split() for line in out.splitlines() if "human" in line]
    assert by_rater == [["anna", "human", "3", "100.0", "%"], ["ben", "human", "2", "100.0", "%"]]
    assert label("retract", "labels.csv", "clips/3.wav", "--source", "human", "--rater", "anna")[0] == 0
    code, out, _ = label("export", "labels.csv")
    assert code == 0 and rows(out) == [
        {"file": "clips/1.wav", "start": "0.0", "end": "", "channel": "", "emotion": "angry", "source": "human",
         "emotion.angry": "2", "emotion.sad": "0"},
        {"file": "clips/2.wav", "start": "0.0", "end": "", "channel": "", "emotion": "sad", "source": "human",
         "emotion.angry": "0", "emotion.sad": "2"},
    ]  # fmt: skip


def test_a_tie_has_no_emotion_and_the_rater_model_decides_it(clips, label):
    for clip in "1234":
        for rater in ("anna", "ben"):
            add(label, clip, "angry" if clip in "12" else "sad", rater)
        add(label, clip, "sad" if clip in "12" else "angry", "carl")  # always wrong
    add(label, "5", "angry", "anna")
    add(label, "5", "sad", "carl")
    assert rows(label("export", "labels.csv")[1])[4]["emotion"] == ""
    by_model = rows(label("export", "labels.csv", "--by", "model")[1])[4]
    label("raters", "labels.csv", "--out", "raters.json")
    model = json.loads(Path("raters.json").read_text())
    anna, carl = (np.array(model["raters"][name]) for name in ("anna", "carl"))
    joint = np.array(model["prior"]) * anna[:, 0] * carl[:, 1]  # she says angry, he says sad
    assert by_model["emotion"] == "angry" and joint[0] > 3 * joint[1]
    assert float(by_model["emotion.confidence"]) == pytest.approx(joint[0] / joint.sum(), abs=1e-4)


def test_the_rater_model_is_printed_and_says_whom_to_ask(clips, label, tmp_path):
    labels = [
        Label(f"clips/{clip}.wav", ("angry", "sad")[clip % 2], rater) for clip in range(40) for rater in ("a", "b")
    ]
    labels += [Label(f"clips/{clip}.wav", ("sad", "angry")[(clip // 2) % 2], "noisy") for clip in range(40)]
    labels += [Label("clips/open.wav", "angry", "noisy"), Label("clips/open.wav", "sad", "b")]
    append(tmp_path / "labels.csv", labels)
    code, out, _ = label("raters", "labels.csv", "--out", "raters.json")
    assert code == 0 and "Dawid and Skene" in out
    order = [line.replace("│", " ").split()[0] for line in out.splitlines() if "for" in line and "%)" in line]
    assert order[-1] == "noisy" and set(order[:2]) == {"a", "b"}
    model = json.loads(Path("raters.json").read_text())
    assert model["classes"] == ["angry", "sad"] and np.trace(model["raters"]["a"]) > 1.8
    assert np.trace(model["raters"]["noisy"]) < 1.3
    code, out, errors = label("ask", "labels.csv", "--level", "0.999999")
    assert code == 0 and rows(out)[0] | {"bits": ""} == {
        "file": "clips/open.wav", "start": "0.0", "end": "", "channel": "", "votes": "2", "label": "sad",
        "probability": rows(out)[0]["probability"], "rater": "a", "bits": "",
    }  # fmt: skip
    assert "of 41 labelled clips need more votes" in errors
    code, out, _ = label("ask", "labels.csv", "--rule", "agreement", "--level", "2", "--clips", "5")
    assert code == 0 and [row["file"] for row in rows(out)] == ["clips/open.wav"]
    assert label("ask", "labels.csv", "--rule", "agreement", "--level", "2", "--most", "2")[1] == ""


class Loudness:
    """A model that is sure of loud clips, and is asked once for each clip."""

    def __init__(self, fail_at: int = 10**6):
        self.asked, self.fail_at = [], fail_at

    def __call__(self, place, exported) -> Predictor:
        def predict(waveforms):
            self.asked += [len(waveform) / RATE_HZ for waveform in waveforms]
            if len(self.asked) > self.fail_at:
                raise KeyboardInterrupt
            peaks = [float(np.abs(waveform).max()) for waveform in waveforms]
            return [np.array([0.5 + peak / 2, 0.5 - peak / 2], np.float32) for peak in peaks]

        return Predictor(("angry", "sad"), "ravdess", RATE_HZ, 0.1, 60.0, predict)


@pytest.fixture
def model(tmp_path, monkeypatch):
    """An export whose predictions are those of `Loudness`."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"")
    loudness = Loudness()
    monkeypatch.setattr(queue, "open_predictor", lambda *place: loudness(*place))
    monkeypatch.setattr(queue, "is_continuous", lambda *place: False)
    return loudness


NEXT = ("next", "--pool", "clips", "--model", "model")


def test_the_least_certain_clips_come_first_without_those_labelled(clips, label, model):
    add(label, "1", "sad", "anna")
    (clips / "text.wav").write_text("no audio")
    code, out, errors = label(*NEXT, "--labels", "labels.csv", "--clips", "3")
    assert code == 0 and [row["file"] for row in rows(out)] == ["clips/2.wav", "clips/3.wav", "clips/4.wav"]
    first = rows(out)[0]
    assert first | {"p_angry": "", "p_sad": ""} == {
        "rank": "1", "file": "clips/2.wav", "start": "", "end": "", "label": "angry", "confidence": first["p_angry"],
        "margin": first["margin"], "p_angry": "", "p_sad": "",
    }  # fmt: skip
    assert float(first["confidence"]) == pytest.approx(0.6, abs=1e-3)
    assert float(first["margin"]) == pytest.approx(0.2, abs=2e-3)
    assert "3 of 6 clips to label; left out: 1 labelled already, 0 without speech, 1 unusable" in errors


def test_predictions_are_kept_for_the_model_as_it_is(clips, label, model):
    label(*NEXT, "--out", "queue.csv")
    assert len(model.asked) == 6 and len(rows(Path("queue.csv").read_text())) == 6
    label(*NEXT, "--out", "queue.csv", "--strategy", "entropy")
    assert len(model.asked) == 6  # none is predicted again
    (Path("model") / "saved_model.pb").write_bytes(b"trained anew")
    label(*NEXT, "--out", "queue.csv")
    assert len(model.asked) == 12


def test_segments_are_predicted_and_left_out_as_such(clips, model, tmp_path):
    path = clips / "1.wav"
    segments = [Clip(path, f"1-{a}", "", "", start_seconds=a, end_seconds=b) for a, b in ((0.0, 0.5), (0.5, None))]
    every = [*segments, Clip(clips / "6.wav", "6", "", "")]
    found = queue.predictions(queue.Model(tmp_path / "model", True), every, tmp_path / "kept.jsonl", lambda done: None)
    assert list(found) == ["1-0.0", "1-0.5", "6"] and model.asked == [0.5, 1.5, 2.0]
    labels = [Label("clips/1.wav", "sad", "anna", start=0.5), Label("clips/6.wav", "sad", "m", "model")]
    assert queue.without_labels(every, tmp_path / "labels.csv", labels) == [every[0], every[2]]
    assert queue.labelled_clips(every, tmp_path / "labels.csv", labels) == [(every[1], "sad")]


def test_segments_of_a_table_are_a_pool(clips, label, model):
    Path("pool.csv").write_text("file,start,end\nclips/1.wav,0,0.5\nclips/1.wav,0.5,2\nclips/6.wav,,\n")
    append(Path("labels.csv"), [Label("clips/1.wav", "sad", "anna", start=0.5, end=2.0)])
    code, out, errors = label("next", "--pool", "pool.csv", "--model", "model", "--labels", "labels.csv")
    assert code == 0, errors
    assert [(Path(row["file"]).name, row["start"], row["end"]) for row in rows(out)] == [
        ("1.wav", "", "0.5"),
        ("6.wav", "", ""),
    ]


def test_a_label_file_is_a_table_to_train_on(clips, label):
    for clip, name, rater in (("1", "angry", "anna"), ("1", "angry", "ben"), ("2", "sad", "anna"), ("3", "sad", "ben")):
        add(label, clip, name, rater)
    label("retract", "labels.csv", "clips/3.wav", "--source", "human", "--rater", "ben")
    label("export", "labels.csv", "--out", "table.csv")
    for name in ("labels.csv", "table.csv"):
        found = {clip.name: (clip.label, dict(clip.votes.get("emotion", {}))) for clip in table.load(Path(name)).clips}
        assert {k: v for k, v in found.items() if v[0]} == {
            "clips/1.wav": ("angry", {"angry": 2}), "clips/2.wav": ("sad", {"sad": 1}),
        }  # fmt: skip


def test_an_interrupted_prediction_goes_on(clips, model, tmp_path, monkeypatch):
    monkeypatch.setattr(queue, "READ_AHEAD", 2)
    monkeypatch.setattr(queue, "in_turn", lambda items: (items[n : n + 2] for n in range(0, len(items), 2)))
    every, _ = queue.pool(clips)
    model.fail_at = 3
    with pytest.raises(KeyboardInterrupt):
        queue.predictions(queue.Model(tmp_path / "model", True), every, tmp_path / "kept.jsonl", lambda done: None)
    model.fail_at, model.asked = 10, []
    done: list[int] = []
    found = queue.predictions(queue.Model(tmp_path / "model", True), every, tmp_path / "kept.jsonl", done.append)
    assert len(model.asked) == 4 and done == [2, 4, 6] and len(found) == 6


def test_machine_labels_are_accepted_and_taken_back(clips, label, model):
    label(*NEXT, "--out", "queue.csv")
    add(label, "6", "sad", "anna")
    accept = ("accept", "labels.csv", "queue.csv", "--above", "0.69", "--rater", "loud")
    assert "2 labels of loud added" in label(*accept)[2]  # 4 and 5; anna has labelled 6
    assert "0 labels of loud added" in label(*accept)[2]
    found = [row for row in current(read(Path("labels.csv"))) if row.source == "model"]
    assert {(row.file, row.label, row.rater) for row in found} == {(f"clips/{n}.wav", "angry", "loud") for n in "45"}
    assert all(row.confidence >= 0.69 for row in found)
    with_machine = rows(label("export", "labels.csv", "--with-machine")[1])
    assert [row["source"] for row in with_machine] == ["human", "model", "model"]
    assert "1 labels taken back" in label("retract", "labels.csv", "--below", "0.72")[2]
    assert "1 labels taken back" in label("retract", "labels.csv", "--rater", "loud")[2]
    assert [row.rater for row in current(read(Path("labels.csv")))] == ["anna"]
    code, _, errors = label("retract", "labels.csv", "--rater", "loud")
    assert code == 2 and "found none" in errors


def test_predictions_of_predict_py_are_accepted_too(clips, label):
    row = {"file": "clips/1.wav", "emotion": "angry", "probabilities": {"angry": 0.9, "sad": 0.1}, "reason": None}
    silent = {"file": "clips/2.wav", "emotion": None, "probabilities": {"angry": None, "sad": None}, "reason": "silent"}
    Path("answers.jsonl").write_text(f"{json.dumps(row)}\n{json.dumps(silent)}\n")
    Path("answers.csv").write_text(
        "file,emotion,p_angry,p_sad,reason\nclips/3.wav,sad,0.2,0.8,\nclips/4.wav,,,,silent\n"
    )
    for name in ("answers.jsonl", "answers.csv"):
        assert "1 labels of m added" in label("accept", "labels.csv", name, "--above", "0", "--rater", "m")[2]
    assert [(row.file, row.confidence) for row in read(Path("labels.csv"))] == [
        ("clips/1.wav", 0.9),
        ("clips/3.wav", 0.8),
    ]


def test_names_that_may_be_mistakes_are_noticed(clips, label):
    add(label, "1", "angry", "anna")
    assert "'Anna' and 'anna' are counted as 2" in add(label, "2", "angry", "Anna")
    assert "label 'angri' is new; if 'angry' is meant" in add(label, "3", "angri", "ben")
    (clips / "3.wav").unlink()
    errors = label("show", "labels.csv")[2]
    assert "counted as 2" in errors and "1 files are not there, the first is clips/3.wav" in errors


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("clips/9.wav", "sad"), "clips/9.wav"),
        (("clips", "sad"), "clips: expected a readable file"),
        (("clips/1.wav", "sad", "--start", "1", "--end", "0.5"), "end: expected more than the start"),
        (("clips/1.wav", "sad", "--end", "2.5"), "expected times within its 2.00 s, found 0 s to 2.5 s"),
        (("clips/1.wav", "sad", "--start", "2"), "expected times within its 2.00 s, found 2 s to its end"),
        (("clips/1.wav", "sad", "--start", "nan"), "expected seconds from 0"),
        (("clips/1.wav", "sad", "--channel", "1"), "expected a channel from 0 to 0, found 1"),
        (("clips/1.wav", "sad", "--confidence", "80"), "confidence: expected 0 to 1"),
        (("clips/1.wav", "sd", "--classes", "angry, sad"), "unknown label 'sd'. Did you mean 'sad'?"),
        (("clips/1.wav", " "), "expected a label, found none"),
    ],
)
def test_labels_that_cannot_be_are_refused(clips, label, words, expected):
    code, _, errors = label("add", "labels.csv", *words, "--rater", "anna")
    assert code == 2 and expected in errors and errors.count("\n") == 1, errors
    assert not Path("labels.csv").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("show", "absent.csv"), "absent.csv: expected a label file, but No such file"),
        (("show", "clips"), "clips: expected a label file, found a folder"),
        (("raters", "empty.csv"), "expected labels by people, found none"),
        (("ask", "labels.csv", "--level", "2"), "--level is 2, expected a share"),
        (("retract", "labels.csv", "--source", "human"), "expected --rater NAME"),
        (("accept", "labels.csv", "labels.csv", "--above", "2", "--rater", "m"), "--above is 2"),
        (("accept", "labels.csv", "absent.csv", "--above", "1", "--rater", "m"), "absent.csv: expected predictions"),
        (("accept", "labels.csv", "clips/1.wav", "--above", "1", "--rater", "m"), "clips/1.wav: expected predictions"),
        (
            ("accept", "labels.csv", "rows.csv", "--above", "1", "--rater", "m"),
            "rows.csv, line 2: expected predictions",
        ),
        ((*NEXT, "--strategy", "sure"), "unknown strategy 'sure'"),
        ((*NEXT, "--clips", "0"), "--clips is 0"),
        ((*NEXT, "--strategy", "novelty"), "need the features of a run"),
        (("next", "--pool", "none", "--model", "model"), "none"),
        (("next", "--pool", "clips", "--model", "nothing"), "nothing"),
        (("export", "labels.csv", "--by", "model", "--with-machine"), "leave --with-machine out"),
        (("simulate", "--votes", "labels.csv", "--out", "out"), "labels.csv: expected CREMA-D's"),
    ],
)
def test_mistakes_are_one_message(clips, label, model, words, expected):
    append(Path("labels.csv"), [Label("clips/1.wav", "sad", "anna")])
    Path("empty.csv").write_text("")
    Path("rows.csv").write_text("file,emotion\nclips/1.wav,sad\n")
    code, out, errors = label(*words)
    assert code == 2 and out == "" and expected in errors and errors.count("\n") == 1, errors


def test_vectors_are_moments_of_the_runs_features(clips, tmp_path):
    from zoo.config.flags import from_flags
    from zoo.features import from_config

    settings = from_flags({"model": "attention_fcn", "corpus": "ravdess", "max_clip_seconds": 60.0})
    (tmp_path / "run").mkdir()
    write_json(tmp_path / "run" / "config.json", settings.saved())
    every, _ = queue.pool(clips)
    every = [*every[:3], Clip(every[0].path, "part", "", "", start_seconds=0.5, end_seconds=1.5)]
    found = queue.vectors(queue.Model(tmp_path / "run", False), every, lambda done: None)
    features = from_config.extractor(settings).features
    samples = [soundfile.read(clip.path, dtype="float32")[0] for clip in every]
    samples[3] = samples[3][RATE_HZ // 2 : 3 * RATE_HZ // 2]
    moments = np.array([[*f.mean(axis=0), *f.std(axis=0)] for f in map(features, samples)], np.float64)
    deviation = moments.std(axis=0)
    varied = deviation > 1e-3
    expected = (moments - moments.mean(axis=0))[:, varied] / deviation[varied]
    np.testing.assert_allclose(found[:, varied], expected, atol=1e-3)


def test_strategies_on_vectors_take_clips_unlike_those_labelled():
    every = [Clip(Path(f"{number}.wav"), str(number), "", "") for number in range(4)]
    rows = {clip.name: {"emotion": "neutral", "probabilities": {"neutral": 0.6, "sad": 0.4}} for clip in every}
    known = Clip(Path("known.wav"), "known", "", "")
    place = {"0": 0.0, "1": 0.1, "2": 9.0, "3": 0.2, "known": 0.0}
    wanted = queue.Wanted(Path(), "diversity", 2, 0, Path("labels.csv"))
    found = queue.queue(
        every, rows, wanted, [(known, "neutral")], lambda some: np.array([[place[c.name]] for c in some])
    )
    assert [row["file"] for row in found] == ["2.wav", "3.wav"]
