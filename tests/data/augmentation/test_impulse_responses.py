"""Rooms: convolution by hand and from the definition, and reverberation times measured back from responses."""

from importlib.util import find_spec

import numpy as np
import pytest
import soundfile

from zoo.data.augmentation import impulse_responses
from zoo.errors import UserError

RATE_HZ = 16_000

needs_pyroomacoustics = pytest.mark.skipif(
    find_spec("pyroomacoustics") is None, reason="pyroomacoustics is not installed (pip install -e '.[rooms]')"
)


def reverberation_seconds(response: np.ndarray, from_db: float = -5, to_db: float = -25) -> float:
    """ISO 3382: the slope of the energy still to come, extrapolated to 60 dB."""
    squares = np.asarray(response, float) ** 2
    to_come_db = 10 * np.log10([squares[start:].sum() / squares.sum() for start in range(0, len(squares), 16)])
    times = np.arange(len(to_come_db)) * 16 / RATE_HZ
    fitted = (to_come_db <= from_db) & (to_come_db >= to_db)
    slope, _ = np.polyfit(times[fitted], to_come_db[fitted], 1)
    return -60 / slope


def write(path, samples, rate_hz=RATE_HZ):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.asarray(samples, float), rate_hz, subtype="FLOAT")


def test_convolution_by_hand():
    result = impulse_responses.convolve(np.array([1.0, 0, 0, 2]), np.array([3.0, 4, 5]))  # and a tail of 8, 10
    np.testing.assert_allclose(result, np.array([3, 4, 5, 6]) * np.sqrt(5 / 86), rtol=1e-6)


@pytest.mark.parametrize(
    ("n_samples", "n_response"), [(1, 1), (1, 50), (50, 1), (1000, 3000), (3000, 1000), (257, 256)]
)
def test_convolution_is_linear_to_its_last_sample(n_samples, n_response, rng):
    waveform, response = rng.standard_normal(n_samples), rng.standard_normal(n_response)
    full = np.convolve(waveform, response)[:n_samples]
    expected = full * np.linalg.norm(waveform) / np.linalg.norm(full)
    result = impulse_responses.convolve(waveform, response)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=1e-5 * np.abs(expected).max())


def test_responses_begin_with_their_direct_path_and_have_unit_energy(tmp_path):
    write(tmp_path / "b" / "hall.wav", [0, 0.1, -2, 1, 0, 0.5])
    write(tmp_path / "a.wav", [[0.3, 0.9], [0.4, 0.1]])  # two channels
    responses = impulse_responses.load_responses(tmp_path, RATE_HZ)
    assert list(responses) == ["a", "b/hall"]
    np.testing.assert_allclose(responses["b/hall"], np.array([-2, 1, 0, 0.5]) / np.sqrt(5.25), rtol=1e-6)
    np.testing.assert_allclose(responses["a"], [1.0], rtol=1e-6)
    assert all(response.dtype == np.float32 for response in responses.values())


@pytest.mark.parametrize("file_rate_hz", [8000, 44_100, 48_000])
def test_responses_are_resampled(file_rate_hz, tmp_path):
    pulses = np.zeros(file_rate_hz // 2)
    pulses[[file_rate_hz // 10 + 1, file_rate_hz * 3 // 10 + 1]] = 1, 0.5  # 0.2 s apart
    write(tmp_path / "echo.wav", pulses, file_rate_hz)
    response = impulse_responses.load_responses(tmp_path, RATE_HZ)["echo"]
    assert np.sum(response.astype(float) ** 2) == pytest.approx(1, abs=1e-6)
    assert np.argmax(np.abs(response)) == 0 and np.argmax(np.abs(response[1000:])) + 1000 == 3200
    assert response[3200] / response[0] == pytest.approx(0.5, abs=0.01)
    assert response[3199] == pytest.approx(response[3201], abs=1e-3)  # on a sample, not between two


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "responses: expected impulse responses"),
        ({"first.wav": [[0, 1], [0, 1]]}, r"first\.wav.*silent first channel"),
        ({"zero.wav": np.zeros(100)}, r"zero\.wav.*silent first channel"),
        ({"none.wav": []}, r"none\.wav.*header without samples"),
        ({"hall.wav": [0.5, 0.1], "hall.flac": [0.5, 0.1]}, "one response called 'hall'"),
    ],
)
def test_bad_responses_are_refused_by_name(files, message, tmp_path):
    folder = tmp_path / "responses"
    folder.mkdir()
    for name, samples in files.items():
        soundfile.write(folder / name, np.asarray(samples, float), RATE_HZ)
    with pytest.raises(UserError, match=message):
        impulse_responses.load_responses(folder, RATE_HZ)


@pytest.mark.parametrize("seconds", [0.1, 0.3, 0.8, 2.0])
def test_exponential_responses_decay_in_the_time_asked_for(seconds, rng):
    for _ in range(4):
        response = impulse_responses.exponential(rng, RATE_HZ, (seconds, seconds))
        assert reverberation_seconds(response[1:]) == pytest.approx(seconds, rel=0.15)
        assert len(response) == round(seconds * RATE_HZ) and response.dtype == np.float32
        energy = response.astype(float) ** 2
        assert energy.sum() == pytest.approx(1, abs=1e-5) and np.argmax(energy) == 0
        assert 0 <= 10 * np.log10(energy[0] / energy[1:].sum()) + 1e-4 <= 10.001


def test_responses_are_of_the_seed_and_spread_over_the_range():
    once, again = (impulse_responses.exponential(np.random.default_rng(0), RATE_HZ) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    rng = np.random.default_rng(0)
    lengths = [len(impulse_responses.exponential(rng, 1000, (0.2, 0.8))) for _ in range(300)]
    assert 200 <= min(lengths) < 220 and 780 < max(lengths) <= 800
    assert np.mean(lengths) == pytest.approx(500, abs=30)


@needs_pyroomacoustics
@pytest.mark.parametrize("seconds", [0.15, 0.2, 0.3, 0.45])
def test_simulated_rooms_decay_in_the_time_asked_for(seconds):
    for seed in range(2):
        response = impulse_responses.simulate(np.random.default_rng(seed), RATE_HZ, (seconds, seconds))
        assert reverberation_seconds(response) == pytest.approx(seconds, rel=0.2)
        assert np.argmax(np.abs(response)) == 0 and response.dtype == np.float32
        assert np.sum(response.astype(float) ** 2) == pytest.approx(1, abs=1e-5)
        assert len(response) > 0.75 * seconds * RATE_HZ


@needs_pyroomacoustics
def test_simulation_is_of_the_seed_and_leaves_the_package_as_it_was():
    import pyroomacoustics

    before = pyroomacoustics.constants.get("num_threads")
    pyroomacoustics.constants.set("num_threads", 3)
    try:
        once = impulse_responses.simulate(np.random.default_rng(5), RATE_HZ, (0.2, 0.3))
        assert pyroomacoustics.constants.get("num_threads") == 3
        pyroomacoustics.constants.set("num_threads", 1)
        np.testing.assert_array_equal(impulse_responses.simulate(np.random.default_rng(5), RATE_HZ, (0.2, 0.3)), once)
    finally:
        pyroomacoustics.constants.set("num_threads", before)
    assert len(impulse_responses.simulate(np.random.default_rng(6), RATE_HZ, (0.2, 0.3))) != len(once)
