"""The models of a run as streams ask them: with state where recurrent layers only look back."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo import config, kinds, registry
from zoo.baselines.speakers import check_unknown_voices
from zoo.config import RunConfig
from zoo.continuous import RATE_HZ, extractor, frame_seconds, on_waveforms, segment_frames, tracer_of
from zoo.data import protocols
from zoo.emotion import answerer_of
from zoo.folder import corpus_name, finished_folds
from zoo.predict import load_model
from zoo.stream import Live, Step
from zoo.trace_prediction import looks_at_whole_segments, network_of

SHORTEST_SECONDS = 0.025
LONGEST_SECONDS = {"emotion": 60.0, "continuous": 600.0}  # of a window
_POINTWISE = (keras.layers.Dense, keras.layers.Dropout, keras.layers.Activation, keras.layers.Identity)
_NO_CHAIN = (keras.layers.Concatenate, keras.layers.Add, keras.layers.RNN, keras.layers.Bidirectional)
_RECURRENT = (keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN)


def of_run(run: Path, fold: str | None = None) -> Live:
    """Loads a run's models, whose answers are averaged; or that of the `fold` numbered so. No post-processing.

    Raises UserError when no model is there.
    """
    settings = config.load(run / "config.json")
    registry.check_answers(settings.model, run)
    check_unknown_voices(settings, run)
    folders, record = finished_folds(run, fold)
    protocol, entry = protocols.get(settings.protocol, settings.corpus), registry.get(settings.model)
    rate_hz = kinds.of(settings.model).extractor(settings).rate_hz
    facts: dict[str, Any] = {
        "trained_on": corpus_name(record),
        "rate_hz": rate_hz,
        "longest": round(LONGEST_SECONDS[entry.task] * rate_hz),
    }
    if entry.task == "emotion":
        answers = [answerer_of(folder, settings).answer for folder in folders]
        return Live(
            outputs=protocol.classes,
            answer=lambda window: np.mean([answer([window])[0] for answer in answers], axis=0),
            shortest=round(SHORTEST_SECONDS * rate_hz),
            **facts,
        )
    models = [load_model(folder / "model.keras", entry.takes_waveforms) for folder in folders]
    return _rating([network_of(model) for model in models], settings, outputs=protocol.targets, **facts)


def _rating(networks: Sequence[keras.Model], settings: RunConfig, **facts) -> Live:
    waveforms = on_waveforms(settings)
    tracers, features = [tracer_of(network, settings) for network in networks], extractor(settings).features

    def answer(window: np.ndarray) -> np.ndarray:
        steps = window if waveforms else features(window)
        return np.mean([trace(steps) for trace in tracers], axis=0)

    frame = round(frame_seconds(settings) * RATE_HZ)
    whole_segments = looks_at_whole_segments(networks[0])
    live = {
        **facts,
        "answer": answer,
        "shortest": frame,
        "frame_samples": frame,
        "standard": waveforms,
        "segment_frames": segment_frames(settings) if whole_segments else 0,
        "delay_frames": round(settings.label_delay_seconds / frame_seconds(settings)),
    }
    if not waveforms or not all(map(looks_back_only, networks)):
        return Live(**live)
    before, after = zip(*(reach(_local(network)) for network in networks), strict=True)

    beginnings = [beginning(network) for network in networks]

    def begin() -> Step:
        steps = [beginning() for beginning in beginnings]
        return lambda piece, first, count: np.mean([step(piece, first, count) for step in steps], axis=0)

    return Live(**live, begin=begin, before_frames=-(-max(before) // frame), after_frames=-(-max(after) // frame))


def looks_back_only(network: keras.Model) -> bool:
    """Says whether a network is convolutions up to its layer "frames", and recurrent layers in one direction behind."""
    names = [layer.name for layer in network.layers]
    if "frames" not in names or reach(_local(network)) is None:
        return False
    return all(isinstance(layer, _POINTWISE) or _is_causal(layer) for layer in _behind(network))


def reach(local: keras.Model) -> tuple[int, int] | None:
    """Returns how many samples a frame depends on before its own and behind them; None where that is not known.

    `local` is a chain of convolutions and poolings without overlap.
    """
    before, after, stride = 0, 0, 1
    for layer in local.layers:
        if hasattr(layer, "kernel_size"):
            taps = layer.kernel_size[0]
            early = taps - 1 if layer.padding == "causal" else (taps - 1) // 2
            if layer.padding not in ("same", "causal") or set(layer.strides + layer.dilation_rate) != {1}:
                return None
            before, after = before + early * stride, after + (taps - 1 - early) * stride
        elif isinstance(layer, keras.layers.MaxPooling1D):
            stride *= layer.pool_size[0]
        elif isinstance(layer, _NO_CHAIN) or getattr(layer, "whole_segment", False):
            return None
    return before, after


def beginning(network: keras.Model) -> Callable[[], Step]:
    """Returns what begins a recording, as zoo.stream.Live has it: its step keeps the recurrent state."""
    local, recurrent = _local(network), _with_states(network)

    def begin() -> Step:
        states = [np.zeros((1, *item.shape[1:]), np.float32) for item in recurrent.inputs[1:]]

        def step(piece: np.ndarray, first: int, count: int) -> np.ndarray:
            counts = np.array([len(piece)], np.int32)
            frames = np.asarray(local.predict_on_batch({"features": piece[None], "n_frames": counts}))
            ratings, *states[:] = recurrent.predict_on_batch([frames[:, first : first + count], *states])
            return np.asarray(ratings)[0]

        return step

    return begin


def _local(network: keras.Model) -> keras.Model:
    return keras.Model(network.inputs, network.get_layer("frames").output)


def _behind(network: keras.Model) -> list[keras.layers.Layer]:
    """The layers behind "frames", in order, without the one that masks padding: a stream has none."""
    names = [layer.name for layer in network.layers]
    return [layer for layer in network.layers[names.index("frames") + 1 :] if layer.name != "mask"]


def _is_causal(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, _RECURRENT) and layer.return_sequences and not layer.go_backwards


def _with_states(network: keras.Model) -> keras.Model:
    """Returns the part behind "frames": [frames (1, n, channels), states] -> [ratings (1, n, dimensions), states]."""
    frames = keras.Input((None, network.get_layer("frames").output.shape[-1]))
    before: list[keras.KerasTensor] = []
    after: list[keras.KerasTensor] = []
    sequence = frames
    for layer in _behind(network):
        if not _is_causal(layer):
            sequence = layer(sequence)
            continue
        sizes = layer.cell.state_size if isinstance(layer.cell.state_size, (list, tuple)) else [layer.cell.state_size]
        inputs = [keras.Input((size,)) for size in sizes]
        again = type(layer).from_config({**layer.get_config(), "return_state": True})
        sequence, *outputs = again(sequence, initial_state=inputs)
        again.set_weights(layer.get_weights())
        before, after = [*before, *inputs], [*after, *outputs]
    return keras.Model([frames, *before], [sequence, *after])
