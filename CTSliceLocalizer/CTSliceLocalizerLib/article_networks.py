"""The networks of the article "Building a CT Slice Localizer With Keras": a known back-end and a small head.

The back-end is InceptionV3, Xception, ResNet50 or VGG19 without its top, with weights from ImageNet, and frozen. The
head is flatten, batch norm, dropout, dense, batch norm, dropout, dense with a sigmoid: the location of one slice.

What a back-end wants done to its pictures is part of the network, so that all take the same 8-bit slices.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import keras
from CTVolumeLib.errors import CTError
from keras import layers

IMAGENET, RANDOM = "imagenet", "random"
PART, OUTPUT = "slice", "location"
"""What the part and its output are called in the files of the model."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BackEnd:
    """One of the networks that Keras brings along.

    Attributes:
        make: Keras' function.
        smallest: pixels that a side must have.
        scale: what 8-bit pixels are multiplied by.
        offset: what is added then, for red, green and blue as the network wants them.
    """

    make: Callable[..., keras.Model]
    smallest: int
    scale: float
    offset: tuple[float, float, float]


_TO_ONE = {"scale": 1 / 127.5, "offset": (-1.0, -1.0, -1.0)}
# These two want blue, green, red; the slices are gray, so only the means differ.
_MINUS_MEAN = {"scale": 1.0, "offset": (-103.939, -116.779, -123.68)}
BACK_ENDS = {
    "inceptionv3": BackEnd(keras.applications.InceptionV3, 75, **_TO_ONE),
    "xception": BackEnd(keras.applications.Xception, 71, **_TO_ONE),
    "resnet50": BackEnd(keras.applications.ResNet50, 32, **_MINUS_MEAN),
    "vgg19": BackEnd(keras.applications.VGG19, 32, **_MINUS_MEAN),
}
"""By the name that the command takes."""


def build(name: str, size: int, weights: str = IMAGENET) -> tuple[keras.Model, str]:
    """One of the article's networks.

    ImageNet's weights are fetched by Keras the first time they are used, and kept in its own folder. Where they can't
    be had the network starts from random numbers; then the back-end is trained, too, since frozen random numbers would
    never become features.

    Args:
        name: one of ``BACK_ENDS``.
        size: pixels of a side of the slices.
        weights: ``"imagenet"``, ``"random"``, or a file with weights of the back-end without its top.

    Returns:
        The network (size, size, 1) gray 0..255 -> (1,) location, and what its back-end began with: ``"imagenet"``,
        ``"random"`` or ``"file"``.

    Raises:
        CTError: the slices are too small, or the file does not fit.
    """
    back_end = BACK_ENDS[name]
    if size < back_end.smallest:
        raise CTError(
            "too_small",
            f"{name} takes slices of at least {back_end.smallest} pixels, these have {size}.",
            "Convert the data again with a larger --size, or choose another network.",
        )
    base, began = _base(name, size, weights)
    gray = keras.Input((size, size, 1), name="gray")
    x = layers.Concatenate(name="gray_to_colour")([gray, gray, gray])
    x = layers.Rescaling(back_end.scale, list(back_end.offset), name="range")(x)
    x = base(x)
    x = layers.Flatten()(x)
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(0.5)(x)
    x = layers.Dense(128, activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(0.5)(x)
    location = layers.Dense(1, activation="sigmoid", dtype="float32", name=OUTPUT)(x)
    model = keras.Model(gray, {OUTPUT: location}, name=name)
    freeze(model, began != RANDOM)
    return model, began


def freeze(model: keras.Model, frozen: bool) -> None:
    """Whether the back-end keeps what it knows; to be said before the network is compiled."""
    (base,) = (layer for layer in model.layers if isinstance(layer, keras.Model))
    base.trainable = not frozen


def _base(name: str, size: int, weights: str) -> tuple[keras.Model, str]:
    """The back-end, and what it begins with."""
    make = BACK_ENDS[name].make
    shape = {"include_top": False, "input_shape": (size, size, 3)}
    if weights == RANDOM:
        return make(weights=None, **shape), RANDOM
    try:
        return make(weights=weights, **shape), IMAGENET if weights == IMAGENET else "file"
    except Exception as error:  # Keras raises bare exceptions where the network fails
        if weights != IMAGENET:
            raise CTError(
                "bad_weights",
                f"The weights for {name} can't be read: the file is missing, damaged or of another network.",
                f"Give Keras' file for {name} without top, or leave the option away.",
            ) from error
    log.warning(
        "ImageNet's weights for %s can't be had: the download failed. Training starts from random numbers and trains "
        "the whole network, which takes longer and needs more data. To use them offline fetch Keras' file elsewhere "
        "and name it with --weights.",
        name,
    )
    return make(weights=None, **shape), RANDOM
