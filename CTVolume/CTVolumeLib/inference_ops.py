"""The operations of the small neural-network engine, in numpy, exact to what Keras does in inference.

Arrays are float32 with channels last: (n, h, w, c) for pictures, (n, t, c) for sequences. A sequence is handled as a
picture with one row, so that each operation exists once.

A convolution is one matrix product: the values under the kernel are gathered, for a few slices at a time, so that they
stay in the processor's cache. Measured on 96 x 96 slices this is as fast as, or faster than, products for each tap or
each row of the kernel, and simpler.
"""

# ruff: noqa: ARG001 (all operations have the same arguments, whether they need them or not)
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

LARGEST_SIZE = 4096
"""Kernel sizes, strides, dilations and paddings above this are not believed."""

Weights = Sequence[np.ndarray]
Operation = Callable[[list[np.ndarray], Weights, Mapping[str, Any]], np.ndarray]


def run(op: str, inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """The result of one operation; its inputs stay as they are.

    Args:
        op: a name in ``OPERATIONS``.
        inputs: float32 arrays, channels last.
        weights: float32 arrays in the order that the operation expects.
        attributes: such as stride, padding and the activation that follows.

    Raises:
        KeyError, ValueError, TypeError, IndexError: the operation can't be done with these arguments.
    """
    result = OPERATIONS[op](inputs, weights, attributes)
    name = attributes.get("activation", "linear")
    if name == "linear":
        return result
    if any(np.may_share_memory(result, given) for given in inputs):
        result = result.copy()
    return ACTIVATIONS[name](result)


def convolution(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """Convolution of (n, h, w, c) or (n, t, c) with weights kernel (kh, kw, c, c_out) and bias (c_out,)."""
    picture, was_sequence = _as_picture(inputs[0])
    kernel, bias = weights
    kh, kw, channels, outputs = kernel.shape
    if picture.shape[3] != channels or bias.shape != (outputs,):
        raise ValueError(f"kernel {kernel.shape} and bias {bias.shape} do not fit an input {picture.shape}")
    (sy, sx), (dy, dx) = _pair(attributes, "stride"), _pair(attributes, "dilation")
    padded, height, width = _pad(picture, (kh, kw), (sy, sx), (dy, dx), attributes["padding"], 0.0)
    gathered = _gather(padded, (kh, kw), (sy, sx), (dy, dx), height, width)
    result = (gathered @ kernel.reshape(-1, outputs)).reshape(-1, width * outputs)
    result += np.tile(bias, width)  # a row at a time: few channels at a time would be slow
    result = result.reshape(picture.shape[0], height, width, outputs)
    return result[:, 0] if was_sequence else result


def transposed(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """Transposed convolution: weights kernel (kh, kw, c_out, c) and bias (c_out,); padding "same" or "valid".

    Each value of the input is spread over the result by the kernel, ``stride`` apart; "same" cuts the rim so that the
    result is ``stride`` times as large as the input.
    """
    picture, was_sequence = _as_picture(inputs[0])
    kernel, bias = weights
    kh, kw, outputs, channels = kernel.shape
    if picture.shape[3] != channels or bias.shape != (outputs,) or attributes["padding"] not in ("same", "valid"):
        raise ValueError(f"kernel {kernel.shape} and bias {bias.shape} do not fit an input {picture.shape}")
    (sy, sx), (dy, dx) = _pair(attributes, "stride"), _pair(attributes, "dilation")
    count, height, width, _ = picture.shape
    spans = (kh - 1) * dy + 1, (kw - 1) * dx + 1
    full = [(size - 1) * step + max(span, step) for size, step, span in zip((height, width), (sy, sx), spans)]
    result = np.zeros((count, *full, outputs), np.float32)
    for y in range(kh):
        for x in range(kw):
            top, left = y * dy, x * dx
            place = result[:, top : top + (height - 1) * sy + 1 : sy, left : left + (width - 1) * sx + 1 : sx]
            place += picture @ kernel[y, x].T
    if attributes["padding"] == "same":
        (top, rows), (left, columns) = (
            (max(span - step, 0) // 2, size * step) for span, step, size in zip(spans, (sy, sx), (height, width))
        )
        result = result[:, top : top + rows, left : left + columns]
    result = result + bias
    return result[:, 0] if was_sequence else result


def depthwise(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """Each channel convolved by itself; weights kernel (kh, kw, c, multiplier) and bias (c * multiplier,)."""
    picture, was_sequence = _as_picture(inputs[0])
    kernel, bias = weights
    kh, kw, channels, multiplier = kernel.shape
    if picture.shape[3] != channels or bias.shape != (channels * multiplier,):
        raise ValueError(f"kernel {kernel.shape} and bias {bias.shape} do not fit an input {picture.shape}")
    stride, dilation = _pair(attributes, "stride"), _pair(attributes, "dilation")
    padded, height, width = _pad(picture, (kh, kw), stride, dilation, attributes["padding"], 0.0)
    if multiplier > 1:
        padded = np.repeat(padded, multiplier, axis=3)
    # One row of weights as long as a row of pixels lets numpy run through whole rows at once.
    taps = np.tile(kernel.reshape(kh, kw, 1, channels * multiplier), (1, 1, width, 1))
    result = np.empty((picture.shape[0], height, width, channels * multiplier), np.float32)
    result[...] = bias
    product = np.empty_like(result)
    for y, x, part in _taps(padded, (kh, kw), stride, dilation, height, width):
        np.multiply(part, taps[y, x], out=product)
        result += product
    return result[:, 0] if was_sequence else result


def max_pool(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """Largest value under the window."""
    picture, was_sequence = _as_picture(inputs[0])
    size, stride = _pair(attributes, "size"), _pair(attributes, "stride")
    padded, height, width = _pad(picture, size, stride, (1, 1), attributes["padding"], -np.inf)
    parts = _taps(padded, size, stride, (1, 1), height, width)
    result = next(parts)[2].copy()
    for _, _, part in parts:
        np.maximum(result, part, out=result)
    return result[:, 0] if was_sequence else result


def average_pool(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """Mean under the window; what padding adds is not counted, as in TensorFlow."""
    picture, was_sequence = _as_picture(inputs[0])
    size, stride = _pair(attributes, "size"), _pair(attributes, "stride")
    padded, height, width = _pad(picture, size, stride, (1, 1), attributes["padding"], 0.0)
    ones, _, _ = _pad(np.ones((1, *picture.shape[1:3], 1), np.float32), size, stride, (1, 1), attributes["padding"], 0)
    result, count = (
        sum(part for _, _, part in _taps(array, size, stride, (1, 1), height, width)) for array in (padded, ones)
    )
    result = result / count
    return result[:, 0] if was_sequence else result


def global_average(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """Mean over all places: (n, ..., c) -> (n, c), or (n, 1, .., c) with ``keepdims``."""
    return inputs[0].mean(axis=tuple(range(1, inputs[0].ndim - 1)), keepdims=bool(attributes.get("keepdims")))


def global_max(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """Largest value over all places: (n, ..., c) -> (n, c), or (n, 1, .., c) with ``keepdims``."""
    return inputs[0].max(axis=tuple(range(1, inputs[0].ndim - 1)), keepdims=bool(attributes.get("keepdims")))


def dense(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """Weights kernel (c, c_out) and bias (c_out,), applied to the last axis."""
    kernel, bias = weights
    if bias.shape != kernel.shape[1:]:
        raise ValueError(f"bias {bias.shape} does not fit the kernel {kernel.shape}")
    result = inputs[0] @ kernel
    result += bias
    return result


def affine(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """Weights scale (c,) and shift (c,): what batch norm is once trained. One number counts for all channels."""
    scale, shift = weights
    if scale.shape != shift.shape or scale.shape not in ((1,), inputs[0].shape[-1:]):
        raise ValueError(f"scale {scale.shape} and shift {shift.shape} do not fit an input {inputs[0].shape}")
    result = inputs[0] * scale
    result += shift
    return result


def layer_norm(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """Each place's channels to mean 0 and variance 1, then weights scale (c,) and shift (c,)."""
    scale, shift = weights
    centred = inputs[0] - inputs[0].mean(axis=-1, keepdims=True)
    variance = np.mean(centred * centred, axis=-1, keepdims=True)
    return centred / np.sqrt(variance + np.float32(attributes["epsilon"])) * scale + shift


def add(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """Sum of all inputs."""
    result = inputs[0] + inputs[1]
    for other in inputs[2:]:
        result += other
    return result


def subtract(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """First input minus the second."""
    first, second = inputs
    return first - second


def multiply(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """Product of all inputs, with broadcasting (as a squeeze-and-excitation gate needs it)."""
    result = inputs[0] * inputs[1]
    for other in inputs[2:]:
        result = result * other
    return result


def concatenate(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """All inputs side by side along ``axis``, never the first axis."""
    if attributes["axis"] == 0:
        raise ValueError("concatenation along the first axis")
    return np.concatenate(inputs, axis=attributes["axis"])


def activate(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """A copy for the activation that ``run`` applies."""
    return inputs[0].copy()


def leaky_relu(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """Values below 0 times ``slope``."""
    return np.where(inputs[0] >= 0, inputs[0], inputs[0] * np.float32(attributes["slope"]))


def reshape(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """Another shape; ``shape`` leaves the first axis out and may hold one -1."""
    return np.ascontiguousarray(inputs[0]).reshape(inputs[0].shape[0], *attributes["shape"])


def pad(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """Zeros around the picture or sequence: ``padding`` ((top, bottom), (left, right))."""
    picture, was_sequence = _as_picture(inputs[0])
    (top, bottom), (left, right) = _explicit(attributes["padding"])
    result = np.pad(picture, ((0, 0), (top, bottom), (left, right), (0, 0)))
    return result[:, 0] if was_sequence else result


def crop(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """The picture or sequence without its rim: ``padding`` ((top, bottom), (left, right))."""
    picture, was_sequence = _as_picture(inputs[0])
    (top, bottom), (left, right) = _explicit(attributes["padding"])
    result = picture[:, top : picture.shape[1] - bottom, left : picture.shape[2] - right]
    return result[:, 0] if was_sequence else result


def enlarge(inputs: list[np.ndarray], weights: Weights, attributes: Mapping[str, Any]) -> np.ndarray:
    """Up-sampling by whole factors ``size``, nearest or bilinear (pixel centres at halves, as Keras 3 has it)."""
    picture, was_sequence = _as_picture(inputs[0])
    result = picture
    for axis, factor in zip((1, 2), _pair(attributes, "size")):
        if factor == 1:
            continue
        if attributes.get("interpolation", "nearest") == "nearest":
            result = np.repeat(result, factor, axis=axis)
            continue
        count = result.shape[axis]
        place = np.clip((np.arange(count * factor) + 0.5) / factor - 0.5, 0, count - 1)
        low = np.floor(place).astype(int)
        share = (place - low).astype(np.float32).reshape((-1, 1, 1) if axis == 1 else (-1, 1))
        high = np.minimum(low + 1, count - 1)
        result = result.take(low, axis=axis) * (1 - share) + result.take(high, axis=axis) * share
    return result[:, 0] if was_sequence else result


OPERATIONS: dict[str, Operation] = {
    "activation": activate,
    "add": add,
    "affine": affine,
    "average_pool": average_pool,
    "concatenate": concatenate,
    "conv": convolution,
    "crop": crop,
    "dense": dense,
    "depthwise": depthwise,
    "enlarge": enlarge,
    "global_average": global_average,
    "global_max": global_max,
    "layer_norm": layer_norm,
    "leaky_relu": leaky_relu,
    "max_pool": max_pool,
    "multiply": multiply,
    "pad": pad,
    "reshape": reshape,
    "subtract": subtract,
    "transposed": transposed,
}


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0, out=x)


def _relu6(x: np.ndarray) -> np.ndarray:
    return np.clip(x, 0, 6, out=x)


def _elu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    # By tanh, which neither overflows nor warns.
    x *= np.float32(0.5)
    np.tanh(x, out=x)
    x *= np.float32(0.5)
    x += np.float32(0.5)
    return x


def _silu(x: np.ndarray) -> np.ndarray:
    return x * _sigmoid(x.copy())


def _gelu(x: np.ndarray) -> np.ndarray:
    from scipy.special import erf

    return x * (np.float32(0.5) * (1 + erf(x * np.float32(np.sqrt(0.5)))))


def _gelu_tanh(x: np.ndarray) -> np.ndarray:
    inner = np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x * x * x)
    return np.float32(0.5) * x * (1 + np.tanh(inner))


def _tanh(x: np.ndarray) -> np.ndarray:
    return np.tanh(x, out=x)


def _softmax(x: np.ndarray) -> np.ndarray:
    power = np.exp(x - x.max(axis=-1, keepdims=True))
    return power / power.sum(axis=-1, keepdims=True)


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(np.float32(0), x)


def _exponential(x: np.ndarray) -> np.ndarray:
    return np.exp(np.minimum(x, np.float32(80)))


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "elu": _elu,
    "exponential": _exponential,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "linear": lambda x: x,
    "relu": _relu,
    "relu6": _relu6,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "softmax": _softmax,
    "softplus": _softplus,
    "tanh": _tanh,
}
"""By name; each may overwrite what it is given."""


def _gather(padded: np.ndarray, size, stride, dilation, height: int, width: int) -> np.ndarray:
    """(n * height * width, kh * kw * c): for each place of the result all values under the kernel."""
    count, _, _, channels = padded.shape
    if size == stride == (1, 1):
        return padded.reshape(-1, channels)
    per_picture, per_row, per_pixel, per_value = padded.strides
    windows = np.lib.stride_tricks.as_strided(
        padded,
        (count, height, width, *size, channels),
        (
            per_picture,
            per_row * stride[0],
            per_pixel * stride[1],
            per_row * dilation[0],
            per_pixel * dilation[1],
            per_value,
        ),
        writeable=False,
    )
    return np.ascontiguousarray(windows).reshape(-1, size[0] * size[1] * channels)


def _taps(array: np.ndarray, size, stride, dilation, height: int, width: int):
    """For each tap (y, x) of a window the values under it, (n, height, width, c), as views."""
    for y in range(size[0]):
        for x in range(size[1]):
            top, left = y * dilation[0], x * dilation[1]
            yield (
                y,
                x,
                array[
                    :,
                    top : top + (height - 1) * stride[0] + 1 : stride[0],
                    left : left + (width - 1) * stride[1] + 1 : stride[1],
                ],
            )


def _pad(picture: np.ndarray, size, stride, dilation, padding, value: float) -> tuple[np.ndarray, int, int]:
    """The contiguous padded picture, and height and width of the result. "same" is TensorFlow's: more at the end."""
    if isinstance(padding, str) and padding not in ("same", "valid"):
        raise ValueError(f"unknown padding {padding}")
    rims, sizes = [], []
    for axis in range(2):
        count = picture.shape[1 + axis]
        span = (size[axis] - 1) * dilation[axis] + 1
        if padding == "same":
            result = -(-count // stride[axis])
            missing = max((result - 1) * stride[axis] + span - count, 0)
            rims.append((missing // 2, missing - missing // 2))
        else:
            rims.append((0, 0) if padding == "valid" else _explicit(padding)[axis])
            result = (count + sum(rims[-1]) - span) // stride[axis] + 1
        if result < 1:
            raise ValueError(f"a window of {span} does not fit an input of {count}")
        sizes.append(result)
    (top, bottom), (left, right) = rims
    if top == bottom == left == right == 0:
        return np.ascontiguousarray(picture), *sizes
    count, height, width, channels = picture.shape
    padded = np.empty((count, top + height + bottom, left + width + right, channels), np.float32)
    padded[:, :top] = value
    padded[:, top + height :] = value
    padded[:, top : top + height, :left] = value
    padded[:, top : top + height, left + width :] = value
    padded[:, top : top + height, left : left + width] = picture
    return padded, *sizes


def _as_picture(array: np.ndarray) -> tuple[np.ndarray, bool]:
    if array.ndim == 3:
        return array[:, None], True
    if array.ndim != 4:
        raise ValueError(f"neither a sequence nor a picture: shape {array.shape}")
    return array, False


def _pair(attributes: Mapping[str, Any], name: str) -> tuple[int, int]:
    first, second = attributes.get(name, (1, 1))
    for value in (first, second):
        if type(value) is not int or not 1 <= value <= LARGEST_SIZE:
            raise ValueError(f"{name} is {value}")
    return first, second


def _explicit(padding: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    (top, bottom), (left, right) = padding
    for value in (top, bottom, left, right):
        if type(value) is not int or not 0 <= value <= LARGEST_SIZE:
            raise ValueError(f"padding is {value}")
    return (top, bottom), (left, right)
