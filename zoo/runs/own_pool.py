"""Read the pool of corpora that a configuration names, and fill in what only the corpora say: their common classes."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.config.run_config import RunConfig
from zoo.config.saved import cache_folder
from zoo.data.corpora import pool, quadrants, registry
from zoo.data.corpora.files import Loaded
from zoo.data.corpora.label_maps import LabelMap
from zoo.data.corpora.names import TABLE
from zoo.data.corpora.pool import Member
from zoo.data.protocols import pool as protocols
from zoo.data.schema import Clip
from zoo.data.synthetic import corpora as synthetic
from zoo.data.tables import sources as table_sources
from zoo.data.tables import table
from zoo.errors import UserError
from zoo.runs import own_table


@dataclass(frozen=True)
class Pooled:
    """The clips of a pool, and the map of each member's labels by its name.

    `notes` are sentences on what is absent, `warnings` others that every result carries. With `unknown_speakers`, a
    speaker may be on two sides.
    """

    clips: list[Clip]
    maps: Mapping[str, LabelMap]
    synthetic: bool
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    unknown_speakers: bool = False


def resolved(config: RunConfig) -> RunConfig:
    """Return a configuration on a pool with its protocol and classes spelt out, the common ones where none are given.

    The corpora are listed only where classes are open. Raises UserError for a pool that cannot be trained on.
    """
    found = pool.members(config.corpus)
    limits = [registry.get(member.corpus).max_seconds for member in found]
    classes = config.classes or pool.common_classes(load(config).clips)
    return replace(
        config,
        protocol=config.protocol or protocols.DEFAULT,
        classes=classes,
        max_clip_seconds=config.max_clip_seconds or max(limits),
    )


def load(config: RunConfig) -> Pooled:
    """List the clips of every member, labelled by common names. Raises UserError for anything missing."""
    found = pool.members(config.corpus)
    if config.synthetic and (tables := [member.corpus for member in found if member.kind == TABLE]):
        raise UserError(f"--synthetic makes twins of named corpora, and {tables[0]} is a table; leave it out")
    parts = [_part(config, member, alone=len(found) == 1) for member in found]
    if len({part.synthetic for part in parts}) > 1:
        raise UserError(f"--corpus {config.corpus}: some of the corpora are synthetic and some real. Give one kind")
    return Pooled(
        [clip for part in parts for clip in part.clips],
        {name: labels for part in parts for name, labels in part.maps.items()},
        parts[0].synthetic,
        tuple(note for part in parts for note in part.notes),
        tuple(warning for part in parts for warning in part.warnings),
        any(part.unknown_speakers for part in parts),
    )


def _part(config: RunConfig, member: Member, alone: bool) -> Pooled:
    """Return a member of a pool, as a pool of one."""
    root = root_of(config, member, alone)
    notes: list[str] = []
    warnings: list[str] = []
    loaded = table_of(config, root) if member.kind == TABLE else registry.load(member.corpus, root)
    if member.kind == TABLE and loaded.missing:
        notes.append(f"{len(loaded.missing)} of the files that {member.name} names are absent: {loaded.missing[0]} ...")
        if not config.allow_incomplete:
            raise UserError(f"{notes[0]}. Put them beside it, or add --allow-incomplete, which marks the result")
    unlabelled = sum(not clip.label and not pool.is_rated(clip) for clip in loaded.clips)
    if unlabelled:
        warnings.append(f"{member.name}: {unlabelled} clips without a label are left out")
    clips, labels = pool.pooled(member, loaded.clips, Path(config.label_map) if config.label_map else None)
    if config.target == quadrants.TARGET:
        scale = config.rating_scale if member.kind == TABLE else (-1.0, 1.0)
        clips, left_out = quadrants.labelled(clips, scale, config.neutral_radius)
        warnings += [f"{member.name}: {note}" for note in left_out]
    if not clips:
        raise UserError(f"{member.name}: expected clips with a label, found none. Leave it out of the pool")
    unknown = sum(clip.tags.get("speaker") == table.UNKNOWN for clip in clips)
    if unknown:
        warnings.append(f"{member.name}: {unknown} clips of unknown speakers, who may be on two sides of a fold")
    warnings += loaded.notices
    synthesized = synthetic.is_synthetic(root)
    return Pooled(clips, {member.name: labels}, synthesized, tuple(notes), tuple(warnings), bool(unknown))


def root_of(config: RunConfig, member: Member, alone: bool) -> Path:
    """Return the folder or table of a member, made where it is synthetic. Raises UserError where nothing is there."""
    if config.synthetic:
        return synthetic.cached(member.kind, cache_folder(config), config.clips, seed=0)
    root = pool.root_of(member, Path(config.data_root).expanduser() if config.data_root else None, alone)
    if member.kind == TABLE:
        assert root is not None  # it has a place
        return root
    return registry.resolve_root(member.kind, root)


def table_of(config: RunConfig, path: Path) -> Loaded:
    """List the clips of a table. Of the columns that --column names, those are taken that it has.

    --from-names is of tables that are folders.
    """
    own = own_table.reading(config)
    target = table.TARGET if config.target == quadrants.TARGET else config.target
    own = replace(own, target=target, label_map=None, from_names=own.from_names if path.is_dir() else "")
    if own.columns:
        header = table_sources.read(path, target, own.from_names).columns
        own = replace(own, columns=tuple((ours, theirs) for ours, theirs in own.columns if theirs in header))
    return table.load(path, own)


def facts(config: RunConfig, pooled: Pooled) -> dict[str, Any]:
    """Return what the records of a run on a pool say of it: its corpora with licences, label maps, numbers of clips."""
    found = {}
    for member in pool.members(config.corpus):
        row, labels = registry.get(member.corpus), pooled.maps[member.name]
        counts = Counter(clip.label for clip in pooled.clips if clip.tags[pool.CORPUS] == member.name)
        found[member.name] = {
            "title": row.title,
            "licence": row.licence,
            "address": row.address,
            "label_map": {name: labels.names[name] for name in labels.names},
            "label_source": labels.source,
            "clips": {name: counts[name] for name in config.classes},
        }
    quadrant = {"quadrants": {"source": quadrants.SOURCE, "neutral_radius": config.neutral_radius}}
    return {"corpora": found, **(quadrant if config.target == quadrants.TARGET else {})}


def in_words(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a line for each corpus of `facts`: which of its labels are which class, and whence that is."""
    lines = []
    for name, corpus in found.items():
        by_class = {
            of_class: [label for label, other in corpus["label_map"].items() if other == of_class]
            for of_class in corpus["clips"]
        }
        words = ", ".join(
            f"{of_class} {corpus['clips'][of_class]}" + (f" ({' + '.join(labels)})" if labels != [of_class] else "")
            for of_class, labels in by_class.items()
        )
        lines.append(f"{name}: {words}. {corpus['label_source']}")
    return lines
