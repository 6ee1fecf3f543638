"""The graph of an exported run: from requests to answers in stock TensorFlow operations, without Python.

A request that cannot be answered ends in an error that names the limit: a server has no other way to say so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from zoo.data.audio.read import LOUDEST
from zoo.errors import UserError
from zoo.export import stream_signature
from zoo.export.calibration import LEAST_PROBABILITY
from zoo.export.inference_lstm import exchanged
from zoo.inference.postprocess import PostProcess

Answers = dict[str, tf.Tensor]
Answer = Callable[[tf.Tensor, tf.Tensor], Answers]


@dataclass(frozen=True)
class Plan:
    """What a graph does beside running its networks.

    `shortest` and `longest` are in samples of `rate_hz` (in frames where no front-end is). For ratings: a frame is
    `steps_per_frame` steps of the features; networks that look at segments as wholes get consecutive ones of
    `segment_frames` (0: whole recordings); `chains` holds each network's post-processing, or nothing; ratings come
    `delay_frames` later, or earlier where it is below 0. For classes, logarithms of probabilities are divided by
    `temperature`.
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


def build(frontend: keras.layers.Layer | None, networks: Sequence[keras.Model], plan: Plan) -> tuple[tf.Module, dict]:
    """Returns a module for tf.saved_model.save, and its signatures by name.

    The networks' answers are averaged. Without a front-end, "features" is the only signature and the default.
    """
    networks = [exchanged(network) for network in networks]
    module = tf.Module()
    layers = [*networks, *([frontend] if frontend else [])]
    module.weights = [variable.value for layer in layers for variable in layer.variables]
    features = _features_of(networks[0])
    # A function of its own, so that it is traced and stored once for all signatures.
    answer = tf.function(
        _ratings(networks, plan) if plan.steps_per_frame else _probabilities(networks, plan),
        input_signature=[features, tf.TensorSpec((None,), tf.int32, "n_frames")],
        autograph=False,
    )
    module.features = _on_features(answer, features, plan, limited=frontend is None)
    if frontend is None:
        return module, {"serving_default": module.features, "features": module.features}
    module.waveform = _on_waveforms(answer, frontend, plan)
    module.wav_bytes = _on_files(answer, frontend, plan)
    functions = {
        "serving_default": module.waveform,
        "wav_bytes": module.wav_bytes,
        "features": module.features,
    }
    if plan.steps_per_frame and not plan.segment_frames and stream_signature.possible(networks):
        module.stream = stream_signature.build(networks, plan.steps_per_frame)
        functions["stream"] = module.stream
    return module, functions


def _on_waveforms(answer: Answer, frontend: keras.layers.Layer, plan: Plan):
    waveforms, counts = (
        tf.TensorSpec((None, None), tf.float32, "waveform"),
        tf.TensorSpec((None,), tf.int32, "n_samples"),
    )

    @tf.function(input_signature=[waveforms, counts], autograph=False)
    def of_waveforms(waveform, n_samples):
        return answer(*frontend(*_checked_waveforms(waveform, n_samples, plan)))

    return of_waveforms


def _on_files(answer: Answer, frontend: keras.layers.Layer, plan: Plan):
    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "wav_bytes")], autograph=False)
    def of_files(wav_bytes):
        with tf.control_dependencies([_not_empty(wav_bytes, "wav_bytes")]):
            wav_bytes = tf.identity(wav_bytes)
        clips = tf.map_fn(
            lambda data: _decoded(data, plan.rate_hz),
            wav_bytes,
            fn_output_signature=tf.RaggedTensorSpec((None,), tf.float32, ragged_rank=0),
        )
        n_samples = tf.cast(clips.row_lengths(), tf.int32)
        return answer(*frontend(*_checked_waveforms(clips.to_tensor(), n_samples, plan)))

    return of_files


def _features_of(network: keras.Model) -> tf.TensorSpec:
    known = next(item.shape for item in network.inputs if item.name == "features")
    return tf.TensorSpec((None, *known[1:]), tf.float32, "features")


