"""Spine and ribs seen from the front, drawn straight along the spine: the picture in which vertebrae can be counted.

Organs lie higher or lower with breath and build and say little about the level of a vertebra. Among the bones behind
the front of the vertebrae the ribs, and the last of them, are as plain as in a radiograph, and look alike on all
scanners. A network of its own reads this picture; what it says is joined with what the slices say.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.special import log_softmax, logsumexp

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
"""How much more than the slices the picture counts for where those lie."""
BODY_SHARE = 0.7
"""What each counts for the place of a slice: the two err together, so for less than independent looks."""

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
    """What slices and skeleton say together: products of their probabilities.

    Args:
        slices: by the context network.
        bones: of the same cells, by the network of the skeleton.
    """
    shown = np.isin(NAMES, BONES)
    inside, cells = _inside(slices.landmarks)
    inside_by_bones, cells_by_bones = _inside(bones.landmarks)
    cells = log_softmax(cells + np.where(shown, BONE_SHARE, 0.0) * cells_by_bones, axis=0)
    return Sequence(
        body=BODY_SHARE * (log_softmax(slices.body, axis=1) + log_softmax(bones.body, axis=1)),
        landmarks=cells + inside + np.where(shown, inside_by_bones, 0.0),
    )


def _inside(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(12,) log-odds that the scan shows each landmark, and (g, 12) log-probability of each cell if it does.

    The logit of "nowhere in this scan" is 0.
    """
    return logsumexp(logits, axis=0), log_softmax(logits, axis=0)
