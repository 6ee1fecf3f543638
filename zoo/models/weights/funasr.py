"""Read the folder of a published emotion2vec model, as FunASR lays it out: config.yaml, tokens.txt and its weights.

The weights are published as a pickle (model.pt), which is refused with the commands that make a safetensors file of it
elsewhere. config.yaml is read by a parser that makes nothing but numbers, texts, lists and mappings.
"""

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from zoo.errors import UserError, shortened
from zoo.models.encoder_config import Emotion2VecConfig, EncoderHead
from zoo.models.weights import hugging_face
from zoo.models.weights.hugging_face import Published, Tensors
from zoo.utils.atomic_files import written_aside
from zoo.utils.extras import need

CONFIG, TOKENS = "config.yaml", "tokens.txt"
# Corpora that are among those of the published models' training.
TRAINED_ON = ("ravdess", "emodb")
_MOST_BYTES = 2**20  # of config.yaml: published ones have some 3,000
_MOST, _MOST_CONVOLUTIONS = 65_536, 64  # of any size in it
# Settings that change the architecture, and the one value of each that is built here.
_FIXED = {"norm_affine": True, "layer_norm_first": False}
_FIXED_AUDIO = {
    "extractor_mode": "layer_norm",
    "conv_pos_pre_ln": False,
    "use_alibi_encoder": True,
    "learned_alibi": False,
}
_COMMANDS = """\
import torch; from safetensors.torch import save_file; state = torch.load({source!r}, map_location="cpu")["model"]
save_file({{name: one.clone() for name, one in state.items() if torch.is_tensor(one)}}, {target!r})"""


def is_published(folder: Path) -> bool:
    """Return whether a folder looks like one of FunASR's."""
    return (folder / CONFIG).is_file() and not (folder / "config.json").is_file()


def read(folder: Path) -> Published:
    """Read what a folder says of emotion2vec. Raises UserError where a file is absent, or of another architecture.

    Of config.yaml `settings` keeps numbers and texts alone: what training and serving by FunASR nest deeper is left.
    """
    path = folder / CONFIG
    content = _yaml(path)
    if (found := content.get("model")) != "Emotion2vec":
        raise UserError(
            f"{path}: expected model: Emotion2vec, found {found!r}; of FunASR's models only it is built here"
        )
    try:
        model = content["model_conf"]
        audio = model["modalities"]["audio"]
        for name, value in (_FIXED | _FIXED_AUDIO).items():
            found = (model if name in _FIXED else audio).get(name, value)
            if found != value:
                raise ValueError(f"{name} is {found!r}, expected {value!r}; this variant is not built here")
        config = _config(model, audio)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"no {error.args[0]}" if isinstance(error, KeyError) else str(error)
        raise UserError(f"{path}: expected the settings of emotion2vec ({reason}); fetch it again") from error
    _check_no_pickle(folder)
    audio = {**_plain(audio), "decoder": None}
    settings: dict[str, Any] = {"model": "Emotion2vec"}
    settings["model_conf"] = {**_plain(model), "modalities": {"audio": audio}}
    if content.get(hugging_face.RANDOM):
        settings[hugging_face.RANDOM] = True
    return Published(folder, config, {**settings, "tokens": _tokens(folder)}, {}, hugging_face.licence(folder))


def head(published: Published, tensors: Tensors) -> EncoderHead | None:
    """Return the head of a folder's weights, its labels from tokens.txt, or None for a bare encoder without that file.

    Raises UserError where tokens.txt names more or fewer labels than the head has outputs, or outputs out of use.
    """
    tokens, path = published.settings["tokens"], published.folder / TOKENS
    if "proj.weight" not in tensors:
        if tokens:
            raise UserError(
                f"{published.folder}: proj.weight missing, the head of the {len(tokens)} labels in {TOKENS}; fetch it "
                f"again, or remove {TOKENS} to convert the encoder alone"
            )
        return None
    labels = tuple("unknown" if token == "<unk>" else token.rpartition("/")[2].strip() for token in tokens)
    if unused := [label for label in labels if label.startswith("unuse")]:
        found = f"{path}: {shortened(unused)} are outputs out of use, which are not built here"
        raise UserError(f"{found}; fetch the model's current version, which uses all")
    out = tensors.shape("proj.weight")[0]
    if len(set(labels)) != out or "" in labels:
        raise UserError(f"{path}: expected {out} different labels, one for each output, found {len(set(labels))}")
    return EncoderHead("linear", labels, 0)


def write(settings: Mapping[str, Any], out: Path) -> None:
    """Write config.yaml, and tokens.txt where there are labels, from what `read` has in `settings`."""
    import yaml

    content = {name: value for name, value in settings.items() if name != "tokens"}
    with written_aside(out / CONFIG) as aside:
        aside.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    if tokens := settings["tokens"]:
        with written_aside(out / TOKENS) as aside:
            aside.write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")


