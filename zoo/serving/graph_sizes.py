"""Find tensors in a graph that constants make huge: Fill([100000, 100000], 0) is a few bytes in a file.

Sizes that depend on a request are bounded by it. Those of constants are worked out here without TensorFlow, through the
arithmetic of shapes and through calls of functions; numbers that a request or a variable decides are unknown (NaN).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

LARGEST_TENSOR = 2**28  # elements
_SMALL = 1_024  # elements of a tensor that may be a shape
_DEEPEST = 64  # of calls within each other
_MOST_NODES = 2_000_000  # looked at, over all calls

Values = Sequence[np.ndarray | None]


def _product(values: np.ndarray) -> float:
    return float(np.nanprod(np.maximum(values, 1.0)))


def _range(values: Values) -> float:
    start, limit, delta = values[:3]
    return 1.0 if start is None or limit is None or delta is None else abs(float((limit - start) / delta))


def _padded(paddings: np.ndarray) -> float:
    return _product(paddings.reshape(-1, 2).sum(axis=1))


def _sized_by(*places: int, count: Callable[[np.ndarray], float] = _product) -> Callable[[Values], float]:
    """Return the number of elements by the inputs at these places, as far as they are known."""
    return lambda values: float(np.prod([count(value) for n in places if (value := values[n]) is not None]))


# Operations whose output may be larger than their inputs: number of elements, at least.
_MAKERS: dict[str, Callable[[Values], float]] = {
    "BroadcastTo": _sized_by(1),
    "EmptyTensorList": _sized_by(0),
    "Fill": _sized_by(0),
    "IRFFT": _sized_by(1),
    "LinSpace": _sized_by(2),
    "OneHot": _sized_by(1),
    "Pad": _sized_by(1, count=_padded),
    "PadV2": _sized_by(1, count=_padded),
    "RFFT": _sized_by(1),
    "RaggedTensorToTensor": _sized_by(0),
    "Range": _range,
    "ScatterNd": _sized_by(2),
    "TensorListReserve": _sized_by(0, 1),
    "Tile": _sized_by(1),
    "UnsortedSegmentMax": _sized_by(2),
    "UnsortedSegmentSum": _sized_by(2),
}


def _filled(dims: np.ndarray, value: np.ndarray) -> np.ndarray:
    if _product(dims) > _SMALL:
        raise ValueError("no shape")
    return np.full(dims.astype(int), value)


_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Abs": np.abs,
    "Add": np.add,
    "AddV2": np.add,
    "Cast": lambda value: value,
    "ConcatV2": lambda *parts: np.concatenate(parts[:-1]),
    "Div": np.divide,
    "Exp": np.exp,
    "ExpandDims": lambda value, _: value[None],
    "Fill": _filled,
    "FloorDiv": np.floor_divide,
    "Identity": lambda value: value,
    "Max": lambda value, _: np.nanmax(value),
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Pack": lambda *parts: np.stack(parts),
    "Pow": np.power,
    "Prod": lambda value, _: _product(value),
    "RealDiv": np.divide,
    "Reshape": lambda value, shape: value.reshape(shape.astype(int)),
    "Square": np.square,
    "Squeeze": np.squeeze,
    "StopGradient": lambda value: value,
    "Sub": np.subtract,
    "Sum": lambda value, _: np.nansum(value),
}


def huge_tensor(graph: Any) -> str | None:
    """Return what is wrong with a graph (GraphDef): a node and its number of elements; None where nothing is."""
    functions = {function.signature.name: function for function in graph.library.function}
    search = _Search(functions)
    try:
        found = search.through(graph.node, {}, 0)
        for function in functions.values():
            found = found or search.through(function.node_def, {}, 0)
    except RecursionError:
        return "calls or sizes that depend on each other without an end"
    return found


class _Search:
    def __init__(self, functions: Mapping[str, Any]):
        self.functions, self.looked_at = functions, 0

    def through(self, nodes: Iterable[Any], given: Mapping[str, np.ndarray | None], depth: int) -> str | None:
        """Look at nodes; `given` are the values of a function's arguments, by name."""
        by_name = {node.name: node for node in nodes}
        values: dict[str, np.ndarray | None] = dict(given)
        for node in by_name.values():
            self.looked_at += 1
            if self.looked_at > _MOST_NODES:
                return f"more than {_MOST_NODES} operations"
            inputs = [item for item in node.input if not item.startswith("^")]
            if node.op in _MAKERS:
                elements = _elements(node.op, [_value(name, by_name, values) for name in inputs])
                if elements > LARGEST_TENSOR:
                    return f"a tensor of {elements:.3g} elements ({node.name})"
            found = self.calls(node, [_value(name, by_name, values) for name in inputs], depth)
            if found:
                return found
        return None

    def calls(self, node: Any, inputs: Values, depth: int) -> str | None:
        """Look through the functions that a node calls with constants."""
        called = [value.func.name for value in node.attr.values() if value.func.name in self.functions]
        if not called or all(value is None for value in inputs):
            return None  # each function is looked through by itself
        if depth > _DEEPEST:
            return f"calls within each other, more than {_DEEPEST} deep ({node.name})"
        for function in map(self.functions.__getitem__, called):
            names = [argument.name for argument in function.signature.input_arg]
            conditions = max(0, len(inputs) - len(names))  # of If: the first input is no argument
            found = self.through(function.node_def, dict(zip(names, inputs[conditions:], strict=False)), depth + 1)
            if found:
                return found
        return None


def _elements(operation: str, inputs: Values) -> float:
    try:
        return _MAKERS[operation](inputs)
    except (IndexError, ValueError, ZeroDivisionError, OverflowError, FloatingPointError):
        return 1.0  # no valid node: TensorFlow says so


def _value(name: str, nodes: Mapping[str, Any], values: dict[str, np.ndarray | None]) -> np.ndarray | None:
    """Return the value of an input, float64; None where it is unknown."""
    name = name.partition(":")[0]
    if name in values:
        return values[name]
    values[name] = None  # of a loop
    node = nodes.get(name)
    if node is None:
        return None
    if node.op == "Const":
        values[name] = _constant(node.attr["value"].tensor)
    elif node.op in _ARITHMETIC:
        inputs = [_value(item, nodes, values) for item in node.input if not item.startswith("^")]
        values[name] = _computed(node.op, inputs)
    return values[name]


def _constant(tensor: Any) -> np.ndarray | None:
    from google.protobuf.message import Error
    from tensorflow.python.framework.tensor_util import MakeNdarray

    if np.prod([max(item.size, 1) for item in tensor.tensor_shape.dim], dtype=float) > _SMALL:
        return None
    try:
        return np.asarray(MakeNdarray(tensor), np.float64)
    except (TypeError, ValueError, Error):  # text, or no valid tensor
        return None


def _computed(operation: str, inputs: Values) -> np.ndarray | None:
    known = [np.asarray(np.nan) if value is None else value for value in inputs]
    if operation != "Pack" and any(value is None for value in inputs):
        return None
    try:
        with np.errstate(all="ignore"):
            found = np.asarray(_ARITHMETIC[operation](*known), np.float64)
    except (TypeError, ValueError, IndexError):
        return None
    return found if found.size <= _SMALL else None
