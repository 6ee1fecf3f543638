"""List a corpus's audio files, and read its label files line by line."""

import csv
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from zoo.data.audio.formats import AUDIO_SUFFIXES
from zoo.data.schema import Clip
from zoo.errors import UserError

NOT_LABELLED = "no line in the label files"  # why a file is left out
NO_EMOTION = "unknown emotion code"


@dataclass(frozen=True)
class Loaded:
    """The files that a loader lists in a corpus's folder."""

    clips: list[Clip]  # sorted by name
    ignored: dict[str, int]  # how many files were left out, by reason
    missing: list[str]  # clip names that the label files hold and the audio folders do not
    duplicates: list[str]  # files below the corpus's folder, left out as an earlier one has the same clip name
    notices: list[str] = field(default_factory=list)  # sentences on what is odd, which every result carries


class Line(NamedTuple):
    """A line of a label file: its number from 1, and its text without surrounding space."""

    path: Path
    number: int
    text: str

    def fields(self, delimiter: str = ",") -> list[str]:
        """Split the line as CSV; releases have blanks and tabs around and within their fields."""
        fields = next(csv.reader([self.text], delimiter=delimiter, skipinitialspace=True))
        return [" ".join(field.split()) for field in fields]

    def numbers(self, fields: Sequence[str], key: str) -> list[float]:
        """Convert fields that follow a `key` ("time"). Raises UserError for one that is no finite number."""
        try:
            values = [float(field) for field in fields]
        except ValueError as error:
            raise self.broken(f"a {key} and numbers") from error
        if not all(map(math.isfinite, values)):
            raise self.broken("finite numbers")
        return values

    def broken(self, expected: str) -> UserError:
        """Return the error for a line that cannot be read."""
        found = self.text if len(self.text) <= 100 else self.text[:100] + "..."
        where = f"{self.path}, line {self.number}"
        return UserError(f"{where}: expected {expected}, found {found!r}. Correct the line or restore the file.")


def collect(
    root: Path,
    patterns: Collection[str],
    names: re.Pattern[str],
    read_clip: Callable[[Path, re.Match[str]], Clip | str],
    labelled: Collection[str] = (),
    suffixes: Sequence[str] = AUDIO_SUFFIXES,
) -> Loaded:
    """List the audio files under `root` that match `patterns` (globs), in the order of their paths.

    `read_clip` makes a clip of a path and the match of its stem with `names`, or states why the file is left out.
    `labelled` are the clip names in the label files. Raises UserError where no clip is found, and for a folder that
    cannot be read, which globs leave out.
    """
    _check_folders(root, patterns)
    clips: dict[str, Clip] = {}
    ignored: Counter[str] = Counter()
    duplicates: list[str] = []
    either = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
    for path in sorted(path for pattern in patterns for path in root.glob(pattern) if not path.is_dir()):
        clip: Clip | str
        if path.name.startswith("."):
            clip = "hidden file"
        elif path.suffix.lower() not in suffixes:
            clip = f"not {either}"
        else:
            match = names.fullmatch(path.stem)
            clip = read_clip(path, match) if match else "name not of this corpus"
        if isinstance(clip, str):
            ignored[clip] += 1
        elif clip.name in clips:
            duplicates.append(path.relative_to(root).as_posix())
        else:
            clips[clip.name] = clip
    if not clips:
        left_out = ", ".join(f"{reason}: {count}" for reason, count in sorted(ignored.items())) or "no file at all"
        labels = f" The label files name {len(labelled)} clips." if labelled else ""
        raise UserError(
            f"{root}: no clip found. Expected {either} files as {' or '.join(patterns)}, found none ({left_out})."
            f"{labels} Check that the audio was unpacked here."
        )
    missing = sorted(set(labelled) - clips.keys())
    return Loaded([clips[name] for name in sorted(clips)], dict(ignored), missing, duplicates)


def _check_folders(root: Path, patterns: Collection[str]) -> None:
    for above in {above for pattern in patterns for above in PurePosixPath(pattern).parents}:
        for folder in filter(Path.is_dir, root.glob(str(above)) if above.name else [root]):
            try:
                os.scandir(folder).close()
            except PermissionError as error:
                raise UserError(f"{folder}: the folder cannot be read. Change its permissions.") from error


def label_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a label file that are not blank; bytes that are not UTF-8 (comments) become U+FFFD.

    Raises UserError where the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise UserError(f"{path}: expected a label file, found {error.strerror}. Check the corpus's copy.") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield Line(path, number, line.strip())


def label_table(path: Path, *columns: str) -> Iterator[tuple[Line, dict[str, str]]]:
    """Yield the lines of a CSV label file below its header, each with its fields by column name in lower case.

    Raises UserError where the header lacks one of `columns`, in whichever case.
    """
    lines = label_lines(path)
    first = next(lines, Line(path, 1, ""))
    header = [name.casefold() for name in first.fields()]
    if not {name.casefold() for name in columns} <= set(header):
        raise first.broken(f"a header with the columns {' and '.join(columns)}")
    for line in lines:
        yield line, dict(zip(header, line.fields(), strict=False))
