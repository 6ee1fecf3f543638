"""Find the cells of a user's own corpus: a table, an audformat database, names of files, or a folder per class."""

import os
import re
from pathlib import Path

from zoo.data.tables import audformat_database
from zoo.data.tables import cells as table_cells
from zoo.data.tables.cells import Cells
from zoo.data.tables.files import is_audio, without_audio_suffix
from zoo.errors import UserError, shortened


def read(path: Path, target: str, from_names: str = "", file_column: str = "file") -> Cells:
    """Return the cells of a table or folder; `from_names` is a regular expression whose named groups are columns.

    `file_column` is what the table calls its column of files. Raises UserError for what cannot be read.
    """
    if audformat_database.is_database(path):
        cells = audformat_database.read(path, target)
    elif not path.exists():
        raise UserError(f"{path}: expected a table or a folder of recordings, found nothing there. Check the path")
    elif path.is_dir():
        return _of_names(path, from_names) if from_names else _of_folders(path, target)
    else:
        cells = table_cells.read(path)
    return _with_names(cells, _compiled(from_names), file_column) if from_names else cells


def _of_names(root: Path, from_names: str) -> Cells:
    """Return a row for each audio file whose name, below `root` and without its extension, matches."""
    pattern, files = _compiled(from_names), _audio_below(root)
    columns: dict[str, list[str]] = {"file": [], **{name: [] for name in pattern.groupindex}}
    ignored = 0
    for file in files:
        match = _match(pattern, file)
        if match is None:
            ignored += 1
            continue
        columns["file"].append(file)
        for name in pattern.groupindex:
            columns[name].append((match[name] or "").strip())
    if not columns["file"]:
        found = f"found {shortened(files)}" if files else "found no audio file"
        raise UserError(
            f"--from-names {from_names}: expected names below {root} that match as wholes, without their extension, "
            f"{found}. Correct the expression"
        )
    return Cells(root, columns, ignored={"name does not match --from-names": ignored} if ignored else {})


def _of_folders(root: Path, target: str) -> Cells:
    """Return a row for each audio file; its class is the name of the first folder below `root` that it is in."""
    tables = sorted(
        path.name for path in root.iterdir() if path.suffix.lower() in table_cells.SUFFIXES[:4] and path.is_file()
    )
    if tables:
        raise UserError(
            f"{root}: expected a folder for each class, found tables too: {shortened(tables)}. Give the table itself, "
            "or --from-names, or move the tables out of the folder"
        )
    files = _audio_below(root)
    if not files:
        raise UserError(f"{root}: expected a folder for each class with audio files in it, found none")
    labels = [file.split("/")[0] if "/" in file else "" for file in files]
    return Cells(root, {"file": files, **({target: labels} if any(labels) else {})})


def _with_names(cells: Cells, pattern: re.Pattern[str], file_column: str) -> Cells:
    """Return a table's cells with columns of the names in its column of files."""
    if file_column not in cells.columns:
        raise UserError(f"{cells.path}: --from-names needs a column 'file'. Name it by --column file=THEIRS")
    found: dict[str, list[str]] = {name: [] for name in pattern.groupindex}
    for row, file in enumerate(cells.columns[file_column]):
        match = _match(pattern, file.replace("\\", "/"))
        if match is None:
            expected = f"expected a name that matches --from-names {pattern.pattern}"
            raise UserError(f"{cells.where(row)}: {expected}, found {file!r}. Correct the line or the expression")
        for name, column in found.items():
            column.append((match[name] or "").strip())
    return Cells(cells.path, {**cells.columns, **found}, cells.lines, cells.ignored)


def _match(pattern: re.Pattern[str], file: str) -> re.Match[str] | None:
    """Match the path without extension, or the file's own name where the expression has no slash."""
    name = without_audio_suffix(file)
    return pattern.fullmatch(name if "/" in pattern.pattern else name.rpartition("/")[2])


def _compiled(from_names: str) -> re.Pattern[str]:
    example = r"e.g. --from-names '(?P<speaker>\w+)_(?P<emotion>\w+)_\d+'"
    try:
        pattern = re.compile(from_names)
    except re.error as error:
        raise UserError(
            f"--from-names {from_names}: expected a regular expression, found {error}; {example}"
        ) from error
    if not pattern.groupindex:
        raise UserError(f"--from-names {from_names}: expected named groups, found none; {example}")
    return pattern


def _audio_below(root: Path) -> list[str]:
    """Return the audio files below a folder, by path relative to it; hidden ones are left out."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        own = Path(folder).relative_to(root)
        found += [(own / name).as_posix() for name in names if not name.startswith(".") and is_audio(name)]
    return sorted(found)
