"""What the tests of bad input share: corpora to spoil, and the scripts as a user runs them, in this process."""

import runpy
import shutil
import sys

import keras
import pytest
from spoil import SCRIPTS

from zoo.data.synthetic import synthesize


@pytest.fixture(scope="session")
def twins(tmp_path_factory):
    """Small synthetic corpora by name. EmoDB's ten speakers have one clip of each of the seven emotions."""
    folder = tmp_path_factory.mktemp("twins")
    sizes = {"emodb": 70, "iemocap": 50, "aibo": 40}
    return {name: synthesize(name, folder / name, n, seconds=(0.3, 0.4)) for name, n in sizes.items()}


@pytest.fixture
def emodb(twins, tmp_path):
    """A copy of the synthetic EmoDB to spoil."""
    return shutil.copytree(twins["emodb"], tmp_path / "mine" / "emodb")


@pytest.fixture
def script(monkeypatch, capsys, tmp_path):
    """Runs a script in an empty working folder; returns its exit code, standard output and standard error."""
    monkeypatch.setenv("KERAS_BACKEND", keras.backend.backend())
    monkeypatch.chdir(tmp_path)

    def run(name, *words):
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPTS / name), run_name="__main__")
        return ended.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def refused(script):
    """Runs a script that must end with exit code 2 and one message, and returns the message."""

    def run(name, *words):
        backend = ["--backend", keras.backend.backend()] if name == "train.py" and "--backend" not in words else []
        code, _, err = script(name, *words, *backend)
        progress, _, message = err.partition("error: ")
        assert code == 2 and message and "error: " not in message and "Traceback" not in err
        assert progress == "" or progress.endswith("\n")
        return message

    return run
