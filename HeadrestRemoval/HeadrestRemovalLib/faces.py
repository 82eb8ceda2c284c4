"""Faces of holders against which the patient lies: a stiff holder is where it is in the slices around.

Where the skin is pressed on plastic or carbon, the two are as dense, and the holder's face is taken for the patient.
But holders and tables are the same from slice to slice: in those in which air parts it from the skin, the face shows.
"""

from __future__ import annotations

import numpy as np
from CTVolumeLib.boxes import bounding_box

from .constant import WINDOW_MM, shifted, shifts_of, sums
from .grid import Factors, Step, middle_voxels
from .labels import PATIENT

_HARD_HU = -500
"""Half-way between air and plastic: what is fainter is foam, which gives way, or the blurred face itself."""

_KNOWN_MM, _SHARE = 25.0, 0.8
"""Of so many mm of slices in which the holder is free, that share has to show it at a place."""

_ALIKE_HU = 150
"""A place holds the holder if it is as dense as there, or as what lies behind: at its face, a voxel that holds some air
holds some skin instead."""

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
    around = np.arange(len(kind))[inside], round(WINDOW_MM / 2 / step[0])
    slices, shown, total = (_around(shifted(one, -shifts), *around) for one in (known, free, np.where(free, value, 0)))
    kind, value, hard, shifts = kind[inside], value[inside], hard[inside], shifts[inside]
    mean = shifted(total / np.maximum(shown, 1), shifts)
    steady = shifted((shown > _SHARE * slices) & (shown * step[0] > _KNOWN_MM), shifts)
    # What is steep is the side of a holder, where an ear may share voxels with it.
    below = np.roll(steady, -1, axis=1)
    steady &= np.roll(below, 1, axis=2) & np.roll(below, -1, axis=2)
    denser = np.maximum(mean, np.roll(mean, -1, axis=1))
    face = steady & (kind == PATIENT) & (value > mean - _ALIKE_HU) & (value < denser + _ALIKE_HU)
    face[:, -1] = False
    k, j, i = np.nonzero(face)
    for _ in range(round(_DEEPEST_MM / step[1])):
        found = hard[k, j + 1, i]
        own, behind = (k[found], j[found], i[found]), (k[found], j[found] + 1, i[found])
        kind[own], hard[own] = kind[behind], True
        k, j, i = k[~found], j[~found], i[~found]


def _contact(labels: np.ndarray, spacing: np.ndarray) -> tuple[slice, ...]:
    """The box of cells in which equipment lies right behind the patient."""
    beside = np.zeros(labels.shape, bool)
    beside[:, :-1] = (labels[:, :-1] == PATIENT) & (labels[:, 1:] > PATIENT)
    return bounding_box(beside, spacing, _DEEPEST_MM + 2 * spacing[1])


def _around(array: np.ndarray, slices: np.ndarray, reach: int) -> np.ndarray:
    """(n, j, i) float32: sums over each of n slices and so many before and after it."""
    return sums(array, np.maximum(slices - reach, 0), np.minimum(slices + reach + 1, len(array)))
