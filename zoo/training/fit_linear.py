"""Fit the linear model of one fold: a support vector machine or regression for every C.

scikit-learn does it; for fewer vectors than features it is zoo.training.linear_machines, which takes seconds there.
Features are standardised and, where the model has components, projected by the training set. The fitted weights are
saved as a Keras model, so that a baseline is evaluated and exported like any network.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.data.audio.recording import check_finite
from zoo.data.batches.by_length import in_batches
from zoo.data.batches.feature_store import InMemory
from zoo.errors import UserError
from zoo.features import from_config
from zoo.reports import style
from zoo.reports.figures import save
from zoo.training import linear_head
from zoo.training.fit import best_epoch, make_repeatable
from zoo.training.linear_head import Fitted
from zoo.training.linear_machines import LinearMachines
from zoo.training.tasks import base as tasks
from zoo.training.tasks.base import FoldData, History
from zoo.utils.atomic_files import write_csv
from zoo.utils.lazy import lazy
from zoo.utils.progress import Progress

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure
else:
    keras = lazy("keras")

Solver = Callable[[float], Fitted]

_MOST_ITERATIONS = 20_000
_EPOCHS = 200  # of stochastic gradient descent at most
_EPSILON = 0.1  # of the SVR, as libsvm has it
_NEVER = -1e6  # score of a class without a training clip


def fit(fold: FoldData, config: RunConfig, progress: Progress) -> History:
    """Fit a linear model for each of `config.complexities` and keep the best by the validation score.

    Ratings may have another C for each dimension: the last row of the history is of their best together. Every altered
    copy of a training clip counts as a clip. The chosen C is fitted again on `fold.refit`, if that holds any, behind
    the standardisation and components of the training clips. Writes model.keras and history.csv; returns the history,
    a row per C. With `config.enhanced` "test" the enhancer stands in the saved model alone. Raises UserError for more
    components than vectors or features, or clips of one class.
    """
    if not registry.get(config.model).trains_without_keras:
        make_repeatable(config.seed)
    task = tasks.of(config.model)
    body = seen_body = from_config.feature_model(config, fold.name)
    if config.enhancer and config.enhanced == "test":
        seen_body = from_config.feature_model(replace(config, enhancer=""), fold.name)
    train, validation = _through(seen_body, _with_copies(fold.train)), _through(seen_body, fold.validation)
    seen = replace(fold, train=train, validation=validation)
    vectors, targets, weights = _training_set(seen)
    head, scale = linear_head.made(seen, config, vectors, with_keras=body is not None)
    vectors = scale(vectors)
    validate = task.validator(head, seen, config)

    solve = _solver(vectors, targets, weights, config, len(fold.outputs))
    fitted: dict[float, Fitted] = {}
    history: History = []
    with progress.task(f"fold {fold.name}, values of C", len(config.complexities)) as advance:
        for number, c in enumerate(config.complexities, start=1):
            start = time.perf_counter()
            fitted[c] = solve(c)
            history.append(_row(number, [c] * len(fitted[c]), fitted[c], head, validate, start))
            progress.line(
                f"fold {fold.name} C {c:g}  {task.report.epoch_line(history[-1])}  {history[-1]['seconds']:.1f} s"
            )
            advance(number)
    best = [config.complexities[best_epoch(history, task.FIGURES.score) - 1]] * len(fitted[config.complexities[0]])
    if registry.get(config.model).task == "continuous":
        columns = [f"{task.FIGURES.score}_{name}" for name in fold.outputs]
        best = [config.complexities[int(np.argmax([row[column] for row in history]))] for column in columns]
    if fold.validation:
        _say_edges(best, config.complexities, fold.name, progress)
    if fold.refit:
        last = _training_set(replace(fold, train=_through(body, _with_copies(fold.refit))))
        fitted = {best[0]: _solver(scale(last[0]), *last[1:], config, len(fold.outputs))(best[0])}
    chosen = [fitted[c][output] for output, c in enumerate(best)]
    if len(set(best)) > 1:
        history.append(_row(len(history) + 1, best, chosen, head, validate, time.perf_counter()))
    linear_head.fill(head, chosen)
    write_csv(fold.folder / "history.csv", history)
    linear_head.save(head, body, fold)
    return history


def _say_edges(best: Sequence[float], grid: Sequence[float], fold: str, progress: Progress) -> None:
    """Say where a chosen C is the smallest or largest of its grid, behind which a better one may lie."""
    for c in dict.fromkeys(best):
        edges = {min(grid): ("smallest", "smaller"), max(grid): ("largest", "larger")}
        if c in edges and len(edges) > 1:
            found, other = edges[c]
            progress.line(f"fold {fold}: C {c:g} is the {found} of --complexities; a {other} one may be better")


def plot(history: History, path: Path, title: str, kept: int | None = None) -> None:
    """Draw curves.png, .svg and .pdf, as `curve_figure` does; nothing where there are no validation clips."""
    figure = curve_figure(history, kept)
    if figure is not None:
        save(figure, path, "Validation score by regularisation", title)


@style.styled
def curve_figure(history: History, kept: int | None = None) -> Figure | None:
    """Draw the validation score of every C; None where there are no validation clips.

    `kept` is the number, from 1, of the row of the history whose C is kept; without it that of the highest score.
    """
    from matplotlib.figure import Figure

    score = next((name for name in history[0] if name in ("validation_ua", "validation_ccc")), "")
    if not score:
        return None
    figure = Figure(figsize=(style.COLUMN_INCHES, 2.6))
    axes = figure.subplots()
    rows = [row for row in history if len(set(str(row["c"]).split())) == 1]
    label, factor = style.score_axis(score)
    values = [(float(str(row["c"]).split()[0]), factor * row[score]) for row in rows]
    axes.semilogx(*zip(*values, strict=True), marker="o")
    best = history[kept - 1] if kept else max(history, key=lambda row: row[score])
    if best in rows:
        c, value = values[rows.index(best)]
        shown = f"{value:.1f} %" if factor == 100 else f"{value:.3f}"
        look: dict[str, Any] = {"marker": "s", "color": style.ORANGE, "markersize": 6, "linestyle": "none"}
        axes.plot([c], [value], label=f"C = {c:g}, kept: {shown}", **look)
        axes.legend()
    axes.set(xlabel="C, inverse strength of regularisation", ylabel=label)
    style.plain_numbers(axes.xaxis)
    axes.grid()
    return figure


def _with_copies(examples: Sequence[Any]) -> list[Any]:
    """Return the examples, with every altered copy of a clip as an example of its own."""
    return [
        replace(example, features=features, versions=()) if getattr(example, "versions", ()) else example
        for example in examples
        for features in (example.features, *getattr(example, "versions", ()))
    ]


def _through(body: keras.Model | None, examples: Sequence[Any]) -> list[Any]:
    """Return the examples with vectors as features: one for a clip, or one for every label.

    Raises BadClip where `body` gives what is not finite.
    """
    clips = [example.features.read() for example in examples]
    if body is not None:
        clips = in_batches(lambda features, n: _run(body, features, n), clips, multiple=50)
        for example, values in zip(examples, clips, strict=True):
            check_finite(values, example.name, f"features by {body.name}")
    lengths = [1 if hasattr(example, "label") else len(example.labels) for example in examples]
    vectors = (InMemory(values[:length]) for values, length in zip(clips, lengths, strict=True))
    return [replace(example, features=one) for example, one in zip(examples, vectors, strict=True)]


def _run(body: keras.Model, features: np.ndarray, n_frames: np.ndarray) -> list[np.ndarray]:
    output = np.asarray(body.predict_on_batch({"features": features, "n_frames": n_frames}), np.float32)
    return list(output if output.ndim == 3 else output[:, None])


def _training_set(fold: FoldData) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vectors (n, features), their targets, (n,) classes or (n, dimensions) ratings, and weights (n,)."""
    vectors, targets, weights = [], [], []
    for example in fold.train:
        rated = getattr(example, "rated", slice(None))
        vectors.append(example.features.values[rated])
        targets.append([example.label] if hasattr(example, "label") else example.labels[rated])
        weights.append(np.full(len(vectors[-1]), getattr(example, "weight", 1.0)))
    labels = {example.label for example in fold.train if hasattr(example, "label")}
    if len(labels) == 1:
        raise UserError(
            f"fold {fold.name}: all training clips are {fold.outputs[labels.pop()]}, expected several classes. Give "
            "more clips, or another protocol"
        )
    return np.concatenate(vectors).astype(np.float64), np.concatenate(targets), np.concatenate(weights)


