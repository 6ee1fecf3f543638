"""The detector of clean speech against SciPy, scikit-learn and cases worked by hand."""

import keras
import numpy as np
import pytest
from networks import padded
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from zoo.frontends import clean_speech
from zoo.frontends.clean_speech import CleanSpeech, UnlessClean, Variation, threshold

CHANNELS = 3


def clips(rng, n, deviation):
    """Clips of several lengths; the first channel varies by `deviation`, about an offset of their own."""
    made = [rng.normal(size=(int(rng.integers(20, 60)), CHANNELS)) for _ in range(n)]
    return [(clip * [deviation, 1, 1] + rng.normal(0, 50, CHANNELS)).astype("float32") for clip in made]


def batch(*sequences, filling=0.0):
    return padded(sequences, max(map(len, sequences)) + 4, filling)


def values(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.backend
def test_variation_is_scipys_and_no_offset_or_padding_moves_it(rng):
    sequences = clips(rng, 4, 5.0)
    expected = [
        [x.std(0), x.mean(0) - x.min(0), x.max(0) - x.mean(0), stats.skew(x), stats.kurtosis(x)]
        for x in (sequence.astype(np.float64) for sequence in sequences)
    ]
    for shift in (0.0, 30.0):
        found = values(Variation()(*batch(*(sequence + shift for sequence in sequences), filling=1e3)))
        np.testing.assert_allclose(found, np.reshape(expected, (4, -1)), rtol=1e-3, atol=1e-3)


@pytest.mark.backend
def test_one_frame_and_silence_have_a_score(rng):
    layer = CleanSpeech()
    layer.build((None, None, CHANNELS))
    layer.set_weights([np.ones(5 * CHANNELS, "float32"), np.float32(0.5)])
    score = values(layer(*batch(rng.normal(size=(1, CHANNELS)), np.full((9, CHANNELS), -80.0))))
    np.testing.assert_allclose(score, [0.5, 0.5], atol=1e-3)  # nothing varies


@pytest.mark.parametrize(
    ("clean", "noisy", "expected"),
    [
        ([2.0, 4.0], [0.0, -1.0], 1.0),  # apart: midway between the nearest
        ([0.0, 3.0, 4.0], [-5.0, -4.0, 1.0, 0.5], 2.0),  # a third of the clean ones beyond, in place of half the noisy
        ([10.0], [0.0, 9.0], 9.5),
        ([1.0, 8.0], [0.0, 2.0], 5.0),  # two places as good: the wider gap
        ([1.0], [1.0], 1.0),  # the same score for all
    ],
)
def test_threshold_has_the_fewest_errors(clean, noisy, expected):
    assert threshold(clean, noisy) == expected


def test_threshold_counts_both_kinds_alike_however_many_there_are(rng):
    clean, noisy = rng.normal(1, 1, 40), rng.normal(-1, 1, 400)

    def errors(cut):
        return np.mean(clean <= cut) + np.mean(noisy > cut)

    assert errors(threshold(clean, noisy)) == min(errors(cut) for cut in np.linspace(-4, 4, 4001))


def test_fitted_it_is_scikit_learns_regression_less_the_threshold(rng):
    train, validation = (clips(rng, 30, 6.0), clips(rng, 60, 3.0)), (clips(rng, 20, 6.0), clips(rng, 40, 3.0))
    layer = clean_speech.fit(train, validation)
    assert not layer.trainable_weights

    def variation(sequences):
        return np.concatenate([values(Variation()(*batch(sequence))) for sequence in sequences])

    reference = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    reference.fit(np.concatenate([variation(side) for side in train]), [True] * 30 + [False] * 60)
    held_out = [reference.decision_function(variation(side)) for side in validation]
    for side, scores in zip(validation, held_out, strict=True):
        found = values(layer(*batch(*side)))
        np.testing.assert_allclose(found, scores - threshold(*held_out), atol=2e-3)
    assert np.mean(values(layer(*batch(*clips(rng, 40, 6.0)))) > 0) > 0.9
    assert np.mean(values(layer(*batch(*clips(rng, 40, 3.0)))) > 0) < 0.1


@pytest.mark.backend
def test_clean_clips_pass_exactly_and_others_do_not(rng):
    frames, enhanced = rng.normal(size=(2, 3, 5, CHANNELS)).astype("float32")
    found = values(UnlessClean()(frames, enhanced, np.array([0.1, 0.0, -3.0], "float32")))
    np.testing.assert_array_equal(found, [frames[0], enhanced[1], enhanced[2]])
