"""What is the same from slice to slice: equipment is, since shells and tables are drawn along the table; people aren't.

Tables may lean against the slices, as after a gantry tilt, so the lean is measured first.
"""

from __future__ import annotations

import numpy as np
from CTVolumeLib.cells import Cells

from .shapes import grow

WINDOW_MM = 110.0
"""Over this length something has to stay the same; ears and fingers are shorter."""

SHORTEST_MM = 50.0
"""In shorter scans nothing can be told."""

SHARE = 0.6
"""In this share of the slices around it has to be there, as far as noise and gaps let one see it."""

_LEANS = np.arange(-10, 11) / 20
"""Rows per slice, mm per mm, by which a table may lean; 0.5 is 27 degrees, and gantries tilt by 30 at most."""


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
    count = len(mask)
    window = max(3, round(WINDOW_MM / cells.spacing[2]))
    if count * cells.spacing[2] < SHORTEST_MM or not mask.any():
        return np.zeros(mask.shape, np.float32)
    shifts = shifts_of(mask, cells.spacing[2], cells.spacing[1])
    wide = shifted(grow(mask, cells.step_mm, cells.step_mm) if beside else mask, -shifts)
    window = min(window, count)
    starts = np.clip(np.arange(count) - window // 2, 0, count - window)
    share = _sums(wide, starts, window)
    if hidden is None:
        share /= window
    else:
        known = window - _sums(shifted(hidden, -shifts) & ~wide, starts, window)
        share /= np.maximum(known, min(window, round(SHORTEST_MM / cells.spacing[2])))
    return shifted(share, shifts)


def _sums(mask: np.ndarray, starts: np.ndarray, window: int) -> np.ndarray:
    """(k, j, i) float32: in how many of the slices from each start on there is some of a mask at a place."""
    sums = np.empty(mask.shape, np.float32)
    total, first = mask[:window].sum(axis=0, dtype=np.int16), 0
    for k, start in enumerate(starts):
        for leaving in range(first, start):
            total += mask[leaving + window]
            total -= mask[leaving]
        first = start
        sums[k] = total
    return sums


def shifts_of(mask: np.ndarray, slice_mm: float, row_mm: float) -> np.ndarray:
    """(k,) rows by which the table moves back from the middle slice on: the lean that lays most of it in one place."""
    z = (np.arange(len(mask)) - len(mask) // 2) * slice_mm / row_mm
    best, found = -1.0, np.zeros(len(mask), int)
    profile = mask.sum(axis=2, dtype=np.int32)  # rows suffice: tables lean in the plane of k and j
    for lean in sorted(_LEANS, key=abs):
        shifts = np.rint(lean * z).astype(int)
        overlap = float((shifted(profile, -shifts).sum(axis=0).astype(float) ** 2).sum())
        if overlap > best * 1.02:
            best, found = overlap, shifts
    return found


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
