"""An export made anew answers as before, and refuses what this version refuses; old graphs are made by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tiny_runs

from zoo.data.batches.by_length import padded
from zoo.errors import UserError
from zoo.export import export, signatures
from zoo.export.rebuild import rebuild
from zoo.export.requests import wav
from zoo.serving import saved_model
from zoo.serving.description import DESCRIPTION, ONNX_PATH


@pytest.fixture
def old(tmp_path, monkeypatch):
    """An export whose graph checks nothing about levels, as those before it was a rule, with a card."""
    monkeypatch.setattr(signatures, "QUIETEST", 1e-30)
    folder = export.export(tiny_runs.make(tmp_path / "run", "fcn", "ravdess"), tmp_path / "old")
    digest = json.loads((folder / DESCRIPTION).read_text())["files"]["saved_model.pb"]
    (tmp_path / "old" / "model_card.md").write_text(f"`fcn`, version 1.\n- `{digest}` saved_model.pb\n")
    monkeypatch.undo()
    return folder


def test_an_export_made_anew_answers_as_before_and_refuses_silence(old, tmp_path, rng):
    new = rebuild(old.parent, tmp_path / "new", version=3, with_onnx=True, with_keras=True)
    before, after = saved_model.load(old), saved_model.load(new)
    clips = [0.1 * rng.normal(size=size).astype(np.float32) for size in (4_000, 9_000)]
    quiet = 1e-4 * rng.normal(size=4_000)
    np.testing.assert_allclose(after.on_waveforms(clips), before.on_waveforms(clips), atol=1e-6)
    assert len(before.on_wav_bytes([wav(quiet, 16_000)])) == 1
    with pytest.raises(tf.errors.InvalidArgumentError, match="silent"):
        after.on_wav_bytes([wav(quiet, 16_000)])
    assert saved_model.load(new, "onnx").forms
    by_onnx = saved_model.load(new, "onnx")
    assert after.description["onnx"] == ["serving_default", "embedding"]
    found, expected = (one.embed(*padded(clips)) for one in (by_onnx, before))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    facts = ("files", "signatures", "onnx", "keras")
    assert {**after.description, **dict.fromkeys(facts)} == {**before.description, **dict.fromkeys(facts)}
    name = after.description["keras"]["0-x"]
    assert name == "assets.extra/model.keras" and name in after.description["files"]
    card = (tmp_path / "new" / "model_card.md").read_text()
    assert card == f"`fcn`, version 3.\n- `{after.description['files']['saved_model.pb']}` saved_model.pb\n" + (
        f"- `{after.description['files'][name]}` {name}\n- `{after.description['files'][ONNX_PATH]}` {ONNX_PATH}\n"
    )


def test_an_export_of_other_options_than_its_recipe_keeps_its_graph(old, tmp_path, monkeypatch):
    """The network is not known: there are no embeddings and no Keras model, and it is said why."""
    path = old / DESCRIPTION
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "model": "attention_fcn"}))
    new = saved_model.load(rebuild(old, tmp_path / "new", with_keras=True))
    assert "embedding" not in new.description["signatures"] and "keras" not in new.description
    assert "gives other layers than it has" in new.description["without_keras"]


def test_an_export_whose_front_end_holds_weights_is_refused(old, tmp_path):
    path = old / DESCRIPTION
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "frontend": {"kind": "DeepSpectrum", "rate_hz": 16_000}}))
    with pytest.raises(UserError, match=r"front-end of LogMel.*found DeepSpectrum"):
        rebuild(old, tmp_path / "new")
    assert not list(Path(tmp_path / "new").glob("[0-9]*"))


def test_flags_of_runs_are_refused_for_exports(old, script, tmp_path):
    code, _, error = script("export.py", old.parent, "--out", tmp_path / "new", "--fold", "0", "--calibrate")
    assert code == 2 and "--fold, --calibrate: for runs" in error
