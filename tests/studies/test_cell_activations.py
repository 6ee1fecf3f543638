"""Gates against Keras's layers, by hand, and the unit that follows the energy."""

import csv
from importlib.util import find_spec

import fixed_clip
import keras
import numpy as np
import pytest
import tiny_runs

from zoo import registry
from zoo.config.flags import from_flags
from zoo.errors import UserError
from zoo.frontends.compose import with_normalization
from zoo.inference import tracer as tracers
from zoo.runs import model_file
from zoo.studies import cell_activations
from zoo.studies.cell_activations import (
    acoustic_measures,
    activations,
    best,
    correlate,
    correlations,
    gru_gates,
    lstm_gates,
)
from zoo.utils.atomic_files import write_json

NARROW = {"filters": [4, 6, 8], "recurrent_units": 5}
SHORT_TAPS = {"filters": [4, 4, 8], "kernel_sizes": [4, 8, 8], "recurrent_units": 5}
RATE_HZ = 16_000
needs_opensmile = pytest.mark.skipif(
    find_spec("opensmile") is None, reason="opensmile is not installed (pip install -e '.[opensmile]')"
)


def scrambled(model):
    """Biases, zero or one in a new layer, become random too; variances stay above 0."""
    rng = np.random.default_rng(5)
    model.set_weights([weight + rng.uniform(-0.5, 0.5, weight.shape) for weight in model.get_weights()])
    return model


def built(name, n_inputs=1, **options):
    return scrambled(registry.build(name, 2, n_inputs, **options))


def directly(network, layers, features):
    """The outputs (frames, units) of a network's layers, by Keras."""
    model = keras.Model(network.inputs, [network.get_layer(name).output for name in layers])
    inputs = {"features": features[None], "n_frames": np.array([len(features)], np.int32)}
    return [keras.ops.convert_to_numpy(output)[0] for output in keras.tree.flatten(model(inputs, training=False))]


def hidden_states(found):
    assert all(np.isfinite(values).all() for values in found.values())
    return {key[:2]: values for key, values in found.items() if key[2] == "hidden state"}


def waveform(n_frames, tail=0):
    return np.random.default_rng(1).normal(size=(640 * n_frames + tail, 1)).astype("float32")


@pytest.mark.backend
@pytest.mark.parametrize(("kind", "compute"), [("LSTM", lstm_gates), ("GRU", gru_gates)])
@pytest.mark.parametrize("backwards", [False, True])
def test_states_are_those_of_the_keras_layer(kind, compute, backwards, rng):
    layer = getattr(keras.layers, kind)(7, return_sequences=True, return_state=True, go_backwards=backwards)
    inputs = rng.normal(size=(30, 4)).astype("float32")
    layer.build((1, 30, 4))
    scrambled(layer)
    hidden, *_, last = (keras.ops.convert_to_numpy(output)[0] for output in layer(inputs[None]))
    found = compute(inputs[::-1] if backwards else inputs, *layer.get_weights())
    np.testing.assert_allclose(found["hidden state"], hidden, atol=1e-5)
    np.testing.assert_allclose(found["cell state" if kind == "LSTM" else "hidden state"][-1], last, atol=1e-5)


def check_unit(compute, kernel, recurrent_kernel, bias, expected):
    """A unit over two frames with inputs 1 and 0."""
    found = compute(np.array([[1.0], [0.0]]), np.array([kernel]), np.array([recurrent_kernel]), np.array(bias))
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name][:, 0], values, atol=1e-12, err_msg=name)


def test_an_lstm_unit_by_hand():
    """Biases open the gates by 3/4 (input), 1/4 (forget), 1/2 (output); candidates are tanh of the input and of 2 h."""
    cell1 = 0.75 * np.tanh(1)
    hidden1 = 0.5 * np.tanh(cell1)
    cell2 = 0.25 * cell1 + 0.75 * np.tanh(2 * hidden1)
    expected = {
        "input gate": [0.75, 0.75],
        "forget gate": [0.25, 0.25],
        "output gate": [0.5, 0.5],
        "candidate": [np.tanh(1), np.tanh(2 * hidden1)],
        "cell state": [cell1, cell2],
        "hidden state": [hidden1, 0.5 * np.tanh(cell2)],
    }
    check_unit(lstm_gates, [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 2.0, 0.0], [np.log(3), -np.log(3), 0.0, 0.0], expected)


