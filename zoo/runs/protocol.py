"""Find the protocol of a configuration: a named corpus's, or one made of a table's classes."""

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.data.corpora import names
from zoo.data.protocols import from_table, lookup
from zoo.data.protocols.splits import Protocol


def protocol_of(config: RunConfig) -> Protocol:
    """Return the protocol that a resolved configuration names; no corpus is read. Raises UserError for an unknown one.

    Classes and rated dimensions of a table are in the configuration, so that a finished run needs no table.
    """
    if not names.is_table(config.corpus):
        return lookup.get(config.protocol or None, config.corpus)
    rated = registry.get(config.model).task == "continuous"
    targets = tuple(config.target.split(",")) if rated else ()
    return from_table.protocol(config.protocol, config.corpus, () if rated else config.classes, targets)
