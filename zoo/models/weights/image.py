"""Weights of image networks as arrays by layer: files read and checked, published ones converted.

Nothing in a file is executed: formats that pickle objects are refused. Kernels are (height, width, input channels,
output channels), and the first one's channels are blue, green, red: so Caffe and keras.applications trained them.
"""

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EINVAL
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np

from zoo.errors import UserError
from zoo.models.weights import readers
from zoo.utils.atomic_files import written_aside

READABLE, CONVERTIBLE = (".npz", ".h5", ".safetensors"), (".caffemodel", ".mat", ".npz", ".safetensors", ".h5")
PICKLED = (".pth", ".pt", ".ckpt", ".bin", ".pkl", ".pickle")
# What a network subtracts from an image and then divides it by: blue, green, red. Files may hold their own.
INPUT = ("input/mean", "input/scale")
MEAN, SCALE = (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)  # ImageNet's, as Caffe's VGG and keras.applications have it
# torchvision's, which it states for red, green and blue in 0..1.
TORCH_MEAN, TORCH_SCALE = (255 * np.array([(0.406, 0.456, 0.485), (0.225, 0.224, 0.229)])).tolist()
# What readers raise for files that are absent or damaged: h5py RuntimeError too, and whatever makes arrays of a damaged
# size MemoryError.
_DAMAGED = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, EOFError),
    *(RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error),
)

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Layout:
    """What a weight file of `network` holds, up to the layer whose values are the features.

    `kernels` has each kernel's shape by layer, in their order. `grid` (rows, columns, channels) is what the first fully
    connected layer flattens. `head` is the layer behind the features: files may hold it, nothing reads it. `caffe` has
    the names by which Caffe and MatConvNet know the layers, `torch` torchvision's; both have the head's too.
    """

    network: str
    kernels: Mapping[str, tuple[int, ...]]
    grid: tuple[int, int, int]
    head: str
    caffe: Mapping[str, str]
    torch: Mapping[str, str]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every tensor by its name, such as "conv1/kernel" and "conv1/bias"."""
        pairs = [(layer, tuple(shape)) for layer, shape in self.kernels.items()]
        return {f"{layer}/{part}": size for layer, shape in pairs for part, size in _parts(shape)}


def read(path: Path, layout: Layout) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the tensors of a weight file by name, "conv1/kernel", one at a time; also `INPUT` where it has them.

    Reads .npz as `convert` writes it, .safetensors with the same names, and .h5 as keras.applications publishes weights
    or Keras saves weights and models. Raises UserError for a file that is absent, damaged or of another format, and for
    weights of another network.
    """
    check_name(path)
    with _opened(path) as tensors:
        yield from _checked(path, tensors, layout)


def convert(path: Path, layout: Layout, out: Path) -> None:
    """Writes published weights as `out`, an .npz for `read`. Raises UserError as `read` does.

    Reads Caffe's .caffemodel, MatConvNet's .mat, torchvision's names in .safetensors or .npz, and what `read` reads.
    """
    if out.suffix != ".npz":
        raise UserError(f"--out is {out}, expected a file name that ends in .npz")
    if path.suffix in PICKLED:
        raise _pickled(path)
    if path.suffix not in CONVERTIBLE:
        raise UserError(f"{path}: expected published weights in {', '.join(CONVERTIBLE)}")
    with _opened(path) as found:
        tensors = found
        if path.suffix == ".caffemodel":
            tensors = _by_layer(found, layout.caffe, layout, _from_caffe)
        elif path.suffix == ".mat":
            tensors = _of_red_first(_by_layer(found["layers"], layout.caffe, layout, _from_matconvnet), layout)
            if found["mean"] is not None:
                tensors[INPUT[0]] = found["mean"][::-1]
        elif not any(name in found for name in layout.shapes()):
            tensors = _of_red_first(_by_layer(_state_dict(found), layout.torch, layout, _from_caffe), layout)
            tensors |= {INPUT[0]: np.array(TORCH_MEAN), INPUT[1]: np.array(TORCH_SCALE)}
        checked = dict(_checked(path, tensors, layout))
    with written_aside(out) as aside:
        np.savez(aside, **checked)  # type: ignore[arg-type]  # the stub takes names for options


def check_name(path: Path) -> None:
    """Raises UserError for a file that `read` does not read, as its name says."""
    if path.suffix in PICKLED:
        raise _pickled(path)
    if path.suffix not in READABLE:
        raise UserError(
            f"{path}: expected weights in {', '.join(READABLE)}, found {path.suffix or 'no suffix'}; "
            "scripts/convert_weights.py makes .npz"
        )


def checksum(path: Path) -> str:
    """Returns a file's SHA-256 in hexadecimal. Raises UserError where it is absent or no regular file."""
    try:
        _check_regular(path)
        with path.open("rb") as file:
            digest = sha256()
            while block := file.read(2**20):
                digest.update(block)
    except OSError as error:
        raise UserError(f"{path}: the weights cannot be read ({error.strerror}); put the file there again") from error
    return digest.hexdigest()


def _check_regular(path: Path) -> None:
    """Raises OSError for a folder, and for a pipe or device, which may never end."""
    if path.exists() and not path.is_file():
        raise OSError(EINVAL, "a folder, pipe or device and no file")


def _parts(kernel: tuple[int, ...]):
    return ("kernel", kernel), ("bias", kernel[-1:])


