"""Post-processing of arousal and valence traces: a chain per dimension, fitted on validation predictions only.

Trigeorgis et al. 2016 (section 5 of MixedEmotions D4.2) and Bakhshi et al. apply four steps, in this order: median
filter, centring, scaling, shift forward in time. Each is kept only where it raises the pooled CCC of the validation
recordings, given the steps before it. `apply` takes predictions and no labels, so that test labels cannot reach it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from inspect import signature
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import UserError
from zoo.metrics.regression import ccc
from zoo.utils.atomic_files import write_json
from zoo.utils.json_files import read_json

# Roughly even in their logarithm: close windows filter alike. Each becomes the longest odd number of frames within it.
MEDIAN_SECONDS = (
    *(0.04, 0.08, 0.12, 0.2, 0.28, 0.36, 0.44, 0.6, 0.8, 1.0, 1.2, 1.6, 2.0, 2.4, 3.0),
    *(4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0),
)
MAX_SHIFT_SECONDS = 10.0  # every whole number of frames up to it is tried
MIN_GAIN = 1e-6  # of CCC; below it, a step is rounding
_MOST_FRAMES = 100_000  # of a step; the longest fitted, 20 s, are 2,000 of 10 ms
_SHAPE = {"step_seconds": float, "chains": {str: [{str: object}]}}


@dataclass(frozen=True)
class Step:
    """A step as validation data chose it.

    `values` are the best arguments of its function, empty where there was none to try; `ccc_after` is the pooled
    validation CCC with them, kept or not.
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
    masks: Sequence[np.ndarray],
) -> PostProcess:
    """Choose the steps on the recordings of the validation set.

    Args:
        truth: labels of each recording, (frames, dimensions); may be NaN where there are none.
        prediction: what the network said, same shapes; filtered and shifted as a whole, labelled or not.
        dimensions: names of the columns.
        step_seconds: time from one frame to the next.
        masks: True for the frames that have labels, (frames,) per recording; only these are scored.

    Raises UserError when a prediction or a label is not finite, or a dimension's labels are constant.
    """
    for recording in prediction:
        _check_finite(recording)
    chains = {}
    for column, name in enumerate(dimensions):
        labels, traces = _pooled(_traces(truth, column), masks), _traces(prediction, column)
        if not np.all(np.isfinite(labels)):
            raise UserError(f"validation labels of {name}: expected numbers, found NaN or infinity; correct them")
        if np.ptp(labels) == 0:
            raise UserError(
                f"validation labels of {name}: all are {labels[0]:g}, so that no CCC can choose post-processing; "
                "choose other validation recordings or leave post-processing out"
            )
        chains[name] = _fit_chain(labels, traces, masks, step_seconds)
    return PostProcess(step_seconds, chains)


def apply(postprocess: PostProcess, prediction: np.ndarray) -> np.ndarray:
    """Return a recording's predictions, (frames, dimensions), after the steps that were kept; a new array.

    Raises UserError when a prediction is not finite.
    """
    _check_finite(prediction)
    result = prediction.T.astype(np.float64)
    for column, chain in zip(range(len(result)), postprocess.chains.values(), strict=True):
        for step in chain:
            if step.kept:
                result[column] = _STEPS[step.name](result[column], **step.values)
    return result.T.astype(np.result_type(prediction, np.float32), order="C")


def save(postprocess: PostProcess, path: Path) -> None:
    """Write the chains, and the CCC before and after each step, as JSON."""
    write_json(path, asdict(postprocess))


def load(path: Path, dimensions: Sequence[str] = ()) -> PostProcess:
    """Read what `save` wrote, of these `dimensions` in their order: chains are applied by position.

    Raises UserError when the file is absent, damaged, or of other dimensions.
    """
    content = read_json(path, "the post-processing of a run", _SHAPE, "Train it again")
    try:
        found = from_content(content)
        if dimensions and list(found.chains) != list(dimensions):
            raise ValueError(f"chains of {', '.join(found.chains)}, not of {', '.join(dimensions)}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: expected the post-processing of a run, found {error!r}; train it again") from error
    return found


