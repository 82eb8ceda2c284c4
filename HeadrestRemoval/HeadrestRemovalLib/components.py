"""Connected components and what tells them apart: volume, mean and standard deviation of HU, tissues, extent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from CTVolumeLib.boxes import bounding_box
from CTVolumeLib.cells import Cells
from scipy import ndimage

from .shapes import numbered

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
        start = [side.start for side in self.box]
        found = ndimage.find_objects(self.labels[self.box]) if self.count else []
        return [tuple(slice(one.start + at, one.stop + at) for one, at in zip(box, start)) for box in found]

    @cached_property
    def sizes(self) -> np.ndarray:
        """(count + 1,) cells."""
        return np.bincount(self._numbers, minlength=self.count + 1)

    @cached_property
    def millilitres(self) -> np.ndarray:
        """(count + 1,) volumes."""
        return self.sizes * self.cells.millilitres

    @cached_property
    def mean_hu(self) -> np.ndarray:
        """(count + 1,) mean HU."""
        return self._mean(self._hu)

    @cached_property
    def sd_hu(self) -> np.ndarray:
        """(count + 1,) standard deviations of HU."""
        return np.sqrt(np.maximum(self._mean(self._hu * self._hu) - self.mean_hu**2, 0))

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
        result = np.full(self.count + 1, -np.inf)
        np.maximum.at(result, self._numbers, values[self.box][self._own].astype(float))
        return result

    def chosen(self, which: np.ndarray) -> np.ndarray:
        """(k, j, i) bool: the cells of some components.

        Args:
            which: (count + 1,) bool.
        """
        result = np.zeros(self.labels.shape, bool)
        result[self.box][self._own] = which[self._numbers]
        return result

    @cached_property
    def _own(self) -> np.ndarray:
        """(k, j, i) bool: what of the box is in a component."""
        return self.labels[self.box] > 0

    @cached_property
    def _numbers(self) -> np.ndarray:
        """(n,) numbers of the cells of the components."""
        return self.labels[self.box][self._own].astype(np.intp)

    @cached_property
    def _hu(self) -> np.ndarray:
        """(n,) HU of these cells."""
        return self.cells.hu[self.box][self._own].astype(np.float64)

    def _mean(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self._numbers, values, self.count + 1) / np.maximum(self.sizes, 1)

    def _between(self, low: float, high: float) -> np.ndarray:
        return self._mean((self._hu > low) & (self._hu < high))

    def _inside(self, mask: np.ndarray) -> np.ndarray:
        return np.bincount(self._numbers[mask[self.box][self._own]], minlength=self.count + 1)


def components(mask: np.ndarray, cells: Cells, around: np.ndarray | None = None) -> Components:
    """Find the components of a mask.

    Args:
        mask: (k, j, i) bool on the cells.
        cells: for HU and spacing.
        around: which neighbours belong together, as ``shapes.numbered`` has it.
    """
    labels, box = np.zeros(mask.shape, np.int32), bounding_box(mask)
    labels[box], count = numbered(mask[box], around)
    return Components(labels, count, box, cells)
