"""Sheets over the skin of the head, as masks and straps: found where a gap shows and followed to where they lie on it.

From outside inwards HU rises within a voxel or two at free skin, and stays. Over a sheet it falls again, or rises late.
Rays into the skin tell all over (``rays``); where neighbours agree over a large part of the head, a sheet lies there.
It is as thick all over: where it is found all around, what is no deeper beneath its outer face belongs to it as well.
Ears, hair and nostrils look alike, but over less. Elsewhere on the body blurred skin does, so that none is looked for.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .grid import Factors, Step, middle_voxels
from .labels import OTHER, PATIENT
from .rays import SKIN_HU, Rays, below_face, from_air, voxels_near
from .shapes import ALL_AROUND, numbered, reached

_DIP_HU = 60
"""HU has to fall by so much for a gap: noise of skin falls by less."""

_AROUND_MM = 10.0
"""Over so much of the surface around a ray the rise is averaged: hair and noise differ from ray to ray."""

_MOST_MM = 6.0
"""A rise later than this counts as this, so that an ear canal does not outweigh the skin around it."""

_LATER_MM, _SURELY_LATER_MM = 1.2, 2.2
"""By so much later than the scan's own skin HU rises under a sheet, and where that is beyond doubt.

The latter is as much as a thin sheet of 2 mm, the former half of it.
"""

_LEAST_CM2 = 90.0
"""Over less lie ears, a nose and the hairline; a mask covers several hundred."""

_LARGE_CM2 = 300.0
"""Nothing of the patient looks like a sheet over so much, however unevenly it lies."""

_DIPS = 0.2
"""Share of the rays which have to show a gap: a mask touches in places, but not all over."""

_EVENLY_MM = 3.5
"""The middle 80 % of the gaps lie as deep up to this: a sheet is as thick all over, the hollows of an ear are not."""

_THIN_MM = 6.5
"""Half of the gaps lie no deeper than this: sheets are thin, and voxels blur them by a few mm."""

_BONE_HU, _BONE_SHARE = 300, 0.5
"""Where bone lies right beneath a larger share of the gaps, they are the fat of the scalp, which sharp kernels darken.
Beneath masks it does beneath 8 %, or 28 % with such a kernel.
"""

_SHARP_SHARE, _AIR_HU = 0.1, -500
"""Beneath a larger share the kernel is sharp: then a gap right above bone that is denser is fat, mask or not."""

_DENSE_HU = (-460, 200)
"""So dense are sheets where a gap shows, blurred: thinned by voxels at the least, plastic at the most. Hair is less."""

_ALIKE_HU = 50
"""By so much beyond the middle 80 % a sheet may be fainter or denser in places."""

_DEEPER_MM = 3.0
"""By so much a gap may lie deeper than the usual one, where the sheet stands off: deeper ones are nostrils."""

_LATE_MM, _LATEST_MM = 1.0, 8.5
"""By so much later than usual HU rises where a sheet lies on the skin, and the latest; later are openings."""

_ON_SKIN_MM = 2.5
"""No more than this is taken where no gap shows: sheets are hardly thinner, and skin is thicker."""

_SOFT_HU = -300
"""What is fainter, no deeper than the usual gap, is the blurred edge of the sheet, or what lies in the gap."""

_FROM_AIR_MM, _PRESSED_FROM_AIR_MM = 5.0, 3.1
"""What is denser lies no farther from air in its slice: a sheet and a voxel, and a sheet where no gap shows."""

_PRESSED_HU = -150
"""Where no gap shows, what is denser is skin."""

_DEEPEST = 95
"""A sheet is as thick all over as this share of it, in percent, where a gap shows."""

_HALF_A_VOXEL = 0.6
"""What is half sheet and half skin lies deeper by so much of its width, as some slant."""

_LAYER_MM, _AROUND_LAYER_MM, _TIMES = 4.5, 6.0, 6
"""What share of the outermost layer, so thick, is a sheet is told so far around; so often, as what is found counts."""

_COVERS, _ENDS = (0.6, 0.8), 0.5
"""Where a larger share is a sheet, it covers the skin: the former at its face, the latter as deep as the layer, since
beside the sheet's end skin lies no deeper. Where a smaller share is one, it ends."""

_FAT_HU = -130
"""Fat is hardly fainter than this, and what is denser is skin."""


def take(labels: np.ndarray, hu: np.ndarray, rays: Rays, step: Step, factors: Factors) -> None:
    """Give to the equipment the sheets on the head that were taken for the patient.

    Args:
        labels: (k, j, i) uint8; is changed.
        hu: (k, j, i) the scan.
        rays: all over the head.
        step: mm along k, j, i.
        factors: voxels in a cell along k, j, i.
    """
    cells = middle_voxels(labels, factors).shape
    region, sure, usual_mm = _regions(rays, cells, np.array(step) * factors)
    cm2 = np.bincount(region, np.where(sure, rays.cm2, 0))
    for number in np.flatnonzero(cm2 > _LEAST_CM2):
        own = region == number
        if number > 0 and _is_sheet(rays.of(own & sure)):
            _peel(labels, hu, step, factors, rays.of(own), usual_mm)


