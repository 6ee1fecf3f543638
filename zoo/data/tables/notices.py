"""Say what is odd about a table, without refusing it."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from zoo.data.overlaps import overlapping
from zoo.data.schema import Clip
from zoo.errors import shortened


def of_clips(clips: Sequence[Clip]) -> list[str]:
    """Return sentences on a table's clips: names that may be one, rare labels, speakers, overlaps."""
    speakers = {clip.speaker for clip in clips if "speaker" not in clip.tags}
    labels = Counter(clip.label for clip in clips if clip.label)
    found = _alike("speakers", speakers) + _alike("labels", labels)
    if speakers and (unknown := [clip.name for clip in clips if "speaker" in clip.tags]):
        found.append(
            f"{len(unknown)} clips have no speaker, and each of their files counts as one: {shortened(unknown)}"
        )
    if clips and not speakers:
        found.append("the table names no speaker: no division of it is speaker-independent")
    if len(speakers) == 1:
        found.append(f"all clips are of one speaker, {next(iter(speakers))}")
    if once := sorted(label for label, count in labels.items() if count == 1):
        found.append(f"labels with a single clip, which cannot be both trained on and tested: {shortened(once)}")
    if unlabelled := sum(not clip.label and clip.trace is None for clip in clips) * bool(labels):
        found.append(f"{unlabelled} of {len(clips)} clips have no label, and are left out of training and test")
    if groups := overlapping(clips):
        examples = [" and ".join(clip.name for clip in group[:2]) for group in groups]
        found.append(f"{len(groups)} groups of overlapping segments, which stay on one side: {shortened(examples)}")
    return found


def _alike(what: str, names: Iterable[str]) -> list[str]:
    """Return a sentence on names that differ in case or spaces only."""
    known: dict[str, set[str]] = {}
    for name in names:
        known.setdefault("".join(name.casefold().split()), set()).add(name)
    pairs = [" = ".join(map(repr, sorted(same))) for same in known.values() if len(same) > 1]
    return (
        [f"{what} that differ in case or spaces only, and may be the same: {shortened(sorted(pairs))}"] if pairs else []
    )


def of_votes(ties: Collection[str], empty: Collection[str]) -> list[str]:
    """Return sentences on clips whose raters do not agree on one class, and on those without a vote."""
    found = []
    if ties:
        found.append(f"{len(ties)} clips have a tie of votes and therefore no label: {shortened(sorted(ties))}")
    if empty:
        found.append(f"{len(empty)} clips have no vote and therefore no label: {shortened(sorted(empty))}")
    return found
