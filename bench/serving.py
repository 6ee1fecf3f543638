"""Measure exported models: latency of one clip on one core, beside ONNX; throughput of batches; time to start."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench import inputs
from bench.processes import in_own_process
from bench.result import Result, median_seconds
from zoo.serving.description import read_description

SECONDS, BATCH, TARGET_MS = 4, 32, 40.0
START = """
import sys
from zoo.inference.open_predictor import open_predictor
list(open_predictor(sys.argv[1], exported=True, runtime=sys.argv[2]).predict(sys.argv[3:]))
"""


def measure(quick: bool) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        export = in_own_process(_export, Path(folder))
        clip = Path(folder) / "clip.wav"
        _write(clip)
        onnx = in_own_process(in_onnx, export, Path(folder) / "onnx")
        results = in_own_process(_answers, export, onnx, quick)
        return [*results, *_starts(export, clip, 1 if quick else 3)]


def _starts(export: Path, clip: Path, times: int) -> list[Result]:
    """Time new processes that load an export, by ONNX Runtime and by TensorFlow in turns, and answer one file."""

    def start(runtime: str) -> Callable[[], object]:
        command = [sys.executable, "-c", START, str(export), runtime, str(clip)]
        return lambda: subprocess.run(command, check=True, capture_output=True)

    runtimes = ("onnx", "tensorflow") if "onnx" in read_description(export) else ("tensorflow",)
    seconds = median_seconds({runtime: start(runtime) for runtime in runtimes}, times)
    note = "a new process, the export, one file answered"
    results = [Result("startup", "s", seconds["tensorflow"], note=f"TensorFlow: {note}")]
    if "onnx" not in seconds:
        return results
    fast = Result("startup ONNX", "s", seconds["onnx"], seconds["tensorflow"], note=f"{note}, against TensorFlow")
    return [*results, fast]


def _export(folder: Path) -> Path:
    """Train attention_blstm_fcn for an epoch on synthetic speech and export it: weights do not change its speed."""
    from zoo.config.flags import from_flags
    from zoo.export import export
    from zoo.training.train import train

    flags = {"corpus": "emodb", "synthetic": True, "clips": 120, "fold": "0", "epochs": 1, "cache_dir": str(folder)}
    run = train(from_flags({**flags, "out": str(folder / "run")}))
    return export.export(run.folder, folder / "export", with_onnx=True)


def in_onnx(export: Path, folder: Path) -> Path | None:
    """Write the same network as ONNX; None where what that takes is not installed."""
    from zoo.errors import UserError
    from zoo.export import formats
    from zoo.serving import saved_model

    try:
        formats.check_installed("onnx")
    except UserError:
        return None
    folder.mkdir()
    return formats.convert(export, "onnx", folder, saved_model.load(export))


def _write(path: Path) -> None:
    import soundfile

    soundfile.write(path, _waveform(), inputs.RATE_HZ)


def _waveform() -> np.ndarray:
    return np.resize(inputs.waveforms(1)[0], SECONDS * inputs.RATE_HZ)


def _answers(export: Path, onnx: Path | None, quick: bool) -> list[Result]:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from zoo.serving import saved_model

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
    if onnx is None:
        note += "; not compared with ONNX: pip install -e '.[onnx]'"
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
        *([onnx_clip(onnx, serve, one, quick)] if onnx else []),
        Result("served batch", "clips/s", rates["batch"], rates["loop"], note=f"{BATCH} at once against a Python loop"),
    ]


def onnx_clip(path: Path, serve: Callable[..., object], one: Mapping[str, Any], quick: bool) -> Result:
    """Time onnxruntime on one thread and the SavedModel `serve` in turns; `one` is the request, in tensors."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    request = {name: value.numpy() for name, value in one.items()}
    runs = {"onnx": lambda: session.run(None, request), "saved": lambda: serve(**one)}
    seconds = median_seconds(runs, 5 if quick else 100)
    note = f"onnxruntime {onnxruntime.__version__} on one thread against the SavedModel, the same network and clip"
    return Result("served ONNX", "ms", 1000 * seconds["onnx"], 1000 * seconds["saved"], note=note)
