"""Linear models against pipelines of scikit-learn on the same vectors; data that cannot be fitted."""

from dataclasses import replace

import audmetric
import keras
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR, LinearSVC, LinearSVR

from zoo.config.flags import from_flags
from zoo.data.batches.clips import Example
from zoo.data.batches.feature_store import InMemory
from zoo.data.batches.segments import Rated
from zoo.errors import UserError
from zoo.layers.masking import FrameMask
from zoo.runs.dataset import resolve
from zoo.training import fit_linear
from zoo.training.tasks.base import FoldData
from zoo.utils.progress import Progress

CLASSES, WIDTH = ("angry", "calm", "sad"), 325


def clips(n, seed, width=WIDTH, classes=CLASSES):
    """One vector per utterance; features of very different sizes, one of them constant."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(classes)
    sizes = 10 ** np.random.default_rng(9).uniform(-3, 5, width)
    middles = np.random.default_rng(8).normal(size=(len(classes), width))
    values = (middles[labels] + 12 * rng.normal(size=(n, width))) * sizes + 100 * sizes
    values[:, 0] = 7.0
    return values.astype(np.float32), labels


def examples(values, labels, weights=None):
    weights = np.ones(len(labels)) if weights is None else weights
    return [
        Example(InMemory(row[None]), int(label), float(w))
        for row, label, w in zip(values, labels, weights, strict=True)
    ]


def fitted(tmp_path, model, train, validation, outputs=CLASSES, refit=(), **flags):
    settings = resolve(from_flags({"model": model, "corpus": "ravdess", "out": str(tmp_path), **flags}))
    task = FoldData("0", tmp_path, outputs, train, validation, None, refit)
    with Progress() as progress:
        history = fit_linear.fit(task, settings, progress)
    return history, keras.saving.load_model(tmp_path / "model.keras")


def outputs(model, vectors):
    batch = {"features": vectors[:, None], "n_frames": np.ones(len(vectors), np.int32)}
    return np.asarray(model.predict_on_batch(batch))


def scores(model, values):
    """The output of the last layer before the softmax."""
    linear = model.layers[-1]
    before = keras.Model(linear.inputs, linear.get_layer("scores").output)
    normalized = model.get_layer("normalization")(values[:, None])
    return np.asarray(before.predict_on_batch({"features": normalized, "n_frames": np.ones(len(values), np.int32)}))


@pytest.mark.parametrize(("model", "components"), [("egemaps_svm", None), ("compare_pca_svm", 40)])
@pytest.mark.parametrize("solver", ["liblinear", "sgd"])
def test_scores_are_those_of_scikit_learn(tmp_path, model, components, solver):
    values, labels = clips(150, 1)
    others, other_labels = clips(60, 2)
    weights = np.where(labels == 1, 2.0, 0.5)
    option = {"option": {"components": components}} if components else {}
    c = 1e-2
    train, validation = examples(values, labels, weights), examples(others, other_labels)
    _, found = fitted(tmp_path, model, train, validation, solver=solver, complexities=(c,), **option)
    if solver == "sgd":
        machine = SGDClassifier(loss="hinge", alpha=1 / (c * len(labels)), max_iter=200, random_state=0)
    else:
        machine = LinearSVC(C=c, dual="auto", max_iter=20_000, random_state=0)
    steps = [StandardScaler(), *([PCA(components)] if components else []), machine]
    expected = make_pipeline(*steps).fit(
        values.astype(np.float64), labels, **{f"{type(machine).__name__.lower()}__sample_weight": weights}
    )
    wanted = expected.decision_function(others.astype(np.float64))
    np.testing.assert_allclose(scores(found, others), wanted, rtol=1e-3, atol=1e-3 * np.abs(wanted).max())
    output = outputs(found, others)
    np.testing.assert_array_equal(np.argmax(output, axis=1), expected.predict(others.astype(np.float64)))


def test_with_refit_the_chosen_c_is_fitted_on_copies_and_validation_clips_too(tmp_path):
    """Standardisation stays that of the training clips and their copies."""
    values, labels = clips(90, 1)
    others, other_labels = clips(60, 2)
    copies = values + 0.1 * np.random.default_rng(3).normal(size=values.shape).astype(np.float32) * values.std(axis=0)
    train = [
        replace(example, versions=(InMemory(copy[None]),))
        for example, copy in zip(examples(values, labels), copies, strict=True)
    ]
    validation = examples(others, other_labels)
    given = {"solver": "liblinear", "complexities": (1e-4,)}
    _, alone = fitted(tmp_path / "alone", "egemaps_svm", train, validation, **given)
    _, found = fitted(tmp_path / "refit", "egemaps_svm", train, validation, refit=[*train, *validation], **given)

    both, both_labels = np.concatenate([values, copies]), np.concatenate([labels, labels])
    scale = StandardScaler().fit(both.astype(np.float64))
    every, every_labels = np.concatenate([both, others]), np.concatenate([both_labels, other_labels])
    for model, fitted_on, truth in ((alone, both, both_labels), (found, every, every_labels)):
        machine = LinearSVC(C=1e-4, dual="auto", max_iter=20_000, random_state=0)
        machine.fit(scale.transform(fitted_on.astype(np.float64)), truth)
        wanted = machine.decision_function(scale.transform(others.astype(np.float64)))
        np.testing.assert_allclose(scores(model, others), wanted, rtol=1e-3, atol=1e-3 * np.abs(wanted).max())


@pytest.mark.parametrize("known", [(0, 1), (0, 2)])
def test_two_classes_have_two_scores_and_one_without_training_clips_is_never_predicted(tmp_path, known):
    values, labels = clips(60, 1, classes=CLASSES[:2])
    train = examples(values, np.take(known, labels))
    n_classes = max(known) + 1
    history, found = fitted(tmp_path, "egemaps_svm", train, train, CLASSES[:n_classes], complexities=(1e-2,))
    output = outputs(found, values)
    assert output.shape == (60, n_classes)
    assert np.mean(np.argmax(output, axis=1) == np.take(known, labels)) == history[0]["validation_wa"] == 1
    assert np.delete(output, known, axis=1).max(initial=0) < 1e-6


def test_without_validation_clips_the_one_c_is_fitted(tmp_path):
    values, labels = clips(150, 1)
    train = examples(values, labels)
    history, found = fitted(tmp_path / "a", "egemaps_svm", train, (), complexities=(1e-4,))
    _, same = fitted(tmp_path / "b", "egemaps_svm", train, train[:9], complexities=(1e-4,))
    np.testing.assert_array_equal(outputs(found, values), outputs(same, values))
    assert history[0].keys() == {"epoch", "c", "seconds"}
    fit_linear.plot(history, tmp_path / "curves.png", "nothing to draw")
    assert not (tmp_path / "curves.png").exists()


def test_the_c_with_the_best_validation_score_is_kept(tmp_path):
    values, labels = clips(150, 1)
    others, other_labels = clips(90, 2)
    train, validation = examples(values, labels), examples(others, other_labels)
    history, found = fitted(tmp_path, "egemaps_svm", train, validation, complexities=(1e-9, 1e-4, 1.0))
    assert [row["c"] for row in history] == ["1e-09", "0.0001", "1"]
    best = max(history, key=lambda row: row["validation_ua"])
    output = outputs(found, others)
    assert np.mean(np.argmax(output, axis=1) == other_labels) == pytest.approx(best["validation_wa"])
    assert history[0]["validation_ua"] < best["validation_ua"]


def ratings(n, seed, noise):
    """A recording whose dimensions follow other features, the second buried in noise; its last frames unrated."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 88)).astype(np.float32) * 50
    labels = np.stack([values[:, 0] / 100, values[:, 1] / 500 + noise * rng.normal(size=n)], axis=1)
    rated = np.arange(n) < n - 20
    labels[~rated] = 1e6
    return Rated(f"r{seed}", InMemory(values), labels.astype(np.float32), rated, 1)