def test_a_gru_unit_by_hand():
    """An update gate of 3/4 keeps three quarters; the reset gate, 1/4, scales 2 h + 1 (its bias) in the candidate."""
    candidate1 = np.tanh(1 + 0.25)
    hidden1 = 0.25 * candidate1
    candidate2 = np.tanh(0.25 * (2 * hidden1 + 1))
    expected = {
        "update gate": [0.75, 0.75],
        "reset gate": [0.25, 0.25],
        "candidate": [candidate1, candidate2],
        "hidden state": [hidden1, 0.75 * hidden1 + 0.25 * candidate2],
    }
    biases = [[np.log(3), 0.0, 0.0], [0.0, -np.log(3), 1.0]]
    check_unit(gru_gates, [0.0, 0.0, 1.0], [0.0, 0.0, 2.0], biases, expected)


@pytest.mark.backend
@pytest.mark.parametrize(("recurrent_layers", "n_frames"), [(1, 40), (2, 130)])
def test_activations_in_pieces_are_those_of_the_whole(recurrent_layers, n_frames, monkeypatch, tmp_path):
    """And of the network saved afterwards."""
    monkeypatch.setattr(tracers, "PIECE_FRAMES", 50)  # the longer recording takes three
    network = built("conv_lstm", recurrent_layers=recurrent_layers, **NARROW)
    features, names = waveform(n_frames, tail=300), [f"lstm{i + 1}" for i in range(recurrent_layers)]
    found = activations(network, features, 640, 50)
    assert len(found) == 6 * recurrent_layers
    hidden = hidden_states(found)
    network.save(tmp_path / "model.keras")
    saved = keras.saving.load_model(tmp_path / "model.keras")
    for name, expected in zip(names, directly(saved, names, features), strict=True):
        np.testing.assert_allclose(hidden[name, "forward"], expected, atol=1e-5)


@pytest.mark.backend
def test_both_directions_of_a_network_on_functionals(rng):
    inner = built("lstm_drnn", 6, bidirectional=True, recurrent_layers=2, recurrent_units=5)
    mean, variance = rng.normal(size=6), np.full(6, 4.0)
    network = with_normalization(mean, variance, inner)
    features = rng.normal(size=(25, 6)).astype("float32")
    found = activations(network, features, 1, 10)
    assert len(found) == 2 * 2 * 6
    hidden = hidden_states(found)
    expected = directly(inner, ["blstm1", "blstm2"], ((features - mean) / 2).astype("float32"))
    for name, both in zip(["blstm1", "blstm2"], expected, strict=True):
        np.testing.assert_allclose(hidden[name, "forward"], both[:, :5], atol=1e-5)
        np.testing.assert_allclose(hidden[name, "backward"], both[:, 5:], atol=1e-5)


def test_a_network_of_whole_segments_begins_anew_in_each(tmp_path):
    """Against Keras, of the network saved afterwards."""
    network = built("conv_bigru", recurrent_layers=2, **SHORT_TAPS)
    features = waveform(25)
    found = activations(network, features, 640, 10)
    assert len(found) == 2 * 2 * 4
    hidden = hidden_states(found)
    network.save(tmp_path / "model.keras")
    saved = keras.saving.load_model(tmp_path / "model.keras")
    for start, stop in ((0, 10), (10, 15), (15, 25)):
        expected = directly(saved, ["bigru1", "bigru2"], features[start * 640 : (start + 10) * 640])
        for name, both in zip(["bigru1", "bigru2"], expected, strict=True):
            both = both[: stop - start]
            np.testing.assert_allclose(hidden[name, "forward"][start:stop], both[:, :5], atol=1e-5)
            np.testing.assert_allclose(hidden[name, "backward"][start:stop], both[:, 5:], atol=1e-5)


