"""What a corpus is made of: clips, folds, and the protocol that turns the first into the second."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True, eq=False)
class Trace:
    """What raters felt while a recording went on.

    `values` is (steps, dimensions), float32, usually -1..1. Step i is about `start_seconds + i * step_seconds`.
    """

    dimensions: tuple[str, ...]
    values: np.ndarray
    step_seconds: float
    start_seconds: float = 0.0


@dataclass(frozen=True)
class Clip:
    """One labelled recording.

    `name` is unique within its corpus (the utterance name, not the path). `label` is in the corpus's own words
    until a protocol maps it. `tags` holds what else the corpus says and a protocol may ask for, as strings
    (session, gender, intensity ...). A recording rated continuously has a `trace` and the label "".
    """

    path: Path
    name: str
    speaker: str
    label: str
    tags: Mapping[str, str] = field(default_factory=dict)
    trace: Trace | None = None


@dataclass(frozen=True)
class Fold:
    """One division of a protocol's clips. Speakers never cross it unless the protocol says so."""

    name: str
    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    test: tuple[Clip, ...]

    @property
    def sides(self) -> tuple[tuple[Clip, ...], ...]:
        """Training, validation and test clips."""
        return self.train, self.validation, self.test
