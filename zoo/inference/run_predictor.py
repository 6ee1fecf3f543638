"""Predict by the models of a run, averaged over its folds."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from zoo.config.frame_timing import frame_seconds, on_waveforms, steps_per_frame
from zoo.errors import UserError
from zoo.features import from_config
from zoo.inference import embedding
from zoo.inference.categorical import load_classifier
from zoo.inference.confidence import judge_of
from zoo.inference.continuous import load_rater
from zoo.inference.long_recordings import WHOLE_SECONDS
from zoo.inference.predictor import Predictor
from zoo.runs import confidence_file
from zoo.runs.model_file import load_model, network_of
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
    options: dict[str, Any] = {"heads": folds[0].heads, "judge": judge, "longest_seconds": longest_seconds}
    return Predictor(run.outputs, run.corpus, *limits, predict_waveforms, embed_waveforms=_embedder(run), **options)


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
    facts = run.outputs, run.corpus, *limits, predict_waveforms, frame, WHOLE_SECONDS, long
    whole_segments = any(fold.whole_segments for fold in folds)
    return Predictor(*facts, embed_waveforms=None if whole_segments else _embedder(run))


def _embedder(run: OpenedRun) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """Return the function from waveforms to their embeddings; networks are loaded again when it is first called."""

    @cache
    def opened() -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
        takes_waveforms = run.entry.takes_waveforms
        models = [load_model(folder / "model.keras", takes_waveforms) for folder in run.fold_folders]
        steps = steps_per_frame(run.settings) if run.entry.task == "continuous" else 1
        embed = embedding.embedder([network_of(model) for model in models], steps)
        features = from_config.extractor(run.settings).features
        return lambda waveforms: embed([features(waveform) for waveform in waveforms])

    return lambda waveforms: opened()(waveforms)
