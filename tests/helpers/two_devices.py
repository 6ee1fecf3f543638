"""Compares two virtual devices with one, in a process of its own: two_devices.py FOLDER prints a line of JSON.

The backend is $KERAS_BACKEND. By name, the largest difference of all values that are compared.
"""

import json
import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Two devices on JAX.
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count=2 {os.environ.get('XLA_FLAGS', '')}"

import keras
import numpy as np

from zoo.config.flags import from_flags
from zoo.data.batches.clips import Example
from zoo.data.batches.feature_store import InMemory
from zoo.data.batches.segments import Rated
from zoo.errors import UserError
from zoo.features import from_config
from zoo.frontends.opensmile import FEATURE_SETS
from zoo.layers.masking import MaskedBatchNormalization
from zoo.losses import BatchCCC, SequenceCCC, SumOfSquares
from zoo.losses_several import SeveralTargets
from zoo.training import devices
from zoo.training.fit import fit
from zoo.training.tasks.base import FoldData
from zoo.utils.progress import Progress

CLASSES = {"model": "cnn1d_mfcc", "corpus": "emodb", "coefficients": 12, "batch_size": 5, "weight_average": 0.9}
CLASSES |= {"epochs": 2, "option": {"filters": [4, 3], "norm": True, "pool_size": 2, "dropout": 0.0}}
RATINGS = {"model": "lstm_drnn", "corpus": "recola", "batch_size": 3, "segment_seconds": 0.4, "frame_seconds": 0.04}
RATINGS |= {"epochs": 2, "option": {"recurrent_units": 3, "recurrent_layers": 1, "input_noise": 0.0}}


