"""Learn cooperatively: the model labels clips above a confidence, people label the others.

MixedEmotions D4.2, section 2.3.4: for a new clip the computer first decides whether it can label it by itself; if not,
whether it is worth asking a person (Zhang, Coutinho, Deng and Schuller 2015, "Cooperative Learning and its Application
to Emotion Recognition from Speech", IEEE/ACM TASLP 23(1)). What the machine labels is decided in `semi_supervised.py`,
whether a clip is worth asking about by a query of `strategies.py`.
"""

from collections.abc import Collection

import numpy as np


def left_for_people(
    n_clips: int, people: np.ndarray, machine: Collection[int], count: int, shares: np.ndarray
) -> np.ndarray:
    """Return the clips, in order, that people may be asked about: without a label of theirs or of the machine.

    Where fewer than `count` are left, those of the machine follow of which it is least sure, by `shares`
    (clips, classes): a person's word then replaces the machine's.
    """
    open_clips = np.setdiff1d(np.arange(n_clips), people)
    rest = np.setdiff1d(open_clips, np.array(sorted(machine), int))
    if (lacking := count - len(rest)) <= 0:
        return rest
    machines = np.setdiff1d(open_clips, rest)
    least = machines[np.argsort(shares[machines].max(axis=1), kind="stable")][:lacking]
    return np.sort(np.concatenate([rest, least]))
