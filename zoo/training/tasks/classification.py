"""Train and test classification: one of several emotions per utterance, and further targets (--also).

The interface is in base.py; what further targets need is in zoo/training/several_targets.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import registry
from zoo.config.run_config import RunConfig, heeds
from zoo.data import votes
from zoo.data.augmentation.feature_augmentation import shift_bands, specaugment, warp_bands
from zoo.data.batches.clips import Example, Mixing, moments, training_batches
from zoo.data.batches.feature_store import Features
from zoo.data.class_weights import class_weights
from zoo.data.corpora.pool import CORPUS, corpus_weights
from zoo.data.protocols.splits import Protocol
from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.features import augmented_copies, from_config, joint_vector
from zoo.frontends.compose import with_normalization
from zoo.frontends.mel_filterbank import mel_frequencies
from zoo.heads import column_names, heads_of
from zoo.inference.categorical import groups_of, load_classifier
from zoo.inference.predictor import checked, in_turn, read_all
from zoo.metrics import classification
from zoo.reports import classification as classification_report
from zoo.training import linear_head, several_targets
from zoo.training.tasks import class_validation
from zoo.training.tasks.base import Alter, Clips, Figures, Fitting, FoldData, Row
from zoo.training.tasks.class_validation import behind_enhancer
from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras

    from zoo.features import enhancer
    from zoo.models.weights import encoder_folder
    from zoo.training import auxiliary, encoder_tuning
else:
    keras, enhancer = lazy("keras"), lazy("zoo.features.enhancer")
    encoder_folder = lazy("zoo.models.weights.encoder_folder")
    auxiliary, encoder_tuning = lazy("zoo.training.auxiliary"), lazy("zoo.training.encoder_tuning")

report = classification_report
validator = class_validation.validator
FIGURES = Figures(
    score="validation_ua",
    compared=("n_clips", "ua", "wa", "macro_f1", "confusion"),
    short=("n_clips", "ua", "wa", "validation_ua"),
)


def check(config: RunConfig, protocol: Protocol) -> None:
    if not protocol.classes:
        found = f"--model {config.model} predicts classes of emotion, and {protocol.name} has none"
        raise UserError(
            f"{found}. Choose another --corpus, or a network for continuous ratings (ser train --help-all lists them)"
        )
    if registry.get(config.model).frontend == "joint":
        joint_vector.check(config)
    from_config.frontend(config)
    if registry.get(config.model).trains_without_keras:
        linear_head.check(config)
    elif config.trains_encoder:
        with keras.StatelessScope(initialize_variables=False):  # weights are counted before any is made
            encoder_tuning.check_memory(_build(config, len(protocol.classes), config.option), config)
    else:
        _build(config, len(protocol.classes), config.option)
    if config.enhancer:
        enhancer.check(config)
    class_weights(config.class_weights, range(len(protocol.classes)), protocol.classes)
    if config.augment_waveforms != "none":
        augmented_copies.open_sounds(config, from_config.rate_hz(config))


def examples(
    config: RunConfig, protocol: Protocol, features: Mapping[str, Features], clips: Clips, training: bool
) -> list[Example]:
    """Training examples are weighted; validation examples are sorted by length, which pads least."""
    classes, heads = protocol.classes, heads_of(config, protocol.classes)
    labels = [classes.index(clip.label) if clip.label in classes else -1 for clip in clips]
    weights = class_weights(
        config.class_weights if training else "none", [label for label in labels if label >= 0], classes
    )
    shares = corpus_weights(clips) if training and config.corpus_weights == "balanced" else [1.0] * len(clips)
    soft = training and config.soft_labels == "votes"
    found = [
        Example(
            features[clip.name],
            label,
            weights.get(clip.label, 1.0) * share,
            name=clip.name,
            corpus=clip.tags.get(CORPUS, ""),
            labels=several_targets.labels_of(clip, heads, votes.distribution(clip, classes) if soft else None),
        )
        for clip, label, share in zip(clips, labels, shares, strict=True)
    ]
    return found if training else sorted(found, key=lambda example: example.features.n_frames)


def fitting(fold: FoldData, config: RunConfig) -> Fitting:
    fold = behind_enhancer(fold, config, "train")
    # All that is trained on, altered copies too: noise moves coefficients by many deviations of clean ones.
    features = [item for example in fold.train for item in (example.features, *example.versions)]
    network = _build(config, len(fold.outputs), {"seed": config.seed, **config.option})
    if config.trains_encoder:
        encoder_tuning.load_weights(network, config)
    heads = heads_of(config, fold.outputs)
    loss: Any = "sparse_categorical_crossentropy"
    if len(heads) > 1:
        network, loss = several_targets.extended(network, heads, fold.train, config)
    elif config.mixup or config.label_smoothing or config.soft_labels != "none":
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing)
    extend = None
    if auxiliary.wanted(config):
        train, loss, extend = auxiliary.added(fold, heads, loss, config)
        fold = replace(fold, train=train)
    augment, fill = None, np.zeros((), np.float32)
    if registry.get(config.model).frontend == "log_mel":
        mean, variance = moments(features)
        network = with_normalization(mean, variance, network)
        fill = mean.astype(np.float32)
        augment = _augmentation(config, fill, fold.frontend.rate_hz)
    elif heeds(config.model, "standardize") and config.standardize != "none":
        values = np.stack([item.read() for item in features]).astype(np.float64)
        axes = 0 if config.standardize == "coefficient" else (0, 1)
        network = with_normalization(values.mean(axis=axes), values.var(axis=axes), network, least_variance=1e-12)
    crops = config.trains_encoder or heeds(config.model, "augment")
    longest_seconds = config.crop_seconds if crops else config.max_clip_seconds
    crop_frames = fold.frontend.n_frames(round(longest_seconds * fold.frontend.rate_hz))

    options: dict[str, Any] = {"seed": config.seed, "augment": augment, "tempo": config.tempo}
    options["sampling"] = config.sampling
    if config.mixup or config.label_smoothing or config.soft_labels != "none":
        options["mixing"] = Mixing(config.mixup, len(fold.outputs), fill)
    batches = partial(training_batches, fold.train, config.batch_size, crop_frames, **options)
    made = Fitting(network, loss, lambda epoch: batches(epoch=epoch))
    return made._replace(extend=extend) if extend else made


def _augmentation(
    config: RunConfig, fill: np.ndarray, rate_hz: int
) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """Return what is done to a clip's features, apart from its tempo; hidden bands and frames get the value `fill`."""
    frequencies_hz = mel_frequencies(config.bands + 2, rate_hz / 2, config.mel_scale)

    def augment(features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if config.band_shift:
            features = shift_bands(features, rng, config.band_shift)
        if config.band_warp:
            features = warp_bands(features, rng, config.band_warp, frequencies_hz)
        return specaugment(features, rng, fill) if config.augment == "specaugment" else features

    return augment


def _build(config: RunConfig, n_classes: int, options: Mapping[str, Any]) -> keras.Model:
    entry = registry.get(config.model)
    if entry.fitted == "linear":  # its inputs are known once features are extracted
        return registry.build(config.model, n_classes, entry.shape[1], **options)
    if entry.frontend == "log_mel":
        return registry.build(config.model, n_classes, config.bands, **options)
    if entry.frontend == "encoder":
        encoder = encoder_folder.describe(Path(config.weights)).config
        if not config.trains_encoder:
            return registry.build(config.model, n_classes, encoder.hidden, **options)
        from zoo.frontends.speech_encoder import chosen_states

        states = chosen_states(config.encoder_layer, encoder.n_layers, config.encoder_frames)
        return registry.build_fine_tuned(config.model, n_classes, encoder, states, config.encoder_frames, **options)
    shape = from_config.cepstral(config)
    return registry.build(config.model, n_classes, shape.channels, n_coefficients=shape.coefficients, **options)


def after_training(model_path: Path, fold: FoldData, config: RunConfig) -> None:
    if config.enhancer:
        enhancer.put_in(model_path, config, fold.name)


def test_rows(
    folder: Path,
    clips: Clips,
    protocol: Protocol,
    corpus: str,
    config: RunConfig,
    alter: Alter = None,
    features: Mapping[str, Features] | None = None,
) -> list[Row]:
    """Return a row per utterance: corpus, clip, speaker, truth, prediction, and the probability of class C as p_C.

    Columns of further targets follow, as zoo.training.several_targets names them. With `features` of a model that
    is trained without Keras, by the clip's name and as the model takes them, no audio is read.
    """
    if features is not None:
        vectors = np.concatenate([features[clip.name].read() for clip in clips])
        outputs = list(linear_head.read(folder / "model.keras", protocol.classes).probabilities(vectors))
        return [
            row_of(clip, checked(output, (None,), clip.path), protocol, corpus)
            for clip, output in zip(clips, outputs, strict=True)
        ]
    classifier = load_classifier(folder, config)
    outputs = []
    for some in in_turn(clips):
        paths = [clip.path for clip in some]
        waveforms: list[Any] = read_all(some, classifier.rate_hz, classifier.min_seconds, config.max_clip_seconds)
        if alter:
            waveforms = [alter(waveform, clip.name) for waveform, clip in zip(waveforms, some, strict=True)]
        found = classifier.outputs(waveforms, groups_of(some, config))
        shape = (len(column_names(classifier.heads)),)
        outputs += [checked(output, shape, path) for output, path in zip(found, paths, strict=True)]
    return [
        row_of(clip, output, protocol, corpus) | several_targets.columns(classifier.heads, clip, output)
        for clip, output in zip(clips, outputs, strict=True)
    ]


def row_of(clip: Clip, output: np.ndarray, protocol: Protocol, corpus: str) -> Row:
    """Return the row of a clip by a model's output, which begins with the probabilities of the classes."""
    own = clip.tags.get(CORPUS)  # of several
    if own:
        corpus = f"synthetic {own}" if corpus.startswith("synthetic ") else own
    probabilities = output[: len(protocol.classes)]
    return {
        "corpus": corpus,
        "clip": clip.name,
        "speaker": clip.speaker,
        "truth": clip.label,
        "prediction": protocol.classes[int(np.argmax(probabilities))],
        **{f"p_{name}": f"{value:.6f}" for name, value in zip(protocol.classes, probabilities, strict=True)},
    }


def scores(rows: Sequence[Row], protocol: Protocol) -> dict[str, Any]:
    truth, prediction, speakers = ([row[name] for row in rows] for name in ("truth", "prediction", "speaker"))
    found = {**classification.evaluate(truth, prediction, protocol.classes, speakers), **several_targets.scores(rows)}
    corpora = list(dict.fromkeys(row["corpus"] for row in rows))
    if len(corpora) > 1:
        found["per_corpus"] = {name: _of_corpus(rows, name, protocol) for name in corpora}
    return found


def _of_corpus(rows: Sequence[Row], corpus: str, protocol: Protocol) -> dict[str, Any]:
    """Return the figures of one of several corpora."""
    own = [row for row in rows if row["corpus"] == corpus]
    found = scores(own, protocol)
    return {name: found[name] for name in ("n_clips", "n_speakers", "ua", "wa", "absent_classes")}
