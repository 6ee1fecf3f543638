"""Read the table that a configuration names, and fill in what only the table says: its classes and its protocol."""

from dataclasses import replace
from pathlib import Path

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.data.corpora import names, table
from zoo.data.corpora.files import Loaded
from zoo.data.corpora.table import Reading
from zoo.data.protocols import from_table
from zoo.errors import UserError

LONGEST_RATED_SECONDS = 3_600.0  # of a recording with ratings all along


def resolved(config: RunConfig) -> RunConfig:
    """Return a configuration on a table with its path, protocol, classes and corpus name spelt out.

    The table is read only where protocol or classes are open. Raises UserError for a table that cannot be trained on.
    """
    if config.synthetic:
        raise UserError("--synthetic makes twins of named corpora, and a table has none; leave it out")
    path = names.table_path(config.corpus, config.data_root)
    if path is None:
        raise UserError("--corpus table: expected a table of recordings, found none. Give it with --data-root FILE")
    path = path.resolve()
    rated = registry.get(config.model).task == "continuous"
    config = replace(
        config,
        corpus=names.of_table(path),
        data_root=str(path),
        max_clip_seconds=config.max_clip_seconds or (LONGEST_RATED_SECONDS if rated else 0.0),
    )
    needs_classes = registry.get(config.model).task == "emotion"
    if config.protocol and (config.classes or not needs_classes):
        return config
    loaded = load(config)
    classes = config.classes or table.classes(loaded.clips)
    if needs_classes and not classes:
        raise UserError(_without_target(config))
    return replace(config, protocol=config.protocol or from_table.usual(loaded.clips), classes=classes)


def load(config: RunConfig) -> Loaded:
    """List the clips of a resolved configuration's table. Raises UserError for what cannot be read."""
    return table.load(Path(config.data_root), reading(config))


def reading(config: RunConfig) -> Reading:
    """Return how a configuration reads its table."""
    return Reading(
        config.target,
        tuple(sorted(config.column.items())),
        Path(config.label_map) if config.label_map else None,
        Path(config.audio_root) if config.audio_root else None,
    )


def _without_target(config: RunConfig) -> str:
    return (
        f"{config.data_root}: expected labels to train on in a column {config.target!r}, found none. Name the column "
        f"by --column {config.target}=THEIRS, or choose another by --target"
    )
