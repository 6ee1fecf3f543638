"""Mutated lists, streams and arrays: each gets names, or samples and answers that are finite, or a named error.

The environment's COUNT says how many: COUNT=10000 python -m pytest -s tests/scripts/test_mutated_inputs.py
"""

import io
import json
import os
from collections import Counter

import numpy as np
import pytest
import soundfile

from zoo.data.audio import find
from zoo.data.audio.formats import HEAD_BYTES, container_of
from zoo.data.audio.lists import names_in
from zoo.errors import UserError
from zoo.inference.clips import MOST_CHANNELS, waveform_of
from zoo.inference.raw_audio import RawAudio
from zoo.inference.stream import Stream
from zoo.inference.stream_model import Live
from zoo.utils.text import cell, printable

COUNT = int(os.environ.get("COUNT", "200"))
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1")
CONTAINERS = ("WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "W64", "RF64", "NIST", "VOC", "PVF")
LETTERS = [*"abc/._- \\'\"=+\n\r\0\t", "ä", "声", "\x1b", "\x9b", "\u202e", "\ud800", "\udcff", "x" * 300]


def damaged(content, rng):
    """Return bytes as they are, cut, with some exchanged, with zeros or other bytes before them."""
    content, way = bytearray(content), rng.integers(5)
    if way == 1:
        del content[rng.integers(len(content) + 1) :]
    elif way == 2:
        for place in rng.integers(max(1, len(content)), size=rng.integers(1, 30)):
            content[place : place + 1] = rng.bytes(1)
    elif way == 3:
        content[:0] = bytes(int(rng.integers(100)))
    elif way == 4:
        content[:0] = rng.bytes(int(rng.integers(10)))
    return bytes(content)


def a_list(rng):
    text = "".join(rng.choice(LETTERS, rng.integers(80))) if rng.random() < 0.7 else "a.wav\nb/c.flac\r\n" * 9
    return text.encode(str(rng.choice(ENCODINGS)), "surrogatepass" if rng.random() < 0.9 else "replace")


def written(rng, container):
    stream = io.BytesIO()
    soundfile.write(stream, 0.1 * rng.standard_normal(4_000), 16_000, format=container)
    return stream.getvalue()


def test_mutated_lists_give_names_that_can_be_used_or_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.wav").touch()
    rng, found = np.random.default_rng(0), Counter()
    for _ in range(COUNT):
        try:
            content = a_list(rng)
        except UnicodeEncodeError:  # Latin-1 has no 声
            content = rng.bytes(int(rng.integers(500)))
        content = damaged(content if rng.random() < 0.9 else written(rng, str(rng.choice(CONTAINERS))), rng)
        try:
            names = names_in(io.BytesIO(content), "--list x")
        except UserError as error:
            assert str(error).startswith("--list x: expected ")
            found["refused"] += 1
            continue
        names = [name for name in names if not name.startswith(("/", ".."))]  # nothing beyond the test's own folder
        bad: dict[str, str] = {}
        files = find.audio_files(names, bad.setdefault)
        assert len(files) + len(bad) == len(set(names)) or len(names) != len(set(names))
        for message in [*bad.values(), *map(str, files)]:
            for text in (printable(message), cell(message), json.dumps(message)):
                assert text.encode("utf-8") and "\n" not in text and "\x1b" not in text
        found["names"] += bool(files)
        found["bad names"] += bool(bad)
    print(dict(found))
    assert found["names"] and found["bad names"] and found["refused"]


def raw(rng):
    """Samples of 16 bits or floats, of any loudness, with or without NaN and infinity; or random bytes."""
    samples = rng.choice([1e-6, 1e-3, 0.1, 1.0, 30.0, 1e6]) * rng.standard_normal(int(rng.integers(3_000)))
    if rng.random() < 0.1 and len(samples):
        samples[rng.integers(len(samples))] = rng.choice([np.nan, np.inf])
    if rng.random() < 0.5:
        return samples.astype("<f4").tobytes()
    return (np.nan_to_num(samples, posinf=1) * 32_768).clip(-32_768, 32_767).astype("<i2").tobytes()


class Pieces(io.BytesIO):
    """A stream that comes in pieces of random sizes."""

    def __init__(self, content, rng):
        super().__init__(content)
        self._rng = rng

    def read1(self, size=-1):
        return self.read(min(size, int(self._rng.choice([1, 2, 63, 4_096, 100_000]))))


def of_class(window):
    """Half of a made-up model's answer is the loudness."""
    share = float(np.clip(np.abs(window).mean(), 0, 1))
    return np.array([share, 1 - share])


@pytest.mark.filterwarnings("error")
def test_mutated_streams_are_answered_or_refused():
    """What is known as a container is never answered, what is 16 bits without its bytes is."""
    model = Live(("loud", "quiet"), "x", 16_000, of_class, 400, 160_000)
    rng, found = np.random.default_rng(1), Counter()
    for number in range(COUNT):
        container = number % 3 == 0
        content = damaged(written(rng, str(rng.choice(CONTAINERS))) if container else raw(rng), rng)
        kind = str(rng.choice(["s16le", "f32le"]))
        stream, audio, rows = Stream(model, 0.05, window_seconds=0.1), RawAudio(Pieces(content, rng), kind), []
        try:
            for samples in audio:
                rows += stream.push(samples)
            rows += stream.finish()
        except UserError as error:
            assert str(error).startswith(("--stream: expected raw samples", "stream: expected "))
            found["refused"] += 1
            continue
        assert container_of(content[:HEAD_BYTES]) is None
        assert audio.rest_bytes == len(content) % (2 if kind == "s16le" else 4)
        assert all(np.isfinite(row["probabilities"]["loud"] or 0.0) for row in rows)
        found["answered"] += bool(rows)
    print(dict(found))
    assert found["answered"] and found["refused"]


def an_array(rng):
    """Samples of one to three dimensions and any kind, as an array, as lists or as something else."""
    shape = [(8_000,), (8_000, 2), (3, 8_000), (9_000, 9), (8, 8), (2, 2, 900), (0,), (300,), (4_000, 1)][
        rng.integers(9)
    ]
    values = rng.choice([0.0, 1e-5, 0.1, 0.1, 1.0, 3e4]) * rng.standard_normal(shape) + rng.choice([0.0, 0.5])
    if rng.random() < 0.1 and values.size:
        values.flat[rng.integers(values.size)] = rng.choice([np.nan, np.inf])
    if rng.random() < 0.1 and values.ndim == 2:
        values[:, 1:] = -values[:, :1]
    kind = rng.choice([*["f4", "f8", ">f4"] * 4, "f2", "i2", "u1", "c8", "?", "O", "U9"])
    with np.errstate(all="ignore"):
        values = np.nan_to_num(values).astype(kind) if kind in ("i2", "u1") else values.astype(kind)
    way = rng.integers(4)
    if way == 0 and values.size < 2_000:
        return values.tolist()
    return [values, values.tobytes(), memoryview(values.tobytes()), None][way - 1] if rng.random() < 0.3 else values


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_mutated_arrays_are_waveforms_or_refused():
    rng, found = np.random.default_rng(2), Counter()
    for _ in range(COUNT):
        given = an_array(rng)
        try:
            waveform = waveform_of(given, "#0", int(rng.choice([8_000, 16_000, 44_100])), 16_000, 0.025, 60.0)
        except UserError as error:
            assert str(error).startswith("#0: expected ")
            found["refused"] += 1
            continue
        samples = np.asarray(given)
        assert samples.dtype.kind == "f" and np.isfinite(samples).all() and np.abs(samples).max() <= 100
        assert samples.ndim == 1 or min(samples.shape) <= MOST_CHANNELS
        assert waveform.ndim == 1 and waveform.dtype == np.float32 and np.ptp(waveform) > 9e-4
        found["waveforms"] += 1
    print(dict(found))
    assert found["waveforms"] and found["refused"]
