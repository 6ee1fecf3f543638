"""Train one network on several targets of a table whose labels are partly missing, the main one's too."""

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import audmetric
import keras
import numpy as np
import pytest
import sklearn.metrics
from predictions import predict_run

import zoo.training.train
from zoo.config.flags import from_flags
from zoo.data.schema import Clip
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError
from zoo.heads import make
from zoo.inference.predictions_file import as_csv
from zoo.inference.predictor import Predictor, further_targets
from zoo.runs.folder import read_record, read_rows
from zoo.training.evaluate import evaluate_run
from zoo.training.fit import fit
from zoo.training.several_targets import labels_of
from zoo.training.train import train

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="its loss is tested on every backend")
CLASSES = {"W": "angry", "T": "sad", "N": "neutral"}
SEX = {"03": "m", "08": "f", "09": "f", "10": "m", "11": "m", "12": "m", "13": "f", "14": "f", "15": "m", "16": "f"}


def table(folder, rows, name="labels.csv"):
    with (folder / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / name


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A table's rows of synthetic clips: three emotions, sex and age, of which some are missing in turn."""
    root = synthesize("emodb", tmp_path_factory.mktemp("twin") / "emodb", 70, seconds=(0.3, 0.4))
    chosen = [path for path in sorted(root.glob("wav/*.wav")) if path.stem[5] in CLASSES]
    found = []
    for number, path in enumerate(chosen):
        speaker = path.stem[:2]
        labels = {"emotion": CLASSES[path.stem[5]], "sex": SEX[speaker], "age": 20 + int(speaker) + number % 2}
        for missing in (("emotion",) * (number % 5 == 0), ("sex",) * (number % 3 == 1), ("age",) * (number % 4 == 2)):
            labels |= dict.fromkeys(missing, "")
        found.append({"file": str(path), "speaker": speaker, **labels})
    return found


def settings(path, out, **changes):
    given = {"model": "fcn", "corpus": f"table:{path}", "fold": "0,1", "epochs": 2, "bands": 8, "batch_size": 10}
    given |= {"option": {"hidden_units": 8}, "crop_seconds": 0.2, "mixup": 0.3, "label_smoothing": 0.1}
    given |= {"also": "sex,age", "target_weights": "sex=0.3", "out": str(out), "cache_dir": f"{out}-cache"}
    return from_flags({**given, **changes})


@pytest.fixture(scope="module")
def trained(rows, tmp_path_factory):
    """The folder of a run of two folds, and the examples that each fold was trained and validated on."""
    folder, seen = tmp_path_factory.mktemp("trained"), {}

    def watched(task, *arguments):
        seen[task.name] = task
        return fit(task, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoo.training.train, "fit", watched)
        run = train(settings(table(folder, rows), folder / "run"))
    return run, seen


def test_clips_without_the_main_target_teach_the_others_and_are_not_tested(trained, rows):
    run, seen = trained
    labelled = {row["file"] for row in rows if row["emotion"]}
    for fold in run.source.folds:
        lacking = [example for example in seen[fold.name].train if example.label < 0]
        assert lacking and all(not example.labels[:3].any() and example.labels[3:].any() for example in lacking)
        assert {example.label for example in seen[fold.name].validation} <= {0, 1, 2}
        assert {str(clip.path) for clip in fold.test} <= labelled
        held_out = {clip.speaker for clip in (*fold.test, *fold.validation)}
        assert held_out.isdisjoint(clip.speaker for clip in fold.train)
    said = read_record(run.folder)["warnings"]
    assert any("lack the main target; they are trained on, never tested" in sentence for sentence in said)
    assert any(sentence.startswith("sex is missing for ") for sentence in said)


def test_figures_are_those_of_peers_over_all_labelled_test_clips(trained):
    run, _ = trained
    record, found = read_record(run.folder), read_rows(run.folder)
    assert record["targets"].keys() == {"sex", "age"} and record["n_clips"] == len(found)
    sex, age = ([row for row in found if row[f"{name}_truth"] != ""] for name in ("sex", "age"))
    pair = [row["sex_truth"] for row in sex], [row["sex_prediction"] for row in sex]
    assert record["targets"]["sex"]["ua"]["value"] == pytest.approx(sklearn.metrics.balanced_accuracy_score(*pair))
    assert record["targets"]["sex"]["unlabelled"] == len(found) - len(sex) > 0
    pair = [np.array([float(row[f"age_{what}"]) for row in age]) for what in ("truth", "prediction")]
    figures = record["targets"]["age"]
    assert figures["ccc"]["value"] == pytest.approx(audmetric.concordance_cc(*pair), abs=1e-4)
    assert figures["mae"] == pytest.approx(np.abs(pair[0] - pair[1]).mean(), abs=1e-4)
    assert figures["kind"] == "numbers" and figures["n_speakers"] == len({row["speaker"] for row in age})
    assert figures["ccc"]["low"] <= figures["ccc"]["value"] <= figures["ccc"]["high"]
    for row in found:
        shares = [float(row[f"sex_p_{name}"]) for name in "fm"]
        assert sum(shares) == pytest.approx(1, abs=1e-5) and row["sex_prediction"] == "fm"[int(np.argmax(shares))]
    with (run.folder / "fold-0" / "history.csv").open() as file:
        epoch = next(csv.DictReader(file))
    assert {"validation_ua", "validation_ua_sex", "validation_ccc_age"} <= epoch.keys()


def test_evaluating_and_predicting_again_give_the_same(trained, rows, capsys):
    run, _ = trained
    summary, changed = evaluate_run(run.folder)
    assert changed == [] and summary["targets"] == read_record(run.folder)["targets"]
    tested = read_rows(run.folder / "fold-0")[0]
    path = next(row["file"] for row in rows if row["file"].endswith(Path(tested["clip"]).name))
    (row,) = predict_run(run.folder, [path], fold="0")
    columns = ["file", "emotion", "probabilities", "confidence", "abstained", "targets", "trained_on", "reason"]
    assert list(row) == columns
    assert row["targets"]["sex"]["prediction"] == tested["sex_prediction"]
    assert row["targets"]["age"] == pytest.approx(float(tested["age_prediction"]), abs=1e-3)
    header, line = as_csv()(row).splitlines()
    of_sex = "target_sex,target_sex_p_f,target_sex_p_m"
    columns = f"file,emotion,confidence,abstained,trained_on,p_angry,p_neutral,p_sad,{of_sex},target_age,reason"
    assert header == columns and line.count(",") == columns.count(",")
    zoo.training.train.tasks.of("fcn").report.print_metrics(summary, "title")
    shown = capsys.readouterr().out
    assert "target sex" in shown and "target age" in shown and "clips without a label are left out" in shown


def test_confidence_is_that_of_the_main_target(rng):
    judged, output = [], np.array([0.6, 0.4, 0.3, 0.7])
    facts = ("angry", "sad"), "x", 16_000, 0.1, 60.0, lambda waveforms: [output]
    found = {"confidence": 0.5, "abstained": False}
    heads = make(("angry", "sad"), {"sex": ["f", "m"]})
    predictor = Predictor(*facts, heads=heads, judge=lambda shares, waveform: judged.append(shares.tolist()) or found)
    (row,) = predictor.predict([rng.uniform(-0.5, 0.5, 16_000)])
    assert judged == [[0.6, 0.4]] and row["confidence"] == 0.5 and row["targets"]["sex"]["prediction"] == "m"


def test_shares_of_raters_are_the_main_targets_label_beside_the_others():
    heads, clip = make(("angry", "sad"), {"sex": ["f", "m"]}), Clip(Path("x"), "x", "s", "sad", targets={"sex": "m"})
    assert labels_of(clip, heads).tolist() == [0, 1, 0, 1]
    assert labels_of(clip, heads, np.array([0.75, 0.25])).tolist() == [0.75, 0.25, 0, 1]
    assert labels_of(clip, heads[:1], np.array([0.75, 0.25])).tolist() == [0.75, 0.25]
    assert labels_of(clip, heads[:1]) is None


def test_a_recording_without_speech_has_no_answer_for_any_target():
    heads = make(("angry", "sad"), {"sex": ["f", "m"], "age": []})
    nothing = {"sex": {"prediction": None, "probabilities": {"f": None, "m": None}}, "age": None}
    assert further_targets(heads, None) == {"targets": nothing} and further_targets(heads[:1], None) == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"also": "sex"}, "also was 'sex,age', now 'sex'"), ({"target_weights": ""}, "target_weights was 'sex=0.3'")],
)
def test_resuming_with_other_targets_is_refused(trained, changes, said):
    run, _ = trained
    with pytest.raises(UserError, match=said):
        train(replace(run.config, heads={}, **changes), resume=True)


