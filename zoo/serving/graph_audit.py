"""Check a SavedModel before it is loaded: its own files only, known operations, tensors of a sane size.

A graph runs when it is called, and TensorFlow has operations that read and write files, open sockets and run Python.
Only those that exports of the zoo need are accepted, wherever in the file they are.
"""

import re
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.serving.graph_sizes import LARGEST_TENSOR, huge_tensor

LARGEST_GRAPH_BYTES = 256 * 2**20

# Arithmetic, shapes, control flow and WAV decoding; nothing that touches files, network, Python or the host.
OPERATIONS = frozenset(
    """
    Abs Add AddN AddV2 All Any ArgMax Assert AudioSpectrogram AvgPool BatchMatMulV2 BatchMatMulV3 BatchToSpaceND BiasAdd
    BroadcastArgs BroadcastTo Cast Ceil ClipByValue Complex ComplexAbs Concat ConcatOffset ConcatV2 Conj Const Conv2D
    Cumsum DecodeWav DepthwiseConv2dNative Div DivNoNan Einsum Elu EmptyTensorList Equal Erf Exp ExpandDims Expm1 FFT
    Fill Floor FloorDiv FloorMod FusedBatchNormV3 Gather GatherNd GatherV2 Greater GreaterEqual IFFT IRFFT Identity
    IdentityN If Imag IsFinite IsInf IsNan LeakyRelu Less LessEqual LinSpace Log Log1p LogSoftmax LogicalAnd LogicalNot
    LogicalOr LoopCond MatMul Max MaxPool Maximum Mean Min Minimum MirrorPad Mul Neg NextIteration NoOp NotEqual OneHot
    OnesLike Pack Pad PadV2 PartitionedCall Placeholder PlaceholderWithDefault Pow Prod RFFT RaggedGather RaggedRange
    RaggedTensorFromVariant RaggedTensorToTensor RaggedTensorToVariant Range Rank ReadVariableOp Real RealDiv Reciprocal
    Relu Relu6 Reshape ReverseSequence ReverseV2 Round Rsqrt ScatterNd Select SelectV2 Selu Shape ShapeN Sigmoid Sign
    Sin Size Slice Softmax Softplus Softsign SpaceToBatchND Split SplitV Sqrt Square SquaredDifference Squeeze
    StatefulPartitionedCall StatelessIf StatelessWhile StopGradient StridedSlice Sub Sum Switch Tanh
    TensorListConcatV2 TensorListFromTensor TensorListGather TensorListGetItem TensorListLength TensorListReserve
    TensorListSetItem TensorListStack TensorScatterUpdate Tile TopKV2 Transpose Unpack UnsortedSegmentMax
    DecodeRaw StringJoin StringLength Substr UnsortedSegmentSum VarHandleOp VarIsInitializedOp Where While Xdivy
    ZerosLike
    """.split()  # noqa: SIM905  a hundred quoted names would be no clearer
)
# TensorFlow's loaders restore the weights by these, in functions that no signature reaches.
SAVER_OPERATIONS = OPERATIONS | frozenset(
    """
    AssignVariableOp DisableCopyOnRead MergeV2Checkpoints RestoreV2 SaveV2 ShardedFilename StaticRegexFullMatch
    StringJoin
    """.split()  # noqa: SIM905
)

# What TensorFlow itself writes into a saver: keys of variables, and endings of files.
_SAVER_TEXT = re.compile(rb"|\.part|_temp/part|_CHECKPOINTABLE_OBJECT_GRAPH|[\w.-]+(/[\w.-]+)*/\.ATTRIBUTES/[\w.-]+")


def check(folder: Path) -> None:
    """Look through a SavedModel without loading it.

    Raises UserError for a file that is absent, lies outside the folder, is no SavedModel, or holds an operation, an
    asset or a tensor that exports of the zoo do not have.
    """
    _check_places(folder)
    path = folder / "saved_model.pb"
    graph = _parsed(path)
    if len(graph.meta_graphs) != 1 or graph.meta_graphs[0].asset_file_def:
        raise _refusal(path, f"{len(graph.meta_graphs)} graphs, or files that the graph reads")
    meta = graph.meta_graphs[0]
    if not meta.HasField("object_graph_def"):  # TensorFlow would run the saver's node, whatever that does
        raise _refusal(path, "a graph without its objects, as TensorFlow 1 wrote them")
    own = {meta.saver_def.save_tensor_name.partition(":")[0], meta.saver_def.restore_op_name} - {""}
    # The functions that the saver's own two nodes call, with the checkpoint's name from whoever loads.
    savers = called(node for node in meta.graph_def.node if node.name in own)
    _check_nodes(path, meta.graph_def.node, OPERATIONS)
    _check_saver(path, meta, own, savers)
    for function in meta.graph_def.library.function:
        _check_nodes(path, function.node_def, SAVER_OPERATIONS if function.signature.name in savers else OPERATIONS)
        if savers & called(function.node_def):
            raise _refusal(path, f"the function {function.signature.name}, which reads or writes files")
    exposed = savers.intersection(meta.object_graph_def.concrete_functions)
    if exposed:
        raise _refusal(path, f"the function {min(exposed)}, which reads or writes files, to be called by anyone")
    _check_objects(path, meta.object_graph_def)
    if found := huge_tensor(meta.graph_def):
        raise _refusal(path, found)


