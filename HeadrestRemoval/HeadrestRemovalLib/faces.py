"""Faces of holders against which the patient lies: a stiff holder is where it is in the slices around.

Where the skin is pressed on plastic or carbon, the two are as dense, and the holder's face is taken for the patient.
But holders and tables are the same from slice to slice: in those in which air parts it from the skin, the face shows.
"""

from __future__ import annotations

import numpy as np
from CTVolumeLib.boxes import bounding_box

from .constant import shifted, shifts_of, sums
from .grid import Factors, Step, middle_voxels
from .labels import PATIENT

_HARD_HU = -500
"""Half-way between air and plastic: what is fainter is foam, which gives way, or the blurred face itself."""

_AROUND_MM, _KNOWN_MM, _SHARE = (100.0, 55.0), 25.0, 0.8
"""Of more mm of slices in which the holder is free than the second figure, that share has to show it at a place. They
lie no farther off than the last of the first figures, or no farther than the one before where these are too few.
"""

_ALIKE_HU = 150
"""A place holds the holder if it is as dense as there, or as what lies behind: at its face, a voxel that holds some air
holds some skin instead."""

_STIFF_HU = -150
"""What is denser is a shell or a table; covers of foam and sheets, which give way, are fainter."""

_DEEPEST_MM = 6.0
"""No deeper than this: shells are as thick."""


def take(labels: np.ndarray, hu: np.ndarray, step: Step, factors: Factors) -> None:
    """Give to the equipment the faces behind the patient that were taken for the patient.

    Args:
        labels: (k, j, i) uint8, slices from the feet to the head, rows from front to back; is changed.
        hu: (k, j, i) the scan.
        step: mm along k, j, i.
        factors: voxels in a cell along k, j, i.
    """
    box = _contact(middle_voxels(labels, factors), np.multiply(step, factors)[::-1])
    if not box[0].stop:
        return
    inside, *voxels = (slice(one.start * n, one.stop * n) for one, n in zip(box, factors))
    # Slices without contact tell what the holder is.
    kind, value = labels[:, *voxels], hu[:, *voxels]
    if value.dtype.kind == "f":
        value = np.nan_to_num(value, nan=-1000.0)
    hard = (kind > PATIENT) & (value > _HARD_HU)
    beside = np.zeros(kind.shape, bool)
    beside[:, :-1] = (kind[:, :-1] == PATIENT) & hard[:, 1:]
    free = hard & ~beside.any(axis=1, keepdims=True)
    shifts = shifts_of(hard, step[0], step[1])
    known = np.broadcast_to(free.any(axis=1, keepdims=True), free.shape)  # where the lean moves out of the box it isn't
    lying = (shifted(one, -shifts) for one in (known, free, np.where(free, value, 0)))
    steady, mean = _known(*lying, np.arange(len(kind))[inside], step[0])
    kind, value, shifts = kind[inside], value[inside], shifts[inside]
    steady, mean = shifted(steady, shifts), shifted(mean, shifts)
    denser = np.maximum(mean, np.roll(mean, -1, axis=1))
    steady &= np.maximum(denser, np.roll(mean, 1, axis=1)) > _STIFF_HU
    # What is steep is the side of a holder, where an ear may share voxels with it.
    below = np.roll(steady | (kind > PATIENT), -1, axis=1)
    steady &= np.roll(below, 1, axis=2) & np.roll(below, -1, axis=2)
    face = steady & (kind == PATIENT) & (value > mean - _ALIKE_HU) & (value < denser + _ALIKE_HU)
    face[:, -1] = False
    k, j, i = np.nonzero(face)
    for _ in range(round(_DEEPEST_MM / step[1])):
        found = kind[k, j + 1, i] > PATIENT
        own, behind = (k[found], j[found], i[found]), (k[found], j[found] + 1, i[found])
        kind[own] = kind[behind]
        k, j, i = k[~found], j[~found], i[~found]


def _known(
    known: np.ndarray, free: np.ndarray, value: np.ndarray, slices: np.ndarray, step_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Of n slices (n, j, i) bool: where the holder is by the slices around, and its mean HU there.

    Args:
        known: (k, j, i) bool: columns in which the holder is free.
        free: (k, j, i) bool: the holder in these.
        value: (k, j, i) its HU, elsewhere 0.
        slices: (n,) which.
        step_mm: from slice to slice.
    """
    steady, mean = np.bool_(False), np.float32(_HARD_HU)
    for reach_mm in _AROUND_MM:
        number, shown, total = (_around(one, slices, round(reach_mm / step_mm)) for one in (known, free, value))
        enough = number * step_mm > _KNOWN_MM
        steady = np.where(enough, (shown > _SHARE * number) & (shown * step_mm > _KNOWN_MM), steady)
        mean = np.where(enough, np.where(shown > 0, total / np.maximum(shown, 1), _HARD_HU), mean)
    return steady, mean


def _contact(labels: np.ndarray, spacing: np.ndarray) -> tuple[slice, ...]:
    """The box of cells in which equipment lies right behind the patient."""
    beside = np.zeros(labels.shape, bool)
    beside[:, :-1] = (labels[:, :-1] == PATIENT) & (labels[:, 1:] > PATIENT)
    return bounding_box(beside, spacing, _DEEPEST_MM + 2 * spacing[1])


def _around(array: np.ndarray, slices: np.ndarray, reach: int) -> np.ndarray:
    """(n, j, i) float32: sums over each of n slices and so many before and after it."""
    return sums(array, np.maximum(slices - reach, 0), np.minimum(slices + reach + 1, len(array)))
