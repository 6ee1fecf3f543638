"""Join several corpora, a+b+c: names and speakers never collide, and labels are of one vocabulary.

A member is a registered corpus (ravdess), one in a folder of its own (emodb:PATH) or a table (table:PATH). Paths are
relative to the folder that holds all corpora, or else to the working folder.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from zoo.data.corpora import label_maps, registry
from zoo.data.corpora.label_maps import LabelMap
from zoo.data.corpora.names import SEPARATOR, TABLE
from zoo.data.corpora.quadrants import rescaled
from zoo.data.schema import Clip
from zoo.errors import UserError, unknown

CORPUS = "corpus"  # the tag that says which member a clip is of
# Of corpora that hold more than speech.
_ONLY: Mapping[str, Mapping[str, str]] = {"ravdess": {"channel": "speech"}}
# Tags of a corpus that are ratings of a clip, by what they are called elsewhere, and their scale.
_RATED: Mapping[str, Mapping[str, str]] = {"iemocap": {"arousal": "activation", "valence": "valence"}}
_SCALE = (1.0, 5.0)


@dataclass(frozen=True)
class Member:
    """A corpus of a pool: its `kind` (a registered name, or "table") and its `place`, "" for the usual folder."""

    kind: str
    place: str = ""

    @property
    def name(self) -> str:
        """What results call it, and what stands before its clips' and speakers' names."""
        return self.place if self.kind == TABLE else self.kind

    @property
    def corpus(self) -> str:
        """What the registry calls it."""
        return f"{TABLE}:{self.place}" if self.kind == TABLE else self.kind


def members(corpus: str) -> tuple[Member, ...]:
    """Return the members that a value of --corpus names.

    Raises UserError for an unknown one, a table without a path, and one that is named twice.
    """
    found: list[Member] = []
    for word in registry.as_spelt(corpus).split(SEPARATOR):
        kind, _, place = word.strip().partition(":")
        if kind not in (TABLE, *registry.CORPORA):
            raise unknown(f"corpus of the pool {corpus!r}", kind, (TABLE, *registry.CORPORA))
        if kind == TABLE and not place:
            raise UserError(f"--corpus {corpus}: expected table:PATH in a pool, found {word!r}. Give the table's path")
        if kind in registry.CORPORA and registry.CORPORA[kind].rating_seconds:
            raise UserError(
                f"--corpus {corpus}: {kind} has ratings all along its recordings and no classes, which a pool needs. "
                "Leave it out"
            )
        member = Member(kind, place)
        if _same(member.name) in [_same(other.name) for other in found]:
            raise UserError(f"--corpus {corpus}: {member.name} is named twice. Name every corpus once")
        found.append(member)
    return tuple(found)


def _same(name: str) -> str:
    return Path(name).as_posix()


def root_of(member: Member, data_root: Path | None, alone: bool = False) -> Path | None:
    """Return where a member lies; None where that is below $SPEECH_CORPORA, as without a pool.

    `data_root` is the folder that holds all corpora; of a pool of one (`alone`) it may be the corpus's own. Raises
    UserError where nothing is there.
    """
    if member.place:
        homes = [Path(member.place).expanduser()]
        if data_root:
            homes.insert(0, data_root / homes[0])
        if found := next((home for home in homes if home.exists()), None):
            return found
        raise UserError(
            f"{member.kind}:{member.place}: expected {' or '.join(map(str, homes))}, found nothing. Give a path from "
            "the folder of --data-root or from the working folder"
        )
    if data_root is None:
        return None
    row = registry.get(member.kind)
    if alone and row.locate(data_root):
        return data_root
    folders = dict.fromkeys((*row.folders, member.kind))
    if found := next((data_root / folder for folder in folders if (data_root / folder).is_dir()), None):
        return found
    raise UserError(
        f"--data-root {data_root}: expected the folder that holds all corpora of the pool, one named "
        f"{' or '.join(folders)} for {row.title} in it, found none. Put it there, or name its folder as in "
        f"{member.kind}:PATH"
    )


def pooled(member: Member, clips: Iterable[Clip], label_map: Path | None) -> tuple[list[Clip], LabelMap]:
    """Return a member's clips as those of a pool, with common names as labels, and the map of its labels.

    Names and speakers get the member's name in front. Clips of labels that a map leaves out are left out, unless they
    have ratings. Raises UserError for a label without an entry in the map.
    """
    clips = [
        replace(clip, targets={**clip.targets, **_ratings(member, clip)}) for clip in only_speech(member.kind, clips)
    ]
    names = label_maps.of(member.corpus, (clip.label for clip in clips if clip.label), label_map)
    return [
        replace(
            clip,
            name=f"{member.name}:{clip.name}",
            speaker=f"{member.name}:{clip.speaker}",
            label=names.names.get(clip.label, ""),
            tags={**clip.tags, CORPUS: member.name},
        )
        for clip in clips
        if names.names.get(clip.label) or is_rated(clip)
    ], names


def only_speech(kind: str, clips: Iterable[Clip]) -> list[Clip]:
    """Return the clips of a corpus that are speech; RAVDESS has songs, too."""
    only = _ONLY.get(kind, {}).items()
    return [clip for clip in clips if all(clip.tags.get(tag) == value for tag, value in only)]


def is_rated(clip: Clip) -> bool:
    """Return whether a clip has an arousal and a valence."""
    return {"arousal", "valence"} <= clip.targets.keys()


def _ratings(member: Member, clip: Clip) -> dict[str, float]:
    rated = _RATED.get(member.kind, {}).items()
    return {name: rescaled(float(clip.tags[tag]), *_SCALE) for name, tag in rated}


def of_corpora(clips: Iterable[Clip]) -> dict[str, list[Clip]]:
    """Return the clips of a pool by the member they are of, in the order of first clips."""
    found: dict[str, list[Clip]] = {}
    for clip in clips:
        found.setdefault(clip.tags[CORPUS], []).append(clip)
    return found


def corpus_weights(clips: Sequence[Clip]) -> list[float]:
    """Return the weight of each clip with which every corpus of a pool counts alike: N / (K N_corpus), mean 1.

    Of corpora with 30 and 10 clips: 2/3 and 2.
    """
    counts = Counter(clip.tags[CORPUS] for clip in clips)
    return [len(clips) / (len(counts) * counts[clip.tags[CORPUS]]) for clip in clips]


def common_classes(clips: Iterable[Clip]) -> tuple[str, ...]:
    """Return the labels that every corpus of a pool has, sorted. Raises UserError for none, or a single one."""
    labels = {corpus: {clip.label for clip in some} - {""} for corpus, some in of_corpora(clips).items()}
    common = sorted(set.intersection(*labels.values())) if labels else []
    if len(common) < 2:
        found = "; ".join(f"{corpus} has {', '.join(sorted(names))}" for corpus, names in labels.items())
        raise UserError(
            f"expected at least two classes that every corpus of the pool has, found {', '.join(common) or 'none'} "
            f"({found}). Map labels with --label-map, or leave a corpus out"
        )
    return tuple(common)


def check_classes(clips: Iterable[Clip], classes: Sequence[str], allow_incomplete: bool) -> list[str]:
    """Return a note for each corpus of a pool that lacks some of the classes.

    Raises UserError for it unless `allow_incomplete`, and for a corpus that has none of them.
    """
    notes = []
    for corpus, some in of_corpora(clips).items():
        counts = Counter(clip.label for clip in some)
        absent = [name for name in classes if not counts[name]]
        if not absent:
            continue
        found = ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))
        note = f"{corpus} has no clip of {', '.join(absent)}"
        if len(absent) == len(classes) or not allow_incomplete:
            advice = "Leave the class or the corpus out, or map its labels with --label-map"
            advice += "" if len(absent) == len(classes) else "; --allow-incomplete goes on without"
            raise UserError(f"{note}: expected clips of every class, found {found}. {advice}")
        notes.append(note)
    return notes
