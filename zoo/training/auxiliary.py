"""Add what --teacher, --contrastive and --adversarial teach to a fold's training: labels, loss, and columns of output.

Rows of labels are those of zoo.heads for the targets, then a row of classes for each adversary, then the teacher's
probabilities. The network in training has the columns of the targets, of the adversaries and of the projection; the
saved model has those of the targets alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.config.run_config import RunConfig
from zoo.data.batches.clips import Example
from zoo.heads import Head, Heads, adversaries, label_row
from zoo.losses_auxiliary import distillation, soften, supervised_contrast
from zoo.losses_several import SeveralTargets
from zoo.models.auxiliary_heads import PROJECTION, with_auxiliary_heads
from zoo.runs import further_targets
from zoo.training.tasks.base import FoldData


class AuxiliaryLoss(keras.losses.Loss):
    """The loss of the targets and adversaries, and those of a teacher and of contrast beside it, for --teacher etc.

        targets + share * distillation + contrastive * supervised_contrast

    where the main target's own loss has been weighted by 1 - share (`added`). Weights (batch,) are of the main target
    and of its distillation.
    """

    def __init__(self, targets: SeveralTargets, config: RunConfig):
        super().__init__(name="auxiliary", reduction=None)
        self.targets, self.config, self.n_classes = targets, config, targets.classes[0]

    def __call__(self, y_true, y_pred, sample_weight=None):
        truth, prediction = (ops.cast(ops.convert_to_tensor(values), "float32") for values in (y_true, y_pred))
        config, n_classes = self.config, self.n_classes
        total = self.targets(truth, prediction, sample_weight)
        if config.teacher:
            soft = distillation(truth[:, -n_classes:], prediction[:, :n_classes], config.temperature, sample_weight)
            total = total + config.teacher_weight * soft
        if config.contrastive:
            vectors = prediction[:, -PROJECTION:]
            contrast = supervised_contrast(truth[:, :n_classes], vectors, config.contrastive_temperature)
            total = total + config.contrastive * contrast
        return total


def wanted(config: RunConfig) -> bool:
    """Return whether a configuration has any of --teacher, --contrastive and --adversarial."""
    return bool(config.teacher or config.contrastive or config.adversarial)


def added(
    fold: FoldData, heads: Heads, loss: Any, config: RunConfig
) -> tuple[list[Example], AuxiliaryLoss, Callable[[keras.Model], keras.Model]]:
    """Return the training examples with their rows of labels, the loss, and what makes the network in training.

    `loss` is that of `heads` without these: a SeveralTargets where there are several. Raises UserError where the
    training clips cannot teach an adversary.
    """
    share = config.teacher_weight if config.teacher else 0.0
    single: dict[str, Any] = {"classes": [heads[0].columns], "weights": [heads[0].weight], "deviations": [1.0]}
    given = loss.get_config() if isinstance(loss, SeveralTargets) else single
    unlearnt = _adversaries(fold, config)
    targets = SeveralTargets(
        [*given["classes"], *(head.columns for head in unlearnt)],
        [given["weights"][0] * (1 - share), *given["weights"][1:], *(1.0 for _ in unlearnt)],
        [*given["deviations"], *(1.0 for _ in unlearnt)],
        config.number_loss,
        config.label_smoothing,
    )
    rows = _rows(fold, heads, unlearnt, config)
    examples = [replace(example, labels=row) for example, row in zip(fold.train, rows, strict=True)]
    extend = partial(with_auxiliary_heads, adversaries=unlearnt, projected=bool(config.contrastive))
    return examples, AuxiliaryLoss(targets, config), extend


def _adversaries(fold: FoldData, config: RunConfig) -> Heads:
    scales = adversaries(config.adversarial)
    classes = further_targets.adversaries(fold.clips, scales)
    return tuple(Head(name, tuple(classes[name]), scale) for name, scale in scales.items())


def _rows(fold: FoldData, heads: Heads, unlearnt: Heads, config: RunConfig) -> Sequence[np.ndarray]:
    """Return the row of labels of every training example. A missing label is a row of zeros."""
    one_hot = np.eye(heads[0].columns, dtype=np.float32)
    rows = []
    for number, example in enumerate(fold.train):
        own = example.labels
        if own is None:
            own = one_hot[example.label] if example.label >= 0 else np.zeros(heads[0].columns, np.float32)
        parts = [own]
        if unlearnt:
            clip = fold.clips[number]
            values = {head.name: further_targets.adversary_label(clip, head.name) for head in unlearnt}
            parts.append(label_row(unlearnt, {name: value for name, value in values.items() if value}))
        if config.teacher:
            parts.append(soften(fold.taught[example.name], config.temperature))
        rows.append(np.concatenate(parts).astype(np.float32))
    return rows
