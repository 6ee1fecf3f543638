"""Measure the log-mel layer on batches of clips against librosa called clip by clip, from waveforms to features."""

import librosa
import numpy as np

from bench import inputs
from bench.result import Result, median_seconds
from zoo.frontends.log_mel import LogMel

BATCH_SIZE = 32


def measure(quick: bool) -> list[Result]:
    n_clips, repeats = (BATCH_SIZE, 2) if quick else (8 * BATCH_SIZE, 11)
    waveforms = sorted(inputs.waveforms(n_clips), key=len)  # batches of like length, as the pipeline's
    frontend = LogMel(inputs.RATE_HZ)
    model = inputs.frontend_model(frontend)

    def ours():
        batches = (waveforms[start : start + BATCH_SIZE] for start in range(0, n_clips, BATCH_SIZE))
        return [features for batch in batches for features in _of_batch(model, batch)]

    def reference():
        return [_of_clip_by_librosa(frontend, waveform) for waveform in waveforms]

    for one, other in zip(ours(), reference(), strict=True):
        np.testing.assert_allclose(one, other, atol=0.01, err_msg="the two do not compute the same")
    seconds = median_seconds({"ours": ours, "reference": reference}, repeats)
    note = f"TensorFlow, batches of {BATCH_SIZE} of like length, padding included; librosa clip by clip"
    rates = (n_clips / seconds["ours"], n_clips / seconds["reference"])
    return [Result("logmel", "clips/s", *rates, target=3.0, note=note)]


def _of_batch(model, waveforms):
    lengths = np.array([len(waveform) for waveform in waveforms], np.int32)
    padded = np.zeros((len(waveforms), lengths.max()), np.float32)
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = waveform
    features, n_frames = model.predict_on_batch([padded, lengths])
    return [rows[:n] for rows, n in zip(features, n_frames, strict=True)]


def _of_clip_by_librosa(frontend, waveform):
    energies = librosa.feature.melspectrogram(
        y=waveform,
        sr=frontend.rate_hz,
        n_fft=frontend.n_fft,
        win_length=frontend.window,
        hop_length=frontend.hop,
        window="hamming",
        center=True,
        pad_mode="constant",
        n_mels=frontend.bands,
        htk=True,
        norm=None,
    )
    # librosa has a frame more where the hop divides the clip.
    return np.log(np.maximum(energies, frontend.floor)).T[: frontend.n_frames(len(waveform))]
