"""Sheared stacks back into a box: slices of a tilted gantry are shifted in their plane, not across it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from .volume import CTVolume

_AIR_HU = -1024


def upright(volume: CTVolume) -> CTVolume:
    """The same scan without shear: each slice is shifted in its plane, so that the origins lie along the normal.

    The pictures grow so that nothing is cut off; new pixels are air. Slices keep their places, even uneven ones, and
    stay inclined by the tilt: turning them upright would mix slices, which is resampling.

    Args:
        volume: any volume; one that is not sheared is returned as it is.
    """
    if volume.slice_origins is None:
        return volume
    axes = volume.axes()
    origins = volume.origins()
    offsets = (origins - origins[0]) @ axes[:, 2]
    lateral = origins - origins[0] - offsets[:, None] * axes[:, 2]
    shift = np.stack([lateral @ axes[:, 1] / volume.spacing[1], lateral @ axes[:, 0] / volume.spacing[0]], axis=1)
    first = np.floor(shift.min(axis=0) + 1e-6)  # (j, i) of the new corner, in pixels of the first slice
    grown = np.ceil((shift - first).max(axis=0) - 1e-6).astype(int)
    count, rows, columns = volume.array.shape
    array = np.full((count, rows + grown[0], columns + grown[1]), _AIR_HU, volume.array.dtype)
    for k in range(count):
        padded = np.pad(volume.array[k], ((0, grown[0]), (0, grown[1])), constant_values=_AIR_HU).astype(np.float32)
        moved = ndimage.shift(padded, shift[k] - first, order=1, mode="constant", cval=_AIR_HU)
        array[k] = np.rint(moved) if array.dtype.kind == "i" else moved
    origin = origins[0] + axes[:, 1] * first[0] * volume.spacing[1] + axes[:, 0] * first[1] * volume.spacing[0]
    even = count < 2 or np.abs(np.diff(offsets) - volume.spacing[2]).max() < 0.1 * volume.spacing[2]
    notes = tuple(volume.meta.get("warnings", ()))
    notes = (*notes, ("unsheared", "The slices were shifted in their plane to undo the gantry tilt."))
    return replace(
        volume,
        array=array,
        origin=tuple(float(value) for value in origin),
        positions=None if even else offsets,
        slice_origins=None,
        meta={**volume.meta, "warnings": notes},
    )
