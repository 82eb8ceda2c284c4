"""The project's compact network: one part looks at a slice, the other at the sequence of slices.

``encoder`` turns one 96 x 96 picture into features, a distribution over the body coordinate from that slice alone,
and two orientation logits. ``context`` reads the features of all slices of a scan, 4 mm apart, and gives the
distribution with their help and a logit for each of the 12 landmarks in each slice. ``frontal`` is trained apart from
them, for each view: it says the same from a picture of the body from the front alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
from keras import layers, ops

from .bodyscale import BIN_CENTRES
from .frontal import View
from .landmarks import LANDMARKS
from .slicegrid import SIZE

FEATURES = 128
WINDOWS_HU = ((-1000.0, 200.0), (-160.0, 240.0), (100.0, 1000.0), (-200.0, 1500.0))


def encoder() -> keras.Model:
    """Network of one slice: (96, 96, 1) HU / 1000 -> features (128), raw (bins), orientation (2)."""
    picture = keras.Input((SIZE, SIZE, 1), name="hu_per_1000")
    x = _windows()(picture)
    x = _convolution(x, 16, 5, stride=2)
    x = _convolution(x, 32, 3, stride=2)
    x = _residual(x)
    x = _convolution(x, 64, 3, stride=2)
    x = _residual(x)
    x = _convolution(x, 96, 3, stride=2)
    x = _residual(x)
    x = _convolution(x, 32, 1)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Dense(FEATURES, use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.97)(x)
    features = layers.Activation("relu", name="features")(x)
    raw = layers.Dense(len(BIN_CENTRES), name="raw")(layers.Dropout(0.2)(features))
    orientation = layers.Dense(2, name="orientation")(features)
    return keras.Model(picture, {"features": features, "raw": raw, "orientation": orientation}, name="encoder")


def context() -> keras.Model:
    """Network over slices: (t, 128) -> fitted (t, bins) and landmarks (t, 12) logits, for any t."""
    features = keras.Input((None, FEATURES), name="features")
    x = layers.Dropout(0.3)(features)
    x = layers.Conv1D(96, 1, activation="relu")(x)
    return keras.Model(features, _along_the_body(x, 96), name="context")


def frontal(view: View) -> keras.Model:
    """Network of a view: (t, width, channels) -> body (t, bins), landmarks (t, 12) logits, for any t."""
    picture = keras.Input((None, view.width, view.channels), name="picture")
    x = picture
    for channels, size in ((16, (5, 5)), (24, (5, 5)), (32, (3, 5))):
        x = _convolution(x, channels, size, stride=(1, 2))
    x = layers.Dropout(0.1)(x)
    x = layers.Conv2D(64, (1, x.shape[2]), use_bias=False)(x)
    x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.97)(x))
    x = layers.Dropout(0.2)(layers.Reshape((-1, 64))(x))
    return keras.Model(picture, _along_the_body(x, 64), name=view.name)


def joined(slice_network: keras.Model, sequence_network: keras.Model) -> keras.Model:
    """Both parts as they are trained: (t, 96, 96) int16 HU -> raw, orientation, body and landmarks for each slice."""
    hu = keras.Input((None, SIZE, SIZE), name="hu")
    single = EachSlice(slice_network)(hu)
    whole = sequence_network(single["features"])
    return in_32_bits(hu, {name: single[name] for name in ("raw", "orientation")} | whole)


def in_32_bits(inputs: object, outputs: Mapping[str, object]) -> keras.Model:
    """A network as it is trained: losses are always reckoned with 32 bits."""
    return keras.Model(
        inputs, {name: layers.Identity(dtype="float32", name=name)(value) for name, value in outputs.items()}
    )


class EachSlice(layers.Layer):
    """Applies the network of one slice to every slice of every sequence."""

    def __init__(self, network: keras.Model) -> None:
        super().__init__()
        self.network = network

    def call(self, hu: object, training: bool = False) -> dict:
        """(n, t, 96, 96) HU -> each output as (n, t, channels)."""
        n, t = ops.shape(hu)[0], ops.shape(hu)[1]
        pictures = ops.reshape(ops.cast(hu, "float32") / 1000.0, (n * t, SIZE, SIZE, 1))
        outputs = self.network(pictures, training=training)
        return {name: ops.reshape(value, (n, t, value.shape[-1])) for name, value in outputs.items()}


def _windows() -> layers.Layer:
    """CT windows as a 1 x 1 convolution that is cut off at 0 and 6; training may move them."""
    low, high = np.array(WINDOWS_HU).T / 1000.0
    scale = 6.0 / (high - low)
    return layers.Conv2D(
        len(WINDOWS_HU),
        1,
        activation="relu6",
        kernel_initializer=keras.initializers.Constant(scale.reshape(1, 1, 1, -1)),
        bias_initializer=keras.initializers.Constant(-low * scale),
        name="windows",
    )


def _along_the_body(x: object, channels: int) -> dict:
    """Logits of body coordinate and landmarks from features of all slices, (t, channels)."""
    for dilation in (1, 2, 4, 8, 1):
        y = layers.Conv1D(channels, 3, padding="same", dilation_rate=dilation, use_bias=False)(x)
        y = layers.BatchNormalization(momentum=0.97)(y)
        y = layers.Dropout(0.1)(layers.Activation("relu")(y))
        x = layers.Add()([x, y])
    body = layers.Conv1D(len(BIN_CENTRES), 1, name="body")(x)
    landmarks = layers.Conv1D(len(LANDMARKS), 3, padding="same", name="landmarks")(x)
    return {"body": body, "landmarks": landmarks}


def _convolution(x: object, channels: int, size: int | tuple[int, int], stride: int | tuple[int, int] = 1) -> object:
    x = layers.Conv2D(channels, size, strides=stride, padding="same", use_bias=False)(x)
    return layers.Activation("relu")(layers.BatchNormalization(momentum=0.97)(x))


def _residual(x: object) -> object:
    y = layers.Conv2D(x.shape[-1], 3, padding="same", use_bias=False)(x)
    y = layers.BatchNormalization(momentum=0.97)(y)
    return layers.Activation("relu")(layers.Add()([x, y]))
