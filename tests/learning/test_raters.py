"""The rater model: against an EM written with loops, hand-worked numbers, and raters of known confusions."""

import numpy as np
import pytest

from zoo.learning.raters.model import RaterModel, Votes, fit, information, whom_to_ask

K = 3


def simulated(rng, confusions, n_clips, per_clip):
    """True classes (clips,), and votes of `per_clip` different raters on each clip."""
    n_raters = len(confusions)
    truth = rng.choice(K, n_clips, p=[0.5, 0.3, 0.2])
    clips = np.repeat(np.arange(n_clips), per_clip)
    raters = np.concatenate([rng.permutation(n_raters)[:per_clip] for _ in range(n_clips)])
    answers = np.array([rng.choice(K, p=confusions[r][truth[c]]) for c, r in zip(clips, raters, strict=True)])
    return truth, Votes(clips, raters, answers, n_clips, n_raters, K)


def matrix(right: float) -> np.ndarray:
    return np.full((K, K), (1 - right) / (K - 1)) + (right - (1 - right) / (K - 1)) * np.eye(K)


PANEL = np.array(
    [
        matrix(0.9),
        matrix(0.8),
        matrix(0.7),
        [[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.6, 0.1, 0.3]],  # takes class 2 for class 0
        [[0.2, 0.6, 0.2]] * 3,  # answers without listening
        [[0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]],  # mixes up classes 0 and 1
    ]
)


def em_by_the_definition(triples, n_clips, n_raters, n_steps):
    """Dawid and Skene 1979, with loops: T from votes, then (2.3), (2.4) and (2.5) in turn."""
    said = np.zeros((n_raters, n_clips, K))
    for clip, rater, answer in triples:
        said[rater, clip, answer] += 1
    true = said.sum(axis=0) / said.sum(axis=(0, 2))[:, None]
    likelihoods = []
    for _ in range(n_steps):
        prior = true.mean(axis=0)
        pi = np.zeros((n_raters, K, K))
        for r in range(n_raters):
            for j in range(K):
                total = sum(true[i, j] * said[r, i].sum() for i in range(n_clips))
                for a in range(K):
                    pi[r, j, a] = sum(true[i, j] * said[r, i, a] for i in range(n_clips)) / total
        joint = np.empty((n_clips, K))
        for i in range(n_clips):
            for j in range(K):
                joint[i, j] = prior[j] * np.prod(pi[:, j] ** said[:, i])
        likelihoods.append(np.log(joint.sum(axis=1)).sum())
        true = joint / joint.sum(axis=1, keepdims=True)
    return pi, true, likelihoods


def test_without_strength_it_is_the_method_of_1979(rng):
    _, votes = simulated(rng, PANEL[:4], 40, 3)
    triples = zip(votes.clips, votes.raters, votes.classes, strict=True)
    confusions, posterior, likelihoods = em_by_the_definition(triples, 40, 4, 30)
    model = fit(votes, strength=0, n_steps=29, tolerance=0)
    np.testing.assert_allclose(model.confusions, confusions, atol=1e-5)
    np.testing.assert_allclose(model.posterior(votes), posterior, atol=1e-5)
    assert np.all(np.diff(likelihoods) > -1e-9)


def test_one_step_worked_by_hand():
    # Clip 0: both raters say 0. Clip 1: rater 0 says 1, rater 1 says 0. Shares of votes: (1, 0), (1/2, 1/2).
    votes = Votes(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([0, 0, 1, 0]), 2, 2, 2)
    model = fit(votes, strength=0, n_steps=0)
    np.testing.assert_allclose(model.prior, [0.75, 0.25], atol=1e-8)
    np.testing.assert_allclose(model.confusions[0], [[2 / 3, 1 / 3], [0, 1]], atol=1e-8)
    np.testing.assert_allclose(model.confusions[1], [[1, 0], [1, 0]], atol=1e-8)
    # Clip 0: 3/4 * 2/3 * 1 against 0; clip 1: 3/4 * 1/3 * 1 = 1/4 against 1/4 * 1 * 1.
    np.testing.assert_allclose(model.posterior(votes), [[1, 0], [0.5, 0.5]], atol=1e-6)
    assert votes.counts().tolist() == [[2, 0], [1, 1]] and votes.asked().tolist() == [[1, 1], [1, 1]]


