"""Run SavedModels through TensorFlow's C API by ctypes: the C++ loader and session of a model server, without Python.

    python tests/helpers/tensorflow_c_api.py < jobs > answers           # both as JSON

A job is (folder, [(feeds, fetches), ...]), its answer a list of lists of arrays, or the error's text. The libraries are
those in the installed tensorflow package, which is not imported; they are declared in tensorflow/c/c_api.h.
"""

import ctypes
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from zoo.export.proofs import arrays_as_json

# tensorflow/c/tf_datatype.h, and sizeof(TF_TString)
_STRING, _STRING_BYTES = 7, 24
_DTYPES = {1: np.dtype(np.float32), 3: np.dtype(np.int32)}


class _Output(ctypes.Structure):
    """TF_Output: one of an operation's outputs."""

    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class Session:
    """A SavedModel, loaded. Raises RuntimeError with the library's words where something goes wrong."""

    def __init__(self, folder):
        (package,) = map(Path, find_spec("tensorflow").submodule_search_locations)
        self._tf = ctypes.CDLL(str(next(package.glob("libtensorflow_cc.*"))))
        self._status, self._graph = self._pointer("TF_NewStatus"), self._pointer("TF_NewGraph")
        options, tags = self._pointer("TF_NewSessionOptions"), (ctypes.c_char_p * 1)(b"serve")
        given = (options, None, str(folder).encode(), tags, 1, self._graph, None, self._status)
        self._session = self._pointer("TF_LoadSessionFromSavedModel", *given)
        self._check()

    def run(self, feeds, fetches):
        """Return the tensors named in `fetches` for arrays (float32, int32) or lists of bytes by name in `feeds`."""
        inputs = (_Output * len(feeds))(*map(self._output, feeds))
        outputs = (_Output * len(fetches))(*map(self._output, fetches))
        values = (ctypes.c_void_p * len(feeds))(*map(self._tensor, feeds.values()))
        results = (ctypes.c_void_p * len(fetches))()
        given = (inputs, values, len(feeds), outputs, results, len(fetches), None, 0, None)
        self._tf.TF_SessionRun(self._session, None, *given, self._status)
        self._check()
        return [self._array(ctypes.c_void_p(result)) for result in results]

    def _pointer(self, name, *arguments):
        """Call a function that returns a pointer, which ctypes would cut to 32 bits."""
        function = getattr(self._tf, name)
        function.restype = ctypes.c_void_p
        return ctypes.c_void_p(function(*arguments))

    def _output(self, name):
        operation, _, index = name.partition(":")
        return _Output(self._pointer("TF_GraphOperationByName", self._graph, operation.encode()), int(index))

    def _tensor(self, value):
        if isinstance(value, np.ndarray):
            code = next(code for code, dtype in _DTYPES.items() if dtype == value.dtype)
            tensor = self._allocate(code, value.shape, value.nbytes)
            ctypes.memmove(self._pointer("TF_TensorData", tensor), value.tobytes(), value.nbytes)
            return tensor
        tensor = self._allocate(_STRING, (len(value),), len(value) * _STRING_BYTES)
        for number, text in enumerate(value):
            place = ctypes.c_void_p(self._pointer("TF_TensorData", tensor).value + number * _STRING_BYTES)
            self._tf.TF_StringInit(place)
            self._tf.TF_StringCopy(place, text, ctypes.c_size_t(len(text)))
        return tensor

    def _allocate(self, code, shape, n_bytes):
        sizes = (ctypes.c_int64 * len(shape))(*shape)
        return self._pointer("TF_AllocateTensor", code, sizes, len(shape), ctypes.c_size_t(n_bytes))

    def _array(self, tensor):
        shape = [self._tf.TF_Dim(tensor, axis) for axis in range(self._tf.TF_NumDims(tensor))]
        content = ctypes.string_at(self._pointer("TF_TensorData", tensor), self._tf.TF_TensorByteSize(tensor))
        return np.frombuffer(content, _DTYPES[self._tf.TF_TensorType(tensor)]).reshape(shape)

    def _check(self):
        if self._tf.TF_GetCode(self._status):
            raise RuntimeError(ctypes.string_at(self._pointer("TF_Message", self._status)).decode(errors="replace"))


def answers(folder, requests):
    try:
        session = Session(folder)
        return [session.run(*request) for request in requests]
    except RuntimeError as error:
        return str(error)


if __name__ == "__main__":
    found = [answers(*job) for job in arrays_as_json.loads(sys.stdin.buffer.read())]
    assert "tensorflow" not in sys.modules
    sys.stdout.buffer.write(arrays_as_json.dumps(found))
