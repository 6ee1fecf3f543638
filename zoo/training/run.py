"""Hold what the folds of a run share while they are trained."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.config.run_config import RunConfig
from zoo.data.batches.feature_store import Features
from zoo.features import from_config
from zoo.runs import sides
from zoo.runs.dataset import Source
from zoo.runs.folder import corpus_name
from zoo.training import teacher, transfer


@dataclass(frozen=True)
class Run:
    """What the folds of a run share.

    `features` are those of every clip, `versions` those of altered copies of training clips, by the clip's name;
    `facts` go into every metrics.json. `origins` are those of initial weights, `teachers` and what is `taught` those of
    --teacher, by the fold's name.
    """

    folder: Path
    config: RunConfig
    source: Source
    features: Mapping[str, Features]
    versions: Mapping[str, tuple[Features, ...]]
    facts: Mapping[str, Any]
    origins: Mapping[str, transfer.Origin] = field(default_factory=dict)
    teachers: teacher.Teachers = field(default_factory=dict)
    taught: teacher.Probabilities = field(default_factory=dict)

    def title(self, fold: str = "") -> str:
        """Return the title of every figure and table of the run."""
        corpus = f"{'SYNTHETIC ' if self.source.synthetic else ''}{corpus_name({**self.facts, 'synthetic': False})}"
        where = f"{self.config.protocol}{f', fold {fold}' if fold else ''}"
        seen = (
            ", not speaker-independent" if self.facts["leakage"] or not self.source.protocol.speaker_independent else ""
        )
        if self.source.protocol.selects_on_test:
            seen = ", chosen on the recordings it is tested on"
        part = ", incomplete" if self.source.notes else ""
        part += ", last epoch kept" * (self.config.keep == "last")
        part += "".join(f", no {side} side" for side in sides.NAMES if side not in self.facts["sides"])
        part += f", mean of {self.config.snapshots} snapshots" * (self.config.snapshots > 1)
        part += ", RANDOM WEIGHTS" * from_config.has_random_weights(self.config)
        part += ", against each speaker's own clips" * self.config.standardize_speakers
        part += ", against each corpus's own clips" * self.config.normalize_corpora
        part += ", refitted with validation clips" * self.config.refit
        part += ", from other weights" * bool(self.config.init_from) + ", distilled" * bool(self.config.teacher)
        part += ", fitted in noise" * self.config.is_fitted_in_noise + ", enhanced" * bool(self.config.enhancer)
        name = self.config.name or f"{self.config.model} ({self.config.recipe})"
        return f"{name} on {corpus}, {where}{part}{seen}"
