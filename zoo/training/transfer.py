"""Fine-tune another model: load its weights, freeze layers, train the head first.

Yosinski, Clune, Bengio, Lipson: "How transferable are features in deep neural networks?", NIPS 2014: the first layers
are taken over, the last ones are trained anew, and all or some are fine-tuned by a smaller learning rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.config.run_config import RunConfig
from zoo.data.corpora import label_maps
from zoo.data.protocols.splits import Protocol
from zoo.errors import UserError, shortened
from zoo.features.extractor import Extractor
from zoo.frontends.compose import with_normalization
from zoo.runs.dataset import Source
from zoo.runs.model_file import bare, head_of
from zoo.training import batch_statistics, initial_model, seen_before
from zoo.training.initial_model import Initial
from zoo.training.seen_before import Seen
from zoo.training.tasks.base import FoldData
from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras

    from zoo.training import encoder_tuning
else:
    keras, encoder_tuning = lazy("keras"), lazy("zoo.training.encoder_tuning")

_SLOWER = 0.1  # fine-tuning's learning rate, behind stages, as a share of the head's


@dataclass(frozen=True)
class Origin:
    """Where a fold's initial weights are from: a record `about` them, their file, and what their model has seen."""

    about: Mapping[str, Any]
    file: Path
    seen: Seen


def origins(config: RunConfig, source: Source) -> dict[str, Origin]:
    """Return the origin of each fold's initial weights, by the fold's name; none without --init-from.

    Raises UserError for a model that cannot be begun with, and where it knows test speakers.
    """
    if not config.init_from:
        return {}
    found = {}
    for fold in source.folds:
        initial = initial_model.read(config, fold.name)
        seen = seen_before.of(initial.about, config, initial.settings)
        seen_before.refuse(seen_before.same_speakers(seen, fold, config), config)
        said = {name: value for name, value in initial.about.items() if name != "before"}
        about = {**said, "for_fold": fold.name, "head": _head_in_words(initial.outputs, source.protocol)}
        about |= {"seen_speakers": dict(seen.speakers)}
        about |= {"not_checked": seen.reason} if seen.reason else {}
        found[fold.name] = Origin(about, initial.file, seen)
    return found


def hashes(found: Mapping[str, Origin]) -> dict[str, str]:
    """Return the SHA-256 of the files of initial weights, as they are now, for data.json; nothing without any."""
    files = dict.fromkeys(origin.file for origin in found.values())
    digests = [sha256(file.read_bytes()).hexdigest() for file in files]
    return {"init_sha256": sha256("".join(digests).encode()).hexdigest()} if digests else {}


def audit(
    found: Mapping[str, Origin],
    source: Source,
    audio_sha256: Mapping[str, str],
    extractor: Extractor,
    config: RunConfig,
) -> list[str]:
    """Return what a result says of speakers and recordings that the initial models have seen and it tests.

    Raises UserError for any unless leakage is allowed. `audio_sha256` is by the clip's name.
    """
    findings = []
    for fold in source.folds if found else ():
        seen = found[fold.name].seen
        said = seen_before.same_speakers(seen, fold, config)
        said += seen_before.same_audio(seen, fold, audio_sha256, extractor, config)
        findings += [f"Fold {fold.name}: {one}" for one in said]
    return seen_before.refuse(findings, config)


def begin(model: keras.Model, fold: FoldData, config: RunConfig) -> keras.Model:
    """Give a fold's new network its initial weights, and return it, by --init-normalization behind another one.

    Raises UserError where layers do not fit, by name.
    """
    network = bare(model)
    initial = initial_model.read(config, fold.name, network)
    put(initial, network, fold.outputs, config.init_from)
    if config.init_normalization == "kept":
        if initial.moments is None or network is model:
            raise UserError(
                f"--init-normalization kept: {config.init_from} holds no mean and variance of features that could be "
                "kept (exports and .weights.h5 have none). Give the run itself, or leave the option out"
            )
        model = with_normalization(*initial.moments, network, least_variance=0.0)
    if config.adapt_batch_norm:
        batch_statistics.adapt(model, [example.features.read() for example in fold.train])
    return model


