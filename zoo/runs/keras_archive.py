"""Check a .keras archive before Keras opens it: size, files, and only classes that networks of the zoo are made of.

Keras's safe mode refuses code too; this check depends neither on it nor on the installed version.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py

from zoo.utils.json_files import parse_json
from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras
else:
    keras = lazy("keras")

LARGEST_BYTES = 3 * 2**29  # unpacked, all files together; a fine-tuned large encoder takes 1.27 GB
LARGEST_CONFIG_BYTES = 16 * 2**20
_MOST_GROUPS = 10_000
_KERAS = {"keras", "keras.src.models.functional", "keras.src.models.sequential"} | {
    f"keras.{part}"
    for part in (
        "activations",
        "constraints",
        "initializers",
        "layers",
        "losses",
        "optimizers",
        "optimizers.schedules",
        "regularizers",
    )
}
# Keras has others that open files, load models, run code, or make gigabytes of a few numbers (RepeatVector, Embedding).
_LAYERS = {
    *(
        "Activation",
        "Add",
        "Average",
        "BatchNormalization",
        "Bidirectional",
        "Concatenate",
        "Conv1D",
        "Conv2D",
        "Dense",
    ),
    *("DepthwiseConv1D", "Dropout", "Flatten", "GaussianNoise", "GlobalAveragePooling1D", "GRU", "GRUCell", "Identity"),
    *("InputLayer", "LSTM", "LSTMCell", "MaxPooling1D", "MaxPooling2D", "Normalization", "ReLU", "Reshape", "RNN"),
    *("SimpleRNN", "SimpleRNNCell", "Softmax", "ZeroPadding2D"),
    # Of no network of the zoo, but of people's own.
    *("AdditiveAttention", "Attention", "AveragePooling1D", "AveragePooling2D", "ELU", "GlobalAveragePooling2D"),
    *("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GroupNormalization", "LayerNormalization", "LeakyReLU", "Maximum"),
    *("MultiHeadAttention", "Multiply", "PReLU", "Permute", "SeparableConv1D", "SpatialDropout1D", "Subtract"),
}
_OPERATIONS = {"Add", "Cast", "Divide", "FloorDivide", "Mean", "Multiply", "Negative", "Subtract", "TrueDivide"}
LARGEST_NUMBER = 2**18  # of units, bands, taps, positions; sampling rates are below it
LARGEST_PADDING = 64  # zeros at an edge: activations have no weights that would be counted
_ANY_NUMBER = ("seed", "shared_object_id")
_FILES = {"config.json", "metadata.json", "model.weights.h5"}


def check(path: Path) -> tuple[Any, int]:
    """Check an archive without unpacking it or loading anything; return its configuration and its number of weights.

    The configuration is without what belongs to training. Raises ValueError for another file, more than
    `LARGEST_BYTES`, other members than Keras writes, weights in other files, code, layers that no network of the zoo
    has, whole numbers beyond `LARGEST_NUMBER`, or values nested too deep; zipfile.BadZipFile for a damaged one.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError("no .keras archive")
    with zipfile.ZipFile(path) as archive:
        names = {item.filename for item in archive.infolist()}
        if names != _FILES or len(archive.infolist()) != len(_FILES):
            raise ValueError(f"an archive of {', '.join(sorted(names)[:5])}, not of {', '.join(sorted(_FILES))}")
        size = sum(item.file_size for item in archive.infolist())
        if size > LARGEST_BYTES or archive.getinfo("config.json").file_size > LARGEST_CONFIG_BYTES:
            raise ValueError(f"an archive that unpacks to {size} bytes")
        try:
            content = _without_training(parse_json(archive.read("config.json"), {str: object}))
            n_weights = check_weights(BytesIO(archive.read("model.weights.h5")))
        except (RuntimeError, zlib.error) as error:  # encrypted, nested beyond reason, or damaged
            raise ValueError(str(error)) from error
    _check_configuration(content)
    return content, n_weights


def check_network(network: keras.Model) -> None:
    """Raise ValueError for a network that `check` would refuse once it is saved."""
    _check_configuration(_without_training(parse_json(network.to_json(), {str: object})))


def _check_configuration(content: Any) -> None:
    for item in _mappings(content):
        if "class_name" in item:
            _check_object(item)
        _check_numbers(item)


def _without_training(content: Any) -> Any:
    """Return a configuration without optimizers and losses, at any depth (which `parse_json` bounds)."""
    if isinstance(content, dict):
        return {key: _without_training(value) for key, value in content.items() if key != "compile_config"}
    return [_without_training(value) for value in content] if isinstance(content, list) else content


def check_weights(file: BytesIO) -> int:
    """Count the weights. Raises ValueError where HDF5 points to other files, or declares tensors too large."""
    size, count, waiting = 0, 0, []
    with h5py.File(file, "r") as weights:
        waiting.append(weights)
        for _ in range(_MOST_GROUPS):
            if not waiting:
                return count
            group = waiting.pop()
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"weights that lead elsewhere ({group.name}/{name})")
                item = group[name]
                if isinstance(item, h5py.Group):
                    waiting.append(item)
                    continue
                if item.external or item.is_virtual:
                    raise ValueError(f"weights that lead elsewhere ({item.name})")
                size, count = size + item.nbytes, count + item.size
                if size > LARGEST_BYTES:
                    raise ValueError(f"weights of more than {LARGEST_BYTES} bytes")
    raise ValueError(f"weights in more than {_MOST_GROUPS} groups")


def _mappings(content: Any) -> Iterator[dict[str, Any]]:
    """Yield every dictionary, at any depth."""
    waiting = [content]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


def _check_object(item: dict[str, Any]) -> None:
    name, module, registered = (item.get(key) for key in ("class_name", "module", "registered_name"))
    if name in ("Lambda", "__lambda__", "function"):
        raise ValueError(f"code, in an object of the class {name}")
    if module is None and registered is None and str(name).startswith("__"):
        return  # plain values: tensors of the graph, types, slices
    of_zoo = str(module).startswith("zoo.") and str(registered).startswith("zoo>")
    # Optimizers of the backends are subclasses of Keras's own.
    of_keras = module in _KERAS or str(module).startswith(("keras.src.ops.", "keras.src.backend."))
    if not (of_zoo or of_keras):
        raise ValueError(f"a foreign class, {module}.{name}")
    if module == "keras.layers" and name not in _LAYERS:
        raise ValueError(f"a layer that loads other files or code, or that no network of the zoo has, {name}")
    if str(module).startswith("keras.src.ops.") and name not in _OPERATIONS:
        raise ValueError(f"an operation that no network of the zoo has, {name}")


def _check_numbers(item: dict[str, Any]) -> None:
    for name, value in item.items():
        most = LARGEST_PADDING if name == "padding" else LARGEST_NUMBER
        for one in _whole_numbers(value) if name not in _ANY_NUMBER else ():
            if abs(one) > most:
                raise ValueError(f"{name} {one}, more than {most}")


def _whole_numbers(value: Any) -> Iterator[int]:
    """Yield the whole numbers of a value, or of lists within lists."""
    if isinstance(value, list):
        for one in value:
            yield from _whole_numbers(one)
    elif type(value) is int:
        yield value
