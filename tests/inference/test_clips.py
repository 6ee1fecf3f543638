"""Samples of any library and shape, and the bytes of files, are recordings; anything else is refused in words."""

import io

import numpy as np
import pytest
import soundfile

from zoo.data.audio.recording import BadClip
from zoo.errors import UserError
from zoo.inference.clips import is_clip
from zoo.inference.predictor import Predictor

NOISE = np.random.default_rng(0).normal(0, 0.1, (8_000, 2)).astype(np.float32)
MONO = NOISE[:, 0]


def predictor():
    """Its probability of "a" is the mean of the squares of the samples."""

    def answer(waveform):
        assert waveform.dtype == np.float32
        return np.array([np.square(waveform).mean(), 0])

    return Predictor(("a", "b"), "x", 16_000, 0.025, 60.0, lambda waveforms: list(map(answer, waveforms)))


def share(clip, **options):
    (row,) = predictor().predict([clip], **options)
    return row["probabilities"]["a"]


def expected(mono):
    return pytest.approx(float(np.square(mono).mean()), abs=2e-6)


@pytest.mark.parametrize(
    "clip",
    [
        MONO,
        MONO.astype(np.float64),
        MONO[:, None],
        MONO[None],
        np.stack([MONO, MONO], axis=1),
        np.stack([MONO] * 8),
        np.asfortranarray(np.stack([MONO, MONO], axis=1)),
        np.repeat(MONO, 2)[::2],
        MONO.tolist(),
        tuple(MONO),
        [[value] for value in MONO.tolist()],
        [MONO.tolist(), MONO.tolist()],
    ],
)
def test_samples_of_any_shape_are_mixed_down(clip):
    assert is_clip(clip) and share(clip) == expected(MONO)


def test_half_precision_is_enough():
    assert share(MONO.astype(np.float16)) == pytest.approx(float(np.square(MONO).mean()), rel=1e-3)


def test_channels_are_mixed_by_their_mean():
    assert share(NOISE) == share(NOISE.T) == expected(NOISE.mean(axis=1))


def test_tensors_of_other_libraries():
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax.numpy")
    for tensor in (torch.tensor(NOISE.T), torch.tensor(NOISE, requires_grad=True), jax.asarray(NOISE)):
        assert is_clip(tensor) and share(tensor) == expected(NOISE.mean(axis=1))
    with pytest.raises(UserError, match=r"#0: expected samples .*BFloat16"):
        share(torch.tensor(MONO, dtype=torch.bfloat16))
    tensorflow = pytest.importorskip("tensorflow")
    assert share(tensorflow.constant(MONO)) == expected(MONO)
    assert share(tensorflow.Variable(MONO)) == expected(MONO)


def test_the_bytes_of_a_file(tmp_path):
    file = io.BytesIO()
    soundfile.write(file, MONO, 22_050, format="FLAC")
    (tmp_path / "x.flac").write_bytes(file.getvalue())
    of_file = share(tmp_path / "x.flac")
    for content in (file.getvalue(), bytearray(file.getvalue()), memoryview(file.getvalue())):
        assert is_clip(content) and share(content) == of_file
    for content in (b"", b"no audio", file.getvalue()[:3_000]):
        with pytest.raises(BadClip, match=r"^#0: expected"):
            share(content)


def test_other_rates_are_resampled(tmp_path):
    soundfile.write(tmp_path / "x.wav", NOISE, 22_050, subtype="FLOAT")
    assert share(NOISE, clips_hz=22_050) == share(tmp_path / "x.wav")


@pytest.mark.parametrize("value", ["a.wav", [], [MONO], ["a.wav", MONO], [b"x"], None, {"a": 1}, iter([0.5])])
def test_lists_of_clips_are_told_from_clips(value):
    assert is_clip(value) == isinstance(value, str)


@pytest.mark.parametrize(
    ("clip", "found"),
    [
        ((MONO * 32767).astype(np.int16), r"found int16 \(8000,\); divide by 32768"),
        (np.zeros(9, np.int32), r"found int32 \(9,\); divide by 2147483648"),
        (np.zeros((9, 2), np.uint8), r"found uint8 \(9, 2\); take 128 off and divide by 128"),
        ([0, 1, -1] * 999, r"found int64 \(2997,\); divide by"),
        (MONO * 32768, r"found a sample of .* Divide integers by their full scale: 32768 for 16 bits"),
        (MONO > 0, r"found bool \(8000,\)"),
        (MONO + 1j, r"found complex64 \(8000,\)"),
        (np.array(["a.wav"]), "found <U5"),
        (np.array([None]), "found object"),
        (np.zeros(9, "M8[s]"), "found datetime64"),
        (np.zeros((2, 2, 2)), r"found the shape \(2, 2, 2\)"),
        (np.float32(1), r"found the shape \(\)"),
        (np.zeros((9, 9)), r"found the shape \(9, 9\)"),
        (np.zeros((8, 8)), r"found the shape \(8, 8\)"),
        (np.zeros((800, 9)), r"found the shape \(800, 9\)"),
        (np.zeros(0), r"a recording, found samples of the shape \(0,\)"),
        (np.zeros((2, 0)), r"samples of the shape \(2, 0\)"),
        ([[]], r"samples of the shape \(1, 0\)"),
        ([[0.1, 0.2], [0.3]], "found list: .*inhomogeneous"),
        ([0.1, "a"], "found <U"),
        ([0.1, None], "found object"),
        (None, "found NoneType"),
        ({"waveform": MONO}, "found dict"),
        (0.5, "found float"),
        (iter([0.5]), "found list_iterator"),
        (io.BytesIO(b"x"), "found a file that begins b'x'"),
        (np.array([np.nan] * 999), "999 of 999 samples that are NaN"),
        (np.array([1e300] * 999), "999 of 999 samples that are NaN or infinite"),
        (np.zeros(5), r"0\.0003125 s"),
    ],
)
def test_what_is_no_recording_is_refused_in_words(clip, found):
    with pytest.raises(UserError, match=f"^#0: expected .*{found}"):
        share(clip)
