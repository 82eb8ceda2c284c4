"""The round field of view: beyond a circle the picture is padding, wherever the picture was cut out of it."""

from __future__ import annotations

import numpy as np
from CTVolumeLib.cells import Cells
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

_EDGE_CELLS = 2
"""What is as near to the edge of the picture may be cut by it."""

_ALIKE_HU = 5
"""What is no denser than the faintest by this is padding."""

_RIM_CELLS, _RIM_SHARE = 2, 0.15
"""Inside the rim of a round field there is air or more all around; around a cropped patient but for an elbow or two."""

_AIR_HU, _AIR_SHARE = -965, 0.03
"""Emphysema apart, lungs are denser on average; so much may be the airways and the bowel."""

_OFF_CELLS, _CORNERS, _QUADRANTS = 1.0, 12, 3
"""No corner of the outline is farther from the circle than the first, and there are so many, in so many quadrants.

Outlines of patients are off by 2.4 cells or more, but for a chest or a forehead alone.
"""


def outside(cells: Cells) -> np.ndarray:
    """(j, i) bool: cells outside a circle beyond which all is alike; none where there is no such circle."""
    used = (cells.hu > int(cells.hu.min()) + _ALIKE_HU).any(axis=0)
    size = np.array(cells.spacing[1::-1])
    places = np.stack(np.indices(used.shape), axis=-1) * size
    centre = _centre(used, size, cells.step_mm)
    middle = (np.array(used.shape) - 1) / 2 * size
    away = np.hypot(*np.moveaxis(places - (middle if centre is None else centre), -1, 0))
    radius = away[used].max(initial=0.0)
    padding = away > radius
    # Where no circle is seen, all four corners and enough of what is just inside, or it is no round field.
    corners = centre is not None or padding[[0, 0, -1, -1], [0, -1, 0, -1]].all()
    rim = ~padding & (away > radius - _RIM_CELLS * cells.step_mm)
    return padding if corners and np.mean(used[rim]) > _RIM_SHARE else np.zeros_like(padding)


def is_within(cells: Cells, padding: np.ndarray) -> bool:
    """Whether the picture lies within the patient: hardly any air is seen along its edge, as lungs are denser.

    Args:
        cells: the scan.
        padding: (j, i) bool, from ``outside``.
    """
    rim = near_edge(padding) & ~ndimage.binary_dilation(padding)
    return bool(np.mean(cells.hu[:, rim] < _AIR_HU) < _AIR_SHARE)


def near_edge(padding: np.ndarray) -> np.ndarray:
    """(j, i) bool: cells outside a round field and those next to its edge or to a side of the picture.

    Args:
        padding: (j, i) bool, from ``outside``.
    """
    edge = padding.copy()
    edge[[0, -1]] = edge[:, [0, -1]] = True
    return ndimage.binary_dilation(edge, iterations=_EDGE_CELLS)


def _centre(used: np.ndarray, size: np.ndarray, step_mm: float) -> np.ndarray | None:
    """(j, i) mm of the circle that what is used lies in; None where it lies in none.

    Args:
        used: (j, i) bool.
        size: mm of a cell along j and i.
        step_mm: their mean.
    """
    rows = np.flatnonzero(used.any(axis=1))
    first, last = used[rows].argmax(axis=1), used.shape[1] - 1 - used[rows, ::-1].argmax(axis=1)
    ends = np.concatenate([np.stack([rows, one], axis=1) for one in (first, last)])
    if len(ends) < _CORNERS:
        return None
    try:
        outline = ends[ConvexHull(ends).vertices]
    except QhullError:  # all in one line
        return None
    # Where the picture ends it says nothing.
    outline = outline[(outline > 0).all(axis=1) & (outline < np.array(used.shape) - 1).all(axis=1)] * size
    if len(outline) < _CORNERS:
        return None
    # Least squares of |p|^2 = 2 c p + (r^2 - |c|^2), which is linear in c.
    (*centre, rest), *_ = np.linalg.lstsq(
        np.column_stack([2 * outline, np.ones(len(outline))]), (outline**2).sum(axis=1), rcond=None
    )
    radius = np.sqrt(max(rest + np.dot(centre, centre), 0))
    off = np.abs(np.hypot(*(outline - centre).T) - radius)
    quadrants = len(np.unique(outline > centre, axis=0))
    return np.array(centre) if off.max() < _OFF_CELLS * step_mm and quadrants >= _QUADRANTS else None
