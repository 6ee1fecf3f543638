"""Measure the train step of attention_fcn on JAX against TensorFlow's: ratios of processor time and of wall time.

Each backend has a process of its own, with its default threads and as training uses it; they take turns.
"""

import time
from contextlib import ExitStack
from functools import partial
from multiprocessing.connection import Connection
from statistics import median

import numpy as np

from bench.processes import serve, worker
from bench.result import Result
from bench.step import N_BANDS, N_CLASSES, Size, batch_of
from zoo.utils.backends import use_backend

MODEL = "attention_fcn"
BACKENDS = ("jax", "tensorflow")


def measure(quick: bool) -> list[Result]:
    size, repeats = (Size(2, 32, 2), 2) if quick else (Size(frames=400), 7)
    with ExitStack() as stack:
        pipes = {name: stack.enter_context(worker(_worker, name, size)) for name in BACKENDS}
        for pipe in pipes.values():
            pipe.recv()
        asks = {name: partial(_ask, pipe, size.steps) for name, pipe in pipes.items()}
        for ask in asks.values():
            ask()  # compilation is not what is measured
        turns = [{name: ask() for name, ask in asks.items()} for _ in range(repeats)]
    note = f"{MODEL}, a step of {size.batch} x {size.frames} x {N_BANDS}, medians of {repeats} turns"
    found = []
    for kind, title in enumerate(("processor", "wall")):
        ours, reference = (1e3 * median(turn[name][kind] for turn in turns) / size.steps for name in BACKENDS)
        target = None if quick else 1.3
        found.append(Result(f"jax-{title}", "ms", ours, reference, target, "at most", f"JAX to TensorFlow, {note}"))
    return found


def _ask(pipe: Connection, steps: int) -> tuple[float, float]:
    pipe.send(steps)
    return pipe.recv()


def _worker(pipe: Connection, backend: str, size: Size) -> None:
    use_backend(backend)
    from bench.one_batch import one_batch
    from zoo import registry
    from zoo.config import flags
    from zoo.frontends.compose import with_normalization
    from zoo.training.fit import compile_model, make_repeatable

    settings = flags.from_flags({"model": MODEL, "batch_size": size.batch, "backend": backend})
    make_repeatable(settings.seed)
    network = registry.build(MODEL, N_CLASSES, N_BANDS)
    model = with_normalization(np.zeros(N_BANDS), np.ones(N_BANDS), network)
    compile_model(model, "sparse_categorical_crossentropy", settings, steps_per_epoch=100)
    features, labels = batch_of(size)

    def run(steps: int) -> tuple[float, float]:
        processor, wall = time.process_time(), time.perf_counter()
        model.fit(one_batch(steps, features, labels), shuffle=False, verbose=0)
        return time.process_time() - processor, time.perf_counter() - wall

    serve(pipe, None, run)
