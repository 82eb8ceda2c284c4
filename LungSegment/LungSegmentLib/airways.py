"""The trachea and the main bronchi: found as a round tube of air near the middle, then grown until it would leak."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from CTVolumeLib.cells import Cells
from scipy import ndimage

from .shapes import IN_SLICE, dilate, erode

LUMEN_HU = (-850, -900, -940, -970)
"""Thresholds at which the tube is looked for: in emphysema only the lowest sets it apart from the lung."""

AREA_MM2 = (50.0, 700.0)
WIDEST_MM = 36.0
MEAN_AREA_MM2 = 450.0
OFF_MIDDLE_MM = 40.0
SHORTEST_MM = 20.0
DEEP_MM = 10.0
ABOVE_MM, BELOW_MM = 30.0, 25.0
"""The trachea begins at most this far above the top of the lungs and ends at most this far below it."""

MAIN_BRONCHI_MM = 85.0
"""The main bronchi end within this distance of the fork (left 50, right 25 mm long, and they lead outwards)."""

HIGHER_MM = 40.0
"""The trachea goes on above the slices in which it is round by at most this."""

RIM_HU = -500
THICK_MM, CANAL_HU, CANAL_MM, CANAL_LONG_MM, CANAL_MM2 = 6.0, -700, 12.0, 6.0, 400.0
LEAK = 1.15
LEAK_ML = 5.0
LARGEST_ML = 170.0


@dataclass(frozen=True, eq=False)
class Airways:
    """Trachea and main bronchi.

    Attributes:
        lumen: (k, j, i) bool on the cells; empty where none was found.
        length_mm: of the trachea inside the scan.
        sealed: whether growing ended at a wall, not at the limit of size.
    """

    lumen: np.ndarray
    length_mm: float = 0.0
    sealed: bool = True


def find(cells: Cells, air: np.ndarray, lungs: np.ndarray, middle: float) -> Airways:
    """Trachea and main bronchi.

    Args:
        cells: the scan, slices from the feet to the head.
        air: (k, j, i) bool, the air that is enclosed by tissue.
        lungs: (k, j, i) bool, the lungs with what is connected to them.
        middle: index i of the middle of the body.
    """
    trachea = _trachea(cells, air, lungs, middle)
    if trachea is None:
        return Airways(np.zeros_like(lungs))
    slices = np.flatnonzero(trachea.any(axis=(1, 2)))
    fork = [slices[0], *np.argwhere(trachea[slices[0]]).mean(axis=0)]
    across, down, _ = cells.spacing
    k, j, i = ((np.arange(size) - centre) * step for size, centre, step in zip(air.shape, fork, cells.spacing[::-1]))
    near = k[:, None, None] ** 2 + j[:, None] ** 2 + i**2 < MAIN_BRONCHI_MM**2
    near[slices[0] :] = True
    near[slices[-1] + 1 + round(HIGHER_MM / cells.spacing[2]) :] = False  # throat and mouth are no part of it
    lumen, sealed = _grow(cells, air & near, trachea)
    if cells.spacing[2] > THICK_MM:
        lumen |= _canals_beside(lumen, cells, air)
    # The rim of the tube shares its cells with the wall: it is too dense to be grown into.
    lumen |= air & (cells.hu < RIM_HU) & dilate(lumen, (across, down, 1e3), 1.01 * max(across, down))
    return Airways(lumen, len(slices) * cells.spacing[2], sealed)


def _trachea(cells: Cells, air: np.ndarray, lungs: np.ndarray, middle: float) -> np.ndarray | None:
    """The longest chain of small round areas of air near the middle that leads from between the lungs to their top."""
    across, down, step = cells.spacing
    inner = erode(lungs, cells.spacing, DEEP_MM)  # without the throat and the sinuses, which may be connected
    slices = np.flatnonzero((inner if inner.any() else lungs).any(axis=(1, 2)))
    highest_start, lowest_end = slices[-1] + ABOVE_MM / step, max(slices[-1] - BELOW_MM / step, slices[[0, -1]].mean())
    best, best_score = None, -np.inf
    for threshold in LUMEN_HU:
        labels, count = ndimage.label(air & (cells.hu < threshold), IN_SLICE)
        if count == 0:
            continue
        area = np.bincount(labels.ravel(), minlength=count + 1)[1:] * across * down
        boxes = ndimage.find_objects(labels)
        wide = np.array([(box[2].stop - box[2].start) * across for box in boxes])
        high = np.array([(box[1].stop - box[1].start) * down for box in boxes])
        longer, shorter = np.maximum(wide, high), np.minimum(wide, high)
        round_enough = (longer < WIDEST_MM) & (longer < 2.2 * shorter + 6) & (area > 0.4 * wide * high)
        fits = (area > AREA_MM2[0]) & (area < AREA_MM2[1]) & round_enough
        chains, _ = ndimage.label(np.concatenate([[False], fits])[labels])
        for number, box in enumerate(ndimage.find_objects(chains), start=1):
            length = (box[0].stop - box[0].start) * step
            if length < SHORTEST_MM or box[0].stop - 1 < lowest_end or box[0].start > highest_start:
                continue
            places = np.argwhere(chains[box] == number)
            off = abs(places[:, 2].mean() + box[2].start - middle) * across
            mean_area = len(places) * across * down * step / length
            score = min(length, 120.0) - off
            # A lower threshold has to be clearly better: it loses the rim of the tube.
            if off < OFF_MIDDLE_MM and mean_area < MEAN_AREA_MM2 and score > best_score + 10:
                best, best_score = chains == number, score
    return best


def _canals_beside(lumen: np.ndarray, cells: Cells, air: np.ndarray) -> np.ndarray:
    """Narrow canals in the slices next to the lumen.

    A main bronchus goes down 45 degrees. In slices as thick as it is wide its pieces hardly lie on each other, and what
    leads from one to the next is too dense to be grown into.
    """
    wide = dilate(erode(air, cells.spacing, CANAL_MM / 2), cells.spacing, CANAL_MM / 2)
    labels, count = ndimage.label(air & ~wide & (cells.hu < CANAL_HU), IN_SLICE)
    beside = np.zeros(count + 1, bool)
    beside[labels[_in_next_slices(lumen)]] = True
    area = np.bincount(labels.ravel(), minlength=count + 1) * cells.spacing[0] * cells.spacing[1]
    beside &= area < CANAL_MM2
    beside[0] = False
    return beside[labels] & dilate(_in_next_slices(lumen), (*cells.spacing[:2], 1e3), CANAL_LONG_MM)


def _in_next_slices(mask: np.ndarray) -> np.ndarray:
    result = np.zeros_like(mask)
    result[1:] |= mask[:-1]
    result[:-1] |= mask[1:]
    return result


def _grow(cells: Cells, air: np.ndarray, trachea: np.ndarray) -> tuple[np.ndarray, bool]:
    """The air connected to the trachea at the highest threshold that does not let it flood the lungs."""
    image = sitk.GetImageFromArray(np.where(air, cells.hu, np.int16(2000)))
    places = np.argwhere(trachea & (cells.hu < -900))
    if not len(places):
        places = np.argwhere(trachea)
    seeds = [tuple(int(c) for c in place[::-1]) for place in places[:: max(1, len(places) // 200)]]
    lumen, size = trachea, np.inf
    for threshold in range(-960, -600, 20):
        grown = sitk.GetArrayFromImage(sitk.ConnectedThreshold(image, seeds, -2000, threshold)) > 0
        grown |= trachea
        grown_ml = cells.litres(grown) * 1000
        if grown_ml > LEAK * size + LEAK_ML or grown_ml > LARGEST_ML:
            return lumen, size < np.inf
        lumen, size = grown, grown_ml
    return lumen, True
