"""Change the pitch of speech and the length of its vocal tract, one without the other, at the same tempo.

Speech is taken as a source and a filter, whose response is the envelope of the short-time spectrum. A phase vocoder
(Flanagan and Golden 1966; Dolson 1986) and resampling move both; pitch then gets the first filter back. The vocal tract
moves the filter alone, along frequency. The envelope is the "true" one, the smallest smooth curve over all partials
(Roebel and Rodet 2005: "Efficient spectral envelope estimation and its application to pitch shifting and envelope
preservation", DAFx). librosa has a phase vocoder, too, which takes ten seconds of a process to import.
"""

import numpy as np
import scipy  # its parts are imported when used
import soxr

METHOD = "phase vocoder of 32 ms, true envelope of 2.5 ms"  # of which altered copies in the cache are

_WINDOW_SECONDS = 0.032
_HOPS = 4  # in a window
_LIFTER_SECONDS = 0.0025  # quefrencies below it are the filter's: partials of voices up to 400 Hz are above
_ITERATIONS = 5
_FAINT = 1e-6  # of the largest magnitude: what is below it has no envelope of its own
_KEPT = 0.97  # of the band that a lower pitch leaves: the resampler's edge is left out


def change_voice(waveform: np.ndarray, rate_hz: int, pitch: float = 1.0, formants: float = 1.0) -> np.ndarray:
    """Return a waveform (samples,) of other pitch and formants: float32 (samples,), of the same mean square.

    `pitch` multiplies the fundamental frequency, `formants` those of the formants, as a vocal tract of 1 / `formants`
    of the length does. Above `pitch` times half the rate, which a lower pitch leaves empty, the source is the
    original's. Silence stays silence. The peak may pass 1.
    """
    if not waveform.any():
        return waveform.astype(np.float32)
    n_fft = 2 ** round(np.log2(_WINDOW_SECONDS * rate_hz))
    padded = np.pad(waveform.astype(np.float64), n_fft)  # shorter clips than a window too
    spectra = _spectra(padded, n_fft)
    order = round(_LIFTER_SECONDS * rate_hz)
    log_filter = _log_envelope(spectra, order)
    source = spectra * np.exp(-log_filter)
    if pitch != 1:
        slow = _waveform(_slower(spectra, pitch), n_fft)
        moved = _spectra(_of_length(soxr.resample(slow, rate_hz * pitch, rate_hz), len(padded)), n_fft)
        kept = int(min(pitch, 1.0) * _KEPT * len(source))
        source[:kept] = (moved * np.exp(-_log_envelope(moved, order)))[:kept]
    if formants != 1:
        log_filter = _stretched(log_filter, formants)
    changed = _of_length(_waveform(source * np.exp(log_filter), n_fft), len(padded))[n_fft:-n_fft]
    return (changed * np.sqrt(np.square(waveform, dtype=np.float64).sum() / np.square(changed).sum())).astype(
        np.float32
    )


def _spectra(waveform: np.ndarray, n_fft: int) -> np.ndarray:
    return scipy.signal.stft(waveform, nperseg=n_fft, noverlap=n_fft - n_fft // _HOPS)[2]


def _waveform(spectra: np.ndarray, n_fft: int) -> np.ndarray:
    return scipy.signal.istft(spectra, nperseg=n_fft, noverlap=n_fft - n_fft // _HOPS)[1]


def _of_length(waveform: np.ndarray, n_samples: int) -> np.ndarray:
    return np.pad(waveform[:n_samples], (0, max(0, n_samples - len(waveform))))


def _log_envelope(spectra: np.ndarray, order: int) -> np.ndarray:
    """Return the natural logarithm of the true envelope of spectra (bins, frames), by `order` cepstral values."""
    magnitudes = np.abs(spectra)
    log = raised = np.log(np.maximum(magnitudes, _FAINT * magnitudes.max()))
    for _ in range(_ITERATIONS):
        cepstrum = np.fft.irfft(raised, axis=0)
        cepstrum[order + 1 : -order] = 0
        envelope = np.fft.rfft(cepstrum, axis=0).real
        raised = np.maximum(log, envelope)
    return envelope


def _slower(spectra: np.ndarray, factor: float) -> np.ndarray:
    """Return spectra (bins, frames) of the same frequencies at a tempo slower by a factor: a phase vocoder.

    Magnitudes are interpolated between frames; from frame to frame a phase grows as it does in the original there.
    """
    n_bins, n_frames = spectra.shape
    places = np.arange(0, n_frames - 1, 1 / factor)
    before = places.astype(int)
    share, magnitudes, phases = places - before, np.abs(spectra), np.angle(spectra)
    expected = 2 * np.pi * np.arange(n_bins)[:, None] / (2 * (n_bins - 1)) * (2 * (n_bins - 1) // _HOPS)
    beyond = phases[:, before + 1] - phases[:, before] - expected
    steps = expected + beyond - 2 * np.pi * np.rint(beyond / (2 * np.pi))
    steps = np.concatenate([phases[:, :1], steps[:, :-1]], axis=1)
    blended = (1 - share) * magnitudes[:, before] + share * magnitudes[:, before + 1]
    return blended * np.exp(1j * np.cumsum(steps, axis=1))


def _stretched(curves: np.ndarray, factor: float) -> np.ndarray:
    """Return curves over bins (bins, frames) stretched along them by a factor; the last bin goes on beyond the end."""
    last = len(curves) - 1
    places = np.minimum(np.arange(last + 1) / factor, last)
    before = places.astype(int)
    share = (places - before)[:, None]
    return (1 - share) * curves[before] + share * curves[np.minimum(before + 1, last)]
