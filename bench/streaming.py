"""Ratings while the audio comes in: conv_lstm at full size with its state carried on, on one core."""

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
        asked = {
            "stream": stream_run.of_run(run),
            "stream_export": of_export(load(export(run, Path(folder) / "export"))),
        }
        waveform = np.resize(inputs.waveforms(1)[0], SECONDS * asked["stream"].rate_hz)
        return [real_time_factor(name, model, waveform, 1 if quick else 5) for name, model in asked.items()]


def real_time_factor(name: str, asked, waveform: np.ndarray, repeats: int) -> Result:
    """Pushes a waveform (samples,) into a stream hop by hop; the reference is the time it takes to be spoken."""
    from zoo.inference.stream import HOP_SECONDS, Stream

    hop = round(HOP_SECONDS[asked.way] * asked.rate_hz)
    pieces = [waveform[start : start + hop] for start in range(0, len(waveform), hop)]

    def listen() -> None:
        stream = Stream(asked)
        rows = [row for piece in pieces for row in stream.push(piece)] + stream.finish()
        assert rows

    seconds = len(waveform) / asked.rate_hz
    listen()  # shapes are compiled
    taken = median_seconds({"stream": listen}, repeats)["stream"]
    note = f"{asked.way} of conv_lstm, {seconds:g} s of speech, latency {Stream(asked).latency_seconds:g} s, one core"
    return Result(name, "s", taken, seconds, TARGET, "at most", note)
