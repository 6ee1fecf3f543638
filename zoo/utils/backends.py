"""Keras backends, and the choice of one for this process."""

import os
import sys

from zoo.errors import UserError, unknown

BACKENDS = ("tensorflow", "jax", "torch")


def use_backend(name: str) -> None:
    """Chooses the Keras backend of this process. Must come before anything imports keras.

    Raises UserError for an unknown backend, one that is not installed, or a keras already running on another.
    """
    from importlib.util import find_spec

    if name not in BACKENDS:
        raise unknown("backend", name, BACKENDS)
    if find_spec(name) is None:
        raise UserError(f"backend {name!r} is not installed: pip install {name}")
    if "keras" in sys.modules:
        import keras

        if keras.backend.backend() != name:
            raise UserError(f"keras already runs on {keras.backend.backend()!r} here; start a new process for {name!r}")
    os.environ["KERAS_BACKEND"] = name
