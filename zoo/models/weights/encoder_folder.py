"""Convert published speech encoders into folders of ours, load these into networks, and write them back.

A converted folder holds encoder.json (architecture, head, licence, checksum, the published settings) and
encoder.safetensors, whose tensors are named by layer and weight of `zoo.models.wav2vec2.speech_encoder`. Tensors are
read and written one at a time, so that converting takes little memory whatever the size.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import UserError, shortened
from zoo.models.wav2vec2 import EncoderConfig, EncoderHead
from zoo.models.weights import encoder_memory, hugging_face, wav2vec2
from zoo.models.weights.image import checksum
from zoo.models.weights.kinds import DESCRIPTION
from zoo.models.weights.wav2vec2 import Place
from zoo.utils.atomic_files import write_json, written_aside
from zoo.utils.extras import need

if TYPE_CHECKING:
    import keras

WEIGHTS = "encoder.safetensors"
DTYPES = {"float32": "F32", "float16": "F16"}
POSITIONS = "positions/kernel"
_FORMAT = 1
# Of random encoders; published ones of the same name have these sizes.
SIZES: Mapping[str, Mapping[str, Any]] = {
    "tiny": {"hidden": 32, "n_layers": 2, "heads": 4, "feed_forward": 48, "conv_filters": (16,) * 7}
    | {"position_kernel": 16, "position_groups": 4, "buckets": 32, "max_distance": 40},
    "base": {},
    "large": {"hidden": 1024, "n_layers": 24, "heads": 16, "feed_forward": 4096}
    | {"conv_norm": "layer", "norm_first": True, "conv_bias": True},
}
Written = tuple[str, tuple[int, ...], Callable[[], np.ndarray]]  # a tensor's name, shape, and what reads it


@dataclass(frozen=True)
class Converted:
    """A converted folder: what its encoder.json says.

    `settings` and `waveform` are the published config.json and preprocessor_config.json, `sha256` the checksum of the
    weights, `dtype` how they are stored, float32 or float16.
    """

    folder: Path
    config: EncoderConfig
    head: EncoderHead | None
    licence: str
    sha256: str
    dtype: str
    settings: Mapping[str, Any]
    waveform: Mapping[str, Any]


def convert(source: Path, out: Path, dtype: str = "float32") -> list[str]:
    """Convert a published folder into `out`; returns the names of tensors that are left out, all of pre-training.

    Raises UserError for a folder that is no such encoder, or damaged, and for tensors that are missing, of another
    shape, or not known: these are named.
    """
    published = hugging_face.read(source)
    _check_new(out)
    encoder_memory.check_conversion(str(source), published.config)
    with hugging_face.Tensors(source) as tensors:
        prefix = _prefix(tensors, source)
        head = hugging_face.head(published, tensors)
        known = _known(published.config, head, prefix)
        unused = _checked(tensors, known, prefix, published)
        with written_aside(out / WEIGHTS) as aside:
            _write(aside, _ours(tensors, known, prefix), dtype)
    checksums = {path.name: checksum(path) for path in hugging_face.files(source)}
    about = {"source": checksums, "settings": published.settings, "waveform": published.waveform}
    _describe(out, published.config, head, published.licence, dtype, **about)
    return unused


def make_random(family: str, size: str, out: Path, seed: int = 0) -> None:
    """Write an encoder with random weights, of a family and a size of `SIZES`, to try the program.

    Raises UserError for an unknown family or size.
    """
    if family not in hugging_face.FAMILIES or size not in SIZES:
        expected = f"one of {', '.join(hugging_face.FAMILIES)}, then - and {', '.join(SIZES)}"
        raise UserError(f"--random {family}-{size}: expected {expected}, such as wavlm-base")
    _check_new(out)
    config = EncoderConfig(family=family, **SIZES[size])
    rng = np.random.default_rng(seed)
    inputs = {
        place.name: place.ours(np.broadcast_to(np.float32(0), place.shape))
        for place in wav2vec2.places(config).values()
    }
    taps, hidden = config.position_kernel, config.hidden
    inputs[POSITIONS] = np.broadcast_to(np.float32(0), (taps, hidden // config.position_groups, hidden))

    def draw(name: str) -> np.ndarray:
        shape, scale = inputs[name].shape, name.rpartition("/")[2]
        if scale in ("gamma", "constant"):
            return np.ones(shape, np.float32)
        if scale in ("beta", "bias"):
            return np.zeros(shape, np.float32)
        return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)

    with written_aside(out / WEIGHTS) as aside:
        _write(aside, ((name, one.shape, partial(draw, name)) for name, one in inputs.items()), "float32")
    _describe(out, config, None, "none: random weights", "float32", random=True)


def is_random(folder: Path) -> bool:
    """Return whether a converted folder was made by `make_random`. False where there is none."""
    path = folder / DESCRIPTION
    return path.is_file() and bool(json.loads(path.read_text(encoding="utf-8")).get("random"))


def read(folder: Path) -> Converted:
    """Read a converted folder and check its weights. Raises UserError where it is none, or damaged."""
    found = describe(folder)
    if not (folder / WEIGHTS).is_file():
        raise UserError(f"{folder}: expected {WEIGHTS} beside {DESCRIPTION}, found none; convert the encoder again")
    if (sha256 := checksum(folder / WEIGHTS)) != found.sha256:
        differs = f"expected SHA-256 {found.sha256[:12]}..., found {sha256[:12]}..."
        raise UserError(f"{folder / WEIGHTS}: changed since it was converted ({differs}); convert the encoder again")
    return found


def describe(folder: Path) -> Converted:
    """Return what a converted folder says of itself; its weights are not read. Raises UserError where it is none."""
    path = folder / DESCRIPTION
    if not path.is_file():
        raise UserError(f"{folder}: expected an encoder that ser convert-weights made, found no {DESCRIPTION}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise ValueError(f"format {content['format']}, not {_FORMAT}")
        config: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in content["config"].items()
        }
        head = content["head"] and EncoderHead(**{**content["head"], "labels": tuple(content["head"]["labels"])})
        rest = {name: content[name] for name in ("licence", "sha256", "dtype", "settings", "waveform")}
        return Converted(folder, EncoderConfig(**config), head, **rest)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: damaged, or of another version ({error!r}); convert the encoder again") from error


def load_into(network: "keras.Model", converted: Converted) -> None:
    """Set the weights of a network of `speech_encoder`, and of a head where it has one, tensor by tensor."""
    known = {place.name: place for place in wav2vec2.places(converted.config).values()}
    if converted.head:
        known |= {place.name: place for place in wav2vec2.head_places(converted.head, converted.config).values()}
    with _opened(converted.folder / WEIGHTS) as tensors:
        network.get_layer("positions").kernel.assign(tensors.get_tensor(POSITIONS).astype(np.float32))
        there = {layer.name: layer for layer in network.layers}
        for name, place in known.items():
            if place.layer in there:
                getattr(there[place.layer], place.weight).assign(tensors.get_tensor(name).astype(np.float32))


def write_back(converted: Converted, out: Path) -> None:
    """Write a converted folder as it was published: config.json, preprocessor_config.json and model.safetensors.

    Names have no prefix; the positional kernel is split into a gain and a direction anew.
    """
    known = wav2vec2.places(converted.config)
    prefix = f"{converted.config.family}." if converted.head else ""
    heads = wav2vec2.head_places(converted.head, converted.config) if converted.head else {}
    with _opened(converted.folder / WEIGHTS) as tensors:

        def items() -> Iterator[Written]:
            places = {**{prefix + name: place for name, place in known.items()}, **heads}
            for name, place in places.items():
                yield name, place.shape, partial(lambda place: place.theirs(tensors.get_tensor(place.name)), place)
            gain, direction = wav2vec2.position_names()
            shapes = wav2vec2.position_shapes(converted.config)
            for index, name in enumerate((gain, direction)):
                yield (
                    prefix + name,
                    shapes[index],
                    partial(lambda index: wav2vec2.split_kernel(tensors.get_tensor(POSITIONS))[index], index),
                )

        with written_aside(out / hugging_face.WEIGHTS) as aside:
            _write(aside, items(), "float32")
    write_json(out / "config.json", converted.settings)
    write_json(out / "preprocessor_config.json", converted.waveform)


def _check_new(out: Path) -> None:
    if (out / DESCRIPTION).exists():
        raise UserError(f"{out}: holds a converted encoder already; choose another folder")


def _describe(
    out: Path, config: EncoderConfig, head: EncoderHead | None, licence: str, dtype: str, **about: Any
) -> None:
    """Write encoder.json, last of all: a folder without it is no converted encoder."""
    content = {"format": _FORMAT, "config": asdict(config), "head": asdict(head) if head else None, "licence": licence}
    content |= {"sha256": checksum(out / WEIGHTS), "dtype": dtype, "settings": {}, "waveform": {}, **about}
    write_json(out / DESCRIPTION, content)


def _prefix(tensors: hugging_face.Tensors, source: Path) -> str:
    """Return what stands in front of the encoder's names, such as "wav2vec2."."""
    for name in tensors:
        if name.endswith(wav2vec2.LANDMARK):
            return name.removesuffix(wav2vec2.LANDMARK)
    raise UserError(f"{source}: expected a speech encoder with {wav2vec2.LANDMARK}, found {shortened([*tensors])}")


