"""Feature transfer on vectors, against NumPy and scikit-learn."""

import keras
import numpy as np
import pytest
from scipy.special import expit
from sklearn.cross_decomposition import CCA

from zoo.errors import UserError
from zoo.layers.sparsity import KLSparsity
from zoo.learning.transfer import features as feature_transfer
from zoo.learning.transfer.features import (
    AutoencoderDifferences,
    ClassAutoencoders,
    CorpusCorrelation,
    SharedAutoencoder,
    SparseAutoencoder,
)

QUICK = {"units": 6, "steps": 60, "learning_rate": 0.02}


def divergence(activity, means):
    return (activity * np.log(activity / means) + (1 - activity) * np.log((1 - activity) / (1 - means))).sum()


@pytest.mark.backend
def test_penalty_is_the_divergence_of_the_batch_means(rng):
    """By the definition, and by hand: two units of mean 0.5 where 0.25 is wanted."""
    layer = KLSparsity(0.05, 0.3)
    activations = rng.uniform(0, 1, (7, 4)).astype("float32")
    assert layer(activations) is not None
    np.testing.assert_allclose(float(layer.losses[0]), 0.3 * divergence(0.05, activations.mean(axis=0)), rtol=1e-5)
    layer = KLSparsity(0.25, 1.0)
    layer(np.array([[0.0, 0.25], [1.0, 0.25]], "float32"))
    by_hand = 0.25 * np.log(0.5) + 0.75 * np.log(1.5)  # the unit of mean 0.5; the other one costs nothing
    assert float(layer.losses[0]) == pytest.approx(by_hand, rel=1e-5)
    with pytest.raises(ValueError, match="expected an activity in 0"):
        KLSparsity(1.0)


@pytest.mark.backend
def test_loss_of_an_autoencoder_is_its_error_and_the_whole_penalty(rng):
    """Keras would divide an activity regulariser by the batch's 64 clips."""
    network = feature_transfer.autoencoder(5, 3, 0.1, 0.7, 1e-3)
    kernel, bias, back, offset = network.get_weights()
    vectors = rng.normal(size=(8, 5)).astype("float32")
    code = expit(vectors @ kernel + bias)
    expected = np.square(code @ back + offset - vectors).mean() + 0.7 * divergence(0.1, code.mean(axis=0))
    assert network.evaluate(vectors, vectors, verbose=0) == pytest.approx(expected, rel=1e-4)


@pytest.mark.backend
def test_an_autoencoder_learns_and_repeats_itself(rng):
    vectors = (rng.normal(size=(40, 2)) @ rng.normal(size=(2, 5))).astype("float32")
    found = SparseAutoencoder(**QUICK, weight=0.0, seed=3).fit(vectors)
    assert np.square(found.reconstruct(vectors) - vectors).mean() < 0.5 * vectors.var()
    SparseAutoencoder(**QUICK, weight=0.0, seed=4).fit(vectors[:9])  # the same network, from another start
    again = SparseAutoencoder(**QUICK, weight=0.0, seed=3).fit(vectors)
    np.testing.assert_allclose(again.transform(vectors), found.transform(vectors), rtol=1e-4, atol=1e-5)
    network = feature_transfer.autoencoder(5, 6, 0.05, 0.0, 0.02)
    np.testing.assert_allclose(np.asarray(network.predict(vectors, verbose=0)), again.reconstruct(vectors), atol=1e-4)
    with pytest.raises(UserError, match="expected at least 2 clips to be fitted on, found 1"):
        SparseAutoencoder().fit(vectors[:1])


def test_sparsity_makes_units_seldom_active(rng):
    vectors = rng.normal(size=(64, 5)).astype("float32")
    free, sparse = (SparseAutoencoder(**{**QUICK, "steps": 500}, weight=weight).fit(vectors) for weight in (0.0, 3.0))
    assert sparse.transform(vectors).mean() < 0.5 * free.transform(vectors).mean()
    assert abs(sparse.transform(vectors).mean() - 0.05) < 0.05


def test_a_shared_code_is_of_both_domains(rng):
    source, target = rng.normal(0, 1, (50, 5)), rng.normal(2, 1, (10, 5))
    found = SharedAutoencoder(**QUICK).fit(source, target)
    assert found.transform(source).shape == (50, 6) and found.transform(target).shape == (10, 6)
    assert found.transform(target).min() >= 0 and found.transform(target).max() <= 1


