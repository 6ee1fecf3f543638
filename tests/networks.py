"""The registry's networks that a test goes through."""

import os

from zoo import registry

# On other backends one of each paper: their rows differ by options, not by what a backend computes.
ELSEWHERE = ("attention_blstm_fcn", "conv_lstm", "conv_bigru_frame", "conv_blstm", "blstm_drnn")


def rows(task: str, *frontends: str) -> list[str]:
    """Names of a task's networks (on these front-ends) that are trained by gradient: all of them on TensorFlow, else
    those in `ELSEWHERE`.
    """
    everything = os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow"
    return [
        name
        for name, entry in registry.MODELS.items()
        if entry.task == task
        and entry.fitted == "gradient"
        and (not frontends or entry.frontend in frontends)
        and (everything or name in ELSEWHERE)
    ]
