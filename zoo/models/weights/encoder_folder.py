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
from zoo.models.encoder_config import EncoderConfig, EncoderHead
from zoo.models.weights import encoder_memory, families, hugging_face, wav2vec2
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
_NO_LICENCE = "none: random weights"
Written = tuple[str, tuple[int, ...], Callable[[], np.ndarray]]  # a tensor's name, shape, and what reads it


@dataclass(frozen=True)
class Converted:
    """A converted folder: what its encoder.json says.

    `settings` and `waveform` are the published config.json and preprocessor_config.json, `sha256` the checksum of the
    weights, `dtype` how they are stored, float32 or float16. `trained_on` are corpora of ours that are known to be
    among those of its training.
    """

    folder: Path
    config: EncoderConfig
    head: EncoderHead | None
    licence: str
    sha256: str
    dtype: str
    settings: Mapping[str, Any]
    waveform: Mapping[str, Any]
    trained_on: tuple[str, ...] = ()


def convert(source: Path, out: Path, dtype: str = "float32") -> list[str]:
    """Convert a published folder into `out`; returns the names of tensors that are left out, all of pre-training.

    Raises UserError for a folder that is no such encoder, or damaged, and for tensors that are missing, of another
    shape, or not known: these are named.
    """
    published = families.read(source)
    _check_new(out)
    encoder_memory.check_conversion(str(source), published.config)
    with hugging_face.Tensors(source) as tensors:
        prefix = _prefix(tensors, published)
        head = families.head(published, tensors)
        known = families.named_places(published.config, head, prefix)
        known += [pair for pair in families.optional_places(published.config, prefix) if pair[0] in tensors]
        positions = families.normed_positions(published.config, [*tensors], prefix)
        unused = _checked(tensors, {**{name: place.shape for name, place in known}, **positions}, prefix, published)
        with written_aside(out / WEIGHTS) as aside:
            _write(aside, _ours(tensors, known, positions), dtype)
    checksums = {path.name: checksum(path) for path in hugging_face.files(source)}
    about: dict[str, Any] = {"source": checksums, "settings": published.settings, "waveform": published.waveform}
    about["trained_on"], licence = families.trained_on(published), published.licence
    if published.settings.get(hugging_face.RANDOM):
        about |= {"random": True, "trained_on": ()}
        licence = _NO_LICENCE
    _describe(out, published.config, head, licence, dtype, **about)
    return unused


def make_random(family: str, size: str, out: Path, seed: int = 0) -> None:
    """Write an encoder with random weights, of a family and a size of `families.SIZES`, to try the program.

    Raises UserError for an unknown family or size.
    """
    if family not in families.FAMILIES or size not in families.SIZES:
        expected = f"one of {', '.join(families.FAMILIES)}, then - and {', '.join(families.SIZES)}"
        raise UserError(f"--random {family}-{size}: expected {expected}, such as wavlm-base")
    _check_new(out)
    config = families.of_size(family, size)
    rng = np.random.default_rng(seed)
    shapes = {place.name: _shape(place) for _, place in families.named_places(config)}
    if positions := families.normed_positions(config):
        shapes[POSITIONS] = [*positions.values()][1][::-1]

    def draw(name: str) -> np.ndarray:
        shape, weight = shapes[name], name.rpartition("/")[2]
        if weight in ("gamma", "constant", "scale"):
            return np.ones(shape, np.float32)
        if weight in ("beta", "bias"):
            return np.zeros(shape, np.float32)
        return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)

    with written_aside(out / WEIGHTS) as aside:
        _write(aside, ((name, shape, partial(draw, name)) for name, shape in shapes.items()), "float32")
    settings, waveform = families.settings_of(config)
    about = {"settings": {**settings, hugging_face.RANDOM: True}, "waveform": waveform, "random": True}
    _describe(out, config, None, _NO_LICENCE, "float32", **about)


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
        head = content["head"] and EncoderHead(**{**content["head"], "labels": tuple(content["head"]["labels"])})
        rest = {name: content[name] for name in ("licence", "sha256", "dtype", "settings", "waveform")}
        rest["trained_on"] = tuple(content.get("trained_on", ()))
        return Converted(folder, families.configuration(content["config"]), head, **rest)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: damaged, or of another version ({error!r}); convert the encoder again") from error


