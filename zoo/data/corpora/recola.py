"""RECOLA (Ringeval et al. 2013): people solve a task by video call in French; six raters follow them every 40 ms.

Two releases are read: that of the AVEC 2016 challenge (Valstar et al. 2016), with a gold standard, and that of the
corpus's website, with the raters' own traces, of which the gold standard is made here.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from zoo.data.corpora.alignment import MAX_GAP_SECONDS, check_span
from zoo.data.corpora.files import Loaded, broken_line, collect, label_lines, wrong_layout
from zoo.data.corpora.gold_standard import evaluator_weighted_mean
from zoo.data.schema import Clip, Trace
from zoo.errors import UserError

LAYOUT = """\
recordings_audio/{train,dev}_{1-9}.wav
ratings_gold_standard/{arousal,valence}/{train,dev}_{1-9}.arff (as released for AVEC 2016)
or RECOLA-Audio-recordings/P16.wav
RECOLA-Annotation/emotional_behaviour/{arousal,valence}/P16.csv (as released on the website)"""
DIMENSIONS = ("arousal", "valence")
STEP_SECONDS = 0.04
RATERS = ("FM1", "FM2", "FM3", "FF1", "FF2", "FF3")
# The challenge's partition by participant. Five of the website's 23 recordings are in none of its parts.
PARTS = {
    "train": (16, 21, 23, 25, 37, 39, 41, 46, 56),
    "dev": (19, 26, 28, 30, 34, 42, 45, 64, 65),
    "test": (13, 20, 32, 38, 47, 49, 53, 59, 63),
}

_AVEC_AUDIO, _AVEC_LABELS = "recordings_audio", "ratings_gold_standard"
_WEB_AUDIO, _WEB_LABELS = "RECOLA-Audio-recordings", "RECOLA-Annotation/emotional_behaviour"
_AVEC_NAME = re.compile(r"(?P<part>train|dev|test)_\d+")
_WEB_NAME = re.compile(r"P\d+")
_PART_OF = {f"P{participant}": part for part, participants in PARTS.items() for participant in participants}
_Row = tuple[int, str, list[str]]  # line number, line, its fields, of which the first is the time


def locate(root: Path) -> Path | None:
    """Returns `root` if the folders of audio or of labels of one of the two releases are in it."""
    folders = (_AVEC_AUDIO, _AVEC_LABELS, _WEB_AUDIO, _WEB_LABELS)
    return root if any((root / folder).is_dir() for folder in folders) else None


def load(root: Path) -> Loaded:
    """Lists the rated recordings of RECOLA with their trace of arousal and valence, one step every 0.04 s from 0 s.

    The challenge's release is read where both are there. Its speakers are "train_1" ... (it does not say who they
    are), the website's "P16" ... Tags: part ("train", "dev" or "test", by the challenge's partition). Recordings
    without labels (the challenge's test part) are left out and counted, and so are the website's outside the
    partition. The website's labels are the evaluator-weighted mean of its six raters (see `gold_standard`).

    Raises UserError for another layout, a recording rated in one dimension only, a label file that cannot be read,
    holds no number, another step than 0.04 s or a constant, or lacks a rater, labels that begin or end over a second
    from the audio, and a tree without audio.
    """
    if locate(root) is None:
        raise wrong_layout(root, LAYOUT)
    if (root / _AVEC_AUDIO).is_dir() or (root / _AVEC_LABELS).is_dir():
        return _load(root, _AVEC_AUDIO, _AVEC_LABELS, ".arff", _avec_part, _read_arff)
    return _load(root, _WEB_AUDIO, _WEB_LABELS, ".csv", _web_part, _read_raters)


def _avec_part(name: str) -> str | None:
    match = _AVEC_NAME.fullmatch(name)
    return match["part"] if match else None


def _web_part(name: str) -> str | None:
    return _PART_OF.get(name, "") if _WEB_NAME.fullmatch(name) else None


def _load(
    root: Path,
    audio: str,
    labels: str,
    suffix: str,
    part_of: Callable[[str], str | None],
    read: Callable[[Path], np.ndarray],
) -> Loaded:
    """Lists one release. `part_of` gives a name's part, "" for none and None for a name not of the corpus."""
    folders = {dimension: root / labels / dimension for dimension in DIMENSIONS}
    rated = {path.stem for folder in folders.values() for path in folder.glob(f"*{suffix}") if part_of(path.stem)}

    def read_clip(path: Path) -> Clip | str:
        part = part_of(path.stem)
        if part is None:
            return "name not of this corpus"
        if not part:
            return "in no part of the AVEC partition"
        if path.stem not in rated:
            return "no labels (those of AVEC's test part are not public)"
        files = {dimension: folder / f"{path.stem}{suffix}" for dimension, folder in folders.items()}
        return Clip(path, path.stem, path.stem, "", {"part": part}, _trace(files, read, path))

    return collect(root, (f"{audio}/*",), read_clip, rated)


def _trace(files: Mapping[str, Path], read: Callable[[Path], np.ndarray], audio: Path) -> Trace:
    """Returns the trace of one recording from a file for each dimension."""
    for dimension, file in files.items():
        if not file.is_file():
            raise UserError(
                f"{file}: expected {' and '.join(files)} labels of {audio.name}, found no file of {dimension}. "
                "Restore it from the corpus's archive."
            )
    tables = {dimension: read(file) for dimension, file in files.items()}  # (steps, 2): time, value
    start_seconds = _common_start(files, tables, audio)
    for dimension, table in tables.items():
        if np.ptp(table[:, 1]) == 0:
            raise UserError(
                f"{files[dimension]}: expected labels that change, found {table[0, 1]:g} in all {len(table)} steps: "
                "nothing can be learnt from it. Restore the file, or leave out the recording."
            )
    values = np.stack([table[:, 1] for table in tables.values()], axis=1).astype(np.float32)
    trace = Trace(DIMENSIONS, values, STEP_SECONDS, start_seconds)
    check_span(trace, files[DIMENSIONS[0]], audio)
    return trace


def _common_start(files: Mapping[str, Path], tables: Mapping[str, np.ndarray], audio: Path) -> float:
    """Returns the time of the first step, which the dimensions must have in common with the number of steps."""
    found = {dimension: (len(table), float(table[0, 0])) for dimension, table in tables.items()}
    if len(set(found.values())) > 1:
        each = " and ".join(f"{steps} of {dimension} from {start:g} s" for dimension, (steps, start) in found.items())
        raise UserError(
            f"{' and '.join(map(str, files.values()))}: expected the same steps in each dimension, found {each}. "
            "Restore the shorter file from the corpus's archive."
        )
    _, start_seconds = found[DIMENSIONS[0]]
    if abs(start_seconds) > MAX_GAP_SECONDS:
        raise UserError(
            f"{files[DIMENSIONS[0]]}: expected labels that begin within {MAX_GAP_SECONDS:g} s of the beginning of "
            f"{audio}, found the first at {start_seconds:g} s. Restore the file from the corpus's archive."
        )
    return start_seconds


def _read_arff(path: Path) -> np.ndarray:
    """Returns (steps, 2): time and gold standard of an ARFF file of AVEC."""
    return _numbers(path, _arff_rows(path))


def _arff_rows(path: Path) -> Iterator[_Row]:
    """Yields the rows' frameTime and GoldStandard. SciPy reads no ARFF with string attributes, as this one has."""
    attributes: list[str] = []
    lines = label_lines(path)
    for number, line in lines:
        word, *rest = line.split(maxsplit=2)
        if word.casefold() == "@data":
            break
        if word.casefold() == "@attribute" and rest:
            attributes.append(_unquoted(rest[0]))
        elif word.casefold() != "@relation" and not line.startswith("%"):
            raise broken_line(path, number, line, "'@attribute NAME TYPE', or '@data' before the first row")
    else:
        raise UserError(f"{path}: expected a line '@data' above the rows, found none. Restore the file.")
    names = [name.casefold() for name in attributes]
    if not {"frametime", "goldstandard"} <= set(names):
        raise UserError(
            f"{path}: expected the attributes frameTime and GoldStandard, found {', '.join(attributes) or 'none'}. "
            "Restore the file."
        )
    columns = [names.index("frametime"), names.index("goldstandard")]
    for number, line in lines:
        fields = [_unquoted(field) for field in line.split(",")]
        # Some copies repeat the attributes' names as a heading below @data.
        if line.startswith("%") or [field.casefold() for field in fields[1:]] == names[1:]:
            continue
        if len(fields) != len(names):
            raise broken_line(path, number, line, f"{','.join(attributes)} separated by commas")
        if _AVEC_NAME.fullmatch(fields[0]) and fields[0] != path.stem:
            raise broken_line(path, number, line, f"rows of {path.stem}")
        yield number, line, [fields[column] for column in columns]


def _unquoted(text: str) -> str:
    return text.strip().strip("'\"").strip()


def _read_raters(path: Path) -> np.ndarray:
    """Returns (steps, 2): time and evaluator-weighted mean of a website file."""
    table = _numbers(path, _rater_rows(path))
    try:
        gold, _ = evaluator_weighted_mean(table[:, 1:])
    except UserError as error:
        raise UserError(f"{path}: {error}. Restore the file from the corpus's archive.") from error
    return np.stack([table[:, 0], gold], axis=1)


def _rater_rows(path: Path) -> Iterator[_Row]:
    """Yields the rows' time and ratings, those in the order of `RATERS`; the header has spaces after the names."""
    header: list[str] = []
    for number, line in label_lines(path):
        fields = [field.strip() for field in line.split(";")]
        if not header:
            absent = [name for name in ("time", *RATERS) if name not in fields]
            if absent:
                expected = f"the columns time;{';'.join(RATERS)} separated by semicolons (missing: {', '.join(absent)})"
                raise broken_line(path, number, line, expected)
            header = fields
        elif len(fields) != len(header):
            raise broken_line(path, number, line, f"{len(header)} fields separated by semicolons")
        else:
            row = dict(zip(header, fields, strict=True))
            yield number, line, [row[name] for name in ("time", *RATERS)]


def _numbers(path: Path, rows: Iterable[_Row]) -> np.ndarray:
    """Returns (steps, columns) float64. Raises UserError naming the first row that is no number or not in step."""
    table: list[list[float]] = []
    for number, line, fields in rows:
        try:
            values = [float(field) for field in fields]
        except ValueError as error:
            raise broken_line(path, number, line, "a time and numbers") from error
        if not np.isfinite(values).all():
            raise broken_line(path, number, line, "finite numbers")
        if table and abs(values[0] - table[-1][0] - STEP_SECONDS) > STEP_SECONDS / 10:
            raise broken_line(
                path, number, line, f"a row every {STEP_SECONDS} s, here {table[-1][0] + STEP_SECONDS:.2f}"
            )
        table.append(values)
    if not table:
        raise UserError(f"{path}: expected a row every {STEP_SECONDS} s, found none. Restore the file.")
    return np.array(table)
