"""What exports and networks answered when this was recorded, they answer still.

    python tests/test_known_answers.py --record [exports | networks]     # where answers are meant to change

The recordings in known_answers.json are TensorFlow's; the other backends must give the same networks' numbers.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import fixed_clip
import keras
import numpy as np
import pytest
from networks import ELSEWHERE, once, outputs

import zoo
from zoo import registry

RECORDED = Path(__file__).with_name("known_answers.json")
EXPORTS = sorted(path.name for path in (Path(__file__).parents[1] / "saved_models").iterdir() if path.is_dir())
TOLERANCE = 1e-5

# Small networks: outputs, inputs and options by builder. A waveform's frame has 640 samples.
CLASSES, TARGETS, FRAME = 3, 2, 640
BIGRU = {"filters": (4, 3, 3), "kernel_sizes": (5, 40, 90), "fft_filters": 5, "channel_pool": 2, "recurrent_units": 5}
RESIDUAL = {"stem_filters": 4, "filters": (5, 6), "recurrent_units": 5, "attention_units": 6}
SMALL = {
    "attention_blstm_fcn": (CLASSES, 10, {"recurrent_units": 6, "hidden_units": 8}),
    "residual_bigru": (CLASSES, 10, RESIDUAL),
    "cnn1d_mfcc": (CLASSES, 3, {"n_coefficients": 40, "filters": (5, 4)}),
    "rnn_mfcc": (CLASSES, 18, {"n_coefficients": 20, "recurrent_units": 5}),
    "conv_lstm": (TARGETS, 1, {"filters": (4, 5, 6), "recurrent_units": 5}),
    "conv_bigru": (TARGETS, 1, BIGRU),
    "conv_blstm": (
        TARGETS,
        1,
        {"filters": 4, "channel_pool": 2, "second_kernel_size": 300, "recurrent_units": 5},
    ),
    "lstm_drnn": (TARGETS, 7, {"recurrent_units": 5}),
    "denoising_autoencoder": (4, 4, {"recurrent_units": 5}),
    "encoder_head": (CLASSES, 6, {"hidden_units": 5}),
    "encoder_lstm": (TARGETS, 6, {"states": 2, "recurrent_units": 5}),
    "linear_classifier": (CLASSES, 9, {}),
    "linear_regressor": (TARGETS, 9, {}),
}
OPTIONS = {"compare_pca_svm": {"components": 4}}
# On other backends, where each takes seconds, one of each paper.
ALSO = ("residual_bigru", "cnn1d_mfcc", "rnn_mfcc", "lstm_drnn", "compare_pca_svm", "mfcc_svr", "denoising_autoencoder")
NETWORKS = list(registry.MODELS) if keras.backend.backend() == "tensorflow" else [*ELSEWHERE, *ALSO]


def recorded(kind: str) -> dict:
    return json.loads(RECORDED.read_text())[kind] if RECORDED.is_file() else {}


def export_answer(name: str, folder: Path) -> dict:
    """What an export says of the clip, or some of its ratings along the long one."""
    model = zoo.load(name)
    rates = "arousal" in model.outputs
    answer = model.predict(str(fixed_clip.write(folder, *[fixed_clip.LONG_SECONDS] * rates)), any_sound=True)
    if "ratings" not in answer:
        return {"emotion": answer["emotion"], "probabilities": answer["probabilities"]}
    series = {"time": answer["time"], **answer["ratings"]}
    return {"rows": len(answer["time"]), **{key: fixed_clip.spread(values) for key, values in series.items()}}


def small_network(name: str) -> keras.Model:
    """A small network of the registry, whose weights depend on no initializer of Keras: each from its own generator,
    and large enough for every input to be seen in the answer.
    """
    n_outputs, n_inputs, options = SMALL[registry.get(name).builder.rpartition(":")[2]]
    model = registry.build(name, n_outputs, n_inputs, **{**options, **OPTIONS.get(name, {})})
    for seed, weight in enumerate(model.weights):
        if "seed_generator" in weight.path:  # of dropout: no number to be drawn
            continue
        values = np.random.default_rng(seed).standard_normal(weight.shape)
        if weight.path.endswith("variance"):
            values = np.abs(values) + 0.5
        elif weight.path.endswith("gamma"):
            values = 1 + 0.3 * values
        else:
            values *= 1.5 / np.sqrt(np.prod(weight.shape[:-1])) if len(weight.shape) > 1 else 0.3
        weight.assign(values.astype("float32"))
    return model


def network_inputs(model: keras.Model) -> dict[str, np.ndarray]:
    """Two clips of different lengths, the shorter one padded with anything but zeros."""
    _, length, *rest = model.inputs[[tensor.name for tensor in model.inputs].index("features")].shape
    n_frames = np.array([9, 6], "int32")
    if length is None and rest == [1]:
        n_frames *= FRAME
    elif length is not None:
        n_frames[:] = length
    features = np.random.default_rng(11).standard_normal((2, n_frames.max(), *rest)).astype("float32")
    batch = {"features": features, "n_frames": n_frames}
    return {tensor.name: batch[tensor.name] for tensor in model.inputs}


def network_answer(name: str) -> dict:
    model = small_network(name)
    output = outputs(model, network_inputs(model))
    shapes = [list(weight.shape) for weight in model.weights if "seed_generator" not in weight.path]
    return {
        "weights": shapes,
        "shape": list(output.shape),
        "first": [float(f"{value:.8g}") for value in output.ravel()[:8]],
        "last": [float(f"{value:.8g}") for value in output.ravel()[-2:]],
        "sum": float(f"{output.sum(dtype=np.float64):.8g}"),
    }


def assert_same(found: dict, expected: dict, tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if isinstance(value, dict):
            assert_same(found[key], value, tolerance)
        elif key in ("first", "last", "sum", "time", "arousal", "valence") or isinstance(value, float):
            np.testing.assert_allclose(found[key], value, rtol=tolerance, atol=tolerance, err_msg=key)
        else:
            assert found[key] == value, key


@once
@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_answers_as_recorded(name, tmp_path):
    assert_same(export_answer(name, tmp_path), recorded("exports")[name], TOLERANCE)


@pytest.mark.backend
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_with_given_weights_answers_as_recorded(name):
    assert_same(network_answer(name), recorded("networks")[name], TOLERANCE)


@once
def test_every_recording_is_of_something_there():
    assert sorted(recorded("exports")) == EXPORTS
    assert list(recorded("networks")) == list(registry.MODELS)


def record(kinds: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        makers = {
            "exports": lambda: {name: export_answer(name, Path(folder)) for name in EXPORTS},
            "networks": lambda: {name: network_answer(name) for name in registry.MODELS},
        }
        found = {kind: makers[kind]() if kind in kinds else recorded(kind) for kind in makers}
    lines = ",\n".join(
        f' "{kind}": {{\n' + ",\n".join(f"  {json.dumps(n)}: {json.dumps(a)}" for n, a in answers.items()) + "\n }"
        for kind, answers in found.items()
    )
    RECORDED.write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__" and "--record" in sys.argv:
    record([word for word in sys.argv[1:] if word != "--record"] or ["exports", "networks"])