def _on_features(answer: Answer, expected: tf.TensorSpec, plan: Plan, limited: bool):
    @tf.function(input_signature=[expected, tf.TensorSpec((None,), tf.int32, "n_frames")], autograph=False)
    def of_features(features, n_frames):
        least = max(1, plan.steps_per_frame)
        checks = [
            _not_empty(features, "features"),
            _as_many(features, n_frames, "n_frames"),
            _refuse_unless(tf.reduce_all(n_frames >= least), f"n_frames: expected at least {least}, found", n_frames),
            _refuse_unless(
                tf.reduce_all(tf.math.is_finite(features)), "features: expected finite numbers, found NaN or infinity"
            ),
        ]
        if expected.shape[1] is None:
            checks.append(_within(n_frames, features, "n_frames", "features"))
        if limited or plan.steps_per_frame > 1:
            checks.append(_not_above(n_frames, plan.longest, "n_frames"))
        with tf.control_dependencies(checks):
            return answer(tf.identity(features), tf.identity(n_frames))

    return of_features


def _checked_waveforms(waveform, n_samples, plan: Plan):
    """Returns the request without needless padding, zero behind each clip; refuses what cannot be answered."""
    seconds = plan.shortest / plan.rate_hz
    checks = [
        _not_empty(waveform, "waveform"),
        _as_many(waveform, n_samples, "n_samples"),
        _refuse_unless(
            tf.reduce_all(n_samples >= plan.shortest),
            f"n_samples: expected at least {plan.shortest} ({seconds:g} s at {plan.rate_hz} Hz), found audio that is "
            "empty or too short; leave it out. n_samples",
            n_samples,
        ),
        _not_above(n_samples, plan.longest, "n_samples"),
        _within(n_samples, waveform, "n_samples", "waveform"),
    ]
    with tf.control_dependencies(checks):
        waveform = waveform[:, : tf.reduce_max(n_samples)]
        in_clip = tf.range(tf.shape(waveform)[1])[None, :] < n_samples[:, None]
        waveform = tf.where(in_clip, waveform, 0.0)
    loud = _refuse_unless(
        tf.reduce_all(tf.abs(waveform) <= LOUDEST),  # false for NaN, too
        "waveform: expected finite samples, nominally in -1..1, found NaN, infinity or a sample beyond "
        f"{LOUDEST:g}; write the audio again from its source",
    )
    with tf.control_dependencies([loud]):
        return tf.identity(waveform), tf.identity(n_samples)


def _chunks_fit(data):
    """Says whether each chunk of a RIFF file is as long as its head says."""
    size = tf.cast(tf.strings.length(data), tf.int64)

    def said(place):
        four = tf.io.decode_raw(tf.strings.substr(data, place + 4, 4), tf.uint8)
        return tf.reduce_sum(tf.cast(four, tf.int64) * [1, 2**8, 2**16, 2**24])

    def next_chunk(place, fits):
        return place + 8 + said(place) + said(place) % 2, said(place) <= size - place - 8

    first = (tf.constant(12, tf.int64), tf.constant(True))
    return tf.while_loop(lambda place, fits: fits & (place + 8 <= size), next_chunk, first)[1]


_WAV_MARKS = ((0, b"RIFF"), (8, b"WAVE"), (12, b"fmt "))


def _decoded(data, rate_hz: int):
    """One WAV file of 16-bit PCM -> samples (n,), the mean of its channels."""
    # The decoder's own errors quote bytes of a damaged file, which are no text: clients that expect text fail on them.
    head = tf.strings.join([data, tf.constant(b"\0" * 16)])
    marks = [tf.equal(tf.strings.substr(head, place, 4), mark) for place, mark in _WAV_MARKS]
    whole = _refuse_unless(
        tf.reduce_all(marks) & _chunks_fit(data),
        "wav_bytes: expected whole WAV files of 16-bit PCM, found another format, or one that is cut or damaged",
    )
    with tf.control_dependencies([whole]):
        samples, found_hz = tf.audio.decode_wav(data)
    right = _refuse_unless(
        tf.equal(found_hz, rate_hz),
        f"wav_bytes: expected files at {rate_hz} Hz, for the graph does not resample; convert them, or predict with "
        "scripts/predict.py. Found Hz",
        found_hz,
    )
    with tf.control_dependencies([right]):
        return tf.reduce_mean(samples, axis=1)


def _probabilities(networks: Sequence[keras.Model], plan: Plan) -> Answer:
    temperature = plan.temperature

    def answer(features, n_frames):
        outputs = [_run(network, features, n_frames) for network in networks]
        scores = [tf.math.log(tf.maximum(output, LEAST_PROBABILITY)) / temperature for output in outputs]
        return {"probabilities": tf.add_n([tf.nn.softmax(score) for score in scores]) / len(scores)}

    return answer