def test_each_dimension_has_the_c_that_is_best_for_it(tmp_path):
    train, validation = [ratings(120, 1, 0.5), ratings(90, 2, 0.5)], [ratings(100, 3, 0.5)]
    grid = (1e-6, 1e-4, 1e-2)
    history, found = fitted(
        tmp_path,
        "egemaps_svr",
        train,
        validation,
        ("arousal", "valence"),
        corpus="recola",
        complexities=grid,
        svr_loss="squared",
    )
    best = [max(history[:3], key=lambda row: row[f"validation_ccc_{name}"])["c"] for name in ("arousal", "valence")]
    assert best[0] != best[1], "the case shows nothing"
    assert history[-1]["c"] == " ".join(best)
    values = np.concatenate([one.features.values[one.rated] for one in train]).astype(np.float64)
    labels = np.concatenate([one.labels[one.rated] for one in train])
    one = validation[0].features.values
    output = found.predict_on_batch({"features": one[None], "n_frames": np.array([len(one)], np.int32)})[0]
    for dimension, c in enumerate(map(float, best)):
        svr = LinearSVR(C=c, epsilon=0.0, loss="squared_epsilon_insensitive", dual=False, max_iter=20_000)
        expected = make_pipeline(StandardScaler(), svr).fit(values, labels[:, dimension])
        np.testing.assert_allclose(output[:, dimension], expected.predict(one.astype(np.float64)), atol=1e-4)