def put(initial: Initial, network: keras.Model, outputs: Sequence[str], place: str = "") -> None:
    """Set the weights of a network without standardisation; those of its head by the names of its `outputs`.

    Names of emotions are the same in other words, as anger and angry, which the label maps of corpora know. Outputs
    that the initial model lacks keep the weights they have. Raises UserError that names the layers which are only in
    one of both or have other shapes.
    """
    own = initial_model.weights_of(network)
    only = {"which only the new network has": own.keys() - initial.layers.keys()}
    only |= {"which only the initial one has": initial.layers.keys() - own.keys()}
    for what, names in only.items():
        if names:
            raise UserError(
                f"--init-from {place}: expected the layers of {network.name}, found others: "
                f"{shortened(sorted(names))}, {what}. Give a model of the same network and options"
            )
    head, new = head_of(network).name, {}
    for name, arrays in own.items():
        given = initial.layers[name]
        by_name = name == head and arrays[-1].shape[-1] == len(outputs) and tuple(outputs) != initial.outputs
        new[name] = _by_name(given, arrays, initial.outputs, outputs) if by_name else given
    wrong = [name for name, arrays in own.items() if not _fits(new[name], arrays)]
    if wrong:
        shapes = "; ".join(f"{name} {_shapes(initial.layers[name])}, here {_shapes(own[name])}" for name in wrong[:5])
        raise UserError(
            f"--init-from {place}: expected layers of the same shapes, found others in {len(wrong)}: {shapes}. Give a "
            "model of the same network and options"
        )
    for name, arrays in new.items():
        network.get_layer(name).set_weights(arrays)


def stage(model: keras.Model, config: RunConfig, epoch: int) -> RunConfig:
    """Freeze the layers that are not trained in an epoch (from 1); return the configuration of its stage.

    Its learning rate and number of epochs are those of the stage. Batch normalisation that is frozen keeps its
    statistics and normalises by them, in training too.
    """
    if not has_stages(config):
        return config
    first = epoch <= config.freeze_epochs
    if config.trains_encoder:
        encoder_tuning.freeze(bare(model), config, head_alone=first)
    else:
        with_weights = [layer for layer in bare(model).layers if layer.weights]
        n_trained = 1 if first else trained_layers(config.fine_tune or "all", len(with_weights))
        for number, layer in enumerate(reversed(with_weights)):
            layer.trainable = number < n_trained
    if first:
        return replace(config, epochs=config.freeze_epochs)
    usual = config.learning_rate * (_SLOWER if config.freeze_epochs else 1)
    rate = config.fine_tune_rate or usual
    return replace(config, epochs=config.epochs - config.freeze_epochs, learning_rate=rate)


def has_stages(config: RunConfig) -> bool:
    """Return whether a training may freeze layers: with initial weights, its network's or its speech encoder's."""
    return bool(config.init_from) or config.trains_encoder


def unfreeze(model: keras.Model) -> None:
    """Make all layers trainable, as those of any other saved model. Keras does not reach layers of a model inside."""
    for layer in bare(model).layers:
        layer.trainable = True


def trained_layers(fine_tune: str, n_layers: int) -> int:
    """Return how many of a network's layers with weights, from the last one, --fine-tune trains.

    >>> [trained_layers(words, 9) for words in ("all", "top", "3", "head")]
    [9, 5, 3, 1]

    Raises UserError for more layers than there are.
    """
    words = {"all": n_layers, "top": -(-n_layers // 2), "head": 1}
    count = words[fine_tune] if fine_tune in words else int(fine_tune)
    if count > n_layers:
        raise UserError(f"--fine-tune is {count}, expected at most {n_layers}, the network's layers with weights")
    return count


def _by_name(
    given: Sequence[np.ndarray], own: Sequence[np.ndarray], names: Sequence[str], outputs: Sequence[str]
) -> list[np.ndarray]:
    """Return the head's own arrays (..., outputs) with those columns of the given (..., names) whose class is here too.

    Arrays that differ in more than the number of outputs are given back, and refused for their shape.
    """
    if [array.shape[:-1] for array in given] != [array.shape[:-1] for array in own]:
        return list(given)
    new = [array.copy() for array in own]
    known = label_maps.common(names)
    for here, name in enumerate(label_maps.common(outputs)):
        for array, source in zip(new, given, strict=True):
            if name in known:
                array[..., here] = source[..., known.index(name)]
    return new


def _fits(given: Sequence[np.ndarray], own: Sequence[np.ndarray]) -> bool:
    return [array.shape for array in given] == [array.shape for array in own]


def _shapes(arrays: Sequence[np.ndarray]) -> str:
    return " ".join(str(tuple(array.shape)) for array in arrays)


def _head_in_words(names: Sequence[str], protocol: Protocol) -> str:
    outputs = protocol.classes or protocol.targets
    known = label_maps.common(names)
    kept = [name for name, common in zip(outputs, label_maps.common(outputs), strict=True) if common in known]
    new = [name for name in outputs if name not in kept]
    parts = (f"{what} {', '.join(some)}" for what, some in (("kept:", kept), ("new:", new)) if some)
    return "; ".join(parts)
