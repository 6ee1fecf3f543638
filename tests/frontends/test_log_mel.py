"""The log-mel layer against librosa, on every backend."""

import keras
import librosa
import numpy as np
import pytest
from networks import half_precision, padded

from zoo.data.synthetic.voice import draw_speaker, utterance
from zoo.frontends.compose import with_frontend, with_normalization
from zoo.frontends.log_mel import LogMel
from zoo.frontends.mfcc import CepstralStatistics, Mfcc
from zoo.frontends.spectrogram_image import SpectrogramImage
from zoo.frontends.waveform import StandardWaveform
from zoo.models.attention_blstm_fcn import attention_blstm_fcn

pytestmark = pytest.mark.backend


def reference(waveform, layer):
    """librosa's frames, of which the layer keeps those that begin a hop of the clip."""
    settings = {"sr": layer.rate_hz, "n_fft": layer.n_fft, "win_length": layer.window, "hop_length": layer.hop}
    settings |= {"window": "hamming", "pad_mode": "constant"}
    bands = {"n_mels": layer.bands, "htk": layer.mel_scale == "htk", "norm": None}
    energies = librosa.feature.melspectrogram(y=waveform, **settings, **bands)
    return np.log(np.maximum(energies.T, layer.floor))[: -(-len(waveform) // layer.hop)]


def run(layer, clips):
    features, n_frames = map(keras.ops.convert_to_numpy, layer(*padded(clips)))
    return [clip[:count] for clip, count in zip(features, n_frames, strict=True)]


@pytest.fixture(scope="module")
def utterances():
    rng = np.random.default_rng(0)
    speaker = draw_speaker("F", rng)
    return [utterance("angry", speaker, 1.3, rng), 0.01 * utterance("sad", speaker, 0.71, rng)]


@pytest.mark.parametrize(
    ("settings", "radix"),
    [
        ({}, 4),
        ({"n_fft": 512}, 4),
        ({"bands": 30, "mel_scale": "slaney"}, 4),
        ({"window_ms": 200, "hop_ms": 50, "bands": 100}, 4),
        ({"window_ms": 24.9375, "hop_ms": 7.3125, "floor": 1e-6}, 1),  # 399 and 117 samples: no whole number of hops
        ({"window_ms": 24.9375, "n_fft": 512}, 4),  # a window that its four parts do not share evenly
        ({"hop_ms": 10.125}, 2),  # 162 samples: even, but no multiple of four
        ({"window_ms": 24.875}, 2),  # 398 samples, an odd number of bins in each of two parts
        ({"window_ms": 10, "hop_ms": 16, "rate_hz": 8000}, 4),
    ],
    ids=str,
)
def test_equal_to_librosa(settings, radix, utterances):
    """Run a test with each of the three Fourier transforms."""
    layer = LogMel(**settings)
    for features, clip in zip(run(layer, utterances), utterances, strict=True):
        np.testing.assert_allclose(features, reference(clip, layer), rtol=1e-4, atol=1e-4)
    assert len(layer.kernels) == radix


@pytest.mark.parametrize(("n_samples", "extra"), [(1600, 1), (1601, 0), (1759, 0), (1760, 1)])
def test_one_frame_fewer_than_librosa_where_a_clip_is_whole_hops(rng, n_samples, extra):
    clip, layer = rng.normal(size=n_samples).astype("float32"), LogMel()
    (features,) = run(layer, [clip])
    theirs = librosa.feature.melspectrogram(y=clip, sr=16_000, n_fft=400, hop_length=160, n_mels=40).shape[1]
    assert (len(features), theirs) == (-(-n_samples // 160), -(-n_samples // 160) + extra)


def test_a_faint_band_beside_a_loud_one_keeps_its_digits(rng):
    """The parts' transforms are of the loud band's size where their differences are the faint one's."""
    low_passed = np.convolve(rng.normal(size=32_000), np.hanning(200) / 100, "same")
    layer = LogMel()
    (features,) = run(layer, [low_passed.astype("float32")])
    expected = reference(low_passed, layer)
    assert np.ptp(expected) > 20  # 87 dB
    np.testing.assert_allclose(features, expected, rtol=0, atol=0.02)


def test_a_sine_lands_in_its_band():
    """1,000 Hz is 1,000 mel on the HTK scale, so with bands 100 mel apart it is the centre of the tenth."""
    rate_hz, spacing = 16_000, 100
    top_mel = 2595 * np.log10(1 + rate_hz / 2 / 700)
    layer = LogMel(bands=round(top_mel / spacing) - 1)
    sine = np.sin(2 * np.pi * 1000 * np.arange(rate_hz) / rate_hz).astype("float32")
    (features,) = run(layer, [sine])
    assert set(features[5:-5].argmax(axis=1)) == {9}


def test_silence_is_the_floor():
    (features,) = run(LogMel(floor=1e-6), [np.zeros(4000, np.float32)])
    np.testing.assert_allclose(features, np.log(1e-6), rtol=1e-6)


def loud_frames(waveform, layer):
    """The first and last frame within `trim_db` of the loudest, by librosa's energies."""
    power = np.exp(reference(waveform, LogMel(floor=1e-30))).sum(axis=1)
    (loud,) = np.nonzero(10 * np.log10(power) >= 10 * np.log10(power.max()) - layer.trim_db)
    return loud[0], loud[-1]


@pytest.mark.parametrize("trim_db", [0.0, 20.0, 40.0])
@pytest.mark.parametrize("clip_mean", ["kept", "removed"])
def test_silence_at_both_ends_and_the_mean_are_left_out(trim_db, clip_mean, utterances, rng):
    hiss = [1e-7 * rng.normal(size=size) for size in (3000, 1700)]
    clips = [np.concatenate([hiss[0], clip, hiss[1]]).astype("float32") for clip in utterances]
    layer = LogMel(trim_db=trim_db, clip_mean=clip_mean)
    for features, clip in zip(run(layer, clips), clips, strict=True):
        expected = reference(clip, layer)
        if trim_db:
            first, last = loud_frames(clip, layer)
            assert first > 15 and last < len(expected) - 10, "nothing to leave out"
            expected = expected[first : last + 1]
        if clip_mean == "removed":
            expected = expected - expected.mean(axis=0)
        np.testing.assert_allclose(features, expected, rtol=1e-4, atol=2e-4)


def test_trimming_leaves_a_pause_inside_and_at_least_a_frame():
    click, pause = np.zeros(1600), np.zeros(8000)
    click[800] = 1
    layer = LogMel(trim_db=40.0, clip_mean="removed")
    clips = [np.concatenate([click, pause, click]), click, pause]
    two, one, silence = run(layer, [clip.astype("float32") for clip in clips])
    assert 60 <= len(two) <= 63 and 1 <= len(one) <= 3
    assert len(silence) == 50 and np.abs(silence).max() < 1e-5  # no frame of it is louder than the others


def test_a_running_mean_is_of_the_frames_so_far(utterances):
    """A clip's beginning has the features it has alone, and the last frame is that less the whole clip's mean."""
    layer, whole = LogMel(clip_mean="running"), LogMel()
    clip, begun = utterances[0], utterances[0][: len(utterances[0]) // 320 * 160]
    found, alone = run(layer, [clip, begun])
    frames = reference(clip, whole)
    expected = frames - np.cumsum(frames, axis=0) / np.arange(1, len(frames) + 1)[:, None]
    np.testing.assert_allclose(found, expected, atol=5e-3)
    np.testing.assert_allclose(alone[:-2], found[: len(alone) - 2], atol=1e-3)  # two windows reach behind the cut
    (louder,) = run(layer, [0.5 * clip])
    np.testing.assert_allclose(louder, found, atol=5e-3)


def test_gain_and_microphone_leave_no_trace_where_the_mean_is_removed(utterances):
    layer = LogMel(trim_db=40.0, clip_mean="removed")
    quiet, loud = run(layer, [0.1 * utterances[0], utterances[0]])
    np.testing.assert_allclose(quiet, loud, atol=2e-3)


@pytest.mark.parametrize("n_samples", [1, 159, 160, 161, 400, 4001])
def test_frames_of_any_length(n_samples, rng):
    layer = LogMel()
    (features,) = run(layer, [rng.normal(size=n_samples).astype("float32")])
    assert len(features) == layer.n_frames(n_samples) == int(np.ceil(n_samples / 160))


def test_a_loud_neighbour_does_not_change_the_features(utterances):
    """Stock Keras's MelSpectrogram moves a quiet clip by 21 dB in a batch with a loud one."""
    layer = LogMel()
    (alone,) = run(layer, utterances[1:])
    beside = run(layer, [100 * utterances[0], utterances[1]])[1]
    np.testing.assert_allclose(beside, alone, atol=1e-5)


def test_half_precision_leaves_the_features_alone(utterances):
    """In bfloat16, of 8 significant bits, a log energy of -20 would be off by up to 0.06."""
    (expected,) = run(LogMel(), utterances[:1])
    with half_precision():
        (found,) = run(LogMel(), utterances[:1])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_every_band_holds_a_bin():
    for bands in (30, 40, 60, 80, 100):
        layer = LogMel(bands=bands)
        layer.build((None, None))
        assert layer.mel.any(axis=(0, 1)).all() and layer.n_fft < 4 * layer.window


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mel_scale": "bark"}, "htk, slaney"),
        ({"n_fft": 100}, "at least"),
        ({"bands": 5_000_000}, "too narrow"),
        ({"hop_ms": 0}, "hop"),
        ({"clip_mean": "none"}, "kept, removed"),
        ({"trim_db": -40.0}, "0 dB or more"),
    ],
)
def test_impossible_settings_are_named(settings, words):
    with pytest.raises(ValueError, match=words):
        LogMel(**settings)


@pytest.mark.parametrize("options", [{}, {"trim_db": 40.0, "clip_mean": "removed"}], ids=str)
def test_in_a_saved_model_the_features_are_the_same(options, utterances, tmp_path, rng):
    """Training on cached features and serving from waveforms give the same answer."""
    mean, variance = rng.normal(size=40) - 9, rng.uniform(1, 9, size=40)
    network = with_normalization(mean, variance, attention_blstm_fcn(3, recurrent=None, hidden_units=6))
    layer = LogMel(name="log_mel", **options)
    with_frontend(layer, network).save(tmp_path / "model.keras")
    served = keras.saving.load_model(tmp_path / "model.keras")
    for clip, features in zip(utterances, run(layer, utterances), strict=True):
        frames = {"features": features[None], "n_frames": np.array([len(features)], "int32")}
        answer = served.predict_on_batch({"waveform": clip[None], "n_samples": np.array([len(clip)], "int32")})
        np.testing.assert_allclose(answer, network.predict_on_batch(frames), atol=1e-5)


def test_normalization_standardises_each_band(rng):
    frames = rng.normal(size=(500, 4)) * [1, 2, 3, 0] + [5, -5, 0, 7]
    features = keras.Input((None, 4), name="features")
    n_frames = keras.Input((), dtype="int32", name="n_frames")
    identity = keras.Model({"features": features, "n_frames": n_frames}, keras.layers.Identity()(features))
    model = with_normalization(frames.mean(axis=0), frames.var(axis=0), identity)
    batch = {"features": frames[None].astype("float32"), "n_frames": np.array([500])}
    output = keras.ops.convert_to_numpy(model(batch))[0]
    np.testing.assert_allclose(output.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(output.std(axis=0), [1, 1, 1, 0], atol=1e-4)  # a constant band stays zero


@pytest.mark.parametrize("kind", [LogMel, StandardWaveform, Mfcc, CepstralStatistics, SpectrogramImage])
def test_no_batch_runs_but_compiled(kind, monkeypatch):
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch compiles nothing")
    calls, call = [], kind.call

    def counted(self, waveform, n_samples):
        calls.append(waveform)
        return call(self, waveform, n_samples)

    monkeypatch.setattr(kind, "call", counted)
    layer = SpectrogramImage(32) if kind is SpectrogramImage else kind()
    waveform, n_samples = keras.Input((None,)), keras.Input((), dtype="int32")
    model = keras.Model([waveform, n_samples], layer(waveform, n_samples))
    batch = [np.ones((1, 4000), np.float32), np.array([4000], np.int32)]
    for _ in range(2):
        model.predict_on_batch(batch)
        assert len(calls) == 1, "to be compiled"
