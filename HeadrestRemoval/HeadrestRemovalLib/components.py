"""Connected components and what tells them apart: volume, mean and standard deviation of HU, tissues, extent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from CTVolumeLib.boxes import bounding_box
from CTVolumeLib.cells import Cells
from scipy import ndimage

FAT_HU, MUSCLE_HU, BONE_HU = (-160, -30), (-10, 130), 180


@dataclass(frozen=True, eq=False)
class Components:
    """The components of a mask; number 0 is what is in none, and its figures mean nothing.

    Attributes:
        labels: (k, j, i) int32, 1 to ``count``.
        count: how many there are.
        box: ranges of k, j, i that hold them all.
        cells: the scan.
    """

    labels: np.ndarray
    count: int
    box: tuple[slice, ...]
    cells: Cells

    @cached_property
    def boxes(self) -> list[tuple[slice, slice, slice]]:
        """(count,) ranges of k, j, i of the components 1 to ``count``."""
        return ndimage.find_objects(self.labels)

    @cached_property
    def sizes(self) -> np.ndarray:
        """(count + 1,) cells."""
        return np.bincount(self.labels[self.box].ravel(), minlength=self.count + 1)

    @cached_property
    def millilitres(self) -> np.ndarray:
        """(count + 1,) volumes."""
        sizes = self.sizes.astype(float)
        sizes[0] = 0
        return sizes * self.cells.millilitres

    @cached_property
    def mean_hu(self) -> np.ndarray:
        """(count + 1,) mean HU."""
        return self._mean(self._values[1])

    @cached_property
    def sd_hu(self) -> np.ndarray:
        """(count + 1,) standard deviations of HU."""
        hu = self._values[1]
        return np.sqrt(np.maximum(self._mean(hu * hu) - self.mean_hu**2, 0))

    @cached_property
    def fat(self) -> np.ndarray:
        """(count + 1,) shares of cells as dense as fat."""
        return self._between(*FAT_HU)

    @cached_property
    def muscle(self) -> np.ndarray:
        """(count + 1,) shares of cells as dense as muscle."""
        return self._between(*MUSCLE_HU)

    @cached_property
    def bone(self) -> np.ndarray:
        """(count + 1,) shares of cells as dense as bone."""
        return self._between(BONE_HU, np.inf)

    def share(self, mask: np.ndarray) -> np.ndarray:
        """(count + 1,) share of each component that is in a mask."""
        return self._inside(mask) / np.maximum(self.sizes, 1)

    def touching(self, mask: np.ndarray) -> np.ndarray:
        """(count + 1,) bool: which have a cell in a mask."""
        return self._inside(mask) > 0

    def highest(self, values: np.ndarray) -> np.ndarray:
        """(count + 1,) highest of (k, j, i) values in each component."""
        numbers, values = self.labels[self.box].ravel(), values[self.box].ravel()
        where = np.flatnonzero(numbers)
        result = np.full(self.count + 1, -np.inf)
        np.maximum.at(result, numbers[where], values[where])
        return result

    def chosen(self, which: np.ndarray) -> np.ndarray:
        """(k, j, i) bool: the cells of some components.

        Args:
            which: (count + 1,) bool.
        """
        which = which.copy()
        which[0] = False
        result = np.zeros(self.labels.shape, bool)
        result[self.box] = which[self.labels[self.box]]
        return result

    @cached_property
    def _values(self) -> tuple[np.ndarray, np.ndarray]:
        """Number and HU of each cell of the components."""
        numbers = self.labels[self.box].ravel()
        where = np.flatnonzero(numbers)
        return numbers[where], self.cells.hu[self.box].ravel()[where].astype(np.float64)

    def _mean(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self._values[0], values, self.count + 1) / np.maximum(self.sizes, 1)

    def _between(self, low: float, high: float) -> np.ndarray:
        hu = self._values[1]
        return self._mean((hu > low) & (hu < high))

    def _inside(self, mask: np.ndarray) -> np.ndarray:
        return np.bincount(self.labels[self.box][mask[self.box]], minlength=self.count + 1)


def components(mask: np.ndarray, cells: Cells, around: np.ndarray | None = None) -> Components:
    """Find the components of a mask.

    Args:
        mask: (k, j, i) bool on the cells.
        cells: for HU and spacing.
        around: which neighbours belong together; None for the six with a common face, ``shapes.IN_SLICE`` for
            components of each slice.
    """
    labels, box = np.zeros(mask.shape, np.int32), bounding_box(mask)
    labels[box], count = ndimage.label(mask[box], around)
    return Components(labels, count, box, cells)
