"""Cut a recording of any length into windows of speech and classify each."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from zoo.data.audio import speech_energy
from zoo.data.audio.read import decode, open_audio, resample, stored
from zoo.data.audio.recording import BadClip, check_level, mix
from zoo.errors import unknown
from zoo.inference.clips import Clip, as_floats, in_columns, is_file
from zoo.inference.predictor import Predictor, emotion
from zoo.inference.rows import MIX, Quality, Segment

CHANNELS = (MIX, "split", "left", "right")
LEAST_SECONDS, MOST_SECONDS, PAUSE_SECONDS = 2.0, 5.0, 0.5


def segments(predictor: Predictor, clip: Clip, name: str, clip_rate_hz: int, channels: str = MIX) -> list[Segment]:
    """Return a row per window of speech of a recording, by time and channel."""
    samples, rate_hz = _stored(clip, name, clip_rate_hz)
    views = _views(channels, samples, name)
    rows = [row for view in views for row in _of_view(predictor, samples, rate_hz, view, name)]
    return sorted(rows, key=lambda row: (row["start"], str(row["channel"])))


def _stored(clip: Clip, name: str, clip_rate_hz: int) -> tuple[np.ndarray, int]:
    if is_file(clip):
        return decode(Path(clip), max_seconds=float("inf"))
    if isinstance(clip, (bytes, bytearray, memoryview)):
        with open_audio(BytesIO(bytes(clip)), name) as audio:
            return np.concatenate(list(stored(audio, name))), audio.samplerate
    return in_columns(as_floats(clip, name), name).astype(np.float32), clip_rate_hz


def _views(channels: str, samples: np.ndarray, name: str) -> Sequence[int | str]:
    if channels not in CHANNELS:
        raise unknown("channels", channels, CHANNELS)
    count = samples.shape[1]
    if channels == "right" and count < 2:
        raise BadClip(name, "rate", "1 channel, and no right one")
    return {MIX: [MIX], "split": range(count), "left": [0], "right": [1]}[channels]


def _of_view(predictor: Predictor, samples: np.ndarray, rate_hz: int, view: int | str, name: str) -> list[Segment]:
    mono = mix(samples) if isinstance(view, str) else samples[:, view]
    waveform = resample(np.ascontiguousarray(mono), rate_hz, predictor.rate_hz)
    check_level(waveform, name)
    levels = speech_energy.levels(waveform, predictor.rate_hz)
    is_speech, size = speech_energy.is_speech(levels), round(speech_energy.FRAME_SECONDS * predictor.rate_hz)
    rows = []
    for first, last in _windows(is_speech):
        part = waveform[first * size : last * size]
        found = predictor.predict_waveforms([part])[0]
        assert not isinstance(found, str)
        level = round(float(levels[first:last].max()), 1)
        clipped = round(float((np.abs(part) >= 0.999).mean()), 6)
        quality = Quality(level_dbfs=level, clipped_share=clipped, bandwidth_hz=predictor.rate_hz / 2, notes=[])
        judged = predictor.judge(found[: len(predictor.outputs)], part)
        main = emotion(predictor.outputs, found[: len(predictor.outputs)], judged)
        seconds = round(float(is_speech[first:last].sum()) * speech_energy.FRAME_SECONDS, 3)
        place = {"file": name, "channel": view, "start": round(first * size / predictor.rate_hz, 3)}
        place |= {"end": round(last * size / predictor.rate_hz, 3)}
        rest = {"speech_seconds": seconds, "quality": quality, "trained_on": predictor.trained_on}
        rows.append(Segment(**place, **main, reason=None, **rest))  # type: ignore[typeddict-item]
    return rows


def _windows(is_speech: np.ndarray) -> list[tuple[int, int]]:
    """Return windows of speech as pairs of frames."""
    most, pause = round(MOST_SECONDS / speech_energy.FRAME_SECONDS), round(PAUSE_SECONDS / speech_energy.FRAME_SECONDS)
    found: list[tuple[int, int]] = []
    for frame in np.flatnonzero(is_speech):
        if found and frame - found[-1][1] < pause and frame - found[-1][0] < most:
            found[-1] = found[-1][0], int(frame) + 1
        else:
            found.append((int(frame), int(frame) + 1))
    return [(first, last) for first, last in found if last - first > 3]
