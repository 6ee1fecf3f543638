"""The bench's rows on speech encoders: the three runtimes have one network, and rows say what was measured."""

import keras
import numpy as np
import pytest

from zoo import measurements

if keras.backend.backend() != "tensorflow":
    pytest.skip("the bench's encoders run on TensorFlow", allow_module_level=True)

for name in ("torch", "transformers", "safetensors", "onnxruntime", "tf2onnx"):
    pytest.importorskip(name)
encoders = pytest.importorskip("bench.encoders")
conversion = pytest.importorskip("bench.encoder_conversion")
tf = pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench-encoders")
    encoders._write(folder, "tiny")
    return folder


@pytest.fixture
def cores():
    """As many threads as this process has already: TensorFlow takes no other number once it runs."""
    return tf.config.threading.get_intra_op_parallelism_threads()


def test_the_runtimes_have_one_network(folder, cores):
    clip = np.random.default_rng(0).normal(0.1, 0.2, (1, 4_000)).astype(np.float32)
    expected = encoders._torch(folder, 1)(clip)
    assert expected.shape == (1, 12, 32)
    np.testing.assert_allclose(encoders._saved_model(folder, cores)(clip), expected, atol=1e-5)
    np.testing.assert_allclose(encoders._onnx(folder, 1)(clip), expected, atol=1e-5)


def test_rows_of_batches_are_rates_against_single_clips(folder, cores, monkeypatch):
    monkeypatch.setattr(encoders, "CORES", (cores,))
    monkeypatch.setattr(encoders, "CLIP_SECONDS", 1)
    monkeypatch.setattr(encoders, "median_seconds", lambda runs, repeats: {name: float(name) / 2 for name in runs})
    monkeypatch.setattr(encoders, "RATE_HZ", 800)
    rows = encoders._batches(folder, 1)
    assert [(row.name, row.ours, row.reference) for row in rows] == [
        ("encoder batch 2", 2.0, 2.0),
        ("encoder batch 4", 2.0, 2.0),
        ("encoder batch 8", 2.0, 2.0),
    ]


def test_a_conversion_there_and_back_is_measured(monkeypatch, capsys):
    """Of a tiny encoder, in this process."""
    monkeypatch.setattr(conversion, "in_own_process", lambda function, *args: function(*args))
    record = {"encoders": {"hubert-tiny": conversion.measured("hubert-tiny")}}
    rows = record["encoders"]["hubert-tiny"]
    assert [row["command"] for row in rows] == ["--random hubert-tiny", "--back", "FOLDER", "FOLDER --dtype float16"]
    assert rows[3]["mib"] < 0.6 * rows[2]["mib"] and all(row["seconds"] > 0 for row in rows)
    capsys.readouterr()
    lines = measurements.conversions(record).splitlines()
    assert len(lines) == 6 and lines[3].startswith("| hubert-tiny | `--back` | ")
