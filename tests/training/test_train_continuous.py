"""Train, test and use a run of a network for ratings."""

import csv
import io
import shutil

import keras
import numpy as np
import pytest
from predictions import predict_run

import zoo.training.train
from zoo.config import flags, saved
from zoo.config.flags import from_flags
from zoo.data.audio.read import read
from zoo.data.corpora.recola import load
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError
from zoo.inference import postprocess
from zoo.runs.folder import read_record, read_rows
from zoo.training.evaluate import evaluate_run
from zoo.training.fit import fit
from zoo.training.train import train

NARROW = {"filters": [4, 6, 8], "recurrent_units": 6, "recurrent_layers": 1, "dropout": 0.0}
DIMENSIONS = ("arousal", "valence")


def settings(root, out, **changes):
    given = {"model": "conv_lstm", "corpus": "recola", "recipe": "quick", "epochs": 2, "segment_seconds": 2.0}
    given |= {"learning_rate": 1e-3, "batch_size": 6, "option": NARROW, "data_root": str(root), "out": str(out)}
    given |= {"cache_dir": f"{out}-cache", "backend": keras.backend.backend()}
    return from_flags({**given, **changes})


def weights_of(run, fold):
    return keras.saving.load_model(run / f"fold-{fold}" / "model.keras").get_weights()


def assert_same(arrays, others):
    for one, other in zip(arrays, others, strict=True):
        np.testing.assert_array_equal(one, other)


def ccc(x, y):
    """From the definition (Lin 1989), population moments."""
    covariance = np.mean((x - x.mean()) * (y - y.mean()))
    return 2 * covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)


@pytest.fixture(scope="module")
def recola(tmp_path_factory):
    return synthesize("recola", tmp_path_factory.mktemp("twin") / "RECOLA", 8, seconds=(6, 7))


@pytest.fixture(scope="module")
def trained(recola, tmp_path_factory):
    """The folder of a run, and by fold the names of the recordings it was trained and validated on."""
    seen = {}

    def watched(task, *arguments):
        seen[task.name] = ({item.name for item in task.train}, {item.name for item in task.validation})
        return fit(task, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoo.training.train, "fit", watched)
        run = train(settings(recola, tmp_path_factory.mktemp("trained") / "run", label_delay_seconds=0.2))
    return run.folder, seen


@pytest.mark.backend
def test_folder_holds_everything(trained):
    run, seen = trained
    summaries = {"metrics.json", "predictions.csv", "traces.png", "tables.tex"}
    folders = {f"fold-{name}" for name in seen}
    own = {"config.json", "data.json", "versions.json", ".lock"}
    assert {path.name for path in run.iterdir()} == {*summaries, *own, *folders}
    for name in folders:
        files = {"model.keras", "history.csv", "curves.png", "postprocess.json", "training_clips.json"}
        assert {path.name for path in (run / name).iterdir()} == {*summaries, *files}


@pytest.mark.backend
def test_figures_are_those_of_the_predictions_pooled(trained):
    run, _ = trained
    record, rows = read_record(run), [row for row in read_rows(run) if row["truth_arousal"]]
    for kind, prefix in ((record, ""), (record["postprocessed"], "postprocessed_")):
        for name in DIMENSIONS:
            truth, prediction = (
                np.array([float(row[key]) for row in rows]) for key in (f"truth_{name}", prefix + name)
            )
            assert kind["dimensions"][name]["ccc"]["value"] == pytest.approx(ccc(truth, prediction), abs=1e-9)
    assert record["n_recordings"] == len({row["clip"] for row in rows})
    assert record["n_frames"] == len(rows)


def test_every_dev_recording_is_tested_once_and_never_trained_on(trained):
    run, seen = trained
    tested = [row["clip"] for row in read_rows(run)]
    assert {name.split("_")[0] for name in tested} == {"dev"}
    for fold, (train_names, validation_names) in seen.items():
        tested_here = {row["clip"] for row in read_rows(run / f"fold-{fold}")}
        assert not tested_here & (train_names | validation_names)
        assert {name.split("_")[0] for name in train_names} == {"train"}
    clips = [(row["clip"], row["time"]) for row in read_rows(run)]
    assert len(clips) == len(set(clips))


