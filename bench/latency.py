"""Measure the time from one waveform to its class probabilities, by a saved model."""

import tempfile
import time
from pathlib import Path

import numpy as np

from bench import inputs
from bench.result import Result
from zoo import registry
from zoo.frontends.compose import with_frontend, with_normalization
from zoo.frontends.log_mel import LogMel
from zoo.runs.model_file import load_model

SECONDS = 4


def measure(quick: bool) -> list[Result]:
    calls = 5 if quick else 300
    waveform = np.resize(inputs.waveforms(1)[0], SECONDS * inputs.RATE_HZ)  # repeated up to the length wanted
    clip = {"waveform": waveform[None], "n_samples": np.array([len(waveform)], np.int32)}
    model = _saved_and_loaded()
    for _ in range(3):
        model.predict_on_batch(clip)
    times_ms = []
    for _ in range(calls):
        start = time.perf_counter()
        model.predict_on_batch(clip)
        times_ms.append(1000 * (time.perf_counter() - start))
    middle, late = np.percentile(times_ms, (50, 99))
    note = f"99th percentile {late:.1f} ms of {calls} calls; {model.name}, one clip of {SECONDS} s, TensorFlow"
    return [Result("latency", "ms", float(middle), note=note)]


def _saved_and_loaded():
    bands = LogMel().bands
    network = registry.build("attention_blstm_fcn", 4, bands)
    model = with_frontend(LogMel(inputs.RATE_HZ), with_normalization(np.zeros(bands), np.ones(bands), network))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return load_model(path)
