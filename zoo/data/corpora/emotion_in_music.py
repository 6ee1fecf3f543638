"""Emotion in Music, the MediaEval 2013 task (Soleymani et al. 2013): songs rated every half second after 15 s."""

import csv
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from zoo.data.audio.read import AUDIO_SUFFIXES
from zoo.data.corpora.alignment import check_span
from zoo.data.corpora.files import Loaded, broken_line, collect, label_lines, wrong_layout
from zoo.data.schema import Clip, Trace
from zoo.errors import UserError

LAYOUT = """\
clips_45seconds/<song>.mp3
annotations/arousal_cont_average.csv and valence_cont_average.csv
songs_info.csv, here or in annotations/"""
DIMENSIONS = ("arousal", "valence")
STEP_SECONDS = 0.5
PARTS = ("development", "evaluation")

_COLUMN = re.compile(r"sample_(\d+)ms")
_SET = "mediaeval 2013 set"


def locate(root: Path) -> Path | None:
    """Returns `root` if the clips' folder or the averaged ratings are in it."""
    inside = ("clips_45seconds", *(f"annotations/{dimension}_cont_average.csv" for dimension in DIMENSIONS))
    return root if any((root / name).exists() for name in inside) else None


def load(root: Path) -> Loaded:
    """Lists the songs with their trace of arousal and valence, averaged over the raters, one step every 0.5 s.

    The released ratings have 61 steps from 15 s on. Names are the songs' numbers. Speakers are the artists, or the
    songs' numbers where songs_info.csv has no artist. Tags: part ("development" or "evaluation").

    Raises UserError for another layout, a label file that is missing, cannot be read, holds no number, another step
    than 0.5 s or one value throughout, a song rated in one dimension only, ratings that end over a second from the
    audio, and a tree without audio.
    """
    if locate(root) is None:
        raise wrong_layout(root, LAYOUT)
    info = _read_info(root)
    files = {dimension: root / "annotations" / f"{dimension}_cont_average.csv" for dimension in DIMENSIONS}
    ratings = {dimension: _read_ratings(path) for dimension, path in files.items()}
    rated = {song for rows, _ in ratings.values() for song in rows}

    def read_clip(path: Path) -> Clip | str:
        song = path.stem
        if song not in rated:
            return "no line in the label files"
        if song not in info:
            return "no line in songs_info.csv"
        artist, part = info[song]
        return Clip(path, song, artist or song, "", {"part": part}, _trace(song, files, ratings, path))

    return collect(root, ("clips_45seconds/*",), read_clip, rated, (*AUDIO_SUFFIXES, ".ogg", ".mp3"))


def _trace(
    song: str, files: Mapping[str, Path], ratings: Mapping[str, tuple[dict[str, list[float]], float]], audio: Path
) -> Trace:
    for dimension, (rows, _) in ratings.items():
        if song not in rows:
            raise UserError(
                f"{files[dimension]}: expected a line for song {song}, as in the other dimension, found none. Restore "
                "the file."
            )
    found = {dimension: (len(rows[song]), start) for dimension, (rows, start) in ratings.items()}
    if len(set(found.values())) > 1:
        each = " and ".join(f"{steps} of {dimension} from {start:g} s" for dimension, (steps, start) in found.items())
        raise UserError(f"{files['valence'].parent}: expected the same steps in each dimension, found {each}.")
    values = np.array([rows[song] for rows, _ in ratings.values()], np.float32).T
    trace = Trace(DIMENSIONS, values, STEP_SECONDS, found["arousal"][1])
    check_span(trace, files["arousal"].parent, audio)
    return trace


def _read_ratings(path: Path) -> tuple[dict[str, list[float]], float]:
    """Returns song -> its ratings, and the time of the first one in seconds."""
    lines = [(number, line, _fields(line)) for number, line in label_lines(path)]
    header = lines[0][2] if lines else []
    times = [int(match[1]) / 1000 for match in map(_COLUMN.fullmatch, header[1:]) if match]
    steps = {round(after - before, 6) for before, after in pairwise(times)}
    if header[:1] != ["song_id"] or len(times) != len(header) - 1 or steps != {STEP_SECONDS}:
        expected = "a header song_id,sample_15000ms,sample_15500ms,... in steps of 500 ms"
        raise broken_line(path, 1, lines[0][1] if lines else "", expected)
    ratings: dict[str, list[float]] = {}
    for number, line, fields in lines[1:]:
        if len(fields) != len(header):
            raise broken_line(path, number, line, f"{len(header)} fields separated by commas")
        try:
            values = [float(field) for field in fields[1:]]
        except ValueError as error:
            raise broken_line(path, number, line, "a song and numbers") from error
        if not np.isfinite(values).all():
            raise broken_line(path, number, line, "finite numbers")
        if fields[0] in ratings:
            raise broken_line(path, number, line, "each song once")
        ratings[fields[0]] = values
    if len({value for values in ratings.values() for value in values}) < 2:
        raise UserError(f"{path}: expected ratings of songs that change, found none. Restore the file.")
    return ratings, times[0]


def _read_info(root: Path) -> dict[str, tuple[str, str]]:
    """Returns song -> (artist or "", part)."""
    inner = root / "annotations" / "songs_info.csv"
    path = inner if inner.is_file() else root / "songs_info.csv"
    lines = [(number, line, _fields(line)) for number, line in label_lines(path)]
    header = [name.casefold() for name in lines[0][2]] if lines else []
    if not {"song_id", _SET} <= set(header):
        raise broken_line(path, 1, lines[0][1] if lines else "", "a header with song_id and Mediaeval 2013 set")
    info: dict[str, tuple[str, str]] = {}
    for number, line, fields in lines[1:]:
        row = dict(zip(header, fields, strict=False))
        part = row.get(_SET, "").casefold()
        if part not in PARTS:
            raise broken_line(path, number, line, f"{len(header)} fields with {' or '.join(PARTS)} as the set")
        info[row["song_id"]] = row.get("artist", ""), part
    return info


def _fields(line: str) -> list[str]:
    """Returns the fields of a line; the release has tabs within its quotes."""
    return [" ".join(field.split()) for field in next(csv.reader([line], skipinitialspace=True))]
