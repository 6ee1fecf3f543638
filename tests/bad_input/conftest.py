"""Corpora to damage, and scripts that refuse them."""

import shutil

import keras
import pytest

from zoo.data.synthetic.corpora import synthesize


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