@contextmanager
def _opened(path: Path) -> Iterator:
    """Opens a file; its content as its format has it."""
    try:
        _check_regular(path)
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                yield file
        elif path.suffix == ".h5":
            with h5py.File(path) as file:
                yield _of_keras(file)
        elif path.suffix == ".safetensors":
            yield readers.safetensors(path)
        elif path.suffix == ".mat":
            layers, mean = readers.matconvnet(path)
            yield {"layers": layers, "mean": mean}
        else:
            yield readers.caffe(path)
    except _DAMAGED as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"{path}: absent, damaged or no weights as expected ({reason}); fetch it again") from error


def _of_keras(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Datasets of an HDF5 file of Keras: by its layer_names (older, and whole models), or layers/*/vars (newer)."""
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
        for part, dataset in zip(("kernel", "bias", *map(str, range(2, len(datasets)))), datasets, strict=False):
            if dataset.external or dataset.is_virtual or dataset.file.filename != file.filename:
                raise ValueError(f"{layer} leads to another file")
            tensors[f"{layer}/{part}"] = dataset
    return tensors


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _state_dict(tensors: Arrays) -> dict[str, list[np.ndarray]]:
    """Names such as features.0.weight and features.0.bias -> both by layer."""
    layers: dict[str, list[np.ndarray]] = {}
    for name in sorted(tensors, reverse=True):  # weight before bias
        layers.setdefault(name.rpartition(".")[0], []).append(tensors[name])
    return layers


def _by_layer(found: Mapping[str, list[np.ndarray]], names: Mapping[str, str], layout: Layout, arrange) -> dict:
    """Tensors under the layout's names. Layers of other names keep theirs, and are refused later."""
    ours = {theirs: layer for layer, theirs in names.items()}
    tensors: dict[str, np.ndarray] = {}
    for theirs, (kernel, *others) in found.items():
        layer = ours.get(theirs, theirs)
        if layer in layout.kernels:
            kernel, others = arrange(kernel, layout.kernels[layer], layout.grid), [item.ravel() for item in others]
        names_of_parts = ("kernel", "bias", *map(str, range(2, len(others) + 1)))
        tensors |= {f"{layer}/{part}": item for part, item in zip(names_of_parts, (kernel, *others), strict=False)}
    return tensors


def _from_caffe(kernel: np.ndarray, expected: tuple[int, ...], grid: tuple[int, int, int]) -> np.ndarray:
    """(outputs, inputs, height, width) or (outputs, inputs) as Keras has them; so Caffe and PyTorch do."""
    if len(expected) == 4:
        return kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel
    outputs, inputs = kernel.shape[-2:]
    if inputs == expected[0] == np.prod(grid):  # flattened channel by channel there, pixel by pixel here
        rows, columns, channels = grid
        return kernel.reshape(outputs, channels, rows, columns).transpose(2, 3, 1, 0).reshape(inputs, outputs)
    return kernel.reshape(outputs, inputs).T


def _from_matconvnet(kernel: np.ndarray, expected: tuple[int, ...], grid: tuple[int, int, int]) -> np.ndarray:
    """Fully connected layers are convolutions there, over the grid and over one pixel; sizes of one may be missing."""

    def long(shape):
        return [size for size in shape if size > 1]

    fits = long(kernel.shape) in (long(expected), long((*grid, expected[-1])))
    return kernel.reshape(expected) if fits and kernel.size == np.prod(expected) else kernel


def _of_red_first(tensors: dict[str, np.ndarray], layout: Layout) -> dict[str, np.ndarray]:
    first = next(iter(layout.shapes()))
    if first in tensors and tensors[first].ndim == 4:
        tensors[first] = tensors[first][:, :, ::-1]
    return tensors


def _checked(path: Path, tensors: Arrays, layout: Layout) -> Iterator[tuple[str, np.ndarray]]:
    expected = layout.shapes()
    not_ours = [name for name in tensors if name not in expected and name not in INPUT]
    foreign = [name for name in not_ours if name.rpartition("/")[0] != layout.head]
    absent = [name for name in expected if name not in tensors]
    if absent or foreign:
        what = [f"{path}: expected weights of {layout.network}"]
        what += [f"which needs {', '.join(absent[:3])} ({len(absent)} are not there)"] if absent else []
        what += [f"which has no {', '.join(foreign[:3])}, found in the file"] if foreign else []
        raise UserError(f"{', '.join(what)}. Choose its network's name, or convert it: scripts/convert_weights.py")
    for name, shape in {**dict.fromkeys(INPUT, (3,)), **expected}.items():
        if name not in tensors:
            continue
        tensor = tensors[name]
        if tensor.shape != shape:
            raise UserError(
                f"{path}: expected weights of {layout.network}, whose {name} is {shape}, found {tensor.shape}. They "
                "are of another network, or arranged otherwise"
            )
        values = np.asarray(tensor)
        if values.dtype.kind != "f" or not np.isfinite(values).all():
            raise UserError(f"{path}: {name} holds something else than finite floats; fetch the file again")
        yield name, values.astype(np.float32, copy=False)


def _pickled(path: Path) -> UserError:
    recipe = (
        f"state = torch.load({str(path)!r}, weights_only=True)\n"
        f"numpy.savez({path.stem + '_torch.npz'!r}, **{{name: value.numpy() for name, value in state.items()}})"
    )
    return UserError(
        f"{path}: a pickle, and loading one may run what it holds, so the zoo loads none. Where PyTorch is, and you "
        "trust the file, these two lines, after `import numpy, torch`, make an .npz of it, which "
        f"scripts/convert_weights.py reads:\n{recipe}"
    )
