"""Parse names of corpora as --corpus gives them: a known corpus, or a user's own table."""

from collections.abc import Sequence
from pathlib import Path

TABLE = "table"
_PREFIX = f"{TABLE}:"
SEPARATOR = "+"  # of the corpora of a pool
POOL = "pool-"  # how names of protocols of pools begin


def is_table(name: str) -> bool:
    """Return whether a corpus name is `table` or `table:PATH`."""
    return (name == TABLE or name.startswith(_PREFIX)) and SEPARATOR not in name


def is_pool(name: str, protocol: str = "", classes: Sequence[str] = ()) -> bool:
    """Return whether a corpus name is of several, a+b, or of one that is taken as a pool: by common names of labels.

    That is one with a `protocol` of pools, and a named corpus with `classes` or a folder of its own, emodb:PATH.
    """
    if protocol.startswith(POOL):
        return True
    return not is_table(name) and (SEPARATOR in name or ":" in name or bool(classes))


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


def of_table(path: Path, in_folder: bool = False) -> str:
    """Return the corpus name that records of a run have for a table: without its folders, which are the user's.

    With `in_folder` the innermost one stays, as many tables are called data.tsv.
    """
    return f"{_PREFIX}{path.parent.name}/{path.name}" if in_folder else f"{_PREFIX}{path.name}"


def without_folders(name: str) -> str:
    """Return a corpus name as part of a folder's name: "table:mine/labels.csv" is "labels"."""
    if SEPARATOR in name:
        return SEPARATOR.join(map(without_folders, name.split(SEPARATOR)))
    return Path(name.removeprefix(_PREFIX)).stem if name.startswith(_PREFIX) else name.partition(":")[0]
