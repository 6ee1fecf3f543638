"""Turn a classification into the probability that it is right, and abstain below a threshold: what a fit says."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.confidence.measures import MEASURES, inputs_of_engines

_ENGINE = ("weights", "bias")


@dataclass(frozen=True)
class Engine:
    """A linear model of a clip's inputs: `inputs @ weights + bias`."""

    weights: np.ndarray
    bias: float

    def output(self, inputs: np.ndarray) -> np.ndarray:
        return inputs @ self.weights + self.bias


@dataclass(frozen=True)
class Fit:
    """A fitted confidence: confidence = sigmoid(slope * score + intercept), abstained where it is below `threshold`.

    `score` is that of `measure`, for those with engines the mean of the engines' estimates. `wanted` is {"error": e} or
    {"coverage": c} that the threshold was fitted for; `validation` are figures of the clips it was fitted on.
    """

    measure: str
    classes: tuple[str, ...]
    slope: float
    intercept: float
    threshold: float
    wanted: Mapping[str, float]
    engines: tuple[Engine, ...] = ()
    validation: Mapping[str, float] = field(default_factory=dict)

    @property
    def takes_functionals(self) -> bool:
        return MEASURES[self.measure].takes_functionals

    def confidence(self, probabilities: np.ndarray, functionals: np.ndarray | None = None) -> np.ndarray:
        """Return the probability that each answer is right, (n,), from its probabilities (n, classes).

        `functionals` (n, 88) are eGeMAPS's, for measures that take them.
        """
        values = score(self.measure, np.asarray(probabilities, np.float64), functionals, self.engines)
        return sigmoid(self.slope * values + self.intercept)

    def content(self) -> dict[str, Any]:
        """Return the fit as JSON has it."""
        engines = [{"weights": [float(w) for w in one.weights], "bias": float(one.bias)} for one in self.engines]
        own = {"measure": self.measure, "classes": list(self.classes), "wanted": dict(self.wanted)}
        numbers = {"slope": self.slope, "intercept": self.intercept, "threshold": self.threshold}
        return {**own, **numbers, "engines": engines, "validation": dict(self.validation)}


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-values)). SciPy's takes longer to import than a clip to classify."""
    return 0.5 * (1 + np.tanh(0.5 * values))


def score(
    measure: str, probabilities: np.ndarray, functionals: np.ndarray | None, engines: tuple[Engine, ...]
) -> np.ndarray:
    """Return the measure's own score of each clip, (n,)."""
    of_probabilities = MEASURES[measure].of_probabilities
    if of_probabilities:
        return of_probabilities(probabilities)
    inputs = engine_inputs(measure, probabilities, functionals)
    return np.mean([estimate(measure, one, inputs) for one in engines], axis=0)


def engine_inputs(measure: str, probabilities: np.ndarray, functionals: np.ndarray | None) -> np.ndarray:
    """Return what a measure's engines take, (n, inputs). Raises ValueError where functionals are needed and absent."""
    parts = [inputs_of_engines(probabilities)] if MEASURES[measure].takes_probabilities else []
    if MEASURES[measure].takes_functionals:
        if functionals is None:
            raise ValueError(f"confidence by {measure} needs functionals of the clips")
        parts.append(np.asarray(functionals, np.float64))
    return np.concatenate(parts, axis=-1)


def estimate(measure: str, engine: Engine, inputs: np.ndarray) -> np.ndarray:
    """Return one engine's estimate: the probability of being right, or the share of raters that agree, 0..1."""
    output = engine.output(inputs)
    return np.clip(output, 0, 1) if MEASURES[measure].of_agreement else sigmoid(output)


def from_content(content: Any, classes: tuple[str, ...]) -> Fit:
    """Read a fit from JSON, of a model with these classes. Raises ValueError, which says what was found."""
    _check(content)
    if tuple(content["classes"]) != classes:
        raise ValueError(f"a confidence for the classes {', '.join(content['classes'])}, not {', '.join(classes)}")
    measure = MEASURES[content["measure"]]
    width = measure.takes_probabilities * (len(classes) + 3) + measure.takes_functionals * 88
    engines = [Engine(np.array(one["weights"], np.float64), float(one["bias"])) for one in content["engines"]]
    if bool(engines) != measure.has_engines or any(len(one.weights) != width for one in engines):
        raise ValueError(f"engines that are not those of {content['measure']}, with {width} inputs each")
    return Fit(
        content["measure"],
        classes,
        slope=float(content["slope"]),
        intercept=float(content["intercept"]),
        threshold=float(content["threshold"]),
        wanted=dict(content["wanted"]),
        engines=tuple(engines),
        validation=dict(content["validation"]),
    )


def _check(content: Any) -> None:
    keys = ("measure", "classes", "slope", "intercept", "threshold", "wanted", "engines", "validation")
    if not isinstance(content, dict) or any(key not in content for key in keys):
        raise ValueError(f"no confidence with {', '.join(keys)}")
    if not isinstance(content["measure"], str) or content["measure"] not in MEASURES:
        raise ValueError(f"the measure {content['measure']!r:.80}, not one of {', '.join(MEASURES)}")
    if not isinstance(content["classes"], list) or not all(isinstance(name, str) for name in content["classes"]):
        raise ValueError("classes that are no names")
    for name in ("slope", "intercept", "threshold"):
        if not _is_number(content[name]):
            raise ValueError(f"{name} {content[name]!r:.80}, not a number")
    if not 0 <= content["threshold"] <= 1 or content["slope"] < 0:
        raise ValueError(f"threshold {content['threshold']:g} and slope {content['slope']:g}, expected 0..1 and 0..")
    for name in ("wanted", "validation"):
        if not isinstance(content[name], dict) or not all(map(_is_number, content[name].values())):
            raise ValueError(f"{name} that is no mapping to numbers")
    engines = content["engines"]
    is_engine = isinstance(engines, list) and all(isinstance(one, dict) and {*_ENGINE} <= {*one} for one in engines)
    if not is_engine or not all(_is_number(one["bias"]) and _is_numbers(one["weights"]) for one in engines):
        raise ValueError("engines without weights and bias")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_number, value))