def _known(config: EncoderConfig, head: EncoderHead | None, prefix: str) -> dict[str, Place]:
    known = {prefix + name: place for name, place in wav2vec2.places(config).items()}
    return known | (wav2vec2.head_places(head, config) if head else {})


def _checked(
    tensors: hugging_face.Tensors, known: Mapping[str, Place], prefix: str, published: hugging_face.Published
) -> list[str]:
    """Return the names of tensors of pre-training. Raises UserError for those missing, unknown or of another shape."""
    expected = {name: place.shape for name, place in known.items()}
    kernel = wav2vec2.spelled([name.removeprefix(prefix) for name in tensors]) or wav2vec2.position_names()
    shapes = wav2vec2.position_shapes(published.config)
    expected |= {prefix + name: shape for name, shape in zip(kernel, shapes, strict=True)}
    if absent := [name for name in expected if name not in tensors]:
        raise UserError(f"{published.folder}: {shortened(absent)} missing; fetch it again, or check config.json")
    beyond = [name for name in tensors if name not in expected]
    unused = [name for name in beyond if name.removeprefix(prefix).startswith(wav2vec2.UNUSED)]
    if unknown := [name for name in beyond if name not in unused]:
        raise UserError(f"{published.folder}: {shortened(unknown)} belong to no encoder that is built here")
    for name, shape in expected.items():
        if (found := tensors.shape(name)) != shape:
            raise UserError(f"{published.folder}: {name} has shape {found}, expected {shape} by config.json")
    return unused