def test_a_delay_moves_predictions_and_not_the_truth(trained, recola):
    run, seen = trained
    (clip,) = [clip for clip in load(recola).clips if clip.name == "dev_1"]
    fold = next(name for name in seen if "dev_1" in {row["clip"] for row in read_rows(run / f"fold-{name}")})
    rows = [row for row in read_rows(run / f"fold-{fold}") if row["clip"] == "dev_1"]
    truth = np.array([float(row["truth_arousal"]) for row in rows])
    np.testing.assert_allclose(truth, clip.trace.values[: len(rows), 0], atol=1e-6)
    model = keras.saving.load_model(run / f"fold-{fold}" / "model.keras")
    waveform = read(clip.path)
    counts = np.array([len(waveform)], np.int32)
    network = np.asarray(model.predict_on_batch({"waveform": waveform[None], "n_samples": counts}))[0, :, 0]
    predicted = np.array([float(row["arousal"]) for row in rows])
    np.testing.assert_allclose(predicted[5:], network[:-5], atol=2e-6)  # 0.2 s
    np.testing.assert_allclose(predicted[:5], network[0], atol=2e-6)


@pytest.mark.backend
def test_evaluating_again_gives_the_same_figures(trained, recola):
    summary, changed = evaluate_run(trained[0], str(recola))
    assert changed == []
    assert summary["ccc"] == read_record(trained[0])["ccc"]


def test_a_changed_model_is_noticed(trained, recola, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained[0], run)
    folders = sorted(run.glob("fold-*"))
    model = keras.saving.load_model(folders[0] / "model.keras")
    model.set_weights([0.9 * weight for weight in model.get_weights()])
    model.save(folders[0] / "model.keras")
    assert any(line.startswith("ccc") for line in evaluate_run(run, str(recola))[1])


def test_predictions_are_the_folds_mean_a_row_per_frame(trained, recola):
    run, seen = trained
    path = recola / "recordings_audio" / "dev_1.wav"
    rows = list(predict_run(run, [path]))
    assert [row["time"] for row in rows[:3]] == [0.0, 0.04, 0.08] and rows[0]["trained_on"] == "synthetic recola"
    by_fold = [list(predict_run(run, [path], fold=name.split("-")[0])) for name in seen]
    for name in DIMENSIONS:
        expected = np.mean([[row[name] for row in fold] for fold in by_fold], axis=0)
        np.testing.assert_allclose([row[name] for row in rows], expected, atol=2e-6)
    tested = {row["clip"]: fold for fold in seen for row in read_rows(run / f"fold-{fold}")}
    fold = tested["dev_1"]
    again = list(predict_run(run, [path], fold=fold.split("-")[0], postprocessed=True))
    recorded = [row for row in read_rows(run / f"fold-{fold}") if row["clip"] == "dev_1"]
    for name in DIMENSIONS:
        np.testing.assert_allclose(
            [row[name] for row in again], [float(row[f"postprocessed_{name}"]) for row in recorded], atol=2e-6
        )


