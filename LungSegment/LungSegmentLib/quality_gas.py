"""Gas that is no lung, in the lungs that were found and beside them: bowel, bullae, a pneumothorax."""

from __future__ import annotations

import numpy as np
from CTVolumeLib.cells import Cells
from scipy import ndimage

from .lungs import AIRWAY, LEFT, RIGHT
from .shapes import dilate

_GAS_HU, _DARKER_HU = -970, 45
"""Gas is darker than the first, and by the second darker than the darker quarter of the lungs."""

_BASE_MM, _BASE_SHARE = 25.0, 0.4
_OUTSIDE_HU, _OUTSIDE_MM = -950, 10.0
_RIM_MM = 20.0


def gas_in_lungs(lungs: np.ndarray, cells: Cells, smooth: np.ndarray, *, whole: bool) -> tuple[float, float]:
    """The largest pocket of gas without lung in it, and the largest right above the diaphragm, in mL.

    Args:
        lungs: (k, j, i) labels of the cells.
        cells: their grid.
        smooth: (k, j, i) HU with less noise.
        whole: whether the scan holds the lungs up to their top.
    """
    lung = np.isin(lungs, (LEFT, RIGHT))
    limit = min(_GAS_HU, np.percentile(smooth[lung], 25) - _DARKER_HU)
    pockets, count = ndimage.label(lung & (smooth < limit))
    cell_ml = np.prod(cells.spacing) / 1000
    sizes = np.bincount(pockets.ravel(), minlength=count + 1) * cell_ml
    sizes[0] = 0
    slices = np.flatnonzero(lung.any(axis=(1, 2)))
    height = np.arange(len(lung))[:, None, None]
    lowest_cell = lung.argmax(axis=0)
    # Not where the scan cuts the lungs.
    low = (height <= lowest_cell + _BASE_MM / cells.spacing[2]) & (lowest_cell > 0)
    if whole:  # hila have no lung below them either
        low &= height < slices[0] + _BASE_SHARE * len(slices)
    low_sizes = np.bincount(pockets[np.broadcast_to(low, lung.shape)], minlength=count + 1) * cell_ml
    at_base = np.where(low_sizes > 0.5 * sizes, sizes, 0)
    return float(sizes.max()), float(at_base.max())


def gas_beside_lungs(lungs: np.ndarray, cells: Cells, body: np.ndarray) -> float:
    """The largest part of the gas, in mL, right beside the lungs that is neither airway nor below the domes.

    Args:
        lungs: (k, j, i) labels of the cells.
        cells: their grid.
        body: (k, j, i) bool.
    """
    lung = np.isin(lungs, (LEFT, RIGHT))
    gas = (cells.hu < _OUTSIDE_HU) & (lungs == 0) & body
    footprint = ndimage.binary_erosion(lung.any(axis=0), iterations=max(1, round(_RIM_MM / cells.spacing[0])))
    # Slices above both domes; where the scan ends above them, all.
    lowest = np.where(footprint & ~lung[0], lung.argmax(axis=0), 0)
    gas[: int(lowest.max()) + 1] = False
    gas &= dilate(lung, cells.spacing, _OUTSIDE_MM)
    if (lungs == AIRWAY).any():
        gas &= ~dilate(lungs == AIRWAY, cells.spacing, _OUTSIDE_MM)
    parts, count = ndimage.label(gas)
    return float(np.bincount(parts.ravel())[1:].max() * np.prod(cells.spacing) / 1000) if count else 0.0
