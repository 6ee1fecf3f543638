"""Train and test enhancement: cepstra of clean speech from those of noisy speech (MixedEmotions D4.2, section 3).

Any corpus will do, since labels are ignored: each utterance is put in noise of its own side of a fold, in every
condition the configuration names. The interface is in base.py.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo import losses, registry
from zoo.config.run_config import RunConfig
from zoo.data.audio.read import read
from zoo.data.audio.recording import check_finite
from zoo.data.augmentation import named_conditions
from zoo.data.batches.clips import moments
from zoo.data.batches.feature_store import Features
from zoo.data.batches.noisy_clean_pairs import Pair, even_cuts, pair_batches
from zoo.data.protocols.splits import Protocol
from zoo.errors import UserError
from zoo.features import enhancer, from_config, noisy_copies
from zoo.features.extractor import of_layer
from zoo.frontends import clean_speech
from zoo.frontends.compose import with_frontend, with_normalization
from zoo.metrics import enhancement as figures
from zoo.reports import enhancement as enhancement_report
from zoo.runs.folder import fold_name
from zoo.runs.model_file import frontend as frontend_of
from zoo.runs.model_file import load_model, network_of
from zoo.training import same_audio
from zoo.training.tasks.base import Alter, Clips, Figures, Fitting, FoldData, Row, not_finite
from zoo.utils.atomic_files import written_aside

report = enhancement_report
FIGURES = Figures("validation_r2", figures.FIGURES, ("n_clips", "mse", "pearson", "validation_r2"))
# Of a training sequence, and of validation; the deliverable does not say. Clips of corpora of utterances are as long.
SEGMENT_SECONDS = 4.0
_WINDOW_CLIPS = 64  # are read and tested at a time


def check(config: RunConfig, protocol: Protocol) -> None:
    conditions = noisy_copies.altered(config, from_config.rate_hz(config), "train")
    if config.detector == "fitted" and list(conditions) == [""]:
        raise UserError("--detector fitted tells clean from noisy speech, found clean alone. Give --detector none")
    _build(config)


def examples(
    config: RunConfig, protocol: Protocol, features: Mapping[str, Features], clips: Clips, training: bool
) -> list[Pair]:
    """Return every clip in every condition and, with `config.speech` "both", as it is too.

    Noisy clips become features here, once, in noise of their side.
    """
    own, side = from_config.extractor(config), "train" if training else "validation"
    found = noisy_copies.extract_noisy(config, own, clips, side)
    for clip, label in product(clips, found):
        same_audio.check(clip, features, found[label][clip.name].audio_sha256)
    if config.speech == "both" or named_conditions.CLEAN in config.conditions:
        found = {**found, "": {clip.name: features[clip.name] for clip in clips}}
    return [
        Pair(clip.name, label, noisy[clip.name], features[clip.name])
        for label, noisy in found.items()
        for clip in clips
    ]


def fitting(fold: FoldData, config: RunConfig) -> Fitting:
    """The network gives clean coefficients standardised by the training set; the loss is their squared error."""
    network = with_normalization(*moments(pair.noisy for pair in fold.train), _build(config), least_variance=0.0)
    mean, variance = clean_moments(fold)
    deviation, frames = np.sqrt(variance), round(1000 * SEGMENT_SECONDS / config.hop_ms)

    def standardised(clean: np.ndarray) -> np.ndarray:
        return (clean - mean) / deviation

    def batches(epoch: int):
        return pair_batches(fold.train, config.batch_size, frames, standardised, seed=config.seed, epoch=epoch)

    return Fitting(network, losses.get_loss("sse", config.loss_reduction), batches)


def validator(model: keras.Model, fold: FoldData, config: RunConfig) -> Callable[[], dict[str, float]]:
    """Score all validation frames in segments of training's length; whole recordings would take longer than an epoch.

    The score is the explained share of clean speech's variance: 0 for a constant, the training mean, and below 0 for
    speech in much noise, left as it is.
    """
    mean, variance = clean_moments(fold)
    deviation, frames = np.sqrt(variance), round(1000 * SEGMENT_SECONDS / config.hop_ms)
    cuts = [(pair, *cut) for pair in fold.validation for cut in even_cuts(pair.n_frames, frames)]
    noisy = [pair.noisy.read(start, length) for pair, start, length in cuts]
    truth = [(pair.clean.read(start, length) - mean) / deviation for pair, start, length in cuts]
    unprocessed = _mean_square(truth, ((frames - mean) / deviation for frames in noisy))
    constant = _mean_square(truth, (np.zeros_like(clean) for clean in truth))

    def validate() -> dict[str, float]:
        error = _mean_square(truth, enhancer.in_batches(_outputs_of(model), noisy, multiple=50))
        if not np.isfinite(error):
            raise not_finite(fold, config)
        return {FIGURES.score: 1 - error / constant, "validation_mse": error, "validation_mse_noisy": unprocessed}

    return validate


def after_training(model_path: Path, fold: FoldData, config: RunConfig) -> None:
    """Save the model again, complete: its output in natural units, and what is clean left as it is.

    The detector of clean speech is fitted on the training clips, its threshold on the validation clips. Without one
    (`config.detector`) nothing is taken for clean.
    """
    denoiser = network_of(load_model(model_path))
    if config.detector == "none":
        detector = clean_speech.never(enhancer.frames(config).coefficients)
    else:
        train, validation = ([pair for pair in side if pair.condition] for side in (fold.train, fold.validation))
        detector = clean_speech.fit(_clean_and_noisy(train), _clean_and_noisy(validation))
    complete = enhancer.assemble(denoiser, *clean_moments(fold), detector)
    with written_aside(model_path) as aside:
        with_frontend(fold.frontend, complete).save(aside)


def test_rows(
    folder: Path, clips: Clips, protocol: Protocol, corpus: str, config: RunConfig, alter: Alter = None
) -> list[Row]:
    """Return a row per utterance and condition, and one of it as it is (`snr_db` empty): corpus, fold, clip, speaker,
    snr_db (the ratio, or the condition in words), taken_for_clean, and the moments of zoo.metrics.enhancement.
    """
    if alter:
        raise UserError(f"--model {config.model} is tested in noise of its own, by --noise; leave the other out")
    own = of_layer(frontend_of(load_model(folder / "model.keras")))
    denoise = enhancer.denoiser(enhancer.load(folder))
    conditions = {label: one.alter for label, one in noisy_copies.altered(config, own.rate_hz, "test").items()}
    conditions = {"": None, **conditions}
    rows = []
    for start in range(0, len(clips), _WINDOW_CLIPS):
        cases, clean, noisy = [], [], []
        for clip in clips[start : start + _WINDOW_CLIPS]:
            waveform = read(clip.path, own.rate_hz, max_seconds=config.max_clip_seconds, segment=clip.segment)
            frames = own.features(waveform)
            for label, mix in conditions.items():
                cases.append((clip, label))
                clean.append(frames)
                noisy.append(frames if mix is None else own.features(mix(waveform, clip.name)))
        for (clip, label), truth, before, (after, is_clean) in zip(cases, clean, noisy, denoise(noisy), strict=True):
            check_finite(after, clip.path, "enhanced features")
            row: Row = {"corpus": corpus, "fold": fold_name(folder), "clip": clip.name, "speaker": clip.speaker}
            row |= {"snr_db": label, "taken_for_clean": str(int(is_clean))}
            rows.append({**row, **figures.columns(truth, before, after)})
    return rows


def scores(rows: Sequence[Row], protocol: Protocol) -> dict[str, Any]:
    return figures.evaluate(rows)


def clean_moments(fold: FoldData) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the training clips' clean coefficients, each clip once; 1 for a variance of 0."""
    mean, variance = moments(_clean(fold.train))
    return mean, np.where(variance == 0, 1.0, variance)


def _clean(pairs: Sequence[Pair]) -> list[Features]:
    return list({pair.name: pair.clean for pair in pairs}.values())


def _clean_and_noisy(pairs: Sequence[Pair]) -> tuple[Iterator[np.ndarray], Iterator[np.ndarray]]:
    return (features.read() for features in _clean(pairs)), (pair.noisy.read() for pair in pairs)


def _build(config: RunConfig) -> keras.Model:
    n = enhancer.frames(config).coefficients
    return registry.build(config.model, n, n, **{"seed": config.seed, **config.option})


def _outputs_of(model: keras.Model):
    def outputs(features: np.ndarray, n_frames: np.ndarray) -> list[np.ndarray]:
        found = np.asarray(model.predict_on_batch({"features": features, "n_frames": n_frames}))
        return [values[:count] for values, count in zip(found, n_frames, strict=True)]

    return outputs


def _mean_square(truth: Sequence[np.ndarray], found) -> float:
    errors = [(np.sum((a - b) ** 2, dtype=np.float64), a.size) for a, b in zip(truth, found, strict=True)]
    total, count = np.sum(errors, axis=0)
    return float(total / count)
