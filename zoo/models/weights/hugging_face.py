"""Read the folder of a published speech encoder: config.json, preprocessor_config.json and safetensors, one at a time.

Nothing is executed: pickled weights (.bin, .pt) are refused, with the commands that convert them elsewhere.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import UserError
from zoo.models.encoder_config import EncoderConfig, EncoderHead
from zoo.utils.extras import need

FAMILIES = ("wav2vec2", "hubert", "wavlm")
RANDOM = "random_weights"  # in the settings of an encoder with random weights that is written as if published
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
_POINTER = b"version https://git-lfs"  # what a clone without large-file storage has in place of a file
# Settings that change the architecture, and the one value of each that is built here.
_FIXED = {
    "hidden_act": "gelu",
    "feat_extract_activation": "gelu",
    "conv_pos_batch_norm": False,
    "add_adapter": False,
    "adapter_attn_dim": None,
}
_FLOATS = ("F32", "F16", "BF16")


@dataclass(frozen=True)
class Published:
    """A published encoder as its folder says: architecture, config.json, preprocessor_config.json, stated licence."""

    folder: Path
    config: EncoderConfig
    settings: Mapping[str, Any]
    waveform: Mapping[str, Any]
    licence: str


def read(folder: Path) -> Published:
    """Read what a folder says of an encoder. Raises UserError where a file is absent, or of another architecture."""
    settings = _json(folder / "config.json", "the folder of a speech encoder, as published")
    family = settings.get("model_type")
    if family not in FAMILIES:
        raise UserError(
            f"{folder / 'config.json'}: expected model_type {', '.join(FAMILIES)}, found {family!r}; only encoders of "
            "these families can be converted"
        )
    for name, value in _FIXED.items():
        if settings.get(name, value) != value:
            found = f"{folder / 'config.json'}: {name} is {settings[name]!r}, expected {value!r}"
            raise UserError(f"{found}; this variant of {family} is not built here")
    waveform = _json(folder / "preprocessor_config.json", "how waveforms are prepared, beside config.json")
    try:
        config = _config(family, settings, waveform)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder / 'config.json'}: expected the settings of {family} ({error!r}); fetch it again"
        ) from error
    return Published(folder, config, settings, waveform, licence(folder))


def _config(family: str, settings: Mapping[str, Any], waveform: Mapping[str, Any]) -> EncoderConfig:
    distances = {"buckets": "num_buckets", "max_distance": "max_bucket_distance"} if family == "wavlm" else {}
    return EncoderConfig(
        family=family,
        hidden=settings["hidden_size"],
        n_layers=settings["num_hidden_layers"],
        heads=settings["num_attention_heads"],
        feed_forward=settings["intermediate_size"],
        conv_filters=tuple(settings["conv_dim"]),
        conv_kernels=tuple(settings["conv_kernel"]),
        conv_strides=tuple(settings["conv_stride"]),
        conv_bias=settings["conv_bias"],
        conv_norm=settings["feat_extract_norm"],
        norm_first=settings["do_stable_layer_norm"],
        project_norm=settings.get("feat_proj_layer_norm", True),
        position_kernel=settings["num_conv_pos_embeddings"],
        position_groups=settings["num_conv_pos_embedding_groups"],
        epsilon=settings["layer_norm_eps"],
        standardize=waveform["do_normalize"],
        rate_hz=waveform.get("sampling_rate", 16_000),
        **{ours: settings[theirs] for ours, theirs in distances.items()},
    )


def settings_of(config: EncoderConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return config.json and preprocessor_config.json of an encoder that was never published, as `read` reads them."""
    settings = {
        "model_type": config.family,
        "hidden_size": config.hidden,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.feed_forward,
        "conv_dim": config.conv_filters,
        "conv_kernel": config.conv_kernels,
        "conv_stride": config.conv_strides,
        "conv_bias": config.conv_bias,
        "feat_extract_norm": config.conv_norm,
        "do_stable_layer_norm": config.norm_first,
        "feat_proj_layer_norm": config.project_norm,
        "num_conv_pos_embeddings": config.position_kernel,
        "num_conv_pos_embedding_groups": config.position_groups,
        "layer_norm_eps": config.epsilon,
    }
    if config.family == "wavlm":
        settings |= {"num_buckets": config.buckets, "max_bucket_distance": config.max_distance}
    return settings, {"do_normalize": config.standardize, "sampling_rate": config.rate_hz}


def head(published: Published, tensors: "Tensors") -> EncoderHead | None:
    """Return the head that a folder's weights have, or None for a bare encoder.

    Raises UserError where config.json names more or fewer labels than the head has outputs, or two alike.
    """
    audeering = "classifier.dense.weight" in tensors
    if not audeering and "projector.weight" not in tensors:
        return None
    out = tensors.shape("classifier.out_proj.weight" if audeering else "classifier.weight")[0]
    names = published.settings.get("id2label") or {}
    labels = tuple(str(names.get(str(index), names.get(index, ""))) for index in range(out))
    if "" in labels or len(names) != out:
        found = f"{published.folder / 'config.json'}: id2label names {len(names)} outputs, the weights have {out}"
        raise UserError(f"{found}; fetch both again")
    if len(set(labels)) < out:
        found = f"{published.folder / 'config.json'}: id2label names outputs {', '.join(labels)}, two of them alike"
        raise UserError(f"{found}; fetch it again, or give each its name")
    ratings = audeering or published.settings.get("problem_type") == "regression"
    width = tensors.shape("classifier.dense.weight" if audeering else "projector.weight")[0]
    return EncoderHead("dense" if audeering else "projector", labels, width, ratings, "layer_weights" in tensors)


