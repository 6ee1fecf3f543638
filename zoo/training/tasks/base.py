"""Define the interface of a task: what training needs to know of classes, ratings and enhancement."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from typing import Protocol as Interface

import numpy as np

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.data.batches.feature_store import Features
from zoo.data.protocols.splits import Protocol
from zoo.data.schema import Clip
from zoo.errors import DivergedError
from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras
else:
    keras = lazy("keras")

Row = dict[str, Any]
Clips = Sequence[Clip]
History = list[dict[str, Any]]
# (waveform (samples,), utterance's name) -> the waveform to predict in its place, such as noisy speech
Alter = Callable[[np.ndarray, str], np.ndarray] | None

_MODULES = {"emotion": "classification", "continuous": "continuous", "enhancement": "enhancement"}


class Figures(NamedTuple):
    """Names of a task's figures."""

    score: str  # column of the history that chooses the best epoch; higher is better
    compared: tuple[str, ...]  # of a record: must come out again when the run is evaluated again
    short: tuple[str, ...]  # of a fold's record: repeated in its run's record

    def short_of(self, sides: Collection[str]) -> list[str]:
        """Return the names of `short` that folds with these sides have; names of validation figures say so."""
        return [name for name in self.short if ("validation" if name.startswith("validation") else "test") in sides]


@dataclass(frozen=True)
class FoldData:
    """One fold, ready to train: `outputs` are the classes or rated dimensions, `train` and `validation` the task's
    examples, `refit` what a linear model is fitted on in the end where that is more than `train`. `clips` are those of
    `train`, in order; `taught` are a teacher's probabilities of them, by name. `tested` are the examples of the test
    side, there only where the history is to hold their accuracy: nothing may be fitted to them or chosen by them.
    """

    name: str
    folder: Path
    outputs: Sequence[str]
    train: Sequence[Any]
    validation: Sequence[Any]
    frontend: Any
    refit: Sequence[Any] = ()
    clips: Sequence[Clip] = ()
    taught: Mapping[str, np.ndarray] = field(default_factory=dict)
    tested: Sequence[Any] = ()


def _same(network: keras.Model) -> keras.Model:
    return network


class Fitting(NamedTuple):
    """Hold an uncompiled network, its loss, and a function from an epoch's number (from 1) to its batches.

    `extend` returns the network in training: with columns behind the network's own, which are not saved, by the same
    layers.
    """

    network: keras.Model
    loss: Any
    batches: Callable[[int], Any]
    extend: Callable[[keras.Model], keras.Model] = _same


class Report(Interface):
    """How a task shows its results: figures in files, tables on the terminal, a line per epoch."""

    def plot(self, record: Mapping[str, Any], rows: Sequence[Row], folder: Path, title: str) -> None: ...
    def tex(self, record: Mapping[str, Any], title: str) -> str: ...
    def plot_curves(self, history: History, path: Path, title: str, kept: int | None = None) -> None: ...
    def print_metrics(self, metrics: Mapping[str, Any], title: str) -> None: ...
    def epoch_line(self, row: Mapping[str, float]) -> str: ...


class Task(Interface):
    """A kind of task. The modules beside this one implement it."""

    FIGURES: Figures
    report: Report

    def check(self, config: RunConfig, protocol: Protocol) -> None:
        """Raise UserError for a setting that cannot work, before any recording is read."""

    def examples(
        self, config: RunConfig, protocol: Protocol, features: Mapping[str, Features], clips: Clips, training: bool
    ) -> list[Any]:
        """Return the examples of one side of a fold, as batches and validation take them."""

    def fitting(self, fold: FoldData, config: RunConfig) -> Fitting:
        """Return the network, its loss and its batches, for networks that are trained by gradient."""

    def validator(self, model: keras.Model, fold: FoldData, config: RunConfig) -> Callable[[], dict[str, Any]]:
        """Return a function that scores the model on the validation side: columns of the history."""

    def after_training(self, model_path: Path, fold: FoldData, config: RunConfig) -> None:
        """Fit what else is fitted on validation data, and add to the saved model what belongs in it."""

    def test_rows(
        self, folder: Path, clips: Clips, protocol: Protocol, corpus: str, config: RunConfig, alter: Alter = None
    ) -> list[Row]:
        """Return the rows of predictions.csv, by the saved model of a fold's folder, from the audio files."""

    def scores(self, rows: Sequence[Row], protocol: Protocol) -> dict[str, Any]:
        """Return the figures of metrics.json."""


def not_finite(fold: FoldData, config: RunConfig) -> DivergedError:
    """Return the error of a network whose outputs are not finite."""
    found = f"fold {fold.name}: the network predicts values that are not finite"
    return DivergedError(f"{found}. Try a lower --learning-rate than {config.learning_rate}, or --precision float32")


def of(model: str) -> Task:
    """Return the task of a network; imported on demand, as it imports the backend, which takes seconds."""
    return import_module(f"zoo.training.tasks.{_MODULES[registry.get(model).task]}")  # type: ignore[return-value]
