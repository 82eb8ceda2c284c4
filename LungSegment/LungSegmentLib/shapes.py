"""Morphology in millimetres on grids whose cells are not cubes, and what belongs together in a slice or in space.

Distances come from SimpleITK's exact Euclidean map (Maurer et al., IEEE TPAMI 25:265, 2003), so that the same ball is
meant whatever the spacing. Masks are (k, j, i) bool, spacings are mm along i, j, k.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

IN_SLICE = np.zeros((3, 3, 3), bool)
IN_SLICE[1] = ndimage.generate_binary_structure(2, 1)
"""Neighbours in the same slice only."""


def distance(mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """(k, j, i) float32 mm to the surface of a mask: negative inside, positive outside."""
    image = image_of(mask.astype(np.uint8), spacing)
    return sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
    )


def dilate(mask: np.ndarray, spacing: Sequence[float], radius_mm: float) -> np.ndarray:
    """All within a distance of a mask."""
    return _in_its_box(mask, spacing, radius_mm, lambda away: away <= radius_mm)


def erode(mask: np.ndarray, spacing: Sequence[float], radius_mm: float) -> np.ndarray:
    """What is deeper in a mask than a distance; what touches the edge of the grid is not eroded from there."""
    return _in_its_box(mask, spacing, min(spacing), lambda away: away < -radius_mm)


def close(mask: np.ndarray, spacing: Sequence[float], radius_mm: float) -> np.ndarray:
    """A mask with its notches and gaps up to twice the radius filled; beyond the end slices it is taken to go on."""
    if not mask.any():
        return mask
    box = bounding_box(mask, spacing, radius_mm)
    inner = mask[box]
    ends, sides = (int(np.ceil(radius_mm / step)) + 1 for step in (spacing[2], min(spacing[:2])))
    padded = np.pad(
        np.pad(inner, ((ends, ends), (0, 0), (0, 0)), mode="edge"), ((0, 0), (sides, sides), (sides, sides))
    )
    closed = distance(~dilate(padded, spacing, radius_mm), spacing) > radius_mm
    result = mask.copy()
    result[box] |= closed[ends:-ends, sides:-sides, sides:-sides]
    return result


def fill(mask: np.ndarray, spacing: Sequence[float], largest_hole_mm2: float) -> np.ndarray:
    """A mask without hollows, and without holes in slices that are not larger than a limit.

    Larger holes in a slice are not in the mask: the top of the diaphragm is such a hole in the base of a lung.
    """
    if not mask.any():
        return mask
    filled = ndimage.binary_fill_holes(mask)
    holes, count = ndimage.label(~filled, IN_SLICE)
    area = np.bincount(holes.ravel(), minlength=count + 1) * spacing[0] * spacing[1]
    small = area <= largest_hole_mm2
    small[0] = False
    return filled | small[holes]


def enclosed_in_slices(mask: np.ndarray) -> np.ndarray:
    """The parts of a mask that, in their slice, don't reach the edge of the picture."""
    labels, count = ndimage.label(mask, IN_SLICE)
    reaches = np.zeros(count + 1, bool)
    for edge in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        reaches[np.unique(edge)] = True
    reaches[0] = True
    return ~reaches[labels]


def largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a mask."""
    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax()


def bounding_box(mask: np.ndarray, spacing: Sequence[float], margin_mm: float) -> tuple[slice, slice, slice]:
    """Ranges of k, j, i that hold a mask and a margin, inside the grid."""
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    margins = [int(np.ceil(margin_mm / step)) for step in spacing[::-1]]
    return tuple(
        slice(max(part.start - margin, 0), min(part.stop + margin, size))
        for part, margin, size in zip(box, margins, mask.shape)
    )


def _in_its_box(
    mask: np.ndarray, spacing: Sequence[float], margin_mm: float, choose: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """What is chosen by distance around a mask, computed only where it can be."""
    result = np.zeros(mask.shape, bool)
    if mask.any():
        box = bounding_box(mask, spacing, margin_mm)
        result[box] = choose(distance(mask[box], spacing))
    return result


def image_of(array: np.ndarray, spacing: Sequence[float]) -> sitk.Image:
    """An array as a SimpleITK image with its spacing."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([float(step) for step in spacing])
    return image
