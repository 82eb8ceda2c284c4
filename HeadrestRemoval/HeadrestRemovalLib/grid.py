"""The scan in cells of about 2 mm, on which patient and equipment are told apart, and the way back to its voxels.

What belongs to what is decided on cells; where a surface runs is decided on the voxels. So neither the answer nor the
time depends much on the spacing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from CTVolumeLib.volume import CTVolume

CELL_MM = 2.0
_RANGE_HU = (-1100, 1500)


@dataclass(frozen=True, eq=False)
class Cells:
    """A scan in cells.

    Attributes:
        hu: (k, j, i) int16 mean HU, between -1100 and 1500.
        spacing: mm along i, j, k.
        factors: voxels in a cell along k, j, i.
    """

    hu: np.ndarray
    spacing: tuple[float, float, float]
    factors: tuple[int, int, int]

    @property
    def millilitres(self) -> float:
        """Volume of a cell."""
        return float(np.prod(self.spacing) / 1000)

    @property
    def step_mm(self) -> float:
        """Mean size of a cell in its slice."""
        return float(np.sqrt(self.spacing[0] * self.spacing[1]))


def cells_of(volume: CTVolume) -> Cells:
    """The mean of each block of voxels; rows, columns and slices that fill no block are repeated to fill it.

    Args:
        volume: axial; spacing along k is its median step.
    """
    spacing = (*volume.spacing[:2], slice_step(volume))
    factors = tuple(max(1, round(CELL_MM / step)) for step in spacing[::-1])
    shape = tuple(-(-size // factor) for size, factor in zip(volume.array.shape, factors))
    hu = np.empty(shape, np.int16)
    for k in range(shape[0]):
        block = volume.array[k * factors[0] : (k + 1) * factors[0]]
        hu[k] = np.rint(_blocks(block, factors, shape[1:]))
    return Cells(hu, tuple(step * factor for step, factor in zip(spacing, factors[::-1])), factors)


def slice_step(volume: CTVolume) -> float:
    """The median distance of neighbouring slices in mm, along their normal."""
    if volume.array.shape[0] < 2 or (volume.positions is None and volume.slice_origins is None):
        return float(volume.spacing[2])
    return float(np.median(np.abs(np.diff(volume.origins() @ volume.axes()[:, 2]))))


def enlarge(plane: np.ndarray, factors: tuple[int, int, int], shape: tuple[int, int]) -> np.ndarray:
    """(j, i) values of the cells of a slice, for each of its voxels.

    Args:
        plane: (j, i) of the cells.
        factors: voxels in a cell along k, j, i.
        shape: (j, i) of the voxels.
    """
    return np.repeat(np.repeat(plane, factors[1], axis=0), factors[2], axis=1)[: shape[0], : shape[1]]


def _blocks(block: np.ndarray, factors: tuple[int, int, int], shape: tuple[int, int]) -> np.ndarray:
    """(j, i) mean of the blocks of a few slices."""
    if block.dtype.kind == "f":
        block = np.nan_to_num(block, nan=_RANGE_HU[0])  # no value is what lies outside of the scan
    block = np.clip(block, *_RANGE_HU)
    mean = block[0] if len(block) == 1 else block.mean(axis=0, dtype=np.float32)
    if factors[1:] == (1, 1):
        return mean
    rest = [(0, size * factor - have) for size, factor, have in zip(shape, factors[1:], mean.shape)]
    padded = np.pad(mean, rest, mode="edge")
    # Strided sums are several times as fast as a mean over the axes of a block.
    total = np.zeros(shape, np.float32)
    for row in range(factors[1]):
        for column in range(factors[2]):
            total += padded[row :: factors[1], column :: factors[2]]
    return total / (factors[1] * factors[2])
