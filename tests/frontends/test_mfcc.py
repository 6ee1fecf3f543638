"""MFCCs, deltas and statistics against librosa and scipy, on every backend."""

import keras
import librosa
import numpy as np
import pytest
import scipy.stats
import soundfile
import soxr

from zoo.data.synthetic.voice import draw_speaker, utterance
from zoo.frontends.compose import with_frontend
from zoo.frontends.mfcc import CepstralStatistics, Deltas, Mfcc, Statistics
from zoo.models.cnn1d_mfcc import cnn1d_mfcc

pytestmark = pytest.mark.backend

RATE_HZ = 22_050


def batched(clips, padding=0.5):
    """Clips as one batch; what pads them, to whole seconds, is anything but silence."""
    row = -(-max(map(len, clips)) // RATE_HZ) * RATE_HZ
    batch = np.full((len(clips), row), padding, np.float32)
    for waveform, clip in zip(batch, clips, strict=True):
        waveform[: len(clip)] = clip
    return batch, np.array([len(clip) for clip in clips], np.int32)


def run(layer, *inputs):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, layer(*inputs))


def run_mfcc(layer, clips):
    features, n_frames = run(layer, *batched(clips))
    return [clip[:count] for clip, count in zip(features, n_frames, strict=True)]


def reference_mfcc(clip, layer):
    """In float64: librosa's own rounding is not what the layer is held to."""
    clip = clip.astype(np.float64)
    if layer.peak_normalize:
        clip = clip / np.abs(clip).max()
    mfcc = librosa.feature.mfcc(
        y=clip,
        sr=layer.rate_hz,
        n_mfcc=layer.coefficients,
        n_fft=layer.n_fft,
        win_length=layer.window,
        hop_length=layer.hop,
        n_mels=layer.mel_bands,
    )
    return mfcc.T


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


