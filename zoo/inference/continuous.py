"""Ratings all along audio files of any length, by the models of a run."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.config import saved
from zoo.config.frame_timing import frame_seconds
from zoo.data.audio.read import BadClip
from zoo.data.protocols import lookup as protocols
from zoo.errors import UserError
from zoo.runs.folder import corpus_name, finished_folds
from zoo.training.tasks.continuous import predictor


def ratings_of(
    run: Path, fold: str | None = None, smooth: bool = False, max_seconds: float = 86_400.0
) -> Callable[[Iterable[Path], Callable[[BadClip], None] | None], Iterator[dict[str, Any]]]:
    """Loads a run's models; returns a function from files and `on_bad` to what `trace_files` yields of them."""
    if not 0 < max_seconds < float("inf"):
        raise UserError(f"--max-clip-seconds is {max_seconds}, expected a finite number above 0")
    settings = saved.load(run / "config.json")
    folders, record = finished_folds(run, fold)
    predictors = [predictor(folder, settings, max_seconds) for folder in folders]
    targets = protocols.get(settings.protocol, settings.corpus).targets

    def answer(paths: Iterable[Path], on_bad: Callable[[BadClip], None] | None) -> Iterator[dict[str, Any]]:
        for path in paths:
            try:
                mean = np.mean([predict(path)[smooth] for predict in predictors], axis=0)
            except BadClip as error:
                if on_bad is None:
                    raise
                on_bad(error)
                continue
            for frame, values in enumerate(mean):
                ratings = {name: round(float(value), 6) for name, value in zip(targets, values, strict=True)}
                time = round(frame * frame_seconds(settings), 3)
                yield {"file": str(path), "time": time, **ratings, "trained_on": corpus_name(record)}

    return answer


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
    the post-processing fitted for it first. Times are the raters': where training took off a delay, ratings come that
    much later than the voice. A file that cannot be used raises BadClip, or is handed to `on_bad`.
    Networks on waveforms need no more memory for hours than for `zoo.inference.long_recordings.WHOLE_SECONDS`; those on
    functionals hold the whole recording.
    """
    yield from ratings_of(run, fold, smooth, max_seconds)(paths, on_bad)
