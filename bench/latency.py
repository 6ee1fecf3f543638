"""Measure prediction in Python by a saved model, as `Predictor` does it, against predict_on_batch, by backend."""

import tempfile
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from bench import inputs
from bench.processes import in_own_process
from bench.result import Result, median_seconds

SECONDS, CLIPS = 4, 64
BACKENDS = ("tensorflow", "jax", "torch")


def measure(quick: bool) -> list[Result]:
    chosen = BACKENDS[:1] if quick else [name for name in BACKENDS if find_spec(name)]
    return [result for backend in chosen for result in in_own_process(_measure, backend, quick)]


def _measure(backend: str, quick: bool) -> list[Result]:
    from zoo.utils.backends import use_backend

    use_backend(backend)
    from zoo.data.batches.by_length import in_batches
    from zoo.inference.compiled import compiled
    from zoo.inference.predictor import BATCH_SECONDS

    model = _saved_and_loaded()
    waveforms = inputs.waveforms(8 if quick else CLIPS)
    whole = np.resize(waveforms[0], SECONDS * inputs.RATE_HZ)  # repeated up to the length wanted
    clip = {"waveform": whole[None], "n_samples": np.array([len(whole)], np.int32)}
    start = time.perf_counter()
    run = compiled(model)
    run(clip)
    first = time.perf_counter() - start

    def all_at_once() -> None:
        steps, multiple = BATCH_SECONDS * inputs.RATE_HZ, inputs.RATE_HZ
        in_batches(lambda rows, lengths: run({"waveform": rows, "n_samples": lengths}), waveforms, steps, multiple)

    keras_own = partial(model.predict_on_batch, clip)
    repeats = 3 if quick or backend == "torch" else 50  # Keras takes seconds on PyTorch
    one = median_seconds({"ours": partial(run, clip), "Keras": keras_own}, repeats)
    many = median_seconds({"ours": all_at_once}, 2 if quick else 9)["ours"]
    what = f"{model.name} from waveforms on {backend}"
    ours, reference = 1000 * one["ours"], 1000 * one["Keras"]
    note = f"{what}, one clip of {SECONDS} s; reference Keras's predict_on_batch; first call {first:.2f} s"
    together = f"{what}, {len(waveforms)} clips at once, features and network"
    return [
        Result(f"latency-{backend}", "ms", ours, reference, note=note),
        Result(f"together-{backend}", "clips/s", len(waveforms) / many, note=together),
    ]


def _saved_and_loaded():
    from zoo import registry
    from zoo.frontends.compose import with_frontend, with_normalization
    from zoo.frontends.log_mel import LogMel
    from zoo.runs.model_file import load_model

    bands = LogMel().bands
    network = registry.build("attention_blstm_fcn", 4, bands)
    model = with_frontend(LogMel(inputs.RATE_HZ), with_normalization(np.zeros(bands), np.ones(bands), network))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return load_model(path)
