"""Classify utterances by the saved model of a fold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo import registry
from zoo.config import packages
from zoo.config.run_config import RunConfig
from zoo.data.batches.by_length import in_batches
from zoo.data.schema import Clip
from zoo.features import corpus_normalization, from_config, speaker_normalization
from zoo.features.extractor import LEAST_SECONDS
from zoo.heads import Heads, column_names, heads_of
from zoo.inference.predictor import BATCH_SECONDS, ENCODER_BATCH_SECONDS
from zoo.runs.model_file import load_model, network_of
from zoo.runs.protocol import protocol_of
from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras
else:
    keras = lazy("keras")


@dataclass(frozen=True)
class Classifier:
    """`outputs` maps waveforms (samples,) at `rate_hz`, `min_seconds` or longer, to the outputs (columns,) of each.

    They are class probabilities, and what further `heads` predict (zoo.heads). Its second argument (`groups_of`)
    matters only to runs whose features are standardised by speaker or by corpus. Outputs of a waveform whose features
    are not finite are NaN.
    """

    outputs: Callable[..., list[np.ndarray]]
    rate_hz: int
    min_seconds: float
    heads: Heads

    def probabilities(self, waveforms: Sequence[np.ndarray], groups: Sequence[str] = ()) -> list[np.ndarray]:
        """Return the class probabilities alone."""
        return [found[: self.heads[0].columns] for found in self.outputs(waveforms, groups)]


def load_classifier(folder: Path, config: RunConfig) -> Classifier:
    """Load the model of a fold. Raises UserError where there is none, or where its features need an absent package."""
    packages.check(config)
    takes_waveforms, rate_hz = registry.get(config.model).takes_waveforms, from_config.rate_hz(config)
    heads = heads_of(config, protocol_of(config).classes)
    model = load_model(folder / "model.keras", takes_waveforms, column_names(heads))
    if takes_waveforms and not config.normalize_corpora:
        from zoo.inference.compiled import compiled

        run = compiled(model)
        on_encoder = registry.get(config.model).frontend == "encoder"
        batch_samples = (ENCODER_BATCH_SECONDS if on_encoder else BATCH_SECONDS) * rate_hz

        def answer(rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
            return run({"waveform": rows, "n_samples": lengths})

        return Classifier(
            lambda waveforms, groups=(): in_batches(answer, waveforms, batch_samples, multiple=rate_hz),
            rate_hz,
            LEAST_SECONDS,
            heads,
        )
    extractor, answers = from_config.extractor(config), of_features(model)
    known = None
    if config.standardize_speakers:
        known = speaker_normalization.load(folder.parent)
    if config.normalize_corpora:
        known = speaker_normalization.load(folder, corpus_normalization.FILE)

    def outputs(waveforms: Sequence[np.ndarray], groups: Sequence[str] = ()) -> list[np.ndarray]:
        with ThreadPoolExecutor(extractor.threads) as pool:
            features = list(pool.map(extractor.features, waveforms))
        if known:
            features = [known.standardized(*pair) for pair in zip(features, groups, strict=True)]
        return answers(features)

    return Classifier(outputs, rate_hz, extractor.least_seconds, heads)


def of_features(model: keras.Model) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """Return the function from features (frames, bands) of clips to a saved model's outputs (columns,).

    They are NaN for features that are not finite. The front-end of a model that takes waveforms is left out.
    """
    from zoo.inference.compiled import compiled

    run = compiled(network_of(model))

    def answer(rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return run({"features": rows, "n_frames": lengths})

    def outputs(features: Sequence[np.ndarray]) -> list[np.ndarray]:
        finite = [bool(np.isfinite(values).all()) for values in features]
        found = iter(in_batches(answer, list(compress(features, finite))))
        nothing = np.full(model.output_shape[-1], np.nan)
        return [next(found) if is_finite else nothing for is_finite in finite]

    return outputs


def groups_of(clips: Sequence[Clip], config: RunConfig) -> list[str]:
    """Return what the features of each clip are standardised with: those of its speaker or its corpus."""
    return [corpus_normalization.corpus_of(clip) if config.normalize_corpora else clip.speaker for clip in clips]
