"""Adapt a run's models for streaming; unidirectional recurrent networks carry their state."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from zoo.config.frame_timing import RATE_HZ, delay_frames, frame_seconds, on_waveforms, segment_frames
from zoo.features import from_config
from zoo.inference.categorical import load_classifier
from zoo.inference.confidence import judge_of
from zoo.inference.continuous import tracer_of
from zoo.inference.stateful import beginning, frames_around, looks_back_only
from zoo.inference.stream_model import Live
from zoo.runs import confidence_file
from zoo.runs.model_file import load_model, looks_at_whole_segments, network_of
from zoo.runs.open_run import check_predicts, open_run

SHORTEST_SECONDS = 0.025
LONGEST_SECONDS = {"emotion": 60.0, "continuous": 600.0}  # of a window


def of_run(run: Path, fold: str | None = None) -> Live:
    """Load a run's models, averaged; or that of the `fold` numbered so. No post-processing.

    Raises UserError when no model is there.
    """
    opened = open_run(run, fold)
    settings, task, rate_hz = opened.settings, opened.entry.task, from_config.rate_hz(opened.settings)
    check_predicts(settings, run)
    facts, longest = (opened.outputs, opened.corpus, rate_hz), round(LONGEST_SECONDS[task] * rate_hz)
    if task == "emotion":
        folds = [load_classifier(folder, settings) for folder in opened.fold_folders]

        def classify(window: np.ndarray) -> np.ndarray:
            return np.mean([fold.probabilities([window])[0] for fold in folds], axis=0)

        judge = judge_of(confidence_file.load(opened), rate_hz)
        return Live(*facts, classify, round(SHORTEST_SECONDS * rate_hz), longest, judge=judge)
    models = [load_model(folder / "model.keras", opened.entry.takes_waveforms) for folder in opened.fold_folders]
    networks = [network_of(model) for model in models]
    waveforms, frame = on_waveforms(settings), round(frame_seconds(settings) * RATE_HZ)
    tracers, features = [tracer_of(network, settings) for network in networks], from_config.extractor(settings).features

    def rate(window: np.ndarray) -> np.ndarray:
        steps = window if waveforms else features(window)
        return np.mean([trace(steps) for trace in tracers], axis=0)

    live = Live(
        *facts,
        rate,
        frame,
        longest,
        frame_samples=frame,
        standard=waveforms,
        segment_frames=segment_frames(settings) if looks_at_whole_segments(networks[0]) else 0,
        delay_frames=delay_frames(settings),
    )
    if not waveforms or not all(map(looks_back_only, networks)):
        return live
    before, after = frames_around(networks, frame)
    return replace(live, begin=beginning(networks), before_frames=before, after_frames=after)
