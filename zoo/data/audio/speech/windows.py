"""Cut a recording into windows of speech, by the probability of speech and the level of its frames."""

from itertools import pairwise

import numpy as np

from zoo.data.audio.speech.silero import FRAME, RATE_HZ

FRAME_SECONDS = FRAME / RATE_HZ
LEAST_SECONDS, MOST_SECONDS = 2.0, 5.0  # of a window: what acted corpora's clips last
BEGINS, GOES_ON = 0.5, 0.3  # probability at which speech begins, and down to which it goes on: where F1 is best
_SHORTEST_SECONDS = 0.2  # of speech: shorter bursts are none
_EDGE_SECONDS = 0.1  # kept before and behind speech: quiet consonants
_PAUSE_SECONDS = 0.5  # within a window, between words
_LONGER_PAUSE_SECONDS = 1.5  # within a window that would be too short else
# What is kept around speech where there is a pause, as clips of corpora have it: of training clips of RAVDESS a shipped
# model gets UA 0.25 with 0.1 s, 0.34 with 0.25 s, 0.62 with 0.5 s, 0.70 with 1 s, and 0.70 on whole clips.
_AROUND_SECONDS = 1.0


def is_speech(scores: np.ndarray) -> np.ndarray:
    """Say which frames are speech by its probability (frames,): bool (frames,)."""
    found = np.zeros(len(scores), bool)
    for first, last in _runs(scores >= GOES_ON):
        if scores[first:last].max() >= BEGINS and last - first >= round(_SHORTEST_SECONDS / FRAME_SECONDS):
            found[first:last] = True
    return found


def windows(speech: np.ndarray, levels_db: np.ndarray, most_seconds: float = MOST_SECONDS) -> list[tuple[int, int]]:
    """Return windows of speech: the first frame of each, and the one behind its last.

    They are cut where there is no `speech` (frames,), at most `most_seconds` long, and `LEAST_SECONDS` if possible.
    Pauses between words stay inside. Speech shorter than the least is joined with what comes before or behind it, if
    the pause is short; longer speech is split where it is quietest by `levels_db` (frames,).
    """
    most, edge = max(1, int(most_seconds / FRAME_SECONDS)), _frames(_EDGE_SECONDS)
    least = max(1, min(_frames(LEAST_SECONDS), most // 2))
    joined: list[tuple[int, int]] = []
    for first, last in _runs(speech):
        first, last = max(0, first - edge), min(len(speech), last + edge)
        if joined and _belongs(joined[-1], (first, last), least, most):
            joined[-1] = joined[-1][0], last
        else:
            joined.append((max(first, joined[-1][1] if joined else 0), last))
    parts = [part for region in joined for part in _split(*region, levels_db, least, most)]
    return _widened(parts, len(speech), most)


def _belongs(before: tuple[int, int], after: tuple[int, int], least: int, most: int) -> bool:
    """Say whether two regions are one: with a pause between words, or too short without each other."""
    pause = after[0] - before[1]
    if pause < _frames(_PAUSE_SECONDS):
        return True
    short = min(before[1] - before[0], after[1] - after[0]) < least
    return short and pause < _frames(_LONGER_PAUSE_SECONDS) and after[1] - before[0] <= most


def _split(first: int, last: int, levels_db: np.ndarray, least: int, most: int) -> list[tuple[int, int]]:
    """Split frames into parts of `least` to `most`, each time at the quietest frame that leaves such a part."""
    parts = []
    while last - first > most:
        low = first + least
        high = max(low + 1, min(first + most, last - least) + 1)
        at = low + int(np.argmin(levels_db[low:high]))
        parts.append((first, at))
        first = at
    return [*parts, (first, last)]


def _widened(parts: list[tuple[int, int]], n_frames: int, most: int) -> list[tuple[int, int]]:
    """Widen windows into the pauses around them, of which neighbours get half each."""
    middles = [(before[1] + after[0]) // 2 for before, after in pairwise(parts)]
    found = []
    for (first, last), low, high in zip(parts, [0, *middles], [*middles, n_frames], strict=False):
        more = min(_frames(_AROUND_SECONDS), (most - last + first) // 2)
        found.append((max(low, first - more), min(high, last + more)))
    return found


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Return the first frame of each run of True, and the one behind its last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def _frames(seconds: float) -> int:
    return round(seconds / FRAME_SECONDS)
