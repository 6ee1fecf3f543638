"""Files of a run that describe it: of another shape, type or run, they are refused by name wherever they are read."""

import json
import os
import shutil

import keras
import pytest
import soundfile
import tiny_runs
from compared_runs import CLASSES, emotion_rows, write_run
from spoil import RATE_HZ, has, tone

from zoo.config import saved
from zoo.errors import UserError
from zoo.inference import postprocess
from zoo.runs.model_file import load_model
from zoo.runs.open_run import open_run
from zoo.studies.finished_runs import read_run

WRONG = (None, True, 7, 0.5, "text", [], {}, [[]], {"a": {}}, [None], ["x", 1], {"value": "0.5"}, 10**18)
DEEP = "[" * 50_000 + "]" * 50_000
OTHERS = {
    "deep": DEEP,
    "deep object": '{"a":' * 5_000 + "1" + "}" * 5_000,
    "NaN": '{"wa": NaN}',
    "infinity": '{"wa": 1e999}',
    "huge": f'{{"seed": {"9" * 4000}}}',
    "a list": "[]",
    "a number": "3",
    "nothing": "",
    "half": '{"ua": ',
    "latin-1": b'{"corpus": "\xe9"}',
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Runs of two folds, one for classes and one for ratings, written without training."""
    place = tmp_path_factory.mktemp("runs")
    classes = tiny_runs.make(place / "classes", "fcn", "iemocap", n_folds=2)
    return {"classes": classes, "ratings": tiny_runs.make(place / "ratings", "conv_lstm", "recola", n_folds=2)}


@pytest.fixture(params=["classes", "ratings"])
def run(made, request, tmp_path):
    return shutil.copytree(made[request.param], tmp_path / "run")


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def outcome(read, *words):
    """ "" where it is read, the message where it is refused; any other error fails the test."""
    try:
        read(*words)
    except UserError as error:
        return str(error)
    return ""


def test_any_entry_of_another_type_is_refused_or_of_no_matter(run):
    whole = json.loads((run / "metrics.json").read_text())
    for name in whole:
        for value in WRONG:
            (run / "metrics.json").write_text(json.dumps({**whole, name: value}))
            found = outcome(open_run, run)
            assert not found or "metrics.json: " in found
            if name in ("model", "corpus", "synthetic", "folds") and type(value) is not type(whole[name]):
                assert found, (name, value)
        rest = {key: value for key, value in whole.items() if key != name}
        (run / "metrics.json").write_text(json.dumps(rest))
        assert name not in ("model", "corpus", "folds", "bad_clips", "versions") or name in outcome(open_run, run)


@pytest.mark.parametrize("content", OTHERS)
@pytest.mark.parametrize("name", ["metrics.json", "config.json", "fold-0-x/metrics.json"])
def test_other_contents_are_refused_by_name(made, tmp_path, name, content):
    run, text = shutil.copytree(made["classes"], tmp_path / "run"), OTHERS[content]
    (run / name).write_bytes(text.encode() if isinstance(text, str) else text)
    assert f"{run / name}: expected " in outcome(open_run, run, "0" if "/" in name else None)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
@pytest.mark.parametrize("name", ["metrics.json", "config.json", "predictions.csv"])
def test_a_folder_or_pipe_in_place_of_a_file_is_refused(tmp_path, name, make):
    run = write_run(tmp_path / "run", emotion_rows())
    (run / name).unlink()
    make(run / name)
    assert str(run / name) in outcome(read_run, run)


@pytest.mark.parametrize("name", ["../../etc", "/etc", "", ".", "0-x/../0-x", "0-y", "0-x\0", "2-x", "0-x"])
def test_folds_are_named_only_as_they_are_on_the_disk(run, name):
    change(run / "metrics.json", folds=[{"fold": "0-x"}, {"fold": name}])
    assert has(outcome(open_run, run), "metrics.json: expected folds of this run (0-x, 1-x)", repr(name))
    change(run / "fold-0-x" / "metrics.json", fold=f"{name}1")
    assert has(outcome(open_run, run, "0"), "fold-0-x", "expected folds of this run (0-x)")


def test_classes_in_another_order_are_noticed(made, tmp_path):
    run = shutil.copytree(made["classes"], tmp_path / "run")
    classes = list(open_run(run).outputs)
    change(run / "metrics.json", classes=classes)
    assert outcome(open_run, run) == ""
    change(run / "metrics.json", classes=classes[::-1])
    assert has(outcome(open_run, run), "metrics.json: its classes", "config.json")
    compared = write_run(tmp_path / "compared", emotion_rows(), classes=list(CLASSES[::-1]))
    assert has(outcome(read_run, compared), "metrics.json", "classes in another order")


def test_figures_of_another_network_or_corpus_are_noticed(run):
    for name, value in {"model": "attention_fcn", "corpus": "emodb"}.items():
        other = shutil.copytree(run, run.with_name(name))
        change(other / "metrics.json", **{name: value})
        assert has(outcome(open_run, other), f"metrics.json: its {name}: {value}", "config.json")


def test_chains_in_another_order_are_noticed(made, tmp_path):
    path = made["ratings"] / "fold-0-x" / "postprocess.json"
    whole = json.loads(path.read_text())
    names = tuple(whole["chains"])
    assert tuple(postprocess.load(path, names).chains) == names
    chains = dict(reversed(whole["chains"].items()))
    (tmp_path / "postprocess.json").write_text(json.dumps({**whole, "chains": chains}))
    with pytest.raises(UserError, match=f"postprocess.json: expected .* not of {', '.join(names)}"):
        postprocess.load(tmp_path / "postprocess.json", names)
    for text in OTHERS.values():
        (tmp_path / "postprocess.json").write_bytes(text.encode() if isinstance(text, str) else text)
        with pytest.raises(UserError, match=r"postprocess\.json: expected the post-processing of a run"):
            postprocess.load(tmp_path / "postprocess.json")


def test_a_model_of_another_number_of_outputs_is_refused(made):
    path = made["classes"] / "fold-0-x" / "model.keras"
    with pytest.raises(UserError, match="one of 4 outputs, not of 2: yes, no"):
        load_model(path, outputs=("yes", "no"))


@pytest.mark.parametrize("value", [None, True, 1.5, -1, "many", [], {}, 10**30, "a\0b"])
def test_configurations_with_any_other_value_are_refused_or_read(run, value):
    whole = json.loads((run / "config.json").read_text())
    for name in whole:
        (run / "config.json").write_text(json.dumps({**whole, name: value}))
        found = outcome(saved.load, run / "config.json")
        assert "config.json: expected the configuration of a run" in found or type(value) in (type(whole[name]), int)


def test_predict_and_evaluate_refuse_them_with_one_message(script, run, tmp_path):
    backend = ["--backend", keras.backend.backend()]
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, tone(0.5), RATE_HZ)
    for name, text in {"metrics.json": DEEP, "config.json": '{"seed": NaN}'}.items():
        other = shutil.copytree(run, run.with_name(f"with-{name}"))
        (other / name).write_text(text)
        for words in (
            ["predict.py", other, clip],
            ["evaluate.py", other],
            ["robustness.py", other, "--rooms", "exponential"],
        ):
            code, _, err = script(*words, *backend)
            assert code == 2 and err.count("error: ") == 1 and str(other / name) in err and "Traceback" not in err
