"""Count a corpus's clips by protocol and group of speakers, beside the numbers that the protocols are defined on."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from zoo.data.protocols import lookup
from zoo.data.protocols.splits import Protocol
from zoo.data.schema import Clip
from zoo.errors import UserError


@dataclass(frozen=True)
class Count:
    """Clips found, and expected where a source states it, else None; `groups` likewise, such as IEMOCAP's sessions."""

    clips: int
    expected: int | None
    groups: dict[str, tuple[int, int | None]]


@dataclass(frozen=True)
class Counts:
    """The counts by protocol; `short` and `surplus` are sentences on those that differ (`lookup.surplus`)."""

    protocols: dict[str, Count]
    short: list[str]
    surplus: list[str]


def count(corpus: str, clips: Sequence[Clip]) -> Counts:
    """Count a loader's `clips` by each protocol of the corpus.

    A protocol without a single clip is no difference where another has some: RAVDESS's song is an archive of its own.
    A protocol whose own label file is missing is one.
    """
    protocols = lookup.of(corpus)
    counts, users = {}, dict[str, list[str]]()  # by sentence, the protocols it is true of
    more: set[str] = set()
    for protocol in protocols:
        try:
            chosen = protocol.select(clips)
            counts[protocol.name] = _count(protocol, chosen)
            sentences = lookup.count_problems(protocol, clips) if chosen else []
            more |= set(map(str, lookup.surplus(lookup.count_differences(protocol, clips))))
        except UserError as error:
            sentences = [str(error)]
        for sentence in sentences:
            users.setdefault(sentence, []).append(protocol.name)
    if not any(found.clips for found in counts.values()) and not users:
        return Counts(counts, [f"no clip belongs to {' or '.join(row.name for row in protocols)}"], [])
    lines = {sentence: f"{', '.join(names)}: {sentence}" for sentence, names in users.items()}
    short = [line for sentence, line in lines.items() if sentence not in more]
    return Counts(counts, short, [line for sentence, line in lines.items() if sentence in more])


def _count(protocol: Protocol, chosen: Sequence[Clip]) -> Count:
    expected: Counter[str] = Counter()
    for (group, _), number in protocol.expected.items():
        expected[group] += number
    found = Counter(map(protocol.group, chosen))
    groups = {group: (found[group], expected[group] if expected else None) for group in {**expected, **found}}
    return Count(len(chosen), sum(expected.values()) if expected else None, groups)
