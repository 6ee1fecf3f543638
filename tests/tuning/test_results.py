"""Tables by hand, commands by train.py's own parser, TensorBoard's files by TensorBoard."""

import csv
import json
import shlex
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
from matplotlib.image import imread

from tuning import replay
from tuning import space as spaces
from tuning.journal import Journal
from tuning.results import figures, show, tensorboard
from tuning.results import importance as shares
from tuning.trials import Trial
from zoo.config import flags
from zoo.errors import UserError
from zoo.utils.parser import Parser

UNITS = "option.recurrent_units"
SPACE = {
    "learning_rate": {"low": 1e-4, "high": 1e-2, "sampling": "log"},
    "batch_size": [16, 32],
    "option.block_dropout": {"low": 0.0, "high": 0.5},
    UNITS: [[64], [64, 32], None],
}
HEADER = {"event": "search", "model": "attention_blstm_fcn", "base": {"corpus": "ravdess"}, "space": SPACE}
HEADER |= {"tuner": "random", "inner_folds": 3}


def completed(number, score, **values):
    some = {"learning_rate": 1e-3, "batch_size": 16, "option.block_dropout": 0.25, UNITS: [64]}
    done = {"folds": [score - 0.1, score, score + 0.1], "epochs_run": 9, "seconds": 30.0, "worker": "one"}
    return Trial(f"{number:04d}", {**some, **values}, status="completed", score=score, **done)


def several(n=12):
    rates = 10 ** np.random.default_rng(0).uniform(-4, -2, n)
    units = SPACE[UNITS] * n
    values = [{"learning_rate": float(rates[i]), UNITS: units[i]} for i in range(n)]
    return [completed(i + 1, 0.3 + 0.02 * i, batch_size=32 - 16 * (i % 2), **values[i]) for i in range(n)]


def unscored(number, status, reason):
    return replace(completed(number, 0.0), status=status, score=None, folds=(), reason=reason)


OTHERS = [
    replace(completed(21, 0.9), status="pruned", folds=(0.9,), reason="below"),
    unscored(22, "infeasible", "pooling [leaves] nothing"),
    unscored(23, "infeasible", "pooling [leaves] nothing"),
    unscored(24, "failed", "disk full"),
    unscored(25, "waiting", ""),
]


