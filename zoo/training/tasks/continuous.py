"""Train and test ratings: arousal and valence for every frame of a recording. The interface is in base.py."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, product
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo import losses, registry
from zoo.config import frame_timing as timing
from zoo.config.frame_timing import RATE_HZ, frame_seconds, on_segments, on_waveforms
from zoo.config.run_config import RunConfig
from zoo.data.audio.recording import check_finite
from zoo.data.augmentation.feature_augmentation import perturb_voice
from zoo.data.batches.clips import moments
from zoo.data.batches.feature_store import Features
from zoo.data.batches.segments import Perturb, Rated, check_changes, segment_batches
from zoo.data.corpora.alignment import frame_labels
from zoo.data.protocols.splits import Protocol
from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.features import augmented_copies, enhancer, from_config, noisy_copies
from zoo.frontends.compose import with_normalization
from zoo.frontends.opensmile import FEATURE_SETS
from zoo.frontends.speech_encoder import ALL
from zoo.inference import postprocess
from zoo.inference.continuous import load_rater, tracer_of
from zoo.metrics import regression
from zoo.models.weights import encoder_folder
from zoo.reports import continuous as continuous_report
from zoo.runs.folder import fold_name
from zoo.runs.model_file import load_model, looks_at_whole_segments, network_of
from zoo.training import same_audio
from zoo.training.tasks.base import Alter, Clips, Figures, Fitting, FoldData, Row, not_finite

report = continuous_report
FIGURES = Figures(
    score="validation_ccc",
    compared=("n_recordings", "n_frames", "ccc", "dimensions", "postprocessed"),
    short=("n_recordings", "ccc", "validation_ccc"),
)


def check(config: RunConfig, protocol: Protocol) -> None:
    if not protocol.targets:
        found = (
            f"--model {config.model} predicts ratings all along a recording, and {protocol.name} has classes of emotion"
        )
        raise UserError(f"{found}. Choose another --corpus, or a network for classes (see ser train --help-all)")
    if config.perturb != "none" and not on_waveforms(config):
        raise UserError(f"--perturb {config.perturb} is for waveforms, {config.model} takes features. Leave it out")
    if config.perturb == "noise":
        augmented_copies.open_sounds(config, RATE_HZ)
    if registry.get(config.model).fitted == "linear":
        _check_linear(config)
    if on_segments(config):
        _whole_frames("--segment-seconds", config.segment_seconds, config)
    _whole_frames("--label-delay-seconds", config.label_delay_seconds, config)
    network = _build(config, len(protocol.targets))
    given = f"--label-delay-seconds is {config.label_delay_seconds:g}"
    if config.label_delay_seconds < 0 and looks_at_whole_segments(network):
        raise UserError(f"{given}, but {config.model} looks at segments as wholes and not beyond them. Give 0 or more")
    if on_segments(config) and -config.label_delay_seconds >= config.segment_seconds:
        found = f"{given}: training sees all of a segment of {config.segment_seconds:g} s before it rates"
        raise UserError(f"{found}. Give one nearer to 0, or a longer --segment-seconds")


def _whole_frames(flag: str, seconds: float, config: RunConfig) -> None:
    frames, step = seconds / frame_seconds(config), frame_seconds(config)
    if abs(frames - round(frames)) > 1e-6:
        expected = f"expected a multiple of a frame's {step:g} s"
        raise UserError(f"{flag} is {seconds}, {expected}. Try {(round(frames) or 1) * step:g}")


def _check_linear(config: RunConfig) -> None:
    if config.solver != "liblinear":
        raise UserError(f"--solver {config.solver} is for classes; ratings are fitted with --solver liblinear")
    if from_config.frontend(config) and abs(timing.FRAME_SECONDS * 1000 / config.hop_ms % 1) > 1e-9:
        raise UserError(
            f"--hop-ms is {config.hop_ms}, expected a whole part of a rating's {1000 * timing.FRAME_SECONDS:g} ms"
        )
    if registry.get(config.model).frontend == "mfcc_frames":
        _whole_frames("--functional-seconds", config.functional_seconds, config)
    if config.is_fitted_in_noise:
        noisy_copies.open_for(config, RATE_HZ)
    if config.enhancer:
        enhancer.check(config)
    elif config.enhanced != "all":
        raise UserError(f"--enhanced {config.enhanced} has no effect without --enhancer RUN; add that, or leave it out")


def examples(
    config: RunConfig, protocol: Protocol, features: Mapping[str, Features], clips: Clips, training: bool
) -> list[Rated]:
    if config.is_fitted_in_noise:
        own, side = from_config.extractor(config), "train" if training else "validation"
        noisy = noisy_copies.extract_noisy(config, own, clips, side)
        for clip, one in product(clips, noisy.values()):
            same_audio.check(clip, features, one[clip.name].audio_sha256)
        found = [_rated(config, clip, one[clip.name]) for one in noisy.values() for clip in clips]
    else:
        found = [_rated(config, clip, features[clip.name]) for clip in clips]
    for recording in found:
        if training and on_segments(config) and len(recording.labels) < timing.segment_frames(config):
            seconds = len(recording.labels) * frame_seconds(config)
            expected = f"expected at least a segment of {config.segment_seconds:g} s"
            raise UserError(f"{recording.name} is {seconds:g} s long, {expected}. Give a smaller --segment-seconds")
    if not training:
        check_changes(found, protocol.targets)
    return found


def fitting(fold: FoldData, config: RunConfig) -> Fitting:
    """Waveforms are standardised by their front-end, functionals by the training set's moments, hidden states each."""
    network = _build(config, len(fold.outputs))
    if registry.get(config.model).frontend == "functionals":
        # Functionals differ in size by orders of magnitude: only constant ones keep theirs.
        network = with_normalization(*moments(item.features for item in fold.train), network, least_variance=0.0)
    perturb: Perturb | None = perturb_voice if config.perturb == "voice" else None
    if config.perturb == "noise":
        perturb = augmented_copies.noise_perturbation(config, RATE_HZ)

    look_ahead = max(0, -timing.delay_frames(config))
    frames = timing.segment_frames(config)

    def batches(epoch: int):
        options: dict[str, Any] = {"seed": config.seed, "epoch": epoch, "perturb": perturb}
        return segment_batches(fold.train, config.batch_size, frames, unheard_frames=look_ahead, **options)

    return Fitting(network, losses.get_loss(config.loss, config.loss_reduction), batches)


