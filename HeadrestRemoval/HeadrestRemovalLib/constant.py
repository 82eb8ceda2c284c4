"""What is the same from slice to slice: equipment is, since shells and tables are drawn along the table; people aren't.

Tables may lean against the slices, as after a gantry tilt, so the lean is measured first.
"""

from __future__ import annotations

import numpy as np
from CTVolumeLib.boxes import bounding_box
from CTVolumeLib.cells import Cells
from numpy.lib.stride_tricks import sliding_window_view

from .shapes import grow

WINDOW_MM = 110.0
"""Over this length something has to stay the same; ears and fingers are shorter."""

SHORTEST_MM = 50.0
"""In shorter scans nothing can be told."""

SHARE = 0.6
"""In this share of the slices around it has to be there, as far as noise and gaps let one see it."""

_UNBROKEN_MM = 70.0
"""No ear is as long at the very same place: those of phantoms are for 55 mm."""

_LEANS = np.arange(-10, 11) / 20
"""Rows per slice, mm per mm, by which a table may lean; 0.5 is 27 degrees, and gantries tilt by 30 at most."""

_STRIPS = 8
"""The lean is that at which equipment lies in one place in each of so many strips from left to right: of a curved shell
the sides show in other rows than its middle, and often in other slices.
"""

_LEANING = 1.5
"""So much more of it lies in one place where it does lean; people and cloth lie better at some lean, but by less."""


def explained(mask: np.ndarray, cells: Cells) -> np.ndarray:
    """(k, j, i) bool: the part of a mask that is at the same place in most slices around."""
    return mask & (presence(mask, cells) > SHARE)


def presence(
    mask: np.ndarray, cells: Cells, beside: bool = True, hidden: np.ndarray | None = None
) -> np.ndarray:  # fmt: skip
    """(k, j, i) float32: in which share of the slices around there is some of the mask at a place.

    Args:
        mask: (k, j, i) bool.
        cells: for the spacing.
        beside: whether what is in a cell beside counts, too.
        hidden: (k, j, i) bool or None: places that tell nothing, since the patient is there; what is known of at least
            ``SHORTEST_MM`` counts.
    """
    count, result = len(mask), np.zeros(mask.shape, np.float32)
    window = max(3, round(WINDOW_MM / cells.spacing[2]))
    if count * cells.spacing[2] < SHORTEST_MM or not mask.any():
        return result
    shifts = shifts_of(mask, cells.spacing[2], cells.spacing[1])
    wide = grow(mask, cells.step_mm, cells.step_mm) if beside else mask
    _, rows, columns = bounding_box(wide)
    box = (slice(None), slice(None) if shifts.any() else rows, columns)
    wide = shifted(wide[box], -shifts)
    window = min(window, count)
    starts = np.clip(np.arange(count) - window // 2, 0, count - window)
    share = sums(wide, starts, starts + window)
    if hidden is None:
        share /= window
    else:
        known = window - sums(shifted(hidden[box], -shifts) & ~wide, starts, starts + window)
        share /= np.maximum(known, min(window, round(SHORTEST_MM / cells.spacing[2])))
    result[box] = shifted(share, shifts)
    return result


def unbroken(mask: np.ndarray, cells: Cells) -> np.ndarray:
    """(k, j, i) bool: the part of a mask that goes on at the very same place for longer than any ear."""
    length, so_far = np.zeros(mask.shape, np.int16), np.zeros(mask.shape[1:], np.int16)
    for k, plane in enumerate(mask):
        so_far = (so_far + 1) * plane
        length[k] = so_far
    for k in range(len(mask) - 2, -1, -1):
        length[k] = np.maximum(length[k], length[k + 1]) * mask[k]
    return length > _UNBROKEN_MM / cells.spacing[2]


def sums(array: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """(n, j, i) float32 sums over the slices from each of n starts to before each stop.

    Args:
        array: (k, j, i) bool or numbers.
        starts: (n,) ascending, as the stops are.
        stops: (n,)
    """
    result = np.empty((len(starts), *array.shape[1:]), np.float32)
    number = {"b": np.int16, "i": np.int32}.get(array.dtype.kind, np.float64)
    total, first, last = np.zeros(array.shape[1:], number), 0, 0
    for one, start, stop in zip(result, starts, stops):
        for k in range(last, stop):
            total += array[k]
        for k in range(first, start):
            total -= array[k]
        first, last = start, stop
        one[...] = total
    return result


def shifts_of(mask: np.ndarray, slice_mm: float, row_mm: float) -> np.ndarray:
    """(k,) rows by which the table moves back from the middle slice on: the lean that lays most of it in one place."""
    z = (np.arange(len(mask)) - len(mask) // 2) * slice_mm / row_mm
    if not mask.any():
        return np.zeros(len(mask), int)
    profile = _across(mask)
    most = int(np.rint(_LEANS.max() * np.abs(z).max()))
    moved = sliding_window_view(np.pad(profile, ((0, 0), (most, most), (0, 0))), profile.shape[1], axis=1)
    leans = np.rint(_LEANS[:, None] * z).astype(int)
    overlaps = [
        float((moved[np.arange(len(mask)), most + shifts].sum(axis=0).astype(float) ** 2).sum()) for shifts in leans
    ]
    best, upright = int(np.argmax(overlaps)), int(np.argmin(np.abs(_LEANS)))
    return leans[best if overlaps[best] > _LEANING * overlaps[upright] else upright]


def _across(mask: np.ndarray) -> np.ndarray:
    """(k, j, n) int32: sums of a mask over strips of columns."""
    filled = np.flatnonzero(mask.any(axis=(0, 1)))
    starts = filled[:: max(1, -(-len(filled) // _STRIPS))]
    return np.add.reduceat(mask, starts, axis=2, dtype=np.int32)


def shifted(array: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Each slice (or profile) moved by some rows; what comes in is 0."""
    if not shifts.any():
        return array
    result = np.zeros_like(array)
    for k, shift in enumerate(shifts):
        size = array.shape[1]
        if abs(shift) < size:
            source = slice(max(0, -shift), min(size, size - shift))
            result[k, source.start + shift : source.stop + shift] = array[k, source]
    return result
