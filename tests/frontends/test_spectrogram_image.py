"""Pictures of spectrograms against librosa's energies, matplotlib's colours and SciPy's interpolation."""

import keras
import librosa
import matplotlib
import numpy as np
import pytest
from networks import padded
from scipy.interpolate import RegularGridInterpolator

from zoo.frontends.spectrogram_image import SpectrogramImage, bilinear_weights, colour_table

RATE_HZ = 16_000
SMALL = {"side": 20, "bands": 12}


def pictures(layer, clips, *padding):
    return keras.ops.convert_to_numpy(layer(*padded(clips, *padding)))


def speech_like(rng, samples=9_000):
    time = np.arange(samples) / RATE_HZ
    tones = np.sin(2 * np.pi * (300 + 900 * time) * time) + 0.3 * np.sin(2 * np.pi * 2500 * time)
    return (0.2 * tones + 0.01 * rng.normal(size=samples)).astype("float32")


def levels_db(clip, layer):
    """Frames x bands, 0 at the clip's largest energy."""
    mel = layer.log_mel
    settings = {"sr": RATE_HZ, "n_fft": mel.n_fft, "win_length": mel.window, "hop_length": mel.hop, "n_mels": mel.bands}
    settings |= {"window": "hamming", "htk": True, "norm": None, "pad_mode": "constant"}
    energies = librosa.feature.melspectrogram(y=clip.astype(float), **settings).T[: -(-len(clip) // mel.hop)]
    return 10 * np.log10(energies / energies.max())


def resized(picture, side):
    """Rows x columns x colours, pixel centres on pixel centres, edges repeated."""
    rows, columns = (np.arange(size) + 0.5 for size in picture.shape[:2])
    where = [np.clip((np.arange(side) + 0.5) * len(axis) / side, axis[0], axis[-1]) for axis in (rows, columns)]
    return RegularGridInterpolator((rows, columns), picture)(np.stack(np.meshgrid(*where, indexing="ij"), axis=-1))


def reference(clip, layer):
    colours = matplotlib.colormaps[layer.colormap]
    level = np.clip(1 + levels_db(clip, layer) / layer.range_db, 0, 1)
    return resized(np.round(255 * colours(level.T[::-1])[:, :, :3]), layer.side)


@pytest.mark.backend
@pytest.mark.parametrize(
    ("colormap", "range_db", "samples", "level"), [("viridis", 80.0, 9_000, 1 / 1024), ("gray", 40.0, 1_500, 1)]
)
def test_pictures_are_those_of_librosa_matplotlib_and_scipy_at_any_level(colormap, range_db, samples, level, rng):
    layer, clip = SpectrogramImage(**SMALL, colormap=colormap, range_db=range_db), level * speech_like(rng, samples)
    (found,), expected = pictures(layer, [clip]), reference(clip, layer)
    # Rounding puts a few energies into the neighbouring entry of the map; its colours are at most 3 of 255 apart.
    assert np.mean(np.abs(found - expected) > 0.01) < 0.02
    np.testing.assert_allclose(found, expected, atol=3)
    assert np.std(expected) > 30


@pytest.mark.backend
def test_neither_neighbours_nor_padding_change_a_picture(rng):
    layer, clip = SpectrogramImage(**SMALL), speech_like(rng)
    (alone,) = pictures(layer, [clip])
    for padding in (0.0, 0.9):
        beside, loud = pictures(layer, [clip, np.ones(20_000, np.float32)], 25_000, padding)
        np.testing.assert_allclose(beside, alone, atol=0.05)
        assert np.isfinite(loud).all()


@pytest.mark.backend
def test_frames_behind_a_clip_do_not_count_as_its_loudest(rng):
    """A click in the last sample is nearer to the centre of the first frame of the padding than to any of the clip."""
    layer = SpectrogramImage(**SMALL)
    clip = speech_like(rng, 20 * layer.log_mel.hop)
    clip[-1] = 30.0
    np.testing.assert_allclose(pictures(layer, [clip], 9_000), pictures(layer, [clip]), atol=0.05)


@pytest.mark.parametrize("samples", [0, 1, 300, 5_000])
def test_silence_has_the_first_colour(samples):
    (picture,) = pictures(SpectrogramImage(**SMALL), [np.zeros(samples, np.float32)], 5_000, 0.5 * (samples > 0))
    np.testing.assert_allclose(picture, np.broadcast_to(colour_table("viridis")[0], (20, 20, 3)), rtol=1e-6)


@pytest.mark.backend
def test_one_frame_fills_the_width(rng):
    (picture,) = pictures(SpectrogramImage(**SMALL), [speech_like(rng, 200)], 1_000)
    np.testing.assert_allclose(picture, np.repeat(picture[:, :1], 20, axis=1), atol=1e-4)
    assert np.std(picture[:, 0]) > 5


def test_unknown_colours_are_refused():
    with pytest.raises(ValueError, match=r"colormap is 'virdis', expected one of matplotlib's.*Did you mean 'viridis'"):
        SpectrogramImage(colormap="virdis")


def test_bilinear_weights_by_hand():
    np.testing.assert_allclose(bilinear_weights(2, 4), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    np.testing.assert_allclose(bilinear_weights(4, 2), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    np.testing.assert_allclose(bilinear_weights(1, 3), np.ones((3, 1)))


def test_a_layer_comes_back_from_its_settings(rng):
    layer = SpectrogramImage(20, "magma", 8_000, 40.0, 20.0, 12, "slaney", 60.0)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    clip = speech_like(rng, 4_000)
    np.testing.assert_array_equal(pictures(layer, [clip]), pictures(again, [clip]))


def test_symbolic_shapes():
    layer = SpectrogramImage(**SMALL)
    pictures_of = layer(keras.Input((None,)), keras.Input((), dtype="int32"))
    assert pictures_of.shape == (None, 20, 20, 3)
    assert pictures_of.dtype == "float32"