def written(folder, trials):
    """Write a journal, and run folders of completed trials whose folds trained 3, 4 and 5 epochs."""
    events = [HEADER, {"event": "trials", "trials": 60}]
    for trial in trials:
        names = {"trial": trial.id, "values": trial.values, "epochs": trial.epochs, "parent": trial.parent}
        events.append({"event": "proposed", **names})
        if trial.status != "waiting":
            outcome = {**asdict(trial), "epochs": trial.epochs_run}
            events.append({"event": "finished", "trial": trial.id, **outcome})
        if trial.status == "completed":
            for n, fold in enumerate(trial.folds):
                run = folder / "trials" / trial.id / f"fold-{n}"
                run.mkdir(parents=True)
                lines = [f"{epoch},{fold * epoch / (n + 3)}\n" for epoch in range(1, n + 4)]
                (run / "history.csv").write_text("".join(["epoch,validation_ua\n", *lines]))
            (run.parent / "metrics.json").write_text(json.dumps({"objective": "validation_ua"}))
    Journal(folder, events).close()
    return folder


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Folder of a search after show()."""
    folder = written(tmp_path_factory.mktemp("search"), several() + OTHERS)
    show.show(folder)
    return folder


def test_trials_csv_by_hand(shown):
    with (shown / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == [f"{n:04d}" for n in (*range(12, 0, -1), 21, 22, 23, 24, 25)]
    first, pruned, infeasible = rows[0], rows[12], rows[13]
    assert float(first["score"]) == pytest.approx(0.52)
    assert float(first["spread"]) == pytest.approx(0.1)  # by n - 1; by n it would be 0.082
    assert [float(first[f"fold_{n}"]) for n in range(3)] == pytest.approx([0.42, 0.52, 0.62])
    assert (first["epochs"], first["seconds"], first["worker"], first["status"]) == ("9", "30.0", "one", "completed")
    assert (first[UNITS], rows[1][UNITS]) == ("null", "[64, 32]")
    assert list(first)[-4:] == list(SPACE)
    assert (pruned["status"], pruned["spread"], pruned["fold_0"], pruned["fold_1"]) == ("pruned", "", "0.9", "")
    assert (infeasible["score"], infeasible["reason"]) == ("", "pooling [leaves] nothing")


def test_pictures_are_not_blank_and_nothing_unfinished_is_left(shown):
    for name in ("importance.png", "parallel.png", "learning-curves.png"):
        assert imread(shown / name).std() > 0.01
    assert not list(shown.glob(".*"))


def test_what_is_printed(tmp_path, capsys):
    many = [completed(n, 0.5 - n / 1000) for n in range(30, 54)]
    equal = completed(60, many[0].score)  # comes after the earlier one
    show.show(written(tmp_path, [completed(1, 0.7, batch_size=32), *many[:-1], *OTHERS, equal]))
    printed = capsys.readouterr().out
    assert "attention_blstm_fcn: 27 of 60 trials, tuner random" in printed
    assert printed.index("0001") < printed.index("0030") < printed.index("0060") < printed.index("0047")
    assert "0048" not in printed
    assert "6 more in trials.csv" in printed
    assert "infeasible: 2; 2 times: pooling [leaves] nothing" in printed
    assert "failed: 1; disk full" in printed and "not finished: 1" in printed
    assert "learning_rate" not in printed.split("Hyper-parameter")[0]  # it does not vary
    assert "out-of-bag R²" in printed
    command = next(line for line in printed.splitlines() if line.startswith("python "))
    assert command == show.best_flags(HEADER, completed(1, 0.7, batch_size=32)) and len(command) > 160


def test_json_is_one_document_with_every_trial_and_the_best(tmp_path, script):
    folder = written(tmp_path / "search", [*several(3), *OTHERS])
    code, out, _ = script("tune.py", "--out", folder, "--show", "--json")
    found = json.loads(out)
    assert code == 0 and list(found) == [
        *("folder", "model", "tuner", "asked", "trials", "importance", "importance_note", "best")
    ]
    assert (found["asked"], len(found["trials"]), found["best"]["trial"]) == (60, 8, "0003")
    assert found["best"]["score"] == pytest.approx(0.34) and found["trials"][-1]["score"] is None
    assert found["best"]["command"].startswith("python scripts/train.py --model attention_blstm_fcn")
    assert (folder / "trials.csv").is_file()
    refused = (2, "", "error: --json has an effect with --show alone; add that, or leave it out\n")
    assert script("tune.py", "--out", folder, "--json") == refused


def parsed(command):
    """Parse a command as train.py does."""
    words = shlex.split(command)
    assert words[:2] == ["python", "scripts/train.py"]
    parser = Parser()
    flags.add_flags(parser)
    return flags.from_flags(vars(parser.parse_args(words[2:])))


WORDS = ("True", "None", "null", "1", "a b", "x=y", '"quoted"', "[1", "-x", "", "NaN")


@pytest.mark.parametrize(
    ("base", "values"),
    [
        ({"synthetic": True, "class_weights": "sad=2,happy=0.5"}, {"learning_rate": 1.2345678901234567e-05}),
        (
            {"data_root": "it's a $HOME", "allow_leakage": False, "option": {"block_dropout": 0.1, "units": 3}},
            {"option.block_dropout": 0.0, "option.widths": [8, [16, None]], "option.gate": None},
        ),
        ({"class_weights": "-odd"}, {f"option.word_{n}": word for n, word in enumerate(WORDS)}),
    ],
)
def test_best_flags_give_the_same_configuration(base, values):
    direct = flags.from_flags({"model": "attention_blstm_fcn", **spaces.flags(base, values)})
    command = show.best_flags({**HEADER, "base": {**base, "out": "runs/a b"}}, Trial("0001", values))
    assert parsed(command) == direct
    assert "--out" not in shlex.split(command)


def test_best_of_hyperband_has_the_epochs_of_its_rung():
    assert parsed(show.best_flags(HEADER, Trial("0001", {}, epochs=7))).epochs == 7


@pytest.mark.parametrize(
    ("trials", "parts"),
    [
        ([], ["found none at all", "--resume"]),
        (OTHERS[1:3], ["found 2 infeasible; 2 times: pooling [leaves] nothing.", "--space"]),
        (OTHERS[2:], ["found 1 infeasible, 1 failed, 1 not finished", "pooling", "disk full"]),
    ],
)
def test_search_without_a_completed_trial_is_refused(tmp_path, trials, parts):
    with pytest.raises(UserError) as error:
        show.show(written(tmp_path, trials))
    assert all(part in str(error.value) for part in (str(tmp_path), *parts)), error.value


def test_damaged_history_is_named(tmp_path):
    path = written(tmp_path, several(2)) / "trials" / "0002" / "fold-1" / "history.csv"
    path.write_text("epoch,loss\n1,2.0\n")
    with pytest.raises(UserError, match=r"0002/fold-1/history\.csv"):
        show.show(tmp_path)


def test_what_is_absent_is_printed(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    (written(tmp_path, several(2)) / "trials").rename(tmp_path / "elsewhere")
    show.show(tmp_path)
    printed = capsys.readouterr().out
    for words in ("no learning curves", "10 completed trials, found 2", "speech-emotion-zoo[tensorboard]"):
        assert words in printed
    absent = ("importance.csv", "importance.png", "learning-curves.png", tensorboard.FOLDER)
    assert not [name for name in absent if (tmp_path / name).exists()]


def test_learning_curve_by_hand(tmp_path):
    (found,) = figures.curves(written(tmp_path, [completed(1, 0.5)]), replay.read(tmp_path).trials)
    # Folds end at 0.4, 0.5, 0.6 after 3, 4 and 5 epochs in equal steps.
    means = [(0.4 / 3 + 0.5 / 4 + 0.6 / 5) / 3 * n for n in (1, 2, 3)] + [(0.5 + 0.48) / 2, 0.6]
    assert found.mean == pytest.approx(means)
    assert (found.whole, found.objective, found.trial) == (3, "validation_ua", "0001")


def test_parallel_axes_and_lines(monkeypatch):
    wanted = (1, 0.5, 1e-4, None), (2, 0.7, 1e-3, [64, 32])
    trials = [completed(n, s, learning_rate=rate, **{UNITS: u}) for n, s, rate, u in wanted]
    drawn = []
    monkeypatch.setattr(figures, "save_png", lambda figure, path: drawn.append(figure))
    figures.plot_parallel(SPACE, trials, trials[1], "unused.png", "a title")
    host, rate, units, score = drawn[0].axes
    assert [label.get_text() for label in host.get_xticklabels()] == ["learning_rate", "recurrent_units", "score"]
    assert (rate.get_yscale(), rate.get_ylim()) == ("log", (1e-4, 1e-2))
    assert [label.get_text() for label in units.get_yticklabels()] == ["[64]", "[64, 32]", "null"]
    first, second = host.get_lines()
    assert first.get_ydata() == pytest.approx([0.0, 2.3 / 2.6, 0.05 / 1.1])
    assert second.get_ydata() == pytest.approx([0.5, 1.3 / 2.6, 1.05 / 1.1])  # 1e-3 is half way on a log axis
    assert second.get_linewidth() > first.get_linewidth() and "0002" in second.get_label()
    assert score.get_ylim() == pytest.approx((0.49, 0.71))


def test_sobol_indices_by_hand():
    """3 a + b with a, b of equal variance: 9/10 and 1/10; c d with means 0: nothing alone, all together."""
    signs = np.array([[-1.0], [1.0]])
    columns = dict.fromkeys("abcd", signs)
    rng = np.random.default_rng(0)
    main, total = shares.sobol(lambda x: 3 * x[:, 0] + x[:, 1], columns, rng)
    assert main == pytest.approx({"a": 0.9, "b": 0.1, "c": 0, "d": 0}, abs=0.05)
    assert total == pytest.approx({"a": 0.9, "b": 0.1, "c": 0, "d": 0}, abs=0.05)
    main, total = shares.sobol(lambda x: x[:, 2] * x[:, 3], columns, rng)
    assert main == pytest.approx({"a": 0, "b": 0, "c": 0, "d": 0}, abs=0.05)
    assert total == pytest.approx({"a": 0, "b": 0, "c": 1, "d": 1}, abs=0.05)


def test_importance_finds_what_the_score_was_made_of():
    """sqrt(3) times a word at -1, 1, plus a log rate at -1..1 (variance 1/3): shares 9/10 and 1/10."""
    rng = np.random.default_rng(1)
    space = {"word": ["x", "y"], "rate": {"low": 1e-3, "high": 0.1, "sampling": "log"}, "idle": [1, 2, 3], "one": [5]}
    trials = []
    for n in range(100):
        word, power, idle = rng.choice(["x", "y"]), rng.uniform(-1, 1), int(rng.integers(1, 4))
        score = np.sqrt(3) * (1 if word == "y" else -1) + power
        values = {"word": str(word), "rate": float(10 ** (power - 2)), "idle": idle, "one": 5}
        trials.append(Trial(str(n), values, status="completed", score=float(score)))
    rows, trust = shares.importance_of(space, trials)
    assert [row["parameter"] for row in rows] == ["word", "rate", "idle"]
    assert [row["importance"] for row in rows] == pytest.approx([0.9, 0.1, 0.0], abs=0.08)
    assert rows[0]["forest_r2"] > 0.9 and "100 trials" in trust
    assert shares.importance_of(space, trials) == (rows, trust)  # seeded
    noise = [replace(trial, score=float(rng.normal())) for trial in trials[:60]]
    rows, trust = shares.importance_of(space, noise)
    assert rows[0]["forest_r2"] < 0.2 and "too little" in trust


def test_importance_distinguishes_hyperbands_rungs():
    rng = np.random.default_rng(2)
    rungs = [replace(completed(n, 0.1 * n + rng.normal(0, 0.01)), epochs=n) for n in (3, 9) for _ in range(10)]
    first = shares.importance_of(SPACE, rungs)[0][0]
    assert first["parameter"] == shares.RUNG and first["importance"] > 0.9


def test_importance_states_why_there_is_none():
    same = [completed(n, n / 20) for n in range(12)]
    assert shares.importance_of(SPACE, same) == ([], "all completed trials have the same values")
    equal = [replace(trial, score=0.5) for trial in several()]
    assert shares.importance_of(SPACE, equal) == ([], "all completed trials score the same")


# Run in a process where any import of TensorFlow fails; TensorBoard's own code reads the files.
DASHBOARD = """
import sys, json
from pathlib import Path
sys.modules["tensorflow"] = None
folder = Path(sys.argv[1])
from tuning import replay
from tuning.results import show, tensorboard as hparams
header, _, trials, _ = replay.read(folder)
hparams.write(folder, header["space"], trials)
assert not {"keras", "keras_tuner"} & set(sys.modules)
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups
from google.protobuf.json_format import MessageToDict
found = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(folder / hparams.FOLDER)).Reload()
provider = data_provider.MultiplexerDataProvider(found, str(folder))
context = backend_context.Context(base_plugin.TBContext(data_provider=provider))
request = api_pb2.GetExperimentRequest()
experiment = get_experiment.Handler(RequestContext(), context, "", request).run()
statuses = [getattr(api_pb2, f"STATUS_{name}") for name in ("UNKNOWN", "SUCCESS", "FAILURE", "RUNNING")]
request = api_pb2.ListSessionGroupsRequest(slice_size=99, allowed_statuses=statuses, include_metrics=True)
groups = list_session_groups.Handler(RequestContext(), context, "", request).run()
curve = [(event.step, float(event.tensor_proto.float_val[0])) for event in found.Tensors("0012", "validation_ua")]
print(json.dumps([MessageToDict(experiment), MessageToDict(groups), curve]))
"""


def test_tensorboard_lists_the_trials(shown):
    """Neither TensorFlow nor Keras is imported, and a former folder is replaced."""
    pytest.importorskip("tensorboard")
    (shown / tensorboard.FOLDER / "stale").mkdir()
    process = subprocess.run([sys.executable, "-c", DASHBOARD, shown], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    experiment, groups, curve = json.loads(process.stdout)
    infos = {info["name"]: info for info in experiment["hparamInfos"]}
    assert infos["learning_rate"]["domainInterval"] == {"minValue": 1e-4, "maxValue": 1e-2}
    assert infos[UNITS]["domainDiscrete"] == ["[64, 32]", "[64]", "null"]  # it sorts them
    sessions = {group["name"]: group for group in groups["sessionGroups"]}
    assert len(sessions) == 16
    for trial in several() + OTHERS[:-1]:
        group = sessions[trial.id]
        units = json.dumps(trial.values[UNITS])
        assert group["hparams"] == {**trial.values, UNITS: units}
        status = "STATUS_SUCCESS" if trial.status in ("completed", "pruned") else "STATUS_FAILURE"
        assert group["sessions"][0]["status"] == status
        values = {metric["name"]["tag"]: metric["value"] for metric in group.get("metricValues", [])}
        assert values.get("score") == (None if trial.score is None else pytest.approx(trial.score))
    assert [step for step, _ in curve] == [1, 2, 3, 4, 5] and curve[-1][1] == pytest.approx(0.62)
    assert not (shown / tensorboard.FOLDER / "stale").exists()
