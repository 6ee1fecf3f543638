"""Read a user's own recordings: a table with a row for each file or segment, and columns of what is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from zoo.data.corpora import table_cells, table_files
from zoo.data.corpora.files import Loaded
from zoo.data.corpora.table_cells import Cells
from zoo.data.schema import Clip
from zoo.errors import UserError, shortened, unknown

LAYOUT = """\
file,speaker,emotion
wav/one.wav,anna,angry
wav/two.wav,ben,neutral
Only file is needed; start and end (in seconds) name a segment, split its side, other columns are to be predicted."""
INSIDE = ["*"]
TARGET = "emotion"
_OWN = ("file", "start", "end", "speaker", "split", "rater", "channel", "source", "confidence", "time")
_ABSENT = frozenset(("", "nan", "NaN", "NAN", "NA", "N/A", "n/a", "null", "NULL", "#N/A"))
_NOTHING: Mapping = MappingProxyType({})
UNKNOWN_SPEAKER: Mapping[str, str] = MappingProxyType({"speaker": "unknown"})


@dataclass(frozen=True)
class Reading:
    """How a table is read.

    `columns` are pairs of our name of a column and the table's, `label_map` a CSV of its labels and what they become,
    `audio_root` the folder of its files (None: the table's own).
    """

    target: str = TARGET
    columns: tuple[tuple[str, str], ...] = ()
    label_map: Path | None = None
    audio_root: Path | None = None


def load(path: Path, reading: Reading = Reading()) -> Loaded:
    """List the clips of a table, sorted by name. Raises UserError for what cannot be read."""
    stamp = path.stat() if path.exists() else None
    return _load(path, reading, stamp and (stamp.st_mtime_ns, stamp.st_size))


@lru_cache(maxsize=2)
def _load(path: Path, reading: Reading, stamp: object) -> Loaded:
    cells = table_cells.read(path)
    columns = _named(cells, reading)
    if "file" not in columns:
        raise UserError(
            f"{path}: expected a column 'file', found {shortened(list(cells.columns))}. Name it by --column file=THEIRS"
        )
    if not cells.n_rows:
        raise UserError(f"{path}: expected rows below the header, found none")
    return _loaded(cells, columns, reading)


def _named(cells: Cells, reading: Reading) -> dict[str, list[str]]:
    """Return the columns by our names, in whichever case the table has them."""
    theirs = {theirs: ours for ours, theirs in reading.columns}
    for name in theirs:
        if name not in cells.columns:
            raise unknown(f"column of {cells.path} (--column {theirs[name]}={name})", name, cells.columns)
    found: dict[str, list[str]] = {}
    for name, column in cells.columns.items():
        ours = theirs.get(name, name.casefold() if name.casefold() in (*_OWN, reading.target) else name)
        if ours not in found or name in theirs:
            found[ours] = column
    return found


def _loaded(cells: Cells, columns: Mapping[str, list[str]], reading: Reading) -> Loaded:
    n_rows = cells.n_rows
    files = [name.replace("\\", "/") for name in columns["file"]]
    for row, name in enumerate(files):
        if not name:
            raise UserError(f"{cells.where(row)}: expected the name of a file, found none. Correct the line")
    places = table_files.resolve(files, reading.audio_root or cells.path.parent)
    labels = columns.get(reading.target)
    if labels is None and reading.target == TARGET:
        labels = columns.get("label")  # as the files of scripts/label.py call it
    speakers, splits = columns.get("speaker"), columns.get("split")
    clips: dict[str, Clip] = {}
    missing: dict[str, None] = {}
    for row in range(n_rows):
        name = files[row]
        place = places[name]
        if place is None:
            missing[name] = None
            continue
        label = "" if labels is None or labels[row] in _ABSENT else labels[row]
        speaker = speakers[row] if speakers is not None else ""
        tags = {"split": splits[row]} if splits is not None else _NOTHING
        if speaker in _ABSENT:
            speaker, tags = name, {**tags, **UNKNOWN_SPEAKER}
        clip = Clip(place, name, speaker, label, tags, targets=_NOTHING, votes=_NOTHING)
        before = clips.setdefault(name, clip)
        if before is not clip and before != clip:
            raise UserError(f"{cells.where(row)}: {name} has another line with other labels. Keep one of them")
    return Loaded([clips[name] for name in sorted(clips)], {}, sorted(missing), [])


def classes(clips: list[Clip]) -> tuple[str, ...]:
    """Return the labels of clips, sorted."""
    return tuple(sorted({clip.label for clip in clips} - {""}))