@pytest.fixture(scope="module")
def real_clips(shared_data):
    clips = []
    for path in sorted((shared_data / "ravdess").glob("Actor_0*/*.flac"))[::97]:
        waveform, rate_hz = soundfile.read(path, dtype="float32")
        clips.append(soxr.resample(waveform, rate_hz, RATE_HZ))
    clips[0] = clips[0][: len(clips[0]) // 512 * 512]  # a frame begins at its very end
    return clips


SETTINGS = [
    {},
    {"coefficients": 20, "peak_normalize": False},
    {"n_fft": 4096},
    {"window_ms": 25, "hop_ms": 10, "mel_bands": 40, "coefficients": 13},  # 551 samples: an odd transform
    {"rate_hz": 16_000, "window_ms": 64, "hop_ms": 16},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
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
def test_images_of_real_clips_are_librosas_and_scipys(kind, real_clips):
    layer = CepstralStatistics(statistics=kind)
    images, counts = run(layer, *batched(real_clips))
    assert counts.dtype == np.int32 and set(counts) == {80}
    for image, clip in zip(images, real_clips, strict=True):
        assert_equal_to_librosa(image, clip, layer)


def test_padding_and_a_loud_neighbour_do_not_change_an_image(utterances):
    layer = CepstralStatistics(statistics="six")
    beside = run(layer, *batched([100 * utterances[0], utterances[1]]))[0][1]
    alone = run(layer, utterances[1][None], np.array([len(utterances[1])], np.int32))[0][0]
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
    image = run(layer, *batched([clip]))[0][0]
    assert np.isfinite(image).all()
    if n_samples >= 9000:
        assert_equal_to_librosa(image, clip, layer)


def test_silence_is_constant():
    """-100 dB in each of 128 bands are -100 * sqrt(128) in the first coefficient, nothing in the others."""
    image = run(CepstralStatistics(statistics="six"), *batched([np.zeros(9000, np.float32)]))[0][0]
    expected = np.zeros((80, 18))
    expected[0, [0, 2, 3]] = -100 * np.sqrt(128)
    np.testing.assert_allclose(image, expected, rtol=1e-6)


def test_peak_normalisation_makes_loudness_irrelevant(utterances):
    def images(layer):
        return run(layer, *batched([utterances[0], utterances[0] / 512]))[0]

    normalised = images(CepstralStatistics())
    assert_close(normalised[0], normalised[1], relative=1e-6)
    plain = images(CepstralStatistics(peak_normalize=False))
    # 512 times quieter is 54.19 dB in each band, and sqrt(128) times that in the first coefficient.
    np.testing.assert_allclose((plain[0] - plain[1])[0, 0], 20 * np.log10(512) * np.sqrt(128), rtol=0.02)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("width", [3, 9])
def test_deltas_are_librosas_up_to_the_ends_of_each_clip(order, width, rng):
    counts = np.array([9, 10, 30, 17], np.int32)
    frames = rng.normal(size=(4, 30, 5)).astype("float32") * 10 + 300
    slopes = run(Deltas(order, width), frames, counts)
    for clip, slope, count in zip(frames, slopes, counts, strict=True):
        expected = librosa.feature.delta(clip[:count].astype(float), width=width, order=order, axis=0)
        assert_close(slope[:count], expected)
        assert not slope[count:].any()


@pytest.mark.parametrize("order", [1, 2])
def test_deltas_of_a_short_clip_repeat_its_edges(order, rng):
    frames = rng.normal(size=(1, 12, 3)).astype("float32")
    for count in (1, 2, 5, 8):
        slopes = run(Deltas(order), frames, np.array([count], np.int32))[0]
        clip = frames[0, :count].astype(float)
        assert_close(slopes[:count], librosa.feature.delta(clip, order=order, axis=0, mode="nearest"), scale=1)


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


def test_statistics_of_a_constant_are_defined():
    """0.1 has no exact float32: the mean of many is off it by rounding, which is no spread."""
    frames = np.full((1, 1000, 1), 0.1, np.float32)
    found = run(Statistics("six"), frames, np.array([1000], np.int32))[0, 0]
    np.testing.assert_allclose(found, [0.1, 0, 0.1, 0.1, 0, 0], atol=1e-6)


def test_statistics_of_one_coin_thrown_four_times():
    """Of 0 0 0 1: variance 3/16, skewness 2 / sqrt 3, kurtosis 7/3 - 3."""
    frames = np.array([0, 0, 0, 1], np.float32)[None, :, None]
    found = run(Statistics("six"), frames, np.array([4], np.int32))[0, 0]
    np.testing.assert_allclose(found, [0.25, np.sqrt(3) / 4, 0, 1, 2 / np.sqrt(3), -2 / 3], rtol=1e-5)


@pytest.mark.parametrize(
    ("layer", "settings", "words"),
    [
        (CepstralStatistics, {"coefficients": 81, "mel_bands": 80}, "expected 1 to mel_bands, which is 80"),
        (CepstralStatistics, {"coefficients": 0}, "coefficients is 0"),
        (CepstralStatistics, {"hop_ms": 0}, "hop"),
        (CepstralStatistics, {"n_fft": 100}, "at least"),
        (CepstralStatistics, {"deltas": 3}, "deltas is 3, expected 0, 1 or 2"),
        (CepstralStatistics, {"statistics": "median"}, "mean, six"),
        (Deltas, {"width": 4}, "odd"),
        (Deltas, {"order": 3}, "1 or 2"),
    ],
)
def test_impossible_settings_are_named(layer, settings, words):
    with pytest.raises(ValueError, match=words):
        layer(**settings)


def test_rows_of_an_image_are_known_beforehand():
    layer = CepstralStatistics(coefficients=20, deltas=1, statistics="six")
    assert layer.n_frames(70_000) == 20 and layer.channels == 12
    np.testing.assert_array_equal(layer.n_frames(np.array([5, 70_000])), [20, 20])
    features, n_frames = layer(keras.Input((None,)), keras.Input((), dtype="int32"))
    assert features.shape == (None, 20, 12) and n_frames.dtype == "int32"


def test_in_a_saved_model_the_images_are_the_same(utterances, tmp_path):
    network = cnn1d_mfcc(8, 18)
    layer = CepstralStatistics(statistics="six", name="cepstral_statistics")
    batch, n_samples = batched(utterances)
    features, n_frames = layer(batch, n_samples)
    expected = run(network, {"features": features, "n_frames": n_frames})
    with_frontend(layer, network).save(tmp_path / "model.keras")
    served = keras.saving.load_model(tmp_path / "model.keras")
    assert served.get_layer("cepstral_statistics").get_config() == layer.get_config()
    np.testing.assert_allclose(run(served, {"waveform": batch, "n_samples": n_samples}), expected, atol=1e-5)
