"""Left and right: lungs that touch in front of or behind the heart are parted where their connection is thinnest."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from CTVolumeLib.cells import Cells
from scipy import ndimage

from .shapes import distance, image_of

LEFT, RIGHT = 1, 2
_ERODED_MM = (0, 2, 4, 6, 8, 10, 12, 15, 18, 22)
_SECOND_SHARE = 0.12
"""The smaller lung has at least this share of the larger one's volume, also after erosion; else it is a crumb."""

_APART_MM = 50.0
_OFF_MIDDLE_MM = 15.0
"""By so much both lungs may lie on one side of the middle: more, and they are two parts of one lung."""


def split(lungs: np.ndarray, cells: Cells, middle: float) -> tuple[np.ndarray, bool]:
    """Which side each cell of the lungs belongs to.

    Args:
        lungs: (k, j, i) bool without the airways; i grows to the left of the patient.
        cells: their grid.
        middle: index i of the middle of the body.

    Returns:
        (k, j, i) uint8 with LEFT and RIGHT, and whether there are two lungs.
    """
    across = cells.spacing[0]
    depth = None
    for eroded in _ERODED_MM:
        if eroded and depth is None:  # most lungs are apart from the start
            depth = -distance(lungs, cells.spacing)
        labels, count = ndimage.label(depth > eroded if eroded else lungs)
        sizes = np.bincount(labels.ravel(), minlength=count + 1)
        sizes[0] = 0
        order = np.argsort(-sizes)
        if count < 2 or sizes[order[1]] < _SECOND_SHARE * sizes[order[0]]:
            continue
        places = _places(labels, count)
        first, second = order[:2]
        low, high = sorted((places[first], places[second]))
        if (high - low) * across < _APART_MM or max(low - middle, middle - high) * across > _OFF_MIDDLE_MM:
            continue
        if not eroded:
            between = (places[first] + places[second]) / 2
            sides = np.where(places > between, LEFT, RIGHT).astype(np.uint8)
            sides[0] = 0
            return sides[labels], True
        left, right = (first, second) if places[first] > places[second] else (second, first)
        seeds = np.zeros(lungs.shape, np.uint8)
        seeds[labels == left], seeds[labels == right] = LEFT, RIGHT
        return _grown(seeds, depth, lungs, cells, middle), True
    return _one_side(lungs, middle), False


def _grown(seeds: np.ndarray, depth: np.ndarray, lungs: np.ndarray, cells: Cells, middle: float) -> np.ndarray:
    """The two seeds flooded from the thickest parts on, so that they meet at the thinnest."""
    flooded = sitk.MorphologicalWatershedFromMarkers(
        image_of(-depth, cells.spacing), image_of(seeds, cells.spacing), markWatershedLine=False, fullyConnected=False
    )
    sides = np.where(lungs, sitk.GetArrayFromImage(flooded), 0).astype(np.uint8)
    # Parts that are connected to neither seed were flooded across tissue: they belong where they lie.
    labels, count = ndimage.label(lungs)
    seeded = np.zeros(count + 1, bool)
    seeded[np.unique(labels[seeds > 0])] = True
    alone = lungs & ~seeded[labels]
    sides[alone] = _one_side(alone, middle, each_part=True)[alone]
    return sides


def _one_side(lungs: np.ndarray, middle: float, *, each_part: bool = False) -> np.ndarray:
    """Parts by the side of the body on which they lie, all together or each by itself."""
    if each_part:
        labels, count = ndimage.label(lungs)
        sides = np.where(_places(labels, count) > middle, LEFT, RIGHT).astype(np.uint8)
        sides[0] = 0
        return sides[labels]
    side = LEFT if lungs.any() and np.nonzero(lungs)[2].mean() > middle else RIGHT
    return np.where(lungs, np.uint8(side), np.uint8(0))


def _places(labels: np.ndarray, count: int) -> np.ndarray:
    """(count + 1,) mean index i of each part."""
    columns = np.broadcast_to(np.arange(labels.shape[2], dtype=float), labels.shape)
    total = np.bincount(labels.ravel(), weights=columns.ravel(), minlength=count + 1)
    return total / np.maximum(np.bincount(labels.ravel(), minlength=count + 1), 1)
