"""Load a saved config.json, compare configurations, find the cache folder."""

import dataclasses
import errno
import os
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.config.run_config import CACHE_VARIABLE, RunConfig, heeds
from zoo.config.validation import check_value
from zoo.errors import UserError, missing
from zoo.utils.json_files import parse_json, read_regular

# Fields that say where things lie, are computed or how they are called, not what comes out; --resume lets them differ.
PLACES = (
    *("data_root", "audio_root", "label_map", "cache_dir", "noise", "responses", "weights", "init_from", "teacher"),
    *("figures_from", "devices", "out", "network_file", "name"),
)
NETWORK_FILE = "network.py"  # in a run's folder: the copy of the file of --model FILE.py:builder
_OLD = ("heard", "enhance", "condition", "noise_split", "snr_level")


def load(path: Path) -> RunConfig:
    """Read a saved config.json. Raises UserError when it is absent, damaged, or of another version."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "a folder")
        saved: dict[str, Any] = parse_json(read_regular(path), {str: object})
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in saved.items()}
        if isinstance(place := values.get("network_file"), str) and place:
            values["network_file"] = str(_network_file(path.parent, place))
        config = RunConfig(**_translate(values))
        registry.get(config.model)
        fields = dataclasses.fields(config)
        absent = [item.name for item in fields if item.name not in saved and not item.metadata.get("later")]
        absent = [name for name in absent if heeds(config.model, name)]
        if absent:  # a default in its place might not be what the run was trained with
            raise ValueError(f"without {', '.join(absent)}")
        for item in fields:
            check_value(item, getattr(config, item.name))
    except OSError as error:
        nothing = "" if path.parent.is_dir() else f"; {missing(path.parent)}"
        found = f"no run is here (config.json: {error.strerror}{nothing})"
        raise UserError(f"{path.parent}: {found}; give a folder that train.py made") from error
    except (ValueError, TypeError, UserError) as error:  # TypeError: RunConfig has no such field
        found = f"{path}: expected the configuration of a run as this version writes it, found another ({error})"
        raise UserError(f"{found}. Restore the file, or train again into another folder") from error
    return config


def _network_file(folder: Path, place: str) -> Path:
    """Return where the file of a run's own network is: in its folder, or where it was (studies keep no copy)."""
    copy = folder / NETWORK_FILE
    return copy if copy.is_file() else Path(place)


def _translate(saved: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a config.json from when the study of noise had fields of its own, by today's fields."""
    values = {name: value for name, value in saved.items() if name not in _OLD}
    if saved.get("snr_level") == "all" and saved.get("noise"):
        raise ValueError("snr_level all, which training no longer has")
    if saved.get("noise_split") == "time" and saved.get("noise"):
        values["noise"] = f"time:{saved['noise']}"
    if "lora" not in saved and values.get("fine_tune") == "all":
        values["fine_tune"] = ""  # which said so, of networks with initial weights alone; all encoders were frozen
    if saved.get("model") == "mfcc_svr" and "enhance" in saved and saved.get("heard") != "noisy":
        values |= {"noise": "", "snr": RunConfig.snr}  # of the runs beside it: it was fitted on clean recordings
    return values


def differences(old: RunConfig, new: RunConfig) -> list[str]:
    """State in what two configurations differ, places aside, e.g. "batch_size was 100, now 32"."""
    names = [item.name for item in dataclasses.fields(RunConfig) if item.name not in PLACES]
    return [
        f"{name} was {getattr(old, name)!r}, now {getattr(new, name)!r}"
        for name in (*names, "noise_split")
        if getattr(old, name) != getattr(new, name)
    ]


def cache_folder(config: RunConfig) -> Path:
    """Where features and synthetic corpora are kept between runs."""
    return Path(config.cache_dir or os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "speech-zoo")
