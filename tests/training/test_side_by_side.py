"""Folds and seeds on workers end as in one process, whatever is lost on the way."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from ray_cluster import two_nodes

import zoo.training.train
from zoo.config.flags import from_flags
from zoo.data.synthetic.corpora import synthesize
from zoo.distributed import flags, ray_workers
from zoo.distributed.pool import Ended
from zoo.errors import UserError
from zoo.runs.folder import read_record, read_rows
from zoo.training import seeds, side_by_side
from zoo.training.evaluate import differences
from zoo.training.fit import fit
from zoo.training.train import train

FOLDS = ["fold-0-03", "fold-1-08"]  # EmoDB's first two speakers


def settings(root, out, **changes):
    given = {"model": "cnn1d_mfcc", "corpus": "emodb", "fold": "0,1", "epochs": 1, "coefficients": 12}
    given |= {"option": {"filters": [4, 3], "pool_size": 2}, "data_root": str(root), "out": str(out)}
    return from_flags({**given, "cache_dir": f"{root}-cache", "backend": keras.backend.backend(), **changes})


@pytest.fixture(scope="module")
def emodb(tmp_path_factory):
    return synthesize("emodb", tmp_path_factory.mktemp("twin") / "emodb", 70, seconds=(0.3, 0.4))


@pytest.fixture(scope="module")
def alone(emodb, tmp_path_factory):
    """The folder of a run whose folds one process has trained."""
    return train(settings(emodb, tmp_path_factory.mktemp("alone") / "run")).folder


class InThisProcess:
    """A pool of one worker, which is lost with a task as often as `deaths` says."""

    def __init__(self, folder, job, deaths):
        self.folder, self.perform, self.deaths, self.ended = folder, job.open(), dict(deaths), []

    def free(self):
        return [] if self.ended else ["worker"]

    def start(self, worker, task):
        outcome = None
        if self.deaths.get(task.name, 0):
            self.deaths[task.name] -= 1
        else:
            outcome = self.perform(self.folder, json.loads(json.dumps(task.content)))
        self.ended.append(Ended(task.name, outcome, "" if outcome else "exit code -9"))

    def wait(self, seconds):
        ended, self.ended = self.ended, []
        return ended

    def close(self):
        pass


@pytest.fixture
def workers(monkeypatch):
    """Makes the pool one of this process; returns how often tasks are lost, by their names."""
    deaths: dict = {}
    monkeypatch.setattr(flags, "pool", lambda given, folder, job, *mark, **options: InThisProcess(folder, job, deaths))
    return deaths


def without_times(record):
    if isinstance(record, dict):
        return {key: without_times(value) for key, value in record.items() if not key.startswith("seconds")}
    return [without_times(value) for value in record] if isinstance(record, list) else record


def assert_same(one, other, rounding=0.0):
    """`rounding` is of networks trained with another number of threads."""
    # Of figures this process of tests writes the PNG alone.
    others = (".svg", ".pdf")
    files = [{path.relative_to(run) for path in run.rglob("*") if path.suffix not in others} for run in (one, other)]
    assert files[0] == files[1]
    for place in (Path(), *map(Path, FOLDS)):
        records = [without_times(read_record(run / place)) for run in (one, other)]
        assert differences("", *records) == [] if rounding else records[0] == records[1]
        for row, expected in zip(read_rows(one / place), read_rows(other / place), strict=True):
            if rounding:
                numbers = [[float(value) for key, value in each.items() if key[:2] == "p_"] for each in (row, expected)]
                np.testing.assert_allclose(*numbers, atol=rounding)
            else:
                assert row == expected
    for name in FOLDS:
        pair = [keras.saving.load_model(run / name / "model.keras", compile=False) for run in (one, other)]
        for array, expected in zip(*(model.get_weights() for model in pair), strict=True):
            np.testing.assert_allclose(array, expected, atol=rounding, rtol=0)


def test_folds_and_seeds_on_workers_are_those_of_one_process(emodb, alone, workers, tmp_path):
    """The worker of the second fold is lost twice."""
    workers["seed-0/fold-1-08"] = 2
    every = [settings(emodb, tmp_path / f"seed-{seed}", seed=seed) for seed in (0, 1)]
    runs = side_by_side.train(every, False, {"workers": 2}, tmp_path)
    assert [run.folder.name for run in runs] == ["seed-0", "seed-1"]
    assert_same(alone, runs[0].folder)
    assert not (tmp_path / "workers").exists()
    first, second = ((run.folder / "predictions.csv").read_text() for run in runs)
    assert first != second


def test_folds_that_fail_are_named_the_others_kept_and_resumed(emodb, alone, workers, tmp_path, monkeypatch):
    out = tmp_path / "run"
    workers["fold-0-03"] = 3

    def fails(fold, *arguments):
        raise UserError("too\nwarm") if fold.name == "0-03" else ValueError("a mistake")

    monkeypatch.setattr(zoo.training.train, "fit", fails)
    with pytest.raises(UserError, match=r"2 folds failed, the others are finished.*go on with --resume") as error:
        side_by_side.train([settings(emodb, out)], False, {"workers": 1})
    assert error.value.lines.splitlines() == [
        "fold-0-03: its worker died 3 times (exit code -9)",
        "fold-1-08: ValueError: a mistake",
    ]
    assert not (out / "metrics.json").exists()
    trained = []
    monkeypatch.setattr(zoo.training.train, "fit", lambda fold, *rest: (trained.append(fold.name), fit(fold, *rest))[1])
    workers.clear()
    side_by_side.train([settings(emodb, out)], True, {"workers": 1})
    assert trained == ["0-03", "1-08"]
    assert_same(alone, out)
    side_by_side.train([settings(emodb, out)], True, {"workers": 1})
    assert len(trained) == 2, "what is finished is not trained again"


@pytest.mark.slow
def test_folds_in_processes_are_those_of_one_process(emodb, alone, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    run = side_by_side.train([settings(emodb, tmp_path / "run")], False, {"workers": 1})[0]
    assert_same(alone, run.folder)


@pytest.fixture(scope="module")
def cluster():
    yield from two_nodes()


@pytest.mark.slow
@pytest.mark.parametrize("seen", [True, False], ids=["shared", "sent back"])
def test_folds_on_ray_are_those_of_one_process(emodb, alone, cluster, tmp_path, monkeypatch, seen):
    if not seen:
        monkeypatch.setattr(ray_workers, "first_line", lambda path: b"")  # by which nodes would know the folder
    workers = {"ray": cluster.address, "workers": 2}
    (run,) = side_by_side.train([settings(emodb, tmp_path / "run")], False, workers)
    assert_same(alone, run.folder, rounding=1e-5)  # a fold has one thread there


def test_figures_of_seeds_by_hand(tmp_path):
    seeds.begin(tmp_path, [3, 7], False)
    assert seeds.known(tmp_path) == [3, 7]
    records = {3: {"ua": {"value": 0.5}, "n_clips": 9, "ccc": 0.1}, 7: {"ua": {"value": 0.7}, "n_clips": 9, "ccc": 0.3}}
    lines = seeds.summarise(tmp_path, records, ("n_clips", "ua", "ccc"))
    assert lines == [  # the deviations are 0.1 times the square root of 2
        "ua over 2 seeds: mean 0.600, standard deviation 0.141 (0.500, 0.700)",
        "ccc over 2 seeds: mean 0.200, standard deviation 0.141 (0.100, 0.300)",
    ]
    assert json.loads((tmp_path / "seeds.json").read_text())["ccc"]["values"] == [0.1, 0.3]
    assert seeds.summarise(tmp_path, {3: records[3]}, ("ua",)) == ["ua over 1 seeds: mean 0.500 (0.500)"]


def test_seeds_of_another_folder_are_refused(tmp_path):
    seeds.begin(tmp_path, [0, 1], False)
    seeds.begin(tmp_path, [0, 1], True)
    with pytest.raises(UserError, match="exists already: add --resume"):
        seeds.begin(tmp_path, [0, 1], False)
    with pytest.raises(UserError, match=r"--seeds 0,2: .* has runs of the seeds 0,1. Give these"):
        seeds.begin(tmp_path, [0, 2], True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    with pytest.raises(UserError, match="holds a single run"):
        seeds.begin(tmp_path / "run", [0], False)
    for text in ("", "0,0", "1,01", "-1", "a", "0,", "²"):
        with pytest.raises(UserError, match="expected different whole numbers, as in 0,1,2"):
            seeds.parse(text)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--workers 0", "--workers is 0, expected at least 1"),
        ("--threads 2", "--threads 2 has an effect with --workers alone; add that, or leave it out"),
        ("--workers 2 --gpus-per-fold 1", "--gpus-per-fold has an effect with --ray alone; leave it out"),
        ("--ray auto --threads 2", "--threads has an effect on this machine alone; leave it out"),
        ("--ray auto --cpus-per-fold 0", "--cpus-per-fold is 0.0, expected at least 0.01"),
        (
            "--workers 2 --devices 2",
            "--devices 2: a worker has one device. Leave --workers out, or leave --devices out",
        ),
        ("--ray auto --devices 2", "--devices 2: a worker has one device. Add --gpus-per-fold 2, or leave --devices"),
        ("--seeds 0,1", "--seeds 0,1 needs --out DIR, the folder of their runs"),
        ("--seeds 0,1 --out here --seed 3", "--seed 3 and --seeds exclude each other; give one of them"),
        ("--seeds 0;1 --out here", "--seeds is '0;1', expected different whole numbers, as in 0,1,2"),
    ],
)
def test_flags_that_do_not_go_together_end_with_2_before_anything_is_written(script, tmp_path, words, said):
    code, out, err = script("train.py", *f"--model fcn --corpus emodb --synthetic {words}".split())
    assert (code, out) == (2, "") and said in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())
