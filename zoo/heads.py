"""Describe the heads of a network with several targets: what each predicts, and its columns of outputs and labels.

The network has one output, (batch, columns): the probabilities of the main target's classes, then for each further
target those of its classes, or one column, its number. Rows of labels lie alike, but numbers take two columns there,
the number times its weight, and its weight. A class has a row of shares. Missing labels are zeros throughout, so that
mixtures of rows, as of mixup, are again rows.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from zoo.errors import UserError, unknown

MAIN = "emotion"
NUMBER: list[str] = []  # in place of the names of classes, as configurations hold it
MOST_CLASSES = 1000
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Head:
    """One target: its name, its classes (none: a number), and its weight in the loss."""

    name: str
    classes: tuple[str, ...] = ()
    weight: float = 1.0

    @property
    def columns(self) -> int:
        """Number of columns in the network's output."""
        return len(self.classes) or 1

    @property
    def label_columns(self) -> int:
        """Number of columns in a row of labels."""
        return len(self.classes) or 2


Heads = tuple[Head, ...]


def further_names(also: str, main: str = MAIN) -> tuple[str, ...]:
    """Return the names of further targets in a value of --also, such as "sex,intensity"; none for "".

    Raises UserError for a name that is empty, given twice, that of the `main` target, or of other characters.
    """
    names = tuple(name.strip() for name in also.split(",")) if also else ()
    for name in (*names, *([main] if names else [])):
        if not _NAME.fullmatch(name):
            raise UserError(f"--also {also}: expected names of targets, each of letters, digits and _, found {name!r}")
        if names.count(name) > (0 if name == main else 1):
            what = "the main target already" if name == main else "named twice"
            raise UserError(f"--also {also}: {name} is {what}; leave it out")
    return names


def weights(text: str, names: Sequence[str]) -> dict[str, float]:
    """Return the weight in the loss of each target by a value of --target-weights, "emotion=1,sex=0.3"; 1 by default.

    `names` are the targets, the main one first. Raises UserError for an unknown target, a target named twice, what is
    no number of 0 to 1000, and for a main target without weight, which could not choose the epoch.
    """
    found = dict.fromkeys(names, 1.0)
    given = [part.partition("=") for part in text.split(",")] if text else []
    for name, _, value in ((name.strip(), equals, value) for name, equals, value in given):
        if name not in found:
            raise unknown("target in --target-weights", name, names)
        if [one[0].strip() for one in given].count(name) > 1:
            raise UserError(f"--target-weights {text}: {name} is named twice; leave one out")
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = math.nan
        if not 0 <= found[name] <= 1000:
            raise UserError(f"--target-weights: {name} has {value!r}, expected a number of 0 to 1000")
    if not found[names[0]]:
        raise UserError(f"--target-weights: the main target, {names[0]}, has no weight; expected a number above 0")
    return found


def adversaries(text: str) -> dict[str, float]:
    """Return the scale of each adversary's reversed gradient by a value of --adversarial, "speaker=0.1,corpus=0.05".

    Raises UserError for another form, a name given twice, and what is no number above 0, up to 100.

    >>> adversaries("speaker=0.1")
    {'speaker': 0.1}
    """
    found: dict[str, float] = {}
    for part in text.split(",") if text else []:
        name, _, value = (word.strip() for word in part.partition("="))
        if not _NAME.fullmatch(name) or name in found:
            what = "named twice" if name in found else "no name of letters, digits and _"
            raise UserError(f"--adversarial {text}: {name!r} is {what}; expected NAME=SCALE,... as in speaker=0.1")
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = math.nan
        if not 0 < found[name] <= 100:
            raise UserError(f"--adversarial: {name} has {value!r}, expected a number above 0, up to 100")
    return found


def make(classes: Sequence[str], further: Mapping[str, Any], target_weights: str = "", main: str = MAIN) -> Heads:
    """Return the heads of a network, the `main` one first.

    `classes` are the main target's; `further` maps further targets to their classes, none for a number. Raises
    UserError for other values, as in a config.json that was written by hand, and as `weights` does.
    """
    for name, names in further.items():
        texts = isinstance(names, (list, tuple)) and all(isinstance(one, str) and one for one in names)
        if not texts or len(names) in (1, *range(MOST_CLASSES + 1, len(names) + 1)) or len(set(names)) < len(names):
            raise UserError(f"heads: {name} has {names!r:.100}, expected names of two classes or more, or none")
    weight = weights(target_weights, (main, *further))
    every = {main: classes, **further}
    return tuple(Head(name, tuple(names), weight[name]) for name, names in every.items())


def heads_of(config: Any, classes: Sequence[str]) -> Heads:
    """Return the heads by a run's configuration and the main target's `classes`; the main one alone without --also."""
    return make(classes, config.heads if config.also else {}, config.target_weights, config.target)


def slices(heads: Heads, labels: bool = False) -> list[slice]:
    """Return which columns of the output, or of rows of `labels`, are each head's."""
    widths = [head.label_columns if labels else head.columns for head in heads]
    return [slice(*pair) for pair in pairwise(accumulate(widths, initial=0))]


def column_names(heads: Heads) -> list[str]:
    """Return a name for each column of the output."""
    if len(heads) == 1:
        return list(heads[0].classes)
    return [f"{head.name}: {name}" if name else head.name for head in heads for name in head.classes or ("",)]


def label_row(heads: Heads, values: Mapping[str, str | float]) -> np.ndarray:
    """Return the row of labels (columns,), float32, of a clip by its values; a target that is missing has zeros."""
    row = np.zeros(sum(head.label_columns for head in heads), np.float32)
    for head, where in zip(heads, slices(heads, labels=True), strict=True):
        if head.name not in values:
            continue
        value = values[head.name]
        if head.classes:
            row[where][head.classes.index(str(value))] = 1
        else:
            row[where] = float(value), 1
    return row


def split(heads: Heads, outputs: np.ndarray) -> dict[str, np.ndarray]:
    """Return outputs (n, columns) by target: probabilities (n, classes), or numbers (n,)."""
    parts = ((head, outputs[:, where]) for head, where in zip(heads, slices(heads), strict=True))
    return {head.name: part if head.classes else part[:, 0] for head, part in parts}
