"""The task of continuous networks: arousal and valence for every frame. zoo.training.tasks.base says what each function
is for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo import losses, registry
from zoo.config.frame_timing import (
    FRAME_SECONDS,
    RATE_HZ,
    delay_frames,
    frame_seconds,
    on_segments,
    on_waveforms,
    segment_frames,
    steps_per_frame,
)
from zoo.config.run_config import RunConfig, heeds
from zoo.data.audio.blocks import seconds_of
from zoo.data.audio.read import read
from zoo.data.augmentation.feature_augmentation import perturb_voice
from zoo.data.batches.clips import moments
from zoo.data.batches.feature_store import Features
from zoo.data.batches.segments import Perturb, Rated, check_changes, segment_batches
from zoo.data.corpora.alignment import frame_labels
from zoo.data.protocols.splits import Protocol
from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.features import augmented_copies, enhancer, noisy_copies
from zoo.features.extractor import Extractor, of_functionals, of_layer
from zoo.frontends.compose import with_normalization
from zoo.frontends.mfcc import mfcc_frames
from zoo.frontends.opensmile import FEATURE_SETS
from zoo.frontends.waveform import StandardWaveform
from zoo.inference import postprocess
from zoo.inference.long_recordings import WHOLE_SECONDS, Tracer, trace_long, tracer
from zoo.layers.window_statistics import WindowStatistics
from zoo.metrics import regression
from zoo.reports import continuous
from zoo.runs import upstream_runs
from zoo.runs.folder import fold_name
from zoo.runs.model_file import load_model, looks_at_whole_segments, network_of

SCORE = "validation_ccc"
FIGURES = ("n_recordings", "n_frames", "ccc", "dimensions", "postprocessed")
SHORT = ("n_recordings", "ccc", "validation_ccc")

Row = dict[str, Any]


def frontend(config: RunConfig) -> keras.layers.Layer | None:
    if registry.get(config.model).frontend == "mfcc_frames":
        return mfcc_frames(config.window_ms, config.hop_ms)
    return StandardWaveform(name="waveform_frontend") if on_waveforms(config) else None


def extractor(config: RunConfig) -> Extractor:
    if layer := frontend(config):
        return of_layer(layer)
    return of_functionals(config.feature_set, config.functional_seconds, frame_seconds(config))


def check(config: RunConfig, protocol: Protocol) -> None:
    if not protocol.targets:
        raise UserError(
            f"--model {config.model} predicts ratings all along a recording, and {protocol.name} has classes of "
            "emotion. Choose another --corpus, or a network for classes (README has the table)"
        )
    if config.perturb != "none" and not on_waveforms(config):
        raise UserError(
            f"--perturb {config.perturb} is for waveforms, and {config.model} is on functionals. Leave it out"
        )
    if config.perturb == "noise":
        augmented_copies.open_sounds(config, RATE_HZ)
    if registry.get(config.model).fitted == "linear":
        _check_linear(config)
    if on_segments(config):
        _whole_frames("--segment-seconds", config.segment_seconds, config)
    _whole_frames("--label-delay-seconds", config.label_delay_seconds, config)
    network = _build(config, len(protocol.targets))
    if config.label_delay_seconds < 0 and on_segments(config):
        _check_ahead(network, config)


def _check_ahead(network: keras.Model, config: RunConfig) -> None:
    given = f"--label-delay-seconds is {config.label_delay_seconds:g}"
    if looks_at_whole_segments(network):
        raise UserError(
            f"{given}, which is for networks that go through recordings: {config.model} looks at segments as wholes, "
            "and does not hear beyond them. Give 0 or more"
        )
    if -config.label_delay_seconds >= config.segment_seconds:
        raise UserError(
            f"{given}: training hears all of a segment of {config.segment_seconds:g} s before it rates anything. Give "
            "one nearer to 0, or a longer --segment-seconds"
        )


def _whole_frames(flag: str, seconds: float, config: RunConfig) -> None:
    frames, step = seconds / frame_seconds(config), frame_seconds(config)
    if abs(frames - round(frames)) > 1e-6:
        raise UserError(
            f"{flag} is {seconds}, expected a multiple of a frame's {step:g} s. Try {(round(frames) or 1) * step:g}"
        )


def _check_linear(config: RunConfig) -> None:
    if config.solver != "liblinear":
        raise UserError(f"--solver {config.solver} is for classes; ratings are fitted with --solver liblinear")
    if frontend(config) and abs(FRAME_SECONDS * 1000 / config.hop_ms % 1) > 1e-9:
        raise UserError(f"--hop-ms is {config.hop_ms}, expected a whole part of a rating's {1000 * FRAME_SECONDS:g} ms")
    if registry.get(config.model).frontend == "mfcc_frames":
        _whole_frames("--functional-seconds", config.functional_seconds, config)
    if heeds(config.model, "heard"):
        _check_noise(config)
    if config.enhancer:
        enhancer.check(config)


def _check_noise(config: RunConfig) -> None:
    if config.enhance != "none" and (config.heard == "noisy" or config.enhancer):
        raise UserError(
            f"--enhance {config.enhance} trains runs with --heard noisy and --enhancer itself; leave these out"
        )
    if config.enhance != "none" or config.heard == "noisy":
        noisy_copies.open_for(config, RATE_HZ)
        return
    for name in ("noise", "noise_split", "snr", "snr_level"):
        if getattr(config, name) != getattr(RunConfig, name):
            raise UserError(
                f"--{name.replace('_', '-')} has no effect on {config.model} without --enhance matched or mixed, or "
                "--heard noisy; add one of them, or leave it out"
            )


def examples(
    config: RunConfig, protocol: Protocol, features: Mapping[str, Features], clips: Sequence[Clip], training: bool
) -> list[Rated]:
    if config.heard == "noisy":
        own, side = extractor(config), "train" if training else "validation"
        heard = noisy_copies.extract_heard(config, own.features, own.settings, clips, side, own.rate_hz)
        found = [_rated(config, clip, one[clip.name]) for one in heard.values() for clip in clips]
    else:
        found = [_rated(config, clip, features[clip.name]) for clip in clips]
    for recording in found:
        if training and on_segments(config) and len(recording.labels) < segment_frames(config):
            seconds = len(recording.labels) * frame_seconds(config)
            raise UserError(
                f"{recording.name} is {seconds:g} s long, expected at least a segment of {config.segment_seconds:g} s. "
                "Give a smaller --segment-seconds"
            )
    if not training:
        check_changes(found, protocol.targets)
    return found


def body(task, config: RunConfig) -> keras.Model | None:
    if registry.get(config.model).frontend != "mfcc_frames":
        return None
    features = keras.Input((None, task.frontend.coefficients), name="features")
    n_frames = keras.Input((), dtype="int32", name="n_frames")
    hop = steps_per_frame(config)
    window = round(config.functional_seconds / FRAME_SECONDS) * hop
    inputs = {"features": features, "n_frames": n_frames}
    if config.enhancer:
        features = enhancer.load(upstream_runs.folder_of("enhancer", config, task.name))(inputs)
    statistics = WindowStatistics(window, hop, name="window_statistics")(features, n_frames)
    return keras.Model(inputs, statistics, name="statistics")


def network(task, config: RunConfig) -> keras.Model:
    """Waveforms are standardised by their front-end, functionals by the training set's moments."""
    built = _build(config, len(task.outputs))
    if on_waveforms(config):
        return built
    # Functionals are of all sizes: only those that never vary are held back.
    return with_normalization(*moments(item.features for item in task.train), built, least_variance=0.0)


