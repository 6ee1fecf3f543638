"""Find the protocol of a configuration: a named corpus's, or one made of a table's classes."""

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.data.corpora import names, quadrants
from zoo.data.protocols import from_table, lookup, pool
from zoo.data.protocols.splits import Protocol


def is_pool(config: RunConfig) -> bool:
    """Return whether a configuration takes its corpora by the common names of labels (zoo.runs.own_pool)."""
    return config.target == quadrants.TARGET or names.is_pool(config.corpus, config.protocol, config.classes)


def protocol_of(config: RunConfig) -> Protocol:
    """Return the protocol that a resolved configuration names; no corpus is read. Raises UserError for an unknown one.

    Classes and rated dimensions of a table are in the configuration, so that a finished run needs no table.
    """
    if is_pool(config):
        return pool.get(config.protocol, config.corpus, config.classes)
    if not names.is_table(config.corpus):
        return lookup.get(config.protocol or None, config.corpus)
    rated = registry.get(config.model).task == "continuous"
    targets = tuple(config.target.split(",")) if rated else ()
    return from_table.protocol(config.protocol, config.corpus, () if rated else config.classes, targets)
