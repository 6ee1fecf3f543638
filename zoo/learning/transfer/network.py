"""Train a network on few labelled clips of a corpus, from the weights of another one and from nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo.config.run_config import RunConfig
from zoo.data.batches.clips import whole_batches
from zoo.data.protocols.splits import Protocol
from zoo.data.schema import Clip, Fold
from zoo.features import from_config
from zoo.learning.transfer.corpora import Corpus
from zoo.runs.model_file import load_model, network_of
from zoo.training import batch_statistics, initial_model, transfer
from zoo.training.fit import fit, make_repeatable
from zoo.training.tasks import classification
from zoo.training.tasks.base import FoldData
from zoo.utils.progress import Progress

TITLES = {
    "nothing": "the target's labelled clips alone, from random weights",
    "source": "the initial model as it is",
    "source-adapted": "the initial model with batch normalisation's statistics of the target",
    "fine-tune": "the initial weights, trained on by --fine-tune",
    "fine-tune-head": "the initial weights, the head alone trained",
}
UNTRAINED = ("source", "source-adapted")
_FROM_NOTHING: dict[str, Any] = {
    "init_from": "",
    "init_fold": "",
    "fine_tune": "",
    "freeze_epochs": 0,
    "fine_tune_rate": 0.0,
    "init_normalization": "new",
    "adapt_batch_norm": False,
}


class _Quiet(Progress):
    """Shows nothing, never started: the study shows how many folds and seeds are done."""

    def line(self, text: str) -> None:
        return None


def predict(
    method: str,
    corpus: Corpus,
    fold: Fold,
    labelled: Sequence[Clip],
    classes: Sequence[str],
    config: RunConfig,
    folder: Path,
) -> np.ndarray:
    """Return class indices of a fold's test clips, by a network trained on the `labelled` clips by a method of TITLES.

    `corpus` has the target's features by clip. The last epoch is kept, so that no clip is needed to choose one. Without
    training, features are standardised and batch normalisation set by all clips of training speakers, unlabelled.
    """
    protocol = replace(corpus.source.protocol, classes=tuple(classes))
    config = replace(config, keep="last", patience=config.epochs)
    if method in UNTRAINED:
        pool = (*fold.train, *fold.validation)
        network = _untrained(method, corpus.features, fold, pool, protocol, config, folder)
    else:
        if method == "nothing":
            config = replace(config, **_FROM_NOTHING)
        elif method == "fine-tune-head":
            config = replace(config, fine_tune="head", freeze_epochs=0)
        data = _data(corpus.features, fold, labelled, protocol, config, folder)
        folder.mkdir(parents=True)
        fit(data, config, _Quiet())
        network = network_of(load_model(folder / "model.keras"))
    tested = classification.examples(config, protocol, corpus.features, fold.test, training=False)
    outputs = np.asarray(network.predict(whole_batches(tested), verbose=0))
    if method in UNTRAINED:  # columns of classes that the initial model does not know are random
        known = initial_model.read(config, fold.name).outputs
        outputs[:, [name not in known for name in classes]] = -1
    by_name = dict(zip((example.name for example in tested), outputs.argmax(axis=-1), strict=True))
    return np.array([by_name[clip.name] for clip in fold.test])


def _data(
    features: Mapping[str, Any], fold: Fold, clips: Sequence[Clip], protocol: Protocol, config: RunConfig, folder: Path
) -> FoldData:
    train = classification.examples(config, protocol, features, clips, training=True)
    frontend = from_config.frontend(config)
    # Validation is of what is trained on, for the progress line alone.
    return FoldData(fold.name, folder, protocol.classes, train, train[:8], frontend)


def _untrained(
    method: str,
    features: Mapping[str, Any],
    fold: Fold,
    pool: Sequence[Clip],
    protocol: Protocol,
    config: RunConfig,
    folder: Path,
) -> keras.Model:
    """Return the initial network with its head by names. As it is, it keeps its own standardisation of features."""
    make_repeatable(config.seed)
    kept = "kept" if method == "source" else config.init_normalization
    config = replace(config, adapt_batch_norm=False, init_normalization=kept)
    data = _data(features, fold, pool, protocol, config, folder)
    network = transfer.begin(classification.fitting(data, config).network, data, config)
    if method == "source-adapted":
        batch_statistics.adapt(network, [features[clip.name].read() for clip in pool])
    return network
