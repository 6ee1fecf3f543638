"""The bench's PyTorch references are the zoo's networks: with the zoo's weights they give the zoo's output."""

import keras
import numpy as np
import pytest

from zoo import registry

torch = pytest.importorskip("torch")
reference = pytest.importorskip("bench.torch_raw_waveform")

CASES = [("conv_bigru", {}), ("conv_blstm", {"second_conv": "dense"})]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_same_output_with_the_same_weights(name, options, rng):
    keras.utils.set_random_seed(0)
    network = registry.build(name, 2, 1, **options)
    for weight in network.weights:
        if len(weight.shape) == 1 and weight.dtype == "float32":  # biases and running statistics begin as 0 and 1
            weight.assign(weight + rng.uniform(0, 0.3, weight.shape))
    modules = reference.NETWORKS[name](2).eval()
    state = _bigru_state(network) if name == "conv_bigru" else _blstm_state(network)
    missing, unexpected = modules.load_state_dict(state, strict=False)
    assert not unexpected and all("num_batches_tracked" in key for key in missing)

    waveforms = rng.standard_normal((2, 3 * 640, 1)).astype(np.float32)
    expected = network.predict({"features": waveforms, "n_frames": np.array([1920, 1920])}, verbose=0)
    with torch.no_grad():
        found = modules(torch.from_numpy(waveforms)).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-5)

    trained = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    total = sum(parameter.numel() for parameter in modules.parameters())
    assert total == trained + reference.SECOND_BIASES[name]


def test_loss_is_the_zoos(rng):
    losses = pytest.importorskip("zoo.losses")
    truth, predicted = rng.standard_normal((2, 3, 9, 2)).astype(np.float32)
    expected = float(losses.BatchCCC()(truth, predicted))
    assert float(reference.ccc_loss(torch.from_numpy(truth), torch.from_numpy(predicted))) == pytest.approx(expected)


def _weights(network, layer):
    return [torch.tensor(keras.ops.convert_to_numpy(weight)) for weight in network.get_layer(layer).weights]


def _convolution(network, layer, prefix):
    kernel, bias = _weights(network, layer)
    kernel = kernel.reshape(kernel.shape[-3:])  # the spectrum's is a Conv2D of height one
    return {f"{prefix}.weight": kernel.permute(2, 1, 0), f"{prefix}.bias": bias}


def _head(network):
    kernel, bias = _weights(network, "arousal_valence")
    return {"head.weight": kernel.T, "head.bias": bias}


def _bigru_state(network):
    state = _head(network)
    for layer, block in (("1", "time1"), ("2", "time2"), ("3", "time3"), ("fft_", "frequency")):
        conv, norm = (f"{layer}conv", f"{layer}norm") if layer == "fft_" else (f"conv{layer}", f"norm{layer}")
        place = 2 if block in ("time1", "frequency") else 1  # behind a ReLU
        state |= _convolution(network, conv, f"{block}.0")
        names = ("weight", "bias", "running_mean", "running_var")
        weights = zip(names, _weights(network, norm), strict=True)
        state |= {f"{block}.{place}.{key}": value for key, value in weights}
    for layer in (0, 1):
        for way, part in _ways(_weights(network, f"bigru{layer + 1}")):
            kernel, recurrent, biases = (_reset_first(weight) for weight in part)
            state[f"gru.weight_ih_l{layer}{way}"], state[f"gru.weight_hh_l{layer}{way}"] = kernel.T, recurrent.T
            state[f"gru.bias_ih_l{layer}{way}"], state[f"gru.bias_hh_l{layer}{way}"] = biases
    return state


def _blstm_state(network):
    state = _head(network) | _convolution(network, "conv1", "conv1") | _convolution(network, "conv2", "conv2")
    for layer in (0, 1):
        for way, (kernel, recurrent, bias) in _ways(_weights(network, f"blstm{layer + 1}")):
            state[f"lstm.weight_ih_l{layer}{way}"], state[f"lstm.weight_hh_l{layer}{way}"] = kernel.T, recurrent.T
            state[f"lstm.bias_ih_l{layer}{way}"], state[f"lstm.bias_hh_l{layer}{way}"] = bias, 0 * bias
    return state


def _ways(weights):
    return ("", weights[:3]), ("_reverse", weights[3:])


def _reset_first(weight):
    """Keras has the GRU's update gate before the reset gate, PyTorch behind it."""
    update, reset, new = weight.chunk(3, dim=-1)
    return torch.cat([reset, update, new], dim=-1)
