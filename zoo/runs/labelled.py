"""List the labelled clips of a corpus, a table or several of them, as they are: not divided into folds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.config.run_config import RunConfig
from zoo.data.corpora import names, pool, registry
from zoo.data.corpora.names import SEPARATOR, TABLE
from zoo.data.corpora.pool import Member
from zoo.data.schema import Clip
from zoo.data.synthetic import corpora as synthetic
from zoo.data.tables import table
from zoo.errors import UserError, unknown
from zoo.runs import own_pool, own_table
from zoo.runs.dataset import stand_in
from zoo.runs.folder import corpus_name


@dataclass(frozen=True)
class Part:
    """The clips of one corpus or table, with the labels that it has. `record` is what corpus_name takes.

    `root` is its folder or table, `kind` what the label maps of corpora know it by, `unlabelled` the number of clips
    that are left out as they have neither a label nor ratings.
    """

    kind: str
    clips: tuple[Clip, ...]
    record: Mapping[str, Any]
    root: Path
    notes: tuple[str, ...] = ()
    unlabelled: int = 0

    @property
    def name(self) -> str:
        """The corpus as records call it."""
        return corpus_name(self.record)


def load(config: RunConfig) -> list[Part]:
    """List the clips of every corpus that `config` names; its label map is not applied.

    Raises UserError for anything missing.
    """
    if SEPARATOR in config.corpus:
        return [_part(config, member, alone=False) for member in pool.members(config.corpus)]
    kind, _, place = config.corpus.partition(":")
    if kind not in (TABLE, *registry.CORPORA):
        raise unknown("corpus", kind, [*registry.CORPORA, TABLE, "table:PATH", "A+B"])
    return [_part(config, Member(kind, place), alone=True)]


def _part(config: RunConfig, member: Member, alone: bool) -> Part:
    if member.kind == TABLE:
        return _table(config, member, alone)
    root = own_pool.root_of(config, member, alone)
    loaded = registry.load(member.kind, root)
    record = {**stand_in(root), "corpus": member.kind, "synthetic": synthetic.is_synthetic(root)}
    return _of(member.kind, pool.only_speech(member.kind, loaded.clips), record, root, loaded.notices)


def _table(config: RunConfig, member: Member, alone: bool) -> Part:
    if alone:
        config = own_table.located(config)
        path = Path(config.data_root)
        loaded = table.load(path, replace(own_table.reading(config), label_map=None))
    else:
        path = own_pool.root_of(config, member, alone=False)
        loaded = own_pool.table_of(config, path)
    notes = list(loaded.notices)
    if loaded.missing:
        notes.append(f"{len(loaded.missing)} of the files that {path.name} names are absent: {loaded.missing[0]} ...")
        if not config.allow_incomplete:
            raise UserError(f"{notes[-1]}. Put them beside it, or add --allow-incomplete, which marks the result")
    unknown_speakers = sum(clip.tags.get("speaker") == table.UNKNOWN for clip in loaded.clips)
    if unknown_speakers:
        notes.append(
            f"{path.name} names no speaker of {unknown_speakers} clips, whose files stand for one: intervals over "
            "speakers are too narrow"
        )
    name = names.of_table(path)
    return _of(name, loaded.clips, {"corpus": name, "synthetic": False}, path.resolve(), notes)


def _of(kind: str, clips: Iterable[Clip], record: Mapping[str, Any], root: Path, notes: Iterable[str]) -> Part:
    every = list(clips)
    kept = tuple(clip for clip in every if clip.label or clip.trace is not None)
    return Part(kind, kept, record, root, tuple(notes), len(every) - len(kept))
