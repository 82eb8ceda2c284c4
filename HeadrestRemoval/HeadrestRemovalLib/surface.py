"""Where patient and equipment end exactly: from cells back to the scan's own voxels."""

from __future__ import annotations

import numpy as np
from CTVolumeLib.boxes import bounding_box
from CTVolumeLib.cells import Cells, enlarge

from .body import Body
from .faint import Equipment
from .labels import PATIENT
from .shapes import IN_SLICE, distance, grow, reached, shrink, steps, widened

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
    spread, deep = _nearest(kind), shrink(kind > 0, step, step)
    # What lies no farther out than the skin's own blur is no equipment that anything is pressed against.
    real = reached((kind > 0) & ~grow(body.mask, step, 3 * step), kind > 0, IN_SLICE)
    against = grow(real, step, 2 * step)
    dense = _COVER_HU if _covered(kind, body, cells) else _TISSUE_HU
    wide = spread
    for _ in range(steps(step, _UNDER_MM)):
        wide = _nearest(wide)
    # Beside what is hard, averages over neighbours are no measure: its blurred edge is as dense as a cushion.
    hard = widened((kind > 0) & (cells.hu > _HARD_HU), square=True)
    skin, bare, there = outer & ((kind == 0) | body.mask), outer & (spread == 0), spread > 0
    # A cell that is faint as a whole may hold some voxels of skin.
    shared = outer & (kind > 0) & ~body.mask & ~body.thin
    pressed = (wide > 0) & ~core
    hairy = equipment.hair
    if equipment.hairy:
        near = not hairy.any() or distance(hairy, cells.spacing, _BARE_MM, pressed) < _BARE_MM
        hairy = body.head[:, None, None] & near
    pressed &= ~hairy
    size = tuple(factor // 2 * 2 + 1 for factor in cells.factors[1:])
    pixel = step / float(np.sqrt(cells.factors[1] * cells.factors[2]))
    somewhere = outer | equipment.hair | (wide > 0)
    for k in range(len(hu)):
        cell = k // cells.factors[0]
        box = bounding_box(somewhere[cell], cells.spacing, 2 * step)
        voxels = (k, *(slice(side.start * n, side.stop * n) for side, n in zip(box, cells.factors[1:])))
        plane, kinds = hu[voxels], labels[voxels]

        def large(mask: np.ndarray, place: tuple = (cell, *box), shape: tuple = plane.shape) -> np.ndarray:
            return enlarge(mask[place], cells.factors, shape)

        patient = large(inner) | (large(skin) & (plane > SKIN_HU))
        patient |= _spread(patient) & large(bare) & (plane > _SHARED_HU)
        patient |= large(shared) & (plane > _COVER_HU)
        patient |= large(equipment.hair) & (plane > equipment.faint_hu)
        kinds[patient] = PATIENT
        beside = large(there)
        if not beside.any():
            continue
        more = ~large(hard) & (_smooth(plane, beside, size) > equipment.faint_hu)
        more |= large(deep) | (large(hard) & (plane > equipment.faint_hu + _NOISE_HU))
        found = _trimmed(beside & more & ~patient, plane < equipment.air_hu + _TRIM_HU, patient)
        if not found.any():
            continue
        soft = patient & (plane <= (dense if body.head[cell] else _TISSUE_HU)) & (plane > equipment.faint_hu)
        soft &= large(pressed)
        found |= grow((found & large(against))[None], pixel, _UNDER_MM, within=soft[None])[0] & soft
        kinds[found] = large(wide)[found]


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
    dense = hu > np.median(hu[inside]) + _ABOVE_HU
    for _ in range(steps(step, _COVER_MM)):
        dense = widened(dense, square=True)
    return bool(np.mean(dense[free]) > _ALL_OVER)


def _trimmed(found: np.ndarray, air: np.ndarray, patient: np.ndarray) -> np.ndarray:
    """(j, i) bool: what was found without the ring of air around it."""
    outside, ring = ~(found | patient), air & found
    for _ in range(2):
        outside |= _spread(outside) & ring
    return found & ~outside


def _smooth(plane: np.ndarray, where: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(j, i) float32 HU averaged over neighbours, as far around as there is something to be labelled."""
    result, box = np.zeros(plane.shape, np.float32), bounding_box(where, margin_mm=max(size))
    hu = np.clip(plane[box], -1100, 1500).astype(np.float32)
    result[box] = _sums(_sums(hu, size[0] // 2).T, size[1] // 2).T / np.float32(size[0] * size[1])
    return result


def _sums(hu: np.ndarray, reach: int) -> np.ndarray:
    """(j, i) sums over so many neighbours before and behind along j; beyond the end there is more of the last."""
    total = hu.copy()
    for away in range(1, reach + 1):
        total[away:] += hu[:-away]
        total[:-away] += hu[away:]
        total[:away] += hu[:1]
        total[-away:] += hu[-1:]
    return total


def _spread(mask: np.ndarray) -> np.ndarray:
    """(j, i) bool: a mask and its four neighbours."""
    return widened(mask[None])[0]


def _nearest(kind: np.ndarray) -> np.ndarray:
    """(k, j, i) uint8: the kinds spread by one cell in their slice, where there is none."""
    return np.where(kind > 0, kind, widened(kind, square=True))
