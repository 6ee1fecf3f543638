"""Recordings of synthetic speech, which the speech detector takes for speech, at known times."""

import numpy as np

from zoo.data.synthetic import voice

RATE_HZ, SPOKEN_SECONDS = 16_000, 2.0


def utterance(seed=0, emotion="angry", seconds=SPOKEN_SECONDS):
    """One man's utterance: float32 (samples,)."""
    rng = np.random.default_rng(seed)
    return voice.utterance(emotion, voice.draw_speaker("M", rng), seconds, rng, RATE_HZ).astype(np.float32)


def call(starts, seconds):
    """Samples of a recording with utterances at `starts` in seconds, else quiet noise; and the starts."""
    samples = np.random.default_rng(1).normal(0, 1e-3, round(seconds * RATE_HZ)).astype(np.float32)
    for number, start in enumerate(starts):
        spoken = utterance(number % 3)
        at = round(start * RATE_HZ)
        samples[at : at + len(spoken)] += spoken
    return samples, list(starts)
