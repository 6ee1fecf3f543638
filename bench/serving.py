"""Exported models: latency of one clip on one core, throughput of batches, time to the first answer."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench import inputs
from bench.processes import in_own_process
from bench.result import Result, median_seconds

SECONDS, BATCH, TARGET_MS = 4, 32, 40.0
START = """
import sys
from zoo import saved_model
exported = saved_model.load(sys.argv[1])
exported.predict(sys.argv[2:])
"""


def measure(quick: bool) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        export = in_own_process(_export, Path(folder))
        clip = Path(folder) / "clip.wav"
        _write(clip)
        results = in_own_process(_answers, export, quick)
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", START, str(export), str(clip)], check=True, capture_output=True)
        seconds = time.perf_counter() - start
    return [*results, Result("startup", "s", seconds, note="a new process, TensorFlow, the export, one file answered")]


def _export(folder: Path) -> Path:
    """Trains attention_blstm_fcn for an epoch on synthetic speech and exports it: weights do not change its speed."""
    from zoo import export
    from zoo.config import from_flags
    from zoo.train import train

    flags = {"corpus": "emodb", "synthetic": True, "clips": 120, "fold": "0", "epochs": 1, "cache_dir": str(folder)}
    run = train(from_flags({**flags, "out": str(folder / "run")}))
    return export.export(run.folder, folder / "export")


def _write(path: Path) -> None:
    import soundfile

    soundfile.write(path, _waveform(), inputs.RATE_HZ)


def _waveform() -> np.ndarray:
    return np.resize(inputs.waveforms(1)[0], SECONDS * inputs.RATE_HZ)


def _answers(export: Path, quick: bool) -> list[Result]:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from zoo import saved_model

    serve = saved_model.load(export).module.signatures["serving_default"]
    waveform = _waveform()
    one = {"waveform": tf.constant(waveform[None]), "n_samples": tf.constant([len(waveform)], tf.int32)}
    times_ms = []
    for _ in range(5 if quick else 300):
        start = time.perf_counter()
        serve(**one)
        times_ms.append(1000 * (time.perf_counter() - start))
    middle, late = np.percentile(times_ms[3:], (50, 99))
    note = f"99th percentile {late:.1f} ms; attention_blstm_fcn, one clip of {SECONDS} s, one core"
    many = {key: tf.repeat(value, BATCH, axis=0) for key, value in one.items()}

    def batched():
        serve(**many)

    def one_by_one():
        for _ in range(BATCH):
            serve(**one)

    seconds = median_seconds({"batch": batched, "loop": one_by_one}, 1 if quick else 5)
    rates = {name: BATCH / taken for name, taken in seconds.items()}
    return [
        Result("served clip", "ms", float(middle), TARGET_MS, 1.0, "at most", note),
        Result("served batch", "clips/s", rates["batch"], rates["loop"], note=f"{BATCH} at once against a Python loop"),
    ]
