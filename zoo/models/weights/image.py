"""Read, check and convert weight files of image networks.

Formats that pickle objects are refused, as loading one may run code. Kernels are (height, width, input channels, output
channels); those of the first layer take blue, green, red, as keras.applications trained them.
"""

from collections.abc import Iterator, Mapping, Sequence
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

READABLE, CONVERTIBLE = (".npz", ".h5", ".safetensors"), (".mat", ".npz", ".safetensors", ".h5")
PICKLED = (".pth", ".pt", ".ckpt", ".bin", ".pkl", ".pickle")
# What a network subtracts from an image and then divides it by: blue, green, red. Files may hold their own.
INPUT = ("input/mean", "input/scale")
MEAN, SCALE = (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)  # ImageNet's, as keras.applications has it
# torchvision's, which it states for red, green and blue in 0..1.
TORCH_MEAN, TORCH_SCALE = (255 * np.array([(0.406, 0.456, 0.485), (0.225, 0.224, 0.229)])).tolist()

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Layout:
    """What a weight file of `network` holds, up to the layer that gives the features.

    `kernels` has each kernel's shape by layer, in order; `grid` (rows, columns, channels) is what the first fully
    connected layer flattens. `head` is the layer behind the features, which files may hold and nothing reads.
    `matconvnet` and `torch` have the layers' names in those libraries, the head's too.
    """

    network: str
    kernels: Mapping[str, tuple[int, ...]]
    grid: tuple[int, int, int]
    head: str
    matconvnet: Mapping[str, str]
    torch: Mapping[str, str]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every tensor by its name, such as "conv1/kernel" and "conv1/bias"."""
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, shape in self.kernels.items():
            shapes |= {f"{layer}/kernel": tuple(shape), f"{layer}/bias": tuple(shape[-1:])}
        return shapes


def read(path: Path, layout: Layout) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the tensors of a weight file by name, "conv1/kernel", one at a time; also `INPUT` where it has them.

    Reads .npz as `convert` writes it, .safetensors with the same names, and .h5 as keras.applications publishes weights
    or Keras saves weights and models. Raises UserError for a file that is absent, damaged or of another format, and for
    weights of another network.
    """
    check_name(path)
    with _opened(path) as tensors:
        yield from _checked(path, tensors, layout)


def convert(path: Path, layout: Layout, out: Path) -> None:
    """Write published weights as `out`, an .npz for `read`. Raises UserError as `read` does.

    Reads MatConvNet's .mat, torchvision's names in .safetensors or .npz, and what `read` reads.
    """
    if out.suffix != ".npz":
        raise UserError(f"--out is {out}, expected a file name that ends in .npz")
    _check_pickle(path)
    if path.suffix not in CONVERTIBLE:
        raise UserError(f"{path}: expected published weights in {', '.join(CONVERTIBLE)}")
    with _opened(path) as found:
        tensors = found
        if path.suffix == ".mat":
            weights, mean = found
            tensors = _from_matconvnet(weights, mean, layout)
        elif not any(name in found for name in layout.shapes()):
            tensors = _from_torch(found, layout)
        checked = dict(_checked(path, tensors, layout))
    with written_aside(out) as aside:
        np.savez(aside, **checked)  # type: ignore[arg-type]  # the stub takes names for options


def check_name(path: Path) -> None:
    """Raise UserError for a file that `read` does not read, as its name says."""
    _check_pickle(path)
    if path.suffix not in READABLE:
        expected = f"expected weights in {', '.join(READABLE)}, found {path.suffix or 'no suffix'}"
        raise UserError(f"{path}: {expected}; scripts/convert_weights.py makes .npz")


