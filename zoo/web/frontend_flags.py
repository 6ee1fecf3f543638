"""Say by which flags `ser train` computes the features of a model that it shall train further."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from zoo.config import saved
from zoo.config.run_config import RunConfig, heeds
from zoo.config.validation import as_flag
from zoo.learning.labelling.queue import Model

_GROUPS = ("spectrum", "log_mel", "mfcc", "statistics", "functionals", "windows", "image")


def of_model(model: Model) -> tuple[str, list[str]]:
    """Return a model's network, and the flags of its front-end and options that differ from the defaults."""
    if model.exported:
        from zoo.serving.description import read_description

        description = read_description(model.place)
        return description["model"], _flags(description["model"], description["frontend"])
    settings = saved.load(model.place / "config.json")
    options = [word for name, value in settings.option.items() for word in ("--option", f"{name}={_value(value)}")]
    return settings.model, [*_flags(settings.model, dataclasses.asdict(settings)), *options]


def _flags(model: str, values: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for item in dataclasses.fields(RunConfig):
        known = item.name in values and item.metadata.get("group") in _GROUPS and heeds(model, item.name)
        if known and item.metadata.get("flag", True):
            found += [as_flag(item.name), str(values[item.name])]
    return found


def _value(value: Any) -> str:
    import json

    return json.dumps(value)
