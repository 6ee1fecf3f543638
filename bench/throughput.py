"""Measure how many seconds of audio each network on waveforms trains on in a second, in its paper's segments."""

import numpy as np

from bench.processes import in_own_process
from bench.result import Result, median_seconds

# Segments per step: few, so that all fit; the papers' batches are larger.
BATCH = 4


def measure(quick: bool) -> list[Result]:
    from zoo.registry import MODELS

    names = [name for name, entry in MODELS.items() if entry.frontend == "waveform"]
    return [in_own_process(_throughput, name, quick) for name in names]


def _throughput(name: str, quick: bool) -> Result:
    from zoo import registry
    from zoo.config import flags
    from zoo.training.fit import compile_model, make_repeatable

    settings = flags.from_flags({"model": name, "corpus": "recola"})
    seconds = 0.4 if quick else settings.segment_seconds
    make_repeatable(settings.seed)
    model = registry.build(name, 2, 1)
    compile_model(model, "sparse_categorical_crossentropy", settings, steps_per_epoch=100)
    rng = np.random.default_rng(0)
    samples, frames = round(16_000 * seconds), round(25 * seconds)
    batch = {
        "features": rng.standard_normal((BATCH, samples, 1), np.float32),
        "n_frames": np.full(BATCH, samples, np.int32),
    }
    labels = rng.standard_normal((BATCH, frames, 2), np.float32)
    taken = median_seconds({name: lambda: model.train_on_batch(batch, labels)}, 1 if quick else 5)[name]
    note = f"train step of {BATCH} segments of {seconds:g} s, {model.count_params():,} parameters"
    return Result(f"audio-{name}", "s/s", BATCH * seconds / taken, note=note)
