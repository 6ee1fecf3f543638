"""Load exported models and call their signatures, by TensorFlow or ONNX Runtime, without Keras or the run."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.batches.by_length import padded
from zoo.errors import UserError, missing, unknown
from zoo.serving import graph_audit, onnx_form
from zoo.serving.description import (
    EMBEDDING,
    ONNX_PATH,
    WITH_CONFIDENCE,
    check_files,
    damaged,
    heads_of,
    outputs_of,
    read_description,
)
from zoo.serving.onnx_form import OnnxForm
from zoo.serving.versions import version_folder

RUNTIMES = ("auto", "onnx", "tensorflow")
_CLIP_SECONDS = (0.06, 60.0)  # where a clip is one row of openSMILE's functionals


@dataclass(frozen=True)
class Exported:
    """An export, opened. `description` is description.json; `forms` are the signatures that ONNX Runtime computes.

    All others are TensorFlow's, which loads the SavedModel (`loaded`) once one is called.
    """

    folder: Path
    description: Mapping[str, Any]
    loaded: Any = None
    forms: Mapping[str, OnnxForm] = field(default_factory=dict)

    @cached_property
    def module(self) -> Any:
        """What TensorFlow makes of the SavedModel, checked first. Raises UserError where it is damaged or not safe."""
        return self.loaded or _load_module(self.folder, self.description)

    @property
    def rate_hz(self) -> int:
        """Sampling rate of the waveforms it takes."""
        return self.description["rate_hz"]

    @property
    def continuous(self) -> bool:
        """Whether it rates every frame, rather than classify emotion."""
        return self.description["task"] == "continuous"

    @property
    def outputs(self) -> list[str]:
        """Names of the classes, or of the rated dimensions."""
        return outputs_of(self.description)

    def on_waveforms(self, waveforms: Sequence[np.ndarray], signature: str = "serving_default") -> list[np.ndarray]:
        """Predict waveforms (samples,) in one request: probabilities (classes,) or ratings (frames, dims) of each.

        By the signature "all_targets", every target's columns in the order of the description (zoo.heads).
        """
        rows, lengths = padded(waveforms)
        return self.run(signature, waveform=rows, n_samples=lengths)

    def on_features(self, features: Sequence[np.ndarray], signature: str = "features") -> list[np.ndarray]:
        """Predict features (frames, bands), as the front-end makes them, in one request."""
        rows, lengths = padded(features)
        return self.run(signature, features=rows, n_frames=lengths)

    def on_wav_bytes(self, files: Sequence[bytes]) -> list[np.ndarray]:
        """Predict the contents of 16-bit WAV files at `rate_hz` in one request."""
        import tensorflow as tf

        return self.run("wav_bytes", wav_bytes=tf.constant(files, tf.string))

    def with_confidence(self, clips: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Classify what the default signature takes in one request, by the signature "with_confidence".

        Returns probabilities (batch, classes), confidence (batch,) and abstained (batch,), bool.
        """
        rows, lengths = padded(clips)
        inputs = self.description["signatures"][WITH_CONFIDENCE]["inputs"]
        names = ("waveform", "n_samples") if "waveform" in inputs else ("features", "n_frames")
        return self._call(WITH_CONFIDENCE, **dict(zip(names, (rows, lengths), strict=True)))

    def embed(self, rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return embeddings (batch, width) of a padded batch that the default signature takes, by "embedding"."""
        inputs = self.description["signatures"][EMBEDDING]["inputs"]
        names = ("waveform", "n_samples") if "waveform" in inputs else ("features", "n_frames")
        return self._call(EMBEDDING, **dict(zip(names, (rows, lengths), strict=True)))[EMBEDDING]

    def on_piece(
        self, features: np.ndarray, first: int, count: int, state: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rate the next piece of a recording, by the signature "stream" (zoo.export.stream_signature).

        features (samples, channels), frames to be rated, the state before them (none at the start) -> ratings (count,
        folds, dimensions) without delay and post-processing, and the state after them.
        """
        if state is None:
            size = self.description["signatures"]["stream"]["inputs"]["state"]["shape"][-1]
            state = np.zeros((1, size), np.float32)
        answers = self._call("stream", features=features[None], first=first, count=count, state=state)
        return answers["ratings"][0], answers["state"]

    def run(self, signature: str, **request: Any) -> list[np.ndarray]:
        """Call a signature with a batch of inputs; returns the rows of its outputs, without padding."""
        answers = self._call(signature, **request)
        if signature.startswith("all_targets"):
            every = [answers[head.name] for head in heads_of(self.description)]
            return list(np.concatenate([values if values.ndim == 2 else values[:, None] for values in every], axis=1))
        if not self.continuous:
            return list(answers["probabilities"])
        # Of outputs of two lengths the shorter: a number that is not the request's is for who calls to judge.
        return [row[:count] for row, count in zip(answers["arousal_valence"], answers["n_frames"], strict=False)]

    def run_each(self, signature: str, **request: np.ndarray) -> list[np.ndarray | str]:
        """Return what `run` does; rows that the graph refuses, or has no output for, get the reason in words.

        An ONNX form refuses nothing.
        """
        if signature in self.forms:
            return list(self.run(signature, **request))
        import tensorflow as tf

        size = len(next(iter(request.values())))
        try:
            outputs = self.run(signature, **request)
            if len(outputs) == size:
                return list(outputs)
            refusal = f"{len(outputs)} outputs for {size} recordings"
        except tf.errors.InvalidArgumentError as error:
            refusal = f"no output: {str(error.message).partition(chr(10))[0][:300]}"
        if size == 1:
            return [refusal]
        alone = ({name: values[n : n + 1] for name, values in request.items()} for n in range(size))
        return [output for one in alone for output in self.run_each(signature, **one)]

    def _call(self, signature: str, **request) -> dict[str, np.ndarray]:
        if signature in self.forms:
            wanted = self.description["signatures"][signature]["outputs"]
            return {name: value for name, value in self.forms[signature](request).items() if name in wanted}
        import tensorflow as tf

        tensors = {name: tf.convert_to_tensor(value) for name, value in request.items()}
        return {name: value.numpy() for name, value in self.module.signatures[signature](**tensors).items()}


def limits_seconds(description: Mapping[str, Any]) -> tuple[float, float]:
    """Return the shortest and the longest utterance that an export accepts, in seconds."""
    if description["lengths_in"] == "rows":
        return _CLIP_SECONDS
    unit = 1 / description["rate_hz"] if description["lengths_in"] == "samples" else description["frame_seconds"]
    return description["shortest"] * unit, description["longest"] * unit


def load(place: Path | str, runtime: str = "tensorflow") -> Exported:
    """Open an export: the folder of a version, or the newest version in a folder of them.

    `runtime` is "tensorflow", which loads the SavedModel at once; "onnx", by ONNX Runtime what the export holds in that
    form and the rest by TensorFlow; or "auto", "onnx" where that is possible. The ONNX form does not refuse a request,
    so that only those who check recordings first should choose it.

    Files, operations and description are checked before anything of it runs, so that it can neither read or write other
    files nor run code. Raises UserError for what is no export, is damaged, of another format, or not safe, and for an
    unknown runtime or one that it cannot have.
    """
    if runtime not in RUNTIMES:
        raise unknown("runtime", runtime, RUNTIMES)
    place = Path(place)
    folder = version_folder(place)
    if not folder:
        found = "neither saved_model.pb nor a numbered version" if place.is_dir() else missing(place)
        raise UserError(f"{place}: expected an exported model, found {found}; make one with scripts/export.py")
    if runtime == "tensorflow":
        graph_audit.check(folder)
    exported = Exported(folder, read_description(folder))
    check_files(folder, exported.description["files"])
    has_onnx = "onnx" in exported.description and onnx_form.is_installed()
    if runtime == "onnx" or (runtime == "auto" and has_onnx):
        return _with_onnx(exported)
    _ = exported.module  # loaded now, so that what is wrong with it is said now
    return exported


def _with_onnx(exported: Exported) -> Exported:
    if "onnx" not in exported.description:
        raise UserError(
            f"{exported.folder}: holds no ONNX form. Choose the runtime tensorflow, or make it anew: "
            "scripts/export.py EXPORT --out DIR"
        )
    if not onnx_form.is_installed():
        raise UserError("the runtime onnx needs onnxruntime, found none: pip install onnxruntime. Or choose tensorflow")
    form = OnnxForm(exported.folder / ONNX_PATH)
    return replace(exported, forms=dict.fromkeys(exported.description["onnx"], form))


def _load_module(folder: Path, description: Mapping[str, Any]) -> Any:
    graph_audit.check(folder)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    try:
        module = tf.saved_model.load(str(folder))
    except (tf.errors.OpError, ValueError, KeyError, AttributeError, TypeError, OSError) as error:
        raise damaged(folder, str(error).partition("\n")[0]) from error
    for name, described in description["signatures"].items():
        if name not in module.signatures:
            raise damaged(folder, f"no signature {name}")
        if (own := _signature(module.signatures[name])) != described:
            raise damaged(folder, f"the signature {name} with {own}, described as {described}"[:600])
    return module


def _signature(function: Any) -> dict[str, Any]:
    """Return a signature as descriptions have it."""

    def described(tensors: Mapping[str, Any]) -> dict[str, Any]:
        shapes = {name: None if item.shape.rank is None else item.shape.as_list() for name, item in tensors.items()}
        return {name: {"dtype": item.dtype.name, "shape": shapes[name]} for name, item in tensors.items()}

    _, inputs = function.structured_input_signature
    return {"inputs": described(inputs), "outputs": described(function.structured_outputs)}
