"""Measure training from features on disk (zoo.data.batches.clips) against the same batches held in memory."""

import tempfile
from functools import partial, reduce
from pathlib import Path

import numpy as np
import tensorflow as tf

from bench import inputs
from bench.result import Result, median_seconds
from zoo import registry
from zoo.config import flags
from zoo.data.augmentation.feature_augmentation import specaugment
from zoo.data.batches.clips import moments, training_batches
from zoo.frontends.compose import with_normalization
from zoo.training.fit import compile_model, make_repeatable

BATCH_SIZE = 16


def measure(quick: bool) -> list[Result]:
    n_batches, repeats = (2, 1) if quick else (12, 7)
    with tempfile.TemporaryDirectory() as cache:
        examples = inputs.examples(inputs.clips(n_batches * BATCH_SIZE), Path(cache))
        mean, variance = moments(example.features for example in examples)
        model = _model(mean, variance, n_classes=1 + max(example.label for example in examples))
        augment = partial(specaugment, fill=mean.astype(np.float32))

        def batches():
            return training_batches(examples, BATCH_SIZE, max_frames=300, seed=0, epoch=1, augment=augment)

        in_memory = reduce(tf.data.Dataset.concatenate, map(tf.data.Dataset.from_tensors, batches()))
        in_memory = in_memory.with_options(batches().options())
        seconds = median_seconds(
            {
                "ours": lambda: model.fit(batches(), shuffle=False, verbose=0),
                "reference": lambda: model.fit(in_memory, shuffle=False, verbose=0),
            },
            repeats,
        )
    note = f"TensorFlow, batch {BATCH_SIZE}, crops of 3 s, SpecAugment; reference: the same batches in memory"
    times = (1000 * seconds["ours"] / n_batches, 1000 * seconds["reference"] / n_batches)
    return [Result("pipeline", "ms/step", *times, target=1.05, bound="at most", note=note)]


def _model(mean, variance, n_classes):
    settings = flags.from_flags({"batch_size": BATCH_SIZE})
    make_repeatable(settings.seed)
    network = registry.build(settings.model, n_classes, settings.bands)
    model = with_normalization(mean, variance, network)
    compile_model(model, "sparse_categorical_crossentropy", settings, steps_per_epoch=100)
    return model