def _ours(tensors: hugging_face.Tensors, known: Mapping[str, Place], prefix: str) -> Iterator[Written]:
    """Yield every tensor of the encoder and its head as the network has it."""
    for name, place in known.items():
        shape = place.ours(np.broadcast_to(np.float32(0), place.shape)).shape
        yield place.name, shape, partial(lambda name, place: place.ours(tensors.read(name)), name, place)
    gain, direction = (prefix + name for name in wav2vec2.spelled([n.removeprefix(prefix) for n in tensors]) or ())
    shape = tensors.shape(direction)[::-1]
    yield POSITIONS, shape, lambda: wav2vec2.position_kernel(tensors.read(gain), tensors.read(direction))


def _write(path: Path, tensors: Iterable[Written], dtype: str) -> None:
    """Write a safetensors file, a tensor at a time: the library's own writer holds all of them."""
    items, header, start = list(tensors), dict[str, Any](), 0
    size = np.dtype(dtype).itemsize
    for name, shape, _ in items:
        end = start + size * int(np.prod(shape))
        header[name] = {"dtype": DTYPES[dtype], "shape": list(shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape, take in items:
            tensor = np.ascontiguousarray(take(), dtype=np.dtype(dtype).newbyteorder("<"))
            if tensor.shape != shape or not np.isfinite(tensor).all():
                raise UserError(f"{name}: cannot be stored as {dtype}; store it as float32")
            file.write(tensor.data)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    need("weights", "a speech encoder")
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        yield file
