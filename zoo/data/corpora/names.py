"""Parse names of corpora as --corpus gives them: a known corpus, or a user's own table."""

from pathlib import Path

TABLE = "table"
_PREFIX = f"{TABLE}:"


def is_table(name: str) -> bool:
    """Return whether a corpus name is `table` or `table:PATH`."""
    return name == TABLE or name.startswith(_PREFIX)


def table_path(name: str, data_root: str) -> Path | None:
    """Return where the table of a corpus name is, None where neither name nor `data_root` says it.

    `data_root` is the table itself, or the folder that `table:PATH` is below.
    """
    own = name.removeprefix(_PREFIX) if name.startswith(_PREFIX) else ""
    if not data_root:
        return Path(own).expanduser() if own else None
    root = Path(data_root).expanduser()
    inside = root / own
    return inside if own and root.is_dir() and inside.exists() else root


def of_table(path: Path) -> str:
    """Return the corpus name that records of a run have for a table: without its folders, which are the user's."""
    return f"{_PREFIX}{path.name}"


def without_folders(name: str) -> str:
    """Return a corpus name as part of a folder's name: "table:mine/labels.csv" is "labels"."""
    return Path(name.removeprefix(_PREFIX)).stem if name.startswith(_PREFIX) else name
