"""What a corpus is made of: clips, folds, and the protocol that turns the first into the second."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Clip:
    """One labelled recording.

    `name` is unique within its corpus (the utterance name, not the path). `label` is in the corpus's own words
    until a protocol maps it. `tags` holds what else the corpus says and a protocol may ask for, as strings
    (session, gender, intensity ...).
    """

    path: Path
    name: str
    speaker: str
    label: str
    tags: Mapping[str, str] = field(default_factory=dict)


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
