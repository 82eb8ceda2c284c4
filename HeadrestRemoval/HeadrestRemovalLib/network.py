"""U-Nets by name: the project's compact one, which is shipped, and the two that the method came with.

A U-Net (Ronneberger et al., MICCAI 2015) looks at a slice at several resolutions and brings them together again. The
large ones read a slice of 512 x 512 pixels and tell headrest from the rest; the compact one reads five slices on
cells of 3 mm (see ``netgrid``) and tells all labels apart.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from CTVolumeLib.errors import CTError
from keras import layers

from .netgrid import DEPTH, SIZE

LABELS = 5
WINDOWS_HU = ((-1020.0, -820.0), (-1000.0, 200.0), (-200.0, 200.0), (100.0, 1500.0))
"""Where the compact network's windows begin: foam and cloth, all, soft things, bone and metal."""


def compact(size: int = SIZE) -> keras.Model:
    """The project's own: (160, 160, 5) HU / 1000 -> (160, 160, 5) shares of the labels; 0.4 million parameters.

    Args:
        size: of the slices, cells; a multiple of 16. The weights are the same for each.
    """
    picture = keras.Input((size, size, DEPTH), name="hu_per_1000")
    fine = _windows(DEPTH)(picture)
    levels = [_convolution(fine, 20, 5, stride=2)]
    for channels in (32, 56, 96):
        x = _convolution(levels[-1], levels[-1].shape[-1], 3)
        levels[-1] = x
        levels.append(_convolution(x, channels, 3, stride=2))
    x = _convolution(_convolution(levels.pop(), 96, 3), 96, 3)
    for skip in reversed(levels):
        x = layers.UpSampling2D(2)(_convolution(x, skip.shape[-1], 1))
        x = _convolution(layers.Concatenate()([x, skip]), skip.shape[-1], 3)
    x = layers.UpSampling2D(2, interpolation="bilinear")(_convolution(x, 12, 1))
    x = _convolution(layers.Concatenate()([x, fine]), 12, 3)
    return keras.Model(picture, layers.Conv2D(LABELS, 1, activation="softmax", name="shares")(x), name="compact")


def seven_levels() -> keras.Model:
    """Seven levels with padding: (512, 512, 1) -> (512, 512, 2) shares of rest and headrest; 31 million parameters."""
    return _classic(512, depth=7, padding="same")


def three_levels() -> keras.Model:
    """Three levels without padding: (512, 512, 1) -> the middle (472, 472, 2) shares of rest and headrest."""
    return _classic(512, depth=3, padding="valid")


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "compact": compact,
    "same-7": seven_levels,
    "valid-3": three_levels,
}


def build(name: str) -> keras.Model:
    """A network by its name in ``NETWORKS``.

    Raises:
        CTError: ``bad_option``.
    """
    if name not in NETWORKS:
        raise CTError("bad_option", f"There is no network {name!r}.", f"Choose one of {', '.join(NETWORKS)}.")
    return NETWORKS[name]()


def _windows(slices: int) -> layers.Layer:
    """CT windows of each slice as a 1 x 1 convolution that is cut off at 0 and 6; training may move and mix them."""
    low, high = np.array(WINDOWS_HU).T / 1000.0
    scale = 6.0 / (high - low)
    kernel = np.zeros((1, 1, slices, slices * len(scale)))
    for slice_ in range(slices):
        kernel[0, 0, slice_, slice_ * len(scale) : (slice_ + 1) * len(scale)] = scale
    return layers.Conv2D(
        kernel.shape[-1],
        1,
        activation="relu6",
        kernel_initializer=keras.initializers.Constant(kernel),
        bias_initializer=keras.initializers.Constant(np.tile(-low * scale, slices)),
        name="windows",
    )


def _convolution(x: object, channels: int, size: int, stride: int = 1) -> object:
    x = layers.Conv2D(channels, size, strides=stride, padding="same", use_bias=False)(x)
    return layers.Activation("relu")(layers.BatchNormalization(momentum=0.97)(x))


def _classic(size: int, depth: int, padding: str, features: int = 16) -> keras.Model:
    """Two 3 x 3 convolutions a level, twice the features each level down, transposed convolutions up."""
    picture = keras.Input((size, size, 1), name="hu_per_1000")
    x, skips = picture, []
    for level in range(depth):
        for _ in range(2):
            x = layers.Conv2D(features * 2**level, 3, padding=padding, activation="relu")(x)
        if level < depth - 1:
            skips.append(x)
            x = layers.MaxPooling2D(2)(x)
    for level in reversed(range(depth - 1)):
        x = layers.Conv2DTranspose(features * 2**level, 2, strides=2, activation="relu")(x)
        skip = skips.pop()
        rim = (skip.shape[1] - x.shape[1]) // 2
        if rim:
            skip = layers.Cropping2D(rim)(skip)
        x = layers.Concatenate()([skip, x])
        for _ in range(2):
            x = layers.Conv2D(features * 2**level, 3, padding=padding, activation="relu")(x)
    result = layers.Conv2D(2, 1, activation="softmax", name="shares")(x)
    return keras.Model(picture, result, name=f"{padding}-{depth}")
