"""Draw the clips of an epoch so that classes, or corpora, have shares of their own in it."""

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

WAYS = ("clips", "balanced", "square_root", "corpora")


def draw(way: str, classes: Sequence[int], corpora: Sequence[str], rng: np.random.Generator) -> np.ndarray:
    """Return the indices (clips,) of an epoch's clips, as many as there are, by one of `WAYS`.

    "clips" takes each once, "balanced" as many of each class, "square_root" in proportion to the square root of a
    class's number (Kang et al. 2020: "Decoupling representation and classifier for long-tailed recognition", ICLR, eq 1
    with q of 1, 0 and 1/2), "corpora" as many of each corpus, and in it of each class. Of a group that has more than
    its share a part is drawn without repetition; of one that has less, each clip is there equally often, or once more.
    Clips without a class (-1) are there once.
    """
    labels = np.asarray(classes)
    if way == "clips" or (labels < 0).all():
        return np.arange(len(labels))
    places: dict[Hashable, list[int]] = {}
    for index in np.flatnonzero(labels >= 0).tolist():
        places.setdefault((corpora[index], classes[index]) if way == "corpora" else classes[index], []).append(index)
    n_classes = Counter(group[0] for group in places if isinstance(group, tuple))
    parts = {
        "balanced": lambda group: 1.0,
        "square_root": lambda group: len(places[group]) ** 0.5,
        "corpora": lambda group: 1 / n_classes[group[0]],
    }
    ends = np.cumsum([parts[way](group) for group in places])
    counts = np.diff(np.rint(ends / ends[-1] * (labels >= 0).sum()).astype(int), prepend=0)
    drawn = [np.flatnonzero(labels < 0)]
    for own, count in zip(places.values(), counts, strict=True):
        drawn += [np.tile(own, count // len(own)), rng.permutation(own)[: count % len(own)]]
    return np.concatenate(drawn)
