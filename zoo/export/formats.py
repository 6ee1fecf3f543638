"""Export a trained run for runtimes other than TensorFlow, each of which is compared with the run first.

    onnx        OUT/N/model.onnx                  onnxruntime, by tf2onnx
    openvino    OUT/N/model.xml, model.bin        OpenVINO, which reads the SavedModel by itself
    litert      OUT/N/model.tflite                LiteRT without TensorFlow's operations, by TensorFlow's converter

They are converted from the SavedModel's default signature, and inputs and outputs keep their names. None of these
formats has assertions: for input that the SavedModel refuses (NaN, audio that is too short) the output is meaningless.
"""

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from zoo.errors import UserError, unknown
from zoo.export import trained_run
from zoo.export.requests import Inputs, default_requests
from zoo.export.trained_run import Trained
from zoo.layers.masking import layers_of
from zoo.serving import saved_model
from zoo.serving.description import DESCRIPTION
from zoo.serving.onnx_form import AGAIN, OnnxForm
from zoo.serving.saved_model import Exported
from zoo.serving.versions import new_version

TOLERANCE = 1e-4
ONNX_OPSET = 17
_MAIN = ("serving_default", "all_targets")  # signatures that other formats hold
Answers = list[dict[str, np.ndarray]]


class RefusedError(UserError):
    """A network that a format cannot hold, or a runtime cannot run; the message says why."""


@dataclass(frozen=True)
class Format:
    """A format's packages, which an extra of the same name installs, and how it is written and run.

    `write` is (SavedModel's folder, folder) -> file; `run` is (file, requests) -> answers. `direct` says that long
    convolutions are written without FFTs, which it cannot hold.
    """

    packages: tuple[str, ...]
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
    with TemporaryDirectory(prefix="export-") as place:
        exported = saved_model.load(saved.export(run, Path(place) / "saved", fold, **options))
        direct = FORMATS[format].direct
        source = without_transforms(trained_run.load(run, fold), exported, Path(place)) if direct else exported.folder
        with new_version(out, version) as (aside, final):
            convert(source, format, aside, exported)
            shutil.copytree(exported.folder / "assets", aside / DESCRIPTION.parent)
    return final


def check_installed(format: str) -> None:
    """Raise UserError for an unknown format, or one with packages that are not installed."""
    if format not in FORMATS:
        raise unknown("--format", format, ["saved_model", *FORMATS])
    absent = [package for package in FORMATS[format].packages if find_spec(package) is None]
    if absent:
        raise UserError(
            f"--format {format} needs {', '.join(absent)}: pip install -e '.[{format}]', or choose another format"
        )


def convert(source: Path, format: str, folder: Path, expected: Exported) -> Path:
    """Write the SavedModel in `source` in a format into `folder`, and compare its answers with those of `expected`.

    Raises RefusedError where they differ, or the format cannot hold it.
    """
    requests = default_requests(expected)
    path = FORMATS[format].write(source, folder)
    check_alike(format, requests, FORMATS[format].run(path, [inputs for inputs, _ in requests]), TOLERANCE)
    return path


def check_alike(
    format: str, requests: Sequence[tuple[Inputs, dict[str, np.ndarray]]], answers: Answers, tolerance: float
) -> None:
    """Raise RefusedError where answers in a format differ from those expected, beside the inputs, by more than that."""
    for (inputs, right), answer in zip(requests, answers, strict=True):
        for name, values in right.items():
            found, same_shape = answer[name], answer[name].shape == values.shape
            if not (same_shape and np.allclose(found, values, rtol=0, atol=tolerance)):
                shape = np.shape(next(iter(inputs.values())))
                difference = f"{np.abs(found - values).max():.2g}" if same_shape else f"its shape, {found.shape}"
                raise RefusedError(
                    f"{format}: {name} for a request of shape {shape} differs from the run's by {difference}, expected "
                    f"at most {tolerance:g}; it was not written. Use another format"
                )


def without_transforms(trained: Trained, exported: Exported, place: Path) -> Path:
    """Save a run again, its long convolutions computed directly; where it has none, `exported` is as good."""
    import tensorflow as tf

    from zoo.export import signatures
    from zoo.export.agreement import plan_of

    long = [layer for network in trained.networks for layer in layers_of(network) if hasattr(layer, "method")]
    if not long:
        return exported.folder
    for layer in long:
        layer.method = "direct"
    module, functions = signatures.build(trained.frontend, trained.networks, plan_of(exported.description))
    main = {name: function for name, function in functions.items() if name in _MAIN}
    tf.saved_model.save(module, str(place / "direct"), signatures=main)
    return place / "direct"


