"""Store features of many recordings in few files, as 32-bit or 16-bit floats or as 8-bit integers, and read them back.

Feature = offset + scale * stored, by column and file, in double precision. As float32, scale is 1 and offset 0. As
float16, scale is a power of two that brings the column's largest magnitude to 2^14 or just below 2^15 (columns of
ComParE exceed what float16 holds), so that the error is at most 2^-11 of a value, or 2^-40 of the column's largest. As
int8, -127..127 cover the column's range evenly, so that the error is at most 1/508 of it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from zoo.distributed.shard import PLACE
from zoo.errors import UserError
from zoo.utils import extras
from zoo.utils.text import cell, original

STORAGES = ("float32", "float16", "int8")
SUFFIXES = {"npz": ".npz", "parquet": ".parquet"}
_MOST_FLOAT16 = 2.0**15  # half of the largest power of two below its largest number
_KEY = b"speech-emotion-zoo"  # of a Parquet file's metadata


@dataclass(frozen=True)
class Stored:
    """Features of recordings: `values` (frames of all, columns) of one of `STORAGES`, in order.

    `n_frames` (recordings,) says whose they are; `scale` and `offset` (columns,) are float32.
    """

    names: Sequence[str]
    n_frames: np.ndarray
    values: np.ndarray
    scale: np.ndarray
    offset: np.ndarray

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each recording's name and its features, float32 (frames, columns)."""
        ends = np.cumsum(self.n_frames)
        for name, start, end in zip(self.names, ends - self.n_frames, ends, strict=True):
            values = self.offset + self.scale * self.values[start:end].astype(np.float64)
            yield name, values.astype(np.float32)


def stored(names: Sequence[str], features: Sequence[np.ndarray], storage: str) -> Stored:
    """Quantise features, finite float32 (frames, columns) of each recording."""
    columns = features[0].shape[1] if features else 0
    values = np.concatenate(features) if features else np.empty((0, 0), np.float32)
    scale, offset = np.ones(columns, np.float32), np.zeros(columns, np.float32)
    if storage == "float16" and len(values):
        largest = np.abs(values).max(axis=0).astype(np.float64)
        exponent = np.frexp(np.where(largest > 0, largest, _MOST_FLOAT16 / 2))[1]
        # Not below 2^-126, the smallest normal float32: columns of zeros and such.
        scale = np.ldexp(1.0, np.clip(exponent - 15, -126, 127)).astype(np.float32)
        values = (values / scale.astype(np.float64)).astype(np.float16)
    elif storage == "int8" and len(values):
        low, high = (edge(values, axis=0).astype(np.float64) for edge in (np.min, np.max))
        offset = ((low + high) / 2).astype(np.float32)
        # The offset was rounded: the scale covers what is farther from it.
        reach = np.maximum(high - offset, offset - low) / 127
        scale = np.where(reach > 0, reach, 1.0).astype(np.float32)
        values = np.rint((values - offset.astype(np.float64)) / scale).clip(-127, 127).astype(np.int8)
    return Stored(names, np.array([len(one) for one in features], np.int64), values, scale, offset)


def write(path: Path, shard: Stored) -> None:
    """Write a shard as .npz or .parquet, by the suffix; Parquet has a row per recording and escapes names as CSV does.

    Raises UserError where pyarrow is not installed.
    """
    if path.suffix == ".npz":
        parts = {name: getattr(shard, name) for name in ("n_frames", "values", "scale", "offset")}
        with path.open("wb") as file:
            np.savez(file, names=np.array(shard.names, dtype=np.str_), **parts)
        return
    arrow, parquet = pyarrow(path)
    n_columns = len(shard.scale)
    ends = np.concatenate([[0], np.cumsum(shard.n_frames * n_columns)])
    columns = {
        "file": arrow.array([cell(name) for name in shard.names], arrow.string()),
        "n_frames": arrow.array(shard.n_frames),
        "values": arrow.LargeListArray.from_arrays(arrow.array(ends), arrow.array(shard.values.ravel())),
    }
    facts = {"scale": shard.scale.tolist(), "offset": shard.offset.tolist()}
    parquet.write_table(arrow.table(columns).replace_schema_metadata({_KEY: json.dumps(facts)}), path)


def read(path: Path) -> Stored:
    """Read what `write` wrote. Raises UserError for a file that is absent, damaged or another."""
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as parts:
                found = {name: parts[name] for name in ("n_frames", "values", "scale", "offset")}
                return Stored(parts["names"].tolist(), **found)
        _, parquet = pyarrow(path)
        table = parquet.read_table(path)
        facts = json.loads(table.schema.metadata[_KEY])
        scale, offset = (np.array(facts[name], np.float32) for name in ("scale", "offset"))
        values = table.column("values").combine_chunks().flatten().to_numpy(zero_copy_only=False)
        names = [original(name) for name in table.column("file").to_pylist()]
        return Stored(names, table.column("n_frames").to_numpy(), values.reshape(-1, max(1, len(scale))), scale, offset)
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:  # pyarrow's errors are ValueErrors too
        raise UserError(f"{path}: expected features that extract.py wrote, found another file ({error})") from error


def read_folder(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield names and features, float32 (frames, columns), of what extract.py wrote, in the order of its list.

    One shard is in memory at a time. Raises UserError where there is none, or one is damaged.
    """
    paths = sorted(path for path in (folder / PLACE).glob("[0-9]*") if path.suffix in SUFFIXES.values())
    if not paths:
        raise UserError(f"{folder}: expected a folder that extract.py made, found no shards of features in it")
    for path in paths:
        yield from read(path)


def pyarrow(what: object) -> tuple[Any, Any]:
    """Return pyarrow and its module for Parquet. Raises UserError, which begins with `what`, without it."""
    extras.need("parquet", f"{what}: Parquet", "take --format npz")
    import pyarrow as arrow
    from pyarrow import parquet

    return arrow, parquet
