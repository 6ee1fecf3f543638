"""TensorFlow's C API by ctypes: the C++ loader and session that serve a SavedModel, without TensorFlow's Python.

The libraries are those inside the installed tensorflow package, which is looked up but not imported. Their functions
are declared in tensorflow/c/c_api.h and tf_tstring.h.
"""

import ctypes
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

# tensorflow/c/tf_datatype.h
_FLOAT, _INT32, _STRING = 1, 3, 7
_DTYPES = {_FLOAT: np.dtype(np.float32), _INT32: np.dtype(np.int32)}
_STRING_BYTES = 24  # sizeof(TF_TString)

_POINTERS = """
TF_NewStatus TF_NewGraph TF_NewSessionOptions TF_NewBuffer TF_LoadSessionFromSavedModel TF_GraphOperationByName
TF_AllocateTensor TF_TensorData TF_GetAllOpList
""".split()  # noqa: SIM905
# What goes into each function, where ctypes would not know: without it, pointers are cut to 32 bits.
_ARGUMENTS = {
    "TF_LoadSessionFromSavedModel": "ppspippp",
    "TF_GraphOperationByName": "ps",
    "TF_AllocateTensor": "ipin",
    "TF_TensorData": "p",
    "TF_TensorByteSize": "p",
    "TF_TensorType": "p",
    "TF_NumDims": "p",
    "TF_Dim": "pi",
    "TF_DeleteTensor": "p",
    "TF_GetCode": "p",
    "TF_Message": "p",
    "TF_StringInit": "p",
    "TF_StringCopy": "psn",
    "TF_SessionRun": "ppppippipipp",
}


class _Output(ctypes.Structure):
    """TF_Output: one of an operation's outputs."""

    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class _Buffer(ctypes.Structure):
    """TF_Buffer: bytes of the library's."""

    _fields_ = (("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("deallocator", ctypes.c_void_p))


class Session:
    """A SavedModel, loaded. Raises RuntimeError with the library's words where something goes wrong."""

    def __init__(self, folder: Path):
        self._library, self._status = library(), library().TF_NewStatus()
        self._graph = self._library.TF_NewGraph()
        tags = (ctypes.c_char_p * 1)(b"serve")
        options, place = self._library.TF_NewSessionOptions(), str(folder).encode()
        self._session = self._library.TF_LoadSessionFromSavedModel(
            options, None, place, ctypes.cast(tags, ctypes.c_void_p), 1, self._graph, None, self._status
        )
        self._check()

    def run(self, feeds: Mapping[str, np.ndarray | Sequence[bytes]], fetches: Sequence[str]) -> list[np.ndarray]:
        """Returns the tensors named in `fetches`, such as "StatefulPartitionedCall:0", for those in `feeds`.

        Arrays are float32 or int32; strings are a list of bytes.
        """
        inputs = (_Output * len(feeds))(*map(self._output, feeds))
        outputs = (_Output * len(fetches))(*map(self._output, fetches))
        values = (ctypes.c_void_p * len(feeds))(*map(self._tensor, feeds.values()))
        results = (ctypes.c_void_p * len(fetches))()
        run = self._library.TF_SessionRun
        try:
            run(
                self._session, None, ctypes.addressof(inputs), ctypes.addressof(values), len(feeds),
                ctypes.addressof(outputs), ctypes.addressof(results), len(fetches), None, 0, None, self._status,
            )  # fmt: skip
            self._check()
            return [self._array(result) for result in results if result]
        finally:
            for tensor in (*values, *results):
                if tensor:
                    self._library.TF_DeleteTensor(tensor)

    def _output(self, name: str) -> _Output:
        operation, _, index = name.partition(":")
        found = self._library.TF_GraphOperationByName(self._graph, operation.encode())
        if not found:
            raise RuntimeError(f"the graph has no operation {operation}")
        return _Output(found, int(index))

    def _tensor(self, value: np.ndarray | Sequence[bytes]) -> int:
        if not isinstance(value, np.ndarray):
            return self._strings(value)
        value = np.asarray(value, order="C")  # ascontiguousarray would give scalars an axis
        code = next(code for code, dtype in _DTYPES.items() if dtype == value.dtype)
        tensor = self._allocate(code, value.shape, value.nbytes)
        ctypes.memmove(self._library.TF_TensorData(tensor), value.ctypes.data, value.nbytes)
        return tensor

    def _strings(self, texts: Sequence[bytes]) -> int:
        tensor = self._allocate(_STRING, (len(texts),), len(texts) * _STRING_BYTES)
        first = self._library.TF_TensorData(tensor)
        for number, text in enumerate(texts):
            place = first + number * _STRING_BYTES
            self._library.TF_StringInit(place)
            self._library.TF_StringCopy(place, text, len(text))
        return tensor

    def _allocate(self, code: int, shape: Sequence[int], n_bytes: int) -> int:
        sizes = (ctypes.c_int64 * len(shape))(*shape)
        return self._library.TF_AllocateTensor(code, ctypes.addressof(sizes), len(shape), n_bytes)

    def _array(self, tensor: int) -> np.ndarray:
        shape = [self._library.TF_Dim(tensor, axis) for axis in range(self._library.TF_NumDims(tensor))]
        size = self._library.TF_TensorByteSize(tensor)
        content = ctypes.string_at(self._library.TF_TensorData(tensor), size) if size else b""
        return np.frombuffer(content, _DTYPES[self._library.TF_TensorType(tensor)]).reshape(shape)

    def _check(self) -> None:
        if self._library.TF_GetCode(self._status):
            raise RuntimeError(self._library.TF_Message(self._status).decode(errors="replace"))


def all_operations() -> bytes:
    """Returns every operation that TensorFlow registers by itself, as a serialised tensorflow.OpList."""
    buffer = _Buffer.from_address(library().TF_GetAllOpList())
    return ctypes.string_at(buffer.data, buffer.length)


def library() -> ctypes.CDLL:
    """Loads TensorFlow's library, once. Raises RuntimeError where no tensorflow package, or no library in it, is."""
    package = find_spec("tensorflow")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("no tensorflow package is installed")
    for place in map(Path, package.submodule_search_locations):
        for name in ("libtensorflow_cc.so.2", "libtensorflow_cc.2.dylib", "python/_pywrap_tensorflow_internal.so"):
            if (place / name).is_file():
                return _declared(ctypes.CDLL(str(place / name)))
    raise RuntimeError("the tensorflow package holds no library with the C API")


def _declared(found: ctypes.CDLL) -> ctypes.CDLL:
    kinds = {"p": ctypes.c_void_p, "i": ctypes.c_int, "s": ctypes.c_char_p, "n": ctypes.c_size_t}
    for name, arguments in _ARGUMENTS.items():
        getattr(found, name).argtypes = [kinds[letter] for letter in arguments]
    for name in _POINTERS:
        getattr(found, name).restype = ctypes.c_void_p
    found.TF_Message.restype = ctypes.c_char_p
    found.TF_Dim.restype, found.TF_TensorByteSize.restype = ctypes.c_int64, ctypes.c_size_t
    return found
