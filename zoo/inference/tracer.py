"""Run a network for ratings over the features of one recording, in pieces or segments where it needs them.

The receptive field of the convolutions is below a second: run in pieces they give the same as on the whole recording,
without the gigabytes their first layer would need there.
"""

from collections.abc import Callable

import keras
import numpy as np

from zoo.runs.model_file import looks_at_whole_segments

# Longer than the reach of any network's convolutions to either side, with its paper's kernels (at most 0.25 s).
MARGIN_FRAMES = 25
PIECE_FRAMES = 500

Tracer = Callable[[np.ndarray], np.ndarray]


def tracer(network: keras.Model, steps_per_frame: int, segment_frames: int) -> Tracer:
    """Return a function from features (steps, channels) to ratings (frames, dimensions).

    A network that depends on where segments begin and end (a layer of it has `whole_segment`) gets consecutive segments
    of `segment_frames`; one with a layer named "frames" runs up to that layer in pieces.
    """
    if looks_at_whole_segments(network):
        return _in_segments(network, steps_per_frame, segment_frames)
    if any(layer.name == "frames" for layer in network.layers):
        return _convolutions_in_pieces(network, steps_per_frame)
    return lambda features: _run(network, features)


def segment_starts(n_frames: int, segment_frames: int) -> list[int]:
    """Return the first frames of consecutive segments that cover a recording; the last overlaps the one before."""
    size = min(segment_frames, n_frames)
    return [*range(0, n_frames - size, size), n_frames - size]


def _run(model: keras.Model, features: np.ndarray) -> np.ndarray:
    inputs = {"features": features[None], "n_frames": np.array([len(features)], np.int32)}
    return np.asarray(model.predict_on_batch(inputs))[0]


def _in_segments(network, steps_per_frame, segment_frames) -> Tracer:
    def trace(features):
        n_frames = len(features) // steps_per_frame
        size = min(segment_frames, n_frames)
        ratings = np.empty((n_frames, network.output_shape[-1]), np.float32)
        for start in segment_starts(n_frames, segment_frames):
            steps = slice(start * steps_per_frame, (start + size) * steps_per_frame)
            ratings[start : start + size] = _run(network, features[steps])
        return ratings

    return trace


def _convolutions_in_pieces(network, steps_per_frame) -> Tracer:
    copy = keras.models.clone_model(network)  # a network that was split can no longer be saved
    frames_output = copy.get_layer("frames").output
    local = keras.Model(copy.inputs, frames_output)
    counts_input = next(item for item in copy.inputs if item.name == "n_frames")
    recurrent = keras.Model([frames_output, counts_input], copy.output)
    size, inner = PIECE_FRAMES + 2 * MARGIN_FRAMES, PIECE_FRAMES

    def trace(features):
        n_frames = len(features) // steps_per_frame
        if n_frames <= size:
            return _run(network, features)[:n_frames]
        copy.set_weights(network.get_weights())
        frames = np.empty((n_frames, local.output_shape[-1]), np.float32)
        for start in range(0, n_frames, inner):
            first = min(max(start - MARGIN_FRAMES, 0), n_frames - size)
            part = _run(local, features[first * steps_per_frame : (first + size) * steps_per_frame])
            end = min(start + inner, n_frames)
            frames[start:end] = part[start - first : end - first]
        counts = np.array([n_frames * steps_per_frame], np.int32)
        return np.asarray(recurrent.predict_on_batch([frames[None], counts]))[0]

    return trace
