"""Hold the model that the page predicts with, and keep its rows of each recording in the project's cache."""

import threading
from pathlib import Path
from typing import Any

from zoo import pretrained
from zoo.config import saved
from zoo.errors import UserError
from zoo.inference.open_predictor import is_continuous, open_predictor
from zoo.inference.predictor import Predictor
from zoo.inference.recordings import Reading, rows
from zoo.inference.rows import MIX
from zoo.learning.labelling.queue import Model
from zoo.utils.atomic_files import write_json
from zoo.utils.backends import use_backend
from zoo.utils.json_files import read_json
from zoo.web.project import Project

_ROWS = {"rows": [dict]}


class Models:
    """The model at work, one at a time: the one of the command line, or a run on the project's labels.

    `base` is that of the command line; trainings begin with it. `channels` is as in zoo.inference.recordings.Reading.
    The choice is kept in the project's model.json.
    """

    def __init__(self, project: Project, base: str, channels: str = MIX):
        self._project, self._lock, self._reading = project, threading.Lock(), Reading("always", channels)
        self.base = found(Path(base))
        self._chosen = project.folder / "model.json"
        self._predictor: Predictor | None = None
        self.model, self.training = self.base, ""
        if self._chosen.exists():
            number = read_json(self._chosen, "the model of the page", {"training": str})["training"]
            if number and (self._run(number) / "metrics.json").is_file():
                self.model, self.training = Model(self._run(number), exported=False), number
        self.outputs = outputs(self.model)

    def _run(self, number: str) -> Path:
        return self._project.training / number / "run"

    def use(self, number: str) -> None:
        """Predict with the run of a training from now on; with "" by the model of the command line."""
        model = Model(self._run(number), exported=False) if number else self.base
        with self._lock:
            write_json(self._chosen, {"training": number})
            self.model, self.training, self._predictor, self.outputs = model, number, None, outputs(model)

    def describe(self) -> dict[str, Any]:
        name = f"training {self.training}" if self.training else called(self.base)
        return {"name": name, "training": self.training, "base": called(self.base), "classes": list(self.outputs)}

    def rows(self, file: str) -> list[dict[str, Any]]:
        """Return the rows of a recording's segments (zoo.inference.rows); those computed before come from the cache.

        Raises BadClip for a recording that cannot be used.
        """
        path = self._project.path(file)
        kept = self._kept(file)
        if not kept.exists():
            with self._lock:  # one prediction at a time: each uses all cores
                kept = self._kept(file)  # of the model of now, which may be another meanwhile
                if not kept.exists():
                    predictor = self._opened()
                    write_json(kept, {"rows": list(rows(predictor, [path], self._reading, names=[file]))})
        return read_json(kept, "rows of a recording", _ROWS, "Delete it; it is made again")["rows"]

    def known_rows(self, file: str) -> list[dict[str, Any]] | None:
        """Return a recording's rows where they are computed, else None."""
        return self.rows(file) if self._kept(file).exists() else None

    def _kept(self, file: str) -> Path:
        return self._project.cache / "rows" / file / f"{self._reading.channels}-{self.model.state()}.json"

    def _opened(self) -> Predictor:
        if self._predictor is None:
            if not self.model.exported:
                use_backend(saved.load(self.model.place / "config.json").backend)
            self._predictor = open_predictor(self.model.place, self.model.exported)
        return self._predictor


def found(place: Path) -> Model:
    """Load a model by a run's folder, an export's folder or its name. Raises UserError, also for one of ratings."""
    exported = not (place / "config.json").is_file()
    model = Model(pretrained.find(place), True) if exported else Model(place.resolve(), False)
    if is_continuous(model.place, model.exported):
        raise UserError(f"--model {place}: expected a model that gives classes, found one of continuous ratings")
    return model


def called(model: Model) -> str:
    """Return the name people know a model by; an export's folder is that of its version."""
    return model.place.parent.name if model.exported and model.place.name.isdigit() else model.place.name


def outputs(model: Model) -> tuple[str, ...]:
    """Return a model's classes without loading its network."""
    from zoo.serving.description import read_description

    if model.exported:
        return tuple(read_description(model.place)["classes"])
    return tuple(saved.load(model.place / "config.json").classes) or _of_record(model.place)


def _of_record(run: Path) -> tuple[str, ...]:
    from zoo.runs.folder import read_record

    return tuple(read_record(run, ("classes",))["classes"])
