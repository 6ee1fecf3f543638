"""Measure the train step of attention_blstm_fcn under Keras against the same network in plain PyTorch modules.

Each framework has a process of its own, with its default threads; they take turns. Keras trains as zoo.training.fit
does, with deterministic kernels and frame masks; the reference needs neither, as all clips have full length.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from multiprocessing.connection import Connection

import numpy as np

from bench.one_batch import one_batch
from bench.processes import serve, worker
from bench.result import Result, median_seconds
from zoo.errors import UserError
from zoo.utils.backends import use_backend

N_CLASSES, N_BANDS = 4, 40


@dataclass(frozen=True)
class Size:
    """How much is trained on: clips in a batch, frames in a clip, steps that are timed together."""

    batch: int = 16
    frames: int = 500
    steps: int = 6


def measure(quick: bool, backends: Sequence[str] = ("tensorflow",)) -> list[Result]:
    size, repeats = (Size(2, 32, 2), 2) if quick else (Size(), 9)
    for name in (*backends, "torch"):
        if find_spec(name) is None:
            raise UserError(f"step: {name} is not installed: pip install -e '.[{name}]'")
    with ExitStack() as stack:
        pipes = {name: stack.enter_context(worker(_keras_worker, name, size)) for name in backends}
        pipes["plain torch"] = stack.enter_context(worker(_torch_worker, size))
        facts = {name: pipe.recv() for name, pipe in pipes.items()}
        _check_parameters(facts)

        seconds = median_seconds({name: partial(_ask, pipe, size.steps) for name, pipe in pipes.items()}, repeats)
    rates = {name: size.batch * size.steps / taken for name, taken in seconds.items()}
    return [_result(name, rates, facts, size) for name in backends]


def _ask(pipe: Connection, steps: int) -> None:
    pipe.send(steps)
    pipe.recv()


def _result(backend, rates, facts, size) -> Result:
    ours, reference = facts[backend], facts["plain torch"]
    note = (
        f"Keras on {backend}, {size.batch} x {size.frames} x {N_BANDS}, {ours['parameters']:,} trained parameters, "
        f"{ours['threads']} threads; PyTorch modules, {reference['threads']} threads"
    )
    name, target = ("step", 1.5) if backend == "tensorflow" else (f"step-{backend}", None)
    return Result(name, "clips/s", rates[backend], rates["plain torch"], target, note=note)


def _check_parameters(facts) -> None:
    from bench.torch_reference import SECOND_LSTM_BIASES

    expected = facts["plain torch"]["parameters"] - SECOND_LSTM_BIASES
    for name, found in facts.items():
        if name != "plain torch" and found["parameters"] != expected:
            raise RuntimeError(f"{name} trains {found['parameters']} parameters, the reference {expected}")


def batch_of(size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Return random features (batch, frames, bands) and labels (batch,), the same in every process."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((size.batch, size.frames, N_BANDS), np.float32)
    return features, rng.integers(0, N_CLASSES, size.batch)


def _keras_worker(pipe: Connection, backend: str, size: Size) -> None:
    use_backend(backend)
    from zoo import registry
    from zoo.config import flags
    from zoo.frontends.compose import with_normalization
    from zoo.training.fit import compile_model, make_repeatable

    settings = flags.from_flags({"batch_size": size.batch})
    make_repeatable(settings.seed)
    network = registry.build(settings.model, N_CLASSES, N_BANDS)
    model = with_normalization(np.zeros(N_BANDS), np.ones(N_BANDS), network)
    compile_model(model, "sparse_categorical_crossentropy", settings, steps_per_epoch=100)
    features, labels = batch_of(size)

    def run(steps: int) -> None:
        model.fit(one_batch(steps, features, labels), shuffle=False, verbose=0)

    parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    serve(pipe, {"parameters": parameters, "threads": _threads(backend)}, run)


def _torch_worker(pipe: Connection, size: Size) -> None:
    import torch

    from bench.torch_reference import AttentionBlstmFcn

    torch.manual_seed(0)
    model = AttentionBlstmFcn(N_CLASSES, N_BANDS)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7)
    loss_of = torch.nn.CrossEntropyLoss()
    features, labels = map(torch.from_numpy, batch_of(size))

    def run(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = loss_of(model(features), labels)
            loss.backward()
            optimizer.step()

    parameters = sum(parameter.numel() for parameter in model.parameters())
    serve(pipe, {"parameters": parameters, "threads": _threads("torch")}, run)


def _threads(backend: str) -> int:
    """TensorFlow and JAX take a thread per core by themselves."""
    if backend != "torch":
        return os.cpu_count() or 1
    import torch

    return torch.get_num_threads()
