"""The scan without equipment: what is labelled as such becomes air, all else stays as it is, bit for bit."""

from __future__ import annotations

import numpy as np
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume

from . import window
from .labels import BACKGROUND, EQUIPMENT

AIR_HU = -1000.0
_FEW = 100
_AIR_RANGE_HU = (-1024.0, -900.0)


def remove(volume: CTVolume, labels: np.ndarray, fill: float | str = AIR_HU) -> CTVolume:
    """Fill the equipment of a scan with air.

    Args:
        volume: the scan.
        labels: (k, j, i) as from ``equipment.find``, on the volume's own grid.
        fill: HU of what is removed, or "air" for the air that the scan shows around the patient.

    Returns:
        A volume with the same geometry and type of numbers, whose other voxels are bit-identical; the scan is not
        changed.

    Raises:
        CTError: ``bad_labels``: they are not on the volume's grid; ``bad_fill``: no HU that fits the scan's numbers.
    """
    if labels.shape != volume.array.shape:
        raise CTError(
            "bad_labels",
            f"The labels have the shape {labels.shape}, the scan {volume.array.shape}.",
            "Use labels that were made from this scan.",
        )
    value = fill_value(volume, labels, fill)
    array = volume.array.copy()
    array[np.isin(labels, EQUIPMENT)] = value
    return volume.with_array(array)


def fill_value(volume: CTVolume, labels: np.ndarray, fill: float | str = AIR_HU) -> float:
    """HU that ``remove`` fills equipment with; arguments and errors as there."""
    return _air_of(volume, labels) if fill == "air" else _number(fill, volume.array.dtype)


def _air_of(volume: CTVolume, labels: np.ndarray) -> float:
    """The median HU of the air around the patient, what it was cut off at, or -1000 where there is next to none."""
    cut_hu = window.floor_hu(volume)
    if cut_hu is not None:
        return cut_hu
    low, high = _AIR_RANGE_HU
    background = volume.array[labels == BACKGROUND]
    # Padding outside a round field of view is no air, though it often has one of its values.
    air = background[(background > low) & (background < high)]
    value = float(np.median(air)) if air.size >= _FEW else AIR_HU
    return round(value) if volume.array.dtype.kind in "iu" else value


def _number(fill: float | str, dtype: np.dtype) -> float:
    try:
        value = float(fill)
    except (TypeError, ValueError):
        value = float("nan")
    whole = dtype.kind in "iu"
    fits = np.isfinite(value) and (not whole or (value == round(value) and _holds(dtype, value)))
    if not fits:
        raise CTError(
            "bad_fill",
            f"What is removed can't be filled with {fill!r} in a scan of {dtype} numbers.",
            'Choose HU such as -1000, or "air".',
        )
    return value


def _holds(dtype: np.dtype, value: float) -> bool:
    limits = np.iinfo(dtype)
    return limits.min <= value <= limits.max
