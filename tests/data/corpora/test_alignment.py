"""Which rating belongs to which frame, by cases worked by hand."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from zoo.data.corpora.alignment import check_span, frame_labels
from zoo.data.schema import Trace
from zoo.errors import UserError


def trace(steps, step_seconds=0.04, start_seconds=0.0):
    """A trace whose two dimensions count up and down, so that a value gives its step."""
    up = np.arange(steps, dtype=np.float32)
    return Trace(("arousal", "valence"), np.stack([up, -up], axis=1), step_seconds, start_seconds)


def chosen(*arguments, **keywords):
    """The number of the step each frame got; None where the mask says it has none."""
    labels, mask = frame_labels(*arguments, **keywords)
    assert labels.dtype == np.float32 and mask.dtype == bool
    np.testing.assert_array_equal(labels[:, 0], -labels[:, 1])
    assert not labels[~mask].any()
    return [int(label) if rated else None for label, rated in zip(labels[:, 0], mask, strict=True)]


NO = None


@pytest.mark.parametrize(
    ("steps", "frames", "hop_seconds", "delay_seconds", "expected"),
    [
        (5, 5, 0.04, 0.0, [0, 1, 2, 3, 4]),
        (4, 5, 0.04, 0.0, [0, 1, 2, 3, 3]),  # a rating less: the last is repeated
        (3, 6, 0.04, 0.0, [0, 1, 2, 2, NO, NO]),  # but not more than once
        (3, 12, 0.01, 0.0, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]),
        (7501, 7500, 0.04, 0.0, list(range(7500))),  # AVEC: 300 s have 7,501 ratings
        (5, 5, 0.04, 0.08, [2, 3, 4, NO, NO]),
        (6, 5, 0.04, 0.08, [2, 3, 4, 5, NO]),
        (4, 5, 0.04, 0.08, [2, 3, 3, NO, NO]),
        (5, 5, 0.04, 0.07, [1, 2, 3, 4, NO]),  # between two steps: the earlier
        (5, 5, 0.04, -0.08, [NO, NO, 0, 1, 2]),
        (51, 50, 0.04, 1.0, [*range(25, 51), *[NO] * 24]),
    ],
)
def test_rating_of_each_frame(steps, frames, hop_seconds, delay_seconds, expected):
    assert chosen(trace(steps), frames, hop_seconds, delay_seconds=delay_seconds) == expected


@pytest.mark.parametrize(("steps", "start_seconds", "frames"), [(4, 1, 75), (61, 15, 1125)])  # the second: songs
def test_half_second_steps_that_begin_later(steps, start_seconds, frames):
    found = chosen(trace(steps, 0.5, start_seconds), frames, 0.04)
    hundredths = [4 * frame - 100 * start_seconds for frame in range(frames)]
    assert found == [late // 50 if late >= 0 else None for late in hundredths]


def test_a_second_is_let_through_and_more_is_not():
    assert chosen(trace(75), 100, 0.04)[-1] is None
    with pytest.raises(UserError, match=r"dev_1: .* audio's end at 4\.00 s, found labels that end 1\.04 s too early"):
        frame_labels(trace(74), 100, 0.04, name="dev_1")
    assert chosen(trace(126), 100, 0.04)[-1] == 99
    with pytest.raises(UserError, match=r"labels that end 1\.04 s too late\. Check that"):
        frame_labels(trace(127), 100, 0.04)


@pytest.mark.parametrize("delay", [9.0, -9.0])
def test_delay_longer_than_the_recording(delay):
    with pytest.raises(UserError, match=rf"P16: no frame has a label.* delay is {delay:g} s\. Choose a shorter"):
        frame_labels(trace(5), 5, 0.04, delay, name="P16")


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])
def test_span_against_a_file(tmp_path, suffix):
    audio = tmp_path / f"a{suffix}"
    soundfile.write(audio, 0.1 * np.sin(np.arange(5 * 16_000)), 16_000)
    for steps in (101, 125, 126, 150):
        check_span(trace(steps), Path("a.arff"), audio)
    for steps, words in ((99, "1.04 s too early"), (152, "1.04 s too late")):
        with pytest.raises(UserError) as error:
            check_span(trace(steps), Path("a.arff"), audio)
        assert all(part in str(error.value) for part in ("a.arff: expected", str(audio), words))
    audio.write_bytes(b"")
    check_span(trace(5), Path("a.arff"), audio)  # reading it raises the reason
    check_span(trace(5), Path("a.arff"), tmp_path / "absent.wav")
