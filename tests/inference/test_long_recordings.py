"""Ratings of recordings in pieces and windows are those of the whole recording."""

import keras
import numpy as np
import pytest
import soundfile

from zoo import registry
from zoo.data.audio.read import read
from zoo.frontends.compose import with_frontend
from zoo.frontends.waveform import StandardWaveform
from zoo.inference import tracer as tracing
from zoo.inference.long_recordings import rate_in_windows
from zoo.inference.tracer import tracer
from zoo.runs.model_file import looks_at_whole_segments, network_of

STEPS = 640


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(3)
    return registry.build("conv_lstm", 2, 1, filters=[4, 6, 8], recurrent_units=6)


def waveform(n_frames, seed=0, tail=0):
    return np.random.default_rng(seed).normal(size=(n_frames * STEPS + tail, 1)).astype("float32")


def directly(network, features):
    inputs = {"features": features[None], "n_frames": np.array([len(features)], np.int32)}
    return keras.ops.convert_to_numpy(network(inputs, training=False))[0]


@pytest.mark.backend
@pytest.mark.parametrize(("n_frames", "tail"), [(9, 0), (110, 0), (111, 5), (170, 639), (241, 0)])
def test_pieces_give_the_ratings_of_the_whole(network, monkeypatch, n_frames, tail):
    monkeypatch.setattr(tracing, "PIECE_FRAMES", 60)
    features = waveform(n_frames, tail=tail)
    ratings = tracer(network, STEPS, segment_frames=50)(features)
    assert ratings.shape == (n_frames, 2)
    np.testing.assert_allclose(ratings, directly(network, features)[:n_frames], atol=1e-6)


@pytest.fixture(scope="module")
def bidirectional():
    return registry.build("conv_bigru", 2, 1, filters=[4, 4, 8], kernel_sizes=[4, 8, 8], recurrent_units=4)


def test_a_bidirectional_network_gets_segments(bidirectional):
    assert looks_at_whole_segments(bidirectional)
    features, trace = waveform(25), tracer(bidirectional, STEPS, segment_frames=10)
    short, first, last = features[: 4 * STEPS], features[: 10 * STEPS], features[15 * STEPS :]
    ratings = trace(features)
    for found, part in ((ratings[:10], first), (ratings[15:], last), (trace(short), short)):
        np.testing.assert_allclose(found, directly(bidirectional, part), atol=1e-6)


@pytest.mark.parametrize("n_samples", [16_000 * 12, 16_000 * 8 + 160, 16_000 * 9 + 7 * STEPS + 1])
def test_segments_are_the_same_in_windows(bidirectional, tmp_path, n_samples):
    """Also where the last window has less than a segment, or than a frame."""
    path, samples = tmp_path / "long.wav", np.random.default_rng(2).normal(0, 0.1, n_samples)
    soundfile.write(path, samples, 16_000)
    trace, written = tracer(bidirectional, STEPS, segment_frames=50), read(path)
    whole = trace(((written - written.mean()) / written.std())[:, None])
    ratings = rate_in_windows(path, trace, STEPS, 50, 16_000, 60.0, longest_seconds=8.5)
    assert ratings.shape == whole.shape == (n_samples // STEPS, 2)
    np.testing.assert_allclose(ratings, whole, atol=1e-5)


def test_ratings_in_windows_differ_little_from_the_whole(network, tmp_path):
    path = tmp_path / "long.wav"
    samples = np.random.default_rng(1).normal(0.01, 0.1, 16_000 * 40)
    soundfile.write(path, samples * np.linspace(0.2, 1.0, len(samples)), 16_000)
    model = with_frontend(StandardWaveform(), network)
    counts = {"n_samples": np.array([len(samples)], np.int32)}
    whole = model.predict_on_batch({"waveform": read(path)[None], **counts})[0]
    ratings = rate_in_windows(path, tracer(network, STEPS, 50), STEPS, 0, 16_000, 60.0, longest_seconds=32.0)
    assert ratings.shape == whole.shape and network_of(model) is network
    np.testing.assert_allclose(ratings, whole, atol=1e-3)
    assert np.ptp(whole) > 0.01
