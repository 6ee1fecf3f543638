"""Predict by the models of a run, averaged over its folds."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from zoo.config.frame_timing import frame_seconds, on_waveforms
from zoo.errors import UserError
from zoo.features import from_config
from zoo.inference.categorical import load_classifier
from zoo.inference.confidence import judge_of
from zoo.inference.continuous import load_rater
from zoo.inference.long_recordings import WHOLE_SECONDS
from zoo.inference.predictor import Predictor
from zoo.runs import confidence_file
from zoo.runs.open_run import OpenedRun, check_predicts, open_run

CLIP_SECONDS, DAY_SECONDS = 60.0, 86_400.0  # longest utterance, and longest recording, unless the user says otherwise


def of_run(
    folder: Path, fold: str | None = None, max_seconds: float | None = None, postprocessed: bool = False
) -> Predictor:
    """Load the models of a run; their outputs are averaged over its folds, or those of the one numbered `fold`.

    `postprocessed` puts ratings through the chain that was fitted for each fold. Networks on waveforms rate recordings
    longer than `WHOLE_SECONDS` in constant memory; those on functionals hold the whole recording.

    Raises UserError when no model is there or `max_seconds` is not a finite number above 0.
    """
    if max_seconds is not None and not 0 < max_seconds < float("inf"):
        raise UserError(f"--max-clip-seconds is {max_seconds}, expected a finite number above 0")
    run = open_run(folder, fold)
    check_predicts(run.settings, folder)
    if run.entry.task == "emotion":
        return _classifiers(run, max_seconds or CLIP_SECONDS, max_seconds or DAY_SECONDS)
    return _raters(run, max_seconds or DAY_SECONDS, int(postprocessed))


def _classifiers(run: OpenedRun, max_seconds: float, longest_seconds: float) -> Predictor:
    folds = [load_classifier(folder, run.settings) for folder in run.fold_folders]

    def predict_waveforms(waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        return list(np.mean([fold.outputs(waveforms) for fold in folds], axis=0)) if waveforms else []

    limits = folds[0].rate_hz, folds[0].min_seconds, max_seconds
    judge = judge_of(confidence_file.load(run), folds[0].rate_hz)
    return Predictor(
        run.outputs,
        run.corpus,
        *limits,
        predict_waveforms,
        heads=folds[0].heads,
        judge=judge,
        longest_seconds=longest_seconds,
    )


def _raters(run: OpenedRun, max_seconds: float, which: int) -> Predictor:
    folds = [load_rater(folder, run.settings) for folder in run.fold_folders]

    def rate(features: np.ndarray) -> np.ndarray:
        return np.mean([fold.rate(features)[:, which] for fold in folds], axis=0)

    def predict_waveforms(waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [rate(folds[0].features(waveform)) for waveform in waveforms]

    long = partial(folds[0].windows, rate, max_seconds=max_seconds) if on_waveforms(run.settings) else None
    frame = frame_seconds(run.settings)
    least = max(frame, from_config.extractor(run.settings).least_seconds)
    limits = from_config.rate_hz(run.settings), least, max_seconds
    return Predictor(run.outputs, run.corpus, *limits, predict_waveforms, frame, WHOLE_SECONDS, long)
