"""The kinds of task a network may have, each a module that says in the same words what is its own.

Training and evaluation are the same for all networks but for what these modules define:

    SCORE           column of the history by which the best epoch is chosen; higher is better
    FIGURES         keys of a record that must come out again when a run is evaluated again
    SHORT           keys of a fold's record that its run's record repeats
    frontend        (config) -> the front-end of the model that training saves: a Keras layer from waveforms to what
                    the network takes; or None
    extractor       (config) -> how clips become features before training
    check           (config, protocol) -> None; UserError for a setting that cannot work
    examples        (config, protocol, features, clips, training) -> what the pipeline takes
    network         (task, config) -> the network to be trained, uncompiled, from features
    body            (task, config) -> what stands before a linear model: a model from features to vectors; or None
    loss            (config) -> the loss
    batches         (task, config) -> a function from an epoch's number (from 1) to its batches as tf.data
    validator       (model, task, config) -> a function that returns the epoch's validation figures
    in_words        (row of the history) -> its figures as a progress line shows them
    after_training  (model file, task, config) -> None; anything else that is fitted on validation data or belongs in
                    the saved model
    test_rows       (fold's folder, clips, protocol, corpus, config, hear) -> rows of predictions.csv; `hear` maps
                    (waveform, clip's name) to what the model is to hear in its place, or is None
    scores          (rows, protocol) -> the figures of metrics.json
    plot, curves    (record, rows, folder, title), (history, path, title): the PNGs
    print_metrics   (record, title): the figures on the terminal
"""

from importlib import import_module
from types import ModuleType

from zoo import registry

_MODULES = {"emotion": "classification", "continuous": "continuous", "enhancement": "enhancement"}


def of(model: str) -> ModuleType:
    """Returns the module of a network's task."""
    # Not above: a task's module takes seconds to import, for the backend comes with it.
    return import_module(f"zoo.training.tasks.{_MODULES[registry.get(model).task]}")