def test_networks_without_known_cells_are_refused():
    inputs = {"features": keras.Input((None, 3), name="features"), "n_frames": keras.Input((), name="n_frames")}
    features, old = np.zeros((5, 3), np.float32), keras.layers.GRU(2, return_sequences=True, reset_after=False)
    with pytest.raises(UserError, match="plain has no LSTM or GRU layer"):
        activations(keras.Model(inputs, keras.layers.Dense(2)(inputs["features"]), name="plain"), features, 1, 5)
    with pytest.raises(ValueError, match=r"expected .*'reset_after': True"):
        activations(keras.Model(inputs, old(inputs["features"])), features, 1, 5)


@pytest.mark.parametrize("unknown", [[], [3, 20]])
def test_correlations_are_numpys(rng, unknown):
    units, measure = rng.normal(size=(50, 4)), rng.normal(size=50)
    units[:, 1] += 3 * measure + 100
    measure[unknown] = np.nan
    known = np.isfinite(measure)
    expected = [np.corrcoef(unit[known], measure[known])[0, 1] for unit in units.T]
    np.testing.assert_allclose(correlations(units, measure), expected, atol=1e-12)


def test_constants_have_no_correlation(rng):
    units = rng.normal(size=(20, 2)).astype("float32")
    units[:, 0] = 0.1
    units[::2, 0] = np.nextafter(np.float32(0.1), np.float32(1))  # a saturated gate, rounded
    found = correlations(units, rng.normal(size=20))
    assert np.isnan(found[0]) and np.isfinite(found[1])
    assert np.isnan(correlations(units, np.ones(20))).all()
    assert np.isnan(correlations(units, np.full(20, np.nan))).all()


def test_the_unit_that_follows_the_energy_is_found(rng):
    energy, loudness = np.abs(rng.normal(size=(2, 200)))
    fake = {(layer, "forward", gate): rng.normal(size=(200, 8)) for layer in "ab" for gate in "xy"}
    fake["b", "forward", "x"][:, 5] = -3 * energy + 0.01 * rng.normal(size=200)
    rows = correlate(fake, {"rms_range": energy, "loudness": loudness, "mean_f0": np.full(200, np.nan)})
    assert len(rows) == 32
    first, second = best(rows, "rms_range", 2)
    assert (first["layer"], first["gate"], first["unit"]) == ("b", "x", 5)
    assert first["rms_range"] < -0.99 < abs(second["rms_range"]) < 0.5
    assert best(rows, "mean_f0") == []


@needs_opensmile
def test_measures_of_a_tone_that_grows_quieter_and_ends():
    """440 Hz is four octaves above 27.5 Hz: 48 semitones. Amplitude 0.4 until 3 s, 0.1 until 6 s, then nothing."""
    time = np.arange(9 * RATE_HZ) / RATE_HZ
    harmonics = sum(np.sin(2 * np.pi * 440 * k * time) / k for k in range(1, 9))
    shape = harmonics / np.sqrt(2 * np.mean(harmonics**2))  # as a sine of amplitude 1, in RMS
    tone = (np.select([time < 3, time < 6], [0.4, 0.1]) * shape).astype("float32")
    found = acoustic_measures(tone, RATE_HZ, 225, 0.04)
    assert {values.shape for values in found.values()} == {(225,)}
    rms = found["rms_range"]
    np.testing.assert_allclose(rms[[20, 100]], 0, atol=0.001)
    np.testing.assert_allclose(rms[75], 0.3 / np.sqrt(2), atol=0.001)  # the window reaches over the step
    crossing = np.flatnonzero(rms[:120] > 0.01)  # from half a window before 3 s to half a window behind
    assert crossing[0] == pytest.approx(62, abs=1) and crossing[-1] == pytest.approx(87, abs=1)
    loudness = found["loudness"]
    halfway = np.flatnonzero(loudness[50:100] < (loudness[50] + loudness[100]) / 2)[0] + 50
    assert halfway == pytest.approx(75, abs=1)
    np.testing.assert_allclose(found["mean_f0"][20:130], 48, atol=0.1)
    last = np.flatnonzero(np.isfinite(found["mean_f0"]))[-1]
    assert last * 0.04 == pytest.approx(6.5, abs=0.08)  # half a window after the tone


