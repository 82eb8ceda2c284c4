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
    count, result = steps(step_mm, radius_mm), mask.copy()
    box = bounding_box(mask, margin_mm=count)
    near, inside = result[box], None if within is None else (within[box] | mask[box])
    for turn in range(count):
        near = widened(near, square=turn % 2 == 1)
        if inside is not None:
            near &= inside
    result[box] = near
    return result


def widened(mask: np.ndarray, square: bool = False) -> np.ndarray:
    """(k, j, i) mask, or numbers of which the highest counts, and the neighbours in the slice: four, or all eight."""
    wide = mask.copy()
    np.maximum(wide[:, :, 1:], mask[:, :, :-1], out=wide[:, :, 1:])
    np.maximum(wide[:, :, :-1], mask[:, :, 1:], out=wide[:, :, :-1])
    base = wide if square else mask
    result = wide.copy()
    np.maximum(result[:, 1:], base[:, :-1], out=result[:, 1:])
    np.maximum(result[:, :-1], base[:, 1:], out=result[:, :-1])
    return result


def shrink(mask: np.ndarray, step_mm: float, radius_mm: float) -> np.ndarray:
    """What lies deeper in a mask than a distance, in its slice; beyond the edge of the picture the mask goes on."""
    result, box = mask.copy(), bounding_box(mask, margin_mm=1)
    result[box] = ~grow(~mask[box], step_mm, radius_mm)
    return result


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


def distance(
    mask: np.ndarray, spacing: Sequence[float], reach_mm: float, where: np.ndarray | None = None
) -> np.ndarray:  # fmt: skip
    """(k, j, i) float32 mm from a mask, 0 inside; infinite where it may be farther than ``reach_mm``.

    Args:
        mask: (k, j, i) bool.
        spacing: mm along i, j, k.
        reach_mm: farther ones count as infinite, or as what they are.
        where: (k, j, i) bool: the places of which the distance is asked, the others have any; None for all.
    """
    result = np.full(mask.shape, np.inf, np.float32)
    box = bounding_box(mask, spacing, reach_mm)
    if where is not None:
        other = bounding_box(where, spacing, reach_mm)
        box = tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(box, other))
    if mask[box].size:
        image = sitk.GetImageFromArray(mask[box].astype(np.uint8))
        image.SetSpacing([float(step) for step in spacing])
        away = sitk.SignedMaurerDistanceMap(image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
        result[box] = np.maximum(sitk.GetArrayViewFromImage(away), 0)
    return result


def holes(mask: np.ndarray) -> np.ndarray:
    """What is not in a mask and, in its slice, enclosed by it."""
    result, box = np.zeros_like(mask), bounding_box(mask)
    if not mask[box].size:
        return result
    labels, count = numbered(~mask[box], IN_SLICE)
    closed = np.ones(count + 1, bool)
    for edge in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        closed[edge] = False
    closed[0] = False
    result[box] = closed[labels]
    return result


def reached(seeds: np.ndarray, within: np.ndarray, around: np.ndarray | None = None) -> np.ndarray:
    """The connected parts of ``within`` that hold a seed."""
    result, box = np.zeros_like(within), bounding_box(within)
    labels, count = numbered(within[box], around)
    hit = np.zeros(count + 1, bool)
    hit[labels[seeds[box]]] = True
    hit[0] = False
    result[box] = hit[labels]
    return result


def numbered(mask: np.ndarray, around: np.ndarray | None = None) -> tuple[np.ndarray, int]:
    """The connected parts of a mask: (k, j, i) int32 numbers, 0 outside, and how many there are.

    Args:
        mask: (k, j, i) bool.
        around: which neighbours belong together: ``IN_SLICE``, ``ALL_AROUND`` or None for the six with a common face.
    """
    if around is IN_SLICE or not mask.size:
        return ndimage.label(mask, around)
    search = sitk.ConnectedComponentImageFilter()  # in space it is twice as fast as SciPy's
    search.SetFullyConnected(around is ALL_AROUND)
    labels = search.Execute(sitk.GetImageFromArray(mask.view(np.uint8)))
    return sitk.GetArrayFromImage(labels).view(np.int32), search.GetObjectCount()
