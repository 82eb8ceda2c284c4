"""3-D networks by name that answer one question about a scan: (k, j, i, 1) values from 0 to 1 -> a probability."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from CTVolumeLib.errors import CTError
from keras import layers

WINDOWS = ((0.0, 1.0), (0.0, 0.107), (0.107, 0.214), (0.214, 0.321), (0.321, 0.429), (0.55, 0.85))
"""The small network's windows: all; in CT -1000 to -400 HU in steps of 150, where haze is not lung; fat to bone."""

SMALL, EXAMPLE, RESNET10 = "small", "example", "resnet10"

Shape = tuple[int, int, int]


def small(shape: Shape) -> keras.Model:
    """The project's own, 433 parameters: few enough for a hundred scans.

    Each place gets an answer from the densities about it, and the strongest is that of the scan, since a finding may
    fill a hundredth of the lungs. Densities are mixed before they are averaged: the mean of lung and muscle is haze,
    but a mean of "is haze" is not.
    """
    picture = keras.Input((*shape, 1), name="values")
    x = layers.AveragePooling3D(2)(_windows(picture))
    x = _convolution(x, 16, size=1)
    x = layers.AveragePooling3D(3, strides=1, padding="same")(x)
    x = _convolution(x, 16, size=1)
    x = layers.GlobalMaxPooling3D()(layers.Conv3D(1, 1, dtype="float32", name="finding")(x))
    return keras.Model(picture, layers.Activation("sigmoid", dtype="float32")(x), name=SMALL)


def example(shape: Shape) -> keras.Model:
    """The example's: four blocks of convolution, pooling and normalisation, then dense 512; 1.3 million parameters.

    Convolutions keep the size, so that inputs smaller than 128 x 128 x 64 fit, too.
    """
    picture = keras.Input((*shape, 1), name="values")
    x = picture
    for channels in (64, 64, 128, 256):
        x = layers.Conv3D(channels, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling3D(2, padding="same")(x)
        x = layers.BatchNormalization()(x)
    x = layers.GlobalAveragePooling3D()(x)
    x = layers.Dense(512, activation="relu")(x)
    return _answer(picture, layers.Dropout(0.3)(x), EXAMPLE)


def resnet10(shape: Shape) -> keras.Model:
    """A residual network of ten layers (He et al., CVPR 2016) in three dimensions; 14 million parameters."""
    picture = keras.Input((*shape, 1), name="values")
    x = _convolution(picture, 64, size=7, stride=2)
    x = layers.MaxPooling3D(3, strides=2, padding="same")(x)
    for number, channels in enumerate((64, 128, 256, 512)):
        stride = 1 if number == 0 else 2
        shortcut = x
        if stride != 1:
            shortcut = layers.BatchNormalization()(layers.Conv3D(channels, 1, strides=stride, use_bias=False)(x))
        y = _convolution(x, channels, stride=stride)
        y = layers.BatchNormalization()(layers.Conv3D(channels, 3, padding="same", use_bias=False)(y))
        x = layers.Activation("relu")(layers.Add()([shortcut, y]))
    return _answer(picture, layers.GlobalAveragePooling3D()(x), RESNET10)


NETWORKS: dict[str, Callable[[Shape], keras.Model]] = {SMALL: small, EXAMPLE: example, RESNET10: resnet10}


def build(name: str, shape: Shape) -> keras.Model:
    """A network by its name in ``NETWORKS``.

    Args:
        name: of the network.
        shape: voxels of the input along (k, j, i).

    Raises:
        CTError: ``bad_option``.
    """
    if name not in NETWORKS:
        raise CTError("bad_option", f"There is no network {name!r}.", f"Choose one of {', '.join(NETWORKS)}.")
    return NETWORKS[name](shape)


def parameters(name: str, shape: Shape) -> int:
    """How many numbers of a network are learned."""
    return int(sum(weight.size for weight in map(_array, build(name, shape).trainable_variables)))


def _array(variable: object) -> object:
    return keras.ops.convert_to_numpy(variable)


def _convolution(x: object, channels: int, size: int = 3, stride: int = 1) -> object:
    x = layers.Conv3D(channels, size, strides=stride, padding="same", use_bias=False)(x)
    return layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))


def _windows(picture: object) -> object:
    """The values in windows, each from 0 to 6; they are given, not learned.

    What tells haze from lung is a tenth of what tells lung from muscle, and would be lost beside it.
    """
    low, high = np.array(WINDOWS).T
    scale = 6.0 / (high - low)
    return layers.Conv3D(
        len(WINDOWS),
        1,
        activation="relu6",
        kernel_initializer=keras.initializers.Constant(scale.reshape(1, 1, 1, 1, -1)),
        bias_initializer=keras.initializers.Constant(-low * scale),
        trainable=False,
        name="windows",
    )(picture)


def _answer(picture: object, x: object, name: str) -> keras.Model:
    """The probability in 32 bits, also where the rest has 16; before any training it is the same for all."""
    x = layers.Dense(1, activation="sigmoid", kernel_initializer="zeros", dtype="float32", name="finding")(x)
    return keras.Model(picture, x, name=name)