def loss(config: RunConfig) -> keras.losses.Loss:
    return losses.get_loss(config.loss)


def batches(task, config: RunConfig) -> Callable[[int], Any]:
    perturb: Perturb | None = perturb_voice if config.perturb == "voice" else None
    if config.perturb == "noise":
        perturb = augmented_copies.noise_perturbation(config, RATE_HZ)

    def epoch_batches(epoch: int):
        frames = segment_frames(config)
        return segment_batches(
            task.train,
            config.batch_size,
            frames,
            seed=config.seed,
            epoch=epoch,
            perturb=perturb,
            unheard_frames=max(0, -delay_frames(config)),
        )

    return epoch_batches


def validator(model: keras.Model, task, config: RunConfig) -> Callable[[], dict[str, float]]:
    """Validation is on whole recordings, pooled, before any post-processing."""
    trace = tracer_of(model, config)

    def validate() -> dict[str, float]:
        truth, prediction = zip(
            *((item.labels[item.rated], trace(item.features.read())[item.rated]) for item in task.validation),
            strict=True,
        )
        if not all(np.isfinite(values).all() for values in prediction):
            raise UserError(
                f"fold {task.name}: the network predicts values that are not finite. Try a lower --learning-rate than "
                f"{config.learning_rate}, or --precision float32"
            )
        by_dimension = regression.ccc(np.concatenate(truth), np.concatenate(prediction))
        figures = {f"{SCORE}_{name}": float(value) for name, value in zip(task.outputs, by_dimension, strict=True)}
        return {SCORE: float(np.mean(by_dimension)), **figures}

    return validate


def in_words(row: Mapping[str, float]) -> str:
    figures = (f"{key.rpartition('_')[2]} {value:.3f}" for key, value in row.items() if key.startswith(f"{SCORE}_"))
    return f"validation CCC {'  '.join(figures)}"