def settings_of(config: Emotion2VecConfig) -> dict[str, Any]:
    """Return what `read` would have in `settings` of an encoder without a head: for those with random weights."""
    convolutions = zip(config.conv_filters, config.conv_kernels, config.conv_strides, strict=True)
    audio = {
        "feature_encoder_spec": str([tuple(one) for one in convolutions]),
        "prenet_depth": config.prenet_layers,
        "conv_pos_depth": config.position_layers,
        "conv_pos_width": config.position_kernel * config.position_layers,
        "conv_pos_groups": config.position_groups,
        "num_extra_tokens": config.extra_tokens,
        "num_alibi_heads": config.heads,
        "learned_alibi_scale_per_layer": config.scale_per_layer,
        "learned_alibi_scale_per_head": config.scale_per_head,
        **_FIXED_AUDIO,
    }
    model = {
        "embed_dim": config.hidden,
        "depth": config.n_layers - config.prenet_layers,
        "num_heads": config.heads,
        "mlp_ratio": config.feed_forward / config.hidden,
        "norm_eps": config.epsilon,
        "normalize": config.standardize,
        **_FIXED,
    }
    return {"model": "Emotion2vec", "model_conf": {**model, "modalities": {"audio": audio}}, "tokens": []}


def _config(model: Mapping[str, Any], audio: Mapping[str, Any]) -> Emotion2VecConfig:
    hidden, heads = _whole(model, "embed_dim"), _whole(model, "num_heads")
    if hidden % heads or _whole(audio, "num_alibi_heads") != heads:
        raise ValueError(
            f"num_heads is {heads}, expected a divisor of embed_dim {hidden}, and num_alibi_heads the same"
        )
    groups, layers = _whole(audio, "conv_pos_groups"), _whole(audio, "conv_pos_depth")
    if hidden % groups:
        raise ValueError(f"conv_pos_groups is {groups}, expected a divisor of embed_dim {hidden}")
    filters, kernels, strides = zip(*_convolutions(audio["feature_encoder_spec"]), strict=True)
    prenet = _whole(audio, "prenet_depth", 0)
    return Emotion2VecConfig(
        hidden=hidden,
        n_layers=prenet + _whole(model, "depth", 0),
        heads=heads,
        feed_forward=int(hidden * float(model["mlp_ratio"])),
        conv_filters=filters,
        conv_kernels=kernels,
        conv_strides=strides,
        position_kernel=max(3, _whole(audio, "conv_pos_width") // layers),
        position_groups=groups,
        position_layers=layers,
        extra_tokens=_whole(audio, "num_extra_tokens"),
        prenet_layers=prenet,
        scale_per_layer=bool(audio["learned_alibi_scale_per_layer"]),
        scale_per_head=bool(audio["learned_alibi_scale_per_head"]),
        epsilon=float(model["norm_eps"]),  # 1e-05 is a text to the parser, which wants a point in a number
        standardize=bool(model["normalize"]),
    )


def _whole(settings: Mapping[str, Any], name: str, least: int = 1) -> int:
    value = settings[name]
    if type(value) is not int or not least <= value <= _MOST:
        raise ValueError(f"{name} is {value!r}, expected a whole number in {least}..{_MOST}")
    return value


def _convolutions(text: str) -> list[tuple[int, int, int]]:
    """Return filters, kernel and stride of each convolution of a text such as "[(512, 10, 5)] + [(512, 3, 2)] * 4"."""

    def value(node: ast.expr) -> list[Any]:
        match node:
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return value(left) + value(right)
            case ast.BinOp(left=left, op=ast.Mult(), right=ast.Constant(value=int(times))):
                if len(several := value(left)) * times <= _MOST_CONVOLUTIONS:
                    return several * times
            case ast.List():
                return list(ast.literal_eval(node))
        raise ValueError(ast.unparse(node))

    try:
        found = value(ast.parse(str(text).strip()[:1_000], mode="eval").body)
    except (SyntaxError, TypeError, ValueError) as error:
        expected = "lists of (filters, kernel, stride), their sums and multiples"
        raise ValueError(f"feature_encoder_spec is {text!r}, expected {expected}") from error
    whole = all(
        isinstance(one, tuple) and len(one) == 3 and all(type(n) is int and n > 0 for n in one) for one in found
    )
    if not whole or not 0 < len(found) <= _MOST_CONVOLUTIONS:
        raise ValueError(f"feature_encoder_spec is {text!r}, expected filters, kernel and stride of each convolution")
    return found


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name): one for name, one in settings.items() if isinstance(one, str | int | float | None)}


def _yaml(path: Path) -> dict[str, Any]:
    need("weights", "emotion2vec")
    import yaml

    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"{path.stat().st_size} bytes, more than {_MOST_BYTES}")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read as YAML ({reason:.300}); fetch it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected names and values in YAML, found {type(content).__name__}; fetch it again")
    return content


def _tokens(folder: Path) -> list[str]:
    path = folder / TOKENS
    try:
        lines: Iterable[str] = path.read_text(encoding="utf-8-sig").splitlines() if path.is_file() else ()
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as text ({error}); fetch it again") from error
    return [line.strip() for line in lines if line.strip()]


def _check_no_pickle(folder: Path) -> None:
    """Raise UserError where weights are there as a pickle alone, with the commands that convert it elsewhere."""
    pickled = hugging_face.pickles(folder)
    if not pickled:
        return
    hugging_face.check_pointer(pickled[0])
    found = (
        f"{folder}: expected {hugging_face.WEIGHTS}, found {pickled[0].name}, a pickle, which may run code when it is"
    )
    how = "loaded and is not read here. Where PyTorch and safetensors are installed and you trust the file, these two"
    commands = _COMMANDS.format(source=str(pickled[0]), target=str(folder / hugging_face.WEIGHTS))
    raise UserError(f"{found} {how} lines make it:", commands)
