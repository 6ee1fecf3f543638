"""Any model on any labelled data: by hand with a made predictor, and by the command on tables and corpora."""

import csv
import json

import numpy as np
import pytest
import soundfile
import tiny_runs

from zoo.config.flags import from_flags
from zoo.data import clip_hashes
from zoo.data.audio.scan import audio_sha256
from zoo.data.corpora import label_maps, registry
from zoo.data.schema import Clip, Trace
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError
from zoo.inference.predictor import Predictor
from zoo.metrics import regression
from zoo.runs import labelled, training_clips
from zoo.runs.labelled import Part
from zoo.runs.open_run import open_run
from zoo.studies import any_data, known_clips
from zoo.studies.known_clips import Known

RATE_HZ = 16_000
CLASSES = ("angry", "sad")


def tone(frequency_hz, seconds=0.2, number=0):
    """A tone of its own for each number: the hash tells them apart."""
    return (0.2 + 0.001 * number) * np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)


def by_pitch(waveforms):
    """Probabilities of a predictor that takes high tones for anger."""
    crossings = [np.mean(np.diff(np.sign(waveform)) != 0) for waveform in waveforms]
    return [np.array([0.9, 0.1] if rate > 0.04 else [0.2, 0.8]) for rate in crossings]


PREDICTOR = Predictor(CLASSES, "mine", RATE_HZ, 0.025, 60.0, by_pitch)


@pytest.fixture
def clips(tmp_path):
    """Six tones of two speakers, one of them a low one that is called Anger, a boring one and silence."""
    rows = [("Anger", 600), ("Anger", 150), ("sad", 150), ("Anger", 700), ("sad", 170), ("sad", 180)]
    rows += [("boredom", 600), ("sad", 0)]
    made = []
    for number, (label, frequency_hz) in enumerate(rows):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, tone(frequency_hz, number=number), RATE_HZ)
        made.append(Clip(path, path.name, "ab"[number % 2], label))
    return made


def part(clips, name="theirs"):
    return Part("table:t.csv", tuple(clips), {"corpus": name, "synthetic": False}, clips[0].path.parent)


def known(*numbers, validation=()):
    """What a model says that was trained on tones of these numbers, low ones."""
    train, chosen = ([hash_of(one) for one in some] for some in (numbers, validation))
    return Known(clip_hashes.of(train, chosen, RATE_HZ), {}, ("audio",), "said")


def hash_of(clip):
    return audio_sha256(soundfile.read(clip.path, dtype="float32")[0])


def score(clips, known, predictor=PREDICTOR, **options):
    one = part(clips)
    labels = {one.name: label_maps.to_classes(one.kind, (clip.label for clip in clips), predictor.outputs)}
    return any_data.score(predictor, [one], labels, known, **options)


def test_figures_by_hand_apart_from_clips_of_training(clips):
    """The fifth is of training and the sixth of validation; of the others, a has all 2 right and b 1 of 2."""
    found, rows = score(clips, known(clips[4], validation=[clips[5]]))
    names = ("all", "not_trained_on", "validation", "training", "no_class", "no_answer")
    assert found["clips"] == dict(zip(names, (8, 4, 1, 1, 1, 1), strict=True))
    unseen = found["not_trained_on"]
    assert unseen["confusion"] == [[2, 1], [0, 1]] and unseen["wa"]["value"] == 3 / 4
    assert unseen["ua"]["value"] == pytest.approx((2 / 3 + 1) / 2)
    assert {name: row["wa"] for name, row in unseen["per_speaker"].items()} == {"a": 1, "b": 1 / 2}
    anger = unseen["per_class"]["angry"]  # a has 1 of 1, b 1 of 2: resamples give 1/2, 2/3 and 1
    assert (anger["recall_low"], anger["recall_high"]) == (1 / 2, 1)
    assert found["labels_without_class"] == {"bored": 1} and found["same_speakers"] == 4
    assert found["training"]["wa"]["value"] == found["validation"]["wa"]["value"] == 1
    groups = [row["group"] for row in rows]
    assert groups == ["not_trained_on"] * 4 + ["training", "validation", "no_class", "no_answer"]
    assert (rows[0]["label"], rows[0]["truth"], rows[7]["prediction"]) == ("Anger", "angry", "")
    json.dumps(found, allow_nan=False)


