"""Class probabilities for audio files, by the models of a run."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.config import saved
from zoo.data.audio.read import BadClip
from zoo.data.protocols import lookup as protocols
from zoo.errors import UserError
from zoo.features.speaker_normalization import check_unknown_voices
from zoo.runs.folder import corpus_name, finished_folds
from zoo.training.tasks.classification import answerer_of


def emotions_of(
    run: Path, fold: str | None = None, max_seconds: float = 60.0
) -> Callable[[Sequence[Path], Callable[[BadClip], None] | None], Iterator[dict[str, Any]]]:
    """Loads a run's models; returns a function from files and `on_bad` to what `predict_run` yields of them."""
    if not 0 < max_seconds < float("inf"):
        raise UserError(f"--max-clip-seconds is {max_seconds}, expected a finite number above 0")
    settings = saved.load(run / "config.json")
    classes = protocols.get(settings.protocol, settings.corpus).classes
    check_unknown_voices(settings, run)
    folders, record = finished_folds(run, fold)
    answerers = [answerer_of(folder, settings) for folder in folders]
    corpus = corpus_name(record)

    def answer(paths: Sequence[Path], on_bad: Callable[[BadClip], None] | None) -> Iterator[dict[str, Any]]:
        for window in answerers[0].read(paths, max_seconds, on_bad):
            clips = [clip for _, clip in window]
            by_model = [answerer.answer(clips) for answerer in answerers]
            for (path, _), *outputs in zip(window, *by_model, strict=True):
                mean = np.mean(outputs, axis=0)
                shares = {name: round(float(share), 6) for name, share in zip(classes, mean, strict=True)}
                emotion = classes[int(mean.argmax())]
                yield {"file": str(path), "emotion": emotion, "probabilities": shares, "trained_on": corpus}

    return answer


def predict_run(
    run: Path,
    paths: Sequence[Path],
    fold: str | None = None,
    max_seconds: float = 60.0,
    on_bad: Callable[[BadClip], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yields {"file", "emotion", "probabilities": {class: share}, "trained_on"} per clip, by a run's models.

    Probabilities are the mean over the run's folds, or those of the `fold` numbered so; most of a corpus was seen in
    training by all but one of its folds, so these are no test results on its own clips. A clip that cannot be used
    raises BadClip, or is handed to `on_bad` and left out. Raises UserError when no model is there.
    """
    yield from emotions_of(run, fold, max_seconds)(paths, on_bad)
