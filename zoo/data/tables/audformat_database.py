"""Read a table of an audformat database (Wagner et al. 2021, doi 10.5281/zenodo.6515838): a folder with db.yaml."""

from pathlib import Path
from typing import Any

from zoo.data.tables.cells import Cells, of_values
from zoo.errors import UserError, shortened, unknown
from zoo.utils import extras

_HEADER = "db.yaml"


def is_database(path: Path) -> bool:
    """Return whether a path is a database's folder, or one of its tables: FOLDER/db.NAME, with or without extension."""
    own_table = path.name.startswith("db.") and path.suffix != ".yaml" and (path.parent / _HEADER).is_file()
    return (path / _HEADER).is_file() or own_table


def folder_of(path: Path) -> Path:
    """Return the database's folder, which the names of its files are relative to."""
    return path if (path / _HEADER).is_file() else path.parent


def read(path: Path, target: str) -> Cells:
    """Return the cells of one table, or of all that are parts of a split, with its speakers from whichever table.

    Without a table's name it is the one called as the target, or the only one with it. Raises UserError where there is
    none, or several.
    """
    extras.need("audformat", f"{path}: an audformat database")
    import audformat
    import pandas as pd

    folder = folder_of(path)
    if pickled := sorted(file.name for file in folder.glob("db.*.pkl")):
        found = f"found pickled ones, which can run any program: {shortened(pickled)}"
        raise UserError(f"{folder}: expected tables as CSV or Parquet, {found}. Save the database as one of these")
    try:
        db: Any = audformat.Database.load(str(folder), load_data=True)
    except Exception as error:  # whatever the package's parsers find wrong
        found = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
        raise UserError(
            f"{folder}: expected an audformat database, found one that cannot be loaded ({found})"
        ) from error
    frames = []
    for name in _tables(db, path, target):
        frame = db[name].get().copy()
        frame.columns = [target if one != target and _scheme(db[name], one) == target else one for one in frame.columns]
        if "split" not in frame.columns and db[name].split_id is not None:
            frame["split"] = db.splits[db[name].split_id].type
        frames.append(frame.reset_index())
    joined = pd.concat(frames, ignore_index=True)
    if "speaker" not in joined.columns:
        speakers = _speakers(db)
        of_files = [speakers.get(file) for file in joined["file"]]
        joined["speaker"] = pd.Series(of_files, joined.index, dtype="object")  # numbers beside None would become floats
    values = joined.astype(object).where(joined.notna(), None)
    return of_values(path, {str(name): list(values[name]) for name in values.columns})


def _tables(db: Any, path: Path, target: str) -> list[str]:
    known = list(db.tables)
    if not (path / _HEADER).is_file():
        name = path.name.removeprefix("db.")
        name = name if name in known else name.rpartition(".")[0]
        if name not in known:
            raise unknown(f"table of {path.parent}", path.name.removeprefix("db."), known)
        return [name]
    having = [name for name in known if any(target in (one, _scheme(db[name], one)) for one in db[name].columns)]
    if target in having or len(having) == 1:
        return [target] if target in having else having
    parts = [name for name in having if db[name].split_id is not None]
    if len(parts) > 1 or not having:
        return parts or known[:1]  # without the target: a pool
    raise UserError(
        f"{path}: expected one table with {target!r}, found {shortened(having)}. Give one as {path / 'db.NAME'}"
    )


def _scheme(table: Any, column: str) -> str | None:
    return table.columns[column].scheme_id


def _speakers(db: Any) -> dict[str, Any]:
    """Return the speaker of each file, from the tables of whole files that have one."""
    found: dict[str, Any] = {}
    for name in db.tables:
        table = db[name]
        if table.is_filewise and "speaker" in table.columns:
            column = table.get()["speaker"]
            found |= {file: speaker for file, speaker in column.items() if speaker == speaker}
    return found
