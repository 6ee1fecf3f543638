"""Runs and their exports that several test files share, each made once in a process."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def quick_check():
    """The check before publishing, on fewer requests: Keras traces each length."""
    import keras

    if keras.backend.backend() != "tensorflow":
        yield
        return
    from quick_check import checked_with

    with checked_with((0.0, 0.7), (1, 2)):
        yield


@pytest.fixture(scope="session")
def exported(tmp_path_factory, quick_check):
    """Return a function that makes a tiny run of two folds (or `n_folds`) and its export, by the options of export."""
    import tiny_rows

    from zoo.export.export import export

    def make(name, n_folds=2, flags=(), **options):
        folder = tmp_path_factory.mktemp(name)
        run = tiny_rows.make(folder / "run", name, n_folds=n_folds, **dict(flags))
        return run, export(run, folder / name, **options)

    return make


@pytest.fixture(scope="session")
def emotion(exported):
    """On log-Mel energies, its probabilities softened."""
    return exported("fcn", temperature=1.7)


@pytest.fixture(scope="session")
def ratings(exported):
    """On waveforms, with post-processing and the raters' delay; it has the signature "stream"."""
    return exported("conv_lstm", flags={"label_delay_seconds": 0.12}, with_postprocess=True)


@pytest.fixture(scope="session")
def functionals(exported):
    """On openSMILE's functionals."""
    return exported("lstm_drnn", n_folds=1, fold="0")
