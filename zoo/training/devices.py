"""Train on several devices of this machine: each takes a part of every batch, and the result is that of one device.

On JAX by keras.distribution.DataParallel, whose arrays are of the whole batch; on TensorFlow by
tf.distribute.MirroredStrategy, whose replicas see their own part: there the loss is that of all replicas' outputs, and
batch normalisation takes the moments of all (`synchronized`).

A network is built, compiled and fitted within `Devices.scope`, and validated outside of it, on one device.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras

from zoo.errors import UserError
from zoo.layers.masking import layers_of
from zoo.layers.replicas import gathered, number_of_replicas

_APART = 1_000_003  # between the seeds of two replicas; those of a network's layers are a few apart


def check(count: int) -> None:
    """Raise UserError where there are fewer devices than `count`. This starts the backend."""
    if count > 1 and len(found := available()) < count:
        raise UserError(
            f"--devices {count}: expected so many devices of {keras.backend.backend()} on this machine, found "
            f"{len(found)} ({', '.join(found)}). Give at most these, or leave --devices out"
        )


def available() -> list[str]:
    """Return the names of the backend's GPUs, or where it has none, of its CPUs."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return [device.name.removeprefix("/device:") for device in devices]
    return keras.distribution.list_devices()


class Loss(keras.losses.Loss):
    """The loss of the outputs of all replicas together, as one device has it: of any kind, also over whole batches.

    Each replica computes the same; gradients of the replicas' parts of the weights are summed by the optimizer, hence
    a loss that Keras has not divided by their number is divided here.
    """

    def __init__(self, loss: Any):
        super().__init__(name="loss", reduction=None)
        found = keras.losses.get(loss)
        self.loss = found if isinstance(found, keras.losses.Loss) else _Mean(found)

    def __call__(self, y_true, y_pred, sample_weight=None):
        weights = None if sample_weight is None else gathered(sample_weight)
        value = self.loss(gathered(y_true), gathered(y_pred), sample_weight=weights)
        return value if self.loss.reduction else value / number_of_replicas()


class _Mean(keras.losses.Loss):
    """The mean of a function of Keras's over a batch."""

    def __init__(self, function: Any):
        super().__init__(name=function.__name__)
        self.call = function


class Devices:
    """One device, which needs nothing; the base of several ones."""

    def scope(self) -> AbstractContextManager:
        """Return the context in which a network is built, compiled and fitted."""
        return nullcontext()

    def network(self, built: keras.Model) -> keras.Model:
        """Return a network that was built in the scope, ready to be validated outside of it."""
        return built

    def loss(self, loss: Any) -> Any:
        """Return the loss to compile a network with."""
        return loss

    def begin(self, model: keras.Model) -> None:
        """Prepare a compiled model, whose state is restored, for training."""

    def end(self, model: keras.Model) -> None:
        """Make a trained model one that is saved."""


class _OfJax(Devices):
    """Arrays of the whole batch, a part of them on each device."""

    def __init__(self, count: int):
        self.distribution = _DataParallel(devices=available()[:count])

    def scope(self) -> AbstractContextManager:
        return self.distribution.scope()

    def begin(self, model: keras.Model) -> None:
        alone = (layer.name for layer in layers_of(model) if isinstance(layer.output, keras.KerasTensor))
        self.distribution.divided = frozenset(alone)


class _DataParallel(keras.distribution.DataParallel):
    """Data parallelism for batches of any size.

    As Keras divides data, all batches must be multiples of the number of devices. Here each device is given the whole
    batch, and what layers return is divided, where JAX pads: of layers by name, once the network is built.
    """

    divided: frozenset[str] = frozenset()

    def get_data_layout(self, data_shape):
        return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)

    def get_tensor_layout(self, path):
        layer = path.split("/")[-2]  # NETWORK/LAYER/output
        return (
            keras.distribution.TensorLayout([self.batch_dim_name], self.device_mesh) if layer in self.divided else None
        )


class _OfTensorFlow(Devices):
    """A replica of the network per device."""

    def __init__(self, count: int):
        import tensorflow as tf

        # Collective operations, TensorFlow's choice, may wait for each other forever on CPUs of few threads.
        on_cpus = None if tf.config.list_logical_devices("GPU") else tf.distribute.ReductionToOneDevice()
        self.strategy = tf.distribute.MirroredStrategy(available()[:count], cross_device_ops=on_cpus)

    def scope(self) -> AbstractContextManager:
        return self.strategy.scope()

    def network(self, built: keras.Model) -> keras.Model:
        # A model made in the scope predicts on every replica, a batch that is not divided several times; and Keras
        # cannot fit it to parts of different size. One made outside takes the strategy of where it is called.
        return keras.Model(built.input, built.output, name=built.name)

    def loss(self, loss: Any) -> Any:
        return Loss(loss)

    def begin(self, model: keras.Model) -> None:
        self._synchronize(model, True)
        seeds = [one.value for one in model.variables if one.name == "seed_generator_state"]

        def draw_apart() -> None:
            import tensorflow as tf

            context = tf.distribute.get_replica_context()
            number = tf.cast(context.replica_id_in_sync_group, seeds[0].dtype)
            for seed in seeds:
                seed.assign(seed + number * tf.constant([_APART, 0], seed.dtype))

        if seeds:
            self.strategy.run(draw_apart)

    def end(self, model: keras.Model) -> None:
        self._synchronize(model, False)  # JAX cannot compute with it

    @staticmethod
    def _synchronize(model: keras.Model, value: bool) -> None:
        for layer in layers_of(model):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = value


def several(count: int) -> Devices:
    """Return the first `count` devices of the backend. Raises UserError as `check`."""
    check(count)
    if count == 1:
        return Devices()
    return {"tensorflow": _OfTensorFlow, "jax": _OfJax}[keras.backend.backend()](count)
