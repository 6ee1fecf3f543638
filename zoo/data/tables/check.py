"""Count the clips of a user's own table by the protocol that training would choose, and say what it would refuse."""

from collections.abc import Sequence

from zoo.data.corpora.check_counts import Count, Counts
from zoo.data.protocols import from_table, lookup
from zoo.data.protocols.splits import Protocol
from zoo.data.schema import Clip
from zoo.data.tables import table
from zoo.errors import UserError

LONGEST_RATED_SECONDS = 3_600.0  # of a recording with ratings all along


def protocol_of(corpus: str, clips: Sequence[Clip]) -> Protocol | None:
    """Return the protocol that a table is usually divided by; None for a pool without labels."""
    classes, dimensions = table.classes(clips), table.dimensions(clips)
    if not classes and not dimensions:
        return None
    return from_table.protocol(from_table.usual(clips), corpus, () if dimensions else classes, dimensions)


def count(corpus: str, clips: Sequence[Clip]) -> Counts:
    """Count a table's clips by its usual protocol and their class; `short` has what training would refuse."""
    protocol = protocol_of(corpus, clips)
    if protocol is None:
        return Counts({}, [], [])
    chosen = protocol.select(clips)
    found = {protocol.name: Count(len(chosen), None, {})}
    try:
        lookup.division(protocol, clips)
    except UserError as error:
        return Counts(found, [str(error)], [])
    return Counts(found, [], [])
