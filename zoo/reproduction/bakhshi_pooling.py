"""Compare max pooling behind the first convolution of conv_bigru with resampling to 8 kHz.

Bakhshi, Wong, Chalup 2020, section 4, last notes: both are run side by side on what the network's first convolution
gives, and the CCC of their outputs is above .95.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.metrics import regression
from zoo.metrics.bootstrap import Parts, bootstrap_interval
from zoo.metrics.undefined import with_interval
from zoo.models.conv_bigru import POOL
from zoo.reports import style
from zoo.reproduction.job import Score

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PUBLISHED = 0.95
Pooled = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def agreement(run: Path) -> tuple[Score, np.ndarray]:
    """Return the CCC of max-pooled and resampled signals of a finished run of conv_bigru, and that of each filter.

    The signals are those of the test recordings, segment by segment as the network takes them, of the run's first
    fold. The first figure is over all filters together, with its 95 % interval over speakers; the others, (filters,),
    are NaN for a filter that gives nothing.
    """
    by_clip: list[regression.Moments] = []
    by_filter: list[regression.Moments] = []
    speakers = []
    for speaker, pooled, resampled in _signals(run):
        by_clip.append(regression.moments(pooled.ravel(), resampled.ravel()))
        by_filter.append(regression.moments(pooled, resampled))
        speakers.append(speaker)
    parts = regression.merged_by_speaker(by_clip, speakers)
    low, high = bootstrap_interval([parts], _concordance)
    score = with_interval(float(regression.merged(parts).ccc[0]), float(low[0]), float(high[0]))
    return score, regression.merged(by_filter).ccc


def _concordance(parts: Parts, counts: np.ndarray) -> np.ndarray:
    return regression.merged(parts, counts).ccc


def _signals(run: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield each segment's speaker, and its signals (samples / 2, filters) max-pooled and resampled."""
    from zoo.config.frame_timing import RATE_HZ, frame_seconds, segment_frames, steps_per_frame
    from zoo.data.audio.read import read
    from zoo.features import from_config
    from zoo.runs import dataset
    from zoo.runs.model_file import load_model, network_of
    from zoo.runs.open_run import open_run

    opened = open_run(run)
    config, source = opened.settings, dataset.of_run(opened)
    both = both_ways(network_of(load_model(opened.fold_folders[0] / "model.keras")))
    features = from_config.extractor(config).features
    size = segment_frames(config) * steps_per_frame(config)
    for clip in source.folds[0].test:
        waveform = features(read(clip.path, RATE_HZ, frame_seconds(config), config.max_clip_seconds))
        for start in range(0, max(len(waveform) - size, 0) + 1, size):
            yield clip.speaker, *both(waveform[start : start + size])


def both_ways(network) -> Pooled:
    """Return a function from a waveform (samples, 1) to the network's own max-pooled signals of its first convolution,
    (samples / 2, filters), and to the same resampled: by a polyphase filter with a Kaiser window (SciPy's default).

    The signals are behind the rectifier and the batch normalisation, where the network pools.
    """
    import keras
    from scipy.signal import resample_poly

    pool = network.get_layer("pool1")
    local = keras.Model(network.inputs, [pool.input, pool.output])

    def both(waveform):
        inputs = {"features": waveform[None], "n_frames": np.array([len(waveform)], np.int32)}
        signals, pooled = (np.asarray(values)[0] for values in local.predict_on_batch(inputs))
        return pooled, resample_poly(signals.astype(np.float64), 1, POOL, axis=0, padtype="edge")

    return both


@style.styled
def figure(score: Score, by_filter: np.ndarray) -> Figure:
    """Draw the CCC of every filter, from the highest down, the published bound and the figure of all together."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(style.COLUMN_INCHES, 2.4))
    axes = drawn.add_subplot()
    ordered = np.sort(by_filter[~np.isnan(by_filter)])[::-1]
    axes.plot(np.arange(1, len(ordered) + 1), ordered, color=style.BLUE, marker=".", label="filters, ordered")
    axes.axhline(score["value"] or 0.0, color=style.ORANGE, linestyle="--", label="all filters together")
    axes.axhline(PUBLISHED, color=style.BLACK, linestyle=":", label="published: above .95")
    axes.set(xlabel="Filter of the first convolution", ylabel="CCC of max-pooled and resampled")
    axes.grid()
    axes.legend()
    return drawn
