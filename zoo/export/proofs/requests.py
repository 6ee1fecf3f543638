"""Requests of exports, made from their descriptions, and the answers their SavedModels give in this process."""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from zoo.export.proofs.processes import Request, Value
from zoo.serving.saved_model import Exported

SECONDS = (0.0, 0.31, 1.0, 1.73)  # of the requests; the first is the shortest that is allowed


def clips_of(description: Mapping[str, Any]) -> list[np.ndarray]:
    """Returns what requests are made of: waveforms (samples,) of 16 bits, or features (frames, bands)."""
    rng = np.random.default_rng(0)
    inputs = description["signatures"]["serving_default"]["inputs"]
    if "waveform" not in inputs:
        bands = inputs["features"]["shape"][-1]
        sizes = [min(n_frames, description["longest"]) for n_frames in (1, 7, 20, 33)]
        return [rng.normal(size=(n_frames, bands)).astype(np.float32) for n_frames in sizes]
    rate_hz, shortest = description["rate_hz"], description["shortest"]
    sizes = [max(shortest, round(seconds * rate_hz)) for seconds in SECONDS]
    if description.get("segment_frames"):  # one that takes several segments
        sizes[-1] = (2 * description["segment_frames"] + 3) * description["steps_per_frame"]
    rows = [rng.normal(0, 3000, min(size, description["longest"])) for size in sizes]
    return [(np.round(row).clip(-32768, 32767) / 32768).astype(np.float32) for row in rows]


def requests_of(exported: Exported, clips: Sequence[np.ndarray]) -> Iterator[Request]:
    """For every signature, the longest clip alone and all of them together; pieces of two streams."""
    names = tensor_names(exported.folder)
    described = exported.description["signatures"]
    for signature in described:
        inputs = described[signature]["inputs"]
        if "state" in inputs:
            yield Request(signature, _pieces(inputs, exported.description["steps_per_frame"]), *names[signature])
            continue
        if "features" in inputs:
            rows = clips if clips[0].ndim == 2 else _features(inputs["features"]["shape"])
        else:
            rows = clips
        for chosen in (rows[-1:], rows):
            yield Request(signature, _inputs(inputs, chosen, exported.rate_hz), *names[signature])


def _features(shape: Sequence[int | None]) -> list[np.ndarray]:
    """Any features (steps, channels): a front-end is not at hand. Raw waveforms are one channel of many steps."""
    rng = np.random.default_rng(1)
    sizes = [shape[1]] * 2 if shape[1] else [6_407, 9_600] if shape[2] == 1 else [20, 47]
    return [rng.normal(size=(size, shape[2] or 1)).astype(np.float32) for size in sizes]


def _pieces(inputs: Mapping[str, Any], frame_steps: int) -> dict[str, Value]:
    """Pieces of five frames in the middle of two recordings, three of which are to be rated."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(2, 5 * frame_steps, inputs["features"]["shape"][-1])).astype(np.float32)
    state = rng.normal(0, 0.1, (2, inputs["state"]["shape"][-1])).astype(np.float32)
    return {"features": features, "first": np.array(1, np.int32), "count": np.array(3, np.int32), "state": state}


def _inputs(inputs: Mapping[str, Any], rows: Sequence[np.ndarray], rate_hz: int) -> dict[str, Value]:
    if "wav_bytes" in inputs:
        return {"wav_bytes": [wav(row, rate_hz) for row in rows]}
    values, counts = ("waveform", "n_samples") if "waveform" in inputs else ("features", "n_frames")
    lengths = np.array([len(row) for row in rows], np.int32)
    padded = np.zeros((len(rows), lengths.max(), *rows[0].shape[1:]), np.float32)
    for into, row in zip(padded, rows, strict=True):
        into[: len(row)] = row
    return {values: padded, counts: lengths}


def default_requests(exported: Exported) -> list[tuple[dict[str, Value], dict[str, np.ndarray]]]:
    """Returns requests of the default signature, one clip and several padded ones, and the export's answers."""
    inputs = exported.description["signatures"]["serving_default"]["inputs"]
    clips = clips_of(exported.description)
    requests = [_inputs(inputs, chosen, exported.rate_hz) for chosen in (clips[1:2], clips)]
    return [(request, answer(exported, "serving_default", request)) for request in requests]


def wav(clip: np.ndarray, rate_hz: int) -> bytes:
    """Returns samples in -1..1 as a WAV file of 16 bits."""
    file = io.BytesIO()
    samples = np.round(clip * 32768).clip(-32768, 32767).astype(np.int16)
    soundfile.write(file, samples, rate_hz, format="WAV", subtype="PCM_16")
    return file.getvalue()


def answer(exported: Exported, signature: str, inputs: Mapping[str, Value]) -> dict[str, np.ndarray]:
    """Returns what a signature answers to one request."""
    import tensorflow as tf

    answers = exported.module.signatures[signature](**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in answers.items()}


def tensor_names(folder: Path) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """Returns, for each signature, the tensors' names in the graph of its inputs and outputs."""
    return {
        name: (
            {key: item.name for key, item in sorted(signature.inputs.items())},
            {key: item.name for key, item in sorted(signature.outputs.items())},
        )
        for name, signature in meta_graph(folder).signature_def.items()
    }


def meta_graph(folder: Path) -> Any:
    """Returns the protocol buffer of a SavedModel's graph."""
    from tensorflow.core.protobuf import saved_model_pb2

    return saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0]
