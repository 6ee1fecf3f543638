"""Models run over clips of all lengths, many at a time."""

from collections.abc import Callable, Sequence

import numpy as np

from zoo.data.batches.noisy_clean_pairs import padded

_BATCH_FRAMES = 300_000  # with their padding: many sequences at a time make a recurrent layer's steps worth it


def in_batches(run: Callable[[np.ndarray, np.ndarray], Sequence], clips: Sequence[np.ndarray]) -> list:
    """Returns what `run` makes of each clip (frames, n), in order. It is given batches of clips of like length, padded
    to (batch, frames, n), and their lengths (batch,).
    """
    found: list = [None] * len(clips)
    order = sorted(range(len(clips)), key=lambda index: len(clips[index]))
    while order:
        chosen = [order.pop()]
        size = max(1, _BATCH_FRAMES // max(1, len(clips[chosen[0]])))
        chosen += [order.pop() for _ in range(min(size - 1, len(order)))]
        lengths = np.array([len(clips[index]) for index in chosen], np.int32)
        results = run(padded([clips[index] for index in chosen]), lengths)
        for index, result in zip(chosen, results, strict=True):
            found[index] = result
    return found