def test_the_epsilon_svr_is_near_that_of_libsvm(tmp_path):
    """D4.2, section 5, has libsvm's: the same loss, whose bias alone is not held back."""
    train, validation = [ratings(120, 1, 0.5), ratings(90, 2, 0.5)], [ratings(100, 3, 0.5)]
    settings = {"corpus": "recola", "complexities": (1e-2,)}
    _, found = fitted(tmp_path, "egemaps_svr", train, validation, ("arousal", "valence"), **settings)
    values = np.concatenate([one.features.values[one.rated] for one in train]).astype(np.float64)
    labels = np.concatenate([one.labels[one.rated] for one in train])
    one = validation[0].features.values
    output = found.predict_on_batch({"features": one[None], "n_frames": np.array([len(one)], np.int32)})[0]
    for dimension in range(2):
        libsvm = SVR(kernel="linear", C=1e-2, epsilon=0.1)
        expected = make_pipeline(StandardScaler(), libsvm).fit(values, labels[:, dimension])
        theirs = expected.predict(one.astype(np.float64))
        assert audmetric.concordance_cc(theirs, output[:, dimension]) > 0.98
        squared = LinearSVR(C=1e-2, epsilon=0.0, loss="squared_epsilon_insensitive", dual=False, max_iter=20_000)
        other = make_pipeline(StandardScaler(), squared).fit(values, labels[:, dimension]).predict(one)
        assert np.abs(theirs - output[:, dimension]).max() < 0.2 * np.abs(theirs - other).max()


@pytest.mark.parametrize(
    ("model", "width", "option", "classes", "message"),
    [
        ("compare_pca_svm", WIDTH, {}, CLASSES, "is 150, expected at most 30: fold 0 trains on 30 vectors of 325"),
        ("egemaps_svm", 6, {"components": 7}, CLASSES, "components is 7, expected at most 6"),
        ("egemaps_svm", 6, {}, ("angry",), "fold 0: all training clips are angry, expected several classes"),
    ],
)
def test_what_cannot_be_fitted_is_refused(tmp_path, model, width, option, classes, message):
    train = examples(*clips(30, 1, width, classes))
    with pytest.raises(UserError, match=message):
        fitted(tmp_path, model, train, train, option=option)


def test_a_feature_model_is_saved_with_the_linear_model(tmp_path, monkeypatch):
    features, n_frames = keras.Input((None, 4), name="features"), keras.Input((), dtype="int32", name="n_frames")
    means = keras.layers.GlobalAveragePooling1D()(features, mask=FrameMask()(features, n_frames))
    body = keras.Model({"features": features, "n_frames": n_frames}, means)
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 3
    long = [rng.normal(size=(5 + n % 7, 4)).astype(np.float32) + label for n, label in enumerate(labels)]
    train = [Example(InMemory(values), int(label)) for values, label in zip(long, labels, strict=True)]
    monkeypatch.setattr(fit_linear.from_config, "feature_model", lambda config, fold: body)
    _, found = fitted(tmp_path, "egemaps_svm", train, train, complexities=(1.0,))
    machine = make_pipeline(StandardScaler(), LinearSVC(C=1.0, dual="auto", max_iter=20_000, random_state=0))
    expected = machine.fit([values.mean(axis=0) for values in long], labels)
    for values in long[:5]:
        batch = {"features": values[None], "n_frames": np.array([len(values)], np.int32)}
        assert np.argmax(found.predict_on_batch(batch)) == expected.predict([values.mean(axis=0)])[0]
