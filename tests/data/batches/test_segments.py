"""Segments for training: ratings stay with their samples, whatever the epoch."""

import numpy as np
import pytest

from zoo.data.batches.feature_store import Features
from zoo.data.batches.segments import Rated, segment_batches

STEPS = 10


@pytest.fixture
def recordings(tmp_path):
    """Every sample of recording r holds 1000 r + its frame; the frame's rating is the same number."""
    made = []
    for number, n_frames in enumerate((40, 23, 7)):
        frames = 1000.0 * number + np.arange(n_frames, dtype=np.float32)
        path = tmp_path / f"{number}.npy"
        np.save(path, np.repeat(frames, STEPS)[:, None])
        labels = np.stack([frames, -frames], axis=1)
        rated = np.arange(n_frames) < n_frames - 2
        features = Features(path, n_frames * STEPS, 1.0, str(number))
        made.append(Rated(str(number), features, labels, rated, STEPS))
    return made


def epochs_of(recordings, **options):
    settings = {"batch_size": 3, "segment_frames": 7, "seed": 5, "epoch": 1, **options}
    return [
        ({name: np.asarray(value) for name, value in inputs.items()}, np.asarray(labels), np.asarray(weights))
        for inputs, labels, weights in segment_batches(recordings, **settings)
    ]


@pytest.mark.parametrize("unheard_frames", [0, 3])
def test_every_frame_has_its_own_samples_rating_and_weight(recordings, unheard_frames):
    for inputs, labels, weights in epochs_of(recordings, unheard_frames=unheard_frames):
        assert inputs["features"].shape[1:] == (7 * STEPS, 1) and labels.shape[1:] == (7, 2)
        np.testing.assert_array_equal(inputs["features"][:, ::STEPS, 0], labels[:, :, 0])
        np.testing.assert_array_equal(labels[:, :, 0], -labels[:, :, 1])
        assert (inputs["n_frames"] == 7 * STEPS).all()
        number, frame = np.divmod(labels[:, :, 0], 1000)
        is_rated = frame < np.array([40, 23, 7])[number.astype(int)] - 2
        np.testing.assert_array_equal(weights, is_rated & (np.arange(7) >= unheard_frames))


def test_a_segment_without_a_rating_is_left_out(recordings):
    names = {int(row[0] // 1000) for _, labels, _ in epochs_of(recordings, unheard_frames=5) for row in labels[:, :, 0]}
    assert names == {0, 1}  # the third's one segment has no rating behind its first five frames


def test_segments_are_whole_do_not_overlap_and_change_with_the_epoch(recordings):
    def frames(epoch):
        return np.concatenate([labels[:, :, 0] for _, labels, _ in epochs_of(recordings, epoch=epoch)])

    seen = set()
    for epoch in range(8):
        every = frames(epoch)
        assert len(np.unique(every)) == every.size
        assert (np.diff(every, axis=1) == 1).all()
        assert set(every.ravel() // 1000) == {0, 1, 2}
        seen.add(tuple(sorted(every[:, 0])))
    assert len(seen) > 4


def test_batches_are_even(recordings):
    sizes = [len(labels) for _, labels, _ in epochs_of(recordings, batch_size=4)]
    assert max(sizes) - min(sizes) <= 1 and max(sizes) <= 4


def test_perturbation_is_of_the_seed_and_epoch(recordings):
    def shift(features, rng):
        return features + rng.uniform(0.1, 0.2)

    plain = epochs_of(recordings)
    once, again, other = (epochs_of(recordings, perturb=shift, epoch=epoch)[0][0]["features"] for epoch in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert other.shape != once.shape or not np.array_equal(once, other)
    difference = once - plain[0][0]["features"]
    assert (difference > 0.09).all() and (difference < 0.21).all()
