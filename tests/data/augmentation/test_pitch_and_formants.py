"""Pitch and formants of speech, apart: against vowels that were synthesised with the other pitch or formants."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import signal

from zoo.data.augmentation.pitch_and_formants import change_voice

RATE_HZ = 16_000
FORMANTS_HZ = np.array([660.0, 1720.0, 2410.0, 3500.0, 4500.0])
BANDWIDTHS_HZ = (60, 90, 130, 200, 250)


def vowel(f0_hz: float, formants: float = 1.0, seconds: float = 0.6) -> np.ndarray:
    """A glottal pulse train, its pitch bending by 10 %, through a cascade of resonators (Klatt 1980)."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    periods = np.cumsum(f0_hz * (1 + 0.1 * np.sin(3 * np.pi * time))) / RATE_HZ
    source = np.zeros(len(time))
    before = np.flatnonzero(np.diff(np.floor(periods)))
    late = (np.floor(periods[before + 1]) - periods[before]) / np.diff(periods)[before]  # pulses between samples
    source[before], source[before + 1] = 1 - late, late
    speech = signal.lfilter([1], [1, -0.97], source) + 0.002 * np.random.default_rng(0).standard_normal(len(time))
    for hz, width_hz in zip(FORMANTS_HZ * formants, BANDWIDTHS_HZ, strict=True):
        radius, angle = np.exp(-np.pi * width_hz / RATE_HZ), 2 * np.pi * hz / RATE_HZ
        poles = [1, -2 * radius * np.cos(angle), radius**2]
        speech = signal.lfilter([sum(poles)], poles, speech)
    speech = np.diff(speech, prepend=0)
    return (0.1 * speech / speech.std()).astype(np.float32)


def f0_hz(waveform: np.ndarray, around_hz: float) -> float:
    """The pitch by the autocorrelation of the middle: its highest peak within a third of the pitch expected."""
    middle = waveform[len(waveform) // 2 - 800 : len(waveform) // 2 + 800].astype(float) * np.hanning(1600)
    shape = np.fft.irfft(np.abs(np.fft.rfft(middle, 8 * 1600)) ** 2, 8 * 8 * 1600)  # at eight times the rate
    least, most = (round(8 * RATE_HZ / (around_hz * factor)) for factor in (1.33, 0.75))
    return 8 * RATE_HZ / (least + np.argmax(shape[least:most]))


def formants_hz(waveform: np.ndarray) -> np.ndarray:
    """Second and third formant by linear prediction (autocorrelation method), the first has too few partials."""
    emphasised = signal.lfilter([1, -0.97], [1], waveform.astype(float)) * np.hanning(len(waveform))
    lags = np.correlate(emphasised, emphasised, "full")[len(emphasised) - 1 :][:15]
    matrix = lags[np.abs(np.subtract.outer(np.arange(14), np.arange(14)))]
    roots = np.roots([1, *-np.linalg.solve(matrix + 1e-9 * lags[0] * np.eye(14), lags[1:])])
    found = np.sort(np.angle(roots[(roots.imag > 0) & (np.abs(roots) > 0.9)])) * RATE_HZ / 2 / np.pi
    return found[(found > 1200) & (found < 3100)][:2]


def loudness_db(waveform: np.ndarray) -> np.ndarray:
    """Energies in 1/3-octave bands from 125 Hz, over frames of 25 ms, without the edges."""
    power = np.abs(signal.stft(waveform.astype(float), nperseg=400, noverlap=240)[2]) ** 2
    edges = np.rint(125 * 2 ** (np.arange(19) / 3) / 40).astype(int)
    bands = [power[low:high].sum(axis=0) for low, high in pairwise(edges) if high > low]
    return 10 * np.log10(np.array(bands)[:, 5:-5] + 1e-12)


CHANGES = [(1.19, 1.0), (0.84, 1.0), (1.0, 1.1), (1.0, 0.9), (1.12, 0.92)]


@pytest.mark.parametrize("voice_hz", [110, 190, 260])
@pytest.mark.parametrize(("pitch", "formants"), CHANGES)
def test_pitch_and_formants_change_apart_as_in_a_vowel_synthesised_so(voice_hz, pitch, formants):
    before, expected = vowel(voice_hz), vowel(voice_hz * pitch, formants)
    found = change_voice(before, RATE_HZ, pitch, formants)
    assert f0_hz(found, voice_hz * pitch) == pytest.approx(f0_hz(before, voice_hz) * pitch, rel=0.015)
    np.testing.assert_allclose(formants_hz(found), formants_hz(expected), rtol=0.02)
    left, moved = (np.abs(loudness_db(one) - loudness_db(expected)).mean() for one in (found, before))
    assert left < max(0.65 * moved, 2.5)  # bands do not tell the partials of low voices apart, so little moves


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050])
@pytest.mark.parametrize("n_samples", [1, 300, 7_001])
def test_length_and_level_stay_at_every_rate(rate_hz, n_samples):
    speech = 0.3 * np.random.default_rng(1).standard_normal(n_samples)
    found = change_voice(speech, rate_hz, 0.9, 1.1)
    assert found.shape == speech.shape and found.dtype == np.float32
    assert np.square(found, dtype=float).sum() == pytest.approx(np.square(speech).sum(), rel=1e-4)


def test_factors_of_one_leave_speech_as_it_is_and_silence_stays_silent():
    speech = vowel(150)
    np.testing.assert_allclose(change_voice(speech, RATE_HZ), speech, atol=1e-5)
    assert not change_voice(np.zeros(500), RATE_HZ, 1.1, 0.9).any()


def test_loudness_over_time_stays():
    """A syllable, a pause of 0.2 s, a syllable: the pause is where it was."""
    speech = np.concatenate([vowel(150), np.zeros(3200, np.float32), vowel(180)])
    for pitch, formants in CHANGES:
        found = change_voice(speech, RATE_HZ, pitch, formants)
        ratio = [np.square(one[i : i + 800]).mean() for one in (found, speech) for i in (0, 4000, 8000, 13_600, 18_000)]
        np.testing.assert_allclose(10 * np.log10(np.divide(ratio[:5], ratio[5:])), 0, atol=3)
        assert np.abs(found[9600 + 512 : 12_800 - 512]).max() < 1e-4


def test_a_lower_pitch_leaves_no_empty_band_at_the_top():
    noise = np.random.default_rng(2).standard_normal(RATE_HZ)
    power = np.abs(np.fft.rfft(change_voice(noise, RATE_HZ, pitch=0.84))) ** 2
    assert power[-1000:].mean() > 0.5 * power[:5000].mean()
