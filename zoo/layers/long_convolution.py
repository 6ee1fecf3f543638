"""Convolve over time with kernels of hundreds to thousands of taps, by overlap-save FFT on every Keras backend.

The sequence is cut into overlapping blocks (Oppenheim and Schafer, Discrete-Time Signal Processing, section 8.7): one
FFT per block and channel, and one small matrix product per frequency.
"""

from typing import Any

import keras
from keras import ops

from zoo.layers.masking import register


class _LongConvolution(keras.layers.Layer):
    """Convolve in place of a stock layer, the second base class, with its weights and options."""

    depthwise: bool

    def __init__(self, *args, padding="same", method="auto", **kwargs):
        super().__init__(*args, padding=padding, **kwargs)
        multiple = self.depth_multiplier if self.depthwise else self.groups
        found = (padding, self.strides, self.dilation_rate, self.data_format, multiple)
        if found != ("same", (1,), (1,), "channels_last", 1) or method not in ("auto", "fft", "direct"):
            others = "strides, dilation, groups, depth multiplier 1, channels last"
            raise ValueError(f"{self.name}: expected padding 'same', {others}, method 'auto', 'fft' or 'direct'")
        self.method = method

    def add_weight(self, *args, **kwargs):
        # The FFT is taken in float32 under mixed precision too, of a kernel that was not rounded before.
        return super().add_weight(*args, **{**kwargs, "autocast": False})

    def call(self, inputs):
        taps, channels, _ = self.kernel.shape
        faster = direct_is_faster(taps, channels, self.depthwise)
        direct = self.method == "direct" or (self.method == "auto" and faster)
        convolution = direct_convolution if direct else fft_convolution
        dtype = self.compute_dtype if direct else keras.backend.result_type(self.compute_dtype, "float32")
        # Of an even kernel's taps one more lies on later samples than on earlier ones, as Keras has it.
        kernel = ops.cast(ops.convert_to_tensor(self.kernel), dtype)
        outputs = convolution(ops.cast(inputs, dtype), kernel, (taps - 1) // 2, self.depthwise)
        if self.use_bias:
            outputs = outputs + ops.cast(self.bias, dtype)
        return self.activation(ops.cast(outputs, self.compute_dtype))

    def get_config(self):
        return {**super().get_config(), "method": self.method}


@register
class LongConv1D(_LongConvolution, keras.layers.Conv1D):
    """`keras.layers.Conv1D` for long kernels; weights go from one to the other.

    Call: (batch, samples, channels) -> (batch, samples, filters); samples may be unknown, and fewer than taps.

    Args:
        kernel_size: taps.
        method: "fft", "direct", or "auto": by `direct_is_faster`.
        kwargs: Conv1D's other options; padding is "same", strides, dilation and groups are 1, channels are last.
    """

    depthwise = False


@register
class LongDepthwiseConv1D(_LongConvolution, keras.layers.DepthwiseConv1D):
    """`keras.layers.DepthwiseConv1D` for long kernels, one filter per channel; weights go from one to the other.

    Call: (batch, samples, channels) -> the same shape. Arguments as LongConv1D's.
    """

    depthwise = True


def direct_is_faster(taps: int, channels: int, depthwise: bool) -> bool:
    """Return whether method "auto" convolves directly, by processor time (bench/long_convolution.py).

    A forward and backward pass over 2 x 16,000 samples, 40 -> 20 channels, takes TensorFlow 22 ms directly and 30 ms by
    FFT with 8 taps, 83 and 23 ms with 16; JAX 29 and 34 ms, 51 and 40 ms.
    """
    return taps <= 8 or (not depthwise and taps * channels <= 32)


def direct_convolution(inputs: Any, kernel: Any, before: Any, depthwise: Any) -> Any:
    """Arguments and result as `fft_convolution`."""
    padded = ops.pad(inputs, ((0, 0), (before, kernel.shape[0] - 1 - before), (0, 0)))
    return (ops.depthwise_conv if depthwise else ops.conv)(padded, kernel, 1, "valid", data_format="channels_last")


def block_size(taps: int, depthwise: bool) -> int:
    """Return how many samples one FFT takes, a power of two; taps - 1 of them it shares with the next block.

    Longer blocks overlap less, shorter ones need less memory for the kernel's spectrum, of which a dense kernel has one
    for each pair of channels. Between two and eight times the taps time hardly depends on it.
    """
    longest = (8 if depthwise else 4) * taps
    return max(512, 2 ** (longest.bit_length() - 1))


def fft_convolution(inputs: Any, kernel: Any, before: Any, depthwise: Any) -> Any:
    """Convolve by overlap-save: a block's output is complete where the taps do not run over the block's end.

    The gradient is written out, as differentiating through the FFTs takes more of them, and complex ones.

    Args:
        inputs: (batch, samples, channels)
        kernel: (taps, channels, filters), or (taps, channels, 1) where depthwise
        before: how many of the taps lie on samples before the current one.

    Returns:
        (batch, samples, filters), or (batch, samples, channels) where depthwise.
    """
    taps = kernel.shape[0]
    size = block_size(taps, depthwise)
    hop = size - taps + 1
    forward, backward, correlation = _DEPTHWISE if depthwise else _DENSE

    def convolve(inputs, kernel):
        batch, samples = ops.shape(inputs)[:2]
        spectrum = _spectrum(_overlapping_blocks(inputs, before, hop, size), size, depthwise)
        response = _kernel_spectrum(kernel, size, depthwise)
        outputs = _blocks(_product(forward, spectrum, response, conjugate=True), batch, size, depthwise)

        def gradients(*arguments, upstream=None):
            upstream = arguments[0] if upstream is None else upstream  # PyTorch gives it a name
            error = _spectrum(_blocks_side_by_side(upstream, hop), size, depthwise)
            of_blocks = _blocks(_product(backward, error, response), batch, size, depthwise)
            of_response = _product(correlation, spectrum, error, conjugate=True)
            return _overlap_add(of_blocks, before, hop, samples), _kernel(of_response, taps, size, depthwise)

        outputs = ops.transpose(outputs[..., :hop], (0, 1, 3, 2))
        return ops.reshape(outputs, (batch, -1, outputs.shape[-1]))[:, :samples], gradients

    return ops.custom_gradient(convolve)(inputs, kernel)


# Products of a block's spectrum with the kernel's, of an error's with the kernel's, and of both, summed over blocks.
# Dense spectra are (frequencies, blocks, channels), so that there is one matrix product for each frequency; depthwise
# ones (batch, blocks, channels, frequencies). The kernel's are the same without blocks, and with filters at the end.
_DENSE = (
    ops.matmul,
    lambda error, response: ops.matmul(error, ops.transpose(response, (0, 2, 1))),
    lambda spectrum, error: ops.matmul(ops.transpose(spectrum, (0, 2, 1)), error),
)
_DEPTHWISE = (ops.multiply, ops.multiply, lambda spectrum, error: ops.sum(spectrum * error, axis=(0, 1)))


def _product(multiply, left, right, conjugate=False):
    """Multiply complex arrays, (real, imaginary) each; `conjugate` takes the right one's conjugate.

    Real products, as complex ones of many small matrices are slower on every backend.
    """
    (a, b), (c, d) = left, right
    if conjugate:
        return multiply(a, c) + multiply(b, d), multiply(b, c) - multiply(a, d)
    return multiply(a, c) - multiply(b, d), multiply(a, d) + multiply(b, c)


def _overlapping_blocks(inputs, before, hop, size):
    """(batch, samples, channels) -> (batch, blocks, channels, size); each block starts `hop` after the last."""
    batch, samples, channels = ops.shape(inputs)
    n_blocks = (samples + hop - 1) // hop
    padded = ops.pad(inputs, ((0, 0), (before, (n_blocks + 1) * hop - before - samples), (0, 0)))
    steps = ops.transpose(ops.reshape(padded, (batch, n_blocks + 1, hop, channels)), (0, 1, 3, 2))
    return ops.concatenate([steps[:, :-1], steps[:, 1:, :, : size - hop]], axis=-1)


def _blocks_side_by_side(outputs, hop):
    """(batch, samples, channels) -> (batch, blocks, channels, hop)."""
    batch, samples, channels = ops.shape(outputs)
    n_blocks = (samples + hop - 1) // hop
    padded = ops.pad(outputs, ((0, 0), (0, n_blocks * hop - samples), (0, 0)))
    return ops.transpose(ops.reshape(padded, (batch, n_blocks, hop, channels)), (0, 1, 3, 2))


def _overlap_add(blocks, before, hop, samples):
    """Add what overlaps: undoes `_overlapping_blocks` for gradients."""
    batch, _, channels, size = ops.shape(blocks)
    blocks = ops.transpose(blocks, (0, 1, 3, 2))
    first = ops.pad(blocks[:, :, :hop], ((0, 0), (0, 1), (0, 0), (0, 0)))
    second = ops.pad(blocks[:, :, hop:], ((0, 0), (1, 0), (0, 2 * hop - size), (0, 0)))
    return ops.reshape(first + second, (batch, -1, channels))[:, before : before + samples]


def _spectrum(blocks, size, depthwise):
    """(batch, blocks, channels, up to size) -> real and imaginary parts, laid out for the product."""
    spectrum = ops.rfft(blocks, size)
    if depthwise:
        return spectrum
    channels, frequencies = blocks.shape[2], size // 2 + 1
    return tuple(ops.transpose(ops.reshape(part, (-1, channels, frequencies)), (2, 0, 1)) for part in spectrum)


def _blocks(spectrum, batch, size, depthwise):
    """Undo `_spectrum`: -> (batch, blocks, channels, size)."""
    if not depthwise:
        shape = (batch, -1, spectrum[0].shape[2], size // 2 + 1)
        spectrum = tuple(ops.reshape(ops.transpose(part, (1, 2, 0)), shape) for part in spectrum)
    return ops.irfft(spectrum, size)


def _kernel_spectrum(kernel, size, depthwise):
    real, imaginary = ops.rfft(ops.transpose(kernel, (1, 2, 0)), size)
    if depthwise:
        return real[:, 0], imaginary[:, 0]
    return ops.transpose(real, (2, 0, 1)), ops.transpose(imaginary, (2, 0, 1))


def _kernel(spectrum, taps, size, depthwise):
    """Undo `_kernel_spectrum`: -> (taps, channels, filters)."""
    parts = (part[:, None] if depthwise else ops.transpose(part, (1, 2, 0)) for part in spectrum)
    return ops.transpose(ops.irfft(tuple(parts), size)[..., :taps], (2, 0, 1))
