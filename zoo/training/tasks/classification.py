"""The task of emotion networks: one of several classes per clip. zoo.training.tasks.base says what each function is
for.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.data.audio.read import BadClip
from zoo.data.augmentation.feature_augmentation import specaugment
from zoo.data.batches.clips import Example, moments, training_batches, whole_batches
from zoo.data.batches.feature_store import Features
from zoo.data.protocols.splits import Protocol
from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.features import augmented_copies, enhancer, joint_vector, speaker_normalization
from zoo.features.extractor import LEAST_SECONDS, Extractor, of_clip_functionals, of_layer
from zoo.frontends.compose import with_normalization
from zoo.frontends.log_mel import LogMel
from zoo.frontends.mfcc import CepstralStatistics
from zoo.inference.batching import predict, read_windows
from zoo.losses import class_weights
from zoo.metrics import classification
from zoo.reports import classification as report
from zoo.runs.model_file import frontend as frontend_of
from zoo.runs.model_file import load_model

SCORE = "validation_ua"
FIGURES = ("n_clips", "ua", "wa", "macro_f1", "confusion")
SHORT = ("n_clips", "ua", "wa", "validation_ua")

Row = dict[str, Any]


def frontend(config: RunConfig) -> keras.layers.Layer | None:
    if not registry.get(config.model).takes_waveforms:
        return None
    try:
        return _FRONTENDS[registry.get(config.model).frontend](config)
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


def _image(config: RunConfig) -> keras.layers.Layer:
    from zoo.frontends.deep_spectrum import DeepSpectrum  # its networks take seconds to import

    network = config.model.removesuffix("_svm")
    if not config.weights:
        raise UserError(
            f"--model {config.model} needs --weights FILE, those of {network} (docs/baselines.md says where from), or "
            "--weights random to try the program: features of a random network, no baseline"
        )
    return DeepSpectrum(network, config.weights, colormap=config.colormap, seed=config.seed, name="deep_spectrum")


_FRONTENDS = {"log_mel": _log_mel, "mfcc": _cepstral, "joint": joint_vector.frontend, "image": _image}


def extractor(config: RunConfig) -> Extractor:
    # With an enhancer the frames are kept: what it makes of them is another in each fold.
    layer = enhancer.frames(config) if config.enhancer else frontend(config)
    return of_layer(layer) if layer else of_clip_functionals(config.feature_set, config.functionals)


def check(config: RunConfig, protocol: Protocol) -> None:
    if not protocol.classes:
        raise UserError(
            f"--model {config.model} tells classes of emotion apart, and {protocol.name} has none. Choose another "
            "--corpus, or a network for continuous ratings (README has the table)"
        )
    if registry.get(config.model).frontend == "joint":
        joint_vector.check(config)
    frontend(config)
    _build(config, len(protocol.classes), config.option)
    if config.enhancer:
        enhancer.check(config)
    class_weights(config.class_weights, range(len(protocol.classes)), protocol.classes)
    if config.augment_waveforms != "none":
        augmented_copies.open_sounds(config, extractor(config).rate_hz)


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


def body(task, config: RunConfig) -> keras.Model | None:
    return joint_vector.body(config, task.name) if registry.get(config.model).frontend == "joint" else None


def network(task, config: RunConfig) -> keras.Model:
    task = _behind_enhancer(task, config, "train")
    bare = _build(config, len(task.outputs), {"seed": config.seed, **config.option})
    if registry.get(config.model).frontend == "log_mel":
        return with_normalization(*_moments(task), bare)
    if config.standardize == "none":
        return bare
    features = np.stack([features.read() for features in _heard(task)]).astype(np.float64)
    axes = 0 if config.standardize == "coefficient" else (0, 1)
    return with_normalization(features.mean(axis=axes), features.var(axis=axes), bare, least_variance=1e-12)


def _build(config: RunConfig, n_classes: int, options: Mapping[str, Any]) -> keras.Model:
    entry = registry.get(config.model)
    if entry.fitted == "linear":  # whose inputs are known when they are there
        return registry.build(config.model, n_classes, entry.shape[1], **options)
    if entry.frontend == "log_mel":
        return registry.build(config.model, n_classes, config.bands, **options)
    shape = _cepstral(config)
    return registry.build(config.model, n_classes, shape.channels, n_coefficients=shape.coefficients, **options)


def loss(config: RunConfig) -> str:
    return "sparse_categorical_crossentropy"


def batches(task, config: RunConfig) -> Callable[[int], Any]:
    task = _behind_enhancer(task, config, "train")
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
    task = _behind_enhancer(task, config, "validation")
    truth, examples = np.array([example.label for example in task.validation]), whole_batches(task.validation)

    def validate() -> dict[str, float]:
        output = np.asarray(model.predict(examples, verbose=0), np.float64)
        confusion = classification.confusion_matrix(truth, output.argmax(axis=-1), len(task.outputs))
        likelihood = np.maximum(output[np.arange(len(truth)), truth], 1e-12)
        return {
            "validation_loss": float(-np.log(likelihood).mean()),
            "validation_ua": float(classification.unweighted_accuracy(confusion)),
            "validation_wa": float(classification.weighted_accuracy(confusion)),
        }

    return validate


def in_words(row: Mapping[str, float]) -> str:
    return f"validation loss {row['validation_loss']:.3f}  UA {100 * row['validation_ua']:.1f} %"


def after_training(model_path: Path, task, config: RunConfig) -> None:
    """Nothing else is fitted. Saves the model again, complete, where an enhancer belongs in it."""
    if config.enhancer:
        enhancer.put_in(model_path, config, task.name)


def test_rows(
    folder: Path,
    clips: Sequence[Clip],
    protocol: Protocol,
    corpus: str,
    config: RunConfig,
    hear: Callable[[np.ndarray, str], np.ndarray] | None = None,
) -> list[Row]:
    """Returns one row per clip: corpus, clip, speaker, truth, prediction, and a probability per class as p_CLASS.

    From the saved model and the audio, as a user of the model would.
    """
    answerer = answerer_of(folder, config)
    names, voices = {clip.path: clip.name for clip in clips}, {clip.path: clip.speaker for clip in clips}
    outputs: list[np.ndarray] = []
    for window in answerer.read([clip.path for clip in clips], config.max_clip_seconds):
        heard = [hear(waveform, names[path]) if hear else waveform for path, waveform in window]
        outputs += answerer.answer(heard, [voices[path] for path, _ in window])
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


@dataclass(frozen=True)
class Answerer:
    """A fold's saved model: `answer` maps waveforms (samples,) of `rate_hz` and `least_seconds` or more to class
    probabilities. Its second argument, the speakers, matters to a run with --standardize-speakers alone.
    """

    answer: Callable[..., list[np.ndarray]]
    rate_hz: int
    least_seconds: float

    def read(
        self, paths: Sequence[Path], max_seconds: float, on_bad: Callable[[BadClip], None] | None = None
    ) -> Iterator[list[tuple[Path, np.ndarray]]]:
        """Yields clips as zoo.inference.batching.read_windows does."""
        return read_windows(paths, self.rate_hz, max_seconds, on_bad, self.least_seconds)


def answerer_of(folder: Path, config: RunConfig) -> Answerer:
    """Loads a fold's saved model. Raises UserError where there is none."""
    if registry.get(config.model).takes_waveforms:
        model = load_model(folder / "model.keras")
        rate_hz = frontend_of(model).rate_hz
        return Answerer(lambda waveforms, voices=(): predict(model, waveforms), rate_hz, LEAST_SECONDS)
    model, own = load_model(folder / "model.keras", waveforms=False), extractor(config)
    known = speaker_normalization.load(folder.parent) if config.standardize_speakers else None

    def answer(waveforms: Sequence[np.ndarray], voices: Sequence[str] = ()) -> list[np.ndarray]:
        if not waveforms:
            return []
        with ThreadPoolExecutor(own.threads) as pool:
            features = np.stack(list(pool.map(own.features, waveforms)))
        if known:
            features = np.stack([known.standardized(*pair) for pair in zip(features, voices, strict=True)])
        batch = {"features": features, "n_frames": np.ones(len(features), np.int32)}
        return list(np.asarray(model.predict_on_batch(batch)))

    return Answerer(answer, own.rate_hz, own.least_seconds)


def scores(rows: Sequence[Row], protocol: Protocol) -> dict[str, Any]:
    truth, prediction, voices = ([row[name] for row in rows] for name in ("truth", "prediction", "speaker"))
    return classification.evaluate(truth, prediction, protocol.classes, voices)


def plot(record: Mapping[str, Any], rows: Sequence[Row], folder: Path, title: str) -> None:
    report.plot_confusion(record["confusion"], record["classes"], folder / "confusion.png", title)


curves = report.plot_curves
print_metrics = report.print_metrics


def _behind_enhancer(task, config: RunConfig, side: str):
    """Returns the task with one side's examples as the network is to see them. An enhancer and the statistics behind it
    are the same in every epoch and far slower than the network, so they run here, not in training's steps.
    """
    return replace(task, **{side: enhancer.behind(getattr(task, side), config, task.name)}) if config.enhancer else task


def _moments(task) -> tuple[np.ndarray, np.ndarray]:
    return moments(_heard(task))


def _heard(task) -> list[Features]:
    """All that training hears. With altered copies, for noise moves coefficients by many deviations of clean ones."""
    return [features for example in task.train for features in (example.features, *example.versions)]
