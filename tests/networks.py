"""The registry's networks that a test goes through."""

import os

from zoo import registry


def rows(task: str, *frontends: str) -> list[str]:
    """Names of a task's networks (on these front-ends), all of them on TensorFlow.

    On other backends the last of each builder, the richest: its rows differ by options, not by what a backend computes.
    """
    names = [
        name
        for name, entry in registry.MODELS.items()
        if entry.task == task and (not frontends or entry.frontend in frontends)
    ]
    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        return names
    return list({registry.MODELS[name].builder: name for name in names}.values())