def checksum(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal. Raises UserError where it is absent or no regular file."""
    try:
        _check_regular(path)
        digest = sha256()
        with path.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    except OSError as error:
        raise UserError(f"{path}: the weights cannot be read ({error.strerror}); put the file there again") from error
    return digest.hexdigest()


def _check_regular(path: Path) -> None:
    """Raise OSError for a folder, and for a pipe or device, which may never end."""
    if path.exists() and not path.is_file():
        raise OSError(EINVAL, "a folder, pipe or device and no file")


@contextmanager
def _opened(path: Path) -> Iterator:
    """Open a file; yields its content as its format has it."""
    try:
        _check_regular(path)
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                yield file
        elif path.suffix == ".h5":
            with h5py.File(path) as file:
                yield readers.keras(file)
        else:
            yield (readers.matconvnet if path.suffix == ".mat" else readers.safetensors)(path)
    except UserError:
        raise
    except Exception as error:  # of a damaged file the libraries raise whatever comes of it
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"{path}: absent, damaged or no weights as expected ({reason}); fetch it again") from error


def _from_torch(found: Arrays, layout: Layout) -> dict[str, np.ndarray]:
    """Tensors as torchvision names and arranges them, red first -> ours. Other layers keep their names."""
    ours = {theirs: layer for layer, theirs in layout.torch.items()}
    rows, columns, channels = layout.grid
    tensors = {INPUT[0]: np.array(TORCH_MEAN), INPUT[1]: np.array(TORCH_SCALE)}
    for name in found:
        tensor, (theirs, _, part) = found[name], name.rpartition(".")
        layer = ours.get(theirs, theirs)
        if layer in layout.kernels and tensor.ndim == 4:
            tensor = tensor.transpose(2, 3, 1, 0)
        elif layer in layout.kernels and tensor.ndim == 2:
            if tensor.shape[1] == rows * columns * channels:  # flattened channel by channel there, pixel by pixel here
                tensor = tensor.reshape(-1, channels, rows, columns).transpose(0, 2, 3, 1).reshape(tensor.shape)
            tensor = tensor.T
        tensors[f"{layer}/{'kernel' if part == 'weight' else part}"] = tensor
    return _blue_first(tensors, layout)


def _from_matconvnet(layers: Mapping[str, list[np.ndarray]], mean: np.ndarray | None, layout: Layout) -> dict:
    """Fully connected layers are convolutions there, over the grid and over one pixel; sizes of one may be missing."""
    ours = {theirs: layer for layer, theirs in layout.matconvnet.items()}
    tensors: dict[str, np.ndarray] = {}
    for theirs, (kernel, *others) in layers.items():
        layer = ours.get(theirs, theirs)
        expected = layout.kernels.get(layer, kernel.shape)
        convolved = (*layout.grid, expected[-1])
        same = _without_ones(kernel.shape) in map(_without_ones, (expected, convolved))
        if same and kernel.size == np.prod(expected):
            kernel = kernel.reshape(expected)
        tensors[f"{layer}/kernel"] = kernel
        tensors |= {f"{layer}/{part}": item.ravel() for part, item in zip(readers.PARTS[1:], others, strict=False)}
    return _blue_first(tensors, layout) | ({} if mean is None else {INPUT[0]: mean[::-1]})


def _without_ones(shape: Sequence[int]) -> list[int]:
    return [size for size in shape if size > 1]


def _blue_first(tensors: dict[str, np.ndarray], layout: Layout) -> dict[str, np.ndarray]:
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
            found = f"{path}: expected weights of {layout.network} with {name} of shape {shape}, found {tensor.shape}"
            raise UserError(f"{found}; choose its network's name")
        values = np.asarray(tensor)
        if values.dtype.kind != "f" or not np.isfinite(values).all():
            raise UserError(f"{path}: {name} holds something else than finite floats; fetch the file again")
        yield name, values.astype(np.float32, copy=False)


def _check_pickle(path: Path) -> None:
    if path.suffix in PICKLED:
        raise UserError(
            f"{path}: a pickle, which may run code when it is loaded, and is not read here. Where PyTorch is installed "
            "and you trust the file, these two lines, after `import numpy, torch`, make an .npz for "
            "scripts/convert_weights.py:",
            f"state = torch.load({str(path)!r}, weights_only=True)\n"
            f"numpy.savez({path.stem + '_torch.npz'!r}, **{{name: value.numpy() for name, value in state.items()}})",
        )
