"""Save linear classifiers of features as .keras files, read them and predict, all without Keras.

A run on openSMILE's functionals then needs no Keras, which takes longer to import than such a model to fit. The files
are those that Keras writes for zoo.models.linear.linear_classifier behind a standardisation, so that all else (exports,
predictions) loads them as any network.
"""

import json
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from zoo.runs import keras_archive
from zoo.utils.atomic_files import written_aside

LEAST_DEVIATION = 1e-7  # as Keras's layer has it
_WEIGHTS = "layers/functional/layers/{}/vars/{}"
Dense = tuple[np.ndarray, np.ndarray]  # weights (inputs, outputs) and biases (outputs,)


@dataclass(frozen=True)
class LinearModel:
    """Standardisation by `mean` and `variance` (features,), then one or two linear maps, and a softmax.

    `maps` are "projection", where there is one, and "scores", in this order.
    """

    name: str
    mean: np.ndarray
    variance: np.ndarray
    n_classes: int
    maps: dict[str, Dense]

    def probabilities(self, vectors: np.ndarray) -> np.ndarray:
        """Return the softmax of the scores of vectors (n, features): float32 (n, classes), as Keras computes it."""
        deviation = np.maximum(np.sqrt(self.variance.astype(np.float32)), np.float32(LEAST_DEVIATION))
        values = (vectors.astype(np.float32) - self.mean.astype(np.float32)) / deviation
        for weights, biases in self.maps.values():
            values = values @ weights.astype(np.float32) + biases.astype(np.float32)
        shares = np.exp(values - values.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)

    def save(self, path: Path) -> None:
        """Write the .keras file. Raises UserError where it cannot be written."""
        saved = time.strftime("%Y-%m-%d@%H:%M:%S")
        metadata = {"keras_version": version("keras"), "date_saved": saved}
        with written_aside(path) as aside, zipfile.ZipFile(aside, "w") as archive:
            archive.writestr("metadata.json", json.dumps(metadata))
            archive.writestr("config.json", json.dumps(self._configuration()))
            archive.writestr("model.weights.h5", self._hdf5())

    def _hdf5(self) -> bytes:
        import h5py

        content = BytesIO()
        with h5py.File(content, "w") as file:
            for number, dense in enumerate(self.maps.values()):
                for part, values in enumerate(dense):
                    file[_WEIGHTS.format(_numbered("dense", number), part)] = values.astype(np.float32)
        return content.getvalue()

    def _configuration(self) -> dict[str, Any]:
        """Return what Keras's config.json says of the model; keywords that have their defaults are left out."""
        width, frames = len(self.mean), [None, None, len(self.mean)]
        inner = [_input("features", [None, 1, width]), _input("n_frames", [None], "int32")]
        inner.append(_layer("Reshape", "vector", "features", [None, 1, width], target_shape=[width]))
        before = "vector"
        for name, (weights, biases) in self.maps.items():
            inner.append(_layer("Dense", name, before, [None, len(weights)], units=len(biases)))
            before = name
        inner.append(_layer("Softmax", "probabilities", before, [None, len(biases)]))
        network = _functional(self.name, inner, "probabilities")
        given = {"features": _tensor("normalization", frames), "n_frames": _tensor("n_frames", [None], "int32")}
        network |= {"name": self.name, "inbound_nodes": [{"args": [given], "kwargs": {}}]}
        moments = {"axis": [-1], "mean": self.mean.tolist(), "variance": self.variance.tolist()}
        outer = [_input("features", frames), _input("n_frames", [None], "int32")]
        outer += [_layer("Normalization", "normalization", "features", frames, **moments), network]
        return _functional(f"{self.name}_normalized", outer, self.name)


def read(path: Path) -> LinearModel:
    """Read what `LinearModel.save`, or Keras of such a model, has written. Raises ValueError for another file."""
    import h5py

    configuration, _ = keras_archive.check(path)
    try:
        layers = {layer["name"]: layer for layer in configuration["config"]["layers"]}
        moments = layers.pop("normalization")["config"]
        (network,) = [layer for layer in layers.values() if layer["class_name"] == "Functional"]
        names = [layer["name"] for layer in network["config"]["layers"] if layer["class_name"] == "Dense"]
        with zipfile.ZipFile(path) as archive, h5py.File(BytesIO(archive.read("model.weights.h5")), "r") as file:
            places = [_WEIGHTS.format(_numbered("dense", number), "{}") for number in range(len(names))]
            maps = {
                name: (file[place.format(0)][:], file[place.format(1)][:])
                for name, place in zip(names, places, strict=True)
            }
        mean, variance = np.array(moments["mean"]), np.array(moments["variance"])
        return LinearModel(network["name"], mean, variance, len(maps["scores"][1]), maps)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: no linear model of features ({error!r})") from error


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


def _functional(name: str, layers: list[dict[str, Any]], output: str) -> dict[str, Any]:
    inputs = {one: [one, 0, 0] for one in ("features", "n_frames")}
    config = {"name": name, "trainable": True, "layers": layers, "input_layers": inputs}
    kind = {"module": "keras.src.models.functional", "class_name": "Functional", "registered_name": "Functional"}
    return {**kind, "config": {**config, "output_layers": [output, 0, 0]}}


def _input(name: str, shape: Sequence[int | None], dtype: str = "float32") -> dict[str, Any]:
    about = {"module": "keras.layers", "class_name": "InputLayer", "registered_name": None, "name": name}
    return {**about, "config": {"name": name, "batch_shape": shape, "dtype": dtype}, "inbound_nodes": []}


def _layer(kind: str, name: str, before: str, shape: Sequence[int | None], **config: Any) -> dict[str, Any]:
    """Return a layer that is given the output of the layer `before`, of this shape."""
    about: dict[str, Any] = {"module": "keras.layers", "class_name": kind, "registered_name": None, "name": name}
    about |= {
        "build_config": {"input_shape": shape},
        "inbound_nodes": [{"args": [_tensor(before, shape)], "kwargs": {}}],
    }
    return {**about, "config": {"name": name, "dtype": "float32", **config}}


def _tensor(layer: str, shape: Sequence[int | None], dtype: str = "float32") -> dict[str, Any]:
    about = {"shape": list(shape), "dtype": dtype, "keras_history": [layer, 0, 0]}
    return {"class_name": "__keras_tensor__", "config": about}
