"""Answers of exported networks with several targets: every target by its name, or the main one alone."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from zoo.heads import Heads, slices

Answers = dict[str, tf.Tensor]
Answer = Callable[[tf.Tensor, tf.Tensor], Answers]


def further(heads: Heads, outputs: Sequence[tf.Tensor]) -> Answers:
    """Return the further targets of networks' outputs (batch, columns), averaged: (batch, classes), or (batch,)."""
    found = {}
    for head, where in list(zip(heads, slices(heads), strict=True))[1:]:
        mean = tf.add_n([output[:, where] for output in outputs]) / len(outputs)
        found[head.name] = mean if head.classes else mean[:, 0]
    return found


def main_alone(answer: Answer) -> Answer:
    """Return the function that answers with the main target's probabilities alone, as clients of others know them."""
    return lambda features, n_frames: {"probabilities": answer(features, n_frames)["probabilities"]}


def by_target(answer: Answer, main: str) -> Answer:
    """Return the function that answers with every target by its name, `main` the first one's."""

    def every(features, n_frames):
        found = dict(answer(features, n_frames))
        return {main: found.pop("probabilities"), **found}

    return every
