"""Rate recordings of any length by the saved model of a fold."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from zoo import registry
from zoo.config import packages
from zoo.config.frame_timing import RATE_HZ, delay_frames, frame_seconds, on_waveforms, segment_frames, steps_per_frame
from zoo.config.run_config import RunConfig
from zoo.data.audio.blocks import seconds_of
from zoo.data.audio.read import read
from zoo.features import from_config
from zoo.inference import postprocess
from zoo.inference.long_recordings import WHOLE_SECONDS, rate_in_windows
from zoo.inference.tracer import Tracer, tracer
from zoo.runs.model_file import load_model, looks_at_whole_segments, network_of
from zoo.runs.protocol import protocol_of

Transform = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Rater:
    """`rate` maps features (steps, channels) to ratings (frames, 2, dimensions): as predicted, and post-processed.

    Both are at the raters' time, moved from the speech's by the delay that training took off, and NaN where features
    are not finite. `whole_segments` says that the network depends on where a segment begins and ends.
    """

    config: RunConfig
    rate: Transform
    features: Transform
    whole_segments: bool

    def windows(self, rate: Transform, path: Path, max_seconds: float) -> np.ndarray:
        """Rate a file by `rate` in overlapping windows, in constant memory. Raises as `rate_in_windows` does."""
        segment = segment_frames(self.config) if self.whole_segments else 0
        return rate_in_windows(path, rate, steps_per_frame(self.config), segment, RATE_HZ, max_seconds)

    def file(self, path: Path, max_seconds: float, alter: Transform | None = None) -> np.ndarray:
        """Rate a file, or what `alter` makes of its waveform.

        Raises BadClip for a file that cannot be used or is longer than `max_seconds`.
        """
        if not alter and on_waveforms(self.config) and seconds_of(path) > WHOLE_SECONDS:
            return self.windows(self.rate, path, max_seconds)
        waveform = read(path, RATE_HZ, frame_seconds(self.config), max_seconds)
        return self.rate(self.features(alter(waveform) if alter else waveform))


def load_rater(folder: Path, config: RunConfig) -> Rater:
    """Load the model of a fold and its post-processing. Raises UserError as `load_classifier` does."""
    packages.check(config)
    dimensions = protocol_of(config).targets
    network = network_of(load_model(folder / "model.keras", registry.get(config.model).takes_waveforms, dimensions))
    chain, trace = postprocess.load(folder / "postprocess.json", dimensions), tracer_of(network, config)

    def rate(features: np.ndarray) -> np.ndarray:
        predicted = trace(features)
        if not np.isfinite(features).all():  # some networks would give numbers all the same
            predicted = np.full_like(predicted, np.nan)
        smooth = postprocess.apply(chain, predicted) if np.isfinite(predicted).all() else predicted
        ratings = np.stack([predicted, smooth], axis=1)
        return ratings[np.clip(np.arange(len(ratings)) - delay_frames(config), 0, len(ratings) - 1)]

    return Rater(config, rate, from_config.extractor(config).features, looks_at_whole_segments(network))


def tracer_of(network: keras.Model, config: RunConfig) -> Tracer:
    """Return the function from features (steps, channels) to ratings (frames, dimensions) of a network."""
    return tracer(network, steps_per_frame(config), segment_frames(config))
