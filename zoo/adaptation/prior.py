"""Correct class probabilities by how often each class occurs among a speaker's clips: known beforehand, or estimated.

Both multiply every clip's probabilities by one weight per class and divide by their sum, so that the weights of some
clips also correct others. NumPy only.
"""

import numpy as np
from numpy.typing import ArrayLike

_LEAST = 1e-12  # of a probability: a class that softmax rounds to 0 everywhere could not be scaled


def reweighted(probabilities: ArrayLike, weights: ArrayLike) -> np.ndarray:
    """Multiply probabilities (n, classes) by `weights` (classes,); rows sum to 1 again.

    >>> reweighted([[0.5, 0.5], [0.8, 0.2]], [1, 3]).round(3).tolist()
    [[0.25, 0.75], [0.571, 0.429]]
    """
    found = np.maximum(np.asarray(probabilities, np.float64), _LEAST) * np.asarray(weights, np.float64)
    return found / found.sum(axis=1, keepdims=True)


def estimate_prior(
    probabilities: ArrayLike, trained: ArrayLike, n_iterations: int = 1000, tolerance: float = 1e-9
) -> np.ndarray:
    """Estimate how often each class occurs among clips, by expectation maximisation; return shares (classes,).

    Saerens, Latinne, Decaestecker: "Adjusting the outputs of a classifier to new a priori probabilities", Neural
    Computation 14(1), 2002, equation 2.9. From the shares w = `trained` on, for which the classifier was trained:

        q = p w / trained, rows divided by their sum;    w = mean of q over clips

    The clips' probabilities for the shares found are `reweighted(probabilities, shares / trained)`.

    >>> estimate_prior([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8]], [0.5, 0.5], n_iterations=1).round(3).tolist()
    [0.667, 0.333]

    Raises ValueError for arrays that are not probabilities of as many classes as `trained` has shares above 0.
    """
    given, start = _checked(probabilities, trained)
    shares = start
    for _ in range(n_iterations):
        new = reweighted(given, shares / start).mean(axis=0)
        done = np.abs(new - shares).max() < tolerance
        shares = new
        if done:
            break
    return shares


def weights_for(
    probabilities: ArrayLike, prior: ArrayLike, n_iterations: int = 1000, tolerance: float = 1e-9
) -> np.ndarray:
    """Return weights (classes,) by which the clips' mean probabilities become `prior`; their geometric mean is 1.

    Rows sum to 1 and columns to n * prior: the balance of Sinkhorn and Knopp ("Concerning nonnegative matrices and
    doubly stochastic matrices", Pacific Journal of Mathematics 21(2), 1967), which is the transport of clips to
    classes with entropy as its regulariser (Cuturi, "Sinkhorn distances", NIPS 2013). `prior` is an assumption about
    the clips: where classes occur otherwise, the correction does harm.

    >>> weights = weights_for([[0.9, 0.1], [0.8, 0.2]], [0.5, 0.5])
    >>> reweighted([[0.9, 0.1], [0.8, 0.2]], weights).round(3).tolist()  # odds 9 : 4, and 1 : 1 in all
    [[0.6, 0.4], [0.4, 0.6]]

    Raises ValueError as `estimate_prior`.
    """
    given, wanted = _checked(probabilities, prior)
    weights = np.ones(len(wanted))
    for _ in range(n_iterations):
        change = wanted / reweighted(given, weights).mean(axis=0)
        weights = weights * change
        weights /= np.exp(np.log(weights).mean())
        if np.abs(change - 1).max() < tolerance:
            break
    return weights


def _checked(probabilities: ArrayLike, prior: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return both as float64, with `prior` of the sum 1."""
    given, shares = np.asarray(probabilities, np.float64), np.asarray(prior, np.float64)
    if given.ndim != 2 or shares.shape != given.shape[1:] or not len(given):
        raise ValueError(
            f"expected probabilities (n, classes) and shares (classes,), found {given.shape}, {shares.shape}"
        )
    if not (np.isfinite(given).all() and (given >= 0).all() and np.isfinite(shares).all() and (shares > 0).all()):
        raise ValueError("expected probabilities from 0 and shares above 0, found others")
    return given, shares / shares.sum()
