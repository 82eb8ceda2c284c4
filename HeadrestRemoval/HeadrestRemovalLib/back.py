"""The patient's back as seen from behind: for each slice and column one height, where the skin ends.

Heights are mm from the first row towards the back; (k, i) samples are as wide as cells, heights as exact as voxels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .grid import Factors, Step, middle, middle_voxels
from .labels import BACKGROUND, PATIENT

SKIN_HU = -500
"""Half-way between air and skin."""

AIR_HU = -930.0
"""What is denser is more than air, noise and all, and be it foam."""

_SHELL_HU = -800.0
"""What is denser is the shell of a holder, or a table: its foam and its blurred edge are fainter."""

_PIECE_MM = 15.0
"""What stands behind air and is thinner than that is a piece of a holder that was taken for the patient."""

_HOLDER_MM = 40.0
"""A holder that lies on both sides of a place no wider than twice that lies there, too."""


@dataclass(frozen=True, eq=False)
class Back:
    """The back of the patient, a sample for each column of cells.

    Attributes:
        height: (k, i) mm from the first row to where the skin ends, between voxels.
        last: (k, i) mm from the first row to the end of the last voxel that was taken for the patient.
        there: (k, i) bool: columns with the patient in them.
        touched: (k, i) bool: of these, those with equipment right behind.
        firm: (k, i) bool: of these, those in which that is no blurred edge with air behind it.
        size: mm of a sample along k and i.
    """

    height: np.ndarray
    last: np.ndarray
    there: np.ndarray
    touched: np.ndarray
    firm: np.ndarray
    size: tuple[float, float]

    def part(self, window: tuple[slice, slice]) -> Back:
        """The back within a window of samples."""
        arrays = (self.height, self.last, self.there, self.touched, self.firm)
        return Back(*(one[window] for one in arrays), self.size)

    def cm2(self, patch: np.ndarray) -> float:
        """Area of a (k, i) mask, as it is seen from behind."""
        return float(np.count_nonzero(patch) * np.prod(self.size) / 100)


def find(labels: np.ndarray, hu: np.ndarray, step: Step, factors: Factors) -> Back:
    """The back of what is labelled as the patient.

    Args:
        labels: (k, j, i) uint8, slices from the feet to the head, rows from front to back.
        hu: (k, j, i) the scan.
        step: mm along k, j, i.
        factors: voxels in a cell along k, j, i.
    """
    # From the back to the front; copies, as what is read many times is read faster where it is in one piece.
    kind, value = (middle_voxels(array, factors)[:, ::-1].copy() for array in (labels, hu))
    row = np.arange(kind.shape[1], dtype=np.int16)[None, :, None]
    solid = (kind == PATIENT) & (value > SKIN_HU)
    there, first = solid.any(axis=1), solid.argmax(axis=1).astype(np.int16)
    gap = ((kind == BACKGROUND) & (row > first[:, None])).argmax(axis=1)
    ahead = solid & (row > gap[:, None])
    cell = step[1] * factors[1]
    piece = there & (gap > first) & ((gap - first) * cell < _PIECE_MM) & ahead.any(axis=1)
    first = np.where(piece, ahead.argmax(axis=1), first)
    equipment = kind > PATIENT
    behind = (equipment & (value > _SHELL_HU) & (row < first[:, None])).any(axis=1)
    size = (step[0] * factors[0], step[2] * factors[2])
    # Where a holder lies behind all the columns around and none behind this one, it was taken for the patient.
    merged = _closed(piece | behind, size) & ~piece & ~behind
    k, i = np.ogrid[: len(kind), : kind.shape[2]]
    near, far = (np.maximum(first - cells, 0) for cells in (1, 2))
    filled_near, filled_far = (np.nan_to_num(value[k, one, i], nan=-1000.0) > AIR_HU for one in (near, far))
    beside = (equipment[k, near, i] & filled_near) | (equipment[k, far, i] & filled_far)
    touched = there & (beside | merged)
    firm = touched & ((filled_near & filled_far) | merged)
    height, last = _ends(labels, hu, kind.shape[1] - 1 - first, step[1], factors)
    return Back(height, last, there, touched, firm, size)


def columns(
    labels: np.ndarray,
    faceless: np.ndarray,
    hu: np.ndarray,
    factors: Factors,
    window: tuple[slice, slice],
    blur: tuple[float, float] = (0.0, 0.0),
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(k, j, i) HU of all voxels in the columns of a window of samples, and bool: which are the patient's in labels.

    The last are those without faces of holders, of which the second labels tell. HU is blurred along the rows and from
    column to column by a Gauss of so many of them (standard deviations).
    """
    box, every = (window[0], slice(None), window[1]), (factors[0], 1, factors[2])
    value = np.nan_to_num(middle_voxels(hu, every)[box].astype(np.float32), nan=-1000.0)
    value = ndimage.gaussian_filter(value, (0, *blur)) if any(blur) else value
    return value, *(middle_voxels(one, every)[box] == PATIENT for one in (labels, faceless))


def _ends(
    labels: np.ndarray, hu: np.ndarray, cell: np.ndarray, step_mm: float, factors: Factors
) -> tuple[np.ndarray, np.ndarray]:
    """(k, i) heights between voxels, and to the end of the last one, of a patient that ends in (k, i) rows of cells."""
    every = (factors[0], 1, factors[2])
    kind, value = middle_voxels(labels, every), middle_voxels(hu, every)
    k, i = np.ogrid[: len(kind), : kind.shape[2]]
    end = kind.shape[1] - 1
    last = np.minimum(middle(factors[1], kind.shape[1]) + cell * factors[1], end)
    goes_on = np.ones(last.shape, bool)
    for _ in range(factors[1] - 1):
        following = np.minimum(last + 1, end)
        goes_on &= (kind[k, following, i] == PATIENT) & (value[k, following, i] > SKIN_HU)
        last = np.where(goes_on, following, last)
    inner, outer = (
        np.nan_to_num(value[k, one, i].astype(float), nan=-1000.0) for one in (last, np.minimum(last + 1, end))
    )
    share = np.clip((inner - SKIN_HU) / np.maximum(inner - outer, 1), 0, 1)
    return (last + share) * step_mm, (last + 0.5) * step_mm


def _closed(mask: np.ndarray, size: tuple[float, float]) -> np.ndarray:
    """(k, i) bool: with what lies between parts of a mask along a slice, across them or all around."""
    reach = [2 * round(_HOLDER_MM / one) + 1 for one in size]
    padded = np.pad(mask, [(one, one) for one in reach])
    along, across = (ndimage.binary_closing(padded, np.ones(shape, bool)) for shape in ((reach[0], 1), (1, reach[1])))
    return ndimage.binary_fill_holes(along | across)[tuple(slice(one, -one) for one in reach)]
