"""Divide pools of corpora: test other speakers of the same corpora, or a corpus that is not trained on."""

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from zoo.data.corpora.names import SEPARATOR
from zoo.data.corpora.pool import CORPUS, members, of_corpora
from zoo.data.protocols.splits import Protocol, divided, select
from zoo.data.schema import Clip, Fold
from zoo.errors import UserError, spelt, unknown
from zoo.utils.text import file_name

N_GROUPS = 5  # of each corpus's speakers
PROTOCOLS = {
    "pool-speakers": "every corpus divided by speaker into five groups of like classes: one tested, one for validation",
    "pool-unseen": "one corpus left out and tested, a fifth of the other corpora's speakers for validation",
}
DEFAULT = "pool-speakers"


def get(name: str, corpus: str, classes: Sequence[str]) -> Protocol:
    """Return a protocol of the pool `corpus` ("": the usual one). Raises UserError for an unknown one."""
    name = spelt(name or DEFAULT, PROTOCOLS)
    if name not in PROTOCOLS:
        raise unknown("protocol of a pool", name, PROTOCOLS)
    if name == "pool-unseen" and len(members(corpus)) < 2:
        raise UserError(f"--protocol pool-unseen needs a pool of two corpora or more (a{SEPARATOR}b), found {corpus}")
    divide: dict[str, Callable[[Sequence[Clip]], list[Fold]]] = {
        "pool-speakers": by_speakers,
        "pool-unseen": unseen,
    }
    return Protocol(
        name,
        corpus,
        PROTOCOLS[name],
        "our choice",
        select=partial(select, names={label: label for label in classes}),
        divide=divide[name],
        classes=tuple(classes),
        to_complete="Complete the corpora",
    )


def speaker_groups(clips: Sequence[Clip]) -> list[set[str]]:
    """Divide the speakers of one corpus into `N_GROUPS` groups, fewer of fewer speakers, of nearly equal classes."""
    from sklearn.model_selection import StratifiedGroupKFold  # a second of every program's start

    speakers = sorted({clip.speaker for clip in clips})
    if len(speakers) <= N_GROUPS or max(Counter(clip.label for clip in clips).values()) < N_GROUPS:
        return [set(speakers[k::N_GROUPS]) for k in range(min(N_GROUPS, len(speakers)))]
    ordered = sorted(clips, key=lambda clip: clip.name)
    folds = StratifiedGroupKFold(N_GROUPS, shuffle=True, random_state=0)
    groups = [clip.speaker for clip in ordered]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # of a class with fewer clips than groups, which is named elsewhere
        sides = list(folds.split(ordered, [clip.label for clip in ordered], groups))
    return [{groups[index] for index in test} for _, test in sides]


def by_speakers(clips: Sequence[Clip]) -> list[Fold]:
    """Make fold k test group k of each corpus's speakers and validate on the group before, cyclically."""
    groups = [speaker_groups(some) for some in of_corpora(clips).values()]
    folds = []
    for k in range(max(map(len, groups), default=0)):
        # A corpus of fewer groups is tested in its first folds only.
        test = set().union(*(own[k] for own in groups if k < len(own)))
        validation = set().union(*(own[k - 1] for own in groups if k < len(own) > 1))
        folds.append(divided(f"{k}-speakers", clips, validation, test))
    return folds


def unseen(clips: Sequence[Clip]) -> list[Fold]:
    """Make a fold for each corpus, which tests it; the first group of every other corpus's speakers validates."""
    corpora = of_corpora(clips)
    folds = []
    for number, (name, own) in enumerate(corpora.items()):
        known = [clip for clip in clips if clip.tags[CORPUS] != name]
        folds.append(across(f"{number}-{file_name(name)}", known, own))
    return folds


def across(name: str, known: Sequence[Clip], test: Sequence[Clip]) -> Fold:
    """Make a fold that trains and validates on `known` clips, by speaker, and tests all others."""
    groups = [speaker_groups(some) for some in of_corpora(known).values()]
    validation = set().union(*(own[0] for own in groups if len(own) > 1))
    return divided(name, [*known, *test], validation, {clip.speaker for clip in test})
