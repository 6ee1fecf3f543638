"""Measure live ratings: conv_lstm at full size, its state carried from hop to hop, on one core."""

import tempfile
from pathlib import Path

import numpy as np

from bench import inputs
from bench.processes import in_own_process
from bench.result import Result, median_seconds

SECONDS, TARGET = 40, 0.1


def measure(quick: bool) -> list[Result]:
    return in_own_process(_streams, quick)


def _streams(quick: bool) -> list[Result]:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from zoo.config.flags import from_flags
    from zoo.export.export import export
    from zoo.inference import stream_run
    from zoo.inference.stream_model import of_export
    from zoo.serving.saved_model import load
    from zoo.training.train import train

    with tempfile.TemporaryDirectory() as folder:
        flags = {"model": "conv_lstm", "corpus": "recola", "synthetic": True, "fold": "0", "epochs": 1}
        flags |= {"cache_dir": folder, "out": str(Path(folder) / "run"), "recipe": "quick" if quick else "paper"}
        run = train(from_flags(flags)).folder  # weights do not change its speed
        models = {
            "stream": stream_run.of_run(run),
            "stream_export": of_export(load(export(run, Path(folder) / "export"))),
        }
        waveform = np.resize(inputs.waveforms(1)[0], SECONDS * models["stream"].rate_hz)
        return [real_time_factor(name, model, waveform, 1 if quick else 5) for name, model in models.items()]


def real_time_factor(name: str, model, waveform: np.ndarray, repeats: int) -> Result:
    """Push a waveform (samples,) into a stream hop by hop; the reference is the time it takes to be spoken."""
    from zoo.inference.stream import HOP_SECONDS, Stream

    hop = round(HOP_SECONDS[model.way] * model.rate_hz)
    pieces = [waveform[start : start + hop] for start in range(0, len(waveform), hop)]

    def run() -> None:
        stream = Stream(model)
        rows = [row for piece in pieces for row in stream.push(piece)] + stream.finish()
        assert rows

    seconds = len(waveform) / model.rate_hz
    run()  # shapes are compiled
    taken = median_seconds({"stream": run}, repeats)["stream"]
    note = f"{model.way} of conv_lstm, {seconds:g} s of speech, latency {Stream(model).latency_seconds:g} s, one core"
    return Result(name, "s", taken, seconds, TARGET, "at most", note)
