"""Load RECOLA (Ringeval et al. 2013): people solve a task by video call in French; six raters follow them every 40 ms.

Two releases are read: that of the AVEC 2016 challenge (Valstar et al. 2016), with a gold standard, and that of the
corpus's website, with the raters' own traces, of which the gold standard is made here.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from zoo.data.corpora.alignment import MAX_GAP_SECONDS, check_span, joined
from zoo.data.corpora.files import Line, Loaded, collect, label_lines, label_table
from zoo.data.corpora.gold_standard import evaluator_weighted_mean
from zoo.data.schema import Clip, Trace
from zoo.errors import UserError

LAYOUT = """\
recordings_audio/{train,dev}_{1-9}.wav
ratings_gold_standard/{arousal,valence}/{train,dev}_{1-9}.arff (as released for AVEC 2016)
or RECOLA-Audio-recordings/P16.wav
RECOLA-Annotation/emotional_behaviour/{arousal,valence}/P16.csv (as released on the website)
and, for protocol recola-full alone, partition.csv with a line P16,train for each recording below recording,part"""
_AVEC_AUDIO, _AVEC_LABELS = "recordings_audio", "ratings_gold_standard"
_WEB_AUDIO, _WEB_LABELS = "RECOLA-Audio-recordings", "RECOLA-Annotation/emotional_behaviour"
INSIDE = [_AVEC_AUDIO, _AVEC_LABELS, _WEB_AUDIO, _WEB_LABELS]
DIMENSIONS = ("arousal", "valence")
STEP_SECONDS = 0.04
RATERS = ("FM1", "FM2", "FM3", "FF1", "FF2", "FF3")
PARTITION = "partition.csv"
# The challenge's partition by participant. The corpus has 46 recordings; the others are in none of its parts.
PARTS = {
    "train": (16, 21, 23, 25, 37, 39, 41, 46, 56),
    "dev": (19, 26, 28, 30, 34, 42, 45, 64, 65),
    "test": (13, 20, 32, 38, 47, 49, 53, 59, 63),
}

_AVEC_NAME, _WEB_NAME = re.compile(r"(train|dev|test)_\d+"), re.compile(r"P\d+")
_PART_OF = {f"P{participant}": part for part, participants in PARTS.items() for participant in participants}
_RESTORE = "Restore it from the corpus's archive."


def load(root: Path) -> Loaded:
    """List the rated recordings of RECOLA with their trace of arousal and valence, one step every 0.04 s from 0 s.

    The challenge's release is read where both are there. Its speakers are "train_1" ... (it does not name them), the
    website's "P16" ... Tags: part ("train", "dev" or "test", by the challenge's partition, "none" outside it) and
    own_part, by the folder's partition.csv, if it has one. Recordings without labels (the challenge's test part) are
    left out and counted. The website's labels are the evaluator-weighted mean of its six raters (see `gold_standard`).

    Raises UserError for a recording rated in one dimension only, a label file that cannot be read, holds no number,
    another step than 0.04 s or a constant, or lacks a rater, labels that begin or end over a second from the audio, a
    partition.csv that cannot be read, and a folder without audio.
    """
    if (root / _AVEC_AUDIO).is_dir() or (root / _AVEC_LABELS).is_dir():
        return _load(root, _AVEC_AUDIO, _AVEC_LABELS, ".arff", _AVEC_NAME, _read_arff)
    return _load(root, _WEB_AUDIO, _WEB_LABELS, ".csv", _WEB_NAME, _read_raters)


def _load(
    root: Path, audio: str, labels: str, suffix: str, names: re.Pattern, read: Callable[[Path], np.ndarray]
) -> Loaded:
    folders = {dimension: root / labels / dimension for dimension in DIMENSIONS}
    rated = {path.stem for folder in folders.values() for path in folder.glob(f"*{suffix}")}
    rated = {name for name in rated if names.fullmatch(name)}
    own_parts = _read_partition(root / PARTITION)

    def read_clip(path: Path, name: re.Match[str]) -> Clip | str:
        part = _PART_OF.get(path.stem, path.stem.partition("_")[0])
        if path.stem not in rated:
            return "no labels (those of AVEC's test part are not public)"
        files = {dimension: folder / f"{path.stem}{suffix}" for dimension, folder in folders.items()}
        tags = {"part": part if part in PARTS else "none"}
        if path.stem in own_parts:
            tags["own_part"] = own_parts[path.stem]
        return Clip(path, path.stem, path.stem, "", tags, _trace(files, read, path))

    return collect(root, (f"{audio}/*",), names, read_clip, rated)


def _read_partition(path: Path) -> dict[str, str]:
    """Return the part of each recording that a partition.csv names; none where there is no such file."""
    parts: dict[str, str] = {}
    for line, fields in label_table(path, "recording", "part") if path.is_file() else ():
        name, part = fields["recording"], fields.get("part", "")
        if part not in PARTS:
            raise line.broken(f"a recording and its part, {', '.join(PARTS)}")
        if name in parts:
            raise line.broken(f"each recording once, {name} has a line above")
        parts[name] = part
    return parts


def _trace(files: dict[str, Path], read: Callable[[Path], np.ndarray], audio: Path) -> Trace:
    """Return the trace of one recording from a file for each dimension."""
    for dimension, file in files.items():
        if not file.is_file():
            expected = f"expected {' and '.join(files)} labels of {audio.name}"
            raise UserError(f"{file}: {expected}, found no file of {dimension}. {_RESTORE}")
    tables = {dimension: read(file) for dimension, file in files.items()}  # (steps, 2): time, value
    columns = {dimension: (table[:, 1], float(table[0, 0])) for dimension, table in tables.items()}
    trace = joined(columns, STEP_SECONDS, " and ".join(map(str, files.values())))
    first = files[DIMENSIONS[0]]
    if abs(trace.start_seconds) > MAX_GAP_SECONDS:
        expected = f"expected labels that begin within {MAX_GAP_SECONDS:g} s of the beginning of {audio}"
        raise UserError(f"{first}: {expected}, found the first at {trace.start_seconds:g} s. {_RESTORE}")
    for dimension, (values, _) in columns.items():
        if np.ptp(values) == 0:
            found = f"found {values[0]:g} in all {len(values)} steps. Restore it, or leave out the recording."
            raise UserError(f"{files[dimension]}: expected labels that change, {found}")
    check_span(trace, first, audio)
    return trace


def _read_arff(path: Path) -> np.ndarray:
    """Return (steps, 2): frameTime and GoldStandard. SciPy reads no ARFF with string attributes, as AVEC's has."""
    attributes: list[str] = []
    lines = label_lines(path)
    for line in lines:
        word, *rest = line.text.split(maxsplit=2)
        if word.casefold() == "@data":
            break
        if word.casefold() == "@attribute" and rest:
            attributes.append(_unquoted(rest[0]))
        elif word.casefold() != "@relation" and not word.startswith("%"):
            raise line.broken("'@attribute NAME TYPE', or '@data' before the first row")
    else:
        raise UserError(f"{path}: expected a line '@data' above the rows, found none. Restore the file.")
    names = [name.casefold() for name in attributes]
    if not {"frametime", "goldstandard"} <= set(names):
        found = ", ".join(attributes) or "none"
        raise UserError(f"{path}: expected the attributes frameTime and GoldStandard, found {found}. {_RESTORE}")
    columns = [names.index("frametime"), names.index("goldstandard")]
    rows = []
    for line in lines:
        fields = [_unquoted(field) for field in line.text.split(",")]
        # Some copies repeat the attributes' names as a heading below @data.
        if line.text.startswith("%") or [field.casefold() for field in fields[1:]] == names[1:]:
            continue
        if len(fields) != len(names):
            raise line.broken(f"{','.join(attributes)} separated by commas")
        if _AVEC_NAME.fullmatch(fields[0]) and fields[0] != path.stem:
            raise line.broken(f"rows of {path.stem}")
        rows.append((line, [fields[column] for column in columns]))
    return _numbers(path, rows)


