"""Runs and their exports that several test files share, each made once in a process."""

import keras
import pytest
import tiny_rows
from quick_check import checked_with

if keras.backend.backend() == "tensorflow":
    from zoo.export.export import export  # here, before a test replaces it in its module
else:  # exports are made by TensorFlow
    collect_ignore_glob = ["test_*"]


@pytest.fixture(scope="package", autouse=True)
def quick_check():
    """The check before publishing, on fewer requests: Keras traces each length."""
    with checked_with((0.0, 0.7), (1, 2)):
        yield


@pytest.fixture(scope="package")
def exported(tmp_path_factory, quick_check):
    """A function that makes a tiny run of a network and its export, by options of export, and returns their folders."""

    def make(name, n_folds=1, flags=(), **options):
        folder = tmp_path_factory.mktemp(name)
        run = tiny_rows.make(folder / "run", name, n_folds=n_folds, **dict(flags))
        return run, export(run, folder / name, **options)

    return make


@pytest.fixture(scope="package")
def emotion(exported):
    """On log-Mel energies, its probabilities softened."""
    return exported("fcn", n_folds=2, temperature=1.7)


@pytest.fixture(scope="package")
def ratings(exported):
    """On waveforms, with post-processing and the raters' delay; it has the signature "stream"."""
    return exported("conv_lstm", n_folds=2, flags={"label_delay_seconds": 0.12}, with_postprocess=True)


@pytest.fixture(scope="package")
def functionals(exported):
    """On openSMILE's functionals."""
    return exported("lstm_drnn", fold="0")
