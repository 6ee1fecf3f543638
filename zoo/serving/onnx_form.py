"""Run the ONNX form of an export by ONNX Runtime, which starts within a fraction of a second.

An export may hold its main signature a second time, as assets.extra/model.onnx, for processes that start often. The
form has no assertions: who calls it has checked the recording (zoo.data.audio.recording), as prediction does.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import UserError

_INSTEAD = "Choose the runtime tensorflow, or export again"
AGAIN = "_1"  # ends the name of an output that an input has too


class OnnxForm:
    """A signature in ONNX: name -> array to name -> array. Raises UserError for a file that is no such model."""

    def __init__(self, path: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library's exceptions share no class
            raise UserError(f"{path}: ONNX Runtime cannot load it ({_first_line(error)}). {_INSTEAD}") from error
        self._path = path
        self._inputs = [item.name for item in self._session.get_inputs()]
        self._outputs = [item.name for item in self._session.get_outputs()]

    def __call__(self, request: Mapping[str, Any]) -> dict[str, np.ndarray]:
        try:
            answers = self._session.run(self._outputs, {name: np.asarray(request[name]) for name in self._inputs})
        except Exception as error:
            raise UserError(f"{self._path}: ONNX Runtime cannot run it ({_first_line(error)}). {_INSTEAD}") from error
        return dict(zip(map(self._name, self._outputs), answers, strict=True))

    def _name(self, output: str) -> str:
        name = output.removesuffix(AGAIN)
        return name if name in self._inputs else output


def is_installed() -> bool:
    """Say whether ONNX Runtime is there; it is not imported."""
    return find_spec("onnxruntime") is not None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
