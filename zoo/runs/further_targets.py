"""Find the further targets of a run's clips: classes or numbers, labelled or missing, fold by fold."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from zoo.data.schema import Clip, Fold
from zoo.errors import UserError, unknown
from zoo.heads import MOST_CLASSES, NUMBER


def find(clips: Sequence[Clip], names: Sequence[str]) -> dict[str, list[str]]:
    """Return the classes of each target, sorted, or nothing for one whose labels are numbers.

    Raises UserError for a target that no clip has or that has one class only, for labels of both kinds, and for numbers
    that are not finite.
    """
    known = sorted({name for clip in clips for name in clip.targets})
    found = {}
    for name in names:
        labelled = [clip for clip in clips if name in clip.targets]
        if not labelled:
            raise UserError(f"--also {name}: none of {len(clips)} clips has it. {unknown('target', name, known)}")
        kinds = {isinstance(clip.targets[name], str) for clip in labelled}
        if len(kinds) > 1:
            raise UserError(
                f"--also {name}: expected either numbers or names of classes, found both among {len(labelled)} clips; "
                "correct the labels"
            )
        if kinds == {False}:
            _check_numbers(name, labelled)
        classes = sorted({str(clip.targets[name]) for clip in labelled}) if kinds == {True} else NUMBER
        if len(classes) == 1 or len(classes) > MOST_CLASSES:
            count = f"{len(classes)} classes" if len(classes) > 1 else f"{classes[0]!r} alone"
            raise UserError(
                f"--also {name}: expected 2 to {MOST_CLASSES} classes, found {count} among {len(labelled)} labelled "
                "clips; leave it out"
            )
        found[name] = list(classes)
    return found


def _check_numbers(name: str, clips: Iterable[Clip]) -> None:
    for clip in clips:
        if not math.isfinite(float(clip.targets[name])):
            raise UserError(
                f"--also {name}: {clip.name} has {clip.targets[name]}, expected a finite number; correct it, or leave "
                "it empty where it is missing"
            )


def with_partly_labelled(folds: Iterable[Fold], clips: Iterable[Clip], names: Collection[str]) -> tuple[Fold, ...]:
    """Return the folds, their training side with the clips that lack the main target alone.

    Those have no label (""), but one of the targets `names`. A clip joins where neither its speaker nor its recording
    is on the validation or the test side.
    """
    partly = [
        clip for clip in clips if not clip.label and clip.trace is None and not clip.targets.keys().isdisjoint(names)
    ]
    found = []
    for fold in folds:
        held_out = [clip for side in fold.sides[1:] for clip in side]
        speakers, paths = ({getattr(clip, key) for clip in held_out} for key in ("speaker", "path"))
        known = {clip.name for clip in fold.train}
        more = [
            clip
            for clip in partly
            if clip.name not in known and clip.speaker not in speakers and clip.path not in paths
        ]
        found.append(replace(fold, train=(*fold.train, *more)))
    return tuple(found)


def remarks(
    folds: Iterable[Fold], heads: Mapping[str, Sequence[str]], main_classes: Collection[str]
) -> tuple[str, ...]:
    """Return sentences on labels that are missing or on one side only, for every result.

    Raises UserError where a fold's training side cannot teach a target: no label, one class, or one number.
    """
    said = []
    for fold in folds:
        unlabelled = sum(clip.label not in main_classes for clip in fold.train)
        if unlabelled:
            said.append(f"fold {fold.name}: {unlabelled} of {len(fold.train)} training clips lack the main target")
        for name, classes in heads.items():
            said += _remarks(fold, name, classes)
    return tuple(said)


def _remarks(fold: Fold, name: str, classes: Sequence[str]) -> list[str]:
    where = f"fold {fold.name}: {name}"
    train, validation, test = ([clip.targets[name] for clip in side if name in clip.targets] for side in fold.sides)
    if len(set(train)) < 2:
        undefined = "" if classes else ", and CCC is undefined where all numbers are one"
        found = f"{len(train)} labels, all {train[0]!r}" if train else "no label"
        raise UserError(
            f"--also {where} has {found} among {len(fold.train)} training clips; expected two different ones at least"
            f"{undefined}. Leave it out, or label more speakers"
        )
    said = []
    if len(train) < len(fold.train):
        said.append(f"{where} is missing for {len(fold.train) - len(train)} of {len(fold.train)} training clips")
    unseen = sorted({str(value) for value in (*validation, *test)} - set(map(str, train))) if classes else []
    if unseen:
        said.append(f"{where}: no training clip of {', '.join(unseen)}, which is never predicted right")
    if not test:
        said.append(f"{where} is missing for all {len(fold.test)} test clips")
    elif not classes and len(set(test)) == 1:
        said.append(f"{where} is {test[0]:g} for all labelled test clips, where CCC says nothing: 0, or undefined")
    return said
