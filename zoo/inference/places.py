"""Find what predict.py is to answer: files, folders, lists and pipes, and what of these cannot be used."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from zoo.data.audio import find, list_files, pipes
from zoo.data.audio.formats import READABLE_SUFFIXES
from zoo.data.audio.lists import names_in
from zoo.errors import UserError
from zoo.inference.predictions_file import Answers, Failure

_ABSENT = "{}: no such file or folder. Check the path"


@dataclass(frozen=True)
class Places:
    """Files to predict, each once and in order; `failed` are names that cannot be used.

    What came by a pipe is in a file of its own: `pipes` maps that file to the pipe's name.
    """

    files: list[Path]
    failed: list[Failure]
    pipes: dict[str, str]

    def renamed(self, batches: Iterable[Answers]) -> Iterator[Answers]:
        """Yield answers in which what came by a pipe has the pipe's name."""
        for rows, failed in batches:
            for row in rows if self.pipes else ():
                row["file"] = self.pipes.get(row["file"], row["file"])
            yield Answers(rows, [self._renamed(failure) for failure in failed])

    def _renamed(self, failure: Failure) -> Failure:
        name = self.pipes.get(failure.file)
        return Failure(name, failure.kind, failure.error.replace(failure.file, name)) if name else failure


@contextmanager
def found(named: Sequence[str], list_: Path | None = None, standard_input: BinaryIO | None = None) -> Iterator[Places]:
    """Find the files that are named, those in a list and those in a list on standard input, and read the pipes named.

    Folders stand for the audio in them. Raises UserError for a list that cannot be read, and where nothing that is
    named is there and there is no list.
    """
    failed: dict[str, Failure] = {}

    def on_bad(name: str, message: str) -> None:
        failed.setdefault(name, Failure(name, "missing", message))

    files = find.audio_files(named, on_bad, pipes=True)
    if not list_ and not standard_input and not any(map(os.path.exists, files)):
        raise UserError([*(failure.error for failure in failed.values()), *map(_ABSENT.format, files)][0])
    piped = [file for file in files if pipes.is_pipe(file)]
    if list_:
        files += find.audio_files(list_files.names_of(list_, f"--list {list_}"), on_bad)
    if standard_input:
        files += find.audio_files(names_in(standard_input, "--from-stdin"), on_bad)
    with tempfile.TemporaryDirectory(prefix="zoo-pipes-") if piped else nullcontext("") as folder:
        copies = {file: Path(folder, str(number)) for number, file in enumerate(piped)}
        for pipe, copy in copies.items():
            try:
                pipes.copy(pipe, copy)
            except UserError as error:
                on_bad(str(pipe), str(error))
        wanted = [copies.get(file, file) for file in dict.fromkeys(files) if str(file) not in failed]
        yield Places(wanted, list(failed.values()), {str(copy): str(pipe) for pipe, copy in copies.items()})


def in_turn(
    named: Sequence[str],
    list_: Path | None,
    standard_input: BinaryIO | None,
    on_bad: Callable[[str, str], None],
) -> Iterator[str]:
    """Yield the files that are named, those in a list and those in a list on standard input, without holding them.

    Files may come twice; pipes are refused. A name of a usual form that ends like audio is not looked up, which takes
    a millisecond on some disks: reading says what is wrong with it. Of what cannot be used else, `on_bad` gets name and
    message. Errors are those of `found`.
    """
    lists = [iter(named)]
    if list_:
        lists.append(list_files.names_of(list_, f"--list {list_}"))
    if standard_input:
        lists.append(iter(names_in(standard_input, "--from-stdin")))
    for name in chain.from_iterable(lists):
        if name.lower().endswith(READABLE_SUFFIXES) and name.isascii() and name.isprintable():
            yield str(Path(name))
        else:
            yield from map(str, find.audio_files([name], on_bad))
