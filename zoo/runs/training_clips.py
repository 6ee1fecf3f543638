"""Keep in each fold of a run which recordings its model was trained and validated on: training_clips.json."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from zoo.data import clip_hashes
from zoo.data.clip_hashes import ClipHashes
from zoo.data.schema import Fold
from zoo.errors import UserError
from zoo.utils.atomic_files import write_json
from zoo.utils.json_files import read_json

FILE = "training_clips.json"
_SHAPE = {"rate_hz": int, "train": str, "validation": str}
_ADVICE = "Restore it, or delete it: evaluate.py then says that it cannot be checked"


def write(folder: Path, fold: Fold, features: Mapping[str, Any], rate_hz: int) -> None:
    """Write the hashes of a fold's clips into its folder; `features` hold `audio_sha256` by the clip's name."""
    train, validation = ([features[clip.name].audio_sha256 for clip in side] for side in (fold.train, fold.validation))
    write_json(folder / FILE, clip_hashes.of(train, validation, rate_hz).content())


def of_folds(folders: Iterable[Path]) -> ClipHashes | None:
    """Return the hashes of several folds' clips; None where a fold, of an earlier version, has none.

    Raises UserError for a damaged file.
    """
    found = []
    for folder in folders:
        path = folder / FILE
        if not path.is_file():
            return None
        try:
            found.append(clip_hashes.from_content(read_json(path, "hashes of a fold's clips", _SHAPE, _ADVICE)))
        except ValueError as error:
            raise UserError(f"{path}: {error}. {_ADVICE}") from error
    return clip_hashes.merged(found) if found else None
