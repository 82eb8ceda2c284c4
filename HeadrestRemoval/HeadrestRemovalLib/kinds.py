"""Headrest, table or something else, by where it lies and how far it goes."""

from __future__ import annotations

import numpy as np

from .body import Body
from .components import components
from .grid import Cells
from .labels import HEADREST, OTHER, TABLE
from .shapes import ALL_AROUND


def tell_apart(mask: np.ndarray, body: Body, cells: Cells) -> np.ndarray:
    """(k, j, i) uint8: ``HEADREST``, ``TABLE`` or ``OTHER`` where there is equipment, else 0.

    Args:
        mask: (k, j, i) bool: equipment.
        body: the patient.
        cells: the scan.
    """
    result = np.zeros(mask.shape, np.uint8)
    parts = components(mask, cells, ALL_AROUND)
    for number, box in enumerate(parts.boxes, start=1):
        part = parts.labels[box] == number
        result[box][part] = _kind(part, box, body, cells)
    return result


def _kind(part: np.ndarray, box: tuple[slice, slice, slice], body: Body, cells: Cells) -> int:
    in_head = part[body.head[box[0]]].sum() / part.sum()
    if in_head > 0.6:
        return HEADREST
    wide = (box[2].stop - box[2].start) * cells.spacing[0]
    return TABLE if wide > 150 else OTHER
