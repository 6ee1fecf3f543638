"""The bench's PyTorch references are the zoo's networks: with the zoo's weights they give the zoo's output."""

import keras
import numpy as np
import pytest

from zoo import registry

torch = pytest.importorskip("torch")
on_bands = pytest.importorskip("bench.torch_reference")
on_waveforms = pytest.importorskip("bench.torch_raw_waveform")

SECOND_BIASES = {**on_waveforms.SECOND_BIASES, "attention_blstm_fcn": on_bands.SECOND_LSTM_BIASES}


@pytest.mark.parametrize(
    ("name", "n_outputs", "steps", "channels", "options"),
    [
        ("conv_bigru", 2, 1920, 1, {}),
        ("conv_blstm", 2, 1920, 1, {"second_conv": "dense"}),
        ("attention_blstm_fcn", 4, 51, 40, {}),  # 51 frames: every pooling rounds up
    ],
)
def test_same_output_and_parameters_with_the_same_weights(name, n_outputs, steps, channels, options, rng):
    keras.utils.set_random_seed(0)
    network = registry.build(name, n_outputs, channels, **options)
    for weight in network.weights:
        if len(weight.shape) == 1 and weight.dtype == "float32":  # biases and running statistics begin as 0 and 1
            weight.assign(weight + rng.uniform(0, 0.3, weight.shape))
    reference = {**on_waveforms.NETWORKS, "attention_blstm_fcn": on_bands.AttentionBlstmFcn}[name]
    modules = reference(n_outputs).eval()
    missing, unexpected = modules.load_state_dict(STATES[name](network), strict=False)
    assert not unexpected and all("num_batches_tracked" in key for key in missing)

    features = rng.standard_normal((2, steps, channels)).astype(np.float32)
    expected = network.predict({"features": features, "n_frames": np.array([steps, steps])}, verbose=0)
    with torch.no_grad():
        found = modules(torch.from_numpy(features))
    if name == "attention_blstm_fcn":
        found = found.softmax(-1)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5 if name == "attention_blstm_fcn" else 2e-5)

    trained = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    assert sum(parameter.numel() for parameter in modules.parameters()) == trained + SECOND_BIASES[name]


def test_loss_is_the_zoos(rng):
    losses = pytest.importorskip("zoo.losses")
    truth, predicted = rng.standard_normal((2, 3, 9, 2)).astype(np.float32)
    expected = float(losses.BatchCCC()(truth, predicted))
    assert float(on_waveforms.ccc_loss(torch.from_numpy(truth), torch.from_numpy(predicted))) == pytest.approx(expected)


def _weights(network, layer):
    return [torch.tensor(keras.ops.convert_to_numpy(weight)) for weight in network.get_layer(layer).weights]


def _dense(network, layer, prefix):
    kernel, bias = _weights(network, layer)
    return {f"{prefix}.weight": kernel.T, f"{prefix}.bias": bias}


def _convolution(network, layer, prefix):
    kernel, bias = _weights(network, layer)
    kernel = kernel.reshape(kernel.shape[-3:])  # the spectrum's is a Conv2D of height one
    return {f"{prefix}.weight": kernel.permute(2, 1, 0), f"{prefix}.bias": bias}


def _normalization(network, layer, prefix):
    names = ("weight", "bias", "running_mean", "running_var")
    return {f"{prefix}.{name}": value for name, value in zip(names, _weights(network, layer), strict=True)}


def _recurrent(network, layer, prefix):
    """Both layers and directions; the GRU's two biases lie in one weight, of the LSTM's two one is 0."""
    state = {}
    for number in (0, 1):
        weights = _weights(network, f"{layer}{number + 1}")
        for way, (kernel, recurrent, bias) in (("", weights[:3]), ("_reverse", weights[3:6])):
            if bias.ndim == 2:
                kernel, recurrent, bias = map(_reset_first, (kernel, recurrent, bias))
            inputs, hidden = bias if bias.ndim == 2 else (bias, 0 * bias)
            end = f"l{number}{way}"
            state |= {f"{prefix}.weight_ih_{end}": kernel.T, f"{prefix}.weight_hh_{end}": recurrent.T}
            state |= {f"{prefix}.bias_ih_{end}": inputs, f"{prefix}.bias_hh_{end}": hidden}
    return state


def _reset_first(weight):
    """Keras has the GRU's update gate before the reset gate, PyTorch behind it."""
    update, reset, new = weight.chunk(3, dim=-1)
    return torch.cat([reset, update, new], dim=-1)


def _bigru_state(network):
    state = _dense(network, "arousal_valence", "head") | _recurrent(network, "bigru", "gru")
    for conv, norm, block, place in (
        ("conv1", "norm1", "time1", 2),  # behind a ReLU
        ("conv2", "norm2", "time2", 1),
        ("conv3", "norm3", "time3", 1),
        ("fft_conv", "fft_norm", "frequency", 2),
    ):
        state |= _convolution(network, conv, f"{block}.0") | _normalization(network, norm, f"{block}.{place}")
    return state


def _blstm_state(network):
    state = _dense(network, "arousal_valence", "head") | _recurrent(network, "blstm", "lstm")
    return state | _convolution(network, "conv1", "conv1") | _convolution(network, "conv2", "conv2")


def _attention_state(network):
    state = _recurrent(network, "blstm", "blstm")
    for block, layer in enumerate("123"):
        kernel, state[f"fcn.{block}.0.bias"] = _weights(network, f"conv{layer}")
        state[f"fcn.{block}.0.weight"] = kernel.permute(3, 2, 0, 1)
        state |= _normalization(network, f"norm{layer}", f"fcn.{block}.1")
    kernel, state["fcn_hidden.bias"], query = _weights(network, "fcn_attention")
    state |= {"fcn_hidden.weight": kernel.T, "fcn_query.weight": query.T}
    state["recurrent_query.weight"] = _weights(network, "recurrent_attention")[0].T
    return state | _dense(network, "head", "head.0") | _dense(network, "probabilities", "head.3")


STATES = {"conv_bigru": _bigru_state, "conv_blstm": _blstm_state, "attention_blstm_fcn": _attention_state}
