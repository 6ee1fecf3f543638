"""Read a user's own recordings: a table with a row for each file or segment, and columns of what is known of it."""

import gc
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.data.audio.recording import WHOLE, Segment
from zoo.data.corpora.files import Loaded
from zoo.data.schema import Clip, Trace
from zoo.data.tables import audformat_database
from zoo.data.tables import files as table_files
from zoo.data.tables import labels as table_labels
from zoo.data.tables import notices as table_notices
from zoo.data.tables import sources as table_sources
from zoo.data.tables import traces as table_traces
from zoo.data.tables.cells import Cells
from zoo.data.tables.labels import Labelled
from zoo.data.tables.values import ABSENT, all_seconds, counted, numbers, read_label_map, vote_columns
from zoo.errors import UserError, shortened, unknown
from zoo.utils.text import original

LAYOUT = """\
file,speaker,emotion
wav/one.wav,anna,angry
wav/two.wav,ben,neutral
Only file is needed; start and end (in seconds) name a segment, split its side, other columns are to be predicted."""
INSIDE = ["*"]
TARGET = "emotion"
OWN = ("file", "start", "end", "speaker", "split", "rater", "channel", "source", "confidence", "time", "trace")
UNKNOWN = "unknown"  # the tag "speaker" of a clip whose speaker nobody named; its file stands for it
_MOST_CLASSES = 100  # of a column to be predicted; one with more texts is a transcript or a name


@dataclass(frozen=True)
class Reading:
    """How a table is read.

    `target` is the column to predict, or several rated dimensions separated by commas; `columns` are pairs of our name
    of a column and the table's, `label_map` a CSV of its labels and what they become, `from_names` a regular expression
    whose named groups in the files' names are columns, `audio_root` the folder of the files (None: the table's own).
    """

    target: str = TARGET
    columns: tuple[tuple[str, str], ...] = ()
    label_map: Path | None = None
    from_names: str = ""
    audio_root: Path | None = None


def load(path: Path, reading: Reading = Reading()) -> Loaded:
    """List the clips of a table or folder, sorted by name; those without labels are there too, as a pool.

    Loaded's `missing` are files that the table names and that are absent, `notices` what is odd. Raises UserError for
    what cannot be read.
    """
    is_collecting = gc.isenabled()
    gc.disable()  # a table makes no circles, and the collector would go through its millions of cells again and again
    try:
        return _read(path, reading)
    finally:
        if is_collecting:
            gc.enable()


def _read(path: Path, reading: Reading) -> Loaded:
    file_column = dict(reading.columns).get("file", "file")
    cells = table_sources.read(path, reading.target, reading.from_names, file_column)
    columns = _named(cells, reading)
    if "file" not in columns:
        found = shortened(list(cells.columns))
        raise UserError(f"{path}: expected a column 'file', found {found}. Name it by --column file=THEIRS")
    if not cells.n_rows:
        raise UserError(f"{path}: expected rows below the header, found none")
    return _loaded(cells, columns, reading)


def classes(clips: Sequence[Clip]) -> tuple[str, ...]:
    """Return the labels of clips, sorted."""
    return tuple(sorted({clip.label for clip in clips} - {""}))


def dimensions(clips: Sequence[Clip]) -> tuple[str, ...]:
    """Return the dimensions that clips are rated in all along, () without ratings."""
    return next((clip.trace.dimensions for clip in clips if clip.trace is not None), ())


def _named(cells: Cells, reading: Reading) -> dict[str, list[str]]:
    """Return the columns by our names, which are found in whichever case the table has them."""
    theirs = {theirs: ours for ours, theirs in reading.columns}
    for name, ours in theirs.items():
        if name not in cells.columns:
            raise unknown(f"column of {cells.path} (--column {ours}={name})", name, cells.columns)
    wanted = (*OWN, *reading.target.split(","))
    found: dict[str, list[str]] = {}
    for name, column in cells.columns.items():
        ours = theirs.get(name) or (name if name in wanted or name.casefold() not in wanted else name.casefold())
        if name in theirs or (ours not in found and ours not in theirs.values()):
            found[ours] = column
    return found