def test_class_autoencoders_move_source_clips_to_the_target_clips_of_their_class(rng):
    target = np.concatenate([rng.normal(3, 0.1, (8, 4)), rng.normal(-3, 0.1, (8, 4)), np.zeros((1, 4))])
    labels = ["sad"] * 8 + ["angry"] * 8 + ["happy"]
    found = ClassAutoencoders(**{**QUICK, "steps": 150}, weight=0.0).fit(target, labels)
    assert set(found.of_class) == {"sad", "angry"}
    source = rng.normal(0, 0.5, (6, 4)).astype("float32")
    moved = found.transform(source, ["sad", "sad", "angry", "angry", "happy", "calm"])
    assert (moved[:2] > 1).all() and (moved[2:4] < -1).all()
    np.testing.assert_array_equal(moved[4:], source[4:])


def test_differences_move_the_source_towards_the_target(rng):
    source, target = rng.normal(-1, 0.3, (60, 4)), rng.normal(1, 0.3, (60, 4))
    found = AutoencoderDifferences(**{**QUICK, "steps": 150}, weight=0.0).fit(source, target)
    expected = found.target.reconstruct(source) - found.source.reconstruct(source)
    np.testing.assert_allclose(found.differences(source), expected, atol=1e-6)
    moved = found.transform(source)
    assert np.square(moved - source - expected).mean() < 0.5 * np.square(expected).mean()
    assert np.abs(moved.mean() - 1) < np.abs(source.mean() - 1)


def two_views(rng, n=24):
    """One common value behind two corpora, each with its own directions and noise."""
    common = rng.normal(size=(n, 1))
    return (common @ rng.normal(size=(1, 4)) + rng.normal(0, 0.3, (n, 4)) for _ in range(2))


def test_correlation_is_scikit_learns_on_pairs_and_by_hand(rng):
    """One clip a class: the pairs are the clips themselves, and all principal components are a rotation."""
    source, target = two_views(rng)
    labels = [f"{number:02}" for number in range(len(source))]
    found = CorpusCorrelation(components=2, principal=4).fit(source, labels, target, labels)
    x, y = found.transform_source(source), found.transform_target(target)
    principal = found.pca[0].transform(source), found.pca[1].transform(target)
    theirs = CCA(2, max_iter=2_000).fit(*principal).transform(*principal)
    np.testing.assert_allclose(x, theirs[0], atol=1e-6)
    np.testing.assert_allclose(y, theirs[1], atol=1e-6)
    # Hotelling: squared correlations are eigenvalues of Sxx^-1 Sxy Syy^-1 Syx.
    both = np.cov(source, target, rowvar=False)
    product = np.linalg.solve(both[:4, :4], both[:4, 4:]) @ np.linalg.solve(both[4:, 4:], both[4:, :4])
    strongest = np.sqrt(np.sort(np.linalg.eigvals(product).real)[::-1][:2])
    assert [np.corrcoef(x[:, n], y[:, n])[0, 1] for n in range(2)] == pytest.approx(strongest, abs=1e-3)


def test_pairs_are_the_means_of_groups_of_a_class(rng):
    source, target = rng.normal(size=(12, 3)), rng.normal(size=(5, 3))
    names = ["sad"] * 6 + ["angry"] * 4 + ["calm"] * 2, ["sad"] * 3 + ["angry", "bored"]
    found = CorpusCorrelation(pairs_per_class=2)
    x, y = found.pairs(source, names[0], target, names[1])
    assert x.shape == y.shape == (3, 3)  # angry once, as the target has one clip of it; sad twice; no other is common
    np.testing.assert_allclose(x[0], source[6:10].mean(axis=0))
    np.testing.assert_allclose(y[0], target[3])
    np.testing.assert_allclose(x[1:].mean(axis=0), source[:6].mean(axis=0))  # two groups of three
    np.testing.assert_allclose((2 * y[1] + y[2]) / 3, target[:3].mean(axis=0))  # of two and of one
    with pytest.raises(UserError, match="expected at least 2 pairs of class prototypes, found 1"):
        CorpusCorrelation().fit(source, ["calm"] * 12, target[:1], ["calm"])


def test_keras_takes_the_penalty_into_a_saved_model(tmp_path):
    network = feature_transfer.autoencoder(5, 3, 0.1, 0.7, 1e-3)
    network.save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "a.keras", compile=False)
    assert again.get_layer("sparsity").get_config()["activity"] == 0.1
