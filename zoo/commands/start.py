"""Start a command by its name."""

from zoo.utils.cli import run  # isort: skip  # first: it takes Ctrl-C

from collections.abc import Callable
from importlib import import_module

ELSEWHERE = {"tune": "tuning.command"}


def start(name: str) -> None:
    """Run the command called `name`, such as "serve-check", with the words of the command line; end the process."""
    run(lambda: command(name)())


def command(name: str) -> Callable[[], int | None]:
    """Import the command called `name`; return its main function."""
    return import_module(ELSEWHERE.get(name) or f"zoo.commands.{name.replace('-', '_')}").main
