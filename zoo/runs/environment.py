"""Keep the versions of the packages that a run was made with, and name those that differ now."""

import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.runs.folder import fold_folders, read_record
from zoo.utils.atomic_files import write_json
from zoo.utils.json_files import read_json
from zoo.version import __version__

FILE = "versions.json"
Versions = Mapping[str, str]


def here(settings: RunConfig) -> dict[str, str]:
    """Return the versions of Python, the zoo, and the packages that a run's figures depend on most."""
    entry = registry.get(settings.model)
    packages = ["keras", "numpy", settings.backend]
    packages += ["scikit-learn"] * (entry.fitted == "linear") + ["opensmile"] * (not entry.takes_waveforms)
    found = {name: metadata.version(name) for name in packages}
    return {"python": platform.python_version(), "speech-emotion-zoo": __version__, **found}


def note(folder: Path, now: Versions) -> list[Versions]:
    """Add these versions to those a run was worked on with, and return the others, the earliest first.

    They are known from versions.json and from finished folds. Where there are others, say so on standard error.
    Raises UserError for damaged files.
    """
    path, known = folder / FILE, []
    if path.is_file():
        known = read_json(path, "versions of packages", {"versions": [{str: str}]})["versions"]
    finished = [place for place in fold_folders(folder).values() if (place / "metrics.json").is_file()]
    known += [read_record(place).get("versions", {}) for place in finished]
    others: list[Versions] = []
    for one in known:
        if changed(one, now) and one not in others:
            others.append(one)
    write_json(path, {"versions": [*others, now]})
    if others:
        print(f"warning: {folder} {sentence(others, now)}", file=sys.stderr)
    return others


def changed(one: Versions, other: Versions) -> list[str]:
    """Return the packages whose versions differ, of those that both name."""
    return [name for name in one if name in other and one[name] != other[name]]


def sentence(others: Sequence[Versions], now: Versions) -> str:
    """Say which versions a run was worked on with, those before and the present ones."""
    names = dict.fromkeys(name for one in others for name in changed(one, now))
    before = {name: ", ".join(dict.fromkeys(one[name] for one in others if name in one)) for name in names}
    words = "; ".join(f"{name} {before[name]}, now {now[name]}" for name in names)
    return f"was worked on with several versions: {words}"
