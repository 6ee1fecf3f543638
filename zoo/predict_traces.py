"""Ratings all along audio files of any length, by the models of a run."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from zoo import config, postprocess
from zoo.config import RunConfig
from zoo.continuous import (
    RATE_HZ,
    extractor,
    frame_seconds,
    on_waveforms,
    segment_frames,
    steps_per_frame,
    tracer_of,
)
from zoo.data import protocols
from zoo.data.audio import BadClip, read
from zoo.folder import corpus_name, finished_folds
from zoo.predict import load_model
from zoo.trace_prediction import looks_at_whole_segments, network_of, trace_long

WHOLE_SECONDS = 600.0  # longer recordings are predicted in windows of this length
MARGIN_SECONDS = 60.0  # that overlap by twice this one


def trace_files(
    run: Path,
    paths: Sequence[Path],
    fold: str | None = None,
    smooth: bool = False,
    on_bad: Callable[[BadClip], None] | None = None,
    max_seconds: float = 86_400.0,
) -> Iterator[dict[str, Any]]:
    """Yields {"file", "time" in seconds, a rating per dimension, "trained_on"} for each frame of each file.

    Ratings are the mean over the run's folds, or those of the `fold` numbered so. With `smooth`, each fold's go through
    the post-processing fitted for it first. A file that cannot be used raises BadClip, or is handed to `on_bad`.
    Networks on waveforms need no more memory for hours than for `WHOLE_SECONDS`; those on functionals hold it all.
    """
    settings = config.load(run / "config.json")
    folders, record = finished_folds(run, fold)
    predictors = [_predictor(folder, settings, smooth, max_seconds) for folder in folders]
    targets = protocols.get(settings.protocol, settings.corpus).targets
    for path in paths:
        try:
            mean = np.mean([predict(path) for predict in predictors], axis=0)
        except BadClip as error:
            if on_bad is None:
                raise
            on_bad(error)
            continue
        for frame, values in enumerate(mean):
            ratings = {name: round(float(value), 6) for name, value in zip(targets, values, strict=True)}
            time = round(frame * frame_seconds(settings), 3)
            yield {"file": str(path), "time": time, **ratings, "trained_on": corpus_name(record)}


def _predictor(folder: Path, settings: RunConfig, smooth: bool, max_seconds: float) -> Callable[[Path], np.ndarray]:
    network = network_of(load_model(folder / "model.keras", waveforms=on_waveforms(settings)))
    trace, features = tracer_of(network, settings), extractor(settings).features
    chain = postprocess.load(folder / "postprocess.json")
    inner, margin = round(WHOLE_SECONDS / frame_seconds(settings)), round(MARGIN_SECONDS / frame_seconds(settings))
    if looks_at_whole_segments(network):
        inner, margin = inner - inner % segment_frames(settings), 0  # its segments are the same in every window

    def ratings(path: Path) -> np.ndarray:
        if on_waveforms(settings) and _seconds(path) > WHOLE_SECONDS:
            raw = trace_long(path, trace, RATE_HZ, steps_per_frame(settings), inner, margin)
        else:
            raw = trace(features(read(path, RATE_HZ, max_seconds=max_seconds)))
        return postprocess.apply(chain, raw) if smooth else raw

    return ratings


def _seconds(path: Path) -> float:
    """What the header says; 0 where there is none to read, so that reading it tells what is wrong."""
    try:
        return soundfile.info(path).duration
    except (OSError, soundfile.LibsndfileError):
        return 0.0
