"""Where patient and equipment touch, and over what area."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from CTVolumeLib.boxes import bounding_box
from CTVolumeLib.cells import slice_step
from CTVolumeLib.volume import CTVolume

from .labels import EQUIPMENT, PATIENT


def contact_cm2(
    volume: CTVolume, labels: np.ndarray, values: Sequence[int] = EQUIPMENT, above_hu: float | None = None
) -> float:
    """Area over which voxels of the patient and of equipment are neighbours.

    Each face of a voxel counts with its component along the surface: faces across one axis are summed up, and the
    three sums put together as the sides of a box are, so that a slanting surface is not counted as its stairs.

    Args:
        volume: for its spacing.
        labels: (k, j, i) numbers as in ``labels``.
        values: which equipment.
        above_hu: count only where both are denser, so that nothing but the shape tells them apart; None for all.
    """
    # Where both are, and one more voxel on each side: elsewhere nothing of them touches.
    box = bounding_box(labels > PATIENT, margin_mm=1.0)
    labels, hu = labels[box], volume.array[box]
    box = bounding_box(labels == PATIENT, margin_mm=1.0)
    labels, hu = labels[box], hu[box]
    patient, equipment = labels == PATIENT, np.logical_or.reduce([labels == value for value in values])
    if above_hu is not None:
        dense = hu > above_hu
        patient, equipment = patient & dense, equipment & dense
    steps = (slice_step(volume), volume.spacing[1], volume.spacing[0])
    areas = []
    for axis in range(3):
        first, second = (np.moveaxis(mask, axis, 0) for mask in (patient, equipment))
        faces = np.count_nonzero(first[:-1] & second[1:]) + np.count_nonzero(second[:-1] & first[1:])
        areas.append(faces * steps[(axis + 1) % 3] * steps[(axis + 2) % 3] / 100)
    return float(np.hypot(np.hypot(areas[0], areas[1]), areas[2]))
