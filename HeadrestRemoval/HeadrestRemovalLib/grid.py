"""The coarse grid on which patient and equipment are told apart: cells of about 2 mm."""

from __future__ import annotations

from CTVolumeLib.cells import Cells, means_of_blocks
from CTVolumeLib.volume import CTVolume

CELL_MM = 2.0
_RANGE_HU = (-1100, 1500)


def cells_of(volume: CTVolume) -> Cells:
    """The scan on the grid, between -1100 and 1500 HU.

    Args:
        volume: axial.
    """
    return means_of_blocks(volume, CELL_MM, _RANGE_HU)
