"""The coarse grid on which lungs are found: cells of nearly 3 mm, of which a chest has one to two million."""

from __future__ import annotations

from CTVolumeLib.cells import Cells, means_of_blocks
from CTVolumeLib.volume import CTVolume

CELL_MM = 2.8
_RANGE_HU = (-1100, 500)


def cells_of(volume: CTVolume) -> Cells:
    """The scan on the grid, between -1100 and 500 HU.

    Args:
        volume: axial.
    """
    return means_of_blocks(volume, CELL_MM, _RANGE_HU)
