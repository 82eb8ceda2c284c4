"""Trachea, main bronchi and aortic arch seen from the front, as in a radiograph of what lies before the spine.

The trachea and where it divides show as the darkest of each line of sight, the arch as what bulges into the left lung
in the mean of all.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .frontal import View, spine
from .slicegrid import AIR_HU, SIZE

HALF = 24
DEPTH = 18
"""Cells before the spine that are looked through: 7 cm."""
DARK_HU = (0.0, -1000.0)
MEAN_HU = (-800.0, 100.0)


def picture(hu: np.ndarray) -> np.ndarray:
    """The darkest, and the mean, of the body before the spine, see ``View.picture``."""
    middle, front = spine(hu)
    front = np.rint(gaussian_filter1d(front.astype(np.float32), 3.0, mode="nearest")).astype(int)
    rows = np.clip(front[:, None] + np.arange(-DEPTH, 0), 0, SIZE - 1)
    columns = np.clip(middle[:, None] + np.arange(-HALF, HALF + 1), 0, SIZE - 1)
    slab = hu[np.arange(len(hu))[:, None, None], rows[:, :, None], columns[:, None, :]].astype(np.float32)
    body = slab > AIR_HU  # the surroundings, which hold air too, are not looked at
    slab = np.where(body, slab, 0.0)
    mean = slab.sum(axis=1) / np.maximum(body.sum(axis=1), 1)
    scaled = [(seen - first) / (last - first) for seen, (first, last) in ((slab.min(axis=1), DARK_HU), (mean, MEAN_HU))]
    return np.clip(np.stack(scaled, axis=-1), 0.0, 1.0).astype(np.float32)


VIEW = View("airway", HALF, 2, picture, ("Aortic arch", "Bifurcation of trachea"), 2.0, None)
