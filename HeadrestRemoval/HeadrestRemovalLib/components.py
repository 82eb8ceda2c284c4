"""Connected components and what tells them apart: volume, mean and standard deviation of HU, tissues, extent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from CTVolumeLib.cells import Cells
from scipy import ndimage

FAT_HU, MUSCLE_HU, BONE_HU = (-160, -30), (-10, 130), 180


@dataclass(frozen=True, eq=False)
class Components:
    """The components of a mask; number 0 is what is in none.

    Attributes:
        labels: (k, j, i) int32, 1 to ``count``.
        count: how many there are.
        millilitres: (count + 1,) volumes.
        mean_hu: (count + 1,), likewise the next four.
        sd_hu: standard deviations of HU.
        fat: shares of cells as dense as fat.
        muscle: shares of cells as dense as muscle.
        bone: shares of cells as dense as bone.
    """

    labels: np.ndarray
    count: int
    millilitres: np.ndarray
    mean_hu: np.ndarray
    sd_hu: np.ndarray
    fat: np.ndarray
    muscle: np.ndarray
    bone: np.ndarray

    @cached_property
    def boxes(self) -> list[tuple[slice, slice, slice]]:
        """(count,) ranges of k, j, i of the components 1 to ``count``."""
        return ndimage.find_objects(self.labels)

    @cached_property
    def sizes(self) -> np.ndarray:
        """(count + 1,) cells, those of no component first."""
        return np.bincount(self.labels.ravel(), minlength=self.count + 1)

    def share(self, mask: np.ndarray) -> np.ndarray:
        """(count + 1,) share of each component that is in a mask."""
        inside = np.bincount(self.labels[mask], minlength=self.count + 1)
        return inside / np.maximum(self.sizes, 1)

    def touching(self, mask: np.ndarray) -> np.ndarray:
        """(count + 1,) bool: which have a cell in a mask."""
        return np.bincount(self.labels[mask], minlength=self.count + 1) > 0

    def highest(self, values: np.ndarray) -> np.ndarray:
        """(count + 1,) highest of (k, j, i) values in each component; for number 0 it is the lowest of all."""
        where = np.flatnonzero(self.labels)
        result = np.full(self.count + 1, values.min(), values.dtype)
        np.maximum.at(result, self.labels.ravel()[where], values.ravel()[where])
        return result

    def chosen(self, which: np.ndarray) -> np.ndarray:
        """(k, j, i) bool: the cells of some components.

        Args:
            which: (count + 1,) bool.
        """
        which = which.copy()
        which[0] = False
        return which[self.labels]


def components(mask: np.ndarray, cells: Cells, around: np.ndarray | None = None) -> Components:
    """Find and describe the components of a mask.

    Args:
        mask: (k, j, i) bool on the cells.
        cells: for HU and spacing.
        around: which neighbours belong together; None for the six with a common face, ``shapes.IN_SLICE`` for
            components of each slice.
    """
    labels, count = ndimage.label(mask, around)
    where = np.flatnonzero(labels)
    numbers, hu = labels.ravel()[where], cells.hu.ravel()[where].astype(np.float64)

    def total(weights: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(numbers, weights, count + 1)

    size = np.maximum(total(), 1)
    mean = total(hu) / size
    deviation = np.sqrt(np.maximum(total(hu * hu) / size - mean**2, 0))
    fat, muscle = (total((hu > low) & (hu < high)) / size for low, high in (FAT_HU, MUSCLE_HU))
    return Components(
        labels, count, total() * cells.millilitres, mean, deviation, fat, muscle, total(hu > BONE_HU) / size
    )
