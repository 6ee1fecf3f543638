"""Order, crops, padding and weights of batches; moments."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from zoo.data.augmentation.feature_augmentation import specaugment
from zoo.data.batches.clips import Example, Mixing, moments, training_batches, whole_batches
from zoo.data.batches.feature_store import Features


@pytest.fixture
def examples(tmp_path):
    """Examples of which every frame holds its clip, its number and 1."""
    lengths = [5, 12, 40, 41, 7, 30, 22, 22, 9, 60, 61, 3, 18]
    return [Example(stored(tmp_path, index, length), index % 4, 1 + index / 10) for index, length in enumerate(lengths)]


def stored(folder, index, length, version=0):
    frames = np.stack([np.full(length, index), np.arange(length), np.full(length, 1 + version)], axis=1)
    np.save(folder / f"{index}-{version}.npy", frames.astype("float32"))
    return Features(folder / f"{index}-{version}.npy", length, 1.0, str(index))


def clips_of(batches):
    """{clip: (its frames without padding, label, weight)} of an epoch, and the batches' sizes."""
    seen, sizes = {}, []
    for inputs, labels, weights in batches.as_numpy_iterator():
        sizes.append(len(labels))
        for frames, count, label, weight in zip(inputs["features"], inputs["n_frames"], labels, weights, strict=True):
            assert not frames[count:].any()
            assert int(frames[0, 0]) not in seen
            seen[int(frames[0, 0])] = (frames[:count], label, weight)
    return seen, sizes


def test_every_clip_once_with_its_label_and_weight(examples):
    seen, sizes = clips_of(training_batches(examples, 4, 1000, seed=0, epoch=1))
    assert sorted(seen) == list(range(13))
    assert sorted(sizes) == [3, 3, 3, 4]  # in equal measure, not 4, 4, 4, 1
    for index, example in enumerate(examples):
        frames, label, weight = seen[index]
        np.testing.assert_array_equal(frames, np.load(example.features.path))
        assert (label, weight) == (example.label, pytest.approx(example.weight))


def test_long_clips_are_cropped_anywhere(examples):
    epochs = [clips_of(training_batches(examples[8:10], 4, 20, seed=0, epoch=epoch))[0] for epoch in range(1, 40)]
    assert all(len(seen[8][0]) == 9 for seen in epochs)
    numbers = np.stack([seen[9][0][:, 1] for seen in epochs])
    np.testing.assert_array_equal(numbers - numbers[:, :1], [np.arange(20)] * len(epochs))
    assert min(numbers[:, 0]) < 5 and max(numbers[:, 0]) > 35  # of 0..40


def test_an_epoch_can_be_repeated_and_differs_from_others(examples):
    def epoch(number, seed=0):
        batches = training_batches(examples, 4, 20, seed=seed, epoch=number, augment=lambda x, rng: x + rng.normal())
        return b"".join(inputs["features"].tobytes() for inputs, _, _ in batches.as_numpy_iterator())

    assert epoch(3) == epoch(3) and len({epoch(3), epoch(4), epoch(3, seed=1)}) == 3


def test_an_epoch_of_another_sampling_has_each_class_alike_and_draws_each_time_anew(examples):
    """A rare class's clip is there several times, each time with another crop."""
    examples = [replace(one, label=int(index > 10)) for index, one in enumerate(examples)]  # 11 and 2 clips

    def epoch(number, sampling="balanced", seed=0):
        made = training_batches(examples, 4, 20, seed=seed, epoch=number, sampling=sampling).as_numpy_iterator()
        rows = [row for inputs, *targets in made for row in zip(inputs["features"], *targets, strict=True)]
        return [(int(frames[0, 0]), int(frames[0, 1]), int(label)) for frames, label, _ in rows]

    found = epoch(1)
    assert [label for _, _, label in found].count(1) in (6, 7) and len(found) == 13
    assert all(label == examples[clip].label for clip, _, label in found)
    assert epoch(1) == found and epoch(2) != found and epoch(1, seed=1) != found
    assert len({start for number in range(1, 9) for clip, start, _ in epoch(number) if clip == 12}) == 1  # 18 frames
    plain = training_batches(examples, 4, 20, seed=0, epoch=1).as_numpy_iterator()
    same = training_batches(examples, 4, 20, seed=0, epoch=1, sampling="clips").as_numpy_iterator()
    assert all(np.array_equal(one[0]["features"], two[0]["features"]) for one, two in zip(plain, same, strict=True))


