"""Chests whose lungs are known exactly, and how well lungs were found in them."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
from CTVolumeLib import phantom
from CTVolumeLib.phantom import Phantom
from CTVolumeLib.volume import CTVolume
from LungSegmentLib.lungs import AIRWAY, LEFT, RIGHT

SMALL = (2.5, 2.5, 5.0)
CHEST_Z_MM = (-580.0, -300.0)
"""From below the lungs to above them, in a phantom of size 1."""


@functools.cache
def chest(**parameters: object) -> Phantom:
    """A phantom's chest; the same one is rendered once and shared, so don't write to it."""
    defaults = {"spacing": SMALL, "field_mm": 420.0, "z_range": CHEST_Z_MM}
    return phantom.make(phantom.PhantomParameters(**defaults | parameters))


def dices(labels: np.ndarray, made: Phantom) -> tuple[float, float]:
    """Dice of the left and of the right lung."""
    return dice(labels == LEFT, made.masks["left lung"]), dice(labels == RIGHT, made.masks["right lung"])


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """2 |A and B| / (|A| + |B|)."""
    return float(2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other)))


def swapped(labels: np.ndarray, made: Phantom) -> float:
    """Share of the lungs' voxels that have the other side's label."""
    left, right = made.masks["left lung"], made.masks["right lung"]
    wrong = np.count_nonzero((labels == LEFT) & right) + np.count_nonzero((labels == RIGHT) & left)
    return wrong / np.count_nonzero(left | right)


def airway_in_lung(labels: np.ndarray, made: Phantom, from_middle_mm: float = np.inf) -> float:
    """Share of trachea and main bronchi, within a distance to both sides, that is labelled as lung."""
    x = made.volume.origin[0] + made.volume.spacing[0] * np.arange(labels.shape[2]) - made.parameters.offset_mm[0]
    airway = made.masks["airway"] & (np.abs(x) < from_middle_mm)
    return np.count_nonzero(airway & np.isin(labels, (LEFT, RIGHT))) / np.count_nonzero(airway)


def true_labels(made: Phantom) -> np.ndarray:
    """(k, j, i) uint8 as ``lungs.segment`` would give them at best."""
    labels = np.zeros(made.volume.array.shape, np.uint8)
    for value, name in ((LEFT, "left lung"), (RIGHT, "right lung"), (AIRWAY, "airway")):
        labels[made.masks[name]] = value
    return labels


def stored(volume: CTVolume, axes: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> CTVolume:
    """The same scan stored otherwise: array axes in another order and direction, with a header that tells so.

    Args:
        volume: any.
        axes: which of the old array axes (0 is k) the new axes k, j, i are.
        flips: which new array axes run the other way.
    """
    directions = volume.axes()[:, ::-1][:, axes]  # columns for the new k, j, i
    spacing = [volume.spacing[2 - axis] for axis in axes]
    array = volume.array.transpose(axes)
    origin = np.asarray(volume.origin, dtype=float)
    for axis, flip in enumerate(flips):
        if flip:
            origin = origin + directions[:, axis] * spacing[axis] * (array.shape[axis] - 1)
            directions[:, axis] *= -1
            array = np.flip(array, axis)
    return replace(
        volume,
        array=array,
        spacing=tuple(spacing[::-1]),
        origin=tuple(float(value) for value in origin),
        direction=tuple(float(value) for value in directions[:, ::-1].ravel()),
    )


def restored(labels: np.ndarray, axes: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> np.ndarray:
    """Labels of a volume made by ``stored`` in the first volume's order."""
    back = np.flip(labels, [axis for axis, flip in enumerate(flips) if flip])
    return back.transpose(np.argsort(axes))
