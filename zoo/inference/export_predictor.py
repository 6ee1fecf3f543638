"""Predict by an exported model. Keras is not needed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zoo.data.batches.by_length import in_batches, padded
from zoo.frontends import opensmile
from zoo.inference.confidence import judge_of
from zoo.inference.long_recordings import rate_in_windows
from zoo.inference.predictor import BATCH_SECONDS, ENCODER_BATCH_SECONDS, Output, Predictor, checked
from zoo.serving.description import EMBEDDING, confidence_of, heads_of
from zoo.serving.saved_model import Exported, limits_seconds
from zoo.utils import extras

_DAY_SECONDS = 86_400.0


def of_export(exported: Exported, further: bool = True) -> Predictor:
    """Return the predictor of an export. Networks on waveforms rate recordings of any length, in windows.

    Without `further` an export of several targets predicts the main one alone.
    """
    heads = heads_of(exported.description) if further else ()
    signature = "all_targets" if heads else "serving_default"
    description, own = exported.description, exported.description["frontend"]
    if own["kind"] == "functionals":
        extras.need("opensmile", f"{exported.folder}, whose features are openSMILE's,")
    min_seconds, max_seconds = limits_seconds(description)
    if own["kind"] == "functionals" and "functionals" not in own:
        min_seconds = max(min_seconds, opensmile.LEAST_WINDOW_SECONDS)
    rate_hz, on_waveforms = exported.rate_hz, own["kind"] == "StandardWaveform"

    kinds = [one.get("kind") for one in description.get("initial", ())]
    on_encoder = "encoder" in description or "speech encoder" in kinds
    batch_samples = (ENCODER_BATCH_SECONDS if on_encoder else BATCH_SECONDS) * rate_hz

    def functionals(waveform: np.ndarray) -> np.ndarray:
        if "functionals" in own:  # one row for the utterance
            return opensmile.clip_functionals(waveform, rate_hz, own["feature_set"], own["functionals"])[None]
        seconds = own["functional_seconds"], own["frame_seconds"]
        return opensmile.functionals(waveform, rate_hz, own["feature_set"], *seconds)

    def of_features(features: np.ndarray) -> Output:
        if not np.isfinite(features).all():
            return "features that are NaN or infinite"
        return exported.run_each("features", features=features[None], n_frames=np.array([len(features)], np.int32))[0]

    def predict_waveforms(waveforms: Sequence[np.ndarray]) -> list[Output]:
        if own["kind"] == "functionals":
            return [of_features(functionals(waveform)) for waveform in waveforms]
        return in_batches(
            lambda rows, lengths: exported.run_each(signature, waveform=rows, n_samples=lengths),
            waveforms,
            batch_samples,
        )

    def embed(waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        if own["kind"] == "functionals":
            return [exported.embed(*padded([functionals(waveform)]))[0] for waveform in waveforms]
        return in_batches(exported.embed, waveforms, batch_samples)

    def rate_long(path: Path) -> np.ndarray:
        return rate_in_windows(
            path,
            lambda features: checked(of_features(features), (None, len(exported.outputs)), path),
            description["steps_per_frame"],
            description["segment_frames"],
            rate_hz,
            _DAY_SECONDS,
            longest_seconds=max_seconds,
        )

    facts = tuple(exported.outputs), description["trained_on"], rate_hz, min_seconds, max_seconds, predict_waveforms
    embeds = embed if EMBEDDING in description["signatures"] else None
    if not exported.continuous:
        judge = judge_of(confidence_of(description), rate_hz)
        return Predictor(*facts, heads=heads, judge=judge, embed_waveforms=embeds)
    long = rate_long if on_waveforms else None
    return Predictor(*facts, description["frame_seconds"], max_seconds, long, embed_waveforms=embeds)
