"""Where patient and equipment touch, and over what area."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
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
    patient, equipment = labels == PATIENT, labels > PATIENT
    box = tuple(_both(patient, equipment, axis) for axis in range(3))
    patient, equipment = patient[box], np.isin(np.arange(max(EQUIPMENT) + 1), values)[labels[box]]
    if above_hu is not None:
        dense = volume.array[box] > above_hu
        patient, equipment = patient & dense, equipment & dense
    steps = (slice_step(volume), volume.spacing[1], volume.spacing[0])
    areas = []
    for axis in range(3):
        first, second = (np.moveaxis(mask, axis, 0) for mask in (patient, equipment))
        faces = np.count_nonzero(first[:-1] & second[1:]) + np.count_nonzero(second[:-1] & first[1:])
        areas.append(faces * steps[(axis + 1) % 3] * steps[(axis + 2) % 3] / 100)
    return float(np.hypot(np.hypot(areas[0], areas[1]), areas[2]))


def _both(one: np.ndarray, other: np.ndarray, axis: int) -> slice:
    """Where along an axis both masks are, and one more on each side: nothing of them touches elsewhere."""
    across = tuple(set(range(3)) - {axis})
    places = [np.flatnonzero(mask.any(axis=across)) for mask in (one, other)]
    if not all(place.size for place in places):
        return slice(0, 0)
    return slice(max(max(place[0] for place in places) - 1, 0), min(place[-1] for place in places) + 2)
