"""An export's ONNX form answers as its SavedModel does, starts without TensorFlow, and is refused when changed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zoo import pretrained
from zoo.errors import UserError
from zoo.export import onnx_copy
from zoo.inference.export_predictor import of_export
from zoo.serving import onnx_form, saved_model
from zoo.serving.description import DESCRIPTION, ONNX_PATH, read_description

ROOT = Path(__file__).parents[2]
HEAVY = ("tensorflow", "keras", "librosa", "matplotlib", "sklearn", "scipy", "torch", "jax", "pandas")
# Any import of these ends the process.
BLOCKED = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY}:
            raise SystemExit(f"imports {{name}}")
sys.meta_path.insert(0, Refuse())
"""

pytest.importorskip("tf2onnx", reason="needs the extra [onnx]")


@pytest.fixture(scope="module")
def with_form(emotion, tmp_path_factory):
    """An export of two folds on log-Mel energies, with an ONNX form."""
    folder = shutil.copytree(emotion[1], tmp_path_factory.mktemp("with-form") / "1")
    onnx_copy.add(saved_model.load(folder))
    return folder


@pytest.fixture
def mine(emotion, tmp_path):
    """A copy of an export without that form."""
    return shutil.copytree(emotion[1], tmp_path / "mine")


def clips(exported):
    rng = np.random.default_rng(3)
    return [rng.normal(0, 0.1, size).astype(np.float32) for size in (800, 16_000, 40_123)]


def rows(place, runtime):
    exported = saved_model.load(place, runtime)
    return exported, list(of_export(exported).predict(clips(exported)))