def _loaded(cells: Cells, columns: dict[str, list[str]], reading: Reading) -> Loaded:
    if table_labels.is_label_file(columns):
        columns["file"] = list(map(original, columns["file"]))
    files = columns["file"] = _file_names(cells, columns["file"])
    root = reading.audio_root or _root(cells.path)
    places = table_files.resolve(files, root)
    segments = _segments(cells, columns)
    names = [_clip_name(file, segment) for file, segment in zip(files, segments, strict=True)] if segments else files
    traces = _traces(cells, columns, reading, root, places)
    if traces and segments:
        raise UserError(f"{cells.path}: expected ratings of whole recordings, found segments. Leave out start and end")
    notices: list[str] = []
    others = {} if traces else _others(columns, reading)
    labelled = _recordings(files) if traces else _labelled(cells, columns, names, reading, others, notices)
    clips = list(_clips(columns, places, segments, names, labelled, others, traces))
    missing = sorted(name for name, place in places.items() if place is None)
    return Loaded(clips, cells.ignored, missing, [], [*notices, *table_notices.of_clips(clips)])


def _clips(
    columns: Mapping[str, list[str]],
    places: Mapping[str, Path | None],
    segments: Sequence[Segment],
    names: Sequence[str],
    labelled: Labelled,
    others: Mapping[str, Sequence],
    traces: Mapping[str, Trace],
) -> Iterator[Clip]:
    """Yield the clips that have a file, sorted by name. What clips have in common is one object: there may be millions.

    A clip without a speaker has its file's name in place of one.
    """
    files, speakers, splits = columns["file"], columns.get("speaker"), columns.get("split")
    tags: dict[tuple, dict[str, str]] = {}
    targets: dict[tuple, dict[str, Any]] = {}
    nobody: dict[str, Mapping[str, float]] = {}
    for row in sorted(labelled.rows, key=names.__getitem__):
        file = files[row]
        if (place := places[file]) is None:
            continue
        speaker = speakers[row] if speakers else ""
        kind = splits[row] if splits else "", speaker in ABSENT, row in labelled.by_machine
        values = tuple([column[row] for column in others.values()])
        start, end = segments[row] if segments else WHOLE
        if kind not in tags:
            tags[kind] = _tags(*kind)
        if values not in targets:
            targets[values] = {name: value for name, value in zip(others, values, strict=True) if value is not None}
        yield Clip(
            place,
            names[row],
            file if speaker in ABSENT else speaker,
            labelled.labels[row] if labelled.labels else "",
            tags[kind],
            traces.get(file),
            None,
            start,
            end,
            targets[values],
            labelled.votes.get(row, nobody),
        )


def _tags(split: str, unknown_speaker: bool, by_machine: bool) -> dict[str, str]:
    found = {"split": split, "speaker": UNKNOWN * unknown_speaker, "source": "model" * by_machine}
    return {name: value for name, value in found.items() if value}


def _file_names(cells: Cells, column: Sequence[str]) -> list[str]:
    """Return names of files with "/" and without "." and "..". Raises UserError for a cell without a name."""
    found = [name.replace("\\", "/") for name in column] if any("\\" in name for name in column) else list(column)
    for row, name in enumerate(found):
        if name in ABSENT:
            raise UserError(f"{cells.where(row)}: expected the name of a file, found none. Correct the line")
        if "./" in name or "//" in name:
            found[row] = posixpath.normpath(name)
    return found


def _clip_name(file: str, segment: Segment) -> str:
    """Return the name of a clip: the file's, and of a segment its times in milliseconds."""
    start, end = segment
    return file if segment == WHOLE else f"{file}#{start:.3f}-{'' if end is None else f'{end:.3f}'}"


def _root(path: Path) -> Path:
    if audformat_database.is_database(path):
        return audformat_database.folder_of(path)
    return path if path.is_dir() else path.parent


