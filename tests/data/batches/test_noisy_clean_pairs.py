"""Pairs of noisy and clean frames stay together through cuts, padding and order."""

import numpy as np
import pytest

from zoo.data.batches.feature_store import Features
from zoo.data.batches.noisy_clean_pairs import Pair, even_cuts, pair_batches

LENGTHS = (230, 60, 7)


@pytest.fixture
def pairs(tmp_path):
    """Every clean frame of clip c holds 1000 c + its number, from 1 on; the noisy one its negative."""
    made = []
    for number, n_frames in enumerate(LENGTHS):
        frames = (1000.0 * number + 1 + np.arange(n_frames, dtype=np.float32))[:, None].repeat(2, axis=1)
        paths = [tmp_path / f"{name}{number}.npy" for name in ("noisy", "clean")]
        for path, values in zip(paths, (-frames, frames), strict=True):
            np.save(path, values)
        made.append(Pair(str(number), "3", *(Features(path, n_frames, 1.0, str(number)) for path in paths)))
    return made


def epoch_of(pairs, **options):
    settings = {"batch_size": 2, "segment_frames": 60, "target": lambda clean: 10 * clean, "seed": 1, "epoch": 1}
    return [
        ({name: np.asarray(value) for name, value in inputs.items()}, np.asarray(targets), np.asarray(weights))
        for inputs, targets, weights in pair_batches(pairs, **{**settings, **options})
    ]


def real_frames(batches):
    rows = [row for inputs, _, _ in batches for row in zip(inputs["features"], inputs["n_frames"], strict=True)]
    return [frames[:length, 0] for frames, length in rows]


def test_every_frame_has_its_own_target_and_padding_weighs_nothing(pairs):
    for inputs, targets, weights in epoch_of(pairs):
        np.testing.assert_array_equal(targets, -10 * inputs["features"])
        frames = np.arange(weights.shape[1])
        np.testing.assert_array_equal(weights, frames < inputs["n_frames"][:, None])
        np.testing.assert_array_equal(inputs["features"][..., 0] != 0, weights == 1)


def test_long_clips_are_cut_into_whole_segments_and_short_ones_taken_whole(pairs):
    seen = set()
    for epoch in range(6):
        segments = sorted(real_frames(epoch_of(pairs, epoch=epoch)), key=lambda frames: -frames[0])
        assert all((np.diff(frames) == -1).all() for frames in segments)
        lengths = [len(frames) for frames in segments]
        assert set(lengths[:-2]) == {60} and lengths[-2:] == [60, 7]
        every = np.concatenate(segments)
        assert len(np.unique(every)) == len(every)
        np.testing.assert_array_equal(-segments[-1], 2001 + np.arange(7))
        np.testing.assert_array_equal(-segments[-2], 1001 + np.arange(60))
        seen.add(-segments[0][0])
    assert len(seen) > 3


def test_an_epoch_can_be_repeated(pairs):
    np.testing.assert_equal(epoch_of(pairs), epoch_of(pairs))


@pytest.mark.parametrize(("n_frames", "lengths"), [(400, [400]), (401, [200, 201]), (1, [1]), (900, [300, 300, 300])])
def test_even_cuts_cover_a_clip_once(n_frames, lengths):
    cuts = even_cuts(n_frames, 400)
    assert [length for _, length in cuts] == lengths
    assert [start for start, _ in cuts] == np.cumsum([0, *lengths[:-1]]).tolist()
