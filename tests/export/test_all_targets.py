"""Exports of networks with several targets: the default signature is as ever, all_targets gives every head."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tiny_runs
from predictions import predict_run
from quick_check import checked_with

from zoo.errors import UserError
from zoo.export import all_targets, model_card
from zoo.export.export import export
from zoo.export.rebuild import rebuild
from zoo.heads import make
from zoo.inference.export_predictor import of_export
from zoo.inference.stream_model import of_export as stream_of_export
from zoo.serving import graph_audit, saved_model
from zoo.serving.description import DESCRIPTION, read_description

HEADS = {"sex": ["female", "male"], "age": []}


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A run with three heads, its export with softened probabilities, and that loaded."""
    folder = tmp_path_factory.mktemp("several")
    run = tiny_runs.make(folder / "run", "fcn", "emodb", also="sex,age", heads=HEADS)
    with checked_with():
        exported = export(run, folder / "named", temperature=1.5)
    return run, exported, saved_model.load(exported)


CLIPS = [0.1 * np.random.default_rng(0).normal(size=size).astype(np.float32) for size in (4_000, 9_000)]


def test_the_default_signature_is_as_ever_and_all_targets_gives_every_head(several):
    run, folder, exported = several
    plain, every = exported.on_waveforms(CLIPS), exported.on_waveforms(CLIPS, "all_targets")
    assert exported.description["signatures"]["serving_default"]["outputs"] == {
        "probabilities": {"dtype": "float32", "shape": [None, 7]}
    }
    np.testing.assert_allclose([row[:7] for row in every], plain, atol=1e-6)
    rows = zip(of_export(exported).predict(CLIPS), predict_run(run, CLIPS), every, strict=True)
    for found, right, row in rows:
        assert found.keys() == right.keys() and found["targets"]["sex"]["prediction"] in ("female", "male")
        assert found["targets"]["age"] == pytest.approx(right["targets"]["age"], abs=1e-3)
        assert row[7:9] == pytest.approx(list(right["targets"]["sex"]["probabilities"].values()), abs=1e-4)
        assert row[9] == pytest.approx(right["targets"]["age"], abs=1e-3) and 10 < row[9] < 60
    assert len(stream_of_export(exported).answer(CLIPS[0])) == 7  # streams know the main target alone
    assert of_export(exported).heads == make(tuple(exported.outputs), HEADS)
    targets = exported.description["targets"]
    assert [target["name"] for target in targets] == ["emotion", "sex", "age"]
    assert targets[1:] == [{"name": "sex", "classes": HEADS["sex"]}, {"name": "age", "tested_range": [20.0, 40.0]}]
    graph_audit.check(folder)


def test_several_networks_are_averaged_in_every_target():
    heads = make(("a", "b"), {"age": [], "sex": ["f", "m"]})
    outputs = [tf.constant([[0.5, 0.5, 30.0, 0.2, 0.8]]), tf.constant([[0.1, 0.9, 20.0, 0.6, 0.4]])]
    found = {name: values.numpy().tolist() for name, values in all_targets.further(heads, outputs).items()}
    assert found == {"age": [25.0], "sex": [pytest.approx([0.4, 0.6])]}


def test_an_export_made_anew_keeps_its_targets(several, tmp_path):
    new = saved_model.load(rebuild(several[1], tmp_path / "new"))
    before = several[2].on_waveforms(CLIPS, "all_targets")
    np.testing.assert_allclose(new.on_waveforms(CLIPS, "all_targets"), before, rtol=1e-5, atol=1e-5)


def test_the_card_names_every_target(several):
    run, folder, _ = several
    metrics = json.loads((run / "metrics.json").read_text())
    metrics |= {"n_clips": 9, "per_speaker": {}, "per_class": {}, "leakage": [], "notes": []}
    metrics |= {"classes": ["anger"], "confusion": [[9]]}
    (run / "metrics.json").write_text(json.dumps(metrics))
    rows = [{"truth": "anger", "prediction": "anger"}]
    (run / "predictions.csv").write_text("truth,prediction\n" + ",".join(rows[0].values()) + "\n")
    card = model_card.write(folder, run).read_text()
    assert "For its further target sex it distinguishes female, male (signature `all_targets`)." in card
    assert "For its further target age it gives a number" in card
    assert "Target age, 9 clips: CCC 0.500, MAE 2.5; 3 clips without a label are left out." in card


DAMAGES = {
    "another name": (lambda text: text["targets"][1].update(name="age2"), "without the signature all_targets"),
    "a class less": (lambda text: text["targets"][1]["classes"].pop(), "in place of targets"),
    "a class more": (lambda text: text["targets"][1]["classes"].append("x"), "of other shapes"),
    "a number for classes": (lambda text: text["targets"][1].pop("classes"), "of other shapes"),
    "other main classes": (lambda text: text["targets"][0]["classes"].reverse(), "a first target of other classes"),
    "one target": (lambda text: text.update(targets=text["targets"][:1]), "in place of targets"),
    "no mapping": (lambda text: text.update(targets=["sex", "age"]), "in place of targets"),
    "no signature": (lambda text: text["signatures"].pop("all_targets"), "without the signature all_targets"),
    "no features": (lambda text: text["signatures"].pop("all_targets_features"), "the signature all_targets_features"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_description_of_other_targets_is_refused(several, tmp_path, damage):
    (tmp_path / "assets").mkdir()
    shutil.copytree(several[1] / "assets", tmp_path / "assets", dirs_exist_ok=True)
    content, (change, said) = json.loads((tmp_path / DESCRIPTION).read_text()), DAMAGES[damage]
    change(content)
    (tmp_path / DESCRIPTION).write_text(json.dumps(content))
    with pytest.raises(UserError, match=said):
        read_description(tmp_path)
