"""Find speech by its energy: frames well above a recording's own background are taken for speech."""

import numpy as np

FRAME_SECONDS = 0.032
_ABOVE_BACKGROUND_DB, _BELOW_LOUDEST_DB, _QUIETEST_DB = 9.0, 35.0, -60.0


def levels(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the level in dB of full scale of each whole frame of samples (n,): (frames,)."""
    size = round(FRAME_SECONDS * rate_hz)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    return 10 * np.log10(np.square(frames, dtype=np.float64).mean(axis=1) + 1e-12)


def is_speech(levels_db: np.ndarray) -> np.ndarray:
    """Say which frames are speech by their levels (frames,): bool (frames,)."""
    background, loudest = np.percentile(levels_db, (10, 98)) if len(levels_db) else (0.0, 0.0)
    background = min(background, loudest - _BELOW_LOUDEST_DB + _ABOVE_BACKGROUND_DB)
    return levels_db > max(background + _ABOVE_BACKGROUND_DB, loudest - _BELOW_LOUDEST_DB, _QUIETEST_DB)
