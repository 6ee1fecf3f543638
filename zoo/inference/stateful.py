"""Carry the recurrent state of networks that are convolutions followed by unidirectional recurrent layers."""

from collections.abc import Callable, Sequence

import keras
import numpy as np

from zoo.inference.stream_model import Step

_POINTWISE = (keras.layers.Dense, keras.layers.Dropout, keras.layers.Activation, keras.layers.Identity)
_NO_CHAIN = (keras.layers.Concatenate, keras.layers.Add, keras.layers.RNN, keras.layers.Bidirectional)
_RECURRENT = (keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN)


def carries_state(layer: keras.layers.Layer) -> bool:
    """Say whether a layer is a forward recurrent layer of Keras that returns sequences."""
    return isinstance(layer, _RECURRENT) and layer.return_sequences and not layer.go_backwards


def looks_back_only(network: keras.Model, carries: Callable[[keras.layers.Layer], bool] = carries_state) -> bool:
    """Say whether only layers on single frames and those that `carries` accepts follow the convolutions to "frames"."""
    if all(layer.name != "frames" for layer in network.layers) or reach(local(network)) is None:
        return False
    return all(isinstance(layer, _POINTWISE) or carries(layer) for layer in behind(network))


def frames_around(networks: Sequence[keras.Model], frame_samples: int) -> tuple[int, int]:
    """Return how many frames a piece must hold before and behind those to be rated."""
    before, after = zip(*filter(None, (reach(local(network)) for network in networks)), strict=True)
    return -(-max(before) // frame_samples), -(-max(after) // frame_samples)


def reach(convolutions: keras.Model) -> tuple[int, int] | None:
    """Return how many samples before its own and behind them a frame depends on; None where that is unknown.

    `convolutions` is a chain of convolutions and poolings without overlap.
    """
    before, after, stride = 0, 0, 1
    for layer in convolutions.layers:
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


def beginning(networks: Sequence[keras.Model]) -> Callable[[], Step]:
    """Return the `begin` of a Live; its steps keep the recurrent state of every network."""
    parts = [(local(network), _with_states(network)) for network in networks]

    def begin() -> Step:
        states = [[np.zeros((1, *item.shape[1:]), np.float32) for item in part.inputs[1:]] for _, part in parts]

        def step(piece: np.ndarray, first: int, count: int) -> np.ndarray:
            inputs, found = {"features": piece[None], "n_frames": np.array([len(piece)], np.int32)}, []
            for (convolutions, recurrent), state in zip(parts, states, strict=True):
                frames = np.asarray(convolutions.predict_on_batch(inputs))
                ratings, *state[:] = recurrent.predict_on_batch([frames[:, first : first + count], *state])
                found.append(np.asarray(ratings)[0])
            return np.stack(found, axis=1)

        return step

    return begin


def local(network: keras.Model) -> keras.Model:
    """Return the part up to the layer "frames": convolutions."""
    return keras.Model(network.inputs, network.get_layer("frames").output)


def behind(network: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers behind "frames", in order, without the one that masks padding: a stream has none."""
    names = [layer.name for layer in network.layers]
    return [layer for layer in network.layers[names.index("frames") + 1 :] if layer.name != "mask"]


def _with_states(network: keras.Model) -> keras.Model:
    """Return the part behind "frames": [frames (1, n, channels), states] -> [ratings (1, n, dimensions), states]."""
    frames = keras.Input((None, network.get_layer("frames").output.shape[-1]))
    before: list[keras.KerasTensor] = []
    after: list[keras.KerasTensor] = []
    sequence = frames
    for layer in behind(network):
        if not carries_state(layer):
            sequence = layer(sequence)
            continue
        sizes = layer.cell.state_size if isinstance(layer.cell.state_size, (list, tuple)) else [layer.cell.state_size]
        inputs = [keras.Input((size,)) for size in sizes]
        again = type(layer).from_config({**layer.get_config(), "return_state": True})
        sequence, *outputs = again(sequence, initial_state=inputs)
        again.set_weights(layer.get_weights())
        before, after = [*before, *inputs], [*after, *outputs]
    return keras.Model([frames, *before], [sequence, *after])