@pytest.fixture
def altered(examples, tmp_path):
    """The same clips with three versions each, the last one with none."""

    def versions(index, length):
        return tuple(stored(tmp_path, index, length + number, number) for number in (1, 2, 3))

    some = [replace(one, versions=versions(n, one.features.n_frames)) for n, one in enumerate(examples[:-1])]
    return some + examples[-1:]


def versions_of(examples, epoch, seed=0):
    """The version each clip is taken in, 0 the clip itself."""
    seen, _ = clips_of(training_batches(examples, 4, 1000, seed=seed, epoch=epoch))
    numbers = [int(seen[index][0][0, 2]) - 1 for index in range(len(examples))]
    for index, (example, number) in enumerate(zip(examples, numbers, strict=True)):
        np.testing.assert_array_equal(seen[index][0], (example.features, *example.versions)[number].read())
    return numbers


def test_without_versions_batches_are_those_of_the_first_release(examples):
    """The digest was taken with the pipeline as it was before there were versions."""
    digest = hashlib.sha256()
    options = {"seed": 7, "augment": lambda crop, rng: crop + rng.integers(9)}
    made = [training_batches(examples, 4, 20, epoch=epoch, **options) for epoch in (1, 2)]
    for batches in (*made, whole_batches(examples, 150)):
        for inputs, labels, weights in batches.as_numpy_iterator():
            for values in (inputs["features"], inputs["n_frames"], labels, weights):
                digest.update(f"{values.shape}{values.dtype}".encode() + values.tobytes())
    assert digest.hexdigest() == "b7885a4aadab80af240b2dc2c85c6b884facab904f75f68c881e879b7d93710a"


def test_each_clip_is_there_once_in_one_of_its_versions(altered):
    seen = np.array([versions_of(altered, epoch) for epoch in range(1, 41)])
    assert not seen[:, -1].any()  # it has none
    shares = np.bincount(seen[:, :-1].ravel(), minlength=4) / seen[:, :-1].size
    np.testing.assert_allclose(shares, 0.25, atol=4 * np.sqrt(0.25 * 0.75 / seen[:, :-1].size))
    assert len(np.unique(seen, axis=0)) == 40
    assert seen[2].tolist() != versions_of(altered, 3, seed=1)
    assert seen[2, :6].tolist() == versions_of(altered[:6], 3), "a clip's draw depends on others"


def test_versions_have_no_shapes_of_their_own_and_are_none_in_validation(altered):
    epochs = [training_batches(altered, 4, 1000, seed=0, epoch=epoch) for epoch in range(1, 8)]
    assert len({inputs["features"].shape[1] for epoch in epochs for inputs, _, _ in epoch.as_numpy_iterator()}) <= 4
    whole = [inputs["features"] for inputs, _, _ in whole_batches(altered).as_numpy_iterator()]
    assert max(features[..., 2].max() for features in whole) == 1


def test_clips_are_longer_and_shorter_by_up_to_the_tempo(examples):
    """The frames' numbers, interpolated, still run from a clip's first frame to its last."""
    shares = []
    for epoch in range(1, 30):
        batches = training_batches(examples, 4, 1000, seed=0, epoch=epoch, tempo=0.2)
        seen, _ = clips_of(batches)
        assert sorted(seen) == list(range(13))
        for index, example in enumerate(examples):
            frames, whole = seen[index][0], example.features.n_frames
            np.testing.assert_allclose(frames[:, 1], np.linspace(0, whole - 1, len(frames)), atol=1e-4)
            shares.append(len(frames) / whole if whole > 25 else 1)
    assert 0.79 <= min(shares) < 0.85 and 1.15 < max(shares) <= 1.21
    cropped, _ = clips_of(training_batches(examples[8:10], 4, 20, seed=0, epoch=2, tempo=0.2))
    assert len(cropped[9][0]) == 20 and 15 < np.ptp(cropped[9][0][:, 1]) < 25


