"""Pictures of recordings: against NumPy and SciPy, whatever the blocks, in constant memory."""

import io
import tracemalloc

import numpy as np
import pytest
import soundfile
from PIL import Image
from scipy import signal

from zoo.data.audio.recording import BadClip
from zoo.pages import audio_views


def pixels(png: bytes) -> np.ndarray:
    """Greys of a PNG, 0 (black) to 255, (height, width)."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"))


def test_peaks_are_each_spans_lowest_and_highest_sample(rng):
    samples = rng.standard_normal(10_007).astype(np.float32)
    spans = [samples[np.arange(10_007) * 300 // 10_007 == n] for n in range(300)]
    assert audio_views.peaks(samples, 300) == [(span.min(), span.max()) for span in spans]


def test_peaks_of_fewer_samples_than_spans_are_the_samples():
    assert audio_views.peaks(np.array([0.5, -0.25]), 100) == [(0.5, 0.5), (-0.25, -0.25)]
    assert audio_views.peaks(np.zeros(0), 100) == []


def test_spectrogram_has_a_tone_at_its_frequency_and_time():
    time = np.arange(16_000) / 16_000
    tone = np.where(time < 0.5, 0.0, np.sin(2 * np.pi * 2000 * time))
    picture = pixels(audio_views.spectrogram_png(tone, 16_000, 100, 80))
    assert picture.shape == (80, 100)
    rows, columns = np.nonzero(picture < 64)
    assert set(rows) <= {58, 59, 60, 61}  # 2000 Hz of 8000 Hz from below: 60 rows from above
    assert 48 <= columns.min() <= 51 and columns.max() == 99
    assert (picture[:, :45] == 255).all()


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
def test_spectrogram_is_scipys_power_averaged_over_columns(rng, rate_hz):
    samples = rng.standard_normal(3 * rate_hz).astype(np.float32) * np.linspace(0.01, 1, 3 * rate_hz, dtype=np.float32)
    width, size = 30, round(0.032 * rate_hz)
    hop = size // 2
    # SciPy scales its spectra otherwise, which the decibels below the loudest do not show.
    power = np.abs(signal.stft(samples, nperseg=size, noverlap=size - hop, padded=False)[2]) ** 2
    n_bins = round(min(8_000, rate_hz / 2) * size / rate_hz) + 1
    columns = np.minimum(width - 1, np.arange(power.shape[1]) * hop * width // len(samples))
    means = np.stack([power[:n_bins, columns == n].mean(axis=1) for n in range(width)], axis=1)[::-1]
    decibels = 10 * np.log10(means / np.quantile(means, 0.999))
    expected = 255 * (1 - np.clip(1 + decibels / 70, 0, 1))
    found = pixels(audio_views.spectrogram_png(samples, rate_hz, width, n_bins))
    np.testing.assert_allclose(found, expected, atol=255 / 15 / 2 + 1)  # 16 greys


def test_blocks_do_not_change_pictures(rng):
    samples = rng.standard_normal(5_000).astype(np.float32)
    wave, image = audio_views.Peaks(64, 5_000), audio_views.Spectrogram(5_000, 16_000, 50, 40)
    for part in np.split(samples, [1, 2, 700, 3_333, 4_999]):
        wave.add(part)
        image.add(part)
    assert wave.pairs() == audio_views.peaks(samples, 64)
    assert image.png() == audio_views.spectrogram_png(samples, 16_000, 50, 40)


def test_silence_is_white():
    assert (pixels(audio_views.spectrogram_png(np.zeros(4_000), 16_000, 20, 10)) == 255).all()


def test_view_has_every_channel_of_a_file(rng, tmp_path):
    samples = (0.1 * rng.standard_normal((9_000, 3))).astype(np.float32)
    soundfile.write(tmp_path / "three.wav", samples, 8_000, subtype="FLOAT")
    found = audio_views.view(tmp_path / "three.wav", 100, 60, 32)
    assert (found.seconds, found.rate_hz) == (1.125, 8_000)
    for channel, one in enumerate(found.channels):
        assert one.peaks == audio_views.peaks(samples[:, channel], 100)
        assert one.spectrogram == audio_views.spectrogram_png(samples[:, channel], 8_000, 60, 32)


def test_view_refuses_what_is_no_audio(tmp_path):
    (tmp_path / "note.wav").write_text("no audio")
    with pytest.raises(BadClip, match=r"note\.wav: expected"):
        audio_views.view(tmp_path / "note.wav", 100, 60, 32)


def test_memory_does_not_grow_with_length(tmp_path):
    def peak_bytes(minutes: int) -> int:
        path = tmp_path / f"{minutes}.wav"
        soundfile.write(path, np.zeros(minutes * 60 * 4_000, np.int16), 4_000)
        tracemalloc.start()
        audio_views.view(path, 500, 300, 64)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    peak_bytes(1)  # imports
    assert peak_bytes(20) < 1.2 * peak_bytes(2)