def test_predict_writes_csv(script, trained, recola):
    code, out, _ = script("predict.py", trained[0], recola / "recordings_audio" / "dev_1.wav", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0 and list(rows[0]) == ["file", "time", "arousal", "valence", "trained_on", "reason"]
    assert len(rows) == len([row for row in read_rows(trained[0]) if row["clip"] == "dev_1"])


def test_test_labels_do_not_reach_post_processing_or_weights(recola, trained, tmp_path):
    """Negates the ratings of the test recordings of fold 0: its model and post-processing stay as they are."""
    run, seen = trained
    fold = min(seen)
    tested = {row["clip"] for row in read_rows(run / f"fold-{fold}")}
    root = tmp_path / "RECOLA"
    shutil.copytree(recola, root)
    for path in root.glob("ratings_gold_standard/*/*.arff"):
        if path.stem in tested:
            head, _, data = path.read_text().partition("@data\n")
            lines = [line.rsplit(",", 1) for line in data.splitlines() if line]
            path.write_text(head + "@data\n" + "".join(f"{left},{-float(value)}\n" for left, value in lines))
    other = train(settings(root, tmp_path / "run", label_delay_seconds=0.2, fold=fold.split("-")[0])).folder
    assert postprocess.load(other / f"fold-{fold}" / "postprocess.json") == postprocess.load(
        run / f"fold-{fold}" / "postprocess.json"
    )
    assert_same(weights_of(run, fold), weights_of(other, fold))
    assert read_record(other)["ccc"] != read_record(run / f"fold-{fold}")["ccc"]


def test_selection_on_the_test_recordings_is_recorded(recola, tmp_path):
    run = train(settings(recola, tmp_path / "run", protocol="avec-2016", epochs=1))
    (finding,) = read_record(run.folder)["leakage"]
    assert "dev" in finding or "chosen" in finding
    assert "chosen on the recordings it is tested on" in run.title()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_delay_seconds": -0.05}, r"--label-delay-seconds is -0.05, expected a multiple .* Try -0.04"),
        ({"label_delay_seconds": 0.02}, r"--label-delay-seconds is 0.02, expected a multiple .* Try 0.04"),
        (
            {"label_delay_seconds": -2.0, "segment_seconds": 2.0},
            "training sees all of a segment of 2 s before it rates",
        ),
        ({"segment_seconds": 2.01}, r"--segment-seconds is 2.01, expected a multiple of a frame's 0.04 s. Try 2"),
        ({"segment_seconds": 8.0}, r"train_1 is .* s long, expected at least a segment of 8 s"),
        ({"model": "conv_bigru", "label_delay_seconds": -0.2, "option": {}}, "conv_bigru looks at segments as wholes"),
        ({"corpus": "emodb", "data_root": "", "synthetic": True}, "emodb-speakers has classes"),
        ({"model": "lstm_drnn", "perturb": "voice", "option": {}}, "--perturb voice is for waveforms"),
    ],
)
def test_settings_that_cannot_work_are_refused(recola, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        train(settings(recola, tmp_path / "run", **changes))


def test_classes_from_a_rated_corpus_are_refused(recola, tmp_path):
    given = from_flags({"model": "fcn", "corpus": "recola", "data_root": str(recola), "out": str(tmp_path / "run")})
    with pytest.raises(UserError, match="--model fcn predicts classes of emotion, and recola-nested has none"):
        train(given)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"bands": 30}, "--bands has no effect on conv_lstm; it belongs to the front-end of log-mel networks"),
        ({"class_weights": "none"}, "--class-weights has no effect on conv_lstm"),
        ({"loss": "mse"}, "unknown --loss 'mse'.*Known: ccc, ccc_sum, pearson, sse"),
        ({"model": "fcn", "corpus": "emodb", "segment_seconds": 4.0}, "--segment-seconds has no effect on fcn"),
        ({"momentum": 0.5, "optimizer": "adam"}, "--momentum 0.5 has no effect with --optimizer adam"),
        ({"momentum": 0.5, "optimizer": "adagrad"}, "--momentum 0.5 has no effect with --optimizer adagrad"),
        ({"record_accuracy": True}, "--record-accuracy has no effect on conv_lstm; it belongs to the training of emo"),
        ({"decay": 0.5, "schedule": "cosine"}, "--decay 0.5 has no effect with --schedule cosine"),
    ],
)
def test_flags_of_another_task_are_refused(words, message):
    with pytest.raises(UserError, match=message):
        from_flags({"model": "conv_lstm", "corpus": "recola", **words})


def test_another_optimizer_or_schedule_leaves_the_values_of_the_recipes_out():
    given = from_flags({"model": "conv_bigru", "corpus": "recola", "optimizer": "adam", "schedule": "cosine"})
    assert given.momentum == 0 and from_flags({"model": "conv_lstm", "corpus": "recola"}).momentum == 0.1


def test_a_run_is_resumed_from_its_own_configuration(trained):
    """As `train.py --out RUN --resume` does."""
    resumed = flags.resume({"out": str(trained[0])})
    assert saved.differences(saved.load(trained[0] / "config.json"), zoo.training.train.resolve(resumed)) == []


def test_longest_recordings_can_be_limited(trained, recola):
    path = recola / "recordings_audio" / "dev_1.wav"
    for limit, message in ((3.0, "the most is 3 s"), (0.0, "expected a finite number above 0")):
        with pytest.raises(UserError, match=message):
            list(predict_run(trained[0], [path], max_seconds=limit))


def test_resumed_it_ends_with_the_same_weights(recola, trained, tmp_path, monkeypatch):
    given = settings(recola, tmp_path / "run", label_delay_seconds=0.2, fold="0")
    fold = min(trained[1])
    plain = zoo.training.fit.checkpoint.save

    def dies(folder, model, history, best):
        plain(folder, model, history, best)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(zoo.training.fit.checkpoint, "save", dies)
        with pytest.raises(KeyboardInterrupt):
            train(given)
    run = train(given, resume=True).folder
    assert_same(weights_of(run, fold), weights_of(trained[0], fold))
