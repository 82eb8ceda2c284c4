"""The right dome of the diaphragm, measured: the highest place where the right lung ends on the liver.

It lies elsewhere with each breath, so neither the place in the body nor the skeleton tells it, but lung against liver
is plain in any CT: for each column of the body the lowest lung is looked up, and the dome is the top of that surface.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from .curve import Estimates, Sequence
from .landmarks import NAMES
from .slicegrid import AIR_HU, CELL_MM, SIZE

LUNG_HU = -500
LEAST_ML = 300.0
"""Less lung than that on the right is no lung with a base, or something else."""
FROM_MIDDLE_MM = 56.0
"""Nearer to the middle of the body the lung ends on heart and hilum."""
FROM_EDGE_MM = 16.0
"""Nearer to its edge the lung is thin and ends on the chest wall."""
COLUMNS = 20
"""The dome is where so many columns end highest: 3 cm2, no single vessel."""
ENDS_INSIDE = 0.5
"""So much of the lung's base must lie in the scan, or the scan ends before the dome."""
SIGMA_MM = 6.0
DOUBT = 0.05
"""Probability that what was measured is something else, such as an effusion or a collapsed lobe."""

_DOME = NAMES.index("Right dome of diaphragm")


def dome(hu: np.ndarray) -> float | None:
    """Where the dome is.

    Args:
        hu: (g, 96, 96) HU on the networks' grid, from the feet to the head.

    Returns:
        The cell, with fractions, or None where no base of a right lung is seen.
    """
    lung = (hu < LUNG_HU) & (hu > AIR_HU)
    lung[:, :, SIZE // 2 :] = False
    labels, _ = ndimage.label(ndimage.binary_opening(lung, np.ones((1, 3, 3))))
    sizes = np.bincount(labels.ravel())[1:]
    if not len(sizes) or sizes.max() * CELL_MM**3 / 1000 < LEAST_ML:
        return None
    right = labels == sizes.argmax() + 1
    seen = right.any(axis=0)
    lowest = ndimage.median_filter(np.where(seen, right.argmax(axis=0), 0), 5)
    inner = ndimage.distance_transform_edt(seen) * CELL_MM >= FROM_EDGE_MM
    inner[:, SIZE // 2 - int(FROM_MIDDLE_MM / CELL_MM) :] = False
    ends = np.sort(lowest[inner])
    if len(ends) < COLUMNS or np.mean(ends > 0) < ENDS_INSIDE:
        return None
    return float(ends[-COLUMNS:].mean())


def measured(estimates: Estimates, hu: np.ndarray) -> Estimates:
    """What the networks say, and where the dome was measured.

    Args:
        estimates: of the networks.
        hu: (g, 96, 96) HU of the same cells.
    """
    return replace(
        estimates,
        upright=_with_dome(estimates.upright, dome(hu), 1),
        reversed=_with_dome(estimates.reversed, dome(hu[::-1]), -1),
    )


def _with_dome(sequence: Sequence, cell: float | None, step: int) -> Sequence:
    if cell is None:
        return sequence
    cells = np.arange(len(sequence.landmarks))[::step]
    density = np.exp(-0.5 * ((cells - cell) * CELL_MM / SIGMA_MM) ** 2)
    likelihood = (1 - DOUBT) * density * len(cells) / density.sum() + DOUBT
    landmarks = sequence.landmarks.copy()
    landmarks[:, _DOME] += np.log(likelihood)
    return Sequence(sequence.body, landmarks)