def load_into(network: "keras.Model", converted: Converted) -> None:
    """Set the weights of a network of `zoo.models.encoders.build`, and of a head where it has one, tensor by tensor."""
    names = [place.name for _, place in families.named_places(converted.config, converted.head)]
    if families.normed_positions(converted.config):
        names.append(POSITIONS)
    with _opened(converted.folder / WEIGHTS) as tensors:
        stored = set(tensors.keys())
        names += [place.name for _, place in families.optional_places(converted.config) if place.name in stored]
        there = {layer.name: layer for layer in network.layers}
        for name in names:
            layer, _, weight = name.partition("/")
            if layer in there:
                getattr(there[layer], weight).assign(tensors.get_tensor(name).astype(np.float32))


def write_back(converted: Converted, out: Path) -> None:
    """Write a converted folder as it was published: its settings and model.safetensors, with the published names.

    A positional kernel is split into a gain and a direction anew.
    """
    prefix = families.usual_prefix(converted.config, converted.head)
    parts = dict[str, list[Place]]()
    for name, place in families.named_places(converted.config, converted.head, prefix):
        parts.setdefault(name, []).append(place)
    with _opened(converted.folder / WEIGHTS) as tensors:
        stored = set(tensors.keys())
        optional = families.optional_places(converted.config, prefix)
        parts |= {name: [place] for name, place in optional if place.name in stored}

        def joined(places: Iterable[Place]) -> np.ndarray:
            return np.concatenate([place.theirs(tensors.get_tensor(place.name)) for place in places])

        def items() -> Iterator[Written]:
            for name, places in parts.items():
                yield name, places[0].shape, partial(joined, places)
            for index, (name, shape) in enumerate(families.normed_positions(converted.config, (), prefix).items()):
                yield (
                    name,
                    shape,
                    partial(lambda index: wav2vec2.split_kernel(tensors.get_tensor(POSITIONS))[index], index),
                )

        with written_aside(out / hugging_face.WEIGHTS) as aside:
            _write(aside, items(), "float32")
    families.write_settings(converted.config, converted.settings, converted.waveform, out)


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


def _prefix(tensors: hugging_face.Tensors, published: hugging_face.Published) -> str:
    """Return what stands in front of the encoder's names, such as "wav2vec2."."""
    landmark = families.landmark(published.config)
    for name in tensors:
        if name.endswith(landmark):
            return name.removesuffix(landmark)
    raise UserError(f"{published.folder}: expected a speech encoder with {landmark}, found {shortened([*tensors])}")


def _checked(
    tensors: hugging_face.Tensors,
    expected: Mapping[str, tuple[int, ...]],
    prefix: str,
    published: hugging_face.Published,
) -> list[str]:
    """Return the names of tensors of pre-training. Raises UserError for those missing, unknown or of another shape.

    `expected` are the shapes of all others by name.
    """
    settings = families.settings_file(published.config)
    if absent := [name for name in expected if name not in tensors]:
        raise UserError(f"{published.folder}: {shortened(absent)} missing; fetch it again, or check {settings}")
    beyond = [name for name in tensors if name not in expected]
    unused = [name for name in beyond if name.removeprefix(prefix).startswith(families.unused(published.config))]
    if unknown := [name for name in beyond if name not in unused]:
        raise UserError(f"{published.folder}: {shortened(unknown)} belong to no encoder that is built here")
    for name, shape in expected.items():
        if (found := tensors.shape(name)) != shape:
            raise UserError(f"{published.folder}: {name} has shape {found}, expected {shape} by {settings}")
    return unused


def _ours(
    tensors: hugging_face.Tensors, known: Iterable[tuple[str, Place]], positions: Iterable[str]
) -> Iterator[Written]:
    """Yield every tensor of the encoder and its head as the network has it; `positions` are `normed_positions`."""
    for name, place in known:
        yield place.name, _shape(place), partial(lambda name, place: place.ours(tensors.read(name)), name, place)
    if normed := [*positions]:
        gain, direction = normed
        shape = tensors.shape(direction)[::-1]
        yield POSITIONS, shape, lambda: wav2vec2.position_kernel(tensors.read(gain), tensors.read(direction))


def _shape(place: Place) -> tuple[int, ...]:
    """Return the shape of a tensor in the network."""
    return place.ours(np.broadcast_to(np.float32(0), place.shape)).shape


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
