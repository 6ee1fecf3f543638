"""Find clips that share audio because they are overlapping segments of one file."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from zoo.data.schema import Clip


def overlapping(clips: Iterable[Clip]) -> list[list[Clip]]:
    """Return the groups of clips of one file of which each overlaps another of its group; files with one clip are none.

    Segments that only touch do not overlap. Two clips that are the whole of one file do.
    """
    clips = list(clips)
    names = Counter(clip.path.name for clip in clips)  # quicker than hashes of paths, of which there may be a million
    by_file: dict[Path, list[Clip]] = defaultdict(list)
    for clip in clips:
        if names[clip.path.name] > 1:
            by_file[clip.path].append(clip)
    return [group for own in by_file.values() if len(own) > 1 for group in _groups(own)]


def _groups(clips: Sequence[Clip]) -> list[list[Clip]]:
    found: list[list[Clip]] = []
    last_end = -1.0
    for clip in sorted(clips, key=lambda clip: clip.start_seconds):
        end = float("inf") if clip.end_seconds is None else clip.end_seconds
        if clip.start_seconds < last_end:
            found[-1].append(clip)
        else:
            found.append([clip])
        last_end = max(last_end, end)
    return [group for group in found if len(group) > 1]
