"""Find the further targets of a run's clips: classes or numbers, labelled or missing, fold by fold."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from zoo.data.corpora.pool import CORPUS
from zoo.data.schema import Clip, Fold
from zoo.errors import UserError, unknown
from zoo.heads import MOST_CLASSES, NUMBER

_TRAINING = ("", "train", "training", "trn")  # values of a table's split column


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
        else:
            _check_classes(name, {str(clip.targets[name]) for clip in labelled})
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


def _check_classes(name: str, classes: Collection[str]) -> None:
    """Raise UserError for numbers with a few texts among them, such as "inf", which are no names of classes."""
    odd = sorted(text for text in classes if not _is_number(text))
    if 2 * len(odd) < len(classes):
        raise UserError(
            f"--also {name}: expected either numbers or names of classes, found {len(classes) - len(odd)} different "
            f"numbers and {', '.join(map(repr, odd[:5]))}; correct these, or leave them empty where they are missing"
        )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def with_partly_labelled(
    folds: Iterable[Fold], clips: Iterable[Clip], names: Collection[str] | None
) -> tuple[Fold, ...]:
    """Return the folds, their training side with the clips that lack the main target alone.

    Those have no label (""), but one of the targets `names`; with None, for a teacher, they need none. A clip joins
    where neither its speaker nor its recording is on the validation or the test side, and never one that a table's
    split column gives to these.
    """
    partly = [
        clip
        for clip in clips
        if not clip.label
        and clip.trace is None
        and (names is None or not clip.targets.keys().isdisjoint(names))
        and clip.tags.get("split", "").casefold() in _TRAINING
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


def remarks(folds: Sequence[Fold], heads: Mapping[str, Sequence[str]], main: Collection[str]) -> tuple[str, ...]:
    """Return sentences for every result on labels that are missing, or on one side only; `main` are the main classes.

    Raises UserError where a fold's training side cannot teach a target: no label, one class, or one number.
    """
    clips = {clip.name: clip for fold in folds for side in fold.sides for clip in side}.values()
    lacking = sum(clip.label not in main for clip in clips)
    said = [f"{lacking} of {len(clips)} clips lack the main target; they are trained on, never tested"] * bool(lacking)
    for name, classes in heads.items():
        unlabelled = sum(name not in clip.targets for clip in clips)
        if unlabelled:
            said.append(f"{name} is missing for {unlabelled} of {len(clips)} clips")
        for fold in folds:
            _check_training(fold, name, classes)
        said += _of_test_sides(folds, name, classes)
    return tuple(said)


def _check_training(fold: Fold, name: str, classes: Sequence[str]) -> None:
    values = _values(fold.train, name)
    if len(set(values)) < 2:
        undefined = "" if classes else ", and CCC is undefined where all numbers are one"
        found = f"{len(values)} labels, all {values[0]!r}" if values else "no label"
        raise UserError(
            f"--also {name}: fold {fold.name} has {found} among {len(fold.train)} training clips; expected two "
            f"different ones at least{undefined}. Leave it out, or label more speakers"
        )


def _of_test_sides(folds: Sequence[Fold], name: str, classes: Sequence[str]) -> list[str]:
    untaught, without, constant = [], [], []
    for fold in folds:
        train, test = set(_values(fold.train, name)), set(_values(fold.test, name))
        unseen = sorted(map(str, test - train)) if classes else []
        untaught += [f"{', '.join(unseen)} in fold {fold.name}"] * bool(unseen)
        without += [fold.name] * (not test)
        constant += [fold.name] * (len(test) == 1 and not classes)
    said = [f"{name}: no training clip of {'; '.join(untaught)}: never predicted there"] * bool(untaught)
    said += [f"{name}: no test clip has a label in fold {', '.join(without)}"] * bool(without)
    said += [
        f"{name}: one number for all test clips of fold {', '.join(constant)}, where CCC says nothing (0 or undefined)"
    ] * bool(constant)
    return said


def _values(clips: Iterable[Clip], name: str) -> list[str | float]:
    return [clip.targets[name] for clip in clips if name in clip.targets]


def adversaries(clips: Sequence[Clip], names: Iterable[str]) -> dict[str, list[str]]:
    """Return the classes of what is to be unlearnt on training clips: their speakers, corpora, or another target's.

    Raises UserError for a target that none of the clips has, that has one class only, or whose labels are numbers.
    """
    found = {}
    for name in names:
        labels = [adversary_label(clip, name) for clip in clips]
        classes = sorted({str(label) for label in labels if label})
        if not all(isinstance(label, str) for label in labels) or len(classes) < 2:
            numbers = any(not isinstance(label, str) for label in labels)
            what = "numbers" if numbers else f"{', '.join(map(repr, classes)) or 'none'}"
            known = sorted({"speaker", *(target for clip in clips for target in clip.targets)})
            raise UserError(
                f"--adversarial {name}: expected two classes or more among {len(clips)} training clips, found {what}. "
                f"Leave it out, or name another one: {', '.join(known)}; of several corpora also corpus"
            )
        found[name] = classes
    return found


def adversary_label(clip: Clip, name: str) -> str | float:
    """Return a clip's speaker, corpus, or label of another target; "" where it is unknown."""
    if name == "speaker":
        return "" if clip.tags.get("speaker") == "unknown" else clip.speaker
    return clip.tags[CORPUS] if name == "corpus" and CORPUS in clip.tags else clip.targets.get(name, "")
