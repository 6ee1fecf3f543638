"""Words the command line does not know, and values that do not fit."""

import subprocess
import sys

import keras
import pytest
from spoil import SCRIPTS, SMALL, has

from zoo import registry
from zoo.data.corpora import registry as corpora
from zoo.utils import backends, extras


@pytest.mark.parametrize("fold", ["11", "0,11", "-1", "0-03", "0,"])
def test_unknown_fold_lists_the_folds(refused, twins, fold):
    message = refused("train.py", "--corpus", "emodb", "--data-root", twins["emodb"], f"--fold={fold}")
    words = "" if "," in fold else ", all"  # which stands by itself
    assert has(message, "unknown --fold", f"Known: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9{words}")


@pytest.mark.parametrize("other", [name for name in ("jax", "torch") if name != keras.backend.backend()])
def test_backend_that_is_not_installed(refused, monkeypatch, other):
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == other else object())
    message = refused("train.py", "--synthetic", "--backend", other)
    assert has(message, f"the backend {other} needs {other}, found none", f"'speech-emotion-zoo[{other}]'")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--model", "fnc"], ["unknown model 'fnc'", "Did you mean 'fcn'?", *registry.MODELS]),
        (["--corpus", "emobd"], ["unknown corpus 'emobd'", "Did you mean 'emodb'?", *corpora.CORPORA]),
        (["--protocol", "iemocap-4"], ["unknown emodb protocol 'iemocap-4'", "emodb-speakers"]),
        (["--backend", "theano"], ["unknown --backend 'theano'", *backends.BACKENDS]),
        (["--recipe", "best"], ["unknown recipe of fcn 'best'", "paper", "tuned"]),
        (["--class-weights", "inverted"], ["unknown --class-weights 'inverted'", "'inverse'", "balanced", "none"]),
        (["--class-weights", "angry=2"], ["unknown class in --class-weights 'angry'", "'anger'", "boredom"]),
        (["--class-weights", "anger=-1"], ["--class-weights: anger has '-1', expected a positive number"]),
        (["--class-weights", "anger=2,fear=1"], ["--class-weights: no weight for ", "sadness", "expected one for"]),
        (["--option", "dropot=0.1"], ["unknown option of fcn 'dropot'", "Did you mean 'dropout'?", "kernel_size"]),
        (["--option", "dropout=2"], ["fcn cannot be built with {'dropout': 2}", "dropout is 2, expected 0.0 to 1.0"]),
        (["--option", "fcn=false"], ["fcn cannot be built with {'fcn': False}", "needs the fcn stream"]),
        (["--bands", "8000"], ["front-end", "8000 htk bands are too narrow for a window of 400", "use fewer"]),
        (["--clips", "7", "--synthetic"], ["takes 70 to 4200 clips", "7 were asked for", "--clips"]),
    ],
)
def test_unknown_names_and_values_that_do_not_fit_are_refused(refused, twins, words, parts):
    data = [] if "--synthetic" in words else ["--data-root", twins["emodb"]]
    assert has(refused("train.py", *SMALL, *data, *words), *parts)


def test_process_ends_with_2_and_one_message(tmp_path):
    command = [sys.executable, SCRIPTS / "predict.py", "absent", "clip.wav"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 2 and ended.stdout == "" and "Traceback" not in ended.stderr
    assert ended.stderr.startswith("error: unknown model 'absent'. Known: ") and ended.stderr.count("\n") == 1
    assert ended.stderr.endswith("; nor is a folder of this name here\n")
    assert list(tmp_path.iterdir()) == []
