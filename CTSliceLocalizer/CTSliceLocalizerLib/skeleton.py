"""Spine and ribs seen from the front: the picture in which vertebrae can be counted.

Organs lie higher or lower with breath and build and say little about the level of a vertebra. Among the bones behind
the front of the vertebrae the ribs, and the last of them, are as plain as in a radiograph, and look alike on all
scanners.
"""

from __future__ import annotations

import numpy as np

from .frontal import View, spine
from .slicegrid import AIR_HU, SIZE

HALF = 30
RANGE_HU = (100.0, 500.0)


def picture(hu: np.ndarray) -> np.ndarray:
    """The brightest of the bones behind the front of the spine, see ``View.picture``."""
    middle, front = spine(hu)
    behind = np.arange(SIZE)[:, None] >= front[:, None, None] - 1
    brightest = np.where(behind, hu, AIR_HU).max(axis=1)
    columns = middle[:, None] + np.arange(-HALF, HALF + 1)
    inside = (columns >= 0) & (columns < SIZE)
    seen = np.where(inside, brightest[np.arange(len(hu))[:, None], np.clip(columns, 0, SIZE - 1)], AIR_HU)
    low, high = RANGE_HU
    return np.clip((seen - low) / (high - low), 0.0, 1.0).astype(np.float32)[..., None]


VIEW = View("skeleton", HALF, 1, picture, ("C1", "C7", "T1", "T12", "L1", "Tip of iliac crest"), 2.0, 0.7)
