"""Load a saved config.json, compare configurations, find the cache folder."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.config.run_config import CACHE_VARIABLE, RunConfig, heeds
from zoo.config.validation import check_value
from zoo.errors import UserError

# Fields that say where things lie, not what comes out; --resume lets them differ.
PLACES = ("data_root", "cache_dir", "noise", "responses", "weights", "out")


def load(path: Path) -> RunConfig:
    """Reads a saved config.json. Raises UserError when it is absent, damaged, or of another version."""
    try:
        saved: Any = json.loads(path.read_text())
        if type(saved) is not dict:
            raise ValueError(f"a {type(saved).__name__} in place of a mapping")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in saved.items()
        }
        config = RunConfig(**values)
        registry.get(config.model)
        fields = [item for item in dataclasses.fields(config) if not item.metadata.get("later")]
        names = [item.name for item in fields if item.name not in saved]
        absent = [name for name in names if heeds(config.model, name)]
        if absent:  # a default in its place might not be what the run was trained with
            raise ValueError(f"without {', '.join(absent)}")
        for item in dataclasses.fields(config):
            check_value(item, getattr(config, item.name))
    except OSError as error:
        raise UserError(
            f"{path.parent}: no run is here (config.json: {error.strerror}); give a folder that train.py made"
        ) from error
    except (ValueError, TypeError, UserError) as error:
        raise UserError(
            f"{path}: expected the configuration of a run as this version writes it, found another ({error}). "
            "Restore the file, or train again into another folder"
        ) from error
    return config


def differences(old: RunConfig, new: RunConfig) -> list[str]:
    """Says in what two configurations differ, places aside, e.g. "batch_size was 100, now 32"."""
    return [
        f"{name} was {getattr(old, name)!r}, now {getattr(new, name)!r}"
        for name in (item.name for item in dataclasses.fields(RunConfig))
        if name not in PLACES and getattr(old, name) != getattr(new, name)
    ]


def cache_folder(config: RunConfig) -> Path:
    """Where features and synthetic corpora are kept between runs."""
    return Path(config.cache_dir or os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "speech-zoo")
