"""learn.py on synthetic speech: curves by networks and linear models, resumed, repeated, compared; bad input."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
from scipy.special import softmax

from zoo.learning import simulation
from zoo.learning.active import Point
from zoo.learning.labelling import label_file
from zoo.learning.learner import Predictions
from zoo.utils.atomic_files import read_csv

CORPUS = ("--corpus", "emodb", "--synthetic", "--clips", 70, "--fold", 0)
NETWORK = ("--model", "fcn", *CORPUS, "--epochs", 1, "--bands", 12)
FEW = ("--initial", 1, "--budget", 20, "--batch", 13)
SURE = ("--confidence", 0.2, "--rounds", 1)
needs_opensmile = pytest.mark.skipif(
    find_spec("opensmile") is None, reason="opensmile is not installed (pip install -e '.[opensmile]')"
)


class Centroids:
    """Takes the place of a network, which takes seconds: softmax of distances to the means of the classes."""

    def __init__(self, run, fold, progress):
        values = [
            np.stack([run.features[clip.name].read().mean(axis=0) for clip in side]).astype(np.float64)
            for side in fold.sides
        ]
        self.vectors, self.validation, self.test = (side - values[0].mean(axis=0) for side in values)
        self.n_classes = len(run.source.protocol.classes)

    def fit(self, clips, labels, seed):
        means = np.stack([self.vectors[clips[labels == label]].mean(axis=0) for label in range(self.n_classes)])

        def shares(vectors):
            return softmax(-np.linalg.norm(vectors[:, None] - means, axis=2), axis=1)

        return Predictions(*map(shares, (self.vectors, self.validation, self.test)), {"validation_ua": 0.5})


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(simulation, "NetworkLearner", Centroids)


def refused(found):
    code, _, error = found
    assert code == 2 and error.count("error:") == 1 and "Traceback" not in error
    return error


def points(folder, seed=0):
    (path,) = folder.glob(f"fold-0*/seed-{seed}.json")
    return json.loads(path.read_text())["points"]


@pytest.mark.slow
def test_a_network_learns_and_its_seeds_repeat(script, tmp_path, monkeypatch):
    def unknown(labels, learner):  # a fit less
        nothing = np.zeros((len(set(labels.test_speakers)), len(labels.classes)), int)
        return Point({"ua": 0.0}, nothing, np.arange(0), {}, {})

    monkeypatch.setattr(simulation, "full_score", unknown)
    arguments = (*NETWORK, "--strategy", "random", "--initial", 1, "--budget", 7, "--seeds", 0)
    code, shown, _ = script("learn.py", *arguments, "--out", "one")
    assert code == 0 and "results: one" in shown and "with 7 labels by people" in shown
    assert script("learn.py", *arguments, "--out", "two")[0] == 0
    assert points(tmp_path / "two") == points(tmp_path / "one")


@pytest.mark.usefixtures("all_formats")
def test_every_label_is_kept_and_curves_are_written(script, tmp_path, quick):
    arguments = (*NETWORK, "--strategy", "cooperative", *FEW, *SURE, "--seeds", 0)
    assert script("learn.py", *arguments, "--out", "one")[0] == 0
    for name in ("curve.csv", "curve.png", "curve.svg", "curve.pdf", "summary.json"):
        assert (tmp_path / "one" / name).is_file()
    rows = read_csv(tmp_path / "one" / "curve.csv")
    assert [row["labels"] for row in rows] == ["7", "20"] and all(0 <= float(row["ua"]) <= 1 for row in rows)

    (file,) = (tmp_path / "one").glob("fold-0*/labels-seed-0.csv")
    now = label_file.current(label_file.read(file))
    by_people = [row for row in now if row.source == "human"]
    by_machine = [row for row in now if row.source == "model"]
    assert len(by_people) == 20 and len(by_machine) == int(rows[-1]["machine_labels"]) > 0
    assert all(row.confidence >= 0.2 for row in by_machine)
    assert not {row.file for row in by_people} & {row.file for row in by_machine}


def test_strategies_are_compared(script, tmp_path, quick):
    for strategy in ("random", "active", "semi-supervised", "cooperative"):
        assert script("learn.py", *NETWORK, "--strategy", strategy, *FEW, "--seeds", 0, 1, "--out", strategy)[0] == 0
    code, shown, _ = script("learn.py", "--compare", "random", "active", "semi-supervised", "cooperative", "--out", "a")
    assert code == 0 and "Synthetic speech, no claim" in shown and "Beats both:" in shown
    text = (tmp_path / "a" / "comparison.json").read_text()
    names = ["random", "least-certain", "semi-supervised", "cooperative, least-certain"]
    assert list(json.loads(text)["strategies"]) == names and str(tmp_path) not in text


@needs_opensmile
def test_a_linear_model_and_a_second_view_train_each_other(script, tmp_path, quick):
    model = ("--model", "egemaps_svm", *CORPUS, "--complexities", 1e-3, "--second-view", "fcn")
    arguments = (*model, "--second-recipe", "quick", "--strategy", "co-training", *FEW, *SURE, "--seeds", 0)
    assert script("learn.py", *arguments, "--out", "both")[0] == 0
    assert points(tmp_path / "both")[1]["row"]["labels"] == 20
    settings = json.loads((tmp_path / "both" / "learning.json").read_text())
    assert settings["second"]["model"] == "fcn" and settings["plan"]["second_view"] == "fcn"


def test_a_killed_simulation_goes_on_and_keeps_what_is_finished(script, tmp_path, monkeypatch, quick):
    arguments = (*NETWORK, "--strategy", "random", "--initial", 1, "--budget", 8, "--batch", 1, "--out", "run")
    whole = simulation.simulate

    def ended(labels, learners, plan, seed):
        for number, point in enumerate(whole(labels, learners, plan, seed)):
            if seed == 1 and number == 1:
                raise KeyboardInterrupt
            yield point

    monkeypatch.setattr(simulation, "simulate", ended)
    assert script("learn.py", *arguments, "--seeds", 0, 1)[0] == 130
    assert not (tmp_path / "run" / "summary.json").exists()
    first = points(tmp_path / "run")
    monkeypatch.setattr(simulation, "simulate", lambda *a: whole(*a) if a[3] else pytest.fail("seed 0 again"))
    code, _, _ = script("learn.py", *arguments, "--seeds", 0, 1)
    assert code == 0 and points(tmp_path / "run") == first
    (file,) = (tmp_path / "run").glob("fold-0*/labels-seed-1.csv")
    assert len(label_file.read(file)) == 8  # those of the call that was ended are not counted twice
    assert len(read_csv(tmp_path / "run" / "curve.csv")) == 4

    error = refused(script("learn.py", *arguments, "--seeds", 0, 1, "--batch", 2))
    assert "holds a simulation of other settings: plan.batch was 1, now 2. Repeat them, or give another --out" in error
    error = refused(script("learn.py", *arguments, "--epochs", 2))
    assert "config.epochs was 1, now 2" in error
    (tmp_path / "run" / "facts.json").unlink()
    error = refused(script("learn.py", "--compare", "run", "run", "--out", "all"))
    assert "expected a finished simulation" in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--strategy", "coop"), "unknown --strategy 'coop'. Known: active, co-training"),
        (("--strategy", "active", "--query", "certain"), "unknown --query 'certain'"),
        (("--strategy", "random", "--budget", 500), "--budget is 500, and fold 0-"),
        (("--strategy", "random", "--budget", 5), "--budget is 5, fewer than the first labels"),
        (("--strategy", "random", "--seeds", 1, 1), "--seeds is 1 1, expected different numbers from 0"),
        (("--strategy", "random", "--seeds", -1), "--seeds is -1, expected different numbers from 0"),
        (("--strategy", "random", "--second-recipe", "quick"), "--second-recipe has no effect on --strategy random"),
        (("--strategy", "random", "--seed", 3), "--seed is for train.py; give the seeds of the curves"),
        (("--strategy", "co-training", "--second-view", "conv_lstm"), "--second-view conv_lstm gives no probabilities"),
        (("--model", "conv_lstm", "--corpus", "recola"), "--model conv_lstm gives no probabilities of classes"),
        (("--model", "compare_pca_svm"), "--model compare_pca_svm needs another run or more labelled clips"),
        (("--model", "compare_svm", "--recipe", "tuned"), "leave out --refit and --augment-waveforms"),
    ],
)
def test_settings_that_cannot_work_are_refused(script, tmp_path, arguments, said):
    model = () if "--model" in arguments else NETWORK[:2]
    corpus = () if "--corpus" in arguments else CORPUS
    assert said in refused(script("learn.py", *model, *corpus, *arguments, "--out", "run"))
    assert not (tmp_path / "run").exists()


def test_folders_that_are_no_place_for_results_are_refused(script, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("Dear")
    assert "mine exists already and holds no simulation" in refused(script("learn.py", *NETWORK, *FEW, "--out", "mine"))
    assert "needs --out DIR" in refused(script("learn.py", *NETWORK))
    error = refused(script("learn.py", "--compare", "a", "b", "--budget", 3, "--out", "c"))
    assert "--compare takes folders and --out alone, found --budget too" in error
    error = refused(script("learn.py", "--compare", "a", "b", "--out", "c"))
    assert "expected the settings of a simulation" in error


def test_novelty_needs_a_class_of_neutral_speech(script, monkeypatch, quick):
    from zoo.learning import strategies

    monkeypatch.setattr(strategies, "NEUTRAL", ("calm",))
    arguments = (*NETWORK, "--strategy", "active", "--query", "novelty", *FEW, "--seeds", 0, "--out", "run")
    assert "strategy novelty needs labelled clips of a class named calm" in refused(script("learn.py", *arguments))
