"""Run SavedModels through TensorFlow's C API by ctypes: the C++ loader and session of a model server, without Python.

    python tests/helpers/tensorflow_c_api.py < jobs > answers           # both pickled

A job is (folder, [(feeds, fetches), ...]), its answer a list of lists of arrays, or the error's text. The libraries are
those in the installed tensorflow package, which is not imported; they are declared in tensorflow/c/c_api.h.
"""

import ctypes
import pickle
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

# tensorflow/c/tf_datatype.h, and sizeof(TF_TString)
_FLOAT, _INT32, _STRING, _STRING_BYTES = 1, 3, 7, 24
_DTYPES = {_FLOAT: np.dtype(np.float32), _INT32: np.dtype(np.int32)}
_KINDS = {"p": ctypes.c_void_p, "i": ctypes.c_int, "s": ctypes.c_char_p, "n": ctypes.c_size_t, "l": ctypes.c_int64}
# What each function returns and takes: without it, ctypes would cut pointers to 32 bits.
_FUNCTIONS = {
    "TF_NewStatus": "p:",
    "TF_NewGraph": "p:",
    "TF_NewSessionOptions": "p:",
    "TF_LoadSessionFromSavedModel": "p:ppspippp",
    "TF_GraphOperationByName": "p:ps",
    "TF_AllocateTensor": "p:ipin",
    "TF_TensorData": "p:p",
    "TF_TensorByteSize": "n:p",
    "TF_TensorType": "i:p",
    "TF_NumDims": "i:p",
    "TF_Dim": "l:pi",
    "TF_GetCode": "i:p",
    "TF_Message": "s:p",
    "TF_StringInit": "i:p",
    "TF_StringCopy": "i:psn",
    "TF_SessionRun": "i:ppppippipipp",
}


class _Output(ctypes.Structure):
    """TF_Output: one of an operation's outputs."""

    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class Session:
    """A SavedModel, loaded. Raises RuntimeError with the library's words where something goes wrong."""

    def __init__(self, folder):
        self._tf = library()
        self._status, self._graph = self._tf.TF_NewStatus(), self._tf.TF_NewGraph()
        tags = (ctypes.c_char_p * 1)(b"serve")
        options, place = self._tf.TF_NewSessionOptions(), str(folder).encode()
        self._session = self._tf.TF_LoadSessionFromSavedModel(
            options, None, place, ctypes.cast(tags, ctypes.c_void_p), 1, self._graph, None, self._status
        )
        self._check()

    def run(self, feeds, fetches):
        """Return the tensors named in `fetches` for arrays (float32, int32) or lists of bytes by name in `feeds`."""
        inputs = (_Output * len(feeds))(*map(self._output, feeds))
        outputs = (_Output * len(fetches))(*map(self._output, fetches))
        values = (ctypes.c_void_p * len(feeds))(*map(self._tensor, feeds.values()))
        results = (ctypes.c_void_p * len(fetches))()
        self._tf.TF_SessionRun(
            self._session, None, ctypes.addressof(inputs), ctypes.addressof(values), len(feeds),
            ctypes.addressof(outputs), ctypes.addressof(results), len(fetches), None, 0, None, self._status,
        )  # fmt: skip
        self._check()
        return [self._array(result) for result in results]

    def _output(self, name):
        operation, _, index = name.partition(":")
        return _Output(self._tf.TF_GraphOperationByName(self._graph, operation.encode()), int(index))

    def _tensor(self, value):
        if not isinstance(value, np.ndarray):
            tensor = self._allocate(_STRING, (len(value),), len(value) * _STRING_BYTES)
            for number, text in enumerate(value):
                place = self._tf.TF_TensorData(tensor) + number * _STRING_BYTES
                self._tf.TF_StringInit(place)
                self._tf.TF_StringCopy(place, text, len(text))
            return tensor
        value = np.asarray(value, order="C")
        code = next(code for code, dtype in _DTYPES.items() if dtype == value.dtype)
        tensor = self._allocate(code, value.shape, value.nbytes)
        ctypes.memmove(self._tf.TF_TensorData(tensor), value.ctypes.data, value.nbytes)
        return tensor

    def _allocate(self, code, shape, n_bytes):
        sizes = (ctypes.c_int64 * len(shape))(*shape)
        return self._tf.TF_AllocateTensor(code, ctypes.addressof(sizes), len(shape), n_bytes)

    def _array(self, tensor):
        shape = [self._tf.TF_Dim(tensor, axis) for axis in range(self._tf.TF_NumDims(tensor))]
        content = ctypes.string_at(self._tf.TF_TensorData(tensor), self._tf.TF_TensorByteSize(tensor))
        return np.frombuffer(content, _DTYPES[self._tf.TF_TensorType(tensor)]).reshape(shape)

    def _check(self):
        if self._tf.TF_GetCode(self._status):
            raise RuntimeError(self._tf.TF_Message(self._status).decode(errors="replace"))


def library():
    """Load TensorFlow's library. Raises RuntimeError where the tensorflow package holds none with the C API."""
    for place in map(Path, find_spec("tensorflow").submodule_search_locations):
        for name in ("libtensorflow_cc.so.2", "libtensorflow_cc.2.dylib", "python/_pywrap_tensorflow_internal.so"):
            if (place / name).is_file():
                found = ctypes.CDLL(str(place / name))
                for function, (result, _, *arguments) in _FUNCTIONS.items():
                    getattr(found, function).restype = _KINDS[result]
                    getattr(found, function).argtypes = [_KINDS[letter] for letter in arguments]
                return found
    raise RuntimeError("the tensorflow package holds no library with the C API")


def answers(folder, requests):
    try:
        session = Session(folder)
        return [session.run(*request) for request in requests]
    except RuntimeError as error:
        return str(error)


if __name__ == "__main__":
    found = [answers(*job) for job in pickle.load(sys.stdin.buffer)]
    assert "tensorflow" not in sys.modules
    sys.stdout.buffer.write(pickle.dumps(found))