def test_mixtures_are_of_clips_of_one_batch_by_shares_of_half_or_more(examples):
    """Frames hold their clip, and 1: by the label's shares the clips can be told apart."""
    mixing, own = Mixing(0.5, 13, fill=np.array([-1, 0, 0])), []
    labelled = [replace(example, label=index) for index, example in enumerate(examples)]
    plain = [labels for _, labels, _ in training_batches(labelled, 4, 1000, seed=0, epoch=1).as_numpy_iterator()]
    mixed = training_batches(labelled, 4, 1000, seed=0, epoch=1, mixing=mixing).as_numpy_iterator()
    for chosen, (inputs, labels, weights) in zip(plain, mixed, strict=True):
        assert labels.dtype == np.float32 and set(np.nonzero(labels)[1]) <= set(chosen)
        np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(weights, labels @ [example.weight for example in examples], rtol=1e-6)
        for index, frames, count, shares in zip(chosen, inputs["features"], inputs["n_frames"], labels, strict=True):
            own.append(shares[index])
            lengths = [examples[clip].features.n_frames for clip in np.nonzero(shares)[0]]
            assert count == max(lengths) and not frames[count:].any()
            np.testing.assert_allclose(frames[: min(lengths), 0], shares @ np.arange(13), atol=1e-4)
    assert min(own) >= 0.5 and np.ptp(own) > 0.2


def test_without_shares_labels_are_classes_and_features_as_they_are(examples):
    mixed = training_batches(examples, 4, 1000, seed=0, epoch=1, mixing=Mixing(0.0, 4)).as_numpy_iterator()
    plain = training_batches(examples, 4, 1000, seed=0, epoch=1).as_numpy_iterator()
    for one, other in zip(mixed, plain, strict=True):
        np.testing.assert_array_equal(one[0]["features"], other[0]["features"])
        np.testing.assert_array_equal(one[1], np.eye(4)[other[1]])


def test_few_shapes_and_little_padding(tmp_path, rng):
    lengths = rng.integers(100, 600, size=200).tolist()
    examples = [Example(stored(tmp_path, index, length), 0) for index, length in enumerate(lengths)]
    batches = [inputs["features"] for inputs, _, _ in training_batches(examples, 8, 1000, seed=0, epoch=1)]
    assert len({batch.shape[1] for batch in batches}) <= 4
    total = sum(batch.shape[0] * batch.shape[1] for batch in batches)
    assert 1 - sum(lengths) / total < 0.25  # padding to the longest in shuffled order wastes 0.4 on such lengths


def test_whole_batches_keep_order_and_length(examples):
    seen, _ = clips_of(whole_batches(examples, 150))
    assert list(seen) == list(range(13))
    assert [len(frames) for frames, _, _ in seen.values()] == [example.features.n_frames for example in examples]


def test_moments_are_numpys_on_all_frames(examples):
    mean, variance = moments(example.features for example in examples)
    frames = np.concatenate([np.load(example.features.path) for example in examples]).astype("float64")
    np.testing.assert_allclose(mean, frames.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(variance, frames.var(axis=0), rtol=1e-10, atol=1e-12)


def test_specaugment_hides_stretches_and_nothing_else(rng):
    features, fill = rng.normal(size=(200, 40)) + 5, np.full(40, -9.0)
    shares = []
    for _ in range(200):
        hidden = specaugment(features, rng, fill) == -9
        rows, columns = hidden.all(axis=1), hidden.all(axis=0)
        np.testing.assert_array_equal(hidden, rows[:, None] | columns[None, :])
        assert rows.mean() <= 0.3 and columns.mean() <= 0.4
        shares.append(hidden.mean())
    out = specaugment(features, rng, fill)
    np.testing.assert_array_equal(out[out != -9], features[out != -9])
    assert 0.1 < np.mean(shares) < 0.5
    specaugment(np.zeros((1, 2)), rng, np.zeros(2))  # the shortest clip
    assert (features != -9).all()  # the caller's array is left alone


def test_rows_of_labels_take_the_place_of_classes_and_mix_as_they_are(examples):
    rows = [np.array([index, 1, -index], np.float32) for index in range(len(examples))]
    labelled = [replace(one, labels=row) for one, row in zip(examples, rows, strict=True)]
    for index, (_, found, _) in clips_of(training_batches(labelled, 4, 1000, seed=0, epoch=1))[0].items():
        np.testing.assert_array_equal(found, rows[index])
    for alpha in (0.0, 0.5):
        mixed = training_batches(labelled, 4, 1000, seed=0, epoch=1, mixing=Mixing(alpha, 4)).as_numpy_iterator()
        labels = np.concatenate([labels for _, labels, _ in mixed])
        np.testing.assert_allclose(labels[:, 1], 1, rtol=1e-6)
        np.testing.assert_allclose(labels[:, 0], -labels[:, 2], rtol=1e-6)
        assert (sorted(labels[:, 0]) == list(range(13))) == (alpha == 0)
