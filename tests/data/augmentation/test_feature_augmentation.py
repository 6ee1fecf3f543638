"""What is done to features in training, against NumPy."""

from types import SimpleNamespace

import numpy as np
import pytest

from zoo.data.augmentation.feature_augmentation import change_tempo, mixup, shift_bands, warp_bands


def test_shifted_bands_repeat_the_edge(rng):
    features = rng.normal(size=(6, 5)).astype("float32")
    padded = np.pad(features, [(0, 0), (2, 2)], mode="edge")
    possible = [padded[:, start : start + 5] for start in range(5)]
    seen = set()
    for _ in range(60):
        shifted = shift_bands(features, rng, 2)
        seen |= {index for index, one in enumerate(possible) if np.array_equal(shifted, one)}
        assert any(np.array_equal(shifted, one) for one in possible)
    assert seen == set(range(5))
    assert np.array_equal(shift_bands(features, rng, 0), features)


@pytest.mark.parametrize("factor", [0.85, 1.0, 1.2])
def test_a_warp_moves_frequencies_as_the_paper_defines(factor, rng):
    """Jaitly and Hinton 2013, eq 1, with its bend of 4,800 Hz at a rate of 16 kHz, inverted on a grid of 0.1 Hz."""
    frequencies_hz = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 66) / 2595) - 1)  # in mel alike
    before_hz, bend_hz = np.linspace(0, 8000, 80_001), 4800 * min(factor, 1)
    slope = (8000 - bend_hz) / (8000 - bend_hz / factor)
    after_hz = np.where(before_hz <= bend_hz / factor, before_hz * factor, 8000 - slope * (8000 - before_hz))
    source_hz = before_hz[np.searchsorted(after_hz, frequencies_hz[1:-1])]
    features = rng.normal(size=(3, 64)).astype("float32")
    found = warp_bands(features, SimpleNamespace(uniform=lambda low, high: (factor - 1) / 0.2), 0.2, frequencies_hz)
    expected = np.stack([np.interp(source_hz, frequencies_hz[1:-1], frame) for frame in features])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.02)  # the grid's step is up to 0.4 % of a band's width


def test_a_warp_draws_its_factor_from_its_share_and_none_leaves_features(rng):
    features, frequencies_hz = rng.normal(size=(4, 40)).astype("float32"), np.linspace(0, 100, 42)
    np.testing.assert_array_equal(warp_bands(features, rng, 0.0, frequencies_hz), features)
    ramp = np.tile(frequencies_hz[1:-1], (1, 1)).astype("float32")  # each band holds its centre
    factors = [frequencies_hz[10] / warp_bands(ramp, rng, 0.15, frequencies_hz)[0, 9] for _ in range(300)]
    assert 0.85 <= min(factors) < 0.87 and 1.13 < max(factors) <= 1.151


def test_another_tempo_is_numpys_interpolation(rng):
    features = rng.normal(size=(9, 3)).astype("float32")
    for n_frames in (1, 5, 9, 13):
        found, places = change_tempo(features, n_frames), np.linspace(0, 8, n_frames)
        expected = np.stack([np.interp(places, np.arange(9), band) for band in features.T], axis=1)
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert found.dtype == np.float32 and np.array_equal(found[0], features[0])
    assert np.array_equal(change_tempo(features[:1], 4), features[[0, 0, 0, 0]])


def test_a_mixture_goes_on_with_the_fill_where_a_clip_ends(rng):
    fill = np.array([-9.0, 2.0], np.float32)
    long, short = rng.normal(size=(5, 2)).astype("float32"), rng.normal(size=(3, 2)).astype("float32")
    longer = np.concatenate([short, [fill, fill]])
    np.testing.assert_allclose(mixup(long, short, 0.7, fill), 0.7 * long + 0.3 * longer, atol=1e-6)
    np.testing.assert_allclose(mixup(short, long, 0.7, fill), 0.7 * longer + 0.3 * long, atol=1e-6)
    assert mixup(short, long, 0.7, fill).dtype == np.float32
