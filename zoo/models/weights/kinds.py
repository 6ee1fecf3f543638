"""Tell folders of speech encoders from others, by small files alone: neither Keras nor weights are read."""

import json
from pathlib import Path

from zoo.errors import UserError

DESCRIPTION = "encoder.json"  # of a folder that ser convert-weights made
SETTINGS = "config.json"  # of a published one; runs of the zoo have a file of this name too


def is_converted(folder: Path) -> bool:
    """Return whether a folder is one that ser convert-weights made."""
    return (folder / DESCRIPTION).is_file()


def is_published(folder: Path) -> bool:
    """Return whether a folder's config.json is that of a published model (model_type), of any architecture."""
    try:
        content = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # whatever else it is: not this
        return False
    return isinstance(content, dict) and "model_type" in content


def unconverted(folder: Path) -> UserError:
    """Return the error for a published folder where a converted one is expected."""
    return UserError(
        f"{folder}: expected a model of the zoo, found weights as they are published; convert them first: "
        f"ser convert-weights {folder} --out weights/{folder.resolve().name}"
    )
