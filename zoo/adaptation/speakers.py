"""Collect what adaptation works on: the networks of finished runs, and the features of each speaker's clips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from zoo.adaptation.network import FoldNetwork, open_network
from zoo.data.batches.feature_store import Features
from zoo.data.schema import Clip, Fold
from zoo.errors import UserError
from zoo.features import from_config
from zoo.heads import column_names, heads_of
from zoo.runs import dataset
from zoo.runs.folder import fold_name
from zoo.runs.open_run import OpenedRun, check_predicts
from zoo.utils.progress import Progress

SIDES = ("test", "validation")


@dataclass(frozen=True)
class Speaker:
    """A speaker whom a fold's networks were not trained on. `truth` are class indices (n,), for figures.

    `networks` are those of the fold, one per run; `features` are by run, then by clip. `trained` are the shares of the
    classes among the clips of training.
    """

    name: str
    fold: str
    clips: tuple[Clip, ...]
    truth: np.ndarray
    networks: Sequence[FoldNetwork]
    features: Sequence[Sequence[np.ndarray]]
    trained: np.ndarray = field(repr=False)


def check_network(run: OpenedRun) -> None:
    """Raise UserError for a run whose networks cannot be adapted."""
    if run.entry.task != "emotion" or run.entry.frontend != "log_mel":
        raise UserError(
            f"{run.folder} is a run of {run.settings.model}, expected a network of classes on log-mel features, such "
            "as residual_bigru"
        )
    check_predicts(run.settings, run.folder)


def check_strangers(run: OpenedRun) -> None:
    """Raise UserError for a run whose test speakers may be known to it."""
    if not run.protocol.speaker_independent or run.record.get("leakage"):
        raise UserError(
            f"{run.folder}: {run.protocol.name} has speakers or recordings on both sides, so that no speaker is a "
            "stranger to adapt to. Train under a protocol that keeps speakers apart"
        )


def collect(runs: Sequence[OpenedRun], side: str, data_root: str, progress: Progress) -> list[Speaker]:
    """Return the speakers of one side of every fold, in order, with their clips' features from the cache or into it.

    Raises UserError for runs of other folds, clips or classes than the first, and a side without clips.
    """
    for run in runs:
        check_network(run)
        check_strangers(run)
    members = [_member(run, side, data_root, progress) for run in runs]
    first = members[0]
    for run, member in zip(runs[1:], members[1:], strict=True):
        if _signature(member, side) != _signature(first, side) or run.outputs != runs[0].outputs:
            raise UserError(
                f"{run.folder}: expected the folds, clips and classes of {runs[0].folder}, found others. Give runs of "
                "one protocol and the same folds"
            )
    classes, found = runs[0].protocol.classes, []
    for number, fold in enumerate(first.folds):
        counts = np.array([sum(clip.label == name for clip in fold.train) for name in classes], float)
        for name in dict.fromkeys(clip.speaker for clip in getattr(fold, side)):
            own = tuple(clip for clip in getattr(fold, side) if clip.speaker == name)
            truth = np.array([classes.index(clip.label) for clip in own])
            features = [[member.features[clip.name].read() for clip in own] for member in members]
            networks = [member.networks[number] for member in members]
            found.append(Speaker(name, fold.name, own, truth, networks, features, counts / counts.sum()))
    return found


@dataclass(frozen=True)
class _Member:
    """The chosen folds of one run, a network for each, and the features of the clips of the chosen side by name."""

    folds: Sequence[Fold]
    networks: Sequence[FoldNetwork]
    features: Mapping[str, Features]


def _member(run: OpenedRun, side: str, data_root: str, progress: Progress) -> _Member:
    wanted = {fold_name(folder): folder for folder in run.fold_folders}
    folds = [fold for fold in dataset.of_run(run, data_root).folds if fold.name in wanted]
    clips = list({clip.name: clip for fold in folds for clip in getattr(fold, side)}.values())
    if absent := [fold.name for fold in folds if not getattr(fold, side)]:
        raise UserError(f"{run.folder}: fold {absent[0]} has no {side} clips to adapt to; choose the other --side")
    with progress.task(f"features, {run.folder.name}", len(clips)) as advance:
        features, _ = from_config.features_of(run.settings, from_config.extractor(run.settings), clips, advance)
    columns = column_names(heads_of(run.settings, run.protocol.classes))
    n_classes = len(run.protocol.classes)
    networks = [open_network(wanted[fold.name] / "model.keras", columns, n_classes) for fold in folds]
    return _Member(folds, networks, features)


def _signature(member: _Member, side: str) -> list:
    return [
        (fold.name, [(clip.name, clip.speaker, clip.label) for clip in getattr(fold, side)]) for fold in member.folds
    ]
