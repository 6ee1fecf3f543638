"""Run a model over sequences of any length in length-sorted batches."""

from collections.abc import Callable, Sequence

import numpy as np


def in_batches(run: Callable, sequences: Sequence[np.ndarray], most_steps: int = 300_000, multiple: int = 1) -> list:
    """Return what `run` gives for each sequence (steps, ...), in order.

    `run` maps sequences padded to (batch, steps, ...) float32 and their lengths (batch,) int32 to a result for each. A
    batch has neighbours in length, `most_steps` steps with padding unless one sequence is longer, and a length that is
    a multiple of `multiple`, so that a compiled model sees few shapes.
    """
    found: list = [None] * len(sequences)
    order = sorted(range(len(sequences)), key=lambda index: len(sequences[index]))
    while order:
        longest = -(-len(sequences[order[-1]]) // multiple) * multiple
        size = max(1, most_steps // max(1, longest))
        order, chosen = order[:-size], order[-size:]
        for index, result in zip(chosen, run(*padded([sequences[i] for i in chosen], multiple)), strict=True):
            found[index] = result
    return found


def padded(rows: Sequence[np.ndarray], multiple: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return rows (n, ...) zero-padded to one length: (batch, steps, ...) float32, and their lengths int32 (batch,)."""
    lengths = np.array([len(row) for row in rows], np.int32)
    batch = np.zeros((len(rows), -(-max(lengths) // multiple) * multiple, *rows[0].shape[1:]), np.float32)
    for into, row in zip(batch, rows, strict=True):
        into[: len(row)] = row
    return batch, lengths
