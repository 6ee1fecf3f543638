"""What tests share: the real clips where they are there, and scripts as a user runs them, in this process."""

import gc
import os
import runpy
import sys
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# JAX's compiler takes most of its tests' time; what it makes without its slow passes computes the same.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")
# Nor is anything compiled twice, by the test processes side by side or in the next run.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).resolve().parents[1] / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
if "PYTEST_XDIST_WORKER" in os.environ:  # several processes share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import numpy as np
import pytest

# By its default, after every 700 new objects, the collector goes through modules and graphs that stay: a fifth of the
# tests' time.
gc.set_threshold(20_000)
ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"


def pytest_collection_modifyitems(items) -> None:
    """Files with slow tests come first: in the end no process waits long for another's last file."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def pytest_collection_finish() -> None:
    gc.freeze()  # all that was imported


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real speech. Tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("real speech (../shared/data) is not here")
    return SHARED


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Keeps the tests out of the user's cache and corpora."""
    monkeypatch.setenv("SPEECH_ZOO_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("SPEECH_CORPORA", raising=False)


@pytest.fixture(scope="session", autouse=True)
def small_figures():
    """Saves figures small, without a layout and as PNG alone: these take most of their time."""
    from zoo.reports import figures

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "DPI", 20)
        patch.setattr(figures, "LAYOUT", "none")
        patch.setattr(figures, "FORMATS", ("png",))
        yield


@pytest.fixture
def all_formats(monkeypatch):
    """Saves figures as PNG, SVG and PDF, as outside the tests."""
    from zoo.reports import figures

    monkeypatch.setattr(figures, "FORMATS", ("png", "svg", "pdf"))


@pytest.fixture
def script(monkeypatch, capsys, tmp_path):
    """Runs a script in an empty working folder; returns its exit code, standard output and standard error."""
    import keras

    monkeypatch.setenv("KERAS_BACKEND", keras.backend.backend())
    monkeypatch.chdir(tmp_path)

    def run(name, *words):
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / "scripts" / name), run_name="__main__")
        return ended.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