def test_all_clips_of_training_leave_no_test_figures(clips):
    found, _ = score(clips[:3], known(*clips[:3]))
    assert found["not_trained_on"] is None and found["training"]["n_clips"] == 3


def test_clips_that_cannot_be_used_are_refused_or_counted(clips):
    clips[1].path.write_bytes(b"no audio")
    with pytest.raises(UserError, match=r"1\.wav.*--on-bad-clip skip"):
        score(clips, known())
    found, rows = score(clips, known(), on_bad_clip="skip")
    assert [bad["clip"] for bad in found["bad_clips"]] == ["1.wav"] and len(rows) == 7


def test_labels_meet_classes(tmp_path):
    path = tmp_path / "map.csv"
    path.write_text("label,class\nW,anger\nT,\n")
    assert label_maps.to_classes("emodb", ["W", "T", "x"], ["angry", "sad"], path) == {"T": "", "W": "angry", "x": "x"}
    assert label_maps.to_classes("iemocap", ["exc", "xxx"], ["happiness"]) == {"exc": "happiness", "xxx": ""}
    assert label_maps.to_classes("table:a", ["fine"], ["fine", "stressed"]) == {"fine": "fine"}


def test_no_label_of_a_class_is_an_error(clips):
    with pytest.raises(UserError, match=r"expected some of the model's classes, angry, sad, found the labels boredom"):
        score([clips[6]], known())


def test_ratings_are_scored_at_their_times(tmp_path, rng):
    """Against CCC from its definition; valence has no rating, dominance no output."""
    truth = rng.normal(0, 0.3, (2, 25)).astype(np.float32)
    found = (truth + rng.normal(0.1, 0.2, truth.shape)).astype(np.float32)
    clips = []
    for number, values in enumerate(truth):
        soundfile.write(tmp_path / f"{number}.wav", tone(200, 1.0, number), RATE_HZ)
        trace = Trace(("dominance", "arousal"), np.stack([values * 0, values], axis=1), 0.04)
        clips.append(Clip(tmp_path / f"{number}.wav", f"{number}", f"s{number}", "", trace=trace))
    outputs = iter(np.stack([one, one * 0], axis=1) for one in found)
    predictor = Predictor(("arousal", "valence"), "mine", RATE_HZ, 0.04, 60.0, lambda rows: [next(outputs)], 0.04)
    results, rows = any_data.score(predictor, [part(clips)], {}, known(clips[1]))
    figures = {name: results[name]["dimensions"]["arousal"]["ccc"]["value"] for name in ("not_trained_on", "training")}
    expected = [float(regression.ccc(*pair)) for pair in zip(truth, found, strict=True)]
    assert list(figures.values()) == pytest.approx(expected, abs=1e-5) and len(rows) == 50
    assert list(results["not_trained_on"]["dimensions"]) == ["arousal"]
    with pytest.raises(UserError, match="expected labels, as the model predicts angry, sad, found ratings"):
        any_data.score(PREDICTOR, [part(clips)], {}, known())


@pytest.fixture(scope="module")
def emodb(tmp_path_factory):
    return synthesize("emodb", tmp_path_factory.mktemp("twin") / "emodb", 70, seed=0, seconds=(0.3, 0.4))


@pytest.fixture(scope="module")
def run(emodb, tmp_path_factory):
    """An untrained run on the twin whose fold 0 tests a speaker; it holds no hashes, as those of earlier versions."""
    folder = tmp_path_factory.mktemp("run") / "run"
    return tiny_runs.make(folder, "fcn", "emodb", names=["0-03"], synthetic=False, data_root=str(emodb))


def parts_of(**words):
    return labelled.load(from_flags(words))


