"""Score a classification network, or a linear model, on the validation side while it is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from zoo.config.run_config import RunConfig
from zoo.data.batches.clips import Example, whole_batches
from zoo.heads import heads_of
from zoo.metrics import classification
from zoo.runs.linear_model import LinearModel
from zoo.training import several_targets
from zoo.training.tasks.base import FoldData
from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras

    from zoo.features import enhancer

    Model: TypeAlias = keras.Model | LinearModel
else:
    enhancer = lazy("zoo.features.enhancer")

_VALIDATED_SECONDS = 20  # in a batch of waveforms, padding too


def validator(model: Model, fold: FoldData, config: RunConfig) -> Callable[[], dict[str, Any]]:
    validate = _validator(model, fold, config) if fold.validation else dict
    sides = {"train": "train", "test": "tested"} if config.record_accuracy else {}
    accuracies = {
        f"{name}_wa": _accuracy(model, getattr(behind_enhancer(fold, config, side), side), len(fold.outputs))
        for name, side in sides.items()
        if getattr(fold, side)
    }
    return lambda: {**validate(), **{name: accuracy() for name, accuracy in accuracies.items()}}


def _accuracy(model: Model, examples: Sequence[Example], n_classes: int) -> Callable[[], float]:
    """Return a function of the share of clips, of those with a label, that the model answers right now."""
    examples = sorted(examples, key=lambda example: example.features.n_frames)  # as they need least padding
    truth, outputs = np.array([example.label for example in examples]), _outputs(model, examples)

    def accuracy() -> float:
        answers = outputs()[:, :n_classes].argmax(axis=-1)
        return float(np.mean(answers[truth >= 0] == truth[truth >= 0]))

    return accuracy


def _validator(model: Model, fold: FoldData, config: RunConfig) -> Callable[[], dict[str, Any]]:
    fold = behind_enhancer(fold, config, "validation")
    truth = np.array([example.label for example in fold.validation])
    longest = {"max_frames": _VALIDATED_SECONDS * fold.frontend.rate_hz} if config.trains_encoder else {}
    outputs = _outputs(model, fold.validation, **longest)
    heads = heads_of(config, fold.outputs)

    def validate() -> dict[str, Any]:
        every = outputs().astype(np.float64)
        output = every[:, : len(fold.outputs)]
        confusion = classification.confusion_matrix(truth, output.argmax(axis=-1), len(fold.outputs))
        likelihood = np.maximum(output[np.arange(len(truth)), truth], 1e-12)
        return {
            "validation_loss": float(-np.log(likelihood).mean()),
            "validation_ua": float(classification.unweighted_accuracy(confusion)),
            "validation_wa": float(classification.weighted_accuracy(confusion)),
            **several_targets.validation_figures(heads, fold.validation, every),
        }

    return validate


def _outputs(model: Model, examples: Sequence[Example], **limits: int) -> Callable[[], np.ndarray]:
    """Return a function of what the model gives for the examples right now: (n, columns)."""
    if isinstance(model, LinearModel):
        vectors = np.concatenate([example.features.read() for example in examples])
        return lambda: model.probabilities(vectors)
    batches = whole_batches(examples, **limits)
    return lambda: np.asarray(model.predict(batches, verbose=0))


def behind_enhancer(fold: FoldData, config: RunConfig, side: str) -> Any:
    """Return the fold with the enhancer's features for one side, computed once rather than in every training step."""
    if not config.enhancer:
        return fold
    examples: Any = enhancer.behind(getattr(fold, side), config, fold.name)
    return replace(fold, **{side: examples})
