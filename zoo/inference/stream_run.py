"""The models of a run as streams ask them: with state where recurrent layers only look back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo import registry
from zoo.config import saved
from zoo.config.frame_timing import RATE_HZ, delay_frames, frame_seconds, on_waveforms, segment_frames
from zoo.config.run_config import RunConfig
from zoo.data.protocols import lookup as protocols
from zoo.features.speaker_normalization import check_unknown_voices
from zoo.inference.stateful import beginning, frames_around, looks_back_only
from zoo.inference.stream_model import Live, Step
from zoo.runs.folder import corpus_name, finished_folds
from zoo.runs.model_file import load_model, looks_at_whole_segments, network_of
from zoo.training.tasks import base as tasks
from zoo.training.tasks.classification import answerer_of
from zoo.training.tasks.continuous import extractor, tracer_of

SHORTEST_SECONDS = 0.025
LONGEST_SECONDS = {"emotion": 60.0, "continuous": 600.0}  # of a window


def of_run(run: Path, fold: str | None = None) -> Live:
    """Loads a run's models, whose answers are averaged; or that of the `fold` numbered so. No post-processing.

    Raises UserError when no model is there.
    """
    settings = saved.load(run / "config.json")
    registry.check_answers(settings.model, run)
    check_unknown_voices(settings, run)
    folders, record = finished_folds(run, fold)
    protocol, entry = protocols.get(settings.protocol, settings.corpus), registry.get(settings.model)
    rate_hz = tasks.of(settings.model).extractor(settings).rate_hz
    facts: dict[str, Any] = {
        "trained_on": corpus_name(record),
        "rate_hz": rate_hz,
        "longest": round(LONGEST_SECONDS[entry.task] * rate_hz),
    }
    if entry.task == "emotion":
        answers = [answerer_of(folder, settings).answer for folder in folders]
        return Live(
            outputs=protocol.classes,
            answer=lambda window: np.mean([answer([window])[0] for answer in answers], axis=0),
            shortest=round(SHORTEST_SECONDS * rate_hz),
            **facts,
        )
    models = [load_model(folder / "model.keras", entry.takes_waveforms) for folder in folders]
    return _rating([network_of(model) for model in models], settings, outputs=protocol.targets, **facts)


def _rating(networks: Sequence[keras.Model], settings: RunConfig, **facts) -> Live:
    waveforms = on_waveforms(settings)
    tracers, features = [tracer_of(network, settings) for network in networks], extractor(settings).features

    def answer(window: np.ndarray) -> np.ndarray:
        steps = window if waveforms else features(window)
        return np.mean([trace(steps) for trace in tracers], axis=0)

    frame = round(frame_seconds(settings) * RATE_HZ)
    whole_segments = looks_at_whole_segments(networks[0])
    live = {
        **facts,
        "answer": answer,
        "shortest": frame,
        "frame_samples": frame,
        "standard": waveforms,
        "segment_frames": segment_frames(settings) if whole_segments else 0,
        "delay_frames": delay_frames(settings),
    }
    if not waveforms or not all(map(looks_back_only, networks)):
        return Live(**live)
    before, after = frames_around(networks, frame)
    beginnings = [beginning(network) for network in networks]

    def begin() -> Step:
        steps = [beginning() for beginning in beginnings]
        return lambda piece, first, count: np.stack([step(piece, first, count) for step in steps], axis=1)

    return Live(**live, begin=begin, before_frames=before, after_frames=after)