def after_training(model_path: Path, task, config: RunConfig) -> None:
    """Fits the post-processing on the validation predictions of the best epoch."""
    trace = tracer_of(network_of(load_model(model_path, registry.get(config.model).takes_waveforms)), config)
    predictions = [trace(item.features.read()) for item in task.validation]
    chain = postprocess.fit(
        [item.labels for item in task.validation],
        predictions,
        task.outputs,
        frame_seconds(config),
        [item.rated for item in task.validation],
    )
    postprocess.save(chain, task.folder / "postprocess.json")


def test_rows(
    folder: Path,
    clips: Sequence[Clip],
    protocol: Protocol,
    corpus: str,
    config: RunConfig,
    hear: Callable[[np.ndarray, str], np.ndarray] | None = None,
) -> list[Row]:
    """Returns a row per frame: corpus, fold, clip, speaker, time in seconds, then for every dimension D truth_D (empty
    where nobody rated), D as predicted, and postprocessed_D.

    From the saved model and the audio, as a user of the model would. The truth is the raters' own, at the time they
    gave it, whatever delay training took off.
    """
    predict = predictor(folder, config)
    rows: list[Row] = []
    for clip in clips:
        own = (lambda waveform, name=clip.name: hear(waveform, name)) if hear else None
        prediction, smooth = predict(clip.path, own)
        truth, rated = _labels(replace(config, label_delay_seconds=0.0), clip, len(prediction))
        for frame, values in enumerate(zip(truth, prediction, smooth, strict=True)):
            row: Row = {"corpus": corpus, "fold": fold_name(folder), "clip": clip.name, "speaker": clip.speaker}
            row["time"] = f"{frame * frame_seconds(config):.2f}"
            for name, label, raw, better in zip(protocol.targets, *values, strict=True):
                row[f"truth_{name}"] = f"{label:.6f}" if rated[frame] else ""
                row[name], row[f"postprocessed_{name}"] = f"{raw:.6f}", f"{better:.6f}"
            rows.append(row)
    return rows


def predictor(folder: Path, config: RunConfig, max_seconds: float = 0.0) -> Callable[..., tuple[np.ndarray, ...]]:
    """Returns a function from an audio file to its ratings (frames, dimensions) by a fold's saved model: as predicted,
    and post-processed.

    Both are at the raters' time: moved from the voice's by the delay that training took off. The function raises
    BadClip for a file that cannot be used or is longer than `max_seconds` (0: as the configuration has it). Given a
    second argument, a function of waveforms, it rates what that makes of the file.
    """
    network = network_of(load_model(folder / "model.keras", registry.get(config.model).takes_waveforms))
    chain = postprocess.load(folder / "postprocess.json")
    trace, features = tracer_of(network, config), extractor(config).features
    most, least = max_seconds or config.max_clip_seconds, frame_seconds(config)

    def ratings(path: Path, hear: Callable[[np.ndarray], np.ndarray] | None = None) -> tuple[np.ndarray, ...]:
        if on_waveforms(config) and not hear and seconds_of(path) > WHOLE_SECONDS:
            raw = trace_long(path, network, trace, steps_per_frame(config), segment_frames(config), RATE_HZ, most)
        else:
            waveform = read(path, RATE_HZ, min_seconds=least, max_seconds=most)
            raw = trace(features(hear(waveform) if hear else waveform))
        return tuple(_delayed(values, config) for values in (raw, postprocess.apply(chain, raw)))

    return ratings


def _delayed(ratings: np.ndarray, config: RunConfig) -> np.ndarray:
    return ratings[np.clip(np.arange(len(ratings)) - delay_frames(config), 0, len(ratings) - 1)]


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


def plot(record: Mapping[str, Any], rows: Sequence[Row], folder: Path, title: str) -> None:
    continuous.plot_traces(rows, list(record["dimensions"]), folder / "traces.png", title)


curves = continuous.plot_curves
print_metrics = continuous.print_metrics


def _build(config: RunConfig, n_outputs: int) -> keras.Model:
    entry = registry.get(config.model)
    if entry.fitted == "linear":  # whose inputs are known when they are there
        return registry.build(config.model, n_outputs, entry.shape[1], **{"seed": config.seed, **config.option})
    n_inputs = 1 if on_waveforms(config) else FEATURE_SETS[config.feature_set]
    return registry.build(config.model, n_outputs, n_inputs, **{"seed": config.seed, **config.option})


def tracer_of(model: keras.Model, config: RunConfig) -> Tracer:
    return tracer(model, steps_per_frame(config), segment_frames(config))


def _rated(config: RunConfig, clip: Clip, features: Features) -> Rated:
    steps = steps_per_frame(config)
    labels, rated = _labels(config, clip, features.n_frames // steps)
    return Rated(clip.name, features, labels, rated, steps)


def _labels(config: RunConfig, clip: Clip, n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    assert clip.trace is not None  # the protocol has targets
    return frame_labels(clip.trace, n_frames, frame_seconds(config), config.label_delay_seconds, clip.name)
