"""Train convolutions and maximum pooling on JAX's CPU by gradients that XLA compiles well; outputs are XLA's own.

Its own gradients are slow there: a kernel's is a convolution with a window as large as the grid, a maximum's compares
the indices of all windows and scatters. Only first derivatives are right.
"""

from functools import partial
from itertools import chain, product
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Sizes = tuple[int, ...]


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def convolve(inputs: Any, kernel: Any, strides: Sizes, padding: str, dilation: Sizes) -> Any:
    """Convolve (batch, positions..., channels) with (taps..., channels, filters), over one axis or two.

    Returns (batch, positions..., filters). `padding` is "same" or "valid"; strides and dilation have a number for each
    axis. A kernel's gradient is a product of patches and errors, clip by clip: a clip's patches fit into the cache.
    """
    return _convolution(inputs, kernel, strides, padding, dilation)


def _convolution(inputs, kernel, strides, padding, dilation):
    axes = "HW"[: len(strides)]
    layout = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    return lax.conv_general_dilated(
        inputs, kernel, strides, padding.upper(), rhs_dilation=dilation, dimension_numbers=layout
    )


def _convolve_forward(inputs, kernel, *options):
    return _convolution(inputs, kernel, *options), (inputs, kernel)


def _convolve_backward(strides, padding, dilation, kept, error):
    inputs, kernel = kept
    options = (strides, padding, dilation)
    (of_inputs,) = jax.linear_transpose(lambda one: _convolution(one, kernel, *options), inputs)(error)
    return of_inputs, _of_kernel(inputs, error, kernel.shape, *options).astype(kernel.dtype)


convolve.defvjp(_convolve_forward, _convolve_backward)


def _of_kernel(inputs, error, shape, strides, padding, dilation):
    """Return a kernel's gradient, summed over clips in float32.

    In a loop, as XLA would make one product of unrolled ones' patches.
    """
    *taps, channels, filters = shape
    reach = [(n - 1) * step + 1 for n, step in zip(taps, dilation, strict=True)]
    edges = [*lax.padtype_to_pads(inputs.shape[1:-1], reach, strides, padding.upper()), (0, 0)]
    ends = [(n - 1) * step + 1 for n, step in zip(error.shape[1:-1], strides, strict=True)]

    def add(total, clip):
        grid, errors = jnp.pad(clip[0], edges), clip[1].reshape(-1, filters)
        patches = []
        for tap in product(*map(range, taps)):
            first = [place * step for place, step in zip(tap, dilation, strict=True)]
            behind = [place + end for place, end in zip(first, ends, strict=True)]
            patches.append(lax.slice(grid, (*first, 0), (*behind, channels), (*strides, 1)).reshape(-1, channels))
        rows = jnp.concatenate(patches, axis=1)
        return total + lax.dot_general(rows, errors, (((0,), (0,)), ((), ())), preferred_element_type="float32"), None

    total, _ = lax.scan(add, jnp.zeros((prod(taps) * channels, filters), "float32"), (inputs, error))
    return total.reshape(shape)


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def max_pool(inputs: Any, window: Sizes, padding: str) -> Any:
    """Return the largest values of windows side by side, (batch, positions..., channels), over one axis or two.

    `padding` is "same" or "valid". Of equal values the first in a window gets the gradient, as XLA has it; the backward
    pass needs the places of the largest alone, a byte each.
    """
    sizes = (1, *window, 1)
    return lax.reduce_window(inputs, -jnp.inf, lax.max, sizes, sizes, padding.upper())


def _max_pool_forward(inputs, window, padding):
    edges = _edges(inputs.shape, window, padding)
    rows = lax.pad(inputs, jnp.asarray(-jnp.inf, inputs.dtype), edges)
    split = [rows.shape[0], *(n for pair in _pairs(rows.shape, window) for n in pair), rows.shape[-1]]
    rows = rows.reshape(split)
    kind = "int8" if prod(window) < 128 else "int32"
    parts = []
    for inside in product(*map(range, window)):
        of_axes = chain.from_iterable((slice(None), index) for index in inside)
        parts.append(rows[tuple(chain((slice(None),), of_axes))])
    largest, place = parts[0], jnp.zeros(parts[0].shape, kind)
    for number, part in enumerate(parts[1:], start=1):
        place = jnp.where(part > largest, jnp.asarray(number, kind), place)
        largest = jnp.maximum(largest, part)
    return largest, (place, jnp.zeros((0, *inputs.shape[1:-1])))


def _pairs(shape: Sizes, window: Sizes) -> list[Sizes]:
    """Return (windows, positions in a window) of every axis."""
    return [(n // size, size) for n, size in zip(shape[1:-1], window, strict=True)]


def _edges(shape: Sizes, window: Sizes, padding: str) -> list[tuple[int, int, int]]:
    """Return what makes whole windows of all axes: positions before and behind, below 0 where some are left out."""
    around = [(0, 0, 0)]
    for n, size in zip(shape[1:-1], window, strict=True):
        missing = -n % size if padding == "same" else -(n % size)
        around.append((missing // 2, missing - missing // 2, 0) if missing > 0 else (0, missing, 0))
    return [*around, (0, 0, 0)]


def _max_pool_backward(window, padding, kept, error):
    place, empty = kept
    shape = (len(place), *empty.shape[1:], place.shape[-1])
    inside = [1 + 2 * axis + 1 for axis in range(len(window))]
    numbers = jnp.arange(prod(window), dtype=place.dtype).reshape([1, *(n for size in window for n in (1, size)), 1])
    found = jnp.where(jnp.expand_dims(place, inside) == numbers, jnp.expand_dims(error, inside), 0)
    whole = [n * size for n, size in zip(place.shape[1:-1], window, strict=True)]
    found = found.reshape(len(place), *whole, place.shape[-1])
    edges = [(-before, -behind, 0) for before, behind, _ in _edges(shape, window, padding)]
    return (lax.pad(found, jnp.zeros((), found.dtype), edges),)


max_pool.defvjp(_max_pool_forward, _max_pool_backward)
