"""Classify utterances by the saved model of a fold."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.data.batches.by_length import in_batches
from zoo.features import from_config, speaker_normalization
from zoo.features.extractor import LEAST_SECONDS
from zoo.heads import Heads, column_names, heads_of
from zoo.inference.predictor import BATCH_SECONDS
from zoo.runs.model_file import load_model
from zoo.runs.protocol import protocol_of


@dataclass(frozen=True)
class Classifier:
    """`outputs` maps waveforms (samples,) at `rate_hz`, `min_seconds` or longer, to the outputs (columns,) of each.

    They are class probabilities, and what further `heads` predict (zoo.heads). Its second argument, the speakers,
    matters only to a run with --standardize-speakers. Outputs of a waveform whose features are not finite are NaN.
    """

    outputs: Callable[..., list[np.ndarray]]
    rate_hz: int
    min_seconds: float
    heads: Heads

    def probabilities(self, waveforms: Sequence[np.ndarray], speakers: Sequence[str] = ()) -> list[np.ndarray]:
        """Return the class probabilities alone."""
        return [found[: self.heads[0].columns] for found in self.outputs(waveforms, speakers)]


def load_classifier(folder: Path, config: RunConfig) -> Classifier:
    """Load the model of a fold. Raises UserError where there is none."""
    takes_waveforms, rate_hz = registry.get(config.model).takes_waveforms, from_config.rate_hz(config)
    heads = heads_of(config, protocol_of(config).classes)
    model = load_model(folder / "model.keras", takes_waveforms, column_names(heads))
    names = ("waveform", "n_samples") if takes_waveforms else ("features", "n_frames")

    def run(rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict_on_batch(dict(zip(names, (rows, lengths), strict=True))))

    if takes_waveforms:
        return Classifier(
            lambda waveforms, speakers=(): in_batches(run, waveforms, BATCH_SECONDS * rate_hz, multiple=rate_hz),
            rate_hz,
            LEAST_SECONDS,
            heads,
        )
    extractor = from_config.extractor(config)
    known = speaker_normalization.load(folder.parent) if config.standardize_speakers else None

    def outputs(waveforms: Sequence[np.ndarray], speakers: Sequence[str] = ()) -> list[np.ndarray]:
        with ThreadPoolExecutor(extractor.threads) as pool:
            features = list(pool.map(extractor.features, waveforms))
        if known:
            features = [known.standardized(*pair) for pair in zip(features, speakers, strict=True)]
        finite = [bool(np.isfinite(values).all()) for values in features]
        found = iter(in_batches(run, list(compress(features, finite))))
        nothing = np.full(model.output_shape[-1], np.nan)
        return [next(found) if is_finite else nothing for is_finite in finite]

    return Classifier(outputs, rate_hz, extractor.least_seconds, heads)
