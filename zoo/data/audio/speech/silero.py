"""Find speech by Silero VAD, a small network that ONNX Runtime computes.

The network is silero_vad_16k_sequence.onnx of Silero VAD 6.2.3 (https://github.com/snakers4/silero-vad, MIT, see
LICENSE.silero beside it), unchanged. It is not taken from the package silero-vad, which would bring PyTorch.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

RATE_HZ, FRAME = 16_000, 512  # samples that get a score: 32 ms
_CONTEXT, _STATE = 64, 128  # samples before them that the network takes too; units of its LSTM
_AT_ONCE = 30 * RATE_HZ // FRAME  # frames per call, so that memory stays flat
_FILE = Path(__file__).with_name("silero_vad_16k_sequence.onnx")


class Detector:
    """Scores a recording that comes in pieces."""

    def __init__(self) -> None:
        self._state = [np.zeros((1, 1, _STATE), np.float32)] * 2
        self._held = np.zeros(_CONTEXT, np.float32)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Return the probabilities of speech (frames,) of the frames that more samples (n,) at 16 kHz complete."""
        self._held = np.concatenate([self._held, samples.astype(np.float32)])
        count = (len(self._held) - _CONTEXT) // FRAME
        if count < 1:
            return np.empty(0, np.float32)
        views = np.lib.stride_tricks.sliding_window_view(self._held, _CONTEXT + FRAME)[::FRAME]
        found = []
        for first in range(0, count, _AT_ONCE):
            part = np.ascontiguousarray(views[first : min(count, first + _AT_ONCE)])
            request = {"input": part, "h": self._state[0], "c": self._state[1]}
            probabilities, *self._state = session().run(None, request)
            found.append(probabilities)
        self._held = self._held[count * FRAME :]
        return np.concatenate(found)


def scores(samples: np.ndarray) -> np.ndarray:
    """Return the probability of speech of each whole frame of samples (n,) at 16 kHz."""
    return Detector().push(samples)


@cache
def session() -> Any:
    """Load the network; one thread computes it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(_FILE), options, providers=["CPUExecutionProvider"])
