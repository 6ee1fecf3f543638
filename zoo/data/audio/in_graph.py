"""Decode WAV, FLAC and MP3 inside a TensorFlow graph: in tf.data, or in a SavedModel that takes a file's bytes.

Training and prediction read through soundfile instead (`zoo.data.audio.read`). The graph needs tensorflow-io, which
loads with TensorFlow 2.16 alone (the extra [tfio]). A SavedModel with its operations loads only after `has_tfio()`.
"""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from zoo.data.audio.read import read_bytes
from zoo.data.audio.recording import (
    CANCELLED,
    LOUDEST,
    MAX_RATE_HZ,
    MAX_RATE_TIMES_CHANNELS,
    MIN_RATE_HZ,
    QUIETEST,
)
from zoo.errors import UserError
from zoo.utils import extras

# Format tag (1 PCM, 3 float) * 100 + bits. Each operation takes one type alone.
_PCM_32 = 132
_WAV_WIDTHS = {108: tf.uint8, 116: tf.int16, 124: tf.int32, _PCM_32: tf.float32, 332: tf.float32}
_FLAC_WIDTHS = {8: tf.uint8, 16: tf.int16, 24: tf.int32}
# The start of a frame that never comes: without it, tensorflow-io waits for ever for declared samples that are missing.
_FLAC_END = b"\xff\xf8\xc9"
_PADDING = 4_096  # zeros behind the samples, up to a block of a disk
_SPEEX_TAPS = 64  # of its resampler at the quality that tensorflow-io asks for


def has_tfio() -> bool:
    """Return whether tensorflow-io loads. The first call imports it."""
    return _load_error() is None


def decode(
    content: tf.Tensor | bytes, rate_hz: int = 16_000, name: tf.Tensor | str = "audio", in_graph: bool | None = None
) -> tf.Tensor:
    """Return one file's samples, float32 (samples,), mono at `rate_hz`, nominally in -1..1.

    `content` is the file: a string scalar. `in_graph` True demands tensorflow-io, False takes soundfile (through
    tf.numpy_function, which cannot be exported), None takes tensorflow-io where it loads. In the graph: WAV of 8, 16,
    24 or 32 bits or float, FLAC of 8, 16 or 24 bits, MP3, of which the last two are cut to what they declare. Raises
    UserError when tensorflow-io is demanded and does not load; tf.errors.OpError, as the graph runs, for another format
    and for what zoo.data.audio.recording refuses: its message names the rule.
    """
    if in_graph and not has_tfio():
        raise UserError(
            f"decoding in the graph needs tensorflow-io 0.37.1 with TensorFlow 2.16.2, found {tf.__version__}: "
            f"{_load_error()}. Run {extras.to_install('tfio')} in an environment of its own, or leave in_graph out"
        )
    content, name = tf.convert_to_tensor(content), tf.convert_to_tensor(name)
    way = _decode_with_soundfile if in_graph is False or not has_tfio() else _decode_in_graph
    return tf.ensure_shape(way(content, rate_hz, name), (None,))


@functools.cache
def _load_error() -> str | None:
    try:
        from tensorflow_io.python.ops import core_ops

        _ = core_ops.io_audio_decode_wav  # the library is loaded by its first use
    except (ImportError, NotImplementedError) as error:
        return " ".join(str(error).split())
    return None


def _tfio_audio() -> Any:
    import tensorflow_io

    return tensorflow_io.audio


@tf.function(autograph=False)
def _decode_with_soundfile(content: tf.Tensor, rate_hz: int, name: tf.Tensor) -> tf.Tensor:
    return tf.numpy_function(
        lambda data, of: read_bytes(data, of.decode(), rate_hz), [content, name], tf.float32, stateful=False
    )


@tf.function(autograph=False)
def _decode_in_graph(content: tf.Tensor, rate_hz: int, name: tf.Tensor) -> tf.Tensor:
    filled = _check(tf.strings.length(content) > 0, name, "expected a recording, found zero bytes")
    with tf.control_dependencies([filled]):
        head = tf.strings.substr(content, 0, 4)
    kind = tf.where(tf.equal(head, b"RIFF"), 0, tf.where(tf.equal(head, b"fLaC"), 1, 2))
    readers = [functools.partial(reader, content, name) for reader in (_wav, _flac, _mp3)]
    samples, file_rate_hz = tf.switch_case(kind, readers)
    mono = mixed(samples, file_rate_hz, name)
    same = tf.equal(file_rate_hz, rate_hz)
    waveform = tf.cond(same, lambda: mono, lambda: _resample(mono, file_rate_hz, rate_hz))
    with tf.control_dependencies([_check(_half_range(waveform) >= QUIETEST, name, "silent: expected speech")]):
        return tf.identity(waveform)


