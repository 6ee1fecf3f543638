"""What every loader shares: walking a corpus's audio folders and reading its label files line by line."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.data.audio.read import AUDIO_SUFFIXES
from zoo.data.schema import Clip
from zoo.errors import UserError


@dataclass(frozen=True)
class Loaded:
    """What a loader found under a corpus's folder.

    `clips` are sorted by name. `ignored` counts the files (or label rows) left out, by reason. `missing` are the names
    that the label files hold and the audio folders do not. `duplicates` are the files, relative to the corpus's
    folder, left out because an earlier file has the same clip name.
    """

    clips: list[Clip]
    ignored: dict[str, int]
    missing: list[str]
    duplicates: list[str]


def collect(
    root: Path,
    patterns: Collection[str],
    read_clip: Callable[[Path], Clip | str],
    labelled: Collection[str] = (),
    suffixes: Sequence[str] = AUDIO_SUFFIXES,
) -> Loaded:
    """Lists the audio under `root` that matches `patterns` (globs), in the order of their paths.

    `read_clip` makes a clip of an audio path, or says in a few words why the file is left out. `labelled` are the
    clip names the label files hold, `suffixes` those of audio. Raises UserError where no clip is found.
    """
    clips: dict[str, Clip] = {}
    ignored: Counter[str] = Counter()
    duplicates: list[str] = []
    for path in sorted(path for pattern in patterns for path in root.glob(pattern) if not path.is_dir()):
        clip = _why_not_audio(path, suffixes) or read_clip(path)
        if isinstance(clip, str):
            ignored[clip] += 1
        elif clip.name in clips:
            duplicates.append(path.relative_to(root).as_posix())
        else:
            clips[clip.name] = clip
    if not clips:
        raise UserError(_nothing_found(root, patterns, ignored, len(labelled), suffixes))
    missing = sorted(set(labelled) - clips.keys())
    return Loaded([clips[name] for name in sorted(clips)], dict(ignored), missing, duplicates)


def _why_not_audio(path: Path, suffixes: Sequence[str]) -> str | None:
    if path.name.startswith("."):
        return "hidden file"
    return None if path.suffix.lower() in suffixes else f"not {_either(suffixes)}"


def _either(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _nothing_found(
    root: Path, patterns: Collection[str], ignored: Counter[str], n_labelled: int, suffixes: Sequence[str]
) -> str:
    left_out = ", ".join(f"{reason}: {count}" for reason, count in sorted(ignored.items())) or "no file at all"
    labels = f" The label files name {n_labelled} clips." if n_labelled else ""
    return (
        f"{root}: no clip found. Expected {_either(suffixes)} files as {' or '.join(patterns)}, found none "
        f"({left_out}).{labels} Check that the audio was unpacked here."
    )


def label_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields (line number from 1, line without surrounding space) of a label file, blank lines left out.

    Bytes that are not UTF-8 (raters' comments) become U+FFFD. Raises UserError where the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise UserError(f"{path}: expected a label file, found {error.strerror}. Check the corpus's copy.") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.strip()


def broken_line(path: Path, number: int, line: str, expected: str) -> UserError:
    """Returns the error for a line of a label file that cannot be read."""
    shown = line if len(line) <= 100 else line[:100] + "..."
    return UserError(
        f"{path}, line {number}: expected {expected}, found {shown!r}. Correct the line or restore the file."
    )


def wrong_layout(root: Path, layout: str) -> UserError:
    """Returns the error for a folder that does not hold the corpus that was asked for."""
    return UserError(f"{root}: not laid out as expected. Expected:\n{layout}")