def from_content(content: Mapping[str, Any]) -> PostProcess:
    """Return the chains from what `asdict` made of them. Raises ValueError, KeyError or TypeError for anything else."""
    chains = {name: tuple(_step(raw) for raw in steps) for name, steps in content["chains"].items()}
    if not chains or any([step.name for step in chain] != list(_STEPS) for chain in chains.values()):
        raise ValueError(f"every dimension needs the steps {', '.join(_STEPS)}")
    if not 0 < content["step_seconds"] < math.inf:
        raise ValueError(f"step_seconds {content['step_seconds']!r}")
    return PostProcess(content["step_seconds"], chains)


def _median(trace: np.ndarray, frames: int) -> np.ndarray:
    from scipy.ndimage import median_filter  # not for all who import this module to predict

    half = frames // 2  # edges are padded here: SciPy 1.15 and 1.16 err where a window is longer than the trace
    return median_filter(np.pad(trace, half, mode="edge"), frames)[half : half + len(trace)]


def _centre(trace: np.ndarray, prediction_mean: float, truth_mean: float) -> np.ndarray:
    return trace - prediction_mean + truth_mean


def _scale(trace: np.ndarray, ratio: float, about: float) -> np.ndarray:
    return about + ratio * (trace - about)


def _shift(trace: np.ndarray, frames: int) -> np.ndarray:
    """Shift the trace to later frames; the first value fills the start."""
    return trace[np.maximum(np.arange(len(trace)) - frames, 0)]


_STEPS: dict[str, Callable[..., np.ndarray]] = {
    "median": _median,
    "centring": _centre,
    "scaling": _scale,
    "shift": _shift,
}


def _candidates(name: str, labels: np.ndarray, pooled: np.ndarray, step_seconds: float) -> list[dict[str, float]]:
    """Return the arguments of a step's function to try, given the pooled labels and predictions."""
    if name == "median":
        longest_odd = {2 * int((seconds / step_seconds - 1) / 2 + 1e-6) + 1 for seconds in MEDIAN_SECONDS}
        return [{"frames": frames} for frames in sorted(longest_odd) if frames >= 3]
    if name == "centring":
        return [{"prediction_mean": float(pooled.mean()), "truth_mean": float(labels.mean())}]
    if name == "scaling":
        varies = np.ptp(pooled) > 0
        return [{"ratio": float(labels.std() / pooled.std()), "about": float(pooled.mean())}] if varies else []
    return [{"frames": frames} for frames in range(1, int(MAX_SHIFT_SECONDS / step_seconds + 1e-6) + 1)]


def _fit_chain(
    labels: np.ndarray, traces: list[np.ndarray], masks: Sequence[np.ndarray], step_seconds: float
) -> tuple[Step, ...]:
    before = float(ccc(labels, _pooled(traces, masks)))
    steps = []
    for name, function in _STEPS.items():
        tried = [
            (float(ccc(labels, _pooled([function(trace, **values) for trace in traces], masks))), values)
            for values in _candidates(name, labels, _pooled(traces, masks), step_seconds)
        ]
        after, values = max(tried, key=itemgetter(0), default=(before, {}))  # of equals the first, the mildest
        kept = after > before + MIN_GAIN
        steps.append(Step(name, values, kept, before, after))
        if kept:
            traces, before = [function(trace, **values) for trace in traces], after
    return tuple(steps)


def _pooled(traces: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([trace[mask] for trace, mask in zip(traces, masks, strict=True)])


def _traces(recordings: Sequence[np.ndarray], column: int) -> list[np.ndarray]:
    return [recording[:, column].astype(np.float64) for recording in recordings]


def _check_finite(prediction: np.ndarray) -> None:
    if not np.all(np.isfinite(prediction)):
        raise UserError("predictions: expected numbers, found NaN or infinity; train again at a smaller learning rate")


def _step(raw: Mapping[str, Any]) -> Step:
    """Return a step read from JSON. Raises ValueError unless it holds the arguments of its function."""
    step = Step(**raw)
    arguments = list(signature(_STEPS[step.name]).parameters)[1:]
    fits = isinstance(step.kept, bool) and (set(step.values) == set(arguments) or not (step.kept or step.values))
    for name, value in step.values.items():
        fits = (
            fits and math.isfinite(value) and (name != "frames" or (type(value) is int and 1 <= value <= _MOST_FRAMES))
        )
    if not fits or not all(abs(ccc_of) <= 1 + 1e-9 for ccc_of in (step.ccc_before, step.ccc_after)):
        raise ValueError(f"step {dict(raw)}")
    return step
