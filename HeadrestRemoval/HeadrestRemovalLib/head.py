"""Which slices go through the head: those where bone encloses brain, and those below, down to the neck."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .grid import Cells

_BONE_HU = 220
_BRAIN_HU = (5, 75)
_BRAIN_MM2 = 1200.0
_BRAIN_SD_HU = 40.0
_LEAST_MM = 6.0
_BELOW_MM, _EARS_MM = 110.0, 50.0
_FAT_SHARE = 0.03


def head_slices(cells: Cells, body: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slices of the head, (k,) bool: from the vertex to about the fifth cervical vertebra, and those above the ears.

    Args:
        cells: the scan, slices from the feet to the head.
        body: (k, j, i) bool: the patient.
    """
    cell_mm2 = cells.spacing[0] * cells.spacing[1]
    brain = np.zeros(len(body), bool)
    for k in range(len(body)):
        bone = (cells.hu[k] > _BONE_HU) & body[k]
        enclosed = ndimage.binary_fill_holes(ndimage.binary_dilation(bone)) & ~bone
        parts, count = ndimage.label(ndimage.binary_erosion(enclosed, iterations=2))
        if not count:
            continue
        sizes = np.bincount(parts.ravel())
        for number in np.flatnonzero(sizes * cell_mm2 >= _BRAIN_MM2):
            hu = cells.hu[k][parts == number]
            fat = np.mean((hu > -150) & (hu < -30))
            if number and _BRAIN_HU[0] < np.median(hu) < _BRAIN_HU[1] and fat < _FAT_SHARE and hu.std() < _BRAIN_SD_HU:
                brain[k] = True
    head, scalp = np.zeros(len(body), bool), np.zeros(len(body), bool)
    if np.count_nonzero(brain) * cells.spacing[2] >= _LEAST_MM:
        lowest = int(np.flatnonzero(brain)[0])
        head[max(0, lowest - round(_BELOW_MM / cells.spacing[2])) :] = True
        scalp[lowest + round(_EARS_MM / cells.spacing[2]) :] = True
    return head, scalp
