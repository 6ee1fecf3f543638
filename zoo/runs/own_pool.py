"""Read the pool of corpora that a configuration names, and fill in what only the corpora say: their common classes."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.config.run_config import RunConfig
from zoo.config.saved import cache_folder
from zoo.data.corpora import pool, registry
from zoo.data.corpora.label_maps import LabelMap
from zoo.data.corpora.names import TABLE
from zoo.data.corpora.pool import Member
from zoo.data.protocols import pool as protocols
from zoo.data.schema import Clip
from zoo.data.synthetic import corpora as synthetic
from zoo.errors import UserError


@dataclass(frozen=True)
class Pooled:
    """The clips of a pool, and the map of each member's labels by its name."""

    clips: list[Clip]
    maps: Mapping[str, LabelMap]
    synthetic: bool


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
    data_root = Path(config.data_root).expanduser() if config.data_root else None
    label_map = Path(config.label_map) if config.label_map else None
    clips: list[Clip] = []
    maps = {}
    roots = []
    for member in found:
        root = _root(config, member, data_root, alone=len(found) == 1)
        own, maps[member.name] = pool.pooled(member, _listed(config, member, root), label_map)
        if not own:
            raise UserError(f"{member.name}: expected clips with a label, found none. Leave it out of the pool")
        clips += own
        roots.append(root)
    kinds = {synthetic.is_synthetic(root) for root in roots}
    if len(kinds) > 1:
        raise UserError(f"--corpus {config.corpus}: some of the corpora are synthetic and some real. Give one kind")
    return Pooled(clips, maps, kinds.pop())


def _root(config: RunConfig, member: Member, data_root: Path | None, alone: bool) -> Path:
    if config.synthetic:
        if member.kind == TABLE:
            raise UserError(f"--synthetic makes twins of named corpora, and {member.corpus} is a table; leave it out")
        return synthetic.cached(member.kind, cache_folder(config), config.clips, seed=0)
    root = pool.root_of(member, data_root, alone)
    return registry.resolve_root(member.kind, root) if member.kind != TABLE else root


def _listed(config: RunConfig, member: Member, root: Path) -> list[Clip]:
    return registry.load(member.corpus, root).clips


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
    return {"corpora": found}


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
