"""The bench's PyTorch reference is the zoo's network: with the zoo's weights it gives the zoo's output."""

import keras
import numpy as np
import pytest

from zoo import registry

torch = pytest.importorskip("torch")
reference = pytest.importorskip("bench.torch_reference")


def test_same_output_with_the_same_weights(rng):
    keras.utils.set_random_seed(0)
    network = registry.build("attention_blstm_fcn", 4)
    for weight in network.weights:
        if len(weight.shape) == 1 and weight.dtype == "float32":  # biases and running statistics begin as 0 and 1
            weight.assign(weight + rng.uniform(0, 0.3, weight.shape))
    modules = reference.AttentionBlstmFcn(4).eval()
    _copy(network, modules)

    features = rng.standard_normal((2, 51, 40)).astype(np.float32)  # 51 frames: every pooling rounds up
    expected = network.predict({"features": features, "n_frames": np.array([51, 51])}, verbose=0)
    with torch.no_grad():
        found = modules(torch.from_numpy(features)).softmax(-1).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_same_number_of_parameters():
    network = registry.build("attention_blstm_fcn", 4)
    trained = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    found = sum(parameter.numel() for parameter in reference.AttentionBlstmFcn(4).parameters())
    assert found == trained + reference.SECOND_LSTM_BIASES


def _copy(network, modules):
    def weights(name):
        return [torch.tensor(keras.ops.convert_to_numpy(weight)) for weight in network.get_layer(name).weights]

    state = {}
    for block, layer in enumerate(("1", "2", "3")):
        kernel, state[f"fcn.{block}.0.bias"] = weights(f"conv{layer}")
        state[f"fcn.{block}.0.weight"] = kernel.permute(3, 2, 0, 1)
        for name, value in zip(("weight", "bias", "running_mean", "running_var"), weights(f"norm{layer}"), strict=True):
            state[f"fcn.{block}.1.{name}"] = value
    for layer in (0, 1):
        ways = weights(f"blstm{layer + 1}")
        for way, (kernel, recurrent, bias) in (("", ways[:3]), ("_reverse", ways[3:6])):
            state[f"blstm.weight_ih_l{layer}{way}"], state[f"blstm.weight_hh_l{layer}{way}"] = kernel.T, recurrent.T
            state[f"blstm.bias_ih_l{layer}{way}"], state[f"blstm.bias_hh_l{layer}{way}"] = bias, 0 * bias
    kernel, state["fcn_hidden.bias"], query = weights("fcn_attention")
    state.update({"fcn_hidden.weight": kernel.T, "fcn_query.weight": query.T})
    state["recurrent_query.weight"] = weights("recurrent_attention")[0].T
    for module, layer in (("head.0", "head"), ("head.3", "probabilities")):
        kernel, state[f"{module}.bias"] = weights(layer)
        state[f"{module}.weight"] = kernel.T
    missing, unexpected = modules.load_state_dict(state, strict=False)
    assert not unexpected and all("num_batches_tracked" in name for name in missing)
