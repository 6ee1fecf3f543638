"""Find the corpora that other packages register by entry points of the group speech_emotion_zoo.corpora.

An entry point names a module with CORPUS, a zoo.data.corpora.registry.Corpus, and PROTOCOLS, a tuple of
zoo.data.protocols.splits.Protocol, the default first.
"""

from typing import Any

from zoo.errors import UserError

GROUP = "speech_emotion_zoo.corpora"


def names() -> list[str]:
    """Return the names of these corpora. Imports none of the packages."""
    return sorted(_points())


def find(name: str) -> Any | None:
    """Return the module of the corpus `name`, None where no package has it. Raises UserError for an unfit one."""
    if (point := _points().get(name)) is None:
        return None
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise UserError(f"the package's entry point {name} = {point.value} cannot be loaded ({error})") from error
    protocols = getattr(found, "PROTOCOLS", ())
    if not (hasattr(found, "CORPUS") and protocols and all(row.corpus == name for row in protocols)):
        expected = f"expected a module with CORPUS and PROTOCOLS of the corpus {name!r}"
        raise UserError(f"the package's entry point {name} = {point.value}: {expected} (docs/add-a-network.md)")
    return found


def _points() -> dict[str, Any]:
    from importlib.metadata import entry_points  # not at every start

    return {point.name: point for point in entry_points(group=GROUP)}
