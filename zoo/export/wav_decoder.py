"""Decode WAV files of 16-bit PCM in the graph, by string operations of TensorFlow's own.

tf.audio.decode_wav takes only files whose `fmt ` chunk is first and that are neither extensible nor piped, and it reads
a part of those that hold more than they declare. Here is what zoo.data.audio.containers says of a WAV file, chunk by
chunk; files that it refuses end in an error that names the rule.
"""

from functools import partial, reduce
from operator import and_, or_

import tensorflow as tf

from zoo.data.audio.recording import CANCELLED, MAX_RATE_TIMES_CHANNELS, QUIETEST

_STREAMED = 0x7FFFF000  # from here on, a length that a program left open which wrote to a pipe
_MOST_CHUNKS = 10_000
_PADDING = 4_096  # zeros behind the samples
_SPARE = b"\0" * 64  # behind the data: fields are read where the file may end
_PCM = b"\1\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"  # the GUID of the format in WAVE_FORMAT_EXTENSIBLE
_EXTENSIBLE = 0xFFFE
# What follows the samples: other samples and other files are no chunks of this one; of texts, the last may be cut.
_NO_CHUNKS = (b"data", b"SSND", b"RIFF", b"RIFX", b"RF64", b"FORM", b"TAG", b"riff")
_TEXTS = (b"LIST", b"id3 ", b"ID3 ", b"bext", b"iXML", b"_PMX", b"JUNK", b"junk", b"FLLR", b"PAD ", b"info")
_OTHER_HEADS = (b".snd\0\0", b"caff\0\1", b"NIST_1A\n", b"riff\x2e\x91")  # beside those of WAV and AIFF


