"""What is done to features in training, against NumPy."""

import numpy as np

from zoo.data.augmentation.feature_augmentation import change_tempo, mixup, shift_bands


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