def alike(one, other):
    """Compare predictions, numbers to 1e-5."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name, value in one.items():
            alike(value, other[name])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            alike(*pair)
    elif isinstance(one, float):
        assert other == pytest.approx(one, abs=1e-5)
    else:
        assert one == other


def test_it_answers_as_the_saved_model(with_form):
    by_onnx, found = rows(with_form, "onnx")
    _, expected = rows(with_form, "tensorflow")
    alike(expected, found)
    assert list(by_onnx.forms) == ["serving_default", "embedding"]
    assert "module" not in vars(by_onnx)  # TensorFlow loaded nothing for it


@pytest.mark.parametrize("name", pretrained.names())
def test_shipped_exports_answer_alike_by_both(name):
    place = pretrained.find(name)
    assert "onnx" in read_description(place), "exports in saved_models/ have both forms"
    alike(rows(place, "tensorflow")[1], rows(place, "onnx")[1])


def test_ratings_and_several_targets_have_the_form_of_what_predicts(exported):
    for name, options, signature in (
        ("conv_lstm", {"flags": {"label_delay_seconds": 0.12}, "with_postprocess": True}, "serving_default"),
        ("fcn", {"flags": {"also": "sex"}}, "all_targets"),
    ):
        _, version = exported(name, with_onnx=True, **options)
        by_onnx, found = rows(version, "onnx")
        assert sorted(by_onnx.forms) == sorted([signature, "embedding"])
        alike(rows(version, "tensorflow")[1], found)


def test_a_network_on_functionals_has_the_form_under_both_names(functionals, tmp_path):
    """Check a network with an input and an output of the same name, n_frames, which ONNX does not allow."""
    mine = shutil.copytree(functionals[1], tmp_path / "mine")
    onnx_copy.add(saved_model.load(mine))
    by_onnx = saved_model.load(mine, "onnx")
    assert sorted(by_onnx.forms) == ["embedding", "features", "serving_default"]
    bands = by_onnx.description["signatures"]["features"]["inputs"]["features"]["shape"][-1]
    features = [np.random.default_rng(0).normal(size=(size, bands)).astype(np.float32) for size in (5, 9)]
    expected = saved_model.load(mine).on_features(features)
    for found, right in zip(by_onnx.on_features(features), expected, strict=True):
        np.testing.assert_allclose(found, right, atol=1e-5)


def test_other_signatures_are_computed_by_tensorflow(with_form):
    by_onnx = saved_model.load(with_form, "onnx")
    features = [np.random.default_rng(0).normal(size=(30, 12)).astype(np.float32)]
    expected = saved_model.load(with_form).on_features(features)
    assert np.allclose(by_onnx.on_features(features), expected, atol=1e-6)


def test_a_new_process_answers_without_tensorflow():
    code = BLOCKED + (
        "import numpy as np, zoo\n"
        f"model = zoo.load({str(ROOT / 'saved_models' / 'attention_blstm_fcn-demo')!r})\n"
        "answer = model.predict(np.random.default_rng(0).normal(0, .1, 16_000).astype('float32'), any_sound=True)\n"
        "print(answer['emotion'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in pretrained.load("attention_blstm_fcn-demo", "onnx").outputs
    assert done.stderr == ""


def test_help_of_every_script_imports_nothing_that_takes_seconds():
    """Run every script with --help in one process, and check which modules were imported by then."""
    code = BLOCKED.replace('"scipy", ', "").replace("'scipy', ", "") + (
        "import contextlib, io, runpy\n"
        "from pathlib import Path\n"
        "for path in sorted(Path('scripts').glob('*.py')):\n"
        "    sys.argv = [str(path), '--help']\n"
        "    with contextlib.redirect_stdout(io.StringIO()):\n"
        "        try:\n"
        "            runpy.run_path(str(path), run_name='__main__')\n"
        "        except SystemExit as end:\n"
        "            assert end.code in (0, None), (path, end.code)\n"
        "slow = [name for name in sys.modules if name in ('scipy.stats', 'scipy.signal', 'scipy.optimize')]\n"
        "assert not slow, slow\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_a_changed_form_is_refused(with_form, tmp_path):
    mine = shutil.copytree(with_form, tmp_path / "with-form")
    path = mine / ONNX_PATH
    path.write_bytes(path.read_bytes()[:-1])
    for runtime in saved_model.RUNTIMES:
        with pytest.raises(UserError, match="other contents than when it was exported"):
            saved_model.load(mine, runtime)


def test_a_form_that_is_no_model_is_named(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(UserError, match=r"model\.onnx: ONNX Runtime cannot load it"):
        onnx_form.OnnxForm(path)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"onnx": ["nothing"]}, "an ONNX form of no signature"),
        ({"onnx": []}, r"onnx \[\] in place of names"),
        ({"files": None}, "an ONNX form without a checksum"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(change, found, with_form, tmp_path):
    mine = shutil.copytree(with_form, tmp_path / "with-form")
    described = json.loads((mine / DESCRIPTION).read_text())
    if change.get("files", "") is None:
        change = {"files": {name: digest for name, digest in described["files"].items() if name != ONNX_PATH}}
    (mine / DESCRIPTION).write_text(json.dumps({**described, **change}))
    with pytest.raises(UserError, match=found):
        saved_model.load(mine, "auto")


def test_runtimes_that_cannot_be_had_are_refused(with_form, emotion, monkeypatch):
    with pytest.raises(UserError, match="runtime"):
        saved_model.load(with_form, "litert")
    with pytest.raises(UserError, match=r"holds no ONNX form.*scripts/export.py"):
        saved_model.load(emotion[1], "onnx")
    assert not saved_model.load(emotion[1], "auto").forms
    monkeypatch.setattr(onnx_form, "is_installed", lambda: False)
    assert not saved_model.load(with_form, "auto").forms
    with pytest.raises(UserError, match="pip install onnxruntime"):
        saved_model.load(with_form, "onnx")


def test_an_export_without_the_form_says_why(mine, monkeypatch):
    monkeypatch.setattr(onnx_copy, "LARGEST_BYTES", 10)
    onnx_copy.add(saved_model.load(mine))
    assert "its weights have" in read_description(mine)["without_onnx"]
    assert not (mine / ONNX_PATH).exists()


def test_a_form_that_answers_otherwise_is_left_out(mine, monkeypatch):
    monkeypatch.setattr(onnx_copy, "TOLERANCE", -1.0)
    onnx_copy.add(saved_model.load(mine))
    assert "differs from the run's by" in read_description(mine)["without_onnx"]
    assert not (mine / ONNX_PATH).exists()
