"""The scan on a grid of even steps in which its topology is judged, and the way back to its own voxels."""

from __future__ import annotations

import numpy as np
from CTVolumeLib.volume import CTVolume


def slice_step(volume: CTVolume) -> float:
    """The median distance of neighbouring slices in mm, along their normal."""
    if volume.array.shape[0] < 2 or (volume.positions is None and volume.slice_origins is None):
        return float(volume.spacing[2])
    return float(np.median(np.abs(np.diff(volume.origins() @ volume.axes()[:, 2]))))
