"""Measure train step and memory of networks with long convolutions: Keras against plain PyTorch modules.

Each framework has a process of its own, with its default threads; they take turns. Keras trains as zoo.training.fit
does, with deterministic kernels and frame masks; the reference needs neither, as all clips have full length.
"""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.util import find_spec
from multiprocessing.connection import Connection
from statistics import median

import numpy as np

from bench.one_batch import one_batch
from bench.processes import peak_mib, serve, worker
from bench.result import Result
from zoo.errors import UserError
from zoo.utils.backends import use_backend

N_TARGETS, SAMPLES_PER_FRAME, FRAMES_PER_SECOND = 2, 640, 25


@dataclass(frozen=True)
class Case:
    """What is measured.

    Args:
        frames: 40 ms each, in a clip.
        steps: of Keras that are timed together.
        turns: each is one step of the reference, which may take minutes, and `steps` of Keras.
        reference_batch: clips in the reference's batch. A direct convolution's time grows with it and nothing else
            does, so that clips per second compare; memory is compared with equal batches only.
        target: how many times as fast as the reference.
    """

    network: str
    options: dict
    frames: int
    target: float
    batch: int = 4
    reference_batch: int = 4
    steps: int = 3
    turns: int = 1


CASES = (
    Case("conv_bigru", {}, 8 * FRAMES_PER_SECOND, 20, turns=3),
    Case("conv_blstm", {"second_conv": "dense"}, 6 * FRAMES_PER_SECOND, 50, reference_batch=1),
)


def measure(quick: bool) -> list[Result]:
    if find_spec("torch") is None:
        raise UserError("long_convolution: torch is not installed: pip install -e '.[torch]'")
    if quick:
        cases = [replace(case, frames=4, batch=2, reference_batch=2, steps=1, turns=1) for case in CASES]
    else:
        cases = list(CASES)
    return [result for case in cases for result in _compare(case)]


def _compare(case: Case) -> list[Result]:
    with ExitStack() as stack:
        pipes = [stack.enter_context(worker(target, case)) for target in (_keras_worker, _torch_worker)]
        facts = [pipe.recv() for pipe in pipes]
        _check_parameters(case.network, *(fact["parameters"] for fact in facts))
        _seconds(pipes[0], 1)  # compilation is not what is measured; the reference has none
        turns = [[_seconds(pipes[0], case.steps) / case.steps, _seconds(pipes[1], 1)] for _ in range(case.turns)]
        peaks = [peak_mib(fact["pid"]) for fact in facts]

    ours, reference = (median(seconds) for seconds in zip(*turns, strict=True))
    note = (
        f"train step, {case.batch} x {case.frames / FRAMES_PER_SECOND:g} s, {facts[0]['parameters']:,} trained "
        f"parameters, median of {case.turns}; Keras on tensorflow, PyTorch modules with {case.reference_batch} clips"
    )
    speed = (case.batch / ours, case.reference_batch / reference, case.target)
    return [Result(case.network, "clips/s", *speed, note=note), _memory(case, peaks, facts)]


def _memory(case: Case, peaks: list[float], facts: list[dict]) -> Result:
    beyond = [peak - fact["imports_mib"] for peak, fact in zip(peaks, facts, strict=True)]
    note = f"peak of the process; beyond the imported libraries {beyond[0]:.0f} and {beyond[1]:.0f} MiB"
    target = 1 if case.batch == case.reference_batch else None
    return Result(f"{case.network}-memory", "MiB", peaks[0], peaks[1], target, "at most", note)


def _seconds(pipe: Connection, steps: int) -> float:
    start = time.perf_counter()
    pipe.send(steps)
    pipe.recv()
    return time.perf_counter() - start


def _check_parameters(network: str, ours: int, reference: int) -> None:
    from bench.torch_raw_waveform import SECOND_BIASES

    if ours != reference - SECOND_BIASES[network]:
        raise RuntimeError(f"{network} trains {ours} parameters, the reference {reference}")


def _data(case: Case, batch: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    waveforms = rng.standard_normal((batch, case.frames * SAMPLES_PER_FRAME, 1), np.float32)
    return waveforms, rng.standard_normal((batch, case.frames, N_TARGETS), np.float32)


def _keras_worker(pipe: Connection, case: Case) -> None:
    use_backend("tensorflow")
    import keras

    from zoo import registry
    from zoo.losses import BatchCCC
    from zoo.training.fit import make_repeatable

    imports_mib = peak_mib("self")
    make_repeatable(0)
    model = registry.build(case.network, N_TARGETS, 1, **case.options)
    model.compile(_optimizer(case.network, keras.optimizers)(1e-4), BatchCCC())
    waveforms, targets = _data(case, case.batch)

    def run(steps: int) -> None:
        model.fit(one_batch(steps, waveforms, targets, waveforms.shape[1]), shuffle=False, verbose=0)

    parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    serve(pipe, _facts(parameters, imports_mib), run)


def _torch_worker(pipe: Connection, case: Case) -> None:
    import torch

    from bench import torch_raw_waveform as reference

    imports_mib = peak_mib("self")
    torch.manual_seed(0)
    model = reference.NETWORKS[case.network](N_TARGETS)
    optimizer = _optimizer(case.network, torch.optim)(model.parameters(), lr=1e-4)
    waveforms, targets = map(torch.from_numpy, _data(case, case.reference_batch))

    def run(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = reference.ccc_loss(targets, model(waveforms))
            loss.backward()
            optimizer.step()

    serve(pipe, _facts(sum(parameter.numel() for parameter in model.parameters()), imports_mib), run)


def _optimizer(network: str, library) -> Callable:
    """Return what the network's paper trains with; both libraries have it by the same name."""
    return library.RMSprop if network == "conv_bigru" else library.Adam


def _facts(parameters: int, imports_mib: float) -> dict:
    return {"parameters": parameters, "imports_mib": imports_mib, "pid": os.getpid()}
