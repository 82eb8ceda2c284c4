"""Where a network looks: how its answer changes when a box of the scan is made ordinary (occlusion).

After Zeiler and Fergus (ECCV 2014). A box is replaced by the mean of other scans at the same place rather than by
black, which would itself look like a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Score = Callable[[np.ndarray], np.ndarray]
"""(n, k, j, i, 1) inputs to (n,) probabilities."""

_BATCH = 8


def occlusion(picture: np.ndarray, usual: np.ndarray, score: Score, places: int = 7, size: float = 0.25) -> np.ndarray:
    """How much each place speaks for the finding.

    Args:
        picture: (k, j, i) input.
        usual: (k, j, i) what such inputs look like without the finding.
        score: the network.
        places: of the box along each axis.
        size: of the box, as a share of the length of each axis.

    Returns:
        (k, j, i) float32: by how much the log odds fall on average when a box that covers the voxel is made ordinary.
    """
    shape = np.array(picture.shape)
    lengths = np.maximum(1, np.round(shape * size).astype(int))
    starts = [np.unique(np.linspace(0, n - length, places).round().astype(int)) for n, length in zip(shape, lengths)]
    boxes = [
        tuple(slice(int(start), int(start + length)) for start, length in zip(corner, lengths))
        for corner in np.stack(np.meshgrid(*starts, indexing="ij"), axis=-1).reshape(-1, 3)
    ]
    whole = _log_odds(score(picture[None, ..., None]))[0]
    total, covered = np.zeros(picture.shape, np.float32), np.zeros(picture.shape, np.float32)
    for first in range(0, len(boxes), _BATCH):
        some = boxes[first : first + _BATCH]
        occluded = np.repeat(picture[None], len(some), axis=0)
        for one, box in zip(occluded, some):
            one[box] = usual[box]
        for box, fall in zip(some, whole - _log_odds(score(occluded[..., None]))):
            total[box] += fall
            covered[box] += 1
    return total / np.maximum(covered, 1)


def usual_input(inputs: Sequence[Callable[[], np.ndarray]], most: int = 40) -> np.ndarray:
    """(k, j, i) mean of inputs, one in memory at a time.

    Args:
        inputs: each gives one.
        most: how many are used.
    """
    chosen = inputs[:most]
    total = np.zeros(chosen[0]().shape, np.float64)
    for one in chosen:
        total += one()
    return (total / len(chosen)).astype(np.float32)


def _log_odds(probability: np.ndarray) -> np.ndarray:
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped))
