"""A scan in coarse cells, and the way back to its own voxels.

What is what is decided on cells, where exactly a surface runs on the voxels: so a scan of four times the voxels costs
little more, and the spacing changes no answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .volume import CTVolume


@dataclass(frozen=True, eq=False)
class Cells:
    """A scan in cells.

    Attributes:
        hu: (k, j, i) int16 mean HU.
        spacing: mm along i, j, k.
        factors: voxels in a cell along k, j, i.
    """

    hu: np.ndarray
    spacing: tuple[float, float, float]
    factors: tuple[int, int, int]

    def part(self, box: tuple[slice, ...]) -> Cells:
        """The cells in ranges of k, j, i."""
        return replace(self, hu=self.hu[box])

    @property
    def millilitres(self) -> float:
        """Volume of a cell."""
        return float(np.prod(self.spacing) / 1000)

    @property
    def step_mm(self) -> float:
        """Mean size of a cell in its slice."""
        return float(np.sqrt(self.spacing[0] * self.spacing[1]))

    def litres(self, mask: np.ndarray) -> float:
        """Volume of a mask on the cells."""
        return float(np.count_nonzero(mask) * np.prod(self.spacing) / 1e6)


def means_of_blocks(
    volume: CTVolume, cell_mm: float, range_hu: tuple[int, int], thickest_mm: float | None = None
) -> Cells:
    """The mean of each block of voxels; rows and columns that fill no block are repeated to fill it.

    Args:
        volume: axial; spacing along k is its median step.
        cell_mm: size of a cell, as nearly as whole voxels allow.
        range_hu: values are cut to it; where there is none, the lowest is taken.
        thickest_mm: as many slices are taken together as stay within this; None for as many as make ``cell_mm``.
    """
    spacing = (*volume.spacing[:2], slice_step(volume))
    factors = tuple(max(1, round(cell_mm / step)) for step in spacing[::-1])
    if thickest_mm:
        factors = (max(1, int(thickest_mm / spacing[2] + 0.01)), *factors[1:])
    shape = tuple(-(-size // factor) for size, factor in zip(volume.array.shape, factors))
    hu = np.empty(shape, np.int16)
    rows, columns = volume.array.shape[1:]
    fit_16_bits = np.iinfo(np.int16).max // max(abs(value) for value in range_hu)
    for k in range(shape[0]):
        block = np.clip(volume.array[k * factors[0] : (k + 1) * factors[0]], *range_hu)
        if block.dtype.kind == "f":
            block = np.nan_to_num(block, copy=False, nan=range_hu[0])  # no value is what lies outside of the scan
        # Sums of few whole numbers fit into 16 bits, which are added at once by the dozen.
        voxels = len(block) * factors[1] * factors[2]
        kind = np.float32 if block.dtype.kind == "f" else np.int16 if voxels <= fit_16_bits else np.int32
        plane = np.empty((shape[1] * factors[1], shape[2] * factors[2]), kind)
        block.sum(axis=0, dtype=kind, out=plane[:rows, :columns])
        plane[rows:, :columns] = plane[rows - 1, :columns]
        plane[:, columns:] = plane[:, columns - 1 : columns]
        plane = sum(plane[start :: factors[1]] for start in range(factors[1]))
        plane = sum(plane[:, start :: factors[2]] for start in range(factors[2]))
        hu[k] = np.rint(plane / np.float32(voxels))
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
    return np.repeat(np.repeat(plane, factors[2], axis=1), factors[1], axis=0)[: shape[0], : shape[1]]


def interpolation(size: int, factor: int, cells: int) -> np.ndarray:
    """(size, cells) weights that bring values at the centres of cells to voxels, linearly and constant at the ends."""
    places = np.clip((np.arange(size) - (factor - 1) / 2) / factor, 0, cells - 1)
    low = np.minimum(places.astype(int), max(cells - 2, 0))
    matrix = np.zeros((size, cells), np.float32)
    matrix[np.arange(size), low] = 1 - (places - low)
    if cells > 1:
        matrix[np.arange(size), low + 1] += places - low
    return matrix
