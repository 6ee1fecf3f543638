"""Define tasks, and pools of workers that run them: processes of this machine, or tasks of a Ray cluster."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

Runner = Callable[[Path, Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True)
class Job:
    """What workers do: `opener`, "module:function", is called once in each process with `settings`, in JSON's types.

    It returns the function that runs a task: called with the pool's folder and the task's content, it returns the
    outcome, in JSON's types. `noun` is what messages call a task.
    """

    opener: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    noun: str = "task"

    def open(self) -> Runner:
        return load(self.opener)(**self.settings)


class Task(NamedTuple):
    """A task: its name, unique in its pool, and its content, in JSON's types.

    It writes into the folder `place` below the pool's, and goes on with the folders `needs` below that, if they exist.
    """

    name: str
    content: Mapping[str, Any]
    place: str
    needs: tuple[str, ...] = ()


class Ended(NamedTuple):
    """How a task ended: with the outcome its worker reports, or without one.

    Then `cause` says why, and `began` whether the task was being run, so that it may be at fault.
    """

    task: str
    outcome: Mapping[str, Any] | None
    cause: str = ""
    began: bool = True


class Pool(Protocol):
    """A number of workers, each of which runs one task at a time. Used from one thread."""

    def free(self) -> list[str]:
        """Return the names of the workers without a task."""

    def start(self, worker: str, task: Task) -> None:
        """Give a free worker a task."""

    def wait(self, seconds: float) -> list[Ended]:
        """Return the tasks that ended, as soon as one has, at the latest after so many seconds."""

    def close(self) -> None:
        """End all workers."""


def load(name: str) -> Callable[..., Any]:
    """Return the function called "module:function"."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)
