"""Open a run folder: its configuration, network, protocol, folds and record, checked once for every reader."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.config import saved
from zoo.config.run_config import RunConfig
from zoo.data.protocols.splits import Protocol
from zoo.errors import UserError
from zoo.registry import Entry
from zoo.runs.folder import check_holds, corpus_name, finished_folds
from zoo.runs.protocol import protocol_of
from zoo.runs.record_shape import NEEDED


@dataclass(frozen=True)
class OpenedRun:
    """A finished run. `record` is the metrics.json of the run, or of the one fold that was chosen."""

    folder: Path
    settings: RunConfig
    entry: Entry
    protocol: Protocol
    fold_folders: tuple[Path, ...]
    record: Mapping[str, Any]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the classes, or of the rated dimensions."""
        return self.protocol.classes or self.protocol.targets

    @property
    def corpus(self) -> str:
        """The corpus it was trained on, marked where that is synthetic."""
        return corpus_name(self.record)

    @property
    def real_corpus(self) -> str:
        """The corpus it was trained on, or that its synthetic clips are a twin of."""
        return self.corpus.removeprefix("synthetic ")


def open_run(folder: Path, fold: str | None = None) -> OpenedRun:
    """Open a finished run, with all its folds or the one numbered `fold`.

    Raises UserError where it is not finished, is of another version, or has no such fold, and where its metrics.json
    is damaged or of another run.
    """
    settings = saved.load(folder / "config.json")
    folders, record = finished_folds(folder, fold)
    protocol = protocol_of(settings)
    _check_of_this_run(record, settings, protocol, (folder if fold is None else folders[0]) / "metrics.json")
    return OpenedRun(folder, settings, registry.get(settings.model), protocol, tuple(folders), record)


def _check_of_this_run(record: Mapping[str, Any], settings: RunConfig, protocol: Protocol, path: Path) -> None:
    check_holds(record, NEEDED, path)
    # Classes in another order would give every answer another name.
    kinds = {"classes": list(protocol.classes), "dimensions": list(protocol.targets)}
    expected: dict[str, Any] = {"model": settings.model, "corpus": settings.corpus}
    expected |= {name: names for name, names in kinds.items() if name in record}
    for name, wanted in expected.items():
        found = list(record[name]) if name in kinds else record[name]
        if found != wanted:
            raise UserError(
                f"{path}: its {name}: {found}, those of the run's config.json: {wanted}. It is another run's, or was "
                "changed. Restore the file, or train again into another folder"
            )


def check_predicts(settings: RunConfig, run: Path) -> None:
    """Raise UserError for a run that cannot predict emotion in a single recording of an unknown speaker."""
    registry.check_answers(settings.model, run)
    if settings.standardize_speakers:
        raise UserError(
            f"{run} standardises features by each speaker's own clips (--standardize-speakers), and a single recording "
            "has none. Evaluate it on its corpus (evaluate.py), or train without that flag to predict and serve"
        )
    if settings.normalize_corpora:
        raise UserError(
            f"{run} standardises features by each corpus's own clips (--normalize-corpora), and a single recording is "
            "of none. Evaluate it on its corpora (evaluate.py), or train without that flag to predict and serve"
        )
