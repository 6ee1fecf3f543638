"""The line about backend and device, on devices that are made up."""

import sys
from fnmatch import fnmatch
from types import SimpleNamespace as Object

import keras
import pytest

from zoo.utils import backends

KIND = "NVIDIA H200"
TWO_GPUS = Object(
    list_physical_devices=lambda kind: ["gpu:0", "gpu:1"] if kind == "GPU" else [],
    experimental=Object(get_device_details=lambda device: {"device_name": KIND}),
)
ONE_GPU = Object(device_count=lambda: 1, get_device_name=lambda number: KIND)


def jax(platform):
    return Object(__version__="0.10.1", local_devices=lambda: [Object(platform=platform, device_kind=KIND)])


@pytest.fixture
def announced(monkeypatch, capsys):
    def announce(name, module):
        monkeypatch.setattr(keras.backend, "backend", lambda: name)
        monkeypatch.setitem(sys.modules, name, module)
        backends.announce_device.cache_clear()
        backends.announce_device()
        backends.announce_device()
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1
        return err.strip()

    yield announce
    backends.announce_device.cache_clear()


def test_the_gpu_of_each_backend_is_named(announced):
    tensorflow = Object(__version__="2.21.0", config=TWO_GPUS)
    assert announced("tensorflow", tensorflow) == f"TensorFlow 2.21 on GPU {KIND} and 1 more"
    assert announced("jax", jax("gpu")) == f"JAX 0.10 on GPU {KIND}"
    assert announced("torch", Object(__version__="2.13.0+cu130", cuda=ONE_GPU)) == f"PyTorch 2.13 on GPU {KIND}"


UNUSED = "; a GPU is there, but unused: install the backend's CUDA build"
ABSENT = "; CUDA_VISIBLE_DEVICES=0 asks for a GPU, but none is there"


@pytest.mark.parametrize(
    ("chosen", "files", "said"),
    [
        (None, [], ""),
        (None, ["nvidia0"], UNUSED),
        (None, ["dxg"], UNUSED),
        ("0", ["nvidia0"], UNUSED),
        ("0", [], ABSENT),
        ("-1", ["nvidia0"], ""),
        ("", ["nvidia0"], ""),
        ("", [], ""),
    ],
)
def test_a_gpu_that_is_unused_or_asked_for_and_absent_is_stated(announced, monkeypatch, chosen, files, said):
    monkeypatch.setattr(backends.Path, "glob", lambda _, pattern: (name for name in files if fnmatch(name, pattern)))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if chosen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert announced("jax", jax("cpu")) == f"JAX 0.10 on CPU{said}"


def test_onnx_runtime_names_the_runtime_that_can_use_a_gpu(monkeypatch):
    monkeypatch.setattr(backends.Path, "glob", lambda _, pattern: iter(["nvidia0"]))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", Object(__version__="1.31.1"))
    expected = "ONNX Runtime 1.31 on CPU; a GPU is there, but unused: --runtime tensorflow can use it"
    assert backends.device("onnxruntime") == expected
