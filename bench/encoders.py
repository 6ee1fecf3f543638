"""Measure speech encoders: inference beside transformers on torch, batches, an epoch from the cache and recomputed.

The networks have the same random weights, which the answers are compared by. Each runtime is in a process of its own;
they take turns, on one core and on two. Peaks are of resident memory, of the whole process.
"""

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from bench.processes import in_own_process, peak_mib, serve, worker
from bench.result import Result, median_seconds

FAMILY, RATE_HZ = "wav2vec2", 16_000
SECONDS, CORES, BATCHES = (4, 30), (1, 2), (1, 2, 4, 8)
CLIPS, CLIP_SECONDS = 16, 4  # of an epoch


def measure(quick: bool) -> list[Result]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        in_own_process(_write, folder, "tiny" if quick else "base")
        seconds, repeats = ((1, 2), 1) if quick else (SECONDS, 5)
        results = [row for cores in CORES for row in _inference(folder, cores, seconds, repeats)]
        results += in_own_process(_batches, folder, repeats)
        return [*results, _epochs(folder, 4 if quick else CLIPS)]


def _write(folder: Path, size: str) -> None:
    """Write an encoder with random weights: converted, as published, as a SavedModel, and as ONNX."""
    import keras
    import tensorflow as tf

    from zoo.export.onnx_writer import onnx_of
    from zoo.models.wav2vec2 import speech_encoder
    from zoo.models.weights import encoder_folder

    encoder_folder.make_random(FAMILY, size, folder / "ours")
    converted = encoder_folder.read(folder / "ours")
    encoder_folder.write_back(converted, folder / "theirs")
    encoder = speech_encoder(converted.config)
    encoder_folder.load_into(encoder, converted)
    last = keras.Model(encoder.inputs, encoder.outputs[-2])
    module = tf.Module()
    module.weights = [variable.value for variable in last.variables]
    request = [tf.TensorSpec((None, None), tf.float32, "waveform"), tf.TensorSpec((None,), tf.int32, "n_samples")]

    @tf.function(input_signature=request, autograph=False)
    def answer(waveform, n_samples):
        return {"states": last({"features": waveform[..., None], "n_frames": n_samples}, training=False)}

    tf.saved_model.save(module, str(folder / "saved"), signatures={"serving_default": answer})
    (folder / "model.onnx").write_bytes(onnx_of(folder / "saved", "serving_default"))


def _inference(folder: Path, cores: int, seconds: tuple[int, ...], repeats: int) -> list[Result]:
    """Return the rows of a number of cores: each length of clip, by SavedModel and by ONNX, against torch."""
    results = []
    with ExitStack() as stack:
        pipes = {
            name: stack.enter_context(worker(_runtime, name, folder, cores, seconds)) for name in ("torch", *_OURS)
        }
        facts = {name: pipe.recv() for name, pipe in pipes.items()}
        for name in _OURS:
            np.testing.assert_allclose(facts[name]["states"], facts["torch"]["states"], atol=1e-3)
        for number, length in enumerate(seconds):
            taken = median_seconds({name: partial(_ask, pipe, number) for name, pipe in pipes.items()}, repeats)
            peaks = {name: peak_mib(facts[name]["pid"]) for name in pipes}
            for name in _OURS:
                note = (
                    f"wav2vec 2.0, one clip of {length} s, {cores} thread{'s' * (cores > 1)}, {_OURS[name]} against "
                    f"transformers on torch; peak {peaks[name]:.0f} MiB, {peaks['torch']:.0f} MiB"
                )
                row = f"encoder {name} {length} s"
                results.append(Result(row, "s", taken[name], taken["torch"], 1.0, "at most", note))
    return results


_OURS = {"saved": "TensorFlow's SavedModel", "onnx": "ONNX Runtime"}


def _ask(pipe: Connection, number: int) -> None:
    pipe.send(number)
    pipe.recv()


