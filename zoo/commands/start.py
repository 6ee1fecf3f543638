"""Start a command by its name."""

from zoo.utils.cli import run  # isort: skip  # first: it takes Ctrl-C

from importlib import import_module

ELSEWHERE = {"tune": "tuning.command"}


def start(name: str) -> None:
    """Run the command called `name`, such as "serve-check", with the words of the command line; end the process."""
    run(lambda: import_module(ELSEWHERE.get(name) or f"zoo.commands.{name.replace('-', '_')}").main())