def validator(model: keras.Model, fold: FoldData, config: RunConfig) -> Callable[[], dict[str, float]]:
    """Validation is on whole recordings, pooled, before any post-processing."""
    trace = tracer_of(model, config)

    def validate() -> dict[str, float]:
        truth = [item.labels[item.rated] for item in fold.validation]
        prediction = [trace(item.features.read())[item.rated] for item in fold.validation]
        if not all(np.isfinite(values).all() for values in prediction):
            raise not_finite(fold, config)
        by_dimension = regression.ccc(np.concatenate(truth), np.concatenate(prediction))
        names = [f"{FIGURES.score}_{name}" for name in fold.outputs]
        return {FIGURES.score: float(np.mean(by_dimension)), **dict(zip(names, map(float, by_dimension), strict=True))}

    return validate


def after_training(model_path: Path, fold: FoldData, config: RunConfig) -> None:
    """Fit the post-processing on the validation predictions of the best epoch."""
    trace = tracer_of(network_of(load_model(model_path, registry.get(config.model).takes_waveforms)), config)
    labels, rated = [item.labels for item in fold.validation], [item.rated for item in fold.validation]
    predictions = [trace(item.features.read()) for item in fold.validation]
    chain = postprocess.fit(labels, predictions, fold.outputs, frame_seconds(config), rated)
    postprocess.save(chain, fold.folder / "postprocess.json")


def test_rows(
    folder: Path, clips: Clips, protocol: Protocol, corpus: str, config: RunConfig, alter: Alter = None
) -> list[Row]:
    """Return a row per frame: corpus, fold, clip, speaker, time in seconds, and for every dimension D truth_D (empty
    where nobody rated), D as predicted, and postprocessed_D.

    The truth is the raters' own, at the time they gave it, whatever delay training took off.
    """
    rater, rows = load_rater(folder, config), []
    for clip in clips:
        own = (lambda waveform, name=clip.name: alter(waveform, name)) if alter else None
        prediction, smooth = rater.file(clip.path, config.max_clip_seconds, own).swapaxes(0, 1)
        check_finite(prediction, clip.path, "ratings")
        truth, rated = _labels(replace(config, label_delay_seconds=0.0), clip, len(prediction))
        for frame, values in enumerate(zip(truth, prediction, smooth, strict=True)):
            row: Row = {"corpus": corpus, "fold": fold_name(folder), "clip": clip.name, "speaker": clip.speaker}
            row["time"] = f"{frame * frame_seconds(config):.2f}"
            for name, label, raw, better in zip(protocol.targets, *values, strict=True):
                row[f"truth_{name}"] = f"{label:.6f}" if rated[frame] else ""
                row[name], row[f"postprocessed_{name}"] = f"{raw:.6f}", f"{better:.6f}"
            rows.append(row)
    return rows


def scores(rows: Sequence[Row], protocol: Protocol) -> dict[str, Any]:
    """Figures before and, as "postprocessed", after post-processing."""
    clips = [list(group) for _, group in groupby(rows, key=lambda row: (row["fold"], row["clip"]))]
    rated = [[row for row in clip if row[f"truth_{protocol.targets[0]}"] != ""] for clip in clips]
    speakers = [clip[0]["speaker"] for clip in clips]

    def column(prefix: str) -> list[np.ndarray]:
        return [np.array([[float(row[prefix + name]) for name in protocol.targets] for row in clip]) for clip in rated]

    truth = column("truth_")
    before, after = (
        regression.evaluate(truth, column(kind), protocol.targets, speakers) for kind in ("", "postprocessed_")
    )
    return {**before, "postprocessed": after}


def _build(config: RunConfig, n_outputs: int) -> keras.Model:
    entry = registry.get(config.model)
    n_inputs = 1 if on_waveforms(config) else FEATURE_SETS[config.feature_set]
    options: dict[str, Any] = {"seed": config.seed}
    if entry.fitted == "linear":  # its inputs are known once features are extracted
        n_inputs = entry.shape[1]
    if entry.frontend == "encoder":
        encoder = encoder_folder.describe(from_config.encoder_weights(config)).config
        options["states"] = encoder.n_layers + 1 if config.encoder_layer == ALL else 1
        n_inputs = options["states"] * encoder.hidden
    return registry.build(config.model, n_outputs, n_inputs, **{**options, **config.option})


def _rated(config: RunConfig, clip: Clip, features: Features) -> Rated:
    steps = timing.steps_per_frame(config)
    labels, rated = _labels(config, clip, features.n_frames // steps)
    return Rated(clip.name, features, labels, rated, steps)


def _labels(config: RunConfig, clip: Clip, n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    assert clip.trace is not None  # the protocol has targets
    return frame_labels(clip.trace, n_frames, frame_seconds(config), config.label_delay_seconds, clip.name)
