"""Read the table that a configuration names, and fill in what only the table says: its classes and its protocol."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from zoo import registry
from zoo.config.run_config import RunConfig, heeds
from zoo.data.corpora import names
from zoo.data.corpora.files import Loaded
from zoo.data.protocols import from_table
from zoo.data.protocols.splits import Protocol
from zoo.data.schema import Clip
from zoo.data.tables import table
from zoo.data.tables.check import LONGEST_RATED_SECONDS
from zoo.data.tables.table import Reading
from zoo.errors import UserError, shortened


def resolved(config: RunConfig) -> RunConfig:
    """Return a configuration on a table with its path, protocol, classes and corpus name spelt out.

    The table is read only where protocol or classes are open. Raises UserError for a table that cannot be trained on.
    """
    task = registry.get(config.model).task
    rated = task == "continuous"
    config = located(config)
    if rated and not config.max_clip_seconds:
        config = replace(config, max_clip_seconds=LONGEST_RATED_SECONDS)
    known = bool(config.classes) if task == "emotion" else not rated or config.target != table.TARGET
    if config.protocol and known and (not rated or config.frame_seconds or not heeds(config.model, "frame_seconds")):
        return config
    loaded = load(config)
    absent(config, loaded)
    if rated:
        return _rated(config, loaded)
    classes = config.classes or table.classes(loaded.clips)
    if task == "emotion" and not classes:
        raise UserError(_without_target(config))
    return replace(config, protocol=config.protocol or from_table.usual(loaded.clips), classes=classes)


def located(config: RunConfig) -> RunConfig:
    """Return a configuration on a table with the table's path, and its corpus name as records have it."""
    if config.synthetic:
        raise UserError("--synthetic makes twins of named corpora, and a table has none; leave it out")
    path = names.table_path(config.corpus, config.data_root)
    if path is None:
        raise UserError("--corpus table: expected a table of recordings, found none. Give it with --data-root FILE")
    path = path.resolve()
    return replace(config, corpus=names.of_table(path), data_root=str(path))


def _rated(config: RunConfig, loaded: Loaded) -> RunConfig:
    """Return the configuration with the dimensions that the table is rated in, and a frame for each rating."""
    traces = [clip.trace for clip in loaded.clips if clip.trace is not None]
    if not traces:
        expected = "expected ratings all along recordings: rows with file,time and numbers, or names of files of these"
        raise UserError(
            f"{config.data_root}: {expected}, found none. Name them by --target A,B, or choose a network for classes"
        )
    step = traces[0].step_seconds * heeds(config.model, "frame_seconds")
    return replace(
        config,
        protocol=config.protocol or from_table.usual(loaded.clips),
        target=",".join(traces[0].dimensions),
        frame_seconds=config.frame_seconds or step,
    )


def absent(config: RunConfig, loaded: Loaded) -> list[str]:
    """Return a sentence on the files that a table names and that are absent, if any, which every result carries.

    Raises UserError for them without --allow-incomplete.
    """
    if not loaded.missing:
        return []
    found = f"{len(loaded.missing)} of the files that {Path(config.data_root).name} names are absent"
    note = f"{found}: {shortened(loaded.missing)}"
    if not config.allow_incomplete:
        place = config.audio_root or Path(config.data_root).parent
        raise UserError(f"{note}. Put them below {place}, or add --allow-incomplete, which marks the result")
    return [note]


def warnings_of(protocol: Protocol, clips: Sequence[Clip], loaded: Loaded) -> tuple[Protocol, tuple[str, ...]]:
    """Return the protocol, marked where nobody named its clips' speakers, and sentences that every result carries."""
    left_out = len([clip for clip in loaded.clips if clip.label]) - len(clips) if protocol.classes else 0
    notices = list(loaded.notices)
    if left_out:
        notices.append(f"{left_out} clips have labels that are none of the classes {', '.join(protocol.classes)}")
    if any(clip.tags.get("speaker") == table.UNKNOWN for clip in clips):
        protocol = replace(protocol, speaker_independent=False)
    return protocol, tuple(notices)


def load(config: RunConfig) -> Loaded:
    """List the clips of a resolved configuration's table, which may have moved to another folder.

    Raises UserError for what cannot be read.
    """
    path = names.table_path(config.corpus, config.data_root)
    assert path is not None  # a resolved configuration has it
    return table.load(path, reading(config))


def reading(config: RunConfig) -> Reading:
    """Return how a configuration reads its table."""
    return Reading(
        config.target,
        tuple(sorted(config.column.items())),
        Path(config.label_map) if config.label_map else None,
        config.from_names,
        Path(config.audio_root) if config.audio_root else None,
    )


def _without_target(config: RunConfig) -> str:
    return (
        f"{config.data_root}: expected labels to train on in a column {config.target!r}, found none. Name the column "
        f"by --column {config.target}=THEIRS, or choose another by --target"
    )
