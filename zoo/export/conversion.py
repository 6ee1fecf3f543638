"""What conversions of an export to other formats have in common: refusals, comparison, networks without FFTs."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np

from zoo.errors import UserError
from zoo.export.requests import Inputs
from zoo.layers.masking import layers_of
from zoo.serving.description import EMBEDDING
from zoo.serving.saved_model import Exported
from zoo.utils import extras

Answers = list[dict[str, np.ndarray]]
MOST_BYTES = 1_900 * 2**20  # protocol buffers end at 2 GiB, and the graph takes some of it
_ONE_MESSAGE = ("onnx", "litert")
_MAIN = ("serving_default", "all_targets", EMBEDDING)  # signatures that other formats hold


class RefusedError(UserError):
    """A network that a format cannot hold, or a runtime cannot run; the message says why."""


def check_installed(format: str) -> None:
    """Raise UserError where a format's packages, which the extra of its name brings, are not installed."""
    extras.need(format, f"--format {format}", "choose another format")


def check_fits(format: str, layers: Iterable[keras.layers.Layer | None]) -> None:
    """Raise UserError where a file of a format cannot hold the weights of networks and front-end, before work is done.

    ONNX and LiteRT keep them in one message, in float32, of 2 GiB at most; OpenVINO keeps them in a file apart.
    """
    variables = [variable for layer in layers if layer for variable in layer.variables]
    size = 4 * sum(math.prod(variable.shape) for variable in variables)
    if format in _ONE_MESSAGE and size > MOST_BYTES:
        raise UserError(
            f"--format {format}: a file of it holds at most {MOST_BYTES / 2**20:.0f} MiB, and the weights have "
            f"{size / 2**20:.0f} MiB. Give --format openvino, or one fold with --fold"
        )


def check_alike(
    format: str, requests: Sequence[tuple[Inputs, dict[str, np.ndarray]]], answers: Answers, tolerance: float
) -> None:
    """Raise RefusedError where answers in a format differ from those expected, beside the inputs, by more than that."""
    for (inputs, right), answer in zip(requests, answers, strict=True):
        for name, values in right.items():
            found, same_shape = answer[name], answer[name].shape == values.shape
            if not (same_shape and np.allclose(found, values, rtol=0, atol=tolerance)):
                shape = np.shape(next(iter(inputs.values())))
                difference = f"{np.abs(found - values).max():.2g}" if same_shape else f"its shape, {found.shape}"
                raise RefusedError(
                    f"{format}: {name} for a request of shape {shape} differs from the run's by {difference}, expected "
                    f"at most {tolerance:g}; it was not written. Use another format"
                )


def without_transforms(
    frontend: keras.layers.Layer | None, networks: Sequence[keras.Model], exported: Exported, place: Path
) -> Path:
    """Save networks again, their long convolutions computed directly; where they have none, `exported` is as good."""
    import tensorflow as tf

    from zoo.export import signatures
    from zoo.export.agreement import plan_of

    long = [layer for network in networks for layer in layers_of(network) if hasattr(layer, "method")]
    if not long:
        return exported.folder
    for layer in long:
        layer.method = "direct"
    module, functions = signatures.build(frontend, networks, plan_of(exported.description))
    main = {name: function for name, function in functions.items() if name in _MAIN}
    tf.saved_model.save(module, str(place / "direct"), signatures=main)
    return place / "direct"


@contextmanager
def refusing(what: str, reason: Callable[[str], str | None] = lambda message: None) -> Iterator[None]:
    """Raise RefusedError with a library's reason, by default the first line of its error, for whatever it raises."""
    try:
        yield
    except Exception as error:  # the libraries' exceptions share no class
        first, *_ = str(error).strip().splitlines() or [type(error).__name__]
        raise RefusedError(f"{what}: {reason(str(error)) or first.strip()[:300]}") from error
