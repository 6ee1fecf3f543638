"""Reads the weight files of other frameworks, as arrays by the names that these give them. No file is executed."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from math import prod
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import loadmat

from zoo.errors import UserError

Blobs = dict[str, list[np.ndarray]]


def safetensors(path: Path) -> Mapping[str, np.ndarray]:
    """Returns the tensors of a .safetensors file. Raises UserError where the package is not installed."""
    if find_spec("safetensors") is None:
        raise UserError(f"{path}: reading it takes a package that is not installed: pip install safetensors")
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from error


# A .caffemodel is a protocol buffer of Caffe's caffe.proto: NetParameter, from which the numbers below are.
_LAYERS = {2: (4, 6), 100: (1, 7)}  # V1LayerParameter, LayerParameter: where their name and their blobs are
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # wire types


def caffe(path: Path) -> Blobs:
    """Returns what the layers of a .caffemodel have learnt, by layer; those that learn nothing are left out.

    Kernels are (output channels, input channels, height, width), or (outputs, inputs), old files' (1, 1, outputs,
    inputs). Raises ValueError for a damaged file.
    """
    layers: Blobs = {}
    with path.open("rb") as file:
        content = memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))
    for number, layer in _fields(content):
        if number in _LAYERS and isinstance(layer, memoryview):
            fields = list(_fields(layer))
            name_field, blob_field = _LAYERS[number]
            name = next((_text(value) for field, value in fields if field == name_field), "")
            found = [_blob(value) for field, value in fields if field == blob_field]
            if found:
                layers[name] = found
    return layers


def _text(value: int | memoryview) -> str:
    if isinstance(value, int):  # bytes() would take it for a size
        raise ValueError(f"a layer whose name is the number {value}")
    return bytes(value).decode()


def _blob(message: memoryview) -> np.ndarray:
    """BlobProto: shape 7 (dim 1), or num, channels, height and width 1 to 4; data 5, or 8 in double precision.

    Raises ValueError where there are more or fewer numbers than the shape says.
    """
    fields = list(_fields(message))
    shape = [size for number, value in fields if number == 7 for size in _sizes(value)]
    shape = shape or [int(value) for place in range(1, 5) for number, value in fields if number == place]
    for number, dtype in ((5, "<f4"), (8, "<f8")):
        parts = [np.frombuffer(value, dtype) for field, value in fields if field == number]
        if parts:
            break
    values = parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, np.float32), *parts])
    if values.size != prod(shape):  # before arrays of that shape are made
        raise ValueError(f"{values.size} numbers for a blob of shape {tuple(shape)}")
    return values.reshape(shape)


def _sizes(shape: memoryview) -> Iterator[int]:
    for number, value in _fields(shape):
        if number == 1 and isinstance(value, int):
            yield value
        elif number == 1:  # packed
            place = 0
            while place < len(value):
                size, place = _varint(value, place)
                yield size


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Yields the number and value of each field: int for a varint, memoryview for everything else."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        if key & 7 == _VARINT:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        size = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}.get(key & 7)
        if key & 7 == _BYTES:
            size, place = _varint(message, place)
        if size is None or place + size > len(message):
            raise ValueError("no protocol buffer, or one that is cut short")
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if place >= len(message):
            break
        byte = message[place]
        value, place = value | (byte & 127) << shift, place + 1
        if byte < 128:
            return value, place
    raise ValueError("no protocol buffer, or one that is cut short")


def matconvnet(path: Path) -> tuple[Blobs, np.ndarray | None]:
    """Returns what the layers of a MatConvNet .mat have learnt, by layer, and the mean red, green and blue, if any.

    Kernels are (height, width, input channels, output channels), fully connected layers' too; trailing ones may be
    missing. Raises ValueError where the file holds something else, such as a network object of MATLAB's toolbox.
    """
    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            content = _of_version_7_3(file)
    else:
        try:
            content = loadmat(path, simplify_cells=True)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # scipy's own MatReadError, and of damaged files whatever comes of them
            raise ValueError(f"no MATLAB file, or a damaged one: {error}") from error
        content = content.get("net", content)
        if not isinstance(content, dict) or "layers" not in content:
            raise ValueError("no MatConvNet network, which has a variable `layers`")
    layers = {}
    for layer in np.ravel(np.array(content["layers"], dtype=object)):
        weights = (
            layer["weights"] if "weights" in layer else [layer[key] for key in ("filters", "biases") if key in layer]
        )
        if len(weights):
            layers[str(layer["name"])] = [np.asarray(item) for item in weights]
    return layers, _mean(content)


def _mean(content: Mapping[str, Any]) -> np.ndarray | None:
    """Of an image or of three values. Whole images of means are taken by channel."""
    normalization = content.get("meta", content).get("normalization", {})
    image = np.asarray(normalization.get("averageImage", []), np.float64)
    return image.reshape(-1, 3).mean(axis=0) if image.size else None


def _of_version_7_3(file: h5py.File) -> dict[str, Any]:
    """The parts of a MATLAB 7.3 file that matter, as scipy returns those of an older one. Axes are reversed there."""
    root = file.get("net", file)
    if "layers" not in root:
        raise ValueError("no MatConvNet network, which has a variable `layers`")

    def cell(group, name) -> list:
        """Contents of a cell array. An empty one holds its size, and no references."""
        if name not in group or group[name].dtype.kind != "O":
            return []
        return [file[reference] for reference in np.ravel(group[name][()])]

    layers = []
    for layer in cell(root, "layers"):
        name = "".join(chr(letter) for letter in np.ravel(layer["name"][()]))
        arrays = cell(layer, "weights") or [layer[key] for key in ("filters", "biases") if key in layer]
        layers.append({"name": name, "weights": [array[()].T for array in arrays]})
    meta = root.get("meta", root)
    image = meta["normalization"]["averageImage"][()].T if "normalization" in meta else []
    return {"layers": layers, "normalization": {"averageImage": image}}
