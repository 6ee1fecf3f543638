"""Measure the quality of a recording or a window of it, and say what may lower that of a prediction."""

import numpy as np

from zoo.data.audio.bandwidth import bandwidth_hz
from zoo.inference.rows import Quality

_NARROW = 0.55  # of the model's bandwidth: 8 kHz sources for 16 kHz models are below it
_CLIPPED_SHARE, _QUIET_DBFS = 1e-3, -55.0


def quality_of(samples: np.ndarray, rate_hz: int, clipped_share: float, n_mixed: int = 1) -> Quality:
    """Return the quality of samples (n,) at the model's rate.

    `clipped_share` is that of the samples as stored, and `n_mixed` how many channels were mixed down.
    """
    power = float(np.square(samples, dtype=np.float64).mean()) if len(samples) else 0.0
    level, bandwidth = 10 * np.log10(power) if power else None, bandwidth_hz(samples, rate_hz)
    notes = []
    if n_mixed > 1:
        notes.append(f"{n_mixed} channels were mixed down.")
    if level is not None and level < _QUIET_DBFS:
        notes.append(f"Very quiet: {level:.0f} dB of full scale.")
    if clipped_share >= _CLIPPED_SHARE:
        notes.append(f"{clipped_share:.1%} of the samples are clipped.")
    if bandwidth is not None and bandwidth < _NARROW * rate_hz / 2:
        source = "a source of 8 kHz" if 3_000 <= bandwidth <= 4_400 else "a source of a low rate"
        notes.append(
            f"No sound above {bandwidth / 1000:.1f} kHz, as from a telephone or {source}; "
            f"the model takes speech up to {rate_hz / 2000:g} kHz."
        )
    return Quality(
        level_dbfs=None if level is None else round(float(level), 1),
        clipped_share=round(clipped_share, 6),
        bandwidth_hz=bandwidth,
        notes=notes,
    )