def operations(folder: Path) -> set[str]:
    """Return the names of all operations of a SavedModel, its saver's too."""
    graph = _parsed(folder / "saved_model.pb").meta_graphs[0].graph_def
    return {node.op for part in (graph.node, *(item.node_def for item in graph.library.function)) for node in part}


def _check_places(folder: Path) -> None:
    for path in (folder / "saved_model.pb", folder / "variables" / "variables.index"):
        if not path.is_file():
            raise UserError(f"{path}: expected an exported model, found no such file; export it with scripts/export.py")
    for path in folder.rglob("*"):
        if not path.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{path}: leads out of its folder, to {path.resolve()}; refused. Export the run again")


def _parsed(path: Path) -> Any:
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    if path.stat().st_size > LARGEST_GRAPH_BYTES:
        raise _refusal(path, f"{path.stat().st_size} bytes, more than {LARGEST_GRAPH_BYTES}")
    try:
        return saved_model_pb2.SavedModel.FromString(path.read_bytes())
    except DecodeError as error:
        raise _refusal(path, "a file that is no SavedModel") from error


def _check_saver(path: Path, meta: Any, own: set[str], savers: set[str]) -> None:
    """The saver may read and write only where whoever loads says: its file name is a placeholder, nothing else's."""
    filename = meta.saver_def.filename_tensor_name.partition(":")[0]
    for node in meta.graph_def.node:
        calls = savers & called([node])
        if calls and (node.name not in own or list(node.input[:1]) != [filename]):
            raise _refusal(path, f"a call of the saver's function {min(calls)} ({node.name})")
        if node.name == filename and node.op not in ("Placeholder", "PlaceholderWithDefault"):
            raise _refusal(path, f"a file name of its own for the saver ({node.op})")
    for function in meta.graph_def.library.function:
        if function.signature.name in savers:
            _check_file_names(path, function)


def _check_file_names(path: Path, function: Any) -> None:
    """In a saver's function, every file's name is its first argument, or that and what TensorFlow appends to it."""
    given = function.signature.input_arg[0].name
    for node in function.node_def:
        names = {"RestoreV2": node.input[:1], "MergeV2Checkpoints": node.input[1:2]}.get(node.op, [given])
        if list(names) != [given]:
            raise _refusal(path, f"a file name of its own for {node.op} ({node.name})")
        texts = node.attr["value"].tensor.string_val if node.op == "Const" else ()
        if any(not _SAVER_TEXT.fullmatch(text) for text in texts):
            raise _refusal(path, f"a text of its own in the saver ({node.name})")


def called(nodes: Iterable[Any]) -> set[str]:
    """Return the names of the functions that nodes of a graph call."""
    values = (value for node in nodes for value in node.attr.values())
    functions = [item for value in values for item in (value.func, *value.list.func)]
    return {function.name for function in functions if function.name}


def _check_nodes(path: Path, nodes: Iterable[Any], allowed: frozenset[str]) -> None:
    for node in nodes:
        if node.op not in allowed:
            raise _refusal(path, f"the operation {node.op} ({node.name})")
        for key in ("value", "shape"):
            if key in node.attr:
                shape = node.attr[key].tensor.tensor_shape if key == "value" else node.attr[key].shape
                _check_size(path, node.name, shape)


def _check_objects(path: Path, objects: Any) -> None:
    for node in objects.nodes:
        kind = node.WhichOneof("kind") or "none"
        if kind == "variable":
            _check_size(path, node.variable.name, node.variable.shape)
        if node.registered_name not in ("", "tf.TrackableConstant") or kind in ("asset", "resource"):
            raise _refusal(path, f"an object of the kind {node.registered_name or kind}")


def _check_size(path: Path, name: str, shape: Any) -> None:
    elements = prod(max(item.size, 1) for item in shape.dim)
    if elements > LARGEST_TENSOR:
        raise _refusal(path, f"a tensor of {elements} elements ({name})")


def _refusal(path: Path, found: str) -> UserError:
    return UserError(
        f"{path}: expected a model as scripts/export.py writes it, found {found}. It was not loaded; get it from a "
        "source you trust, or export the run again"
    )
