"""Do work on any number of items shard by shard on the workers of a pool; what is finished stays, whatever is killed.

    OUT/manifest.json       what is made of how many items, and by what
    OUT/items.jsonl         the items, each once, a line of JSON each; shard N has the Nth SIZE of them
    OUT/shards/NNNNNN.*     the result of a shard; appears whole, by renaming
    OUT/failed.csv          what could not be used: file, kind, error; written at the end, where there is any
    OUT/workers/            what the workers printed

A shard's result depends on its items alone, so that it is the same whichever worker makes it, in whatever order.
Resuming makes the results that are absent, also those of shards that were given up.
"""

import hashlib
import json
import os
import secrets
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from zoo.distributed.pool import Task
from zoo.distributed.shard import FAILED, FAILED_HEADER, PLACE, name_of, write_failed
from zoo.errors import UserError
from zoo.utils.atomic_files import ASIDE, aside_of, is_being_written, written_aside
from zoo.utils.json_files import read_json
from zoo.utils.portable import lock, unlock

MANIFEST, ITEMS = "manifest.json", "items.jsonl"
_LOST = "-lost"  # behind the name of a shard that was given up
_UNUSABLE = "unusable.csv"  # what was no item in the first place
_SHAPE = {"id": str, "about": {str: object}, "n_items": int, "items_sha256": str, "shard_size": int}


class Shards:
    """The shards of a folder as tasks (zoo.distributed.drive.Work); made by `opened`.

    `before`, `done` and `lost` count those finished before, those finished, and those given up.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any], starts: "array[int]", suffix: str):
        self.folder, self.n_items, self.size = folder, manifest["n_items"], manifest["shard_size"]
        self._starts, self._suffix = starts, suffix  # where each shard begins in ITEMS, in bytes
        found = {path.name for path in (folder / PLACE).iterdir()}
        waiting = (number for number in range(len(starts)) if f"{name_of(number)}{suffix}" not in found)
        self._waiting = deque(waiting)
        self._running: set[int] = set()
        self.before = len(starts) - len(self._waiting)
        self.done, self.lost = self.before, 0

    def __len__(self) -> int:
        return len(self._starts)

    def is_done(self) -> bool:
        return not self._waiting

    def together(self) -> AbstractContextManager:
        return nullcontext()

    def next(self, worker: str) -> Task | str:
        if not self._waiting:
            return "wait" if self._running else "done"
        number = self._waiting.popleft()
        self._running.add(number)
        return Task(name_of(number), {"shard": number, "items": self._items(number)}, PLACE)

    def begins(self, task: str, worker: str) -> str:
        return ""

    def finish(self, task: str, outcome: Mapping[str, Any], worker: str) -> str:
        """Count a shard that was finished, or give it up. Raises UserError for an error that others would have too."""
        if "error" in outcome:
            raise UserError(outcome["error"], "What was finished is kept: go on with --resume.")
        if "broken" in outcome:
            return self.give_up(task, outcome["broken"], 0.0, worker)
        self._running.discard(int(task))
        self._lost(int(task)).unlink(missing_ok=True)  # of an earlier command
        self.done += 1
        return ""

    def release(self, task: str, worker: str, cause: str) -> str:
        self._running.discard(int(task))
        self._waiting.appendleft(int(task))
        return f"{worker} was lost with shard {task}: {cause}"

    def give_up(self, task: str, reason: str, seconds: float, worker: str) -> str:
        """Name a shard's files as failed."""
        number, message = int(task), f"shard {task} was given up: {reason}"
        self._running.discard(number)
        self.lost += 1
        names = [_called(item) for item in self._items(number)]
        write_failed(self._lost(number), [(name, "lost", f"{name}: {message}") for name in names])
        return f"{message}; its {len(names)} files are named in failed.csv"

    def collect_failed(self) -> int:
        """Write failed.csv of what every shard's list says; return of how many files. Removes what killed ones left."""
        _sweep(self.folder)
        n_failed, path = 0, self.folder / "failed.csv"
        with written_aside(path) as aside, aside.open("wb") as file:
            file.write(FAILED_HEADER)
            for line in self._failed_lines():
                file.write(line)
                n_failed += 1
        if not n_failed:
            path.unlink()
        return n_failed

    def _failed_lines(self) -> Iterator[bytes]:
        """Yield the lines of all failure lists without their headers; no cell holds a line feed."""
        for path in chain([self.folder / _UNUSABLE], map(self._failure_list, range(len(self)))):
            if path.exists():
                with path.open("rb") as file:
                    yield from islice(file, 1, None)

    def _failure_list(self, number: int) -> Path:
        base = self.folder / PLACE / name_of(number)
        is_finished = base.with_name(f"{base.name}{self._suffix}").exists()
        return base.with_name(f"{base.name}{FAILED}") if is_finished else self._lost(number)

    def _lost(self, number: int) -> Path:
        return self.folder / PLACE / f"{name_of(number)}{_LOST}"

    def _items(self, number: int) -> list[Any]:
        with (self.folder / ITEMS).open("rb") as file:
            file.seek(self._starts[number])
            return [json.loads(line) for line in islice(file, self.size)]


