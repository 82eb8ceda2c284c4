"""Spine and ribs seen from the front, drawn straight along the spine: the picture in which vertebrae can be counted.

Organs lie higher or lower with breath and build and say little about the level of a vertebra. Among the bones behind
the front of the vertebrae the ribs, and the last of them, are as plain as in a radiograph, and look alike on all
scanners. A network of its own reads this picture; what it says is joined with what the slices say.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.special import log_softmax

from .curve import Sequence
from .landmarks import NAMES
from .slicegrid import AIR_HU, SIZE

HALF = 30
"""Cells that the picture shows to each side of the spine."""
WIDTH = 2 * HALF + 1
BONE_HU = 180.0
RANGE_HU = (100.0, 500.0)
BONES = ("C1", "C7", "T1", "T12", "L1", "Tip of iliac crest")
"""Landmarks that the picture shows; it says nothing of the others."""
BONE_SHARE = 2.0
"""How much more than the slices the picture counts for those."""

_MIDDLE = slice(30, 66)
"""Columns among which the spine is looked for: slices are centred on the body."""
_FRONT = 0.4
"""So much of the bone near the middle lies in front of the picture: the breastbone and most of the vertebrae."""


def picture(hu: np.ndarray) -> np.ndarray:
    """The brightest of the bones behind the front of the spine, in columns about it.

    Args:
        hu: (t, 96, 96) HU on the networks' grid, in either order along the body.

    Returns:
        (t, 61, 1) float32, 0 to 1.
    """
    bone = hu > BONE_HU
    thickness = gaussian_filter(bone[:, :, _MIDDLE].sum(axis=1, dtype=np.float32), (5.0, 1.5), mode="nearest")
    middle = gaussian_filter1d(thickness.argmax(axis=1).astype(np.float32), 3.0, mode="nearest")
    columns = _MIDDLE.start + np.rint(middle).astype(int)[:, None] + np.arange(-HALF, HALF + 1)
    slices = np.arange(len(hu))[:, None]
    near = bone[slices, :, columns[:, HALF - 2 : HALF + 3]].sum(axis=1, dtype=np.float32)
    along = np.cumsum(gaussian_filter(near, (2.0, 0.7), mode="nearest"), axis=1)
    front = np.argmax(along >= _FRONT * np.maximum(along[:, -1:], 1e-3), axis=1)
    behind = np.arange(SIZE)[:, None] >= front[:, None, None] - 1
    brightest = np.where(behind, hu, AIR_HU).max(axis=1)
    inside = (columns >= 0) & (columns < SIZE)
    seen = np.where(inside, brightest[slices, np.clip(columns, 0, SIZE - 1)], AIR_HU)
    low, high = RANGE_HU
    return np.clip((seen - low) / (high - low), 0.0, 1.0).astype(np.float32)[..., None]


def joined(slices: Sequence, bones: Sequence) -> Sequence:
    """What slices and skeleton say together: the product of their probabilities.

    Args:
        slices: by the context network.
        bones: of the same cells, by the network of the skeleton.
    """
    share = np.where(np.isin(NAMES, BONES), BONE_SHARE, 0.0)
    landmarks = _with_nowhere(slices.landmarks) + share * _with_nowhere(bones.landmarks)
    return Sequence(
        body=log_softmax(slices.body, axis=1) + log_softmax(bones.body, axis=1),
        landmarks=landmarks[:-1] - landmarks[-1:],
    )


def _with_nowhere(logits: np.ndarray) -> np.ndarray:
    """(g + 1, 12) log-probability of each cell, and last of "nowhere in this scan", whose logit is 0."""
    return log_softmax(np.concatenate([logits, np.zeros_like(logits[:1])]), axis=0)
