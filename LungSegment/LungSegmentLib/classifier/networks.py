"""3-D networks by name that answer one question about a scan: (k, j, i, 1) values from 0 to 1 -> a probability."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from CTVolumeLib.errors import CTError
from keras import layers

BINS = 21
"""Values that the small network tells apart; in CT one for every 70 HU."""

PLACES = (16, 32, 32)
"""Places along (k, j, i) at which the small network looks; fewer where the input has fewer voxels."""

SMALL, EXAMPLE, RESNET10 = "small", "example", "resnet10"

Shape = tuple[int, int, int]


def small(shape: Shape) -> keras.Model:
    """The project's own, 127 parameters: few enough for a hundred scans.

    It sees which share of its neighbourhood has which value, at each place: local histograms. Of each value the largest
    share at any place and the mean of all are weighed against each other, since a finding may fill a hundredth of the
    lungs and still be dense where it is. Nothing before these weights is learned: networks that had to find such
    values themselves, with the answer of the strongest place to learn from, found them or not as their seed had it.
    """
    picture = keras.Input((*shape, 1), name="values")
    shares = _Shares(shape, name="shares")(picture)
    near = layers.AveragePooling3D((1, 3, 3), strides=1, padding="same", dtype="float32")(shares)
    found = [layers.GlobalMaxPooling3D(dtype="float32")(near), layers.GlobalAveragePooling3D(dtype="float32")(shares)]
    x = keras.ops.sqrt(layers.Concatenate(dtype="float32")(found))  # so that rare values count as well
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-6, dtype="float32")(x)
    return _answer(picture, x, SMALL)


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


class _Shares(layers.Layer):
    """(n, k, j, i, 1) values -> for each place of a coarser grid the share of its voxels that has each value.

    A voxel between two values counts for both, by how near it is to each, so that noise moves shares only a little.
    """

    def __init__(self, shape: Shape, name: str) -> None:
        super().__init__(name=name, trainable=False, dtype="float32")
        self._pool = tuple(max(1, round(size / places)) for size, places in zip(shape, PLACES))
        self._values = np.array_split(np.arange(BINS, dtype=np.float32), 3)

    def call(self, picture: object) -> object:
        steps = picture * (BINS - 1)
        # A few values at a time, since each takes as much memory as the picture.
        shares = [
            keras.ops.average_pool(keras.ops.relu(1 - keras.ops.abs(steps - some)), self._pool, padding="same")
            for some in self._values
        ]
        return keras.ops.concatenate(shares, axis=-1)


def _answer(picture: object, x: object, name: str) -> keras.Model:
    """The probability in 32 bits, also where the rest has 16; before any training it is the same for all."""
    x = layers.Dense(1, activation="sigmoid", kernel_initializer="zeros", dtype="float32", name="finding")(x)
    return keras.Model(picture, x, name=name)
