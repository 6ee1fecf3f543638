"""Keep the confidence that was fitted for a run in its folder, confidence.json, and read the fit of chosen folds."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from zoo.confidence.fit import Fit, from_content
from zoo.errors import UserError
from zoo.runs.folder import fold_folders, fold_name
from zoo.runs.open_run import OpenedRun
from zoo.utils.atomic_files import write_json
from zoo.utils.json_files import read_json
from zoo.version import __version__

NAME = "confidence.json"
ALL = "all"  # of the average over folds
_FORMAT = 1
_SHAPE = {
    "format": int,
    "zoo_version": str,
    "model": str,
    "corpus": str,
    "protocol": str,
    "models": {str: str},
    "fits": {str: {str: object}},
}
_AGAIN = "Fit it again with scripts/confidence.py RUN, or remove the file to predict without confidence"


def save(run: OpenedRun, fits: Mapping[str, Fit]) -> Path:
    """Write the fits by fold's name, and that of their average as `ALL`, beside what they belong to; return the path.

    The checksums of the folds' models tell a run from another one, and from itself trained again.
    """
    path = run.folder / NAME
    models = {fold_name(folder): checksum(folder) for folder in run.fold_folders}
    write_json(path, {**_facts(run), "models": models, "fits": {name: fit.content() for name, fit in fits.items()}})
    return path


def load(run: OpenedRun) -> Fit | None:
    """Read the fit for the folds of an opened run: of all its folds' average, or of the one chosen. None without one.

    Raises UserError for a damaged file, or one of another run, version, or other classes.
    """
    path = run.folder / NAME
    if not path.exists():
        return None
    content: dict[str, Any] = read_json(path, "the confidence of a run", _SHAPE, _AGAIN)
    _check_of_this_run(path, content, run)
    names = [fold_name(folder) for folder in run.fold_folders]
    chosen = names[0] if len(names) == 1 and len(content["models"]) > 1 else ALL
    if chosen not in content["fits"]:
        raise UserError(f"{path}: expected a fit for {chosen}, found those for {', '.join(content['fits'])}. {_AGAIN}")
    try:
        return from_content(content["fits"][chosen], run.protocol.classes)
    except ValueError as error:
        raise UserError(f"{path}: expected the confidence of a run, found {error}. {_AGAIN}") from error


def checksum(folder: Path) -> str:
    """Return the SHA-256 of a fold's model."""
    return sha256((folder / "model.keras").read_bytes()).hexdigest()


def _facts(run: OpenedRun) -> dict[str, Any]:
    settings = run.settings
    of_run = {"model": settings.model, "corpus": settings.corpus, "protocol": run.record["protocol"]}
    return {"format": _FORMAT, "zoo_version": __version__, **of_run}


def _check_of_this_run(path: Path, content: Mapping[str, Any], run: OpenedRun) -> None:
    for name, expected in _facts(run).items():
        found, wanted = content[name], expected
        if name == "zoo_version":  # as exports: a version's last number changes no meaning
            found, wanted = (".".join(str(one).split(".")[:2]) for one in (found, expected))
        if found != wanted:
            raise UserError(f"{path}: its {name} is {found}, that of the run {wanted}. {_AGAIN}")
    folders = fold_folders(run.folder)
    for folder in run.fold_folders:
        if content["models"].get(fold_name(folder)) != checksum(folder):
            raise UserError(
                f"{path}: fitted for another model than that of fold {fold_name(folder)} (of {len(folders)}): it is "
                f"another run's, or this one was trained again. {_AGAIN}"
            )