def _ratings(networks: Sequence[keras.Model], plan: Plan) -> Answer:
    chains = plan.chains or (None,) * len(networks)

    def answer(features, n_steps):
        n_frames = n_steps // plan.steps_per_frame
        ratings = []
        for network, chain in zip(networks, chains, strict=True):
            run = _in_segments if plan.segment_frames else _whole
            raw = run(network, features, n_steps, plan)
            ratings.append(raw if chain is None else _postprocessed(raw, n_frames, chain))
        mean = tf.add_n(ratings) / len(ratings)
        frame, last = tf.range(tf.shape(mean)[1])[None, :], n_frames[:, None] - 1
        mean = tf.gather(mean, tf.maximum(tf.minimum(frame - plan.delay_frames, last), 0), batch_dims=1)
        real = frame <= last
        return {"arousal_valence": tf.where(real[..., None], mean, 0.0), "n_frames": n_frames}

    return answer


def _run(network: keras.Model, features, n_frames):
    return tf.cast(network({"features": features, "n_frames": n_frames}, training=False), tf.float32)


def _whole(network: keras.Model, features, n_steps, plan: Plan):
    return _run(network, features, n_steps)


def _in_segments(network: keras.Model, features, n_steps, plan: Plan):
    """Cuts each recording by itself into consecutive segments; the last one overlaps the one before."""
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
        ratings = _run(network, segments, tf.fill([tf.size(starts)], size * steps))
        before = tf.reshape(ratings[:-1], (-1, n_outputs))[: n_frames - size]
        return tf.pad(tf.concat([before, ratings[-1]], axis=0), [[0, most - n_frames], [0, 0]])

    specification = tf.TensorSpec((None, n_outputs), tf.float32)
    return tf.map_fn(of_one, (features, n_steps), fn_output_signature=specification, parallel_iterations=1)


def _postprocessed(ratings, n_frames, chain: PostProcess):
    """zoo.inference.postprocess.apply in the graph, each recording up to its own end; in float64, as there."""
    columns = []
    for column, steps in enumerate(chain.chains.values()):
        trace = tf.cast(ratings[..., column], tf.float64)
        for step in steps:
            if step.kept:
                trace = _step_of(step.name)(trace, n_frames, **step.values)
        columns.append(tf.cast(trace, tf.float32))
    return tf.stack(columns, axis=-1)


def _step_of(name: str) -> Callable:
    steps: dict[str, Callable] = {
        "median": _median,
        "centring": lambda trace, n_frames, prediction_mean, truth_mean: trace - prediction_mean + truth_mean,
        "scaling": lambda trace, n_frames, ratio, about: about + ratio * (trace - about),
        "shift": lambda trace, n_frames, frames: _shifted(trace, frames),
    }
    if name not in steps:
        raise UserError(f"--postprocess: the step {name!r} cannot be written into a graph; leave --postprocess out")
    return steps[name]


def _median(trace, n_frames, frames: int):
    if frames % 2 == 0:
        raise UserError(f"--postprocess: a median of {frames} frames has no middle; leave --postprocess out")
    window = tf.range(tf.shape(trace)[1])[:, None] + tf.range(-(frames // 2), frames // 2 + 1)[None, :]
    last = tf.maximum(n_frames, 1)[:, None, None] - 1
    within = tf.minimum(tf.maximum(window[None], 0), last)  # edges are repeated
    return tf.math.top_k(tf.gather(trace, within, batch_dims=1), frames // 2 + 1).values[..., -1]


def _shifted(trace, frames: int):
    """Moves (batch, frames, ...) to later frames; the first value fills the start."""
    return tf.gather(trace, tf.maximum(tf.range(tf.shape(trace)[1]) - frames, 0), axis=1)


def _not_empty(tensor, name: str):
    return _refuse_unless(tf.shape(tensor)[0] >= 1, f"{name}: expected a batch of at least one clip, found none")


def _as_many(rows, counts, name: str):
    expected = tf.shape(rows)[0]
    return _refuse_unless(
        tf.equal(tf.shape(counts)[0], expected), f"{name}: expected one for each clip", expected, tf.shape(counts)
    )


def _within(counts, rows, name: str, of: str):
    width = tf.shape(rows)[1]
    return _refuse_unless(
        tf.reduce_all(counts <= width),
        f"{name}: expected at most the length of {of}, its padding included",
        width,
        counts,
    )


def _not_above(counts, most: int, name: str):
    return _refuse_unless(
        tf.reduce_all(counts <= most), f"{name}: expected at most {most}; cut the recording. Found", counts
    )


def _refuse_unless(condition, message: str, *found):
    return tf.debugging.Assert(condition, [message, *found])
