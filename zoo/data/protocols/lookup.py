"""From a protocol's name and a corpus's clips to folds, with the counts checked."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from zoo.data.protocols.splits import Division, Protocol
from zoo.data.protocols.table import DEFAULT_PROTOCOL, PROTOCOLS
from zoo.data.schema import Clip, Fold
from zoo.errors import UserError, unknown

_PROBLEMS_SHOWN = 20
_NAMED = 5


def get(name: str | None, corpus: str) -> Protocol:
    """Returns the protocol `name` of `corpus` (None: its default); UserError lists the corpus's protocols."""
    if corpus not in DEFAULT_PROTOCOL:
        raise unknown("corpus", corpus, DEFAULT_PROTOCOL)
    known = {row.name: row for row in PROTOCOLS.values() if row.corpus == corpus}
    name = DEFAULT_PROTOCOL[corpus] if name is None else name
    if name not in known:
        raise unknown(f"{corpus} protocol", name, known)
    return known[name]


def count_problems(protocol: Protocol, clips: Sequence[Clip]) -> list[str]:
    """Says where the loader's `clips` differ from the complete corpus; a group that is wholly absent is one line.

    A protocol that expects no numbers has no problems.
    """
    if not protocol.expected:
        return []
    found = Counter((protocol.group(clip), clip.label) for clip in protocol.select(clips))
    groups = dict.fromkeys(group for group, _ in [*protocol.expected, *sorted(found)])
    problems = []
    for group in groups:
        expected_here = sum(n for (g, _), n in protocol.expected.items() if g == group)
        labels = protocol.classes or ("",)
        if not any(found[group, label] for label in labels):
            problems.append(f"{group}: expected {expected_here} clips, found 0")
            continue
        for label in labels:
            expected = protocol.expected.get((group, label), 0)
            if found[group, label] != expected:
                what = f"{group}, {label}" if label else group
                problems.append(f"{what}: expected {expected} clips, found {found[group, label]}")
    return problems


def division(protocol: Protocol, clips: Sequence[Clip], allow_incomplete: bool = False) -> Division:
    """Divides the loader's `clips` by a protocol.

    With `allow_incomplete`, counts that differ become notes, and so do folds left out because no clip is there to
    test or validate on. Clips that the protocol puts in no fold are a note in any case. Raises UserError for counts
    that differ without it; and always where no fold can be formed or a fold has no training clip, or none of a class.
    """
    problems = count_problems(protocol, clips)
    if problems and not allow_incomplete:
        raise UserError(_incomplete(protocol, problems))
    formed = protocol.divide(protocol.select(clips))
    empty = {fold.name: _empty_sides(fold) for fold in formed}
    usable = [fold for fold in formed if not empty[fold.name]]
    left_out = [f"fold {name} is left out: no clip for {sides}" for name, sides in empty.items() if sides]
    if not usable or (left_out and not allow_incomplete):
        raise UserError(_no_fold(protocol, clips, left_out))
    for fold in usable:
        _check_training(fold, protocol)
    return Division(tuple(usable), (*problems, *left_out, *_unused(protocol, clips, formed)))


def _empty_sides(fold: Fold) -> str:
    return " and ".join(side for side in ("validation", "test") if not getattr(fold, side))


def _check_training(fold: Fold, protocol: Protocol) -> None:
    counts = Counter(clip.label for clip in fold.train)
    absent = [label for label in protocol.classes if not counts[label]]
    if absent or not fold.train:
        of_classes = f" of every class, found none of {', '.join(absent)}" if absent else ", found none"
        raise UserError(
            f"{protocol.name}, fold {fold.name}: expected training clips{of_classes}. Training has "
            f"{_listed(counts, 'no clip')}; validation {len(fold.validation)} clips of {_speakers(fold.validation)}; "
            f"test {len(fold.test)} clips of {_speakers(fold.test)}. Add the corpus's other speakers."
        )


def _unused(protocol: Protocol, clips: Sequence[Clip], folds: Iterable[Fold]) -> list[str]:
    used = {clip.name for fold in folds for side in fold.sides for clip in side}
    unused = [clip.name for clip in protocol.select(clips) if clip.name not in used]
    if not unused:
        return []
    more = f" and {len(unused) - _NAMED} more" if len(unused) > _NAMED else ""
    return [f"{protocol.name} uses {len(unused)} clips in no fold: {', '.join(unused[:_NAMED])}{more}"]


def _incomplete(protocol: Protocol, problems: Sequence[str]) -> str:
    more = len(problems) - _PROBLEMS_SHOWN
    lines = [*problems[:_PROBLEMS_SHOWN], *([f"and {more} more"] if more > 0 else [])]
    return (
        f"{protocol.name} (version {protocol.version}) is defined on {sum(protocol.expected.values()):,} clips and the "
        "corpus differs:\n  " + "\n  ".join(lines) + "\nComplete the corpus; --allow-incomplete continues without."
    )


def _no_fold(protocol: Protocol, clips: Sequence[Clip], left_out: Sequence[str]) -> str:
    chosen = protocol.select(clips)
    return (
        f"{protocol.name}: no complete division of {len(chosen)} clips of {_speakers(chosen)}"
        f"{''.join(f'; {line}' for line in left_out)}. Expected speakers for training, validation and test: add the "
        "corpus's other speakers."
    )


def _listed(counts: Mapping[str, int], nothing: str) -> str:
    return ", ".join(f"{label} {count}" for label, count in sorted(counts.items())) or nothing


def _speakers(clips: Iterable[Clip]) -> str:
    names = sorted({clip.speaker for clip in clips})
    if not names:
        return "no speaker"
    plural, more = ("s" if len(names) > 1 else ""), (", ..." if len(names) > 6 else "")
    return f"{len(names)} speaker{plural} ({', '.join(names[:6])}{more})"