def _segments(cells: Cells, columns: Mapping[str, list[str]]) -> list[Segment]:
    """Return each row's segment; none for a table without times. Raises UserError for an end that is not behind it."""
    if "start" not in columns and "end" not in columns:
        return []
    nothing: list[float | None] = [None] * cells.n_rows
    starts, ends = (
        all_seconds(cells, columns[name], name) if name in columns else nothing for name in ("start", "end")
    )
    found: list[Segment] = [(start or 0.0, end) for start, end in zip(starts, ends, strict=True)]
    for row, (start, end) in enumerate(found):
        if end is not None and end <= start:
            expected = f"expected an end after the start at {start:g} s"
            raise UserError(f"{cells.where(row)}: {expected}, found {end:g} s. Correct the line")
    return found if any(segment != WHOLE for segment in found) else []


def _traces(
    cells: Cells, columns: Mapping[str, list[str]], reading: Reading, root: Path, places: Mapping[str, Path | None]
) -> dict[str, Trace]:
    """Return the ratings all along each file; none for a table of emotions, unless a target is named."""
    wanted = () if reading.target == TARGET else tuple(reading.target.split(","))
    if not wanted and TARGET in columns:
        return {}
    if table_traces.has_rows_of_time(columns):
        dimensions = wanted or table_traces.dimensions_of(columns, OWN)
        traces = table_traces.of_rows(cells, columns, dimensions) if dimensions else {}
    elif table_traces.names_files(columns, wanted):
        traces = table_traces.of_files(cells, columns, wanted, root)
    else:
        return {}
    table_traces.check(traces, places, cells.path)
    return traces


def _recordings(files: Sequence[str]) -> Labelled:
    """Return the first row of each file of a table with ratings all along."""
    first: dict[str, int] = {}
    for row, file in enumerate(files):
        first.setdefault(file, row)
    return Labelled(list(first.values()), ())


def _others(columns: Mapping[str, list[str]], reading: Reading) -> dict[str, list]:
    """Return the columns that may be predicted, numbers or classes, with None where a value is absent."""
    votes = {f"{reading.target}.{name}" for name in vote_columns(columns, reading.target)}
    found: dict[str, list] = {}
    for name, column in columns.items():
        if name in OWN or name in votes or name == "label":
            continue
        if (values := numbers(column)) is not None:
            found[name] = values
        elif name == reading.target or len(set(column)) <= _MOST_CLASSES:
            found[name] = [None if cell in ABSENT else cell for cell in column]
    return found


def _labelled(
    cells: Cells,
    columns: Mapping[str, list[str]],
    names: Sequence[str],
    reading: Reading,
    others: dict[str, list],
    notices: list[str],
) -> Labelled:
    """Return the clips' labels, and put the class in place of the target's own label in `others`."""
    target, classes = reading.target, read_label_map(reading.label_map)
    column = columns.get(target, columns.get("label") if target == TARGET else None)
    counts = vote_columns(columns, target)
    if table_labels.is_label_file(columns):
        found = table_labels.of_label_file(cells, columns, names, classes, notices)
    elif "rater" in columns and column is not None:
        labels = table_labels.mapped(column, classes, cells, notices)
        found = table_labels.of_raters(cells, columns, names, labels, notices)
        table_labels.average(others, names, found.rows)
    else:
        deciding = ["speaker", "split", "label", target, *(f"{target}.{name}" for name in counts), *others]
        rows = table_labels.of_rows(cells, columns, names, deciding, notices)
        own = None if column is None else table_labels.mapped(column, classes, cells, [] if counts else notices)
        found = Labelled(rows, own or ())
        if counts:
            found = table_labels.of_counts(names, rows, counted(cells, counts, target, classes), own, notices)
    if found.labels and numbers(columns.get(target, ())) is None:
        others[target] = [label or None for label in found.labels]
    return replace(found, votes={row: {target: votes} for row, votes in found.votes.items()})
