"""Exchange the LSTM layers of a network for inference: the same answers from the same weights in less time.

Keras runs each direction of an LSTM in a loop of its own, frame by frame; on PyTorch with a mask, in Python. JAX
compiles those loops well.
"""

import keras

from zoo.layers.lstm import LSTM
from zoo.layers.masking import layers_of

_OF_KERAS = ("activation", "recurrent_activation", "use_bias", "return_sequences", "return_state", "go_backwards")


def exchanged(network: keras.Model) -> keras.Model:
    """Return a copy of a network with its LSTM layers exchanged; the network itself where none can be.

    Unchanged are layers of another direction or activation than usual, with states as outputs, or in bfloat16.
    """
    if keras.backend.backend() == "jax" or not any(map(_stand_in, layers_of(network))):
        return network

    def clone(layer):
        return _stand_in(layer) or type(layer).from_config(layer.get_config())

    copy = keras.models.clone_model(network, clone_function=clone, recursive=True)
    copy.set_weights(network.get_weights())
    return copy


def _stand_in(layer: keras.layers.Layer) -> keras.layers.Layer | None:
    if keras.backend.backend() == "torch":
        from zoo.layers.packed_lstm import PackedLSTM as Faster
    else:
        from zoo.layers.one_loop_lstm import OneLoopLSTM as Faster
    if _usual(layer):
        return Faster(layer.units, name=layer.name, dtype="float32")
    if type(layer) is keras.layers.Bidirectional and layer.merge_mode == "concat":
        forward, backward = layer.forward_layer, layer.backward_layer
        if _usual(forward) and _usual(backward, go_backwards=True) and forward.units == backward.units:
            return Faster(forward.units, 2, name=layer.name, dtype="float32")
    return None


def _usual(lstm: keras.layers.Layer, go_backwards: bool = False) -> bool:
    if type(lstm) not in (LSTM, keras.layers.LSTM):  # older runs have the stock layer
        return False
    usual = keras.layers.LSTM(lstm.units, return_sequences=True, go_backwards=go_backwards)
    same = all(getattr(lstm, name) == getattr(usual, name) for name in _OF_KERAS)
    return same and not lstm.stateful and lstm.compute_dtype == "float32"
