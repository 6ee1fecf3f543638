"""From a protocol's name and a corpus's clips to folds, with the counts checked."""

from collections import Counter
from collections.abc import Sequence

from zoo.data.protocols.splits import Division, Protocol
from zoo.data.protocols.table import DEFAULT_PROTOCOL, PROTOCOLS
from zoo.data.schema import Clip, Fold
from zoo.errors import UserError, shortened, unknown

_PROBLEMS_SHOWN = 20


def get(name: str | None, corpus: str) -> Protocol:
    """Return the protocol `name` of `corpus` (None: its default); UserError lists the corpus's protocols."""
    if corpus not in DEFAULT_PROTOCOL:
        raise unknown("corpus", corpus, DEFAULT_PROTOCOL)
    known = {row.name: row for row in PROTOCOLS.values() if row.corpus == corpus}
    name = DEFAULT_PROTOCOL[corpus] if name is None else name
    if name not in known:
        raise unknown(f"{corpus} protocol", name, known)
    return known[name]


def count_problems(protocol: Protocol, clips: Sequence[Clip]) -> list[str]:
    """Say where the loader's `clips` differ from the complete corpus; a group that is wholly absent is one line."""
    if not protocol.expected:
        return []
    found = Counter((protocol.group(clip), clip.label) for clip in protocol.select(clips))
    expected, labels = Counter(protocol.expected), protocol.classes or ("",)
    problems = []
    for group in dict.fromkeys(group for group, _ in [*expected, *sorted(found)]):
        if not any(found[group, label] for label in labels):
            problems.append(f"{group}: expected {sum(expected[group, label] for label in labels)} clips, found 0")
            continue
        for cell in ((group, label) for label in labels):
            if found[cell] != expected[cell]:
                what = ", ".join(filter(None, cell))
                problems.append(f"{what}: expected {expected[cell]} clips, found {found[cell]}")
    return problems


def division(protocol: Protocol, clips: Sequence[Clip], allow_incomplete: bool = False) -> Division:
    """Divide the loader's `clips` by a protocol.

    Raises UserError for counts that differ, and folds with no clip to test or validate on (`allow_incomplete` leaves
    these folds out and makes notes of both); and where no fold is left or one has no training clip, or none of a class.
    """
    chosen, problems = protocol.select(clips), count_problems(protocol, clips)
    if problems and not allow_incomplete:
        more = [f"and {len(problems) - _PROBLEMS_SHOWN} more"] if len(problems) > _PROBLEMS_SHOWN else []
        lines = "\n  ".join([*problems[:_PROBLEMS_SHOWN], *more])
        raise UserError(
            f"{protocol.name} (version {protocol.version}) is defined on {sum(protocol.expected.values()):,} clips and "
            f"the corpus differs:\n  {lines}\n{protocol.to_complete}; --allow-incomplete continues without."
        )
    formed = protocol.divide(chosen)
    lacking = {fold.name: [side for side in ("validation", "test") if not getattr(fold, side)] for fold in formed}
    usable = [fold for fold in formed if not lacking[fold.name]]
    absent = {name: " and ".join(sides) for name, sides in lacking.items() if sides}
    left_out = [f"fold {name} is left out: no clip for {sides}" for name, sides in absent.items()]
    if not usable or (left_out and not allow_incomplete):
        advice = "add the corpus's other speakers" if chosen else protocol.to_complete
        raise UserError(
            f"{'; '.join([f'{protocol.name}: no complete division of {_counted(chosen)}', *left_out])}. Expected "
            f"speakers for training, validation and test: {advice}."
        )
    for fold in usable:
        _check_training(fold, protocol)
    used = {clip.name for fold in formed for side in fold.sides for clip in side}
    unused = [clip.name for clip in chosen if clip.name not in used]
    if unused:
        left_out.append(f"{protocol.name} uses {len(unused)} clips in no fold: {shortened(unused)}")
    return Division(tuple(usable), (*problems, *left_out))


def _check_training(fold: Fold, protocol: Protocol) -> None:
    counts = Counter(clip.label for clip in fold.train)
    absent = [label for label in protocol.classes if not counts[label]]
    if absent or not fold.train:
        of_classes = f" of every class, found none of {', '.join(absent)}" if absent else ", found none"
        training = ", ".join(f"{label} {count}" for label, count in sorted(counts.items())) or "no clip"
        raise UserError(
            f"{protocol.name}, fold {fold.name}: expected training clips{of_classes}. Training has {training}; "
            f"validation {_counted(fold.validation)}; test {_counted(fold.test)}. Add the corpus's other speakers."
        )


def _counted(clips: Sequence[Clip]) -> str:
    names = sorted({clip.speaker for clip in clips})
    if not names:
        return "0 clips of no speaker"
    plural, more = ("s" if len(names) > 1 else ""), (", ..." if len(names) > 6 else "")
    return f"{len(clips)} clips of {len(names)} speaker{plural} ({', '.join(names[:6])}{more})"
