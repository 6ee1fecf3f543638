"""emotion2vec in PyTorch, an independent reference: published names of tensors, plain functions, one clip length.

FunASR, which holds the published architecture, brings two dozen packages (cloud storage, tokenizers, a model hub), too
many for tests. Written from Ma et al. 2024, Baevski et al. 2023 (data2vec 2.0) and Press et al. 2022 (ALiBi);
`emotion2vec_against_funasr.py` beside this compares it with FunASR's module where that is installed.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

AUDIO = "modality_encoders.AUDIO."
LABELS = ("angry", "disgusted", "fearful", "happy", "neutral", "other", "sad", "surprised", "unknown")
TOKENS = (
    *("生气/angry", "厌恶/disgusted", "恐惧/fearful", "开心/happy", "中立/neutral", "其他/other", "难过/sad"),
    *("吃惊/surprised", "<unk>"),
)


@dataclass(frozen=True)
class Sizes:
    """Sizes as config.yaml names them."""

    embed_dim: int = 32
    num_heads: int = 4
    mlp_ratio: float = 1.5
    prenet_depth: int = 1
    depth: int = 2
    conv_pos_depth: int = 2
    conv_pos_width: int = 10
    conv_pos_groups: int = 4
    num_extra_tokens: int = 3
    filters: int = 16
    learned_alibi_scale_per_layer: bool = False
    learned_alibi_scale_per_head: bool = True
    normalize: bool = False
    norm_eps: str = "1e-05"  # as published: a text to parsers that want a point in a number

    @property
    def convolutions(self) -> list[tuple[int, int, int]]:
        return [(self.filters, *one) for one in [(10, 5), *[(3, 2)] * 4, (2, 2), (2, 2)]]

    @property
    def taps(self) -> int:
        return max(3, self.conv_pos_width // self.conv_pos_depth)

    @property
    def blocks(self) -> list[str]:
        prenet = [f"{AUDIO}context_encoder.blocks.{index}" for index in range(self.prenet_depth)]
        return prenet + [f"blocks.{index}" for index in range(self.depth)]


BASE = Sizes(768, 12, 4.0, 4, 8, 5, 95, 16, 10, 512)


def config_yaml(sizes: Sizes) -> str:
    """config.yaml as FunASR reads it."""
    filters = sizes.filters
    spec = f"[({filters}, 10, 5)] + [({filters}, 3, 2)] * 4 + [({filters},2,2)] + [({filters},2,2)]"
    flags = [sizes.learned_alibi_scale_per_layer, sizes.learned_alibi_scale_per_head, sizes.normalize]
    per_layer, per_head, normalize = (str(flag).lower() for flag in flags)
    return f"""\
model: Emotion2vec
model_conf:
    loss_beta: 0.0
    loss_scale: null
    depth: {sizes.depth}
    start_drop_path_rate: 0.0
    end_drop_path_rate: 0.0
    num_heads: {sizes.num_heads}
    norm_eps: {sizes.norm_eps}
    norm_affine: true
    encoder_dropout: 0.1
    post_mlp_drop: 0.1
    attention_dropout: 0.1
    activation_dropout: 0.0
    dropout_input: 0.0
    layerdrop: 0.05
    embed_dim: {sizes.embed_dim}
    mlp_ratio: {sizes.mlp_ratio}
    layer_norm_first: false
    average_top_k_layers: 8
    end_of_block_targets: false
    clone_batch: 8
    normalize: {normalize}
    modalities:
        audio:
            type: AUDIO
            prenet_depth: {sizes.prenet_depth}
            prenet_layerdrop: 0.05
            prenet_dropout: 0.1
            start_drop_path_rate: 0.0
            end_drop_path_rate: 0.0
            num_extra_tokens: {sizes.num_extra_tokens}
            init_extra_token_zero: true
            mask_noise_std: 0.01
            mask_prob: 0.5
            local_grad_mult: 1.0
            use_alibi_encoder: true
            alibi_scale: 1.0
            learned_alibi: false
            alibi_max_pos: null
            learned_alibi_scale: true
            learned_alibi_scale_per_head: {per_head}
            learned_alibi_scale_per_layer: {per_layer}
            num_alibi_heads: {sizes.num_heads}
            model_depth: {sizes.depth}
            extractor_mode: layer_norm
            feature_encoder_spec: '{spec}'
            conv_pos_width: {sizes.conv_pos_width}
            conv_pos_groups: {sizes.conv_pos_groups}
            conv_pos_depth: {sizes.conv_pos_depth}
            conv_pos_pre_ln: false
            decoder:
                decoder_dim: 8
                decoder_groups: 4
                decoder_kernel: 7
                decoder_layers: 1
                projection_layers: 1
                projection_ratio: 2.0
                input_dropout: 0.1
                decoder_residual: true
                add_positions_masked: false
                add_positions_all: false