def _solver(vectors, targets, weights, config: RunConfig, n_classes: int) -> Solver:
    """Return the function from C to weights (features,) and bias of every output; best called with rising C."""
    if targets.ndim == 2:
        return lambda c: _regressions(vectors, targets, c, config)
    if config.solver == "liblinear" and len(vectors) <= vectors.shape[1]:
        machines = LinearMachines(vectors, targets, weights)
        return lambda c: _by_class(machines.classes, *machines.fit(c), n_classes)
    return lambda c: _classification(vectors, targets, weights, c, config, n_classes)


def _regressions(vectors, targets, c: float, config: RunConfig) -> Fitted:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVR

    options: dict[str, Any] = {"epsilon": 0.0, "loss": "squared_epsilon_insensitive", "dual": False}
    if config.svr_loss == "epsilon":  # libsvm's, but that liblinear holds the bias back as well
        options = {"epsilon": _EPSILON, "loss": "epsilon_insensitive", "dual": True, "random_state": config.seed}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a large C is as good as it got; validation decides
        fitted = [LinearSVR(C=c, max_iter=_MOST_ITERATIONS, **options).fit(vectors, values) for values in targets.T]
    return [(machine.coef_, float(np.squeeze(machine.intercept_))) for machine in fitted]


def _classification(vectors, labels, weights, c, config: RunConfig, n_classes: int) -> Fitted:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import SGDClassifier
    from sklearn.svm import LinearSVC

    machine: SGDClassifier | LinearSVC
    if config.solver == "sgd":
        alpha = 1 / (c * len(labels))  # the same regularisation as by C
        machine = SGDClassifier(loss="hinge", alpha=alpha, max_iter=_EPOCHS, random_state=config.seed)
    else:
        machine = LinearSVC(C=c, dual="auto", max_iter=_MOST_ITERATIONS, random_state=config.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # as above
        machine.fit(vectors, labels, sample_weight=weights)
    coefficients, biases = machine.coef_, machine.intercept_
    if len(coefficients) == 1:  # of two classes, scikit-learn keeps the second one's
        coefficients, biases = np.concatenate([-coefficients, coefficients]), np.concatenate([-biases, biases])
    return _by_class(machine.classes_, coefficients, biases, n_classes)


def _by_class(classes, coefficients: np.ndarray, biases: np.ndarray, n_classes: int) -> Fitted:
    absent = (np.zeros(coefficients.shape[1]), _NEVER)
    known = {int(label): (coefficients[row], float(biases[row])) for row, label in enumerate(classes)}
    return [known.get(label, absent) for label in range(n_classes)]


def _row(number, complexities, fitted, head, validate, start) -> dict[str, Any]:
    """Return a row of the history; `c` has several values where the outputs differ in it."""
    linear_head.fill(head, fitted)
    words = " ".join(f"{c:g}" for c in complexities) if len(set(complexities)) > 1 else f"{complexities[0]:g}"
    return {"epoch": number, "c": words, **validate(), "seconds": time.perf_counter() - start}