def test_a_run_without_hashes_knows_its_clips_by_name(run, emodb):
    parts = parts_of(corpus="emodb", data_root=str(emodb))
    found = known_clips.of_run(open_run(run), parts)
    sides = {clip.name: found.side_of(parts[0].name, clip.name, "0" * 64) for clip in parts[0].clips}
    assert found.checked_by == ("names",) and set(sides.values()) == {"train", "validation", ""}
    tested = {clip.speaker for clip in parts[0].clips if not sides[clip.name]}
    assert len(tested) == 1 and not any(sides[clip.name] for clip in parts[0].clips if clip.speaker in tested)
    description = {"model": "fcn", "trained_on": "ravdess", "protocol": "ravdess-actors v1", "folds": ["0-x"]}
    assert known_clips.of_export(description, parts).checked_by == ("corpus",)
    table = [part(parts[0].clips)]
    assert known_clips.of_export(description, table).checked_by == ()
    assert "cannot be checked" in known_clips.of_export(description, table).said


def test_hashes_of_folds_are_kept_and_read(run, tmp_path, emodb):
    clips = parts_of(corpus="emodb", data_root=str(emodb))[0].clips
    made = clip_hashes.of(["a" * 64, "b" * 64], ["c" * 64], RATE_HZ)
    assert [made.side_of(digit * 64) for digit in "abcd"] == ["train", "train", "validation", ""]
    assert clip_hashes.from_content(json.loads(json.dumps(made.content()))) == made
    assert len(made.content()["train"]) == 24  # two hashes of 8 bytes in base64
    for wrong in ({}, {"rate_hz": 0, "train": "", "validation": ""}, {"rate_hz": 1, "train": "AAA=", "validation": ""}):
        with pytest.raises(ValueError, match="hashes of clips: expected"):
            clip_hashes.from_content(wrong)
    (tmp_path / training_clips.FILE).write_text('{"rate_hz": 1, "train": "?", "validation": ""}')
    with pytest.raises(UserError, match=r"training_clips.json: hashes of clips.*Restore it"):
        training_clips.of_folds([tmp_path])
    assert training_clips.of_folds([tmp_path / "older"]) is None and clips


def test_the_command_marks_clips_of_training_in_a_table(script, run, emodb, tmp_path):
    """A copy of a training clip has another name there; its audio is the same."""
    clips = registry.load("emodb", emodb).clips[:6]
    rows = [("file", "speaker", "emotion"), *((clip.path, clip.speaker, clip.label) for clip in clips)]
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    (folder,) = run.glob("fold-*")
    kept = folder / training_clips.FILE
    kept.write_text(json.dumps(clip_hashes.of([hash_of(clips[0])], [], RATE_HZ).content()))
    words = (run, "--corpus", "table", "--data-root", tmp_path / "labels.csv", "--out", tmp_path / "out")
    try:
        code, said, error = script("evaluate.py", *words)
    finally:
        kept.unlink()
    results = json.loads((tmp_path / "out/metrics.json").read_text())
    assert code == 0, error
    assert "recognised by their audio" in said and said.index("not trained on") < said.index("CLIPS IT WAS TRAINED ON")
    assert (results["clips"]["training"], results["clips"]["not_trained_on"]) == (1, 5)
    with (tmp_path / "out/predictions.csv").open() as file:
        assert [row["group"] for row in csv.DictReader(file)].count("training") == 1
    assert (tmp_path / "out/confusion.png").is_file()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--corpus", "emodbb"], "unknown corpus 'emodbb'. Did you mean 'emodb'?"),
        (["--corpus", "emodb", "--postprocess"], "leave out --corpus or that"),
        (["--corpus", "emodb", "--runtime", "onnx"], "--runtime is for exports"),
        (["--corpus", "table"], "expected a table of recordings, found none"),
        (["--label-map", "map.csv", "--out", "x"], "--label-map, --out: for other data, which --corpus names"),
    ],
)
def test_wrong_words_are_refused(script, run, words, found):
    code, _, error = script("evaluate.py", run, *words)
    assert code == 2 and found in error and "Traceback" not in error


def test_an_export_needs_a_corpus(script):
    code, _, error = script("evaluate.py", "attention_blstm_fcn-ravdess")
    assert code == 2 and "is an export, which does not say where its corpus lies; name data by --corpus" in error
