"""Train and score the targets of a network beyond its main one: labels, loss, validation, rows, figures.

MixedEmotions D4.2, section 2.5: one network learns several targets, and labels of some may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.config.run_config import RunConfig
from zoo.data.batches.clips import Example
from zoo.data.schema import Clip
from zoo.heads import Heads, label_row, slices, split
from zoo.metrics import classification, regression
from zoo.metrics.undefined import number
from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras

    from zoo.losses_several import SeveralTargets
else:
    keras = lazy("keras")

Row = Mapping[str, Any]


def labels_of(clip: Clip, heads: Heads, shares: np.ndarray | None = None) -> np.ndarray | None:
    """Return a clip's row of labels (zoo.heads), the main target's being the `shares` of its classes, if given.

    None where the class says all: the network has one target, and there are no shares.
    """
    if len(heads) == 1 and shares is None:
        return None
    main = {heads[0].name: clip.label} if clip.label in heads[0].classes else {}
    further = {head.name: clip.targets[head.name] for head in heads[1:] if head.name in clip.targets}
    row = label_row(heads, {**further, **main})
    if shares is not None:
        row[: len(shares)] = shares
    return row


def extended(
    network: keras.Model, heads: Heads, examples: Sequence[Example], config: RunConfig
) -> tuple[keras.Model, SeveralTargets]:
    """Return a network with heads for further targets, and its loss; numbers are scaled by the training `examples`."""
    from zoo.losses_several import SeveralTargets
    from zoo.models.heads import with_heads

    labels = _labels(examples).astype(np.float64)
    moments = {}
    for head, where in zip(heads, slices(heads, labels=True), strict=True):
        if not head.classes:
            values, labelled = labels[:, where].T
            values = values[labelled > 0]
            moments[head.name] = (float(values.mean()), float(values.std()))
    loss = SeveralTargets(
        [len(head.classes) for head in heads],
        [head.weight for head in heads],
        [moments[head.name][1] if head.name in moments else 1.0 for head in heads],
        config.number_loss,
        config.label_smoothing,
    )
    return with_heads(network, heads, moments), loss


def validation_figures(heads: Heads, examples: Sequence[Example], outputs: np.ndarray) -> dict[str, float | None]:
    """Return UA or CCC of each further target on its labelled clips, as columns of the history; None if undefined."""
    if len(heads) == 1:
        return {}
    labels, found = _labels(examples), split(heads, outputs)
    figures: dict[str, float | None] = {}
    for head, where in list(zip(heads, slices(heads, labels=True), strict=True))[1:]:
        truth, prediction = labels[:, where], found[head.name]
        labelled = truth.sum(axis=1) > 0 if head.classes else truth[:, 1] > 0
        name = f"validation_{'ua' if head.classes else 'ccc'}_{head.name}"
        if not labelled.any():
            figures[name] = None
        elif head.classes:
            pair = truth[labelled].argmax(axis=1), prediction[labelled].argmax(axis=1)
            confusion = classification.confusion_matrix(*pair, len(head.classes))
            figures[name] = number(classification.unweighted_accuracy(confusion))
        else:
            figures[name] = number(regression.ccc(truth[labelled, 0], prediction[labelled]))
    return figures


def columns(heads: Heads, clip: Clip, output: np.ndarray) -> dict[str, str]:
    """Return the columns of predictions.csv of the further targets of a clip, by the output (columns,).

    NAME_truth, "" where it is missing, NAME_prediction, and NAME_p_CLASS for each class.
    """
    row: dict[str, str] = {}
    found = split(heads, output[None])
    for head in heads[1:]:
        values, truth = found[head.name][0], clip.targets.get(head.name, "")
        if head.classes:
            row |= {f"{head.name}_truth": str(truth), f"{head.name}_prediction": head.classes[int(values.argmax())]}
            row |= {f"{head.name}_p_{name}": f"{p:.6f}" for name, p in zip(head.classes, values, strict=True)}
        else:
            row |= {f"{head.name}_truth": str(truth), f"{head.name}_prediction": f"{values:.6f}"}
    return row


def scores(rows: Sequence[Row]) -> dict[str, Any]:
    """Return as "targets" the figures of each further target that rows have columns of, over its labelled clips.

    Of classes those of zoo.metrics.classification, of numbers those of zoo.metrics.regression.evaluate_clips, and how
    many clips are `unlabelled`; where all are, nothing else. `kind` is "classes" or "numbers".
    """
    found = {}
    for key in rows[0]:
        name = key.removesuffix("_prediction")
        if name == key or f"{name}_truth" not in rows[0]:
            continue
        prefix = f"{name}_p_"
        classes = [column.removeprefix(prefix) for column in rows[0] if column.startswith(prefix)]
        labelled = [row for row in rows if row[f"{name}_truth"] != ""]
        figures: dict[str, Any] = {}
        truth, prediction, speakers = (
            [row[column] for row in labelled] for column in (f"{name}_truth", key, "speaker")
        )
        if labelled and classes:
            figures = classification.evaluate(truth, prediction, classes, speakers)
        elif labelled:
            figures = regression.evaluate_clips([float(v) for v in truth], [float(v) for v in prediction], speakers)
        kind = "classes" if classes else "numbers"
        found[name] = {"kind": kind, "unlabelled": len(rows) - len(labelled), **figures}
    return {"targets": found} if found else {}


def _labels(examples: Sequence[Example]) -> np.ndarray:
    return np.stack([example.labels for example in examples if example.labels is not None])
