"""Choose the Keras backend of this process, and name the device that it computes on."""

import os
import sys
from functools import cache
from pathlib import Path

from zoo.errors import UserError, spelt, unknown
from zoo.utils import extras, freed_memory

BACKENDS = ("tensorflow", "jax", "torch")


def use_backend(name: str) -> None:
    """Choose the Keras backend of this process. Must come before anything imports keras.

    Raises UserError for an unknown backend, one that is not installed, or a keras already running on another.
    """
    name = spelt(name, BACKENDS)
    if name not in BACKENDS:
        raise unknown("backend", name, BACKENDS)
    if name != "tensorflow":  # which the package itself brings
        extras.need(name, f"the backend {name}", "choose another backend")
    if "keras" in sys.modules:
        import keras

        if keras.backend.backend() != name:
            raise UserError(f"keras already runs on {keras.backend.backend()!r} here; start a new process for {name!r}")
    if name == "jax" and "keras" not in sys.modules:
        freed_memory.keep()
    os.environ["KERAS_BACKEND"] = name


@cache
def announce_device(name: str = "") -> None:
    """Print what `device` returns to standard error, once."""
    print(device(name), file=sys.stderr)


def runtime_of_exports() -> str:
    """Return what computes the exports that this process has loaded."""
    return "tensorflow" if "tensorflow" in sys.modules else "onnxruntime"


def device(name: str = "") -> str:
    """Return the version of a backend, by default Keras's, and its device: "TensorFlow 2.21 on CPU".

    `name` may be onnxruntime too. Says when a GPU is there (a device file of NVIDIA or of WSL) that the backend does
    not use, and when CUDA_VISIBLE_DEVICES asks for one and none is there.
    """
    if not name:
        import keras

        name = keras.backend.backend()
    module = sys.modules[name]
    if name == "tensorflow":
        details = module.config.experimental.get_device_details
        devices = [f"GPU {details(gpu).get('device_name', '')}" for gpu in module.config.list_physical_devices("GPU")]
    elif name == "jax":
        devices = [
            f"{one.platform.upper()} {one.device_kind}" for one in module.local_devices() if one.platform != "cpu"
        ]
    elif name == "torch":
        devices = [f"GPU {module.cuda.get_device_name(number)}" for number in range(module.cuda.device_count())]
    else:  # ONNX Runtime's CPU build
        devices = []
    if devices:
        found = devices[0].rstrip() + (f" and {len(devices) - 1} more" if len(devices) > 1 else "")
    else:
        found = f"CPU{_why_no_gpu(name)}"
    version = ".".join(module.__version__.split(".")[:2])
    title = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch", "onnxruntime": "ONNX Runtime"}[name]
    return f"{title} {version} on {found}"


def _why_no_gpu(name: str) -> str:
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None and chosen.strip() in ("", "-1"):
        return ""  # the user's choice
    if any(path for pattern in ("nvidia[0-9]*", "dxg") for path in Path("/dev").glob(pattern)):
        advice = "--runtime tensorflow can use it" if name == "onnxruntime" else "install the backend's CUDA build"
        return f"; a GPU is there, but unused: {advice}"
    return "" if chosen is None else f"; CUDA_VISIBLE_DEVICES={chosen} asks for a GPU, but none is there"