tokenizer: CharTokenizer
tokenizer_conf:
    unk_symbol: <unk>
    split_with_space: true
scope_map:
    - 'd2v_model.'
    - none
"""


def shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor by its published name, without a prefix; of the head as well."""
    width, wide = sizes.embed_dim, int(sizes.embed_dim * sizes.mlp_ratio)
    found: dict[str, tuple[int, ...]] = {}
    inputs = 1
    for index, (filters, taps, _) in enumerate(sizes.convolutions):
        place = f"{AUDIO}local_encoder.conv_layers.{index}"
        found |= {f"{place}.0.weight": (filters, inputs, taps)}
        found |= {f"{place}.2.1.weight": (filters,), f"{place}.2.1.bias": (filters,)}
        inputs = filters
    for name, size in (("project_features.1", inputs), ("context_encoder.norm", width)):
        found |= {f"{AUDIO}{name}.weight": (size,), f"{AUDIO}{name}.bias": (size,)}
    found |= {f"{AUDIO}project_features.2.weight": (width, inputs), f"{AUDIO}project_features.2.bias": (width,)}
    for index in range(1, sizes.conv_pos_depth + 1):
        place = f"{AUDIO}relative_positional_encoder.{index}.0"
        found |= {f"{place}.weight": (width, width // sizes.conv_pos_groups, sizes.taps), f"{place}.bias": (width,)}
    found[f"{AUDIO}extra_tokens"] = (1, sizes.num_extra_tokens, width)
    layers = len(sizes.blocks) if sizes.learned_alibi_scale_per_layer else 1
    heads = sizes.num_heads if sizes.learned_alibi_scale_per_head else 1
    found[f"{AUDIO}alibi_scale"] = (layers, 1, heads, 1, 1)
    for block in sizes.blocks:
        linear = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
        linear |= {"mlp.fc1": (wide, width), "mlp.fc2": (width, wide)}
        for name, shape in linear.items():
            found |= {f"{block}.{name}.weight": shape, f"{block}.{name}.bias": shape[:1]}
        for name in ("norm1", "norm2"):
            found |= {f"{block}.{name}.weight": (width,), f"{block}.{name}.bias": (width,)}
    return found | {"proj.weight": (len(LABELS), width), "proj.bias": (len(LABELS),)}


def random_tensors(sizes: Sizes, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random tensors, none of them zero or one, which would hide mistakes; one scale of attention is below zero."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, shape in shapes(sizes).items():
        matrix = len(shape) > 1 and "extra_tokens" not in name and "alibi" not in name
        deviation = 1 / np.sqrt(np.prod(shape[1:])) if matrix else 0.2
        mean = 1.0 if "alibi" in name or (name.endswith("weight") and not matrix) else 0.0
        found[name] = torch.tensor(rng.normal(mean, deviation, shape).astype(np.float32))
    found[f"{AUDIO}alibi_scale"].ravel()[-1] = -0.5
    return found


def states(tensors, sizes: Sizes, waveforms: torch.Tensor, counts=None) -> list[torch.Tensor]:
    """Hidden states in front of the first block and behind each, (clips, frames, width), without the extra tokens.

    `counts` are real samples of each clip: attention leaves out what is beyond, nothing else does.
    """
    frames = waveforms[:, None]
    if sizes.normalize:
        frames = functional.layer_norm(frames, frames.shape[-1:])
    for index, (_, _, stride) in enumerate(sizes.convolutions):
        place = f"{AUDIO}local_encoder.conv_layers.{index}"
        frames = functional.conv1d(frames, tensors[f"{place}.0.weight"], stride=stride).transpose(1, 2)
        frames = _norm(frames, tensors, f"{place}.2.1", 1e-5)
        frames = functional.gelu(frames).transpose(1, 2)
    frames = _norm(frames.transpose(1, 2), tensors, f"{AUDIO}project_features.1", 1e-5)
    frames = _linear(frames, tensors, f"{AUDIO}project_features.2")
    positions = frames
    for index in range(1, sizes.conv_pos_depth + 1):
        weight, bias = (tensors[f"{AUDIO}relative_positional_encoder.{index}.0.{part}"] for part in ("weight", "bias"))
        padded = functional.pad(positions.transpose(1, 2), (sizes.taps // 2, (sizes.taps - 1) // 2))
        positions = functional.conv1d(padded, weight, bias, groups=sizes.conv_pos_groups).transpose(1, 2)
        positions = functional.gelu(functional.layer_norm(positions, positions.shape[-1:]))
    frames = frames + positions
    n_extra, length = sizes.num_extra_tokens, frames.shape[1]
    frames = torch.cat([tensors[f"{AUDIO}extra_tokens"].expand(len(frames), -1, -1), frames], 1)
    frames = _norm(frames, tensors, f"{AUDIO}context_encoder.norm", float(sizes.norm_eps))
    hidden = torch.zeros(len(frames), n_extra + length, dtype=bool)
    if counts is not None:
        for clip, count in enumerate(counts):
            hidden[clip, n_extra + n_frames(count) :] = True
    found = [frames]
    for index, block in enumerate(sizes.blocks):
        scale = tensors[f"{AUDIO}alibi_scale"].clamp(min=0)
        scale = scale[index if len(scale) > 1 else 0].reshape(-1, 1, 1)
        bias = functional.pad(scale * distances(sizes.num_heads, length), (n_extra, 0, n_extra, 0))
        frames = _block(frames, tensors, block, sizes, bias, hidden)
        found.append(frames)
    return [one[:, n_extra:] for one in found]


def probabilities(tensors, last: torch.Tensor) -> torch.Tensor:
    """The head's answer to the last hidden states of clips without padding."""
    return torch.softmax(_linear(last.mean(1), tensors, "proj"), -1)


def n_frames(n_samples: int) -> int:
    return (n_samples - 400) // 320 + 1


def distances(heads: int, length: int) -> torch.Tensor:
    """-slope * |i - j| for each head: slopes fall from 2**(-8/n) by that factor, n the power of two at or below."""
    power = 1
    while 2 * power <= heads:
        power *= 2
    slopes = [2 ** (-8 * (index + 1) / power) for index in range(power)]
    between = [2 ** (-8 * (index + 1) / (2 * power)) for index in range(2 * power)][::2]
    slopes = torch.tensor((slopes + between)[:heads], dtype=torch.float32)
    apart = np.abs(np.subtract.outer(np.arange(length), np.arange(length)))
    return -slopes[:, None, None] * torch.tensor(apart, dtype=torch.float32)


def _block(frames, tensors, block: str, sizes: Sizes, bias, hidden):
    clips, length, width = frames.shape
    parts = _linear(frames, tensors, f"{block}.attn.qkv").reshape(clips, length, 3, sizes.num_heads, -1)
    query, key, value = parts.permute(2, 0, 3, 1, 4)
    scores = query @ key.transpose(-2, -1) / np.sqrt(width / sizes.num_heads) + bias
    shares = torch.softmax(scores.masked_fill(hidden[:, None, None], -torch.inf), -1)
    attended = (shares @ value).transpose(1, 2).reshape(clips, length, width)
    epsilon = float(sizes.norm_eps)
    frames = _norm(frames + _linear(attended, tensors, f"{block}.attn.proj"), tensors, f"{block}.norm1", epsilon)
    wide = functional.gelu(_linear(frames, tensors, f"{block}.mlp.fc1"))
    return _norm(frames + _linear(wide, tensors, f"{block}.mlp.fc2"), tensors, f"{block}.norm2", epsilon)


def _linear(frames, tensors, name: str):
    return functional.linear(frames, tensors[f"{name}.weight"], tensors[f"{name}.bias"])


def _norm(frames, tensors, name: str, epsilon: float):
    weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    return functional.layer_norm(frames, weight.shape, weight, bias, epsilon)
