"""Make the fields of a run's settings, each with its group, help and range."""

from dataclasses import field
from typing import Any


def flag(default: Any, group: str, text: str, **extra: Any) -> Any:
    """Return a field with its flag (`flag` False: set by studies only).

    `later` marks a field that runs were made without at first, as if it had its default.
    """
    kind = {"default_factory": dict} if default == {} else {"default": default}
    return field(**kind, metadata={"group": group, "help": text, **extra})


def start(default: Any, text: str, **extra: Any) -> Any:
    """Return a field of networks that begin with another model's weights."""
    solved = (
        "a linear model is solved at once and has no initial weights; scripts/transfer.py carries its features over"
    )
    return flag(default, "training", text, later=True, instead=solved, **extra)