def decode(data: tf.Tensor, rate_hz: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return a file's samples, float32 (n,), the mean of its channels, and whether these cancel each other."""
    size = tf.cast(tf.strings.length(data), tf.int64)
    padded = tf.strings.join([data, tf.constant(_SPARE)])
    form, at = _chunks_of(padded, size)
    is_wav = _is(padded, 0, b"RIFF") & _is(padded, 8, b"WAVE") & (form >= 0) & _is(padded, at, b"data") & (at < size)
    begin, length = at + 8, _number(padded, at + 4, 4)
    streamed = (length >= _STREAMED) & (begin + length > size)
    end = tf.where(streamed, size, begin + length)
    channels = _number(padded, form + 10, 2)
    checks = _check_header(padded, size, form, channels, rate_hz, is_wav)
    checks += [
        refuse_unless(
            ~is_wav | (end <= size),
            "wav_bytes: expected the whole recording, found a file that is cut or damaged (truncated). Its bytes, and "
            "those that its header declares",
            size,
            end,
        ),
        refuse_unless(
            ~is_wav | (end > size) | _ordinary(padded, size, end) | _ordinary(padded, size, end + end % 2),
            "wav_bytes: expected the end of the file behind its samples, found more than its header declares "
            "(unfinished or joined); repair it with ffmpeg -ignore_length 1 -i FILE -c copy NEW. Bytes behind them",
            size - end,
        ),
        refuse_unless(
            ~is_wav | ~streamed | ~tf.cond(streamed, lambda: _holds_another(padded, begin, size), lambda: False),
            "wav_bytes: expected one recording, found another one in its samples (joined); split the file",
        ),
    ]
    with tf.control_dependencies(checks):
        n_frames = (end - begin) // (2 * channels)
    values = tf.io.decode_raw(tf.strings.substr(padded, begin, n_frames * 2 * channels), tf.int16)
    samples = tf.cast(tf.reshape(values, (n_frames, channels)), tf.float32) / 32768
    mono = tf.reduce_mean(samples, axis=1)
    loudest = tf.reduce_max(half_range(samples, axis=0))
    return mono, (channels > 1) & (loudest >= QUIETEST) & (half_range(mono, axis=0) < CANCELLED * loudest)


def half_range(samples: tf.Tensor, axis: int) -> tf.Tensor:
    """Return half the difference between the largest and the smallest sample; below 0 where there are none."""
    return (tf.reduce_max(samples, axis=axis) - tf.reduce_min(samples, axis=axis)) / 2


def refuse_unless(conditions: tf.Tensor, message: str, *found: tf.Tensor) -> tf.Operation:
    """End the request with the message, and what was found, unless all conditions hold."""
    return tf.debugging.Assert(tf.reduce_all(conditions), [message, *found])


def _check_header(data, size, form, channels, rate_hz: int, is_wav) -> list[tf.Operation]:
    form = tf.maximum(form, 0)
    tag, found_hz, bits = (_number(data, form + place, width) for place, width in ((8, 2), (12, 4), (22, 2)))
    extensible = tf.equal(tag, _EXTENSIBLE) & (_number(data, form + 4, 4) >= 40) & _is(data, form + 32, _PCM)
    pcm = (tf.equal(tag, 1) | extensible) & (_number(data, form + 4, 4) >= 16) & tf.equal(bits, 16)
    usual = (channels >= 1) & (channels <= MAX_RATE_TIMES_CHANNELS // rate_hz)
    return [
        refuse_unless(
            is_wav, "wav_bytes: expected WAV files, found another format, or one that is damaged; its bytes are", size
        ),
        refuse_unless(
            ~is_wav | pcm,
            "wav_bytes: expected 16-bit PCM, found another format of samples; convert the file. Its tag, its bits",
            tag,
            bits,
        ),
        refuse_unless(
            ~is_wav | tf.equal(found_hz, rate_hz),
            f"wav_bytes: expected files at {rate_hz} Hz, for the graph does not resample; convert them, or predict "
            "with scripts/predict.py. Found Hz",
            found_hz,
        ),
        refuse_unless(~is_wav | usual, "wav_bytes: expected a usual number of channels, found", channels),
    ]


def _chunks_of(data, size) -> tuple[tf.Tensor, tf.Tensor]:
    """Return where the chunks `fmt ` (-1: nowhere) and `data` begin, the latter the file's end where it is absent."""

    def goes_on(form, at):
        return (at + 8 <= size) & ~_is(data, at, b"data") & _is_text(_bytes(data, at, 4))

    def next_chunk(form, at):
        return tf.where(_is(data, at, b"fmt "), at, form), _behind(data, size, at)

    first = (tf.constant(-1, tf.int64), tf.minimum(tf.constant(12, tf.int64), size))
    form, at = tf.while_loop(goes_on, next_chunk, first, maximum_iterations=_MOST_CHUNKS)
    return form, tf.where(at + 8 <= size, at, size)


def _ordinary(data, size, at):
    """Return whether from `at` on there are chunks without samples, tags, padding or nothing."""

    def is_chunk(at):
        name = _bytes(data, at, 4)
        known = _is_text(name) & _is_letter(name[0])
        no_chunk = reduce(or_, (_is(data, at, kind) for kind in _NO_CHUNKS))
        return (at + 8 <= size) & known & ~no_chunk & (at + 8 + _number(data, at + 4, 4) <= size)

    start = tf.minimum(at, size)
    (at,) = tf.while_loop(is_chunk, lambda at: (_behind(data, size, at),), (start,), maximum_iterations=_MOST_CHUNKS)
    is_text = (at + 8 <= size) & reduce(or_, (_is(data, at, kind) for kind in _TEXTS))
    return is_text | _ends_in_tags(data, size, at)


def _ends_in_tags(data, size, at):
    """Return whether from `at` on there are tags of other formats (ID3, APE, Lyrics3), zeros or nothing."""

    def is_tag(at):
        return ((at + 10 <= size) & _is(data, at, b"ID3")) | ((at < size) & _is(data, at, b"APETAGEX"))

    def next_tag(at):
        sizes = tf.cast(_bytes(data, at + 6, 4), tf.int64) % 128
        footer = tf.where(_number(data, at + 5, 1) // 16 % 2 > 0, 10, 0)
        id3 = 10 + tf.cast(footer, tf.int64) + tf.reduce_sum(sizes * [2**21, 2**14, 2**7, 1])
        return (tf.minimum(size, at + tf.where(_is(data, at, b"ID3"), id3, 32 + _number(data, at + 12, 4))),)

    (at,) = tf.while_loop(is_tag, next_tag, (at,), maximum_iterations=16)
    left = size - at
    zeros = (left <= _PADDING) & tf.equal(
        tf.reduce_sum(tf.cast(_bytes(data, at, tf.minimum(left, _PADDING)), tf.int64)), 0
    )
    return (left <= 1) | zeros | (_is(data, at, b"TAG") & tf.equal(left, 128)) | _is(data, at, b"LYRICSBEGIN")


def _holds_another(data, begin, size):
    """Return whether the head of another recording is in the samples."""
    values = _bytes(data, begin, size - begin)
    places = tf.maximum(tf.size(values) - 11, 0)

    def at(offset: int, name: bytes):
        return reduce(and_, (tf.equal(values[offset + n :][:places], byte) for n, byte in enumerate(name)))

    wav = (at(0, b"RIFF") | at(0, b"RIFX") | at(0, b"RF64")) & at(8, b"WAVE")
    return tf.reduce_any(reduce(or_, map(partial(at, 0), _OTHER_HEADS), wav | (at(0, b"FORM") & at(8, b"AIF"))))


def _behind(data, size, at):
    """Return where the chunk behind that at `at` begins, at most the file's end."""
    length = _number(data, at + 4, 4)
    return tf.minimum(size, at + 8 + length + length % 2)


def _is_text(name):
    """Return whether bytes are printable ASCII, as a chunk's name is."""
    return tf.reduce_all((name >= 32) & (name <= 126))


def _is_letter(byte):
    """Return whether a byte may begin a chunk's name."""
    return ((byte >= 65) & (byte <= 90)) | ((byte >= 97) & (byte <= 122)) | tf.equal(byte, 95) | tf.equal(byte, 40)


def _is(data, at, word: bytes):
    return tf.equal(tf.strings.substr(data, at, len(word)), word)


def _bytes(data, at, count):
    return tf.io.decode_raw(tf.strings.substr(data, at, count), tf.uint8)


def _number(data, at, width: int):
    """Return the number of `width` bytes, the lowest first, int64."""
    powers = [256**power for power in range(width)]
    return tf.reduce_sum(tf.cast(_bytes(data, at, width), tf.int64) * tf.constant(powers, tf.int64))
