"""Select and divide clips as evaluation protocols do. All but `random_67` keep speakers apart."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from zoo.data import votes
from zoo.data.schema import Clip, Fold
from zoo.errors import UserError

ALL = "all speakers"


@dataclass(frozen=True)
class Protocol:
    """A row of `PROTOCOLS`.

    `select` keeps the protocol's clips of a loader's, labelled with `classes`; `divide` makes folds of them. `expected`
    is the number of clips of the complete corpus by (group, class), empty where no source states it. `paper` is the
    source of the division. Continuous ratings have `targets` in place of classes: the rated dimensions in the order of
    outputs and traces. With `selects_on_test`, validation and test are the same clips. `without` names the sides that
    no fold of it has, "validation" or "test". `to_complete` says what to do where clips are absent, `to_train` where a
    fold has none of a class to train on.
    """

    name: str
    corpus: str
    title: str
    paper: str
    select: Callable[[Sequence[Clip]], list[Clip]]
    divide: Callable[[Sequence[Clip]], list[Fold]]
    group: Callable[[Clip], str] = lambda clip: ALL
    expected: Mapping[tuple[str, str], int] = field(default_factory=dict)
    version: int = 1
    classes: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    speaker_independent: bool = True
    selects_on_test: bool = False
    without: tuple[str, ...] = ()
    to_complete: str = "Complete the corpus"
    to_train: str = "Add the corpus's other speakers"


@dataclass(frozen=True)
class Division:
    """The folds of a protocol, and notes on an incomplete corpus for the user."""

    folds: tuple[Fold, ...]
    notes: tuple[str, ...]


def select(clips: Iterable[Clip], names: Mapping[str, str], **tags: str) -> list[Clip]:
    """Return the clips that carry all `tags` and a label in `names` (corpus's label -> class), labelled by class.

    Their votes are those on these classes.
    """
    return [
        replace(votes.renamed(clip, names), label=names[clip.label])
        for clip in clips
        if clip.label in names and all(clip.tags.get(tag) == value for tag, value in tags.items())
    ]


def select_of_speakers(
    clips: Iterable[Clip], names: Mapping[str, str], speakers: Collection[str], **tags: str
) -> list[Clip]:
    """Return the clips of some speakers as `select` does."""
    return [clip for clip in select(clips, names, **tags) if clip.speaker in speakers]


def select_by_tag(clips: Iterable[Clip], names: Mapping[str, str], tag: str, file: str, instead: str) -> list[Clip]:
    """Return the clips as `select` does, by the label under `tag`. Raises UserError where `file` with it is absent."""
    clips = list(clips)
    lacking = [clip.name for clip in clips if tag not in clip.tags]
    if lacking:
        raise UserError(
            f"expected a label for each clip in {file}, found none for {len(lacking)} of {len(clips)} "
            f"({lacking[0]} ...). Restore the file, or choose --protocol {instead}."
        )
    return select([replace(clip, label=clip.tags[tag]) for clip in clips], names)


def select_rated(clips: Iterable[Clip], parts: Collection[str]) -> list[Clip]:
    """Return the clips of these parts that are rated continuously."""
    return [clip for clip in clips if clip.trace is not None and clip.tags["part"] in parts]


def select_by_own_part(clips: Iterable[Clip]) -> list[Clip]:
    """Return the clips rated continuously to which the corpus's user gave a part, with that as their part."""
    rated = [clip for clip in clips if clip.trace is not None and "own_part" in clip.tags]
    return [replace(clip, tags={**clip.tags, "part": clip.tags["own_part"]}) for clip in rated]


def select_of_both(clips: Sequence[Clip], names: Mapping[str, str]) -> list[Clip]:
    """Return the clips of RAVDESS's speech and song as `select` does; none where either is wholly absent."""
    found = select(clips, names)
    return found if {clip.tags["channel"] for clip in found} == {"speech", "song"} else []


def leave_one_session_out(clips: Sequence[Clip]) -> list[Fold]:
    """Divide IEMOCAP into ten folds: one speaker of a session is tested, the other is for validation, both ways."""
    pairs = [(f"Ses0{session}F", f"Ses0{session}M") for session in range(1, 6)]
    both_ways = [sides for pair in pairs for sides in (pair, pair[::-1])]
    return [divided(f"{k}-{test}", clips, [validation], [test]) for k, (test, validation) in enumerate(both_ways)]


def by_session(clips: Sequence[Clip]) -> list[Fold]:
    """Make a fold for each session present: it is tested, the next one (cyclically) is for validation."""
    sessions = sorted({clip.tags["session"] for clip in clips})
    groups = [[f"Ses0{session}F", f"Ses0{session}M"] for session in sessions]
    return _rotate(clips, groups, validation_step=1)


def by_consecutive_speakers(clips: Sequence[Clip], size: int) -> list[Fold]:
    """Group `size` consecutive speakers among those present; fold k tests group k and validates on group k - 1."""
    speakers = _speakers(clips)
    return _rotate(clips, [speakers[i : i + size] for i in range(0, len(speakers), size)])


def by_speaker_groups(clips: Sequence[Clip], n_groups: int) -> list[Fold]:
    """Make `n_groups` runs of consecutive speakers, nearly equal in number; fold k tests k and validates on k - 1."""
    return _rotate(clips, _runs(_speakers(clips), n_groups))


def validated_in_turn(clips: Sequence[Clip], groups: Sequence[Sequence[str]]) -> list[Fold]:
    """Make a fold for each group of speakers: it validates, the other groups train, nobody is tested."""
    return [divided(f"{k}-{_span(group)}", clips, group, []) for k, group in enumerate(groups)]


def tested_in_turn(clips: Sequence[Clip], groups: Sequence[Sequence[str]]) -> list[Fold]:
    """Make a fold for each group of speakers: it is tested, all others train, nobody validates."""
    return [divided(f"{k}-{'_'.join(group)}", clips, [], group) for k, group in enumerate(groups)]


def train_ohm_test_mont(clips: Sequence[Clip]) -> list[Fold]:
    """Make the one fold of FAU Aibo: test on Mont, train on Ohm less its validation speakers.

    The challenge names no validation set. Of the five sets "every fifth child of Ohm", it is the one that leaves the
    fewest classes out on either side and then has the share of Ohm's clips nearest 20 %.
    """
    ohm = [clip for clip in clips if clip.tags["part"] == "train"]
    children = _speakers(ohm)

    def cost(validation: Collection[str]) -> tuple[int, float]:
        inside = [clip.label for clip in ohm if clip.speaker in validation]
        outside = [clip.label for clip in ohm if clip.speaker not in validation]
        return -len(set(inside)) - len(set(outside)), abs(len(inside) - 0.2 * len(ohm))

    validation = min((children[offset::5] for offset in range(5)), key=cost)
    test = _speakers([clip for clip in clips if clip.tags["part"] == "test"])
    return [divided("0-Mont", clips, validation, test)]


def random_67(clips: Sequence[Clip]) -> list[Fold]:
    """Make one fold, speakers on every side: a random 33 % of the clips are tested, 15 % of the others validate."""
    ordered = sorted(clips, key=lambda clip: clip.name)
    # RandomState's streams are frozen by NumPy's policy; default_rng's may change with its version.
    shuffled = tuple(ordered[i] for i in np.random.RandomState(0).permutation(len(ordered)))
    n_train = round(0.67 * len(ordered))
    n_validation = round(0.15 * n_train)
    return [Fold("0-random", shuffled[n_validation:n_train], shuffled[:n_validation], shuffled[n_train:])]


def train_dev(clips: Sequence[Clip]) -> list[Fold]:
    """Make the one fold of AVEC 2016: train on train, validate and test on dev (the test part's labels are secret)."""
    dev = _of_part(clips, "dev")
    return [Fold("0-dev", _of_part(clips, "train"), dev, dev)]


def train_dev_test(clips: Sequence[Clip]) -> list[Fold]:
    """Make one fold of three parts: train on train, validate on dev, test on test."""
    return [Fold("0-test", _of_part(clips, "train"), _of_part(clips, "dev"), _of_part(clips, "test"))]


def nested_dev(clips: Sequence[Clip]) -> list[Fold]:
    """Make up to three folds trained on train: fold k tests third k of dev and validates on the rest of dev."""
    train, dev = _of_part(clips, "train"), _of_part(clips, "dev")
    return [
        Fold(f"{k}-{_span([clip.name for clip in test])}", train, tuple(clip for clip in dev if clip not in test), test)
        for k, test in enumerate(_runs(dev, 3))
    ]


def leave_one_of_train_out(clips: Sequence[Clip]) -> list[Fold]:
    """Make a fold for each recording of train: it validates, the others train, and all of dev is tested each time."""
    train, dev = _of_part(clips, "train"), _of_part(clips, "dev")
    return [
        Fold(f"{k}-{validation.name}", tuple(clip for clip in train if clip is not validation), (validation,), dev)
        for k, validation in enumerate(train)
    ]


def development_evaluation(clips: Sequence[Clip]) -> list[Fold]:
    """Make the one fold of MediaEval 2013: validate on every fifth artist of development who is not tested."""
    test = _of_part(clips, "evaluation")
    tested = _speakers(test)
    development = [clip for clip in _of_part(clips, "development") if clip.speaker not in tested]
    validation = list(dict.fromkeys(clip.speaker for clip in development))[::5]
    return [divided("0-evaluation", [*development, *test], validation, tested)]


def _of_part(clips: Iterable[Clip], part: str) -> tuple[Clip, ...]:
    return tuple(sorted((clip for clip in clips if clip.tags["part"] == part), key=lambda clip: clip.name))


def _runs(items: Sequence, n_runs: int) -> list[tuple]:
    """Return `n_runs` runs of consecutive items, nearly equal in number; fewer where there are fewer items."""
    bounds = [round(i * len(items) / n_runs) for i in range(n_runs + 1)]
    return [tuple(items[a:b]) for a, b in pairwise(bounds) if a < b]


def _span(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]}-{names[-1]}"


def _speakers(clips: Iterable[Clip]) -> list[str]:
    return sorted({clip.speaker for clip in clips})


def _rotate(clips: Sequence[Clip], groups: Sequence[Sequence[str]], validation_step: int = -1) -> list[Fold]:
    """Make fold k test group k of the speakers, validate on group k + `validation_step` and train on the others."""
    n = len(groups)
    # A single group cannot also be its own validation: the empty side is then refused by name.
    validations = [groups[(k + validation_step) % n] if n > 1 else [] for k in range(n)]
    return [divided(f"{k}-{_span(test)}", clips, validations[k], test) for k, test in enumerate(groups)]


def divided(name: str, clips: Iterable[Clip], validation: Collection[str], test: Collection[str]) -> Fold:
    """Return the fold that trains on every speaker in neither `validation` nor `test`."""
    clips = sorted(clips, key=lambda clip: clip.name)
    return Fold(
        name,
        train=tuple(clip for clip in clips if clip.speaker not in validation and clip.speaker not in test),
        validation=tuple(clip for clip in clips if clip.speaker in validation),
        test=tuple(clip for clip in clips if clip.speaker in test),
    )
