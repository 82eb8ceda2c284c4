"""Growing and shrinking in slices by millimetres, distances, and what belongs together in a slice or in space.

Masks are (k, j, i) bool. In a slice, squares and crosses by turns make octagons, which is near enough to discs, and is
done by shifting whole arrays, many times as fast as general morphology.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from CTVolumeLib.boxes import bounding_box
from scipy import ndimage

IN_SLICE = np.zeros((3, 3, 3), bool)
IN_SLICE[1] = ndimage.generate_binary_structure(2, 1)
"""Neighbours in the same slice only."""

ALL_AROUND = np.ones((3, 3, 3), bool)
"""All 26 neighbours."""


def grow(mask: np.ndarray, step_mm: float, radius_mm: float, within: np.ndarray | None = None) -> np.ndarray:
    """What is within a distance of a mask in its slice; given ``within``, only as far as one gets inside that.

    Args:
        mask: (k, j, i) bool.
        step_mm: size of a cell in its slice.
        radius_mm: by whole cells, at least one.
        within: (k, j, i) bool or None.
    """
    result = mask.copy()
    for turn in range(steps(step_mm, radius_mm)):
        result = _spread(result, square=turn % 2 == 1)
        if within is not None:
            result &= within | mask
    return result


def shrink(mask: np.ndarray, step_mm: float, radius_mm: float) -> np.ndarray:
    """What lies deeper in a mask than a distance, in its slice; beyond the edge of the picture the mask goes on."""
    return ~grow(~mask, step_mm, radius_mm)


def steps(step_mm: float, radius_mm: float) -> int:
    """Cells in a radius, at least one."""
    return max(1, round(radius_mm / step_mm))


def grow_along(mask: np.ndarray, count: int) -> np.ndarray:
    """What is in a mask in one of the slices up to ``count`` before or after."""
    result = mask.copy()
    for _ in range(count):
        wider = result.copy()
        wider[1:] |= result[:-1]
        wider[:-1] |= result[1:]
        result = wider
    return result


def distance(mask: np.ndarray, spacing: Sequence[float], reach_mm: float) -> np.ndarray:
    """(k, j, i) float32 mm from a mask, 0 inside; infinite where it may be farther than ``reach_mm``."""
    result = np.full(mask.shape, np.inf, np.float32)
    box = bounding_box(mask, spacing, reach_mm)
    if mask[box].size:
        image = sitk.GetImageFromArray(mask[box].astype(np.uint8))
        image.SetSpacing([float(step) for step in spacing])
        away = sitk.SignedMaurerDistanceMap(image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
        result[box] = np.maximum(sitk.GetArrayViewFromImage(away), 0)
    return result


def holes(mask: np.ndarray) -> np.ndarray:
    """What is not in a mask and, in its slice, enclosed by it."""
    labels, count = ndimage.label(~mask, IN_SLICE)
    open_ = np.zeros(count + 1, bool)
    for edge in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        open_[np.unique(edge)] = True
    open_[0] = True
    return ~open_[labels]


def reached(seeds: np.ndarray, within: np.ndarray, around: np.ndarray | None = None) -> np.ndarray:
    """The connected parts of ``within`` that hold a seed."""
    labels, count = ndimage.label(within, around)
    hit = np.zeros(count + 1, bool)
    hit[np.unique(labels[seeds & within])] = True
    hit[0] = False
    return hit[labels]


def _spread(mask: np.ndarray, square: bool) -> np.ndarray:
    """A mask and its neighbours in the slice: four, or all eight."""
    wide = mask.copy()
    wide[:, :, 1:] |= mask[:, :, :-1]
    wide[:, :, :-1] |= mask[:, :, 1:]
    base = wide if square else mask
    result = wide.copy()
    result[:, 1:] |= base[:, :-1]
    result[:, :-1] |= base[:, 1:]
    return result
