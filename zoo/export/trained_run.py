"""Load a finished run's models for exports."""

from dataclasses import dataclass
from pathlib import Path

import keras

from zoo.errors import UserError
from zoo.runs.model_file import frontend as frontend_of
from zoo.runs.model_file import load_model, network_of, own_settings
from zoo.runs.open_run import OpenedRun, check_predicts, open_run
from zoo.version import __version__


@dataclass(frozen=True)
class Trained:
    """The folds of a run that are exported: whole models, their networks and front-end (or None)."""

    opened: OpenedRun
    models: tuple[keras.Model, ...]
    networks: tuple[keras.Model, ...]
    frontend: keras.layers.Layer | None


def load(run: Path, fold: str | None = None) -> Trained:
    """Read the models of a run. Raises UserError where it is not finished or of another version."""
    opened = open_run(run, fold)
    check_predicts(opened.settings, run)
    found = opened.record["versions"].get("speech-emotion-zoo", "unknown")
    if found.split(".")[:2] != __version__.split(".")[:2]:
        raise UserError(
            f"{run}: expected a run of version {__version__}, found one of {found}. Export it with that version (pip "
            f"install speech-emotion-zoo=={found}), or train again"
        )
    takes_waveforms = opened.entry.takes_waveforms
    models = tuple(load_model(folder / "model.keras", takes_waveforms) for folder in opened.fold_folders)
    frontend = frontend_of(models[0]) if takes_waveforms else None
    if frontend and any(own_settings(frontend_of(model)) != own_settings(frontend) for model in models):
        raise UserError(f"{run}: its folds have different front-ends; export one of them with --fold")
    return Trained(opened, models, tuple(map(network_of, models)), frontend)
