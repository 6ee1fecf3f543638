"""Compute the outputs and gradients of a layer by the differentiation of the backend."""

import keras
import numpy as np
from keras import ops

numpy = ops.convert_to_numpy


def value_and_gradients(layer, inputs, upstream, **options) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns outputs, and the gradients of sum(upstream * outputs) in the inputs and the layer's trained weights.

    The layer is built; `options` are arguments of its call.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        inputs = tf.constant(inputs)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, **options)
            loss = tf.reduce_sum(outputs * upstream)
        gradients = tape.gradient(loss, [inputs, *(weight.value for weight in layer.trainable_weights)])
    elif keras.backend.backend() == "jax":
        import jax

        others = [variable.value for variable in layer.non_trainable_variables]

        def loss_of(inputs, weights):
            outputs, _ = layer.stateless_call(weights, others, inputs, **options)
            return ops.sum(outputs * upstream), outputs

        weights = [weight.value for weight in layer.trainable_variables]
        (_, outputs), gradients = jax.jit(jax.value_and_grad(loss_of, (0, 1), has_aux=True))(inputs, weights)
        gradients = gradients[0], *gradients[1]
    else:
        import torch

        inputs = torch.tensor(inputs, requires_grad=True)
        outputs = layer(inputs, **options)
        variables = [inputs, *(weight.value for weight in layer.trainable_weights)]
        gradients = torch.autograd.grad((outputs * torch.tensor(upstream)).sum(), variables)
    return numpy(outputs), [numpy(gradient) for gradient in gradients]
