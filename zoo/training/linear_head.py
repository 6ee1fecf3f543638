"""Build, fill and read the linear models of a run, in Keras or, where nothing else of the run needs that, without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from zoo import registry
from zoo.config.run_config import RunConfig
from zoo.errors import OptionError, UserError
from zoo.frontends.compose import with_frontend, with_normalization
from zoo.models import option_ranges
from zoo.runs import linear_model
from zoo.runs.linear_model import LEAST_DEVIATION, LinearModel
from zoo.training.tasks.base import FoldData
from zoo.utils.atomic_files import written_aside
from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras

    Head: TypeAlias = keras.Model | LinearModel
else:
    keras = lazy("keras")

Fitted = list[tuple[np.ndarray, float]]  # weights (features,) and bias of every output


def check(config: RunConfig) -> None:
    """Raise UserError for options that the model of a configuration cannot be built with; builds nothing."""
    builder = registry.builder_of(config.model, config.option)
    try:
        for name, value in config.option.items():
            option_ranges.check(name, value, signature(builder).parameters[name])
    except OptionError as error:
        raise UserError(f"{config.model} cannot be built with {dict(config.option)}: {error}") from error


def made(
    fold: FoldData, config: RunConfig, vectors: np.ndarray, with_keras: bool
) -> tuple[Head, Callable[[np.ndarray], np.ndarray]]:
    """Return the linear model behind standardisation and projection, and these two as a function of vectors.

    The moments and components are those of `vectors` (n, features). Raises UserError for more components than vectors
    or features.
    """
    mean, variance = vectors.mean(axis=0), vectors.var(axis=0)
    # As Keras's layer has it, so that what is fitted is what is served.
    deviation = np.maximum(np.sqrt(np.where(variance == 0, 1, variance)), LEAST_DEVIATION)
    components = {**registry.get(config.model).options, **config.option}.get("components")
    if components is not None and components > min(vectors.shape):
        raise UserError(
            f"components is {components}, expected at most {min(vectors.shape)}: fold {fold.name} trains on "
            f"{len(vectors)} vectors of {vectors.shape[1]} features. Give --option components=N, or more clips"
        )
    head: Head
    if with_keras or not registry.get(config.model).trains_without_keras:
        head = _of_keras(fold, config, mean, variance)
    else:
        head = LinearModel(config.model, mean, np.where(variance == 0, 1.0, variance), len(fold.outputs), {})
    if components is None:
        return head, lambda given: (given - mean) / deviation
    from sklearn.decomposition import PCA

    pca = PCA(components, svd_solver="full").fit((vectors - mean) / deviation)
    _put(head, "projection", pca.components_.T, -pca.mean_ @ pca.components_.T)
    return head, lambda given: pca.transform((given - mean) / deviation)


def _of_keras(fold: FoldData, config: RunConfig, mean: np.ndarray, variance: np.ndarray) -> keras.Model:
    options = {"seed": config.seed, **config.option}
    bare = registry.build(config.model, len(fold.outputs), len(mean), **options)
    return with_normalization(mean, variance, bare, least_variance=0.0)


def fill(head: Head, fitted: Fitted) -> None:
    """Give the model the weights and bias of every output."""
    weights, biases = np.stack([weights for weights, _ in fitted], axis=1), np.array([bias for _, bias in fitted])
    _put(head, "scores" if isinstance(head, LinearModel) else "", weights, biases)


def _put(head: Head, name: str, weights: np.ndarray, biases: np.ndarray) -> None:
    """Give the linear map of this name its weights, "" the last one."""
    if isinstance(head, LinearModel):
        head.maps[name] = (weights.astype(np.float32), biases.astype(np.float32))
        return
    maps = [layer for layer in head.layers[-1].layers if isinstance(layer, keras.layers.Dense)]  # behind normalisation
    next(layer for layer in reversed(maps) if name in ("", layer.name)).set_weights([weights, biases])


def save(head: Head, body: keras.Model | None, fold: FoldData) -> None:
    """Write model.keras of a fold: the linear model, behind `body` and the fold's front-end where there are such."""
    path = fold.folder / "model.keras"
    if isinstance(head, LinearModel):
        head.save(path)
        return
    network = head if body is None else _behind(body, head)
    with written_aside(path) as aside:
        (with_frontend(fold.frontend, network) if fold.frontend else network).save(aside)


def read(path: Path, classes: Sequence[str]) -> LinearModel:
    """Return the saved model of a fold. Raises UserError where it is absent, damaged, or of other classes."""
    if not path.is_file():
        raise UserError(f"{path}: no trained model is there; train to the end first, or add --resume to go on")
    try:
        found = linear_model.read(path)
        if found.n_classes != len(classes):
            raise ValueError(f"one of {found.n_classes} outputs, not of {len(classes)}: {', '.join(classes)}")
    except (ValueError, OSError) as error:
        raise UserError(
            f"{path}: expected a linear model as train.py saves it, found another or a damaged one ({error}). Restore "
            "the file, or train again into another folder"
        ) from error
    return found


def _behind(body: keras.Model, head: keras.Model) -> keras.Model:
    inputs = {item.name: keras.Input(item.shape[1:], dtype=item.dtype, name=item.name) for item in body.inputs}
    vectors = body(inputs)
    if len(vectors.shape) == 2:
        vectors = keras.layers.Reshape((1, vectors.shape[-1]), name="one_frame")(vectors)
    return keras.Model(inputs, head({"features": vectors, "n_frames": inputs["n_frames"]}), name=f"{head.name}_on_body")