def largest(one, other):
    """Return the largest difference, of arrays with values above 1 as a share of these."""
    found = [0.0]
    for a, b in zip(one, other, strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        found.append(float(np.abs(a - b).max() / max(1.0, np.abs(b).max())))
    return max(found)


def classes(folder, config):
    """13 clips: batches of 5, 4 and 4."""
    rng = np.random.default_rng(0)

    def examples(count):
        clips = [rng.normal(index % 3, 1, (12, 3)).astype("float32") for index in range(count)]
        return [Example(InMemory(clip), index % 3, 1 + index % 2) for index, clip in enumerate(clips)]

    return FoldData("0", folder, ("a", "b", "c"), examples(13), examples(3), from_config.frontend(config))


def ratings(folder, config):
    """Return batches of 3 segments of 10 frames, 7 segments or more, some frames without a rating."""
    rng = np.random.default_rng(0)

    def rated(number):
        features = rng.normal(size=(24, FEATURE_SETS["egemaps"])).astype("float32")
        labels = rng.normal(size=(24, 2)).cumsum(axis=0).astype("float32")
        return Rated(str(number), InMemory(features), labels, np.arange(24) > number, 1)

    return FoldData(
        "0", folder, ("arousal", "valence"), [rated(n) for n in range(5)], [rated(n) for n in range(2)], None
    )


def trained(folder, make, given, count, after_epoch=lambda: None):
    """Train on `count` devices; return the weights and the loss of each epoch."""
    folder.mkdir(exist_ok=True)
    config = from_flags({**given, "backend": keras.backend.backend(), "devices": count})
    with Progress() as progress:
        history = fit(make(folder, config), config, progress, after_epoch)
    model = keras.saving.load_model(folder / "model.keras")
    keras.backend.clear_session()
    return [*model.get_weights(), [row["loss"] for row in history]]


NETWORKS = {classes: CLASSES, ratings: RATINGS}


def training(folder):
    """Train on one device and on two, and from the state after the first epoch on two again on one."""

    def copy():
        if not (folder / "resumed").exists():
            shutil.copytree(folder / "classes-2", folder / "resumed")

    one = {make: trained(folder / f"{make.__name__}-1", make, given, 1) for make, given in NETWORKS.items()}
    two = {make: trained(folder / f"{make.__name__}-2", make, NETWORKS[make], 2, copy) for make in NETWORKS}
    found = {make.__name__: largest(one[make], two[make]) for make in NETWORKS}
    return {**found, "resumed": largest(one[classes], trained(folder / "resumed", classes, CLASSES, 1))}


def losses():
    """Compare values and gradients of losses, of replicas with 3, 2 and 0 of 5 rows, on TensorFlow."""
    import tensorflow as tf

    rng = np.random.default_rng(1)
    truth, prediction = rng.normal(size=(2, 5, 7, 2)).astype("float32")
    shares = rng.dirichlet(np.ones(3), 5).astype("float32")
    several = np.concatenate([np.eye(3)[[0, 1, 2, 0, 1]], rng.normal(size=(5, 1)), [[1], [0], [1], [1], [1]]], 1)
    frames, rows = rng.integers(0, 3, (5, 7)).astype("float32"), rng.random(5).astype("float32")
    several_out = np.concatenate([shares, rng.normal(size=(5, 1))], 1).astype("float32")
    cases = {
        name: (make(reduction=reduction), truth, prediction, frames)
        for name, (make, reduction) in {
            "sse": (SumOfSquares, "mean"), "ccc": (BatchCCC, "mean"), "ccc_sum": (SequenceCCC, "mean"),
            "summed": (BatchCCC, "sum"),
        }.items()
    }  # fmt: skip
    cases["cross_entropy"] = "sparse_categorical_crossentropy", np.array([0, 2, 1, 1, 0]), shares, rows
    smooth = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    cases["soft"] = smooth, np.eye(3, dtype="float32")[[0, 2, 1, 1, 0]], shares, rows
    cases["several"] = SeveralTargets([3, 0], [1.0, 0.5], [1.0, 2.0]), several.astype("float32"), several_out, rows
    found = {name: _loss_of_parts(tf, 3, *case) for name, case in cases.items()}
    return {**found, "without_rows": _loss_of_parts(tf, 5, *cases["ccc"])}


def _loss_of_parts(tf, cut, loss, truth, prediction, weights):
    """Return the largest difference where the first replica has `cut` rows and the other the rest."""

    def value(call, *arrays):
        truth, prediction, weights = map(tf.convert_to_tensor, arrays)
        with tf.GradientTape() as tape:
            tape.watch(prediction)
            found = call(truth, prediction, sample_weight=weights)
        return found, tape.gradient(found, prediction)

    found = devices._Mean(keras.losses.get(loss)) if isinstance(loss, str) else loss
    whole = value(found, truth, prediction, weights)
    strategy = devices.several(2).strategy
    parts = [_parts(strategy, array, cut) for array in (truth, prediction, weights)]
    got = strategy.run(tf.function(lambda *arrays: value(devices.Loss(loss), *arrays)), parts)
    losses, gradients = map(strategy.experimental_local_results, got)
    # Each replica has half of the loss, and the optimizer sums their gradients.
    return largest([2 * losses[0], 2 * losses[1], tf.concat(gradients, 0)], [whole[0], whole[0], whole[1]])


def _parts(strategy, array, cut):
    """Give one replica the first `cut` rows, and the other the rest."""
    sides = (array[:cut], array[cut:])
    return strategy.experimental_distribute_values_from_function(
        lambda context: sides[context.replica_id_in_sync_group]
    )


def normalization():
    """Compare outputs, gradients and moving moments of batch normalisation, of 3 and 2 clips, on TensorFlow."""
    import tensorflow as tf

    rng = np.random.default_rng(2)
    inputs, upstream = rng.normal(3, 2, size=(2, 5, 6, 4)).astype("float32")
    mask = np.arange(6) < np.array([6, 2, 4, 1, 5])[:, None]

    def passed(layer, features, mask, upstream):
        features = tf.convert_to_tensor(features)
        with tf.GradientTape() as tape:
            tape.watch(features)
            output = layer(features, tf.convert_to_tensor(mask), training=True)
            total = tf.reduce_sum(output * upstream)
        return output, *tape.gradient(total, [features, layer.gamma.value, layer.beta.value])

    def made():
        layer = MaskedBatchNormalization()
        layer.build((None, None, 4))
        layer.gamma.assign([1.0, 2.0, 0.5, 1.5])
        return layer

    one, strategy = made(), devices.several(2).strategy
    whole = passed(one, inputs, mask, upstream)
    with strategy.scope():
        layer = made()
    arguments = [_parts(strategy, array, 3) for array in (inputs, mask, upstream)]
    found = strategy.run(tf.function(lambda *arrays: passed(layer, *arrays)), arguments)
    output, features, gamma, beta = (strategy.experimental_local_results(value) for value in found)
    both = [tf.concat(output, 0), tf.concat(features, 0), tf.add_n(gamma), tf.add_n(beta)]
    return largest([*both, layer.moving_mean, layer.moving_variance], [*whole, one.moving_mean, one.moving_variance])


def same_draws():
    """Return the share of 1000 values that two replicas both drop or both keep, on TensorFlow."""
    shared = devices.several(2)
    with shared.scope():
        features = keras.Input((1000,))
        built = keras.Model(features, keras.layers.Dropout(0.5, seed=1)(features))
    model = shared.network(built)
    shared.begin(model)
    drawn = shared.strategy.run(lambda: model(np.ones((1, 1000), "float32"), training=True))
    one, other = (value.numpy() > 0 for value in shared.strategy.experimental_local_results(drawn))
    return float((one == other).mean())


def rows_of_devices():
    """Return how many of 4 rows of a layer's output each device has, on JAX."""
    import jax

    shared = devices.several(2)
    with shared.scope():
        features = keras.Input((4,))
        model = keras.Model(features, keras.layers.Dense(3)(features))
        shared.begin(model)
        output = jax.jit(lambda rows: model(rows))(np.ones((4, 4), "float32"))
    return [shard.data.shape[0] for shard in output.addressable_shards]


def main(folder):
    found = {}
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        found = {**losses(), "normalization": normalization(), "same_draws": same_draws()}
    else:
        found["rows_of_devices"] = rows_of_devices()
    found |= training(folder)
    try:
        devices.check(3)
    except UserError as error:
        found["refused"] = str(error)
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
