"""The coarse grid on which lungs are found, and the way back to the scan's own voxels.

What is lung is decided on cells of nearly 3 mm, where a chest has one to two million; only where exactly its surface
runs is decided on the voxels. So a scan of four times the voxels costs little more, and spacing changes no answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from CTVolumeLib.volume import CTVolume

CELL_MM = 2.8
_RANGE_HU = (-1100, 500)
_FIT_16_BITS = 29


@dataclass(frozen=True, eq=False)
class Cells:
    """A scan in cells.

    Attributes:
        hu: (k, j, i) int16 mean HU, between -1100 and 500.
        spacing: mm along i, j, k.
        factors: voxels in a cell along k, j, i.
    """

    hu: np.ndarray
    spacing: tuple[float, float, float]
    factors: tuple[int, int, int]

    def litres(self, mask: np.ndarray) -> float:
        """Volume of a mask on the cells."""
        return float(np.count_nonzero(mask) * np.prod(self.spacing) / 1e6)


def cells_of(volume: CTVolume) -> Cells:
    """The mean of each block of voxels; rows, columns and slices that fill no block are repeated to fill it.

    Args:
        volume: axial; spacing along k is its median step.
    """
    spacing = (*volume.spacing[:2], slice_step(volume))
    factors = tuple(max(1, round(CELL_MM / step)) for step in spacing[::-1])
    shape = tuple(-(-size // factor) for size, factor in zip(volume.array.shape, factors))
    hu = np.empty(shape, np.int16)
    rest = [(0, size * factor - have) for size, factor, have in zip(shape[1:], factors[1:], volume.array.shape[1:])]
    for k in range(shape[0]):
        block = np.clip(volume.array[k * factors[0] : (k + 1) * factors[0]], *_RANGE_HU)
        if block.dtype.kind == "f":
            block = np.nan_to_num(block, copy=False, nan=_RANGE_HU[0])  # no value is what lies outside of the scan
        # Sums of few whole numbers fit into 16 bits, which are added at once by the dozen.
        voxels = len(block) * factors[1] * factors[2]
        kind = np.float32 if block.dtype.kind == "f" else np.int16 if voxels <= _FIT_16_BITS else np.int32
        plane = block.sum(axis=0, dtype=kind)
        if any(pad for _, pad in rest):
            plane = np.pad(plane, rest, mode="edge")
        plane = sum(plane[start :: factors[1]] for start in range(factors[1]))
        plane = sum(plane[:, start :: factors[2]] for start in range(factors[2]))
        hu[k] = np.rint(plane / np.float32(voxels))
    return Cells(hu, tuple(step * factor for step, factor in zip(spacing, factors[::-1])), factors)


def slice_step(volume: CTVolume) -> float:
    """The median distance of neighbouring slices in mm, along their normal."""
    if volume.array.shape[0] < 2 or (volume.positions is None and volume.slice_origins is None):
        return float(volume.spacing[2])
    return float(np.median(np.abs(np.diff(volume.origins() @ volume.axes()[:, 2]))))


def interpolation(size: int, factor: int, cells: int) -> np.ndarray:
    """(size, cells) weights that bring values at the centres of cells to voxels, linearly and constant at the ends."""
    places = np.clip((np.arange(size) - (factor - 1) / 2) / factor, 0, cells - 1)
    low = np.minimum(places.astype(int), max(cells - 2, 0))
    matrix = np.zeros((size, cells), np.float32)
    matrix[np.arange(size), low] = 1 - (places - low)
    if cells > 1:
        matrix[np.arange(size), low + 1] += places - low
    return matrix
