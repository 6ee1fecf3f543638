"""From a protocol's name and a corpus's clips to folds, with the counts checked."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from zoo.data import elsewhere
from zoo.data.protocols.splits import Division, Protocol
from zoo.data.protocols.table import DEFAULT_PROTOCOL, PROTOCOLS
from zoo.data.schema import Clip, Fold
from zoo.errors import UserError, shortened, spelt, unknown

_PROBLEMS_SHOWN = 20


def get(name: str | None, corpus: str) -> Protocol:
    """Return the protocol `name` of `corpus` (None or "": its default); UserError lists the corpus's protocols."""
    known = {row.name: row for row in of(corpus)}
    name = spelt(name or next(iter(known)), known)
    if name not in known:
        raise unknown(f"{corpus} protocol", name, known)
    return known[name]


def of(corpus: str) -> list[Protocol]:
    """Return the protocols of a corpus, the default first. UserError lists the known corpora."""
    if corpus in DEFAULT_PROTOCOL:
        rows = [row for row in PROTOCOLS.values() if row.corpus == corpus]
        return sorted(rows, key=lambda row: row.name != DEFAULT_PROTOCOL[corpus])
    if found := elsewhere.find(corpus):
        return list(found.PROTOCOLS)
    raise unknown("corpus", corpus, [*DEFAULT_PROTOCOL, *elsewhere.names()])


class Difference(NamedTuple):
    """A number of clips that is not that of the corpus's release."""

    what: str  # group and class
    expected: int
    found: int

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected} clips, found {self.found}"


def count_problems(protocol: Protocol, clips: Sequence[Clip]) -> list[str]:
    """Say where the loader's `clips` differ from the complete corpus; a group that is wholly absent is one line."""
    return [str(difference) for difference in count_differences(protocol, clips)]


def count_differences(protocol: Protocol, clips: Sequence[Clip]) -> list[Difference]:
    """Return where the loader's `clips` differ from the complete corpus, as `count_problems` says it."""
    if not protocol.expected:
        return []
    found = Counter((protocol.group(clip), clip.label) for clip in protocol.select(clips))
    expected, labels = Counter(protocol.expected), protocol.classes or ("",)
    problems = []
    for group in dict.fromkeys(group for group, _ in [*expected, *sorted(found)]):
        if not any(found[group, label] for label in labels):
            problems.append(Difference(group, sum(expected[group, label] for label in labels), 0))
            continue
        for cell in ((group, label) for label in labels):
            if found[cell] != expected[cell]:
                what = ", ".join(filter(None, cell))
                problems.append(Difference(what, expected[cell], found[cell]))
    return problems


def surplus(differences: Sequence[Difference]) -> list[Difference]:
    """Return the differences that more of the corpus would not mend.

    Those are the numbers above the release's and, where these outweigh the others, those below it that are not 0.
    """
    more = sum(one.found - one.expected for one in differences) > 0
    return [one for one in differences if one.found > one.expected or (more and one.found)]


def division(protocol: Protocol, clips: Sequence[Clip], allow_incomplete: bool = False) -> Division:
    """Divide the loader's `clips` by a protocol.

    Raises UserError for counts that differ, and folds with no clip to test or validate on, unless the protocol is
    without that side (`allow_incomplete` leaves these folds out and makes notes of both); and where no fold is left or
    one has no training clip, or none of a class.
    """
    chosen, differences = protocol.select(clips), count_differences(protocol, clips)
    problems = list(map(str, differences))
    if problems and not allow_incomplete:
        more = [f"and {len(problems) - _PROBLEMS_SHOWN} more"] if len(problems) > _PROBLEMS_SHOWN else []
        lines = "\n  ".join([*problems[:_PROBLEMS_SHOWN], *more])
        raise UserError(
            f"{protocol.name} (version {protocol.version}) is defined on {sum(protocol.expected.values()):,} clips and "
            "the corpus differs:",
            f"  {lines}\n{_advice(protocol, differences)}",
        )
    formed = protocol.divide(chosen)
    sides = [side for side in ("validation", "test") if side not in protocol.without]
    lacking = {fold.name: [side for side in sides if not getattr(fold, side)] for fold in formed}
    usable = [fold for fold in formed if not lacking[fold.name]]
    absent = {name: " and ".join(sides) for name, sides in lacking.items() if sides}
    left_out = [f"fold {name} is left out: no clip for {sides}" for name, sides in absent.items()]
    if not usable or (left_out and not allow_incomplete):
        advice = "add the corpus's other speakers" if chosen else protocol.to_complete
        raise UserError(
            f"{'; '.join([f'{protocol.name}: no complete division of {_counted(chosen)}', *left_out])}. Expected "
            f"speakers for {', '.join(['training', *sides[:-1]])} and {sides[-1]}: {advice}."
        )
    for fold in usable:
        _check_training(fold, protocol)
    used = {clip.name for fold in formed for side in fold.sides for clip in side}
    unused = [clip.name for clip in chosen if clip.name not in used]
    if unused:
        left_out.append(f"{protocol.name} uses {len(unused)} clips in no fold: {shortened(unused)}")
    return Division(tuple(usable), (*problems, *left_out))


def _advice(protocol: Protocol, differences: Sequence[Difference]) -> str:
    if len(surplus(differences)) < len(differences):
        return f"{protocol.to_complete}; --allow-incomplete continues without."
    return (
        "This is another release, or files were added: use the protocol's; --allow-incomplete continues all the same."
    )


def _check_training(fold: Fold, protocol: Protocol) -> None:
    counts = Counter(clip.label for clip in fold.train)
    absent = [label for label in protocol.classes if not counts[label]]
    if absent or not fold.train:
        of_classes = f" of every class, found none of {', '.join(absent)}" if absent else ", found none"
        training = ", ".join(f"{label} {count}" for label, count in sorted(counts.items())) or "no clip"
        raise UserError(
            f"{protocol.name}, fold {fold.name}: expected training clips{of_classes}. Training has {training}; "
            f"validation {_counted(fold.validation)}; test {_counted(fold.test)}. {protocol.to_train}."
        )


def _counted(clips: Sequence[Clip]) -> str:
    names = sorted({clip.speaker for clip in clips})
    if not names:
        return "0 clips of no speaker"
    plural, more = ("s" if len(names) > 1 else ""), (", ..." if len(names) > 6 else "")
    return f"{len(clips)} clips of {len(names)} speaker{plural} ({', '.join(names[:6])}{more})"
