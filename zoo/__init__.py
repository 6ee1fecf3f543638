"""Speech-emotion networks from the literature in Keras 3: one registry, one pipeline, one way to measure."""

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.version import __version__ as __version__

if TYPE_CHECKING:
    from zoo.pretrained import Pretrained, PublishedHead, TrainedRun
    from zoo.serving.listing import Listed


def load(place: "str | Path", runtime: str = "auto") -> "Pretrained | TrainedRun | PublishedHead":
    """Loads an exported model, by its name in saved_models/ or by its folder, or a run or published weights by theirs.

        model = zoo.load("attention_blstm_fcn-ravdess")
        model.predict("clip.wav")       # {"file": ..., "emotion": ..., "probabilities": {...}, "trained_on": ...}

    `runtime` computes it: "onnx" (ONNX Runtime, which starts within a second; not for models without that form),
    "tensorflow", or "auto", the first of them that can.

    Raises zoo.errors.UserError for an unknown name or a damaged export.
    """
    from zoo import pretrained  # here, not above: the package is imported by what needs no TensorFlow

    return pretrained.load(place, runtime)


def list_models() -> "list[Listed]":
    """List the models that `load` takes by name, sorted: name, title, task, outputs, trained_on, licence, megabytes.

    Raises zoo.errors.UserError for a damaged one.
    """
    from zoo import pretrained

    return pretrained.list_models()


def example_clip() -> Path:
    """Return the path of a recording of speech to try models on: 5.3 s, 16 kHz, in the public domain."""
    return Path(__file__).parent / "examples" / "sense_and_sensibility.wav"
