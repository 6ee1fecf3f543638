"""Mutated audio files: each gets finite ratings or probabilities from an export, or a named error."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

tf = pytest.importorskip("tensorflow")

from zoo.inference.export_predictor import of_export  # noqa: E402
from zoo.serving import saved_model  # noqa: E402

COUNT = 100
FORMATS = (("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAVEX", "PCM_24"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"))


def mutated(rng):
    """A recording of noise: whole, cut, with bits flipped, with another head, with absurd sizes; or random bytes."""
    container, subtype = FORMATS[rng.integers(len(FORMATS))]
    rate_hz = 16_000 if container == "OGG" else int(rng.choice([8_000, 16_000, 44_100]))
    stream = io.BytesIO()
    samples = 0.1 * rng.standard_normal((int(0.3 * rate_hz), int(rng.choice([1, 1, 2, 8]))))
    soundfile.write(stream, samples, rate_hz, subtype, format=container)
    content = bytearray(stream.getvalue())
    way = rng.integers(6)
    if way == 1:
        del content[rng.integers(len(content)) :]
    elif way == 2:
        for place in rng.integers(len(content), size=rng.integers(1, 50)):
            content[place] ^= 1 << rng.integers(8)
    elif way == 3:
        head = rng.bytes(int(rng.integers(1, 64)))
        content[: len(head)] = head
    elif way == 4:  # 2 or 4 bytes of the head, where sizes, rates and numbers of channels are
        place, number = int(rng.integers(4, 60)), int(rng.choice([0, 1, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]))
        packed = struct.pack("<I", number)[: int(rng.choice([2, 4]))]
        content[place : place + len(packed)] = packed
    return rng.bytes(int(rng.integers(5_000))) if way == 5 else bytes(content)


def test_mutated_files_are_answered_or_refused(tmp_path):
    exported = saved_model.load(Path(__file__).parents[3] / "saved_models" / "attention_blstm_fcn-demo")
    rng, bad, refused = np.random.default_rng(0), [], 0
    contents = [mutated(rng) for _ in range(COUNT)]
    paths = [tmp_path / f"{number}.wav" for number in range(COUNT)]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    answered = {row["file"] for row in of_export(exported).predict(paths, on_bad=bad.append)}
    assert {str(path) for path in paths} == answered ^ {str(error.path) for error in bad}
    assert answered and {"truncated", "not-audio"} <= {error.kind for error in bad}
    for content in contents:
        try:
            (answer,) = exported.on_wav_bytes([content])
        except tf.errors.InvalidArgumentError:
            refused += 1
        else:
            assert np.isfinite(answer).all()
    assert 0 < refused < COUNT