def _unquoted(text: str) -> str:
    return text.strip().strip("'\"").strip()


def _read_raters(path: Path) -> np.ndarray:
    """Return (steps, 2): time and evaluator-weighted mean of a website file; its header has spaces after the names."""
    columns = ("time", *RATERS)
    header: list[str] = []
    rows = []
    for line in label_lines(path):
        fields = line.fields(";")
        if header and len(fields) != len(header):
            raise line.broken(f"{len(header)} fields separated by semicolons")
        if header:
            rows.append((line, [fields[header.index(name)] for name in columns]))
        elif absent := ", ".join(name for name in columns if name not in fields):
            raise line.broken(f"the columns {';'.join(columns)} separated by semicolons (missing: {absent})")
        header = header or fields
    table = _numbers(path, rows)
    try:
        gold, _ = evaluator_weighted_mean(table[:, 1:])
    except UserError as error:
        raise UserError(f"{path}: {error}. Restore the file.") from error
    return np.stack([table[:, 0], gold], axis=1)


def _numbers(path: Path, rows: Sequence[tuple[Line, list[str]]]) -> np.ndarray:
    """Return (steps, columns) float64. Raises UserError naming the first row that is no number or not in step."""
    table: list[list[float]] = []
    for line, fields in rows:
        values = line.numbers(fields, "time")
        if table and abs(values[0] - table[-1][0] - STEP_SECONDS) > STEP_SECONDS / 10:
            raise line.broken(f"a row every {STEP_SECONDS} s, here {table[-1][0] + STEP_SECONDS:.2f}")
        table.append(values)
    if not table:
        raise UserError(f"{path}: expected a row every {STEP_SECONDS} s, found none. Restore the file.")
    return np.array(table)
