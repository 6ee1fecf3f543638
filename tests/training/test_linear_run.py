"""A whole run of a linear model: no Keras in it, and what it says of features and of C."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from zoo.config.flags import from_flags
from zoo.data.audio.read import read
from zoo.data.batches.clips import Example
from zoo.data.batches.feature_store import InMemory
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError
from zoo.features import from_config
from zoo.features.extractor import Extractor
from zoo.inference.categorical import load_classifier
from zoo.runs.dataset import resolve
from zoo.runs.folder import read_rows
from zoo.training import fit_linear, linear_head
from zoo.training.tasks.base import FoldData
from zoo.training.train import train
from zoo.utils.progress import Progress

ROOT = Path(__file__).parents[2]
RATE_HZ = 16_000

PROGRAM = """
import sys
import numpy as np

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("keras", "tensorflow", "jax", "torch"):
            raise AssertionError(f"{name} was imported")

sys.meta_path.insert(0, Refused())
from zoo.features import from_config
from zoo.features.extractor import Extractor

def energies(waveform):
    spectrum = np.abs(np.fft.rfft(waveform, 2048))[:880]
    return np.log(spectrum.reshape(88, 10).mean(axis=1) + 1e-3)[None].astype(np.float32)

from_config.extractor = lambda config: Extractor(energies, {"stand": "in"}, 16_000)
from zoo.commands.train import main
main()
"""


def energies(waveform):
    spectrum = np.abs(np.fft.rfft(waveform, 2048))[:880]
    return np.log(spectrum.reshape(88, 10).mean(axis=1) + 1e-3)[None].astype(np.float32)


@pytest.fixture(scope="module")
def emodb(tmp_path_factory):
    return synthesize("emodb", tmp_path_factory.mktemp("twin") / "emodb", 70, seconds=(0.3, 0.4))


@pytest.fixture
def stand_in(monkeypatch):
    """Computes features in place of openSMILE, which need not be installed."""
    monkeypatch.setattr(from_config, "extractor", lambda config: Extractor(energies, {"stand": "in"}, RATE_HZ))


def words(emodb, out, *more):
    given = ("--model", "egemaps_svm", "--corpus", "emodb", "--fold", "0", "--data-root", emodb, "--out", out)
    return [str(word) for word in (*given, "--cache-dir", out.parent / "cache", *more)]


def test_a_run_on_functionals_imports_no_keras(emodb, tmp_path):
    """In a process of its own, in which Keras and its backends cannot be imported; refit, speakers and pooling too."""
    more = ("--solver", "liblinear", "--refit", "--standardize-speakers", "--complexities", "1e-4", "1e-2")
    command = [sys.executable, "-c", PROGRAM, *words(emodb, tmp_path / "run", *more)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("run/fold-*/model.keras"))) == 1 and (tmp_path / "run" / "metrics.json").is_file()


def test_its_rows_are_those_of_the_saved_model_on_the_audio(emodb, tmp_path, stand_in):
    """Features that were kept are tested; the saved model, loaded by Keras, gives the same of the files."""
    flags = {"model": "egemaps_svm", "corpus": "emodb", "fold": "0", "data_root": str(emodb)}
    settings = from_flags({**flags, "out": str(tmp_path / "run"), "cache_dir": str(tmp_path / "cache")})
    run = train(settings)
    (fold,), rows = run.source.folds, read_rows(run.folder)
    classifier = load_classifier(run.folder / f"fold-{fold.name}", run.config)
    found = classifier.probabilities([read(clip.path, RATE_HZ) for clip in fold.test])
    assert [row["clip"] for row in rows] == [clip.name for clip in fold.test]
    recorded = [[float(row[f"p_{name}"]) for name in run.source.protocol.classes] for row in rows]
    np.testing.assert_allclose(recorded, found, atol=1e-5)


@pytest.mark.parametrize(
    ("best", "said"),
    [
        (3, "C 0.1 is the largest of --complexities; a larger one may be better"),
        (1, "C 0.0001 is the smallest of --complexities; a smaller one may be better"),
        (2, None),
    ],
)
def test_a_run_says_how_long_features_took_and_where_c_is_at_an_edge(
    script, emodb, tmp_path, stand_in, monkeypatch, best, said
):
    monkeypatch.setattr(fit_linear, "best_epoch", lambda history, score: best)
    more = ("--solver", "liblinear", "--complexities", "1e-4", "1e-2", "1e-1")
    code, _, errors = script("train.py", *words(emodb, tmp_path / "run", *more))
    assert code == 0, errors
    assert "features of 70 clips took 0:0" in errors
    assert (said in errors) if said else ("of --complexities" not in errors)


def test_an_inner_c_is_no_edge(capsys):
    with Progress() as progress:
        fit_linear._say_edges([1e-3, 1e-2], [1e-2, 1e-4, 1e-3, 1.0], "0", progress)
        assert not capsys.readouterr().err
        fit_linear._say_edges([1e-3, 1.0, 1.0], [1e-2, 1e-3, 1.0], "0", progress)
    assert [line.split(";")[0] for line in capsys.readouterr().err.splitlines()] == [
        "fold 0: C 0.001 is the smallest of --complexities",
        "fold 0: C 1 is the largest of --complexities",
    ]


def test_the_chosen_c_and_the_decisions_are_those_of_liblinear(tmp_path):
    """Of more features than vectors, along the default values of C."""
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 3
    values = (rng.normal(size=(240, 200)) + 0.25 * rng.normal(size=(3, 200))[labels]).astype(np.float32)
    every = [Example(InMemory(row[None]), int(label)) for row, label in zip(values, labels, strict=True)]
    fold = FoldData("0", tmp_path, ("angry", "calm", "sad"), every[:120], every[120:], None)
    settings = resolve(from_flags({"model": "compare_svm", "corpus": "ravdess", "out": str(tmp_path)}))
    with Progress() as progress:
        history = fit_linear.fit(fold, settings, progress)
    mean, deviation = values[:120].mean(axis=0), values[:120].std(axis=0)
    scaled = ((values - mean) / deviation).astype(np.float64)
    for row, c in zip(history, settings.complexities, strict=True):
        theirs = LinearSVC(C=c, dual=True, tol=1e-8, max_iter=200_000, random_state=0).fit(scaled[:120], labels[:120])
        assert row["validation_wa"] == np.mean(theirs.predict(scaled[120:]) == labels[120:])
        if row is max(history, key=lambda one: one["validation_ua"]):
            wanted = theirs.decision_function(scaled[120:])
    model = linear_head.read(tmp_path / "model.keras", "abc")
    weights, biases = model.maps["scores"]
    np.testing.assert_allclose(scaled[120:] @ weights + biases, wanted, atol=1e-4 * np.abs(wanted).max())


def test_a_saved_model_that_is_gone_or_another_is_named(tmp_path):
    path = tmp_path / "model.keras"
    with pytest.raises(UserError, match=r"model\.keras: no trained model is there; .*--resume"):
        linear_head.read(path, "abc")
    path.write_bytes(b"something else")
    with pytest.raises(UserError, match=r"model\.keras: expected a linear model .*Restore the file"):
        linear_head.read(path, "abc")
    linear_head.LinearModel("m", np.zeros(2), np.ones(2), 2, {"scores": (np.zeros((2, 2)), np.zeros(2))}).save(path)
    with pytest.raises(UserError, match="one of 2 outputs, not of 3: a, b, c"):
        linear_head.read(path, "abc")


@pytest.mark.parametrize("option", [{"seed": -1}, {"components": 0}, {"components": "many"}, {"width": 3}])
def test_options_are_refused_without_building(option):
    settings = from_flags({"model": "egemaps_svm", "corpus": "emodb", "synthetic": True})
    object.__setattr__(settings, "option", option)
    with pytest.raises(UserError, match=f"unknown option of egemaps_svm|cannot be built with .*{next(iter(option))}"):
        linear_head.check(settings)
