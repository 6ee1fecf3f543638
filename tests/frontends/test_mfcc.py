"""MFCCs, deltas and statistics against librosa and scipy, on every backend."""

import keras
import librosa
import numpy as np
import pytest
import scipy.stats
from networks import padded

from zoo.data.synthetic.voice import draw_speaker, utterance
from zoo.frontends.mfcc import CepstralStatistics, Deltas, Mfcc, Statistics

pytestmark = pytest.mark.backend

RATE_HZ = 22_050


def run(layer, *inputs):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, layer(*inputs))


def run_mfcc(layer, clips):
    features, n_frames = run(layer, *padded(clips))
    return [clip[:count] for clip, count in zip(features, n_frames, strict=True)]


def reference_mfcc(clip, layer):
    """In float64: librosa's own rounding is not what the layer is held to."""
    clip = clip.astype(np.float64)
    if layer.peak_normalize:
        clip = clip / np.abs(clip).max()
    settings = {"sr": layer.rate_hz, "n_fft": layer.n_fft, "win_length": layer.window, "hop_length": layer.hop}
    return librosa.feature.mfcc(y=clip, n_mfcc=layer.coefficients, n_mels=layer.mel_bands, **settings).T


def reference_streams(mfcc):
    return [mfcc, librosa.feature.delta(mfcc, axis=0), librosa.feature.delta(mfcc, order=2, axis=0)]


def reference_statistics(stream, kind):
    """(frames, coefficients) -> (coefficients, 1 or 6)."""
    if kind == "mean":
        return stream.mean(axis=0)[:, None]
    parts = [stream.mean(axis=0), stream.std(axis=0), stream.min(axis=0), stream.max(axis=0)]
    return np.stack([*parts, scipy.stats.skew(stream, axis=0), scipy.stats.kurtosis(stream, axis=0)], axis=-1)


def assert_close(found, expected, scale=None, relative=1e-4):
    assert found.shape == expected.shape
    error = np.abs(found - expected).max(initial=0)
    assert error <= relative * (np.abs(expected).max() if scale is None else scale)


def assert_equal_to_librosa(image, clip, layer):
    """Channel by channel, against the channel's own scale; means of deltas, which all but vanish, the deltas'."""
    kind = layer.over_time.statistics
    expected = []
    for index, stream in enumerate(reference_streams(reference_mfcc(clip, layer.mfcc))):
        for place, channel in enumerate(reference_statistics(stream, kind).T):
            found = image[:, index * (6 if kind == "six" else 1) + place]
            assert_close(found, channel, np.abs(stream).max() if index and place == 0 else None)
            expected.append(channel)
    assert image.shape[-1] == len(expected) == layer.channels


@pytest.fixture(scope="module")
def utterances():
    rng = np.random.default_rng(0)
    speaker = draw_speaker("F", rng)
    loud = utterance("angry", speaker, 1.3, rng, rate_hz=RATE_HZ)
    return [loud, 0.01 * utterance("sad", speaker, 0.71, rng, rate_hz=RATE_HZ)]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"coefficients": 20, "peak_normalize": False},
        {"window_ms": 25, "hop_ms": 10, "mel_bands": 40, "coefficients": 13},  # 551 samples: an odd transform
        {"rate_hz": 16_000, "window_ms": 64, "hop_ms": 16, "n_fft": 2048},
    ],
    ids=str,
)
def test_mfcc_is_librosas(settings, utterances):
    layer = Mfcc(**settings)
    for mfcc, clip in zip(run_mfcc(layer, utterances), utterances, strict=True):
        expected = reference_mfcc(clip, layer)
        assert_close(mfcc, expected, relative=1e-5)
        assert_close(mfcc[:, 1:], expected[:, 1:], relative=1e-4)


def test_defaults_are_librosas():
    layer = CepstralStatistics().mfcc
    assert (layer.rate_hz, layer.window, layer.n_fft, layer.hop, layer.mel_bands) == (22_050, 2048, 2048, 512, 128)


@pytest.mark.parametrize("kind", ["mean", "six"])
def test_images_are_librosas_and_scipys(kind, utterances):
    layer = CepstralStatistics(statistics=kind)
    images, counts = run(layer, *padded(utterances))
    assert counts.dtype == np.int32 and set(counts) == {80}
    for image, clip in zip(images, utterances, strict=True):
        assert_equal_to_librosa(image, clip, layer)


def test_padding_and_a_loud_neighbour_do_not_change_an_image(utterances):
    layer = CepstralStatistics(statistics="six")
    beside = run(layer, *padded([100 * utterances[0], utterances[1]]))[0][1]
    alone = run(layer, *padded(utterances[1:]))[0][0]
    for channel, expected in zip(beside.T, alone.T, strict=True):
        assert_close(channel, expected, max(1, np.abs(expected).max()), relative=1e-5)


