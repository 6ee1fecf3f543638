"""Find the corpora that other packages register by entry points of the group speech_emotion_zoo.corpora.

An entry point names a module with CORPUS, a zoo.data.corpora.registry.Corpus, and PROTOCOLS, a tuple of
zoo.data.protocols.splits.Protocol, the default first.
"""

from importlib.metadata import entry_points
from typing import Any

from zoo.errors import UserError

GROUP = "speech_emotion_zoo.corpora"


def names() -> list[str]:
    """Return the names of these corpora. Imports none of the packages."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def find(name: str) -> Any | None:
    """Return the module of the corpus `name`, None where no package has it. Raises UserError for an unfit one."""
    for point in entry_points(group=GROUP, name=name):
        found = point.load()
        protocols = getattr(found, "PROTOCOLS", ())
        if not (hasattr(found, "CORPUS") and protocols and all(row.corpus == name for row in protocols)):
            expected = f"expected a module with CORPUS and PROTOCOLS of the corpus {name!r}"
            raise UserError(f"the package's entry point {name} = {point.value}: {expected} (docs/add-a-network.md)")
        return found
    return None