def test_unvoiced_frames_do_not_lower_the_f0(monkeypatch):
    """Of descriptors 36, 0, 40, 0, ... the mean F0 is 38."""
    f0 = np.tile([36.0, 0.0, 40.0, 0.0], 100)
    values = np.stack([f0, np.arange(400)], axis=1)
    found = np.arange(400) / 100, values, ["F0semitoneFrom27.5Hz_sma3nz", "Loudness_sma3"]
    monkeypatch.setattr(cell_activations.opensmile, "descriptors", lambda *_: found)
    found = acoustic_measures(np.zeros(4 * RATE_HZ, np.float32), RATE_HZ, 100, 0.04)
    np.testing.assert_allclose(found["mean_f0"], 38, atol=0.1)
    middle = np.arange(20, 80)
    np.testing.assert_allclose(found["loudness"][middle], 100 * (middle * 0.04 + 0.02) - 1, atol=0.6)


@pytest.mark.parametrize("window_seconds", [0.05, 4.0, float("nan")])
def test_windows_out_of_range_are_refused(window_seconds):
    with pytest.raises(UserError, match=r"--window-seconds is .*, expected at least 0.1 and less than .* 3 s"):
        acoustic_measures(np.zeros(3 * RATE_HZ, np.float32), RATE_HZ, 75, 0.04, window_seconds)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    option = ["filters=[4,6,8]", "recurrent_units=5", "recurrent_layers=1"]
    return tiny_runs.make(tmp_path_factory.mktemp("cells") / "run", "conv_lstm", "recola", option=option)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return fixed_clip.write(tmp_path_factory.mktemp("recording"), 4.0)


@needs_opensmile
def test_the_script_writes_all_correlations_and_shows_the_best(run, recording, script):
    code, shown, err = script("inspect_cells.py", run, recording, "--fold", "0", "--window-seconds", "0.5")
    assert code == 0, err
    assert str(run / "cells" / "cells.csv") in shown.replace("\n", "") and "synthetic recola" in shown
    with (run / "cells" / "cells.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["layer", "direction", "gate", "unit", "rms_range", "loudness", "mean_f0"]
    assert len(rows) == 6 * 5
    largest = max((float(row["loudness"]) for row in rows if row["loudness"]), key=abs)
    assert f"{largest:+.3f}" in shown
    assert (run / "cells" / "cells.png").read_bytes().startswith(b"\x89PNG")


@needs_opensmile
def test_the_whole_is_as_its_parts_and_goes_to_out(run, recording, tmp_path):
    rows, _ = cell_activations.inspect_run(run, recording, tmp_path / "there")
    assert {file.name for file in (tmp_path / "there").iterdir()} == {"cells.csv", "cells.png"}
    network = model_file.network_of(keras.saving.load_model(next(run.glob("fold-0*")) / "model.keras"))
    sound = cell_activations.read(recording)
    features = ((sound - sound.mean()) / sound.std())[:, None]
    (hidden,) = directly(network, ["lstm1"], features)
    measure = acoustic_measures(sound, RATE_HZ, len(sound) // 640, 0.04)["loudness"]
    found = [row["loudness"] for row in rows if row["gate"] == "hidden state"]
    np.testing.assert_allclose(found, [np.corrcoef(unit, measure)[0, 1] for unit in hidden.T], atol=1e-3)


def test_absent_recordings_and_runs_for_emotions_and_unfinished_ones_are_refused(run, tmp_path, script):
    with pytest.raises(UserError, match=r"no\.wav"):
        cell_activations.inspect_run(run, tmp_path / "no.wav", tmp_path)
    write_json(tmp_path / "config.json", from_flags({"model": "fcn", "corpus": "emodb"}).saved())
    code, _, err = script("inspect_cells.py", tmp_path, "a.wav")
    assert code == 2 and "classifies emotions, expected a run for continuous ratings" in err
    (tmp_path / "config.json").write_bytes((run / "config.json").read_bytes())
    code, _, err = script("inspect_cells.py", tmp_path, "a.wav")
    assert code == 2 and "not finished" in err
