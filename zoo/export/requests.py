"""Make requests of exports from their descriptions, for every check of an export."""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import soundfile

from zoo.data.batches.by_length import padded
from zoo.serving.saved_model import Exported

SECONDS = (0.0, 0.31, 1.0, 1.73)  # of the waveforms; the first is the shortest that is allowed
_FRAMES = (1, 7, 20, 33, 50)  # of the features of networks without a front-end

Value = np.ndarray | list[bytes]
Inputs = Mapping[str, Value]


def takes_waveforms(description: Mapping[str, Any]) -> bool:
    """Say whether the default signature of an export takes waveforms, rather than features."""
    return "waveform" in description["signatures"]["serving_default"]["inputs"]


def clips_of(description: Mapping[str, Any], seconds: Sequence[float] = SECONDS) -> list[np.ndarray]:
    """Return noise for requests: waveforms (samples,) of 16 bits, which a WAV file keeps, or features (frames, bands).

    For networks that look at whole segments, the last waveform takes several of them.
    """
    rng, longest = np.random.default_rng(0), description["longest"]
    if not takes_waveforms(description):
        bands = description["signatures"]["serving_default"]["inputs"]["features"]["shape"][-1]
        return [rng.normal(size=(min(size, longest), bands)).astype(np.float32) for size in _FRAMES]
    sizes = [max(description["shortest"], round(length * description["rate_hz"])) for length in seconds]
    if description.get("segment_frames"):
        sizes.append((2 * description["segment_frames"] + 3) * description["steps_per_frame"])
    rows = [rng.normal(0, 3000, min(size, longest)) for size in sizes]
    return [(np.round(row).clip(-32768, 32767) / 32768).astype(np.float32) for row in rows]


def requests_of(exported: Exported, clips: Sequence[np.ndarray]) -> Iterator[tuple[str, Inputs]]:
    """Yield signatures and inputs: the last clip alone and all of them together; of "stream", two pieces."""
    for signature, described in exported.description["signatures"].items():
        inputs = described["inputs"]
        if "state" in inputs:
            yield signature, _pieces(inputs, exported.description["steps_per_frame"])
            continue
        rows = _features(inputs["features"]["shape"]) if "features" in inputs and clips[0].ndim == 1 else clips
        for chosen in (rows[-1:], rows):
            yield signature, _inputs(inputs, chosen, exported.rate_hz)


def default_requests(exported: Exported) -> list[tuple[Inputs, dict[str, np.ndarray]]]:
    """Return requests of the default signature, one clip and several padded ones, and the export's answers."""
    inputs = exported.description["signatures"]["serving_default"]["inputs"]
    clips = clips_of(exported.description)
    requests = [_inputs(inputs, chosen, exported.rate_hz) for chosen in (clips[1:2], clips)]
    return [(request, answer(exported.module.signatures, "serving_default", request)) for request in requests]


def answer(signatures: Mapping[str, Any], name: str, inputs: Inputs) -> dict[str, np.ndarray]:
    """Return what the signature `name` of a loaded SavedModel answers to one request."""
    import tensorflow as tf

    answers = signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
    return {key: value.numpy() for key, value in answers.items()}


def wav(clip: np.ndarray, rate_hz: int) -> bytes:
    """Return samples in -1..1 as a WAV file of 16 bits."""
    file = io.BytesIO()
    samples = np.round(clip * 32768).clip(-32768, 32767).astype(np.int16)
    soundfile.write(file, samples, rate_hz, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _features(shape: Sequence[int | None]) -> list[np.ndarray]:
    """Return features (steps, channels) at random, for no front-end is at hand; waveforms are one channel."""
    rng = np.random.default_rng(1)
    sizes = [shape[1]] * 2 if shape[1] else [6_407, 9_600] if shape[2] == 1 else [20, 47]
    return [rng.normal(size=(size, shape[2] or 1)).astype(np.float32) for size in sizes]


def _pieces(inputs: Mapping[str, Any], frame_steps: int) -> Inputs:
    """Return pieces of five frames in the middle of two recordings, three of which are to be rated."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(2, 5 * frame_steps, inputs["features"]["shape"][-1])).astype(np.float32)
    state = rng.normal(0, 0.1, (2, inputs["state"]["shape"][-1])).astype(np.float32)
    return {"features": features, "first": np.array(1, np.int32), "count": np.array(3, np.int32), "state": state}


def _inputs(inputs: Mapping[str, Any], rows: Sequence[np.ndarray], rate_hz: int) -> Inputs:
    if "wav_bytes" in inputs:
        return {"wav_bytes": [wav(row, rate_hz) for row in rows]}
    names = ("waveform", "n_samples") if "waveform" in inputs else ("features", "n_frames")
    return dict(zip(names, padded(rows), strict=True))
