"""Read weight files of Keras, safetensors and MatConvNet as arrays, by the names in the file. Nothing is executed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import loadmat

from zoo.utils import extras

PARTS = ("kernel", "bias", "2", "3", "4", "5")  # of a layer; more than two are of another network


def keras(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Return the weights of a Keras HDF5 file: by its layer_names (older, and whole models), or layers/*/vars (newer).

    Raises ValueError where it holds neither, or leads to another file.
    """
    root = file.get("model_weights", file)
    by_layer: dict[str, list[h5py.Dataset]] = {}
    if "layer_names" in root.attrs:
        for layer in map(_text, root.attrs["layer_names"]):
            by_layer[layer] = [root[layer][_text(name)] for name in root[layer].attrs["weight_names"]]
    elif "layers" in root:
        for group in (layer["vars"] for layer in root["layers"].values()):
            by_layer[_text(group.attrs["name"])] = [group[str(index)] for index in range(len(group))]
    else:
        raise ValueError("no weights of Keras, which have layer_names or layers")
    tensors = {}
    for layer, datasets in by_layer.items():
        for part, dataset in zip(PARTS, datasets, strict=False):
            if dataset.external or dataset.is_virtual or dataset.file.filename != file.filename:
                raise ValueError(f"{layer} leads to another file")
            tensors[f"{layer}/{part}"] = dataset
    return tensors


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def safetensors(path: Path) -> Mapping[str, np.ndarray]:
    """Return the tensors of a .safetensors file. Raises UserError where the package is not installed."""
    extras.need("weights", f"{path}: reading it")
    from safetensors.numpy import load_file

    return load_file(path)


def matconvnet(path: Path) -> tuple[dict[str, list[np.ndarray]], np.ndarray | None]:
    """Return the weights of a MatConvNet .mat by layer, and the mean red, green and blue, if any.

    Kernels are (height, width, input channels, output channels), fully connected layers' too; trailing sizes of one may
    be missing. Raises ValueError where the file holds something else, such as a network object of MATLAB's toolbox.
    """
    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            content = _of_version_7_3(file)
    else:
        content = loadmat(path, simplify_cells=True)
        content = content.get("net", content)
    if not isinstance(content, dict) or "layers" not in content:
        raise ValueError("no MatConvNet network, which has a variable `layers`")
    layers = {}
    for layer in np.ravel(np.array(content["layers"], dtype=object)):
        weights = layer.get("weights", [layer[key] for key in ("filters", "biases") if key in layer])
        if len(weights):
            layers[str(layer["name"])] = [np.asarray(item) for item in weights]
    # The mean is three values, or an image, of which each channel's mean is taken.
    image = np.asarray(content.get("meta", content).get("normalization", {}).get("averageImage", []), np.float64)
    return layers, image.reshape(-1, 3).mean(axis=0) if image.size else None


def _of_version_7_3(file: h5py.File) -> dict[str, Any]:
    """Return what `matconvnet` needs, as SciPy reads it of older files. Axes are reversed in this one."""
    root = file.get("net", file)
    if "layers" not in root:
        return {}

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