def _write_onnx(source: Path, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(onnx_of(source, "serving_default"))
    return path


def onnx_of(source: Path, signature: str) -> bytes:
    """Convert a signature of the SavedModel in `source` to ONNX. Raises RefusedError for what it cannot hold."""
    import onnx
    import tensorflow as tf
    import tf2onnx
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    module = tf.saved_model.load(str(source))  # without it, its variables would be gone
    function = module.signatures[signature]
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    inputs, outputs = ([tensor.name for tensor in tensors] for tensors in (frozen.inputs, frozen.outputs))
    with _refusing("ONNX: tf2onnx cannot convert it"):
        model, _ = tf2onnx.convert.from_graph_def(
            frozen.graph.as_graph_def(),
            input_names=inputs,
            output_names=outputs,
            opset=ONNX_OPSET,
            custom_op_handlers={"FloorDiv": (_floor_division, [])},
        )
    names = {name: name.partition(":")[0] for name in inputs}
    described = [name + AGAIN * (name in names.values()) for name in sorted(function.structured_outputs)]
    _rename(model.graph, {**names, **dict(zip(outputs, described, strict=True))})
    foreign = sorted(_operations(model.graph) - {schema.name for schema in onnx.defs.get_all_schemas()})
    if foreign:
        raise RefusedError(f"ONNX: no operation for {', '.join(foreign)}")
    return model.SerializeToString()


def _floor_division(context: Any, node: Any, name: str, arguments: Any) -> None:
    """Convert FloorDiv: ONNX divides whole numbers towards zero and tf2onnx leaves it so, -7 // 2 would be -3."""
    left, right = node.input
    made = {"shapes": [context.get_shape(node.output[0])], "dtypes": [context.get_dtype(node.output[0])]}
    last = {**made, "outputs": [node.output[0]], "name": name}
    is_float = context.get_dtype(left) in (1, 10, 11)  # onnx.TensorProto.FLOAT, FLOAT16, DOUBLE
    context.remove_node(name)
    if is_float:
        context.make_node("Floor", context.make_node("Div", [left, right], **made).output, **last)
        return
    rest = context.make_node("Mod", [left, right], **made)
    whole = context.make_node("Sub", [left, rest.output[0]], **made)
    context.make_node("Div", [whole.output[0], right], **last)


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    """Rename tensors of an ONNX graph, in the bodies of its loops too."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _rename(inner, names)


def _operations(graph: Any) -> set[str]:
    """Return the operations of an ONNX graph, those in the bodies of its loops too."""
    inner = (part for node in graph.node for item in node.attribute for part in (item.g, *item.graphs))
    return {node.op_type for node in graph.node}.union(*map(_operations, inner))


def _run_onnx(path: Path, requests: Sequence[Inputs]) -> Answers:
    with _refusing("ONNX: onnxruntime cannot run it"):
        form = OnnxForm(path)
        return [form(request) for request in requests]


def openvino_answers(source: Path, requests: Sequence[Inputs]) -> Answers:
    """Run requests in OpenVINO, which reads a SavedModel's folder or an .xml file by itself; in float32.

    Raises UserError where it is not installed, RefusedError for what it cannot read or run.
    """
    check_installed("openvino")
    import openvino

    with _refusing("OpenVINO cannot run it", _openvino_reason):
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
    with _refusing("OpenVINO cannot read it", _openvino_reason):
        openvino.save_model(openvino.Core().read_model(str(source)), str(path), compress_to_fp16=False)
    return path


def _openvino_reason(message: str) -> str | None:
    operation = re.search(r"No translator found for:?\s*([\w, ]+)", message)
    return f"no operation {operation[1].strip()}" if operation else None


def _write_litert(source: Path, folder: Path) -> Path:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(source), signature_keys=["serving_default"])
    path = folder / "model.tflite"
    with _refusing("LiteRT", _litert_reason):
        path.write_bytes(converter.convert())
    return path


def _litert_reason(message: str) -> str | None:
    matches = re.findall(r"'tf\.(\w+)' op|op:? (Flex\w+)|operation 'tf\.(\w+)'", message)
    named = sorted({name for match in matches for name in match if name})
    return f"op {', '.join(named)} needs TensorFlow's own (Flex)" if named else None


def _run_litert(path: Path, requests: Sequence[Inputs]) -> Answers:
    from ai_edge_litert.interpreter import Interpreter

    with _refusing("LiteRT cannot run it"):
        run = Interpreter(model_path=str(path)).get_signature_runner("serving_default")
        return [{name: np.array(value) for name, value in run(**request).items()} for request in requests]


@contextmanager
def _refusing(what: str, reason: Callable[[str], str | None] = lambda message: None) -> Iterator[None]:
    """Raise RefusedError with a library's reason, by default the first line of its error, for whatever it raises."""
    try:
        yield
    except Exception as error:  # the libraries' exceptions share no class
        first, *_ = str(error).strip().splitlines() or [type(error).__name__]
        raise RefusedError(f"{what}: {reason(str(error)) or first.strip()[:300]}") from error


FORMATS = {
    "onnx": Format(("tf2onnx", "onnx", "onnxruntime"), _write_onnx, _run_onnx, direct=True),
    "openvino": Format(("openvino",), _write_openvino, openvino_answers),
    "litert": Format(("ai_edge_litert",), _write_litert, _run_litert, direct=True),
}