def _regions(rays: Rays, shape: tuple[int, ...], size: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Parts of the surface over which HU rises late.

    Returns:
        (n,) number of each ray's part, 0 for none; (n,) bool: whether it rises late beyond doubt; mm that are usual.
    """
    reach = np.array([max(1, round(_AROUND_MM / one)) for one in size])
    start = np.maximum(rays.cell.min(axis=0) - reach, 0)
    shape = tuple(np.minimum(rays.cell.max(axis=0) + 1 + reach, shape) - start)
    at = tuple((rays.cell - start).T)
    there, late = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    there[at], late[at] = 1, np.minimum(rays.late, _MOST_MM)
    window = 2 * reach + 1
    mean = ndimage.uniform_filter(late, window)[at] / np.maximum(ndimage.uniform_filter(there, window)[at], 1e-6)
    usual_mm = float(np.percentile(mean, 25))
    covered = np.zeros(shape, bool)
    covered[at] = mean > usual_mm + _LATER_MM
    return numbered(covered, ALL_AROUND)[0][at], mean > usual_mm + _SURELY_LATER_MM, usual_mm


def _is_sheet(rays: Rays) -> bool:
    """Whether a gap shows in enough places, beneath what is as dense as a sheet, and evenly or over a large area."""
    dips = rays.of(rays.dip > _DIP_HU)
    if len(dips.dip) < _DIPS * len(rays.dip) or not _DENSE_HU[0] < np.median(dips.peak) < _DENSE_HU[1]:
        return False
    if np.mean(dips.beneath > _BONE_HU) > _BONE_SHARE:
        return False
    least, usual, most = np.percentile(dips.trough - dips.first, [10, 50, 90])
    return bool(usual < _THIN_MM and (rays.cm2.sum() > _LARGE_CM2 or most - least < _EVENLY_MM))


def _peel(labels: np.ndarray, hu: np.ndarray, step: Step, factors: Factors, rays: Rays, usual_mm: float) -> None:
    """Make equipment what lies before the gap, what is as soft as the sheet where it lies on, and the soft rest."""
    dips = rays.dip > _DIP_HU
    least, most = np.percentile(rays.peak[dips], [10, 90]) + np.array([-_ALIKE_HU, _ALIKE_HU])
    deep = rays.trough - rays.first
    usual_gap_mm = float(np.median(deep[dips]))
    bony = rays.beneath > _BONE_HU
    scalp = bony & (rays.peak - rays.dip > _AIR_HU) & (np.mean(bony[dips]) > _SHARP_SHARE)
    clear = dips & ~scalp & (rays.peak > least) & (rays.peak < most) & (deep <= usual_gap_mm + _DEEPER_MM)
    late = (rays.late >= usual_mm + _LATE_MM) & (rays.late <= _LATEST_MM)
    near = voxels_near(labels, rays, step, factors)
    ray, value, depth = near.ray, hu[near.box][near.where], near.depth
    from_first = depth - rays.first[ray]
    away = from_air(labels, hu, near, step, _FROM_AIR_MM)
    sheet = clear[ray] & (depth < rays.edge[ray]) & (value < most) & ((value < _SOFT_HU) | (away < _FROM_AIR_MM))
    pressed = late[ray] & (from_first < np.clip(rays.late[ray] - usual_mm, 0, _ON_SKIN_MM))
    pressed &= (value < _SOFT_HU) | (away < _PRESSED_FROM_AIR_MM)
    pressed &= ~sheet & (value < min(most, _PRESSED_HU))
    rest = (value < _SOFT_HU) & (from_first < usual_gap_mm + step[1] / 2)
    rest &= (value > SKIN_HU) | (late[ray] & (from_first < 0))
    deep = below_face(labels, hu, near, step, _LAYER_MM)
    kind = labels[near.box]
    taken, soft = kind != PATIENT, np.zeros(kind.shape, bool)
    taken[near.where], soft[near.where] = (sheet | pressed) & near.beside, rest & near.beside
    found = reached(taken, taken | soft)[near.where]
    dense = near.beside & (value > _SOFT_HU)
    sure = deep[sheet & dense & np.isfinite(deep)]
    if sure.size:
        thick_mm = float(np.percentile(sure, _DEEPEST) + _HALF_A_VOXEL * step[1])
        within = near.beside & (deep < thick_mm) & (value < _FAT_HU)
        found = _evened(found, within, pressed & dense, deep, near.place // factors, np.array(step) * factors)
    kind[tuple(one[found] for one in near.where)] = OTHER


def _evened(
    found: np.ndarray, within: np.ndarray, doubtful: np.ndarray, deep: np.ndarray, cell: np.ndarray, size: np.ndarray
) -> np.ndarray:
    """What was found of a sheet, evened out: all of it where it covers the skin, and no crumbs of skin where it ends.

    Args:
        found: (m,) bool.
        within: (m,) bool: what may belong to it as well.
        doubtful: (m,) bool: what may not.
        deep: (m,) mm beneath the outer face.
        cell: (m, 3) of the voxels.
        size: mm of a cell along k, j, i.

    Returns:
        (m,) bool.
    """
    start, stop = cell.min(axis=0), cell.max(axis=0) + 1
    shape, window = tuple(stop - start), [2 * round(_AROUND_LAYER_MM / one) + 1 for one in size]
    at = np.ravel_multi_index(tuple((cell - start).T), shape)

    def around(which: np.ndarray) -> np.ndarray:
        number = np.bincount(at, which, int(np.prod(shape))).reshape(shape)
        return ndimage.uniform_filter(number, window, mode="constant").ravel()[at]

    layer = deep < _LAYER_MM
    every, enough = np.maximum(around(layer), 1e-6), np.interp(deep, (0, _LAYER_MM), _COVERS)
    for _ in range(_TIMES):
        covered = around(layer & found) / every
        found = found | (within & (covered > enough))
    return found & ~(doubtful & (covered < _ENDS))