@contextmanager
def opened(
    folder: Path, about: Mapping[str, Any], items: Iterable[Any], shard_size: int, suffix: str, resume: bool
) -> Iterator[Shards]:
    """Cut items into shards, or go on with those of a folder; no other process can, until the body ends.

    An item is a name, or a list that begins with one, in JSON's types. `about` is what else the results depend on.
    `suffix` is that of a shard's result. Raises UserError where another process holds the folder, where there are no
    items, for results that are there without `resume`, and for those of other items or another `about`.
    """
    if shard_size < 1:
        raise UserError(f"--shard-size is {shard_size}, expected at least 1")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder}: expected a folder, found a file. Give another name")
    try:
        (folder / PLACE).mkdir(parents=True, exist_ok=True)
        held = lock(folder / ".lock")
    except BlockingIOError as error:
        raise UserError(f"{folder}: another process writes to it; wait for it or choose another --out") from error
    except OSError as error:
        raise UserError(f"--out {folder}: cannot be written ({error.strerror}); choose another folder") from error
    try:
        yield _begun(folder, about, items, shard_size, suffix, resume)
    finally:
        unlock(held)


def write_unusable(folder: Path, failed: Sequence[tuple[str, str, str]]) -> None:
    """Keep what could not be made an item, for failed.csv."""
    write_failed(folder / _UNUSABLE, failed)


def _begun(
    folder: Path, about: Mapping[str, Any], items: Iterable[Any], shard_size: int, suffix: str, resume: bool
) -> Shards:
    _sweep(folder)
    is_begun = any((folder / PLACE).glob(f"[0-9]*{suffix}"))
    if is_begun and not resume:
        raise UserError(f"{folder}: has results already; add --resume to go on with them, or choose another --out")
    aside = aside_of(folder / ITEMS)
    try:
        starts, n_items, digest = _write_items(aside, items, shard_size)
        if not n_items:
            raise UserError("expected names of audio files, found none. Give a list that is not empty")
        new = {
            "about": json.loads(json.dumps(about)),
            "n_items": n_items,
            "items_sha256": digest,
            "shard_size": shard_size,
        }
        if is_begun:
            _check_same(folder, new)
        else:
            with written_aside(folder / ITEMS) as final:
                os.replace(aside, final)  # noqa: PTH105
            with written_aside(folder / MANIFEST) as final:  # one line, by which nodes know the folder
                final.write_text(json.dumps({"id": secrets.token_hex(16), **new}) + "\n")
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror}); free space or choose another --out"
        ) from error
    finally:
        aside.unlink(missing_ok=True)
    return Shards(folder, new, starts, suffix)


def _sweep(folder: Path) -> None:
    """Remove the unfinished files of processes that are gone."""
    for path in [*folder.glob(f"{ASIDE}*"), *(folder / PLACE).glob(f"{ASIDE}*")]:
        if not is_being_written(path):
            path.unlink(missing_ok=True)


def _check_same(folder: Path, new: Mapping[str, Any]) -> None:
    """Raise UserError unless a folder was begun with what is given now."""
    old = read_json(folder / MANIFEST, "what the results in the folder are", _SHAPE, "Choose another --out")
    if not (folder / ITEMS).is_file():
        raise UserError(
            f"{folder / ITEMS}: expected the items of the results there, found no file; choose another --out"
        )
    parts = {"shard_size": "--shard-size", "n_items": "number of files", "items_sha256": "list of files"}
    differ = [(title, old[name], new[name]) for name, title in parts.items() if old[name] != new[name]]
    names = [*old["about"], *(name for name in new["about"] if name not in old["about"])]
    for name in names:
        before, now = old["about"].get(name), new["about"].get(name)
        if before != now:
            differ.append((name.replace("_", " "), before, now))
    if differ:
        title, before, now = differ[0]
        raise UserError(
            f"--resume: {folder} was begun with another {title}, {before}, and this is {now}. Give the command it was "
            "begun with, or choose another --out"
        )


def _write_items(path: Path, items: Iterable[Any], shard_size: int) -> tuple["array[int]", int, str]:
    """Write items to a file, each once; return where shards begin, the number of items and the file's SHA-256.

    Eight bytes per item are in memory: those with equal hashes are compared when the file is read again.
    """
    hashes = array("q")
    with path.open("wb") as file:
        for item in items:
            line = json.dumps(item).encode() + b"\n"
            hashes.append(hash(line))
            file.write(line)
    in_order = np.sort(np.frombuffer(hashes, np.int64)) if hashes else np.empty(0, np.int64)
    twice = set(in_order[1:][in_order[1:] == in_order[:-1]].tolist())
    if twice:
        once = aside_of(path)
        with path.open("rb") as file, once.open("wb") as other:
            other.writelines(_each_once(file, twice))
        once.replace(path)
    starts, n_items, place, digest = array("Q"), 0, 0, hashlib.sha256()
    with path.open("rb") as file:
        for line in file:
            if n_items % shard_size == 0:
                starts.append(place)
            digest.update(line)
            n_items, place = n_items + 1, place + len(line)
    return starts, n_items, digest.hexdigest()


def _each_once(lines: Iterable[bytes], twice: set[int]) -> Iterator[bytes]:
    """Yield lines without those that came before; `twice` are the hashes that several of them have."""
    seen: set[bytes] = set()
    for line in lines:
        if hash(line) in twice:
            if line in seen:
                continue
            seen.add(line)
        yield line


def _called(item: Any) -> str:
    return item if isinstance(item, str) else item[0]
