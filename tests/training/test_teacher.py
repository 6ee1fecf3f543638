"""Distillation: what teachers give for each clip, what is learnt of it, what is recorded, and who is refused."""

import csv
import json
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
import tiny_runs
from predictions import predict_run
from scipy.special import log_softmax, softmax

import zoo.training.train
from zoo.config.flags import from_flags
from zoo.data.corpora import label_maps
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError
from zoo.export import model_card
from zoo.runs import command_line
from zoo.runs.dataset import open_source, resolve
from zoo.runs.folder import read_record
from zoo.runs.protocol import protocol_of
from zoo.training import seen_before, teacher
from zoo.training.fit import fit
from zoo.training.tasks import classification
from zoo.training.train import train

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="its loss is tested on every backend")
CLASSES = {"W": "angry", "T": "sad", "N": "neutral"}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Return a table in which every fourth clip has no label, and two teachers trained on EmoDB's synthetic twin."""
    folder = tmp_path_factory.mktemp("distilled")
    root = synthesize("emodb", folder / "emodb", 70, seconds=(0.3, 0.4))
    chosen = [path for path in sorted(root.glob("wav/*.wav")) if path.stem[5] in CLASSES]
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "speaker", "emotion"])
        for number, path in enumerate(chosen):
            writer.writerow([path, path.stem[:2], "" if number % 4 == 1 else CLASSES[path.stem[5]]])
    one = tiny_runs.make(folder / "one", "fcn", "emodb", clips=70)
    two = tiny_runs.make(folder / "two", "fcn", "emodb", n_folds=2, clips=70)
    return folder, one, two


def settings(places, **changes):
    folder, one, two = places
    given = {"model": "fcn", "corpus": f"table:{folder / 'labels.csv'}", "fold": "0,1", "epochs": 1, "bands": 8}
    given |= {"batch_size": 10, "recipe": "quick", "teacher": f"{one}, {two}", "teacher_weight": 0.75}
    return from_flags({**given, "temperature": 3.0, "backend": keras.backend.backend(), **changes})


@pytest.fixture(scope="module")
def trained(places):
    seen = {}

    def watched(task, *arguments):
        seen[task.name] = task
        return fit(task, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoo.training.train, "fit", watched)
        run = train(settings(places, out=str(places[0] / "student")))
    return run, seen


def test_each_clip_is_taught_the_mean_of_the_teachers_of_its_fold(places, trained):
    """Teachers of one fold teach in all, those of several in the fold of the same number; classes by their names."""
    run, seen = trained
    _, one, two = places
    for fold in run.source.folds:
        assert {clip.name for clip in fold.train} == seen[fold.name].taught.keys()
        clips = fold.train[:3]
        paths = [clip.path for clip in clips]
        rows = zip(predict_run(one, paths), predict_run(two, paths, fold=fold.name), strict=True)
        for clip, pair in zip(clips, rows, strict=True):
            expected = []
            for row in pair:
                shares = {label_maps.WORDS.names[name]: p for name, p in row["probabilities"].items()}
                ours = np.array([shares[name] for name in run.source.protocol.classes])
                expected.append(ours / ours.sum())
            np.testing.assert_allclose(seen[fold.name].taught[clip.name], np.mean(expected, axis=0), atol=2e-5)


def test_clips_without_a_label_learn_from_the_teacher_alone(trained):
    run, seen = trained
    task = seen["0"]
    assert any(not clip.label for clip in task.clips) and all(clip.label for clip in run.source.folds[0].test)
    fitting = classification.fitting(task, run.config)
    for (_, labels, weights), (_, again, _) in zip(fitting.batches(1), fitting.batches(1), strict=True):
        labels, weights = (np.asarray(one) for one in (labels, weights))
        np.testing.assert_array_equal(labels, np.asarray(again))
        hard, soft = labels[:, :3], labels[:, 3:]
        assert set(hard.sum(axis=1)) <= {0, 1}
        np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-5)
        logits = np.random.default_rng(0).normal(size=hard.shape)
        of_labels = -(hard * log_softmax(logits, axis=1)).sum(axis=1) * weights
        of_teacher = -(soft * log_softmax(logits / 3, axis=1)).sum(axis=1) * weights
        expected = 0.25 * of_labels.sum() / max(hard.sum(), 1) + 0.75 * 9 * of_teacher.mean()
        found = fitting.loss(labels, softmax(logits, axis=1).astype("float32"), weights)
        assert float(found) == pytest.approx(expected, rel=1e-4)
    rows = {
        tuple(example.labels.round(5))
        for example in classification.auxiliary.added(
            task, classification.heads_of(run.config, task.outputs), None, run.config
        )[0]
    }
    softened = {tuple(shares) for *_, shares in [(row[:3], row[3:]) for row in rows]}
    logits = np.log(np.stack(list(task.taught.values())))
    np.testing.assert_allclose(sorted(softened), sorted(map(tuple, softmax(logits / 3, axis=1))), atol=1e-4)


