"""Build the graph of an exported run: from requests to answers in TensorFlow's own operations, without Python.

An invalid request ends in an error that names the limit, as a server has no other way to report it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from zoo.confidence.fit import Fit
from zoo.confidence.temperature import LEAST_PROBABILITY
from zoo.data.audio.recording import BAD_KINDS, LOUDEST, QUIETEST
from zoo.export import all_targets, half_weights, stream_signature, wav_decoder
from zoo.export.chains import postprocessed
from zoo.export.confidence_signature import with_confidence
from zoo.export.wav_decoder import refuse_unless
from zoo.heads import Heads
from zoo.inference import embedding
from zoo.inference.exchanged import exchanged
from zoo.inference.postprocess import PostProcess
from zoo.serving.description import EMBEDDING, WITH_CONFIDENCE

Answers = dict[str, tf.Tensor]
Answer = Callable[[tf.Tensor, tf.Tensor], Answers]
_REQUEST = [tf.TensorSpec((None, None), tf.float32, "waveform"), tf.TensorSpec((None,), tf.int32, "n_samples")]


@dataclass(frozen=True)
class Plan:
    """What a graph does besides running its networks.

    `shortest` and `longest` are in samples of `rate_hz` (in frames without a front-end). For ratings: a frame is
    `steps_per_frame` steps of the features; networks on whole segments get consecutive ones of `segment_frames` (0:
    whole recordings); `chains` holds each network's post-processing, or nothing; ratings come `delay_frames` later, or
    earlier below 0. For classes, logarithms of probabilities are divided by `temperature`, and `confidence`, where it
    is fitted, has a signature of its own. `heads` are those of several targets, nothing for one.
    """

    outputs: tuple[str, ...]
    shortest: int
    longest: int
    rate_hz: int = 16_000
    temperature: float = 1.0
    steps_per_frame: int = 0  # 0: classes
    segment_frames: int = 0
    delay_frames: int = 0
    chains: tuple[PostProcess, ...] = ()
    heads: Heads = ()
    confidence: Fit | None = None
    weights_dtype: str = "float32"


def build(frontend: keras.layers.Layer | None, networks: Sequence[keras.Model], plan: Plan) -> tuple[tf.Module, dict]:
    """Return a module for tf.saved_model.save, and its signatures by name.

    The networks' answers are averaged. Without a front-end, "features" is the only signature and the default.
    """
    networks = [exchanged(network) for network in networks]
    embeds = embedding.possible(networks) and EMBEDDING not in [head.name for head in plan.heads]
    module = tf.Module()
    layers = [*networks, *([frontend] if frontend else [])]
    module.weights, called = half_weights.stored(layers, plan.weights_dtype)
    features = next(item.shape for item in networks[0].inputs if item.name == "features")
    inputs = [
        tf.TensorSpec((None, *features[1:]), tf.float32, "features"),
        tf.TensorSpec((None,), tf.int32, "n_frames"),
    ]
    # A function of its own, so that it is traced and stored once for all signatures.
    parts = [called(embedding.with_embedding(network) if embeds else network) for network in networks]
    complete = tf.function(
        _ratings(parts, plan) if plan.steps_per_frame else _probabilities(parts, plan),
        input_signature=inputs,
        autograph=False,
    )
    answer = _without_embedding(complete)
    main = all_targets.main_alone(answer) if plan.heads else answer
    of_features = _on_features(main, inputs, plan, limited=frontend is None)
    if frontend is None:
        functions = {"serving_default": of_features, "features": of_features}
        if embeds:
            functions[EMBEDDING] = _on_features(complete, inputs, plan, limited=True)
        if plan.confidence:
            functions[WITH_CONFIDENCE] = _on_features(_confident(main, plan.confidence), inputs, plan, limited=True)
        return module, functions
    frontend = tf.function(called(frontend), input_signature=_REQUEST, autograph=False)  # traced once, too
    functions = of_requests(main, of_features, frontend, plan)
    if embeds:
        named = all_targets.by_target(complete, plan.heads[0].name) if plan.heads else complete
        functions[EMBEDDING] = _on_waveforms(named, frontend, plan)
    if plan.heads:
        every = all_targets.by_target(answer, plan.heads[0].name)
        functions |= of_all_targets(every, _on_features(every, inputs, plan, limited=False), frontend, plan)
    if plan.steps_per_frame and not plan.segment_frames and stream_signature.possible(networks):
        functions["stream"] = stream_signature.build(networks, plan.steps_per_frame)
    return module, functions


def of_requests(answer: Answer, of_features: Any, frontend: keras.layers.Layer, plan: Plan) -> dict[str, Any]:
    """Return the signatures on waveforms and WAV files by `answer`, which takes features, beside that on features."""
    functions = {
        "serving_default": _on_waveforms(answer, frontend, plan),
        "wav_bytes": _on_files(answer, frontend, plan),
        "features": of_features,
    }
    if plan.confidence:
        functions[WITH_CONFIDENCE] = _on_waveforms(_confident(answer, plan.confidence), frontend, plan)
    return functions


def _without_embedding(answer: Answer) -> Answer:
    return lambda *inputs: {name: value for name, value in answer(*inputs).items() if name != EMBEDDING}


def _confident(answer: Answer, fit: Fit) -> Answer:
    return lambda features, n_frames: with_confidence(answer(features, n_frames), fit)


def of_all_targets(answer: Answer, of_features: Any, frontend: keras.layers.Layer, plan: Plan) -> dict[str, Any]:
    """Return the signatures that give every target by its name: probabilities (batch, classes) or numbers (batch,)."""
    return {"all_targets": _on_waveforms(answer, frontend, plan), "all_targets_features": of_features}


def _on_waveforms(answer: Answer, frontend: keras.layers.Layer, plan: Plan):
    @tf.function(input_signature=_REQUEST, autograph=False)
    def of_waveforms(waveform, n_samples):
        return answer(*frontend(*_checked_waveforms(waveform, n_samples, plan)))

    return of_waveforms


def _on_files(answer: Answer, frontend: keras.layers.Layer, plan: Plan):
    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "wav_bytes")], autograph=False)
    def of_files(wav_bytes):
        with tf.control_dependencies([_not_empty(wav_bytes, "wav_bytes")]):
            wav_bytes = tf.identity(wav_bytes)
        clips, cancelling = tf.map_fn(
            lambda data: wav_decoder.decode(data, plan.rate_hz),
            wav_bytes,
            fn_output_signature=(
                tf.RaggedTensorSpec((None,), tf.float32, ragged_rank=0),
                tf.TensorSpec((), tf.bool),
            ),
        )
        n_samples = tf.cast(clips.row_lengths(), tf.int32)
        return answer(*frontend(*_checked_waveforms(clips.to_tensor(), n_samples, plan, cancelling)))

    return of_files


def _on_features(answer: Answer, inputs: Sequence[tf.TensorSpec], plan: Plan, limited: bool):
    fixed_length = inputs[0].shape[1] is not None

    @tf.function(input_signature=inputs, autograph=False)
    def of_features(features, n_frames):
        most = plan.longest if limited or plan.steps_per_frame > 1 else None
        width = None if fixed_length else tf.shape(features)[1]
        checks = [
            *_check_counts(features, n_frames, "features", "n_frames", max(1, plan.steps_per_frame), most, width),
            refuse_unless(tf.math.is_finite(features), "features: expected finite numbers, found NaN or infinity"),
        ]
        with tf.control_dependencies(checks):
            return answer(tf.identity(features), tf.identity(n_frames))

    return of_features


def _checked_waveforms(waveform, n_samples, plan: Plan, cancelling=None):
    """Return the request without needless padding, zero behind each clip; refuse what cannot be answered.

    The rules are those of zoo.data.audio.recording; `cancelling` says of which clips the channels cancel each other.
    """
    hint = (
        f" ({plan.shortest / plan.rate_hz:g} s at {plan.rate_hz} Hz), found audio that is empty or too short; leave it "
        "out. n_samples"
    )
    width = tf.shape(waveform)[1]
    checks = _check_counts(waveform, n_samples, "waveform", "n_samples", plan.shortest, plan.longest, width, hint)
    with tf.control_dependencies(checks):
        waveform = waveform[:, : tf.reduce_max(n_samples)]
        in_clip = tf.range(tf.shape(waveform)[1])[None, :] < n_samples[:, None]
        waveform = tf.where(in_clip, waveform, 0.0)
    # A clip breaks one rule at most: in which order assertions run is not defined.
    finite = tf.reduce_all(tf.math.is_finite(waveform), axis=1)
    loud = finite & tf.reduce_any(tf.abs(waveform) > LOUDEST, axis=1)
    highest = tf.reduce_max(tf.where(in_clip, waveform, waveform.dtype.min), axis=1)
    silent = (highest - tf.reduce_min(tf.where(in_clip, waveform, waveform.dtype.max), axis=1)) / 2 < QUIETEST
    cancelling = tf.zeros_like(silent) if cancelling is None else cancelling
    rules = [
        _rule(finite, "non-finite", "NaN or infinity"),
        _rule(~loud, "too-loud", f"a sample beyond {LOUDEST:g}"),
        _rule(~cancelling, "cancelling", "channels that cancel each other when they are mixed"),
        _rule(
            ~silent | ~finite | cancelling, "silent", f"nothing above {20 * math.log10(QUIETEST):.0f} dB of full scale"
        ),
    ]
    with tf.control_dependencies(rules):
        return tf.identity(waveform), tf.identity(n_samples)


def _rule(kept, kind: str, found: str) -> tf.Operation:
    """Refuse the clips that do not keep a rule of recordings, with its name and their numbers."""
    expected, remedy = BAD_KINDS[kind]
    words = f"waveform: expected {expected}, found {found} ({kind}). {remedy} Clips"
    return refuse_unless(kept, words, tf.where(~kept)[:, 0])


def _check_counts(rows, counts, of: str, name: str, least: int, most: int | None, width, hint: str = ", found") -> list:
    """Assert that there are rows, and counts for each in `least`..`most`, at most `width` (None: without limit)."""
    n_rows, n_counts = tf.shape(rows)[0], tf.shape(counts)
    cases: list[tuple] = [
        (tf.equal(n_counts[0], n_rows), f"{name}: expected one for each clip", n_rows, n_counts),
        (counts >= least, f"{name}: expected at least {least}{hint}", counts),
    ]
    if width is not None:
        words = f"{name}: expected at most the length of {of}, its padding included"
        cases.append((counts <= width, words, width, counts))
    if most is not None:
        cases.append((counts <= most, f"{name}: expected at most {most}; cut the recording. Found", counts))
    return [_not_empty(rows, of), *(refuse_unless(*case) for case in cases)]


def _not_empty(rows, name: str):
    return refuse_unless(tf.shape(rows)[0] >= 1, f"{name}: expected a batch of at least one clip, found none")


def _probabilities(networks: Sequence[keras.Model], plan: Plan) -> Answer:
    def answer(features, n_frames):
        outputs, embedded = _answers(networks, features, n_frames)
        further = all_targets.further(plan.heads, outputs)
        if plan.heads:
            outputs = [output[:, : len(plan.outputs)] for output in outputs]
        scores = [tf.math.log(tf.maximum(output, LEAST_PROBABILITY)) / plan.temperature for output in outputs]
        mean = tf.add_n([tf.nn.softmax(score) for score in scores]) / len(scores)
        return {"probabilities": mean, **further, **embedded}

    return answer


def _ratings(networks: Sequence[keras.Model], plan: Plan) -> Answer:
    chains = plan.chains or (None,) * len(networks)

    def answer(features, n_steps):
        n_frames = n_steps // plan.steps_per_frame
        ratings, embedded = [], dict[str, tf.Tensor]()
        if plan.segment_frames:
            raws = [_in_segments(network, features, n_steps, plan) for network in networks]
        else:
            raws, embedded = _answers(networks, features, n_steps, n_frames)
        for raw, chain in zip(raws, chains, strict=True):
            ratings.append(raw if chain is None else postprocessed(raw, n_frames, chain))
        mean = tf.add_n(ratings) / len(ratings)
        frame, last = tf.range(tf.shape(mean)[1])[None, :], n_frames[:, None] - 1
        mean = tf.gather(mean, tf.maximum(tf.minimum(frame - plan.delay_frames, last), 0), batch_dims=1)
        real = frame <= last
        return {"arousal_valence": tf.where(real[..., None], mean, 0.0), "n_frames": n_frames, **embedded}

    return answer


def _answers(networks: Sequence[keras.Model], features, n_steps, n_frames=None) -> tuple[list, Answers]:
    """Return the networks' outputs, and {"embedding": (batch, width)} of networks that give theirs, side by side.

    With `n_frames` (batch,) embeddings of frames are averaged.
    """
    every = [network({"features": features, "n_frames": n_steps}, training=False) for network in networks]
    if not isinstance(every[0], (list, tuple)):
        return [tf.cast(output, tf.float32) for output in every], {}
    vectors = tf.concat([tf.cast(vector, tf.float32) for _, vector in every], axis=-1)
    if n_frames is not None:
        real = tf.sequence_mask(n_frames, tf.shape(vectors)[1])[..., None]
        vectors = tf.reduce_sum(tf.where(real, vectors, 0.0), axis=1) / tf.cast(n_frames, tf.float32)[:, None]
    return [tf.cast(output, tf.float32) for output, _ in every], {EMBEDDING: vectors}


def _in_segments(network: keras.Model, features, n_steps, plan: Plan):
    """Run a network on consecutive segments of each recording; the last one overlaps the one before."""
    steps, n_outputs, channels = plan.steps_per_frame, len(plan.outputs), features.shape[-1]
    most = tf.shape(features)[1] // steps

    def of_one(recording):
        row, count = recording
        n_frames = count // steps
        size = tf.minimum(plan.segment_frames, n_frames)
        starts = tf.minimum(tf.range(-(-n_frames // size)) * size, n_frames - size)
        frames = tf.reshape(row[: n_frames * steps], (n_frames, steps, channels))
        segments = tf.gather(frames, starts[:, None] + tf.range(size)[None, :])
        segments = tf.reshape(segments, (tf.size(starts), size * steps, channels))
        counts = tf.fill([tf.size(starts)], size * steps)
        (ratings,), _ = _answers([network], segments, counts)
        before = tf.reshape(ratings[:-1], (-1, n_outputs))[: n_frames - size]
        return tf.pad(tf.concat([before, ratings[-1]], axis=0), [[0, most - n_frames], [0, 0]])

    specification = tf.TensorSpec((None, n_outputs), tf.float32)
    return tf.map_fn(of_one, (features, n_steps), fn_output_signature=specification, parallel_iterations=1)
