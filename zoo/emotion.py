"""The task of emotion networks: one of several classes per clip. zoo.kinds says what each function is for."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo import metrics, registry, report
from zoo.cepstra import CepstralStatistics
from zoo.config import RunConfig
from zoo.data.augment import specaugment
from zoo.data.divisions import Protocol
from zoo.data.features import Features
from zoo.data.pipeline import Example, moments, training_batches, whole_batches
from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.extractor import Extractor, of_layer
from zoo.frontends import LogMel, with_normalization
from zoo.losses import class_weights
from zoo.predict import frontend as frontend_of
from zoo.predict import load_model, predict, read_windows

SCORE = "validation_ua"
FIGURES = ("n_clips", "ua", "wa", "macro_f1", "confusion")
SHORT = ("n_clips", "ua", "wa", "validation_ua")

Row = dict[str, Any]


def frontend(config: RunConfig) -> LogMel | CepstralStatistics:
    build = _cepstral if registry.get(config.model).frontend == "mfcc" else _log_mel
    try:
        return build(config)
    except ValueError as error:
        raise UserError(f"front-end: {error}") from error


def _log_mel(config: RunConfig) -> LogMel:
    return LogMel(
        window_ms=config.window_ms,
        hop_ms=config.hop_ms,
        bands=config.bands,
        mel_scale=config.mel_scale,
        floor=config.floor,
        name="log_mel",
    )


def _cepstral(config: RunConfig) -> CepstralStatistics:
    return CepstralStatistics(
        rate_hz=config.rate_hz,
        window_ms=config.window_ms,
        hop_ms=config.hop_ms,
        coefficients=config.coefficients,
        mel_bands=config.mel_bands,
        statistics=config.statistics,
        peak_normalize=config.amplitude == "peak",
        name="cepstral_statistics",
    )


def extractor(config: RunConfig) -> Extractor:
    return of_layer(frontend(config))


def check(config: RunConfig, protocol: Protocol) -> None:
    if not protocol.classes:
        raise UserError(
            f"--model {config.model} tells classes of emotion apart, and {protocol.name} has none. Choose another "
            "--corpus, or a network for continuous ratings (README has the table)"
        )
    _build(config, len(protocol.classes), config.option)
    class_weights(config.class_weights, range(len(protocol.classes)), protocol.classes)


def examples(
    config: RunConfig, protocol: Protocol, features: Mapping[str, Features], clips: Sequence[Clip], training: bool
) -> list[Example]:
    """Training examples are weighted; validation examples are sorted by length, which pads least."""
    labels = [protocol.classes.index(clip.label) for clip in clips]
    weights = class_weights(config.class_weights if training else "none", labels, protocol.classes)
    found = [
        Example(features[clip.name], label, weights[clip.label]) for clip, label in zip(clips, labels, strict=True)
    ]
    return found if training else sorted(found, key=lambda example: example.features.n_frames)


def network(task, config: RunConfig) -> keras.Model:
    bare = _build(config, len(task.outputs), {"seed": config.seed, **config.option})
    if registry.get(config.model).frontend == "log_mel":
        return with_normalization(*_moments(task), bare)
    if config.standardize == "none":
        return bare
    features = np.stack([example.features.read() for example in task.train]).astype(np.float64)
    axes = 0 if config.standardize == "coefficient" else (0, 1)
    return with_normalization(features.mean(axis=axes), features.var(axis=axes), bare, least_variance=1e-12)


def _build(config: RunConfig, n_classes: int, options: Mapping[str, Any]) -> keras.Model:
    shape = frontend(config)
    if isinstance(shape, LogMel):
        return registry.build(config.model, n_classes, shape.bands, **options)
    return registry.build(config.model, n_classes, shape.channels, n_coefficients=shape.coefficients, **options)


def loss(config: RunConfig) -> str:
    return "sparse_categorical_crossentropy"


def batches(task, config: RunConfig) -> Callable[[int], Any]:
    crop_frames = task.frontend.n_frames(round(config.crop_seconds * task.frontend.rate_hz))
    augment = None
    if config.augment == "specaugment":
        augment = partial(specaugment, fill=_moments(task)[0].astype(np.float32))

    def epoch_batches(epoch: int):
        return training_batches(
            task.train, config.batch_size, crop_frames, seed=config.seed, epoch=epoch, augment=augment
        )

    return epoch_batches


def validator(model: keras.Model, task, config: RunConfig) -> Callable[[], dict[str, float]]:
    truth, examples = np.array([example.label for example in task.validation]), whole_batches(task.validation)

    def validate() -> dict[str, float]:
        output = np.asarray(model.predict(examples, verbose=0), np.float64)
        confusion = metrics.confusion_matrix(truth, output.argmax(axis=-1), len(task.outputs))
        likelihood = np.maximum(output[np.arange(len(truth)), truth], 1e-12)
        return {
            "validation_loss": float(-np.log(likelihood).mean()),
            "validation_ua": float(metrics.unweighted_accuracy(confusion)),
            "validation_wa": float(metrics.weighted_accuracy(confusion)),
        }

    return validate


def in_words(row: Mapping[str, float]) -> str:
    return f"validation loss {row['validation_loss']:.3f}  UA {100 * row['validation_ua']:.1f} %"


def after_training(model_path: Path, task, config: RunConfig) -> None:
    """Nothing else is fitted."""


def test_rows(folder: Path, clips: Sequence[Clip], protocol: Protocol, corpus: str, config: RunConfig) -> list[Row]:
    """Returns one row per clip: corpus, clip, speaker, truth, prediction, and a probability per class as p_CLASS.

    From the saved model and the audio, as a user of the model would.
    """
    model = load_model(folder / "model.keras")
    windows = read_windows([clip.path for clip in clips], frontend_of(model).rate_hz, config.max_clip_seconds)
    outputs = [output for window in windows for output in predict(model, [waveform for _, waveform in window])]
    return [
        {
            "corpus": corpus,
            "clip": clip.name,
            "speaker": clip.speaker,
            "truth": clip.label,
            "prediction": protocol.classes[int(np.argmax(output))],
            **{f"p_{name}": f"{value:.6f}" for name, value in zip(protocol.classes, output, strict=True)},
        }
        for clip, output in zip(clips, outputs, strict=True)
    ]


def scores(rows: Sequence[Row], protocol: Protocol) -> dict[str, Any]:
    truth, prediction, speakers = ([row[name] for row in rows] for name in ("truth", "prediction", "speaker"))
    return metrics.evaluate(truth, prediction, protocol.classes, speakers)


def plot(record: Mapping[str, Any], rows: Sequence[Row], folder: Path, title: str) -> None:
    report.plot_confusion(record["confusion"], record["classes"], folder / "confusion.png", title)


curves = report.plot_curves
print_metrics = report.print_metrics


def _moments(task) -> tuple[np.ndarray, np.ndarray]:
    return moments(example.features for example in task.train)
