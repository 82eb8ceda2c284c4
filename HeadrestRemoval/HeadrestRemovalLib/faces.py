"""Faces of holders against which the patient lies: a stiff holder is where it is in the slices around.

Where the skin is pressed on plastic or carbon, the two are as dense, and the holder's face is taken for the patient.
But holders and tables are the same from slice to slice: in those in which air parts it from the skin, the face shows.
"""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class Holder:
    """What is known of a stiff holder where the patient lies on it, from slices in which it is free.

    Attributes:
        box: ranges of k, j, i of the voxels.
        steady: (k, j, i) bool in the box: where the holder is.
        mean: (k, j, i) its mean HU.
    """

    box: tuple[slice, slice, slice]
    steady: np.ndarray
    mean: np.ndarray


def find(labels: np.ndarray, hu: np.ndarray, step: Step, factors: Factors) -> Holder | None:
    """What the slices around tell of the holder; arguments as of ``take``. None where nothing lies on one."""
    box = _contact(middle_voxels(labels, factors), np.multiply(step, factors)[::-1])
    if not box[0].stop:
        return None
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
    known = free.any(axis=1, keepdims=True)
    if shifts.any():
        known = np.broadcast_to(known, free.shape)  # where the lean moves out of the box it isn't
    lying = (shifted(one, -shifts) if one.shape[1] > 1 else one for one in (known, free, np.where(free, value, 0)))
    steady, mean = _known(*lying, np.arange(len(kind))[inside], step[0])
    shifts = shifts[inside]
    return Holder((inside, *voxels), shifted(steady, shifts), shifted(mean, shifts))


def take(
    labels: np.ndarray, hu: np.ndarray, step: Step, factors: Factors, holder: Holder | None = None
) -> None:  # fmt: skip
    """Give to the equipment the faces behind the patient that were taken for the patient.

    Args:
        labels: (k, j, i) uint8, slices from the feet to the head, rows from front to back; is changed.
        hu: (k, j, i) the scan.
        step: mm along k, j, i.
        factors: voxels in a cell along k, j, i.
        holder: what is known of it; None: it is looked for.
    """
    holder = holder or find(labels, hu, step, factors)
    if holder is None:
        return
    kind, value, mean = labels[holder.box], hu[holder.box], holder.mean
    if value.dtype.kind == "f":
        value = np.nan_to_num(value, nan=-1000.0)
    denser = np.maximum(mean, np.roll(mean, -1, axis=1))
    steady = holder.steady & (np.maximum(denser, np.roll(mean, 1, axis=1)) > _STIFF_HU)
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
        known: (k, j, i) or (k, 1, i) bool: columns in which the holder is free.
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
