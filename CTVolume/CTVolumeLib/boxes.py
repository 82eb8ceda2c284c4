"""The part of a grid that holds a mask: what is done there alone takes less time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def bounding_box(
    mask: np.ndarray, spacing: Sequence[float] = (1.0, 1.0, 1.0), margin_mm: float = 0.0
) -> tuple[slice, ...]:  # fmt: skip
    """Ranges along each axis that hold a mask and a margin, inside the grid; empty ones where the mask is.

    Args:
        mask: (k, j, i) or (j, i) bool.
        spacing: mm along i, j and k.
        margin_mm: rounded up to whole cells.
    """
    ranges, rest = [], mask
    for step in spacing[mask.ndim - 1 :: -1]:
        places = np.flatnonzero(rest.any(axis=tuple(range(1, rest.ndim))))
        if not places.size:
            return (slice(0, 0),) * mask.ndim
        margin = int(np.ceil(margin_mm / step))
        ranges.append(slice(max(int(places[0]) - margin, 0), min(int(places[-1]) + 1 + margin, len(rest))))
        rest = rest.any(axis=0)
    return tuple(ranges)
