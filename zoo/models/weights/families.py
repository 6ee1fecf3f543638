"""Tell families of speech encoders apart: whose folder it is, its configuration and the names of its tensors."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from zoo.models.encoder_config import EMOTION2VEC, Emotion2VecConfig, EncoderConfig, EncoderHead
from zoo.models.weights import emotion2vec, funasr, hugging_face, wav2vec2
from zoo.models.weights.hugging_face import Published, Tensors
from zoo.models.weights.wav2vec2 import Place
from zoo.utils.atomic_files import write_json

FAMILIES = (*hugging_face.FAMILIES, EMOTION2VEC)
# Of random encoders; published ones of the same name have these sizes.
_SMALL = {"hidden": 32, "n_layers": 2, "heads": 4, "feed_forward": 48, "conv_filters": (16,) * 7, "position_groups": 4}
_LARGE = {"hidden": 1024, "heads": 16, "feed_forward": 4096}
SIZES: Mapping[str, Mapping[str, Any]] = {
    "tiny": {**_SMALL, "position_kernel": 16, "buckets": 32, "max_distance": 40},
    "base": {},
    "large": {**_LARGE, "n_layers": 24, "conv_norm": "layer", "norm_first": True, "conv_bias": True},
}
_SIZES_OF_EMOTION2VEC: Mapping[str, Mapping[str, Any]] = {
    "tiny": {**_SMALL, "position_kernel": 5, "extra_tokens": 3, "prenet_layers": 1},
    "base": {},
    "large": _LARGE,
}


def configuration(settings: Mapping[str, Any]) -> EncoderConfig:
    """Return the configuration in a converted folder's `config`. Raises KeyError or TypeError for other settings."""
    settings = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    return (Emotion2VecConfig if settings["family"] == EMOTION2VEC else EncoderConfig)(**settings)


def of_size(family: str, size: str) -> EncoderConfig:
    """Return the configuration of a family in a size of `SIZES`."""
    if family == EMOTION2VEC:
        return Emotion2VecConfig(**_SIZES_OF_EMOTION2VEC[size])
    return EncoderConfig(family=family, **SIZES[size])


def read(folder: Path) -> Published:
    """Read what a published folder says of an encoder. Raises UserError where it is none of a known family."""
    return (funasr if funasr.is_published(folder) else hugging_face).read(folder)


def head(published: Published, tensors: Tensors) -> EncoderHead | None:
    """Return the head that a published folder's weights have, or None for a bare encoder."""
    return (funasr if _is_emotion2vec(published.config) else hugging_face).head(published, tensors)


def trained_on(published: Published) -> tuple[str, ...]:
    """Return the corpora of ours that are known to be among those of a published encoder's training."""
    return funasr.TRAINED_ON if _is_emotion2vec(published.config) else ()


def settings_of(config: EncoderConfig) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return `settings` and `waveform` of an encoder that was never published, as `read` gives them."""
    return (
        (funasr.settings_of(config), {}) if isinstance(config, Emotion2VecConfig) else hugging_face.settings_of(config)
    )


def write_settings(config: EncoderConfig, settings: Mapping[str, Any], waveform: Mapping[str, Any], out: Path) -> None:
    """Write the files of a published folder beside its weights, from what `read` had in them."""
    if isinstance(config, Emotion2VecConfig):
        funasr.write(settings, out)
    else:
        write_json(out / "config.json", settings)
        write_json(out / "preprocessor_config.json", waveform)


def settings_file(config: EncoderConfig) -> str:
    """Return the name of the published file that states the architecture."""
    return funasr.CONFIG if _is_emotion2vec(config) else "config.json"


def landmark(config: EncoderConfig) -> str:
    """Return the name of a tensor that every checkpoint of the family has, without a prefix."""
    return (emotion2vec if _is_emotion2vec(config) else wav2vec2).LANDMARK


def unused(config: EncoderConfig) -> tuple[str, ...]:
    """Return how names of tensors begin that only pre-training uses, without a prefix."""
    return (emotion2vec if _is_emotion2vec(config) else wav2vec2).UNUSED


def usual_prefix(config: EncoderConfig, head: EncoderHead | None) -> str:
    """Return what stands in front of an encoder's names where it has a head, "" where it has none."""
    if not head:
        return ""
    return emotion2vec.PREFIX if _is_emotion2vec(config) else f"{config.family}."


def named_places(config: EncoderConfig, head: EncoderHead | None = None, prefix: str = "") -> list[tuple[str, Place]]:
    """Return the published name and the place of every tensor of an encoder and its head.

    A published tensor that is several of ours comes once for each, in their order in it. The positional kernel of
    wav2vec 2.0 and its kin is not among them: it is one of ours, and two published tensors (`normed_positions`).
    """
    if isinstance(config, Emotion2VecConfig):
        places = list(emotion2vec.places(config))
        of_head = list(emotion2vec.head_places(head, config)) if head else []
    else:
        places = list(wav2vec2.places(config).items())
        of_head = list(wav2vec2.head_places(head, config).items()) if head else []
    return [*((prefix + name, place) for name, place in places), *of_head]


def optional_places(config: EncoderConfig, prefix: str = "") -> list[tuple[str, Place]]:
    """Return the published name and the place of every tensor that some checkpoints of a family lack."""
    found = {} if _is_emotion2vec(config) else wav2vec2.optional_places(config)
    return [(prefix + name, place) for name, place in found.items()]


def normed_positions(
    config: EncoderConfig, names: Collection[str] = (), prefix: str = ""
) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of a positional kernel's gain and direction, as `names` spell them, or today's spelling.

    It is empty for encoders whose positional convolutions have no weight normalisation.
    """
    if _is_emotion2vec(config):
        return {}
    spelling = wav2vec2.spelled([name.removeprefix(prefix) for name in names]) or wav2vec2.position_names()
    return {prefix + name: shape for name, shape in zip(spelling, wav2vec2.position_shapes(config), strict=True)}


def _is_emotion2vec(config: EncoderConfig) -> bool:
    return isinstance(config, Emotion2VecConfig)
