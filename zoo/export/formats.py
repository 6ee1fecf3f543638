"""Export a trained run for runtimes other than TensorFlow, each of which is compared with the run first.

    onnx        OUT/N/model.onnx                  onnxruntime, by tf2onnx
    openvino    OUT/N/model.xml, model.bin        OpenVINO, which reads the SavedModel by itself
    litert      OUT/N/model.tflite                LiteRT without TensorFlow's operations, by TensorFlow's converter

They are converted from the SavedModel's default signature, and inputs and outputs keep their names. None of these
formats has assertions: for input that the SavedModel refuses (NaN, audio that is too short) the output is meaningless.
"""

import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from zoo.errors import unknown
from zoo.export import conversion, trained_run
from zoo.export.conversion import Answers, check_alike, refusing, without_transforms
from zoo.export.onnx_writer import onnx_of
from zoo.export.requests import Inputs, default_requests
from zoo.serving import saved_model
from zoo.serving.description import DESCRIPTION
from zoo.serving.onnx_form import AGAIN, OnnxForm
from zoo.serving.saved_model import Exported
from zoo.serving.versions import new_version

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Format:
    """How a format is written and run; an extra of its name installs what that takes.

    `write` is (SavedModel's folder, folder) -> file; `run` is (file, requests) -> answers. `direct` says that long
    convolutions are written without FFTs, which it cannot hold.
    """

    write: Callable[[Path, Path], Path]
    run: Callable[[Path, Sequence[Inputs]], Answers]
    direct: bool = False


def export(
    run: Path, out: Path, format: str, fold: str | None = None, version: int | None = None, **options: Any
) -> Path:
    """Write a run in another format and return its folder, `out`/N.

    `format` is a name in `FORMATS`; the other arguments are those of `export.export`, which first writes the run as a
    SavedModel. Raises UserError as that does, for an unknown format or a runtime that is not installed, and
    RefusedError for a network that the format cannot hold, or that answers otherwise in it.
    """
    from zoo.export import export as saved

    check_installed(format)
    trained = trained_run.load(run, fold)
    conversion.check_fits(format, [*trained.networks, trained.frontend])
    with TemporaryDirectory(prefix="export-") as place:
        exported = saved_model.load(saved.export(run, Path(place) / "saved", fold, **options))
        direct = FORMATS[format].direct
        source = exported.folder
        if direct:
            source = without_transforms(trained.frontend, trained.networks, exported, Path(place))
        with new_version(out, version) as (aside, final):
            convert(source, format, aside, exported)
            shutil.copytree(exported.folder / "assets", aside / DESCRIPTION.parent)
    return final


def check_installed(format: str) -> None:
    """Raise UserError for an unknown format, or one with packages that are not installed."""
    if format not in FORMATS:
        raise unknown("--format", format, ["saved_model", *FORMATS])
    conversion.check_installed(format)


def convert(source: Path, format: str, folder: Path, expected: Exported) -> Path:
    """Write the SavedModel in `source` in a format into `folder`, and compare its answers with those of `expected`.

    Raises RefusedError where they differ, or the format cannot hold it.
    """
    requests = default_requests(expected)
    path = FORMATS[format].write(source, folder)
    check_alike(format, requests, FORMATS[format].run(path, [inputs for inputs, _ in requests]), TOLERANCE)
    return path


def _write_onnx(source: Path, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(onnx_of(source, "serving_default"))
    return path


def _run_onnx(path: Path, requests: Sequence[Inputs]) -> Answers:
    with refusing("ONNX: onnxruntime cannot run it"):
        form = OnnxForm(path)
        return [form(request) for request in requests]


def openvino_answers(source: Path, requests: Sequence[Inputs]) -> Answers:
    """Run requests in OpenVINO, which reads a SavedModel's folder or an .xml file by itself; in float32.

    Raises UserError where it is not installed, RefusedError for what it cannot read or run.
    """
    check_installed("openvino")
    import openvino

    with refusing("OpenVINO cannot run it", _openvino_reason):
        model = openvino.Core().read_model(str(source))
        compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        found = [compiled(dict(request)).items() for request in requests]
    return [
        _named(request, ((name, rows) for port, rows in ports for name in port.get_names()))
        for request, ports in zip(requests, found, strict=True)
    ]


def _named(request: Inputs, answer: Iterable[tuple[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Remove what the format added to the names of outputs that an input has, too."""
    return {name.removesuffix(AGAIN) if name.removesuffix(AGAIN) in request else name: rows for name, rows in answer}


def _write_openvino(source: Path, folder: Path) -> Path:
    import openvino

    path = folder / "model.xml"
    with refusing("OpenVINO cannot read it", _openvino_reason):
        openvino.save_model(openvino.Core().read_model(str(source)), str(path), compress_to_fp16=False)
    return path


def _openvino_reason(message: str) -> str | None:
    operation = re.search(r"No translator found for:?\s*([\w, ]+)", message)
    return f"no operation {operation[1].strip()}" if operation else None


def _write_litert(source: Path, folder: Path) -> Path:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(source), signature_keys=["serving_default"])
    path = folder / "model.tflite"
    with refusing("LiteRT", _litert_reason):
        path.write_bytes(converter.convert())
    return path


def _litert_reason(message: str) -> str | None:
    matches = re.findall(r"'tf\.(\w+)' op|op:? (Flex\w+)|operation 'tf\.(\w+)'", message)
    named = sorted({name for match in matches for name in match if name})
    return f"op {', '.join(named)} needs TensorFlow's own (Flex)" if named else None


def _run_litert(path: Path, requests: Sequence[Inputs]) -> Answers:
    from ai_edge_litert.interpreter import Interpreter

    with refusing("LiteRT cannot run it"):
        run = Interpreter(model_path=str(path)).get_signature_runner("serving_default")
        return [{name: np.array(value) for name, value in run(**request).items()} for request in requests]


FORMATS = {
    "onnx": Format(_write_onnx, _run_onnx, direct=True),
    "openvino": Format(_write_openvino, openvino_answers),
    "litert": Format(_write_litert, _run_litert, direct=True),
}
