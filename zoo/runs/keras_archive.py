"""Check a .keras archive before Keras opens it: size, files, and classes of Keras and the zoo only.

Keras's safe mode refuses code too; this check depends neither on it nor on the installed version.
"""

import json
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py

LARGEST_BYTES = 2**30  # unpacked, all files together; the largest network of the zoo takes 30 MB
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
# Of Keras itself, but they open files, load other models, or run code from their configuration.
_HARMFUL = {
    "FlaxLayer",
    "HashedCrossing",
    "Hashing",
    "IntegerLookup",
    "JaxLayer",
    "StringLookup",
    "TFSMLayer",
    "TextVectorization",
    "TorchModuleWrapper",
}
_FILES = {"config.json", "metadata.json", "model.weights.h5"}


def check(path: Path) -> None:
    """Check an archive without unpacking it or loading anything.

    Raises ValueError for another file, more than `LARGEST_BYTES`, other members than Keras writes, weights in other
    files, code, or classes of another package; zipfile.BadZipFile for a damaged one.
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
            content = json.loads(archive.read("config.json"))
            _check_weights(BytesIO(archive.read("model.weights.h5")))
        except (RuntimeError, zlib.error) as error:  # encrypted, nested beyond reason, or damaged
            raise ValueError(str(error)) from error
    for item in _objects(content):
        _check_object(item)


def _check_weights(file: BytesIO) -> None:
    """Raise ValueError where HDF5 points to other files, or declares larger tensors than allowed."""
    size, waiting = 0, []
    with h5py.File(file, "r") as weights:
        waiting.append(weights)
        for _ in range(_MOST_GROUPS):
            if not waiting:
                return
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
                size += item.nbytes
                if size > LARGEST_BYTES:
                    raise ValueError(f"weights of more than {LARGEST_BYTES} bytes")
    raise ValueError(f"weights in more than {_MOST_GROUPS} groups")


def _objects(content: Any) -> Iterator[dict[str, Any]]:
    """Yield every dictionary that names a class, at any depth."""
    waiting = [content]  # no recursion: an archive may be nested as deep as it likes
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if "class_name" in item:
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
    if of_keras and name in _HARMFUL:
        raise ValueError(f"a layer that loads other files or code, {name}")
    if not (of_zoo or of_keras):
        raise ValueError(f"a foreign class, {module}.{name}")