class Tensors:
    """The tensors of a folder's safetensors files, by name, each read when it is taken. Use as a context."""

    def __init__(self, folder: Path):
        self.files = files(folder)
        self._stack, self._of = ExitStack(), dict[str, Any]()

    def __enter__(self) -> "Tensors":
        need("weights", "a speech encoder")
        from safetensors import safe_open

        for path in self.files:
            _check_file(path)
            try:
                opened = self._stack.enter_context(safe_open(path, framework="numpy"))
            except Exception as error:  # of a damaged file the library raises an error of its own kind
                self._stack.close()
                raise UserError(f"{path}: damaged or not whole ({error}); fetch the file again") from error
            self._of |= dict.fromkeys(opened.keys(), opened)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __contains__(self, name: str) -> bool:
        return name in self._of

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._of[name].get_slice(name).get_shape())

    def read(self, name: str) -> np.ndarray:
        """Return a tensor as float32. Raises UserError for one of another kind, or with values that are not finite."""
        import ml_dtypes  # noqa: F401  makes bfloat16 known to NumPy

        kind = self._of[name].get_slice(name).get_dtype()
        if kind not in _FLOATS:
            raise UserError(f"{self.files[0].parent}: {name} is of {kind}, expected {', '.join(_FLOATS)}")
        tensor = self._of[name].get_tensor(name).astype(np.float32)
        if not np.isfinite(tensor).all():
            raise UserError(f"{self.files[0].parent}: {name} holds values that are not finite; fetch the file again")
        return tensor


def files(folder: Path) -> list[Path]:
    """Return the safetensors files of a folder: one, or those of its index."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        names = sorted(set(_json(folder / INDEX, "an index of weights")["weight_map"].values()))
        if absent := [name for name in names if Path(name).name != name or not (folder / name).is_file()]:
            found = f"{folder}: {INDEX} names {len(names)} files, {', '.join(absent[:3])} not there"
            raise UserError(f"{found}; fetch the folder again")
        return [folder / name for name in names]
    if pickled := pickles(folder):
        raise UserError(
            f"{folder}: expected {WEIGHTS}, found {pickled[0].name}, a pickle, which may run code when it is loaded "
            "and is not read here. Where transformers is installed and you trust the file, these two lines make it:",
            f"from transformers import AutoModel\n"
            f"AutoModel.from_pretrained({str(folder)!r}).save_pretrained({str(folder)!r}, safe_serialization=True)",
        )
    raise UserError(f"{folder}: expected {WEIGHTS} or {INDEX}, found neither; fetch the folder again")


def pickles(folder: Path) -> list[Path]:
    """Return the pickled weights of a folder that has no safetensors file."""
    if (folder / WEIGHTS).is_file() or (folder / INDEX).is_file():
        return []
    return [path for path in sorted(folder.iterdir()) if path.suffix in (".bin", ".pt", ".pth", ".ckpt")]


def check_pointer(path: Path) -> None:
    """Raise UserError for a large-file pointer."""
    with path.open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            size = path.stat().st_size
            raise UserError(f"{path}: expected weights, found a large-file pointer of {size} bytes; run: git lfs pull")


def _check_file(path: Path) -> None:
    """Raise UserError for a large-file pointer, and for a file shorter than its header says."""
    check_pointer(path)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            raise UserError(f"{path}: not whole, or no safetensors file; fetch it again")
        try:
            header = json.loads(file.read(length))
            ends = [item["data_offsets"][1] for name, item in header.items() if name != "__metadata__"]
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise UserError(f"{path}: no safetensors file ({error!r}); fetch it again") from error
    expected = 8 + length + max(ends, default=0)
    if path.stat().st_size != expected:
        raise UserError(f"{path}: expected {expected} bytes, found {path.stat().st_size}; fetch the file again")


def _json(path: Path, what: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: absent; expected {what}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}); fetch it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(content).__name__}; fetch it again")
    return content


def licence(folder: Path) -> str:
    """Return the licence that the folder's card (README.md) states in its header, or "not stated".

    One of no known name ("other") has its own, and the address of its text, behind it.
    """
    card = folder / "README.md"
    if not card.is_file():
        return "not stated"
    stated = dict[str, str]()
    for line in card.read_text(encoding="utf-8", errors="replace").splitlines()[:60]:
        name, colon, value = line.partition(":")
        if colon and name in ("license", "license_name", "license_link"):
            stated.setdefault(name, value.strip())
    own = [stated[name] for name in ("license_name", "license_link") if name in stated]
    return stated.get("license", "not stated") + (f" ({', '.join(own)})" if own else "")