def test_known_confusions_are_recovered_and_labels_beat_the_majority(rng):
    truth, votes = simulated(rng, PANEL, 1000, 4)
    model = fit(votes)
    assert np.abs(model.confusions - PANEL).mean() < 0.03  # about 670 votes a rater, 130 to 330 a row
    assert np.abs(model.confusions - PANEL).max() < 0.12
    np.testing.assert_allclose(model.prior, [0.5, 0.3, 0.2], atol=0.05)
    np.testing.assert_allclose(model.accuracies(), np.einsum("k,rkk->r", [0.5, 0.3, 0.2], PANEL), atol=0.05)
    majority = (votes.counts() + rng.uniform(0, 0.5, (1000, K))).argmax(axis=1)  # ties are drawn
    right, right_majority = (np.mean(found == truth) for found in (model.posterior(votes).argmax(axis=1), majority))
    assert right > right_majority + 0.1
    best = np.mean(RaterModel(np.array([0.5, 0.3, 0.2]), PANEL, PANEL[0]).posterior(votes).argmax(axis=1) == truth)
    assert right > best - 0.02  # as good as with the true matrices


def test_a_rater_without_votes_is_an_ordinary_one():
    votes = Votes(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([0, 0, 1]), 3, 3, 2)
    model = fit(votes)
    np.testing.assert_allclose(model.confusions[2], model.common, atol=1e-6)
    np.testing.assert_allclose(model.posterior(votes)[2], model.prior, atol=1e-6)  # nor does a clip without votes
    np.testing.assert_allclose(model.confusions.sum(axis=2), 1)
    empty = np.array([], int)
    nothing = fit(Votes(empty, empty, empty, 2, 1, 2))
    np.testing.assert_allclose(nothing.confusions, [[[0.7, 0.3], [0.3, 0.7]]])
    np.testing.assert_allclose(nothing.prior, 0.5)


def test_one_vote_a_clip_says_nothing_of_the_raters(rng):
    _, votes = simulated(rng, PANEL, 300, 1)
    model = fit(votes)
    np.testing.assert_allclose(np.diagonal(model.confusions, axis1=1, axis2=2), 0.7, atol=1e-6)
    assert np.array_equal(model.posterior(votes).argmax(axis=1), votes.counts().argmax(axis=1))


def test_information_of_an_answer():
    even = np.array([[0.5, 0.5]])
    raters = np.array([np.eye(2), 1 - np.eye(2), np.full((2, 2), 0.5), [[0.9, 0.1], [0.1, 0.9]]])
    noisy = 1 + 0.9 * np.log2(0.9) + 0.1 * np.log2(0.1)  # the binary symmetric channel: 1 - H(0.1)
    np.testing.assert_allclose(information(even, raters), [[1, 1, 0, noisy]], atol=1e-6)
    np.testing.assert_allclose(information(np.array([[1.0, 0.0]]), raters), 0, atol=1e-6)


def test_information_is_the_expected_fall_of_entropy(rng):
    p, confusion = rng.dirichlet(np.ones(K)), rng.dirichlet(np.ones(K), K)

    def entropy(shares):
        return -(shares * np.log2(shares)).sum()

    joint = p[:, None] * confusion
    after = sum(joint[:, a].sum() * entropy(joint[:, a] / joint[:, a].sum()) for a in range(K))
    assert information(p[None], confusion[None])[0, 0] == pytest.approx(entropy(p) - after, abs=1e-6)


def test_the_rater_who_tells_most_is_asked():
    confusions = np.array([matrix(0.5), matrix(0.9), matrix(0.7)])
    model = RaterModel(np.full(K, 1 / K), confusions, confusions.mean(axis=0))
    posterior = np.array([[0.98, 0.01, 0.01], [0.4, 0.3, 0.3], [0.6, 0.2, 0.2], [0.4, 0.3, 0.3]])
    asked = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0], [1, 1, 1]])
    chosen = whom_to_ask(model, posterior, asked)
    # The best rater has voted on clip 1; all have on clip 3; clip 0 is nearly certain.
    assert [(clip, rater) for clip, rater, _ in chosen] == [(2, 1), (1, 2), (0, 1)]
    assert chosen[0][2] > chosen[1][2] > chosen[2][2] > 0


def test_few_clips_do_not_overrule_a_vote():
    # Clip 0: one vote for class 0; clip 1: two for class 1, which is twice as frequent so far.
    votes = Votes(np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([0, 1, 1]), 2, 2, 2)
    assert fit(votes).posterior(votes).argmax(axis=1).tolist() == [0, 1]
