"""Where patient and equipment end exactly: from cells back to the scan's own voxels."""

from __future__ import annotations

import numpy as np
from CTVolumeLib.boxes import bounding_box
from CTVolumeLib.cells import Cells, enlarge
from scipy import ndimage

from .body import Body
from .faint import Equipment
from .labels import PATIENT
from .shapes import IN_SLICE, distance, grow, reached, shrink, steps

SKIN_HU = -500
"""Half-way between air and skin."""

_SHARED_HU = -650
"""A voxel on the skin that is denser is a third skin."""

_HARD_HU = -750
"""Beside cells denser than this, of shells and tables, the averages of neighbours hold their blurred edge."""

_NOISE_HU = 40
"""There a single voxel has to be so much denser than what is more than air."""

_TISSUE_HU, _COVER_HU = -400, -300
"""What is fainter on the skin and lies against equipment is blurred equipment, or cloth, rather than skin.

Where the head lies on cushions in covers it may as well be their cover up to the latter.
"""

_COVER_MM, _ABOVE_HU, _ALL_OVER, _INSIDE_ML = 4.0, 100, 0.8, 5.0
"""A cushion in a cover is that much denser near its free surface than inside, almost all over."""

_UNDER_MM = 3.0
"""How far from equipment that may be."""

_BARE_MM = 15.0
"""So far from hair the skin is bare; nearer to it what is as faint as blurred skin may be hair."""

_TRIM_HU = 30
"""What is no denser than air by that much is none of what it lies around."""


def onto_voxels(
    body: Body, equipment: Equipment, kind: np.ndarray, cells: Cells, hu: np.ndarray, labels: np.ndarray
) -> None:  # fmt: skip
    """Write the labels of the voxels.

    Args:
        body: the patient on the cells.
        equipment: likewise.
        kind: (k, j, i) uint8 label of the equipment on the cells.
        cells: the grid of them.
        hu: (K, J, I) the scan.
        labels: (K, J, I) uint8 zeros, is filled.
    """
    step = cells.step_mm
    inner = shrink(body.mask, step, step)
    outer = grow(body.mask, step, step)
    core = shrink(body.mask, step, _UNDER_MM)
    hairy = equipment.hair
    if equipment.hairy:
        hairy = body.head[:, None, None] & (not hairy.any() or distance(hairy, cells.spacing, _BARE_MM) < _BARE_MM)
    spread, deep = _nearest(kind), shrink(kind > 0, step, step)
    # What lies no farther out than the skin's own blur is no equipment that anything is pressed against.
    real = reached((kind > 0) & ~grow(body.mask, step, 3 * step), kind > 0, IN_SLICE)
    against = grow(real, step, 2 * step)
    dense = _COVER_HU if _covered(kind, body, cells) else _TISSUE_HU
    wide = spread
    for _ in range(steps(step, _UNDER_MM)):
        wide = _nearest(wide)
    # Beside what is hard, averages over neighbours are no measure: its blurred edge is as dense as a cushion.
    hard = ndimage.maximum_filter(np.where(kind > 0, cells.hu, -1100), (1, 3, 3)) > _HARD_HU
    size = tuple(factor // 2 * 2 + 1 for factor in cells.factors[1:])
    rows, columns = bounding_box((outer | equipment.hair | (wide > 0)).any(axis=0), cells.spacing, 2 * step)
    voxels = tuple(slice(side.start * n, side.stop * n) for side, n in zip((rows, columns), cells.factors[1:]))
    hu, labels = hu[:, *voxels], labels[:, *voxels]
    pixel = step / float(np.sqrt(cells.factors[1] * cells.factors[2]))
    for k in range(len(hu)):
        cell = k // cells.factors[0]
        plane = hu[k]

        def large(mask: np.ndarray, cell: int = cell) -> np.ndarray:
            return enlarge(mask[cell, rows, columns], cells.factors, hu.shape[1:])

        inside, near, hair = large(inner), large(outer), large(equipment.hair)
        there, beside = large(kind), large(spread)
        patient = inside | (near & (plane > SKIN_HU) & ((there == 0) | large(body.mask)))
        skin = grow(patient[None], 1.0, 1.0)[0] & near & (plane > _SHARED_HU) & (beside == 0)
        patient |= skin | (hair & (plane > equipment.faint_hu))
        more = np.where(
            large(hard), plane > equipment.faint_hu + _NOISE_HU, _smooth(plane, beside, size) > equipment.faint_hu
        )
        found = (beside > 0) & (more | large(deep)) & ~patient
        if found.any():
            found = _trimmed(found, plane < equipment.air_hu + _TRIM_HU, patient)
        if found.any():
            pressed = patient & (plane <= (dense if body.head[cell] else _TISSUE_HU)) & ~large(core) & (large(wide) > 0)
            pressed &= ~large(hairy) & (plane > equipment.faint_hu)
            seeds = (found & large(against))[None]
            patient &= ~grow(seeds, pixel, _UNDER_MM, within=pressed[None])[0]
            found |= pressed & ~patient
        labels[k] = np.where(patient, np.uint8(PATIENT), np.where(found, large(wide), 0))


def _covered(kind: np.ndarray, body: Body, cells: Cells) -> bool:
    """Whether what the head lies on is foam or beads in a cover, so that a cover may be pressed on the skin, too."""
    step, mask = cells.step_mm, (kind > 0) & body.head[:, None, None]
    box = bounding_box(mask, cells.spacing, _COVER_MM)
    mask, hu = mask[box], np.where(mask[box], cells.hu[box], cells.hu.min())
    inside = shrink(mask, step, _COVER_MM + step) & (hu < _COVER_HU)
    near = grow(body.mask[box], step, _COVER_MM + step)
    free = mask & ~shrink(mask | near, step, step) & ~near
    if np.count_nonzero(inside) * cells.millilitres < _INSIDE_ML or not free.any():
        return False
    cells_across = 2 * steps(step, _COVER_MM) + 1
    highest = ndimage.maximum_filter(hu, (1, cells_across, cells_across))[free]
    return bool(np.mean(highest > np.median(hu[inside]) + _ABOVE_HU) > _ALL_OVER)


def _trimmed(found: np.ndarray, air: np.ndarray, patient: np.ndarray) -> np.ndarray:
    """(j, i) bool: what was found without the ring of air around it."""
    outside = ~found & ~patient
    for _ in range(2):
        outside = outside | (grow(outside[None], 1.0, 1.0)[0] & air & found)
    return found & ~outside


def _smooth(plane: np.ndarray, where: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(j, i) float32 HU averaged over neighbours in the rows in which there is something to be labelled."""
    result = np.zeros(plane.shape, np.float32)
    rows = np.flatnonzero(where.any(axis=1))
    if rows.size:
        part = slice(max(rows[0] - size[0], 0), rows[-1] + size[0] + 1)
        hu = np.clip(plane[part], -1100, 1500).astype(np.float32)
        result[part] = ndimage.uniform_filter(hu, size, mode="nearest")
    return result


def _nearest(kind: np.ndarray) -> np.ndarray:
    """(k, j, i) uint8: the kinds spread by one cell in their slice, where there is none."""
    return np.where(kind > 0, kind, ndimage.grey_dilation(kind, size=(1, 3, 3)))
