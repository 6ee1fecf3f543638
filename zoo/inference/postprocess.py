"""Post-processing of arousal and valence traces: a chain per dimension, fitted on validation predictions only.

Trigeorgis et al. 2016 (section 5 of MixedEmotions D4.2) and Bakhshi et al. apply four steps, in this order: median
filter, centring, scaling, shift forward in time. Each is kept only where it raises the pooled CCC of the validation
recordings, given the steps before it. `apply` takes predictions and no labels, so that test labels cannot reach it.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from inspect import signature
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import median_filter

from zoo.errors import UserError
from zoo.metrics.regression import ccc
from zoo.utils.atomic_files import write_json

# Roughly even in their logarithm: close windows filter alike. Each becomes the longest odd number of frames within it.
MEDIAN_SECONDS = (
    *(0.04, 0.08, 0.12, 0.2, 0.28, 0.36, 0.44, 0.6, 0.8, 1.0, 1.2, 1.6, 2.0, 2.4, 3.0),
    *(4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0),
)
MAX_SHIFT_SECONDS = 10.0  # every whole number of frames up to it is tried
MIN_GAIN = 1e-6  # of CCC; below it, a step is rounding


@dataclass(frozen=True)
class Step:
    """A step as validation data chose it.

    `values` are the arguments of the step's function that were best, empty where there was none to try.
    `ccc_after` is the pooled validation CCC with them, kept or not; -1..1.
    """

    name: str
    values: Mapping[str, float]
    kept: bool
    ccc_before: float
    ccc_after: float


@dataclass(frozen=True)
class PostProcess:
    """The steps of each dimension, in the order of the predictions' columns; frames are of `step_seconds`."""

    step_seconds: float
    chains: Mapping[str, tuple[Step, ...]]


def fit(
    truth: Sequence[np.ndarray],
    prediction: Sequence[np.ndarray],
    dimensions: Sequence[str],
    step_seconds: float,
    mask: Sequence[np.ndarray] | None = None,
) -> PostProcess:
    """Choose the steps on the recordings of the validation set.

    Args:
        truth: labels of each recording, (frames, dimensions).
        prediction: what the network said, same shapes; filtered and shifted as a whole, labelled or not.
        dimensions: names of the columns.
        step_seconds: time from one frame to the next.
        mask: True for the frames that have labels, (frames,) per recording; all of them by default. Only these
            are scored; labels elsewhere may be NaN.

    Raises:
        UserError: a prediction or a label is not finite, or a dimension's labels are constant.
        ValueError: shapes do not fit each other, no frame has a label, or `step_seconds` is not positive.
    """
    masks = [np.ones(len(labels), bool) for labels in truth] if mask is None else list(mask)
    _check(truth, prediction, masks, dimensions, step_seconds)
    chains = {}
    for column, name in enumerate(dimensions):
        labels = _pooled([recording[:, column].astype(np.float64) for recording in truth], masks)
        if not np.all(np.isfinite(labels)):
            raise UserError(
                f"validation labels of {name}: expected numbers, found NaN or infinity; correct or mask them"
            )
        if np.ptp(labels) == 0:
            raise UserError(
                f"validation labels of {name}: all are {labels[0]:g}, so that no CCC can choose post-processing; "
                "choose other validation recordings or leave post-processing out"
            )
        traces = [recording[:, column].astype(np.float64) for recording in prediction]
        chains[name] = _fit_chain(labels, traces, masks, step_seconds)
    return PostProcess(step_seconds, chains)


def apply(postprocess: PostProcess, prediction: np.ndarray) -> np.ndarray:
    """Return a recording's predictions, (frames, dimensions), after the steps that were kept; a new array.

    Raises:
        UserError: a prediction is not finite.
        ValueError: the columns are not the dimensions fitted.
    """
    if prediction.ndim != 2 or prediction.shape[1] != len(postprocess.chains):
        names = ", ".join(postprocess.chains)
        raise ValueError(f"expected predictions (frames, dimensions) of {names}, found shape {prediction.shape}")
    _check_finite(prediction)
    result = prediction.astype(np.result_type(prediction, np.float32))
    for column, chain in enumerate(postprocess.chains.values()):
        trace = prediction[:, column].astype(np.float64)
        for step in chain:
            if step.kept:
                trace = _STEPS[step.name][0](trace, **step.values)
        result[:, column] = trace
    return result


def save(postprocess: PostProcess, path: Path) -> None:
    """Write the chains, and the CCC before and after each step, as JSON."""
    write_json(path, asdict(postprocess))


def load(path: Path) -> PostProcess:
    """Read what `save` wrote. Raises UserError when the file is absent or damaged."""
    try:
        return from_content(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: expected the post-processing of a run, found {error!r}; fit it again on validation data"
        ) from error


def from_content(content: Mapping[str, Any]) -> PostProcess:
    """Return the chains from what `asdict` made of them. Raises ValueError, KeyError or TypeError for anything else."""
    chains = {name: tuple(_step(raw) for raw in steps) for name, steps in content["chains"].items()}
    if not chains or any([step.name for step in chain] != list(_STEPS) for chain in chains.values()):
        raise ValueError(f"every dimension needs the steps {', '.join(_STEPS)}")
    return PostProcess(_positive(content["step_seconds"]), chains)


