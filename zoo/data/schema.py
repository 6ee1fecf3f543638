"""Define the records of a corpus: labelled clips, ratings along recordings, and folds of clips."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True, eq=False)
class Trace:
    """Continuous ratings of a recording: `values` (steps, dimensions), float32, usually -1..1.

    Step i is at `start_seconds + i * step_seconds`.
    """

    dimensions: tuple[str, ...]
    values: np.ndarray
    step_seconds: float
    start_seconds: float = 0.0


@dataclass(frozen=True, slots=True)  # of a table there may be a million
class Clip:
    """One labelled utterance or recording.

    `name` is unique within its corpus. `label` is the corpus's own until a protocol maps it, "" with a `trace` or
    without a label. `tags` are further facts that a protocol may use (session, gender, intensity ...). `seconds` is the
    length of the interval that the label file gives, None where it gives none. A segment of a longer recording lies
    from `start_seconds` to `end_seconds` (None: the recording's end) of the file. `targets` are values to predict by
    target, a class or a number; one that is missing is absent. `votes` are numbers of raters by target and class.
    """

    path: Path
    name: str
    speaker: str
    label: str
    tags: Mapping[str, str] = field(default_factory=dict)
    trace: Trace | None = None
    seconds: float | None = None
    start_seconds: float = 0.0
    end_seconds: float | None = None
    targets: Mapping[str, str | float] = field(default_factory=dict)
    votes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def segment(self) -> tuple[float, float | None]:
        """Where the clip lies in its file, in seconds from its beginning; None is the file's end."""
        return self.start_seconds, self.end_seconds

    @property
    def is_segment(self) -> bool:
        """Whether the clip is a part of its file."""
        return self.segment != (0.0, None)


@dataclass(frozen=True)
class Fold:
    """One division of a protocol's clips. No speaker is on two sides unless the protocol says so."""

    name: str
    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    test: tuple[Clip, ...]

    @property
    def sides(self) -> tuple[tuple[Clip, ...], ...]:
        """Training, validation and test clips."""
        return self.train, self.validation, self.test
