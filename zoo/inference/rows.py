"""Rows of predictions, as predict.py, streams and the library return them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Row = dict[str, Any]


def named(outputs: Sequence[str], values: np.ndarray) -> dict[str, float]:
    """Return probabilities or ratings (outputs,) by name, to six decimals."""
    return {name: round(float(value), 6) for name, value in zip(outputs, values, strict=True)}


def emotion(outputs: Sequence[str], probabilities: np.ndarray) -> Row:
    """Return {"emotion": the likeliest class, "probabilities": {class: probability}}."""
    return {"emotion": outputs[int(probabilities.argmax())], "probabilities": named(outputs, probabilities)}


def rows(file: str, output: np.ndarray, outputs: Sequence[str], frame_seconds: float, trained_on: str) -> Iterator[Row]:
    """Yield the rows of one file: one of probabilities (classes,), or one per frame of ratings (frames, dimensions).

    `frame_seconds` is the time from one rating to the next, 0 for probabilities.
    """
    if not frame_seconds:
        yield {"file": file, **emotion(outputs, output), "trained_on": trained_on}
        return
    for frame, values in enumerate(output):
        time = round(frame * frame_seconds, 3)
        yield {"file": file, "time": time, **named(outputs, values), "trained_on": trained_on}
