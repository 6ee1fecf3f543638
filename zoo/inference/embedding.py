"""Take the embedding of a clip from a network: the vector that its last layer takes.

Of ratings there is one per frame, and a clip has their mean. Networks are those behind a front-end, from
{"features": (batch, frames, n), "n_frames": (batch,)}.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np

from zoo.data.batches.by_length import in_batches
from zoo.runs.model_file import head_of, looks_at_whole_segments


def possible(networks: Sequence[keras.Model]) -> bool:
    """Say whether networks have embeddings of clips of any length; those that look at whole segments do not."""
    return not any(map(looks_at_whole_segments, networks))


def with_embedding(network: keras.Model) -> keras.Model:
    """Return a model of the same layers and weights with two outputs: the network's, and what its last layer takes.

    The second is (batch, width), or (batch, frames, width) of a network for ratings.
    """
    inner = next((layer for layer in reversed(network.layers) if isinstance(layer, keras.Model)), None)
    if inner is None:
        return keras.Model(network.input, [network.output, head_of(network).input])
    both, vectors = with_embedding(inner), []

    def call(layer, *arguments, **options):
        if layer is not inner:
            return layer(*arguments, **options)
        output, vector = both(*arguments, **options)
        vectors.append(vector)
        return output

    copy = keras.models.clone_model(network, clone_function=lambda layer: layer, call_function=call)
    return keras.Model(copy.input, [copy.output, vectors[-1]])


def embedder(
    networks: Sequence[keras.Model], steps_per_frame: int = 1
) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """Return the function from features (steps, n) of clips to their embeddings (width,), float32.

    Those of several networks are side by side: a mean of them would mean nothing. For ratings a frame has
    `steps_per_frame` steps.
    """
    models = [with_embedding(network) for network in networks]

    def of_one(model: keras.Model) -> Callable[[np.ndarray, np.ndarray], list[np.ndarray]]:
        def run(features: np.ndarray, n_frames: np.ndarray) -> list[np.ndarray]:
            _, vectors = model.predict_on_batch({"features": features, "n_frames": n_frames})
            vectors = np.asarray(vectors, np.float32)
            if vectors.ndim == 2:
                return list(vectors)
            counts = n_frames // steps_per_frame
            return [row[:count].mean(axis=0) for row, count in zip(vectors, counts, strict=True)]

        return run

    def embed(features: Sequence[np.ndarray]) -> list[np.ndarray]:
        each = [in_batches(of_one(model), features) for model in models]
        return [np.concatenate(vectors).astype(np.float32) for vectors in zip(*each, strict=True)]

    return embed
