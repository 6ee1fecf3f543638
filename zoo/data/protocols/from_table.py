"""Divide a user's own table into folds by its speakers, by its split column, or by its recordings."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from zoo.data.overlaps import overlapping
from zoo.data.protocols.splits import Protocol
from zoo.data.schema import Clip, Fold
from zoo.errors import UserError, spelt, unknown

N_FOLDS = 5
_SEED = 0
SPEAKERS, ONE_SPEAKER, SPLIT, RECORDINGS = (
    "table-speakers",
    "table-leave-one-speaker-out",
    "table-split",
    "table-recordings",
)


def protocol(name: str, corpus: str, classes: Sequence[str], targets: Sequence[str] = ()) -> Protocol:
    """Return the protocol `name` of a table with these classes, or with these rated dimensions (`targets`).

    Raises UserError for an unknown name.
    """
    name = spelt(name, _WAYS)
    if name not in _WAYS:
        raise unknown("table protocol", name, _WAYS)
    title, divide = _WAYS[name]
    return Protocol(
        name=name,
        corpus=corpus,
        title=title,
        paper="ours; scikit-learn's StratifiedGroupKFold with the seed 0",
        select=partial(_select, classes=frozenset(classes), rated=bool(targets)),
        divide=divide,
        classes=tuple(classes),
        targets=tuple(targets),
        speaker_independent=name != RECORDINGS,
        to_complete="add recordings of other speakers to the table",
        to_train="Label more of them by other speakers, or leave them out with --classes or --label-map",
    )


def usual(clips: Sequence[Clip]) -> str:
    """Return the protocol of a table that names none: by its split, by its speakers, or else by its recordings."""
    if any(clip.tags.get("split") for clip in clips):
        return SPLIT
    return RECORDINGS if all(clip.tags.get("speaker") == "unknown" for clip in clips) else SPEAKERS


def _select(clips: Sequence[Clip], classes: frozenset[str], rated: bool) -> list[Clip]:
    if rated:
        return [clip for clip in clips if clip.trace is not None]
    return [clip for clip in clips if clip.label in classes] if classes else list(clips)


def by_speakers(clips: Sequence[Clip], n_folds: int | None = N_FOLDS) -> list[Fold]:
    """Divide the speakers into `n_folds` groups, balanced by class (None: one a speaker).

    Fold k tests group k and validates on group k - 1. Speakers whose segments overlap are in one group.
    """
    return _rotated(clips, [clip.speaker for clip in clips], n_folds, "speaker")


def by_recordings(clips: Sequence[Clip]) -> list[Fold]:
    """Divide as `by_speakers` does, but by file: speakers are on every side."""
    return _rotated(clips, [str(clip.path) for clip in clips], N_FOLDS, "recording")


def _rotated(clips: Sequence[Clip], groups: Sequence[str], n_folds: int | None, kind: str) -> list[Fold]:
    n_groups = len(set(groups))
    if n_groups < 3:
        raise UserError(
            f"expected recordings of at least 3 {kind}s, to train, validate and test, found {n_groups} "
            f"({', '.join(sorted(set(groups)))}). Add some"
            + (
                ", or choose --protocol table-recordings --allow-leakage, which marks the result"
                if kind == "speaker"
                else ""
            )
        )
    groups = _joined(clips, groups)
    ordered = sorted(zip(clips, groups, strict=True), key=lambda pair: pair[0].name)
    clips, groups = [clip for clip, _ in ordered], [group for _, group in ordered]
    n_groups = len(set(groups))
    sides = _grouped(clips, groups, min(n_folds or n_groups, n_groups))
    folds = []
    for number, test in enumerate(sides):
        validation = sides[number - 1]
        train = sorted(set(range(len(clips))) - set(test) - set(validation))
        chosen = (tuple(clips[index] for index in side) for side in (train, validation, test))
        folds.append(_without_machine_labels(Fold(f"{number}", *chosen)))
    return folds


def _without_machine_labels(fold: Fold) -> Fold:
    """Return the fold without validation and test clips whose label no person gave: these would score a machine."""
    validation, test = (tuple(clip for clip in side if clip.tags.get("source") != "model") for side in fold.sides[1:])
    return replace(fold, validation=validation, test=test)


def _joined(clips: Sequence[Clip], groups: Sequence[str]) -> list[str]:
    """Return the groups of clips with those merged whose clips overlap, by a name that they have in common."""
    group_of = {clip.name: group for clip, group in zip(clips, groups, strict=True)}
    leader = {group: group for group in groups}

    def first(group: str) -> str:
        while leader[group] != group:
            group = leader[group]
        return group

    for together in overlapping(clips):
        found = sorted({first(group_of[clip.name]) for clip in together})
        leader |= dict.fromkeys(found, found[0])
    return [first(group) for group in groups]


def _grouped(clips: Sequence[Clip], groups: Sequence[str], n_folds: int) -> list[list[int]]:
    """Return the indices of the clips of each of `n_folds` sides: groups stay whole, classes are balanced."""
    from sklearn.model_selection import StratifiedGroupKFold  # takes a second, and finished runs need it not

    labels = np.array([clip.label for clip in clips])
    divide = StratifiedGroupKFold(n_folds, shuffle=True, random_state=_SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a class with fewer clips than folds, which is reported below
        return [test.tolist() for _, test in divide.split(labels, labels, groups)]


def by_split(clips: Sequence[Clip]) -> list[Fold]:
    """Make one fold of the table's split column; without a validation part, some training speakers validate."""
    parts: dict[str, list[Clip]] = {"train": [], "validation": [], "test": []}
    for clip in sorted(clips, key=lambda clip: clip.name):
        said = clip.tags.get("split", "")
        part = _PARTS.get(said.casefold())
        if part is None:
            expected = "expected train, validation (dev) or test as the split"
            raise UserError(f"{clip.name}: {expected}, found {said!r}. Correct the table, or choose another --protocol")
        parts[part].append(clip)
    if not parts["validation"]:
        parts["train"], parts["validation"] = _part_of_training(parts["train"])
    return [_without_machine_labels(Fold("0", *(tuple(parts[name]) for name in ("train", "validation", "test"))))]


def _part_of_training(train: Sequence[Clip]) -> tuple[list[Clip], list[Clip]]:
    speakers = _joined(train, [clip.speaker for clip in train])
    if len(set(speakers)) < 2:
        return list(train), []
    chosen = set(_grouped(train, speakers, min(N_FOLDS, len(set(speakers))))[0])
    left = [clip for index, clip in enumerate(train) if index not in chosen]
    return left, [train[index] for index in sorted(chosen)]


_PARTS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "devel", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "eval", "evaluation"), "test"),
}
_WAYS: dict[str, tuple[str, Callable[[Sequence[Clip]], list[Fold]]]] = {
    SPLIT: ("the split column of the table; without a validation part, training speakers validate", by_split),
    SPEAKERS: ("five groups of speakers, balanced by class; tested in turn, the one before validates", by_speakers),
    ONE_SPEAKER: ("each speaker is tested in turn, the one before validates", partial(by_speakers, n_folds=None)),
    RECORDINGS: (
        "five groups of recordings, balanced by class; tested in turn, the one before validates",
        by_recordings,
    ),
}
NAMES = tuple(_WAYS)
