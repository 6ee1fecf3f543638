"""Decide whether a clip has speech, so that tones, music and noise get no emotion."""

import numpy as np

from zoo.data.audio.read import resample
from zoo.data.audio.recording import BadClip
from zoo.data.audio.speech import silero
from zoo.data.audio.speech.windows import FRAME_SECONDS, GOES_ON

# So many frames of a clip of speech reach this probability (of short clips, a quarter of their frames). Chosen so that
# 0.2 % of the clips of half of the speakers do not: docs/runs/speech-detectors.json has the rest.
_FRAMES, _PROBABILITY = 10, 0.0455


def scores_of(waveform: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the probability of speech of each frame of a waveform (samples,): (frames,), `FRAME_SECONDS` each."""
    samples = resample(waveform, rate_hz, silero.RATE_HZ)
    return silero.scores(np.pad(samples, (0, -len(samples) % silero.FRAME)))


def has_speech(scores: np.ndarray) -> bool:
    """Say whether a clip has speech by the probabilities of its frames (frames,), one or more."""
    return _reached(scores) >= _PROBABILITY


def no_speech(scores: np.ndarray, name: str) -> BadClip:
    """Return the error of a clip without speech."""
    seconds = len(scores) * FRAME_SECONDS
    return BadClip(
        name, "no speech found", f"{seconds:.1f} s of other sound (probability of speech {_reached(scores):.2f})"
    )


def speech_seconds(scores: np.ndarray) -> float:
    """Return for how long there is speech, by the probabilities of frames."""
    return float(np.count_nonzero(scores >= GOES_ON) * FRAME_SECONDS)


def _reached(scores: np.ndarray) -> float:
    return float(np.sort(scores)[-min(_FRAMES, -(-len(scores) // 4))])
