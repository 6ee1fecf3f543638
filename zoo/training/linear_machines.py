"""Fit linear support vector machines of few, long vectors: those of liblinear, to the last digits and in seconds.

Each class has a machine against the others, with the squared hinge loss and a bias that is held back as weights are
(liblinear's L2-regularised L2-loss SVC). With K = X X' + 1, of n vectors X, it is the minimum over b, (n,), of

    b' K b / 2 + C sum_i s_i max(0, 1 - y_i (K b)_i)^2,    weights X' b, bias sum(b)

by Newton's method (Chapelle 2007, "Training a support vector machine in the primal", Neural Computation 19, section 4),
whose step is exact once it is known which vectors lie within the margin, and which begins with those of the C before.
K is made once for all classes and values of C. On 720 vectors of ComParE's 6,373 functionals, eight classes and seven
values of C this takes 0.7 s, where coordinate descent takes minutes and stops at 20,000 rounds before its end.
"""

import numpy as np

_MOST_STEPS = 100  # two or three are usual
_MOST_HALVINGS = 30
_LEAST_GAIN = 1e-13  # of the objective, relative: rounding


class LinearMachines:
    """Machines of each class against the others, on vectors (n, features), float64; `weights` (n,) multiply C.

    `labels` are (n,), of at least two classes. Call `fit` with rising values of C, each of which begins with the last.
    """

    def __init__(self, vectors: np.ndarray, labels: np.ndarray, weights: np.ndarray):
        self.classes = np.unique(labels)
        self._vectors, self._weights = vectors, weights
        self._kernel = vectors @ vectors.T + 1.0
        self._signs = np.where(labels == self.classes[:, None], 1.0, -1.0)
        self._solutions = np.zeros_like(self._signs)

    def fit(self, c: float) -> tuple[np.ndarray, np.ndarray]:
        """Return weights (classes, features) and biases (classes,), in the order of `classes`."""
        pairs = zip(self._signs, self._solutions, strict=True)
        costs = c * self._weights
        self._solutions = np.stack([_minimum(self._kernel, signs, costs, start) for signs, start in pairs])
        return self._solutions @ self._vectors, self._solutions.sum(axis=1)


def _minimum(kernel: np.ndarray, signs: np.ndarray, costs: np.ndarray, solution: np.ndarray) -> np.ndarray:
    """Return the solution (n,) of one machine, from another one; `costs` are C by vector, above 0."""
    outputs = kernel @ solution
    value = _objective(solution, outputs, signs, costs)
    within = signs * outputs < 1
    for _ in range(_MOST_STEPS):
        step = _solved(kernel, signs, costs, within) - solution
        along = kernel @ step
        for halvings in range(_MOST_HALVINGS):  # none but in rare cases: Newton's steps may go too far
            share = 0.5**halvings
            found = _objective(solution + share * step, outputs + share * along, signs, costs)
            if found <= value:
                break
        gain, value = value - found, found
        solution, outputs = solution + share * step, outputs + share * along
        before, within = within, signs * outputs < 1
        if gain <= _LEAST_GAIN * value or (halvings == 0 and np.array_equal(before, within)):
            break
    return solution


def _solved(kernel: np.ndarray, signs: np.ndarray, costs: np.ndarray, within: np.ndarray) -> np.ndarray:
    """Return the minimum for the vectors `within` the margin, were they to stay these."""
    from scipy.linalg import solve

    chosen = np.flatnonzero(within)
    solution = np.zeros(len(signs))
    if len(chosen):
        part = kernel[np.ix_(chosen, chosen)]
        part[np.diag_indices(len(chosen))] += 1 / (2 * costs[chosen])
        solution[chosen] = solve(part, signs[chosen], assume_a="pos", overwrite_a=True, check_finite=False)
    return solution


def _objective(solution: np.ndarray, outputs: np.ndarray, signs: np.ndarray, costs: np.ndarray) -> float:
    return float(solution @ outputs / 2 + costs @ np.square(np.maximum(0, 1 - signs * outputs)))