def test_records_cards_and_commands_name_the_teachers(places, trained):
    run, _ = trained
    record = read_record(run.folder)
    first, second = record["teachers"][:2]
    assert (first["name"], second["name"], second["fold"], second["for_fold"]) == ("one", "two", "0-x", "0")
    assert record["teachers"][3]["fold"] == "1-x" and first["seen_speakers"]["synthetic emodb"]
    assert record["teacher_sha256"] == json.loads((run.folder / "data.json").read_text())["teacher_sha256"]
    assert len({one["sha256"] for one in record["teachers"]}) == len(list(model_card._initial(record))) >= 2
    assert "It learnt the probabilities of the run one, trained on synthetic emodb" in next(model_card._initial(record))
    words = command_line.of(resolve(run.config))
    assert words[words.index("--teacher") + 1] == "TEACHER1,TEACHER2" and "distilled" in run.title()
    # A model that begins with this one, or learns from it, has seen the teachers' clips too.
    assert seen_before.ancestors(record) == record["teachers"]


def test_a_resumed_run_keeps_its_probabilities_and_refuses_another_teacher(places, trained, monkeypatch):
    run, _ = trained
    before = (run.folder / teacher.FILE).read_bytes()
    (run.folder / "fold-1" / "metrics.json").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(teacher, "_rows", None)
        train(run.config, resume=True)
    assert (run.folder / teacher.FILE).read_bytes() == before
    model = places[1] / "fold-0-x" / "model.keras"
    content = model.read_bytes()
    try:
        shutil.copy(places[2] / "fold-1-x" / "model.keras", model)
        with pytest.raises(UserError, match="weights and probabilities of --teacher are not those this run was start"):
            train(run.config, resume=True)
    finally:
        model.write_bytes(content)


def test_a_teacher_that_knows_test_or_validation_clips_is_refused(places):
    """Fold 0 of EmoDB tests speaker 03 and validates on another, fold 1 tests 08: their models are strange to these."""
    same = {"corpus": "emodb", "synthetic": True, "clips": 70, "teacher": str(places[2])}
    for fold, allowed in (("0", True), ("1", True), ("2", False)):
        config = resolve(settings(places, fold=fold, **same))
        source = open_source(config)
        if allowed:
            found = teacher.opened(config, source)
            assert teacher.audit(found, source, {}, None, config) == []
        else:
            with pytest.raises(UserError, match="and none of the number 2"):
                teacher.opened(config, source)
    config = resolve(settings(places, fold="1", **{**same, "teacher": str(places[1])}))  # its one fold tests 03 alone
    source = open_source(config)
    with pytest.raises(UserError) as error:
        teacher.audit(teacher.opened(config, source), source, {}, None, config)
    said = str(error.value)
    assert f"--teacher {places[1]}: Fold 1-08: 1 of 1 test speakers are known to it: 08 (the model of --teacher" in said
    config = replace(config, allow_leakage=True)
    assert len(teacher.audit(teacher.opened(config, source), source, {}, None, config)) >= 1
    # What its epoch was chosen by may choose ours; what it was trained on may not.
    (fold,) = source.folds
    (seen,) = teacher.opened(config, source)[fold.name][0].seen
    swapped = replace(fold, validation=seen.trained[:1])
    known = seen_before.trained_on(seen, config)
    assert seen_before.same_speakers(known, swapped, config, "validation")[0].startswith("1 of 1 validation speakers")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"teacher": "absent"}, "absent: expected a finished run or an export, found nothing"),
        ({"teacher": "."}, "expected a finished run or an export, found a folder without one"),
        ({"teacher": "a,a"}, "--teacher a,a: expected different places, separated by commas"),
        ({"teacher": "a,"}, "--teacher a,: expected different places"),
        ({"teacher": "", "teacher_weight": 0.75}, "--teacher-weight has no effect without --teacher"),
        ({"teacher_weight": 1.5}, "--teacher-weight is 1.5, expected 0.0 to 1.0"),
        ({"temperature": 0.5}, "--temperature is 0.5, expected 1.0 to 100.0"),
        ({"model": "compare_svm", "bands": 40}, "--teacher has no effect on compare_svm"),
        ({"classes": ("angry", "sad", "furious")}, "found none of furious (it has"),
    ],
)
def test_teachers_that_cannot_teach_are_refused(places, tmp_path, changes, said, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if changes.get("model"):
        given = {"model": "compare_svm", "teacher": "a"}
    else:
        given = settings(places).saved() | changes | {"heads": {}}
    with pytest.raises(UserError) as error:
        config = resolve(from_flags(given))
        source = open_source(replace(config, classes=("angry", "neutral", "sad")))
        teacher.opened(config, replace(source, protocol=protocol_of(config)))
    assert said in str(error.value)
