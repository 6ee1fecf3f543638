"""Z-scores per corpus, by NumPy from the definition: of training clips, or of an unseen corpus's own."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zoo.config.flags import from_flags
from zoo.data.batches.feature_store import InMemory
from zoo.data.schema import Clip, Fold
from zoo.errors import UserError
from zoo.features import corpus_normalization
from zoo.runs.open_run import check_predicts


def clips(corpus, names):
    return tuple(Clip(Path(n), f"{corpus}:{n}", f"{corpus}:{n}", "sad", {"corpus": corpus}) for n in names)


@pytest.fixture
def fold():
    known = clips("a", "pqrs")
    return Fold("0", (*known[:2], *clips("b", "pq")), known[2:3], (*known[3:], *clips("c", "pq")))


@pytest.fixture
def features(fold, rng):
    names = [clip.name for side in fold.sides for clip in side]
    return {name: InMemory(rng.normal(rng.uniform(1, 9), 2, (4, 3)).astype(np.float32)) for name in names}


def expected(values, *of):
    """Values z-scored by the moments of others."""
    frames = np.concatenate(of).astype(np.float64)
    return (values - frames.mean(axis=0)) / frames.std(axis=0)


def test_corpora_are_standardised_by_their_training_clips_and_an_unseen_one_by_its_own(fold, features):
    found = corpus_normalization.measure(fold, features)
    seen = corpus_normalization.standardized(fold, found, features)
    raw = {name: item.values for name, item in features.items()}
    for name, of in {
        "a:p": ("a:p", "a:q"),
        "a:r": ("a:p", "a:q"),  # validation
        "a:s": ("a:p", "a:q"),  # test
        "b:p": ("b:p", "b:q"),
        "c:p": ("c:p", "c:q"),  # unseen
    }.items():
        values = expected(raw[name], *(raw[one] for one in of))
        np.testing.assert_allclose(seen[name].read(), values, rtol=1e-4, atol=1e-5)


def test_labels_and_other_folds_clips_change_nothing(fold, features):
    found = corpus_normalization.measure(fold, features)
    other = replace(fold, test=tuple(replace(clip, label="happy") for clip in fold.test))
    again = corpus_normalization.measure(other, features)
    for corpus, mean in found.means.items():
        np.testing.assert_array_equal(mean, again.means[corpus])
    known = corpus_normalization.measure(replace(fold, test=fold.test[:1]), features)
    np.testing.assert_array_equal(known.means["a"], found.means["a"])
    assert set(known.means) == {"a", "b"}


def test_a_run_so_normalised_predicts_no_single_recording():
    config = from_flags({"model": "fcn", "corpus": "ravdess+emodb", "normalize_corpora": True})
    with pytest.raises(UserError, match="a single recording is of none"):
        check_predicts(config, Path("run"))


@pytest.mark.parametrize("flags", [{"model": "conv_lstm"}, {"model": "cnn1d_mfcc"}])
def test_networks_without_it_say_so(flags):
    with pytest.raises(UserError, match="--normalize-corpora has no effect on"):
        from_flags({**flags, "normalize_corpora": True})


def test_by_corpus_and_by_speaker_exclude_each_other():
    flags = {"model": "compare_svm", "normalize_corpora": True, "standardize_speakers": True}
    with pytest.raises(UserError, match="exclude each other"):
        from_flags(flags)