def _median(trace: np.ndarray, frames: int) -> np.ndarray:
    half = frames // 2  # edges are padded here: SciPy 1.15 and 1.16 err where a window is longer than the trace
    return median_filter(np.pad(trace, half, mode="edge"), frames)[half : half + len(trace)]


def _centre(trace: np.ndarray, prediction_mean: float, truth_mean: float) -> np.ndarray:
    return trace - prediction_mean + truth_mean


def _scale(trace: np.ndarray, ratio: float, about: float) -> np.ndarray:
    return about + ratio * (trace - about)


def _shift(trace: np.ndarray, frames: int) -> np.ndarray:
    """Shift the trace to later frames; the first value fills the start."""
    return trace[np.maximum(np.arange(len(trace)) - frames, 0)]


# What is tried: arguments of a step's function, given the pooled labels and predictions and the step in seconds.
Values = dict[str, float]


def _windows(labels: np.ndarray, pooled: np.ndarray, step_seconds: float) -> list[Values]:
    longest_odd = {2 * int((seconds / step_seconds - 1) / 2 + 1e-6) + 1 for seconds in MEDIAN_SECONDS}
    return [{"frames": frames} for frames in sorted(longest_odd) if frames >= 3]


def _means(labels: np.ndarray, pooled: np.ndarray, step_seconds: float) -> list[Values]:
    return [{"prediction_mean": float(pooled.mean()), "truth_mean": float(labels.mean())}]


def _ratios(labels: np.ndarray, pooled: np.ndarray, step_seconds: float) -> list[Values]:
    if np.ptp(pooled) == 0:
        return []
    return [{"ratio": float(labels.std() / pooled.std()), "about": float(pooled.mean())}]


def _shifts(labels: np.ndarray, pooled: np.ndarray, step_seconds: float) -> list[Values]:
    return [{"frames": frames} for frames in range(1, int(MAX_SHIFT_SECONDS / step_seconds + 1e-6) + 1)]


_STEPS: dict[str, tuple[Callable[..., np.ndarray], Callable[..., list[Values]]]] = {
    "median": (_median, _windows),
    "centring": (_centre, _means),
    "scaling": (_scale, _ratios),
    "shift": (_shift, _shifts),
}


def _fit_chain(
    labels: np.ndarray, traces: list[np.ndarray], masks: Sequence[np.ndarray], step_seconds: float
) -> tuple[Step, ...]:
    before = float(ccc(labels, _pooled(traces, masks)))
    steps = []
    for name, (function, candidates) in _STEPS.items():
        tried = [
            (float(ccc(labels, _pooled([function(trace, **values) for trace in traces], masks))), values)
            for values in candidates(labels, _pooled(traces, masks), step_seconds)
        ]
        after, values = max(tried, key=itemgetter(0), default=(before, {}))  # of equals the first, the mildest
        kept = after > before + MIN_GAIN
        steps.append(Step(name, values, kept, before, after))
        if kept:
            traces, before = [function(trace, **values) for trace in traces], after
    return tuple(steps)


def _pooled(traces: Iterable[np.ndarray], masks: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([trace[mask] for trace, mask in zip(traces, masks, strict=True)])


def _check(
    truth: Sequence[np.ndarray],
    prediction: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    dimensions: Sequence[str],
    step_seconds: float,
) -> None:
    _positive(step_seconds)
    if len(set(dimensions)) != len(dimensions):
        raise ValueError(f"dimensions must differ, found {list(dimensions)}")
    for index, (labels, predicted, mask) in enumerate(zip(truth, prediction, masks, strict=True)):
        expected = (len(mask), len(dimensions))
        if labels.shape != expected or predicted.shape != expected or mask.dtype != bool:
            raise ValueError(
                f"recording {index}: expected labels and predictions {expected} and a bool mask, found "
                f"{labels.shape}, {predicted.shape}, {mask.dtype}"
            )
        _check_finite(predicted)
    if not any(np.any(mask) for mask in masks):
        raise ValueError("expected frames with labels, found none")


def _check_finite(prediction: np.ndarray) -> None:
    if not np.all(np.isfinite(prediction)):
        raise UserError(
            "predictions: expected numbers, found NaN or infinity; the network has diverged, train it again with a "
            "smaller learning rate"
        )


def _step(raw: Mapping[str, Any]) -> Step:
    """Return a step read from JSON. Raises ValueError unless it holds the arguments of its function."""
    step = Step(**raw)
    arguments = list(signature(_STEPS[step.name][0]).parameters)[1:]
    if not isinstance(step.kept, bool) or ((step.kept or step.values) and sorted(step.values) != sorted(arguments)):
        raise ValueError(f"step {step.name} with {dict(step.values)}, kept {step.kept!r}")
    for name, value in step.values.items():
        if not math.isfinite(value) or (name == "frames" and (type(value) is not int or value < 1)):
            raise ValueError(f"step {step.name} with {name} {value!r}")
    if not (-1 - 1e-9 <= step.ccc_before <= 1 + 1e-9 and -1 - 1e-9 <= step.ccc_after <= 1 + 1e-9):
        raise ValueError(f"step {step.name} with CCC {step.ccc_before!r}, {step.ccc_after!r}")
    return step


def _positive(step_seconds: float) -> float:
    if not (math.isfinite(step_seconds) and step_seconds > 0):
        raise ValueError(f"step_seconds must be a positive number, found {step_seconds!r}")
    return step_seconds
