"""Read what a pre-training says of the recordings it used: speakers by corpus, and the hashes of their audio."""

from pathlib import Path
from typing import Any

from zoo.utils.json_files import read_json

NAME = "pretrained.json"  # appears once it is complete
STARTED = "pretraining.json"
_SHAPE = {
    "model": str,
    "synthetic": bool,
    "corpora": {str: {"licence": str, "clips": int}},
    "speakers": {str: [str]},
    "audio_sha256": [str],
}


def load(folder: Path) -> dict[str, Any] | None:
    """Return the record of a folder, None where there is none. Raises UserError for a damaged one."""
    path = folder / NAME
    return read_json(path, "the record of a pre-training", _SHAPE) if path.is_file() else None
