"""Load Emotion in Music, the MediaEval 2013 task (Soleymani et al. 2013): songs rated every half second after 15 s."""

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from zoo.data.audio.formats import AUDIO_SUFFIXES
from zoo.data.corpora.alignment import check_span, joined
from zoo.data.corpora.files import NOT_LABELLED, Line, Loaded, collect, label_lines, label_table
from zoo.data.schema import Clip, Trace
from zoo.errors import UserError

LAYOUT = """\
clips_45seconds/<song>.mp3
annotations/arousal_cont_average.csv and valence_cont_average.csv
songs_info.csv, here or in annotations/"""
INSIDE = ["clips_45seconds", "annotations/arousal_cont_average.csv", "annotations/valence_cont_average.csv"]
DIMENSIONS = ("arousal", "valence")
STEP_SECONDS = 0.5
PARTS = ("development", "evaluation")

Ratings = tuple[dict[str, list[float]], float]  # by song, and the time of the first one in seconds
_COLUMN = re.compile(r"sample_(\d+)ms")
_SET = "Mediaeval 2013 set"


def load(root: Path) -> Loaded:
    """List the songs with their trace of arousal and valence, averaged over the raters, one step every 0.5 s.

    The released ratings have 61 steps from 15 s on. Names are the songs' numbers. Speakers are the artists, or the
    songs' numbers where songs_info.csv has no artist. Tags: part ("development" or "evaluation").

    Raises UserError for a label file that is missing, cannot be read, holds no number, another step than 0.5 s or one
    value throughout, a song rated in one dimension only, ratings that end over a second from the audio, and a folder
    without audio.
    """
    info = _read_info(root)
    files = [root / "annotations" / f"{dimension}_cont_average.csv" for dimension in DIMENSIONS]
    ratings = {path: _read_ratings(path) for path in files}
    rated = {song for rows, _ in ratings.values() for song in rows}

    def read_clip(path: Path, match: re.Match[str]) -> Clip | str:
        song = match[0]
        if song not in rated:
            return NOT_LABELLED
        if song not in info:
            return "no line in songs_info.csv"
        artist, part = info[song]
        return Clip(path, song, artist or song, "", {"part": part}, _trace(song, ratings, path))

    return collect(root, ("clips_45seconds/*",), re.compile(".*"), read_clip, rated, (*AUDIO_SUFFIXES, ".ogg", ".mp3"))


def _trace(song: str, ratings: Mapping[Path, Ratings], audio: Path) -> Trace:
    columns = {}
    for (path, (rows, start_seconds)), dimension in zip(ratings.items(), DIMENSIONS, strict=True):
        if song not in rows:
            expected = f"expected a line for song {song}, as in the other dimension"
            raise UserError(f"{path}: {expected}, found none. Restore the file.")
        columns[dimension] = np.array(rows[song]), start_seconds
    trace = joined(columns, STEP_SECONDS, str(path.parent))
    check_span(trace, path.parent, audio)
    return trace


def _read_ratings(path: Path) -> Ratings:
    """Return song -> its ratings, and the time of the first one in seconds."""
    lines = label_lines(path)
    first = next(lines, Line(path, 1, ""))
    header = first.fields()
    times = [int(match[1]) / 1000 for match in map(_COLUMN.fullmatch, header[1:]) if match]
    steps = {round(after - before, 6) for before, after in pairwise(times)}
    if header[:1] != ["song_id"] or len(times) != len(header) - 1 or steps != {STEP_SECONDS}:
        raise first.broken("a header song_id,sample_15000ms,sample_15500ms,... in steps of 500 ms")
    ratings: dict[str, list[float]] = {}
    for line in lines:
        song, *fields = line.fields()
        if len(fields) != len(times):
            raise line.broken(f"{len(header)} fields separated by commas")
        if song in ratings:
            raise line.broken("each song once")
        ratings[song] = line.numbers(fields, "song")
    if len({value for values in ratings.values() for value in values}) < 2:
        raise UserError(f"{path}: expected ratings of songs that change, found none. Restore the file.")
    return ratings, times[0]


def _read_info(root: Path) -> dict[str, tuple[str, str]]:
    """Return song -> (artist or "", part)."""
    inner = root / "annotations" / "songs_info.csv"
    info: dict[str, tuple[str, str]] = {}
    for line, row in label_table(inner if inner.is_file() else root / "songs_info.csv", "song_id", _SET):
        part = row.get(_SET.casefold(), "").casefold()
        if part not in PARTS:
            raise line.broken(f"{' or '.join(PARTS)} as the set")
        info[row["song_id"]] = row.get("artist", ""), part
    return info