def _runtime(pipe: Connection, name: str, folder: Path, cores: int, seconds: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    clips = [rng.normal(0, 0.1, (1, length * RATE_HZ)).astype(np.float32) for length in seconds]
    run = {"torch": _torch, "saved": _saved_model, "onnx": _onnx}[name](folder, cores)
    facts = {"pid": os.getpid(), "states": run(clips[0][:, :8_000])}

    def encode(number: int) -> None:
        run(clips[number])

    serve(pipe, facts, encode)


def _torch(folder: Path, cores: int) -> Callable[[np.ndarray], np.ndarray]:
    import torch
    import transformers

    torch.set_num_threads(cores)
    model = transformers.Wav2Vec2Model.from_pretrained(folder / "theirs").eval()

    def run(clip: np.ndarray) -> np.ndarray:
        clip = (clip - clip.mean()) / np.sqrt(clip.var() + 1e-7)  # as published encoders' feature extractor does
        with torch.inference_mode():
            return model(torch.from_numpy(clip)).last_hidden_state.numpy()

    return run


def _saved_model(folder: Path, cores: int) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    if tf.config.threading.get_intra_op_parallelism_threads() != cores:
        tf.config.threading.set_intra_op_parallelism_threads(cores)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    module = tf.saved_model.load(str(folder / "saved"))
    answer = module.signatures["serving_default"]

    def run(clips: np.ndarray, module: Any = module) -> np.ndarray:  # without the module its variables would be gone
        counts = tf.fill([len(clips)], clips.shape[1])
        return answer(waveform=tf.constant(clips), n_samples=counts)["states"].numpy()

    return run


def _onnx(folder: Path, cores: int) -> Callable[[np.ndarray], np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = cores, 1
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])

    def run(clip: np.ndarray) -> np.ndarray:
        counts = np.full(len(clip), clip.shape[1], np.int32)
        return session.run(None, {"waveform": clip, "n_samples": counts})[0]

    return run


def _batches(folder: Path, repeats: int) -> list[Result]:
    """Return clips per second by size of batch, on two cores, against one clip at a time."""
    run, cores = _saved_model(folder, CORES[-1]), CORES[-1]
    clips = np.random.default_rng(0).normal(0, 0.1, (BATCHES[-1], CLIP_SECONDS * RATE_HZ)).astype(np.float32)
    taken = median_seconds({str(size): partial(run, clips[:size]) for size in BATCHES}, repeats)
    rates = {size: size / taken[str(size)] for size in BATCHES}
    note = f"clips of {CLIP_SECONDS} s in a batch, SavedModel, {cores} threads; reference: one at a time"
    return [
        Result(f"encoder batch {size}", "clips/s", rates[size], rates[1], note=f"{size} {note}") for size in BATCHES[1:]
    ]


def _epochs(folder: Path, n_clips: int) -> Result:
    computed, peak = in_own_process(_recomputed, folder, n_clips)
    cached, cached_peak = in_own_process(_cached, folder, n_clips)
    note = (
        f"epoch of {n_clips} clips of {CLIP_SECONDS} s, encoder recomputed and head trained, against the same from the "
        f"cache; peak {peak:.0f} MiB, {cached_peak:.0f} MiB"
    )
    return Result("encoder epoch", "s", computed + cached, cached, 20, "at least", note)


def _recomputed(folder: Path, n_clips: int) -> tuple[float, float]:
    """Return the seconds that the hidden states of all clips take, as runs compute them, and the peak in MiB."""
    from zoo.features.extractor import of_layer
    from zoo.frontends.speech_encoder import SpeechEncoder

    features = of_layer(SpeechEncoder(folder / "ours")).features
    clips = np.random.default_rng(0).normal(0, 0.1, (n_clips, CLIP_SECONDS * RATE_HZ)).astype(np.float32)
    taken = median_seconds({"clips": lambda: [features(clip) for clip in clips]}, 1)
    return taken["clips"], peak_mib()


def _cached(folder: Path, n_clips: int) -> tuple[float, float]:
    """Return the seconds of an epoch of the head on stored hidden states, and the peak in MiB."""
    from bench.one_batch import one_batch
    from zoo import registry
    from zoo.config import flags
    from zoo.models.weights import encoder_folder
    from zoo.training.fit import compile_model

    config = encoder_folder.describe(folder / "ours").config
    settings = flags.from_flags({"model": FAMILY})
    network = registry.build(FAMILY, 4, config.hidden)
    compile_model(network, "sparse_categorical_crossentropy", settings, steps_per_epoch=1)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(n_clips, config.n_layers + 1, config.hidden)).astype(np.float32)
    batches = one_batch(1, features, rng.integers(0, 4, n_clips))
    taken = median_seconds({"epoch": lambda: network.fit(batches, shuffle=False, verbose=0)}, 9)
    return taken["epoch"], peak_mib()
