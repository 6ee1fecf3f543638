"""Convert a signature of a SavedModel to ONNX, by tf2onnx."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.export.conversion import RefusedError, refusing
from zoo.serving.onnx_form import AGAIN

ONNX_OPSET = 17
LARGE_BYTES = 2**20  # of a weight that is put into the ONNX graph behind the conversion,
MOST_BYTES = 50 * 2**20  # where all such weights together have more than this


def onnx_of(source: Path, signature: str) -> bytes:
    """Convert a signature of the SavedModel in `source` to ONNX. Raises RefusedError for what it cannot hold.

    Large weights of large networks are converted as inputs and made initializers afterwards: tf2onnx copies constants
    many times over, to more than 22 GB for a speech encoder of 360 MB.
    """
    import onnx
    import tensorflow as tf
    import tf2onnx
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    module = tf.saved_model.load(str(source))  # without it, its variables would be gone
    function = module.signatures[signature]
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    inputs, outputs = ([tensor.name for tensor in tensors] for tensors in (frozen.inputs, frozen.outputs))
    graph = frozen.graph.as_graph_def()
    weights = _taken_out(graph)
    with refusing("ONNX: tf2onnx cannot convert it"):
        model, _ = tf2onnx.convert.from_graph_def(
            graph,
            input_names=[*inputs, *weights],
            output_names=outputs,
            opset=ONNX_OPSET,
            custom_op_handlers={"FloorDiv": (_floor_division, [])},
        )
    _put_back(model.graph, weights)
    names = {name: name.partition(":")[0] for name in inputs}
    described = [name + AGAIN * (name in names.values()) for name in sorted(function.structured_outputs)]
    _rename(model.graph, {**names, **dict(zip(outputs, described, strict=True))})
    foreign = sorted(_operations(model.graph) - {schema.name for schema in onnx.defs.get_all_schemas()})
    if foreign:
        raise RefusedError(f"ONNX: no operation for {', '.join(foreign)}")
    return model.SerializeToString()


def _taken_out(graph: Any) -> dict[str, np.ndarray]:
    """Make inputs of a large TensorFlow graph's large constants; return the constants by the names of their outputs."""
    import tensorflow as tf

    sizes = [node.attr["value"].tensor.ByteSize() if node.op == "Const" else 0 for node in graph.node]
    large = [node for node, size in zip(graph.node, sizes, strict=True) if size > LARGE_BYTES]
    if sum(size for size in sizes if size > LARGE_BYTES) <= MOST_BYTES:
        return {}
    found = {}
    for node in large:
        found[f"{node.name}:0"] = values = tf.make_ndarray(node.attr["value"].tensor)
        node.op = "Placeholder"
        node.attr["shape"].shape.CopyFrom(tf.TensorShape(values.shape).as_proto())
        del node.attr["value"]
    return found


def _put_back(graph: Any, weights: Mapping[str, np.ndarray]) -> None:
    """Make initializers of the inputs of an ONNX graph that are weights."""
    from onnx.numpy_helper import from_array

    kept = [one for one in graph.input if one.name not in weights]
    used = [one.name for one in graph.input if one.name in weights]
    del graph.input[:]
    graph.input.extend(kept)
    graph.initializer.extend(from_array(weights[name], name) for name in used)


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
