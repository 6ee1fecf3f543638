"""Compute the duration of a rated frame, and the frames of a segment or delay, of a configuration."""

from zoo import registry
from zoo.config.run_config import RunConfig

RATE_HZ = 16_000
FRAME_SECONDS = 0.04  # of every network on waveforms or MFCCs: one frame for each rating of RECOLA


def on_waveforms(config: RunConfig) -> bool:
    return registry.get(config.model).frontend == "waveform"


def on_segments(config: RunConfig) -> bool:
    """Return whether the network is trained on segments; linear models are fitted to all frames at once."""
    return registry.get(config.model).fitted == "gradient"


def frame_seconds(config: RunConfig) -> float:
    """Return the seconds from one frame to the next."""
    return FRAME_SECONDS if registry.get(config.model).takes_waveforms else config.frame_seconds


def steps_per_frame(config: RunConfig) -> int:
    """Return the steps of the features, samples or analysis frames, in a frame."""
    if registry.get(config.model).frontend == "mfcc_frames":
        return round(1000 * FRAME_SECONDS / config.hop_ms)
    return round(RATE_HZ * FRAME_SECONDS) if on_waveforms(config) else 1


def delay_frames(config: RunConfig) -> int:
    """Return the frames by which ratings lag the speech; below 0, the look-ahead of a rating."""
    return round(config.label_delay_seconds / frame_seconds(config))


def segment_frames(config: RunConfig) -> int:
    return round(config.segment_seconds / frame_seconds(config))