def mixed(samples: tf.Tensor, rate_hz: tf.Tensor, name: tf.Tensor) -> tf.Tensor:
    """Return the mean of channels, float32 (n,), of samples (n, channels) of a rate in Hz.

    Raises tf.errors.InvalidArgumentError, as the graph runs, by the rules of zoo.data.audio.recording.
    """
    channels = tf.shape(samples, tf.int64)[1]
    usual = (rate_hz >= MIN_RATE_HZ) & (rate_hz <= MAX_RATE_HZ) & (rate_hz * channels <= MAX_RATE_TIMES_CHANNELS)
    finite = tf.reduce_all(tf.math.is_finite(samples))
    in_range = tf.reduce_all(tf.abs(samples) <= LOUDEST)
    checks = [
        _check(tf.size(samples) > 0, name, "empty: expected a recording, found a header without samples"),
        _check(usual, name, "rate: expected a usual sampling rate and number of channels"),
        _check(finite, name, "non-finite: expected finite samples, found NaN or infinity"),
        _check(in_range | ~finite, name, "too-loud: expected samples about -1..1, found them at the scale of integers"),
    ]
    with tf.control_dependencies(checks):
        mono = tf.reduce_mean(samples, axis=1)
    level, loudest = _half_range(mono), tf.reduce_max(_half_range(samples))
    cancel = (loudest >= QUIETEST) & (level < CANCELLED * loudest)
    checks = [
        _check(~cancel, name, "cancelling: expected channels that can be mixed, found them to cancel each other"),
        _check(cancel | (level >= QUIETEST), name, "silent: expected speech"),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(mono)


def _half_range(samples: tf.Tensor) -> tf.Tensor:
    return (tf.reduce_max(samples, axis=0) - tf.reduce_min(samples, axis=0)) / 2


# Each reader returns samples, float32 (samples, channels), and the file's rate in Hz.


def _wav(content: tf.Tensor, name: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    def next_chunk(at, form):
        size = _number(content, at + 4, 4, little=True)  # chunks begin at even bytes
        return at + 8 + size + size % 2, tf.where(tf.equal(tf.strings.substr(content, at, 4), b"fmt "), at, form)

    def before_data(at, _):
        return tf.not_equal(tf.strings.substr(content, at, 4), b"data")

    first = tf.constant(12, tf.int64)
    at, form = tf.while_loop(before_data, next_chunk, (first, first))
    field = functools.partial(_number, content, little=True)
    tag = field(form + 8, 2)
    tag = tf.cond(tf.equal(tag, 0xFFFE), lambda: field(form + 32, 2), lambda: tag)  # WAVE_FORMAT_EXTENSIBLE
    data_size = field(at + 4, 4)
    size = tf.cast(tf.strings.length(content), tf.int64)
    whole = [
        _check(at + 8 + data_size <= size, name, "truncated: expected a whole recording, found it cut"),
        _check(
            only_chunks(content, at + 8 + data_size), name, "unfinished: expected a header that declares all samples"
        ),
    ]
    # tensorflow-io stumbles over other chunks, and finds no sample behind one of odd length: they go to the end.
    parts = ((0, 12), (form, 8 + field(form + 4, 4)), (at, 8 + data_size), (first, at - first))
    with tf.control_dependencies(whole):
        plain = tf.strings.join([tf.strings.substr(content, *part) for part in parts])
    samples = _by_width(100 * tag + field(form + 22, 2), _WAV_WIDTHS, _tfio_audio().decode_wav, plain, name)
    return samples, field(form + 12, 4)


def only_chunks(content: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    """Return whether from the byte `at` on there are chunks without samples, zeros or nothing: a scalar of bool."""
    size = tf.cast(tf.strings.length(content), tf.int64)
    pattern = r"[A-Za-z_(][ -~][ -~][ -~]"

    def is_chunk(at):
        kind = tf.strings.substr(content, tf.minimum(at, size), 4)
        known = tf.strings.regex_full_match(kind, pattern) & ~tf.strings.regex_full_match(
            kind, "data|RIF[FX]|RF64|TAG."
        )
        fits = tf.cond(at + 8 <= size, lambda: at + 8 + _number(content, at + 4, 4, little=True) <= size, lambda: False)
        return known & fits

    def next_chunk(at):
        length = _number(content, at + 4, 4, little=True)
        return (at + 8 + length + length % 2,)

    (at,) = tf.while_loop(is_chunk, next_chunk, (at + at % 2,))
    rest = tf.io.decode_raw(tf.strings.substr(content, tf.minimum(at, size), tf.maximum(size - at, 0)), tf.uint8)
    tag = tf.equal(tf.strings.substr(content, tf.minimum(at, size), 3), b"TAG") & tf.equal(size - at, 128)
    return tag | (tf.size(rest) <= _PADDING) & tf.reduce_all(tf.equal(rest, 0))


def _flac(content: tf.Tensor, name: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    # STREAMINFO, RFC 9639 section 8.2: 20 bits rate, 3 bits channels - 1, 5 bits width - 1.
    fields = _number(content, 18, 4)
    ended = tf.strings.join([content, _FLAC_END])
    samples = _by_width(fields // 2**4 % 2**5 + 1, _FLAC_WIDTHS, _tfio_audio().decode_flac, ended, name)
    return samples, fields // 2**12


def _mp3(content: tf.Tensor, name: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    tagged = tf.equal(tf.strings.substr(content, 0, 3), b"ID3")
    at = tf.cond(tagged, lambda: 10 + _number(content, 6, 4, base=128), lambda: tf.constant(0, tf.int64))
    header = _number(content, at, 4)
    version, rate = header // 2**19 % 4, header // 2**10 % 4  # 3 is MPEG-1, 2 MPEG-2 (half the rate), 0 MPEG-2.5
    is_mp3 = tf.equal(header // 2**21, 0x7FF) & tf.not_equal(version, 1) & (rate < 3)
    with tf.control_dependencies([_check(is_mp3, name, "expected WAV, FLAC or MP3")]):
        samples = _tfio_audio().decode_mp3(content)
    rate_hz = tf.gather([44_100, 48_000, 32_000, 0], rate) // tf.gather([4, 1, 2, 1], version)
    return samples, tf.cast(rate_hz, tf.int64)


def _by_width(width: tf.Tensor, widths: dict, decoder: Callable, content: tf.Tensor, name: tf.Tensor) -> tf.Tensor:
    def read(known_width: int, dtype: tf.DType) -> tf.Tensor:
        samples = decoder(content, dtype=dtype)
        if known_width == _PCM_32:  # tensorflow-io takes these integers for floats
            samples = tf.bitcast(samples, tf.int32)
        if samples.dtype == tf.float32:
            return samples
        zero = 128.0 if dtype == tf.uint8 else 0.0
        return (tf.cast(samples, tf.float32) - zero) / 2.0 ** (8 * samples.dtype.size - 1)

    known = tf.equal(tf.constant(list(widths), tf.int64), width)
    with tf.control_dependencies([_check(tf.reduce_any(known), name, "expected a usual width of samples")]):
        index = tf.argmax(known, output_type=tf.int32)
    return tf.switch_case(index, [functools.partial(read, *item) for item in widths.items()])


def _resample(mono: tf.Tensor, file_rate_hz: tf.Tensor, rate_hz: int) -> tf.Tensor:
    """Resample by tensorflow-io (Speex); its delay of half a filter is filled up to one second, which is cut off."""
    taps = tf.maximum((_SPEEX_TAPS * file_rate_hz // rate_hz + 7) // 8 * 8, _SPEEX_TAPS)
    padded = tf.pad(mono, [[file_rate_hz - taps // 2, file_rate_hz]])
    n_samples = (tf.size(mono, tf.int64) * rate_hz + file_rate_hz // 2) // file_rate_hz
    return _tfio_audio().resample(padded, file_rate_hz, rate_hz)[rate_hz : rate_hz + n_samples]


def _number(content: tf.Tensor, at: tf.Tensor | int, size: int, little: bool = False, base: int = 256) -> tf.Tensor:
    """Return the unsigned number in `size` bytes, int64."""
    digits = tf.cast(tf.io.decode_raw(tf.strings.substr(content, at, size), tf.uint8), tf.int64)
    powers = [base**power for power in range(size)]
    return tf.reduce_sum(digits * tf.constant(powers if little else powers[::-1], tf.int64))


def _check(condition: tf.Tensor, name: tf.Tensor, message: tf.Tensor | str) -> tf.Operation:
    return tf.debugging.Assert(condition, [name, message])
