"""Weights with 16 bits: a network's files become half as large, and every engine still runs the same numbers.

Rounding a weight to 16 bits changes it by at most 1/2048 of its size. Batch norm is folded in before, since each engine
folds it in by itself, and would otherwise round something else. Needs Keras 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

_FOLDABLE = ("Conv1D", "Conv2D", "Dense")


def halve(model: keras.Model) -> None:
    """Round all weights of a network to numbers that 16 bits hold; batch norm goes into the layer before it.

    Args:
        model: a functional model with layers that are used once; it is changed. What it answers changes by the
            rounding alone.
    """
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if type(layer).__name__ == "BatchNormalization":
            _fold(layer)
    for weight in model.weights:
        if not weight.path.endswith(("moving_mean", "moving_variance", "gamma")):
            weight.assign(np.asarray(weight).astype(np.float16).astype(np.float32))


def stored(array: np.ndarray) -> np.ndarray:
    """An array with 16 bits where that loses nothing worth naming, else as it is."""
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.allclose(half, array, rtol=1e-6, atol=1e-7) else array


def _fold(norm: keras.layers.BatchNormalization) -> None:
    """Move what batch norm does into the weights of the layer before it; only its shift stays behind.

    A batch norm for which there is no such layer stays as it is. LiteRT may then round otherwise, as it may where no
    activation lies between a batch norm and a dense layer; export notices both.
    """
    before = norm.input._keras_history.operation
    alone = len(before._inbound_nodes) == 1 and len(before._outbound_nodes) == 1
    if type(before).__name__ not in _FOLDABLE or before.use_bias or not (alone and norm.scale and norm.center):
        return
    mean, variance, gamma, beta = (
        np.asarray(weight, np.float64) for weight in (norm.moving_mean, norm.moving_variance, norm.gamma, norm.beta)
    )
    scale = gamma / np.sqrt(variance + norm.epsilon)
    before.kernel.assign(np.asarray(before.kernel) * scale)
    norm.beta.assign(beta - mean * scale)
    norm.moving_mean.assign(np.zeros_like(mean))
    norm.moving_variance.assign(np.ones_like(variance))
    norm.gamma.assign(np.full_like(gamma, np.sqrt(1.0 + norm.epsilon)))