def test_resuming_on_other_labels_of_a_target_is_refused(trained, rows, tmp_path):
    run, _ = trained
    changed = [{**row, "age": 33} if number == 3 else row for number, row in enumerate(rows)]
    before = Path(run.config.data_root)
    text = before.read_bytes()
    try:
        table(before.parent, changed)
        with pytest.raises(UserError, match="the further targets are not those this run was started on"):
            train(run.config, resume=True)
    finally:
        before.write_bytes(text)


REFUSED = {
    "no clip has it": (["--also", "mood"], "none of 24 clips has it"),
    "one class": (["--also", "one"], "found 'x' alone among"),
    "text among numbers": (["--also", "odd"], "and 'inf'; correct these"),
    "constant": (["--also", "constant"], "CCC is undefined where all numbers are one"),
    "unknown weight": (["--also", "sex", "--target-weights", "sax=1"], "unknown target in --target-weights 'sax'"),
    "negative weight": (["--also", "sex", "--target-weights", "sex=-1"], "expected a number of 0 to 1000"),
    "weights alone": (["--target-weights", "emotion=1"], "--target-weights has no effect without --also"),
    "loss alone": (["--number-loss", "mse"], "--number-loss has no effect without --also"),
    "main target": (["--also", "emotion"], "emotion is the main target already"),
    "linear": (["--model", "compare_svm", "--also", "sex"], "--also has no effect on compare_svm"),
    "ratings": (["--model", "conv_lstm", "--also", "sex"], "--also has no effect on conv_lstm"),
    "no main label": (["--target", "none", "--also", "sex"], "expected labels to train on in a column 'none'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_targets_that_cannot_be_learnt_are_refused(script, rows, tmp_path, case):
    words, said = REFUSED[case]
    added = [
        {**row, "one": "x" * (number % 2), "odd": "inf" if number == 4 else number, "constant": 5, "none": ""}
        for number, row in enumerate(rows)
    ]
    flags = [] if "--model" in words else ["--model", "fcn"]
    path = table(tmp_path, added)
    code, _, error = script("train.py", *flags, "--corpus", f"table:{path}", *words, "--out", tmp_path / "run")
    assert code == 2 and said in " ".join(error.split()), error
    assert not (tmp_path / "run").exists()


def test_a_main_target_without_clips_on_a_side_is_refused(script, rows, tmp_path):
    """The only labels of neutral are those of one speaker, who is tested or validates in some fold."""
    (kept, *_) = (row["file"] for row in rows if row["emotion"] == "neutral")
    only = [{**row, "emotion": ""} if row["emotion"] == "neutral" and row["file"] != kept else row for row in rows]
    assert Counter(row["emotion"] for row in only)["neutral"] == 1
    path = table(tmp_path, only)
    code, _, error = script("train.py", "--model", "fcn", "--corpus", f"table:{path}", "--also", "sex")
    assert code == 2 and "found none of neutral" in error