@pytest.mark.parametrize("n_samples", [1, 511, 512, 2048, 4095, 4096, 9000])
def test_clips_of_any_length_give_finite_images(n_samples, rng):
    """4,096 samples are the first with the nine frames of a delta, all in one fit: scipy's skewness of it is NaN."""
    clip = rng.uniform(-1, 1, size=n_samples).astype("float32")
    layer = CepstralStatistics(statistics="six")
    (mfcc,) = run_mfcc(layer.mfcc, [clip])
    assert len(mfcc) == 1 + n_samples // 512
    assert_close(mfcc, reference_mfcc(clip, layer.mfcc), relative=1e-5)
    image = run(layer, *padded([clip]))[0][0]
    assert np.isfinite(image).all()
    if n_samples >= 9000:
        assert_equal_to_librosa(image, clip, layer)


def test_silence_is_constant():
    """-100 dB in each of 128 bands are -100 * sqrt(128) in the first coefficient, nothing in the others."""
    image = run(CepstralStatistics(statistics="six"), *padded([np.zeros(9000, np.float32)]))[0][0]
    expected = np.zeros((80, 18))
    expected[0, [0, 2, 3]] = -100 * np.sqrt(128)
    np.testing.assert_allclose(image, expected, rtol=1e-6)


def test_peak_normalisation_makes_loudness_irrelevant(utterances):
    def images(layer):
        return run(layer, *padded([utterances[0], utterances[0] / 512]))[0]

    normalised = images(CepstralStatistics())
    assert_close(normalised[0], normalised[1], relative=1e-6)
    plain = images(CepstralStatistics(peak_normalize=False))
    # 512 times quieter is 54.19 dB in each band, and sqrt(128) times that in the first coefficient.
    np.testing.assert_allclose((plain[0] - plain[1])[0, 0], 20 * np.log10(512) * np.sqrt(128), rtol=0.02)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("width", [3, 9])
def test_deltas_are_librosas_up_to_the_ends_of_each_clip(order, width, rng):
    """Its refusal of clips shorter than the width is not ours: there edges are repeated."""
    counts = np.array([9, 10, 30, 17, 1, 2, 5, 8], np.int32)
    frames = rng.normal(size=(len(counts), 30, 5)).astype("float32") * 10 + 300
    slopes = run(Deltas(order, width), frames, counts)
    for clip, slope, count in zip(frames.astype(float), slopes, counts, strict=True):
        mode = "interp" if count >= width else "nearest"
        expected = librosa.feature.delta(clip[:count], width=width, order=order, axis=0, mode=mode)
        assert_close(slope[:count], expected, scale=max(1, np.abs(expected).max()))
        assert not slope[count:].any()


def test_deltas_of_a_parabola():
    """t^2 has second derivative 2 everywhere, and in its middle the slope 2 t."""
    frames = np.arange(21, dtype=np.float32)[None, :, None] ** 2
    n_frames = np.array([21], np.int32)
    np.testing.assert_allclose(run(Deltas(2), frames, n_frames)[0, :, 0], 2, rtol=1e-4)
    np.testing.assert_allclose(run(Deltas(1), frames, n_frames)[0, 4:17, 0], 2 * np.arange(4, 17), rtol=1e-5)


def test_statistics_are_scipys_and_leave_padding_out(rng):
    counts = np.array([40, 7], np.int32)
    frames = (rng.gamma(2, size=(2, 40, 5)) + np.array([0, 1000, -300, 0, 0])).astype("float32")
    frames[1, 7:] = np.nan
    found = run(Statistics("six"), frames, counts)
    for clip, six, count in zip(frames, found, counts, strict=True):
        expected = reference_statistics(clip[:count].astype(float), "six")
        np.testing.assert_allclose(six, expected, rtol=1e-3, atol=2e-3)
        assert_close(six[0], expected[0], relative=1e-5)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.1] * 1000, [0.1, 0, 0.1, 0.1, 0, 0]),  # without exact float32: the mean is off it by rounding, no spread
        ([0, 0, 0, 1], [0.25, np.sqrt(3) / 4, 0, 1, 2 / np.sqrt(3), -2 / 3]),  # a coin thrown four times
    ],
)
def test_statistics_by_hand(values, expected):
    frames = np.array(values, np.float32)[None, :, None]
    found = run(Statistics("six"), frames, np.array([len(values)], np.int32))[0, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"coefficients": 81, "mel_bands": 80}, "expected 1 to mel_bands, which is 80"),
        ({"coefficients": 0}, "coefficients is 0"),
        ({"hop_ms": 0}, "hop"),
        ({"n_fft": 100}, "at least"),
        ({"deltas": 3}, "deltas is 3, expected 0, 1 or 2"),
        ({"statistics": "median"}, "mean, six"),
    ],
)
def test_impossible_settings_are_named(settings, words):
    with pytest.raises(ValueError, match=words):
        CepstralStatistics(**settings)


def test_rows_of_an_image_are_known_beforehand():
    layer = CepstralStatistics(coefficients=20, deltas=1, statistics="six")
    assert layer.n_frames(70_000) == 20 and layer.channels == 12
    np.testing.assert_array_equal(layer.n_frames(np.array([5, 70_000])), [20, 20])
    features, n_frames = layer(keras.Input((None,)), keras.Input((), dtype="int32"))
    assert features.shape == (None, 20, 12) and n_frames.dtype == "int32"
