"""The coarse grid on which patient and equipment are told apart: cells of about 2 mm in slices of up to 3 mm."""

from __future__ import annotations

import numpy as np
from CTVolumeLib.cells import Cells, means_of_blocks
from CTVolumeLib.volume import CTVolume

Step = tuple[float, float, float]
"""Mm along k, j and i."""

Factors = tuple[int, int, int]
"""Voxels in a cell along k, j and i."""

CELL_MM = 2.0
_THICKEST_MM = 3.0
"""Most scans on which rules were set have slices of 2 to 3 mm; thinner ones tell no more, and are noisier."""

_RANGE_HU = (-1100, 1500)


def cells_of(volume: CTVolume) -> Cells:
    """The scan on the grid, between -1100 and 1500 HU.

    Args:
        volume: axial.
    """
    return means_of_blocks(volume, CELL_MM, _RANGE_HU, _THICKEST_MM)


def voxel_step(cells: Cells) -> Step:
    """Size of the voxels that the cells were made of."""
    return tuple(size / factor for size, factor in zip(cells.spacing[::-1], cells.factors))


def middle_voxels(array: np.ndarray, factors: Factors) -> np.ndarray:
    """The middle voxel of each cell, (k, j, i) on the grid; where the scan ends before the last one's, that before.

    Args:
        array: (K, J, I) on the scan's own voxels.
        factors: voxels in a cell along each axis.
    """
    found = array[tuple(slice(middle(factor, size), None, factor) for factor, size in zip(factors, array.shape))]
    lacking = [-(-size // factor) - count for factor, size, count in zip(factors, array.shape, found.shape)]
    return np.pad(found, [(0, one) for one in lacking], mode="edge") if any(lacking) else found


def middle(factor: int, size: int) -> int:
    """Place of the first cell's middle voxel along an axis of some size."""
    return min(factor // 2, size - 1)
