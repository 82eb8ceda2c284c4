"""Where in a scan the chest lies, for programs that look for something in it and may be misled by the rest."""

from __future__ import annotations

from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume

from . import predictor
from .results import ScanLocation

HIGHEST, LOWEST = 0.12, 0.39
"""On the location scale: from the upper neck to about L3, 3 cm and more beyond where lungs reach, since locations of
single scans are off by as much."""


def range_of(location: ScanLocation) -> tuple[float, float] | None:
    """LPS z in mm of the lowest and the highest slice that can hold lung.

    Args:
        location: of a scan.

    Returns:
        None where the scan holds nothing else or nothing of the chest, and where there is any doubt about its location.
    """
    if location.refused is not None or location.flags:
        return None
    chest = (location.location > HIGHEST) & (location.location < LOWEST)
    if chest.all() or not chest.any():
        return None
    z_mm = location.z_mm[chest]
    return float(z_mm.min()), float(z_mm.max())


def find(volume: CTVolume) -> tuple[float, float] | None:
    """The same of a scan that is not located yet; None also where it can't be."""
    try:
        return range_of(predictor.locate(volume, engine="numpy"))
    except CTError:
        return None
