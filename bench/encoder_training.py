"""Measure a fine-tuning step of a base-size wav2vec 2.0 in Keras against transformers' own in PyTorch.

Both have random weights, one thread, a process of their own, Adam, a class head on the mean of the last layer's frames,
and convolutions that are not trained; dropouts are 0.1, nothing is masked. They take turns.
"""

import os
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from multiprocessing.connection import Connection

import numpy as np

from bench.one_batch import one_batch
from bench.processes import peak_mib, serve, worker
from bench.result import Result, median_seconds
from zoo.errors import UserError
from zoo.utils.backends import use_backend

N_CLASSES, HIDDEN_UNITS, DROPOUT = 4, 256, 0.1
# Theirs alone: the gain of weight normalisation, by tap, and the vector of masked frames.
_THEIRS = ("original0", "masked_spec_embed")


@dataclass(frozen=True)
class Size:
    """What is trained: a size of random encoders, so many clips of so many samples in a batch."""

    encoder: str = "base"
    batch: int = 2
    samples: int = 48_000


def measure(quick: bool) -> list[Result]:
    for name in ("torch", "transformers"):
        if find_spec(name) is None:
            raise UserError(f"encoder_training: {name} is not installed: pip install -e '.[torch,dev]'")
    size, repeats = (Size("tiny", samples=2_000), 2) if quick else (Size(), 7)
    with ExitStack() as stack:
        pipes = {
            "keras": stack.enter_context(worker(_keras_worker, size, False)),
            "recomputed": stack.enter_context(worker(_keras_worker, size, True)),
            "torch": stack.enter_context(worker(_torch_worker, size)),
        }
        facts = {name: pipe.recv() for name, pipe in pipes.items()}
        trained = {name: fact["parameters"] for name, fact in facts.items()}
        if len(set(trained.values())) != 1:
            raise RuntimeError(f"they train different numbers of weights: {trained}")
        taken = median_seconds({name: partial(_ask, pipe) for name, pipe in pipes.items()}, repeats)
        peaks = {name: peak_mib(fact["pid"]) for name, fact in facts.items()}
    what = f"wav2vec 2.0 {size.encoder}, {size.batch} clips of {size.samples / 16_000:g} s, 1 thread, "
    what += f"{trained['keras']:,} trained weights"
    note = f"{what}, against transformers on torch; peak {peaks['keras']:.0f} MiB, {peaks['torch']:.0f} MiB"
    again = f"{what}, recomputing in the backward pass or not; peak {peaks['recomputed']:.0f} MiB"
    return [
        Result("encoder step", "s", taken["keras"], taken["torch"], 1.2, "at most", note),
        Result("encoder step recompute", "s", taken["recomputed"], taken["keras"], note=again),
        Result("encoder step recompute peak", "MiB", peaks["recomputed"], peaks["keras"], note=what),
    ]


def _ask(pipe: Connection) -> None:
    pipe.send(1)
    pipe.recv()


def _data(size: Size) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(0, 0.1, (size.batch, size.samples)).astype(np.float32), np.arange(size.batch) % N_CLASSES


def _keras_worker(pipe: Connection, size: Size, recompute: bool) -> None:
    use_backend("tensorflow")
    import tensorflow as tf

    from zoo.config import flags
    from zoo.models.encoder_head import fine_tuned_encoder
    from zoo.models.wav2vec2 import EncoderConfig
    from zoo.models.weights.encoder_folder import SIZES
    from zoo.training import encoder_tuning
    from zoo.training.fit import compile_model, make_repeatable

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    settings = flags.from_flags({"model": "wav2vec2", "fine_tune": "all"})
    make_repeatable(settings.seed)
    config = EncoderConfig(**SIZES[size.encoder])
    options = {"pooling": "mean", "hidden_units": HIDDEN_UNITS, "dropout": DROPOUT, "masked_frames": 0.0}
    options |= {"encoder_dropout": DROPOUT, "attention_dropout": DROPOUT, "recompute": recompute}
    network = fine_tuned_encoder(N_CLASSES, config, [config.n_layers], **options)
    encoder_tuning.freeze(network, settings)
    compile_model(network, "sparse_categorical_crossentropy", settings, steps_per_epoch=100)
    clips, labels = _data(size)

    def run(steps: int) -> None:
        network.fit(one_batch(steps, clips[..., None], labels), shuffle=False, verbose=0)

    parameters = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    serve(pipe, {"parameters": parameters, "pid": os.getpid()}, run)


def _torch_worker(pipe: Connection, size: Size) -> None:
    import torch
    import transformers

    from zoo.models.wav2vec2 import EncoderConfig
    from zoo.models.weights.encoder_folder import SIZES

    torch.set_num_threads(1)
    ours = EncoderConfig(**SIZES[size.encoder])
    config = transformers.Wav2Vec2Config(
        hidden_size=ours.hidden,
        num_hidden_layers=ours.n_layers,
        num_attention_heads=ours.heads,
        intermediate_size=ours.feed_forward,
        conv_dim=ours.conv_filters,
        num_conv_pos_embeddings=ours.position_kernel,
        num_conv_pos_embedding_groups=ours.position_groups,
        apply_spec_augment=False,
        layerdrop=0.0,
        **dict.fromkeys(("hidden_dropout", "activation_dropout", "attention_dropout", "feat_proj_dropout"), DROPOUT),
    )
    encoder = transformers.Wav2Vec2Model(config).train()
    encoder.freeze_feature_encoder()
    layers = (torch.nn.Linear(ours.hidden, HIDDEN_UNITS), torch.nn.ReLU(), torch.nn.Dropout(DROPOUT))
    head = torch.nn.Sequential(*layers, torch.nn.Linear(HIDDEN_UNITS, N_CLASSES))
    named = [*encoder.named_parameters(), *head.named_parameters()]
    trained = [weight for name, weight in named if weight.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-4, eps=1e-7)
    clips, labels = map(torch.from_numpy, _data(size))
    clips = (clips - clips.mean(dim=1, keepdim=True)) / torch.sqrt(clips.var(dim=1, keepdim=True) + 1e-7)

    def run(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            frames = encoder(clips).last_hidden_state
            torch.nn.functional.cross_entropy(head(frames.mean(dim=1)), labels).backward()
            optimizer.step()

    counted = [weight.numel() for name, weight in named if weight.requires_grad and not name.endswith(_THEIRS)]
    serve(pipe, {"parameters": sum(counted), "pid": os.getpid()}, run)
