"""Arousal and valence all along a recording, however long, by networks that were trained on segments.

A convolutional part sees less than a second: it may be run in pieces and gives the same as on the whole, without the
gigabytes its first layer would need there. A recurrent part is run on whole recordings, up to a length; beyond that, in
windows that overlap by so much that it has forgotten where it began.
"""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from zoo.data.audio_blocks import moments, windows

# Longer than the reach of any network's convolutions to either side (at most 0.25 s).
MARGIN_FRAMES = 25
PIECE_FRAMES = 500

Tracer = Callable[[np.ndarray], np.ndarray]


def tracer(network: keras.Model, steps_per_frame: int, segment_frames: int) -> Tracer:
    """Returns a function from features (steps, channels) to ratings (frames, dimensions).

    A network that looks at its segment as a whole (a layer of it says `whole_segment`) is given consecutive segments of
    `segment_frames`; one with a layer named "frames" runs up to that layer in pieces.
    """
    if looks_at_whole_segments(network):
        return _in_segments(network, steps_per_frame, segment_frames)
    if any(layer.name == "frames" for layer in network.layers):
        return _convolutions_in_pieces(network, steps_per_frame)
    return lambda features: _run(network, features)


def trace_long(path: Path, trace: Tracer, rate_hz: int, steps_per_frame: int, inner_frames: int, margin_frames: int):
    """Returns the ratings (frames, dimensions) of a file of any length in constant memory, by overlapping windows.

    `trace` takes the standardised waveform (samples, 1). The file is read twice: first for its mean and deviation.
    """
    mean, variance, _ = moments(path, rate_hz)
    parts = []
    for window in windows(path, inner_frames * steps_per_frame, margin_frames * steps_per_frame, rate_hz):
        ratings = trace(((window.samples - mean) / np.sqrt(variance + 1e-14)).astype(np.float32)[:, None])
        before, after = window.before // steps_per_frame, window.after // steps_per_frame
        parts.append(ratings[before : len(ratings) - after])
    return np.concatenate(parts)


def looks_at_whole_segments(network: keras.Model) -> bool:
    """Says whether a layer of the network depends on where a segment begins and ends."""
    return any(getattr(layer, "whole_segment", False) for layer in network.layers)


def network_of(model: keras.Model) -> keras.Model:
    """Returns the network behind the front-end of a saved model; the model itself where it has none."""
    if not any(hasattr(layer, "rate_hz") for layer in model.layers):
        return model
    return next(layer for layer in model.layers if isinstance(layer, keras.Model))


def _run(model: keras.Model, features: np.ndarray) -> np.ndarray:
    inputs = {"features": features[None], "n_frames": np.array([len(features)], np.int32)}
    return np.asarray(model.predict_on_batch(inputs))[0]


def _in_segments(network, steps_per_frame, segment_frames) -> Tracer:
    def trace(features):
        n_frames = len(features) // steps_per_frame
        size = min(segment_frames, n_frames)
        starts = [*range(0, n_frames - size, size), n_frames - size]  # the last one overlaps the one before
        ratings = np.empty((n_frames, network.output_shape[-1]), np.float32)
        for start in starts:
            part = _run(network, features[start * steps_per_frame : (start + size) * steps_per_frame])
            ratings[start : start + size] = part
        return ratings

    return trace


def _convolutions_in_pieces(network, steps_per_frame) -> Tracer:
    copy = keras.models.clone_model(network)  # a network that was split can no longer be saved
    local, recurrent = _split(copy)
    size, inner = PIECE_FRAMES + 2 * MARGIN_FRAMES, PIECE_FRAMES

    def trace(features):
        n_frames = len(features) // steps_per_frame
        if n_frames <= size:
            return _run(network, features)[:n_frames]
        copy.set_weights(network.get_weights())
        frames = np.empty((n_frames, local.output_shape[-1]), np.float32)
        for start in range(0, n_frames, inner):
            first = min(max(start - MARGIN_FRAMES, 0), n_frames - size)
            # The last piece keeps the samples beyond the last whole frame: its convolutions may still see them.
            last = None if first == n_frames - size else (first + size) * steps_per_frame
            part = _run(local, features[first * steps_per_frame : last])
            end = min(start + inner, n_frames)
            frames[start:end] = part[start - first : end - first]
        counts = np.array([n_frames * steps_per_frame], np.int32)
        return np.asarray(recurrent.predict_on_batch([frames[None], counts]))[0]

    return trace


def _split(network):
    frames = network.get_layer("frames").output
    local = keras.Model(network.inputs, frames)
    counts = network.inputs[[item.name for item in network.inputs].index("n_frames")]
    recurrent = keras.Model([frames, counts], network.output)
    return local, recurrent
