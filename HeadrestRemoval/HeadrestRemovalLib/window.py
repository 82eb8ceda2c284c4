"""Scans whose values were cut off at both ends of a window, as many prepared for machine learning are."""

from __future__ import annotations

import numpy as np
from CTVolumeLib.volume import CTVolume

AIR_HU = -1000
"""What takes the place of values that were cut off."""

LUNG_HU = -500
"""Where even lungs were cut off, the ribs around them look like things in air."""

_FLOOR_HU, _SHARE = (-970, -120), 0.05
"""Air is fainter than the former; where fat was cut off as well, the scan looks like none at all. In no whole scan has
so large a share the lowest value of all, since noise moves air up and down, but for padding, which is fainter.
"""

_SAMPLES = 64
"""So many along each axis tell."""


def samples(volume: CTVolume) -> np.ndarray:
    """(k, j, i) HU of so few voxels, evenly spread, that they are read at once; air where there is no value."""
    some = volume.array[tuple(slice(None, None, max(1, size // _SAMPLES)) for size in volume.array.shape)]
    return np.nan_to_num(some, nan=AIR_HU)


def floor_hu(volume: CTVolume) -> float | None:
    """The HU below which all values of a scan were cut off, so that air has this one; None where air is seen."""
    some = samples(volume)
    lowest = float(some.min())
    return lowest if _FLOOR_HU[0] < lowest < _FLOOR_HU[1] and np.mean(some <= lowest) > _SHARE else None


def with_air(volume: CTVolume) -> CTVolume:
    """The scan itself, or one with air where its values were cut off."""
    floor = floor_hu(volume)
    if floor is None:
        return volume
    return volume.with_array(np.where(volume.array <= floor, np.array(AIR_HU, volume.array.dtype), volume.array))
