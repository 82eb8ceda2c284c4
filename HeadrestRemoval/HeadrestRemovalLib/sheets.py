"""Sheets over the skin of the head, as masks and straps: found where a gap shows and followed to where they lie on it.

From outside inwards HU rises within a voxel or two at free skin, and stays. Over a sheet it falls again, or rises late.
Rays into the skin tell all over (``_cast``); where neighbours agree over a large part of the head, a sheet lies there.
Ears, hair and nostrils look alike, but over less. Elsewhere on the body blurred skin does, so that none is looked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .grid import Factors, Step, middle, middle_voxels
from .labels import OTHER, PATIENT
from .shapes import ALL_AROUND, reached

_START_MM, _STOP_MM = -5, 13
"""Rays go from outside the surface of the cells, which is a cell off at most, to beneath a thick sheet and its gap."""

_DEEP_MM = 10
"""So far beneath the outermost layer a gap is looked for; deeper there are fat and the sinuses."""

_SKIN_HU = -650
"""What is denser, from outside inwards, is the outermost layer: a third of tissue, and cloth as thick as a voxel."""

_TISSUE_HU = -200
"""Beneath the outermost layer a head is denser than this, as fat is."""

_DIP_HU = 60
"""HU has to fall by so much for a gap: noise of skin falls by less."""

_FALLEN = 0.2
"""The sheet ends where HU has come down to the lowest place up to this share of the fall."""

_EVEN_MM = 3.0
"""The surface is smoothed over this to tell which way is inwards."""

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
"""What is fainter, before tissue begins, is the blurred edge of the sheet, or what lies in the gap."""

_PRESSED_HU = -150
"""Where no gap shows, what is denser is skin."""

_NEAR_MM = 8.0
"""How far from where a ray of the sheet starts its voxels are."""

_BESIDE = 0.75
"""And how far beside that ray, in diagonals of a cell: beyond the sheet's end the next ray says nothing of the skin."""


@dataclass(frozen=True, eq=False)
class _Rays:
    """Rays from the patient's surface inwards, one for each cell of it.

    Attributes:
        cell: (n, 3) place among the cells.
        start: (n, 3) place among the voxels.
        inward: (n, 3) direction, mm.
        cm2: (n,) area of the surface.
        first: (n,) mm from the start to where the outermost layer begins.
        late: (n,) mm from there to where there is nothing but tissue.
        dip: (n,) HU by which it falls before it rises again.
        trough: (n,) mm from the start to the lowest place of that.
        peak: (n,) highest HU before it.
        edge: (n,) mm from the start to where HU has fallen from the one towards the other.
    """

    cell: np.ndarray
    start: np.ndarray
    inward: np.ndarray
    cm2: np.ndarray
    first: np.ndarray
    late: np.ndarray
    dip: np.ndarray
    trough: np.ndarray
    peak: np.ndarray
    edge: np.ndarray

    def of(self, which: np.ndarray) -> _Rays:
        """Some of the rays; ``which``: (n,) bool."""
        return _Rays(*(getattr(self, name)[which] for name in self.__dataclass_fields__))


def take(labels: np.ndarray, hu: np.ndarray, head: np.ndarray, step: Step, factors: Factors) -> None:
    """Give to the equipment the sheets on the head that were taken for the patient.

    Args:
        labels: (k, j, i) uint8; is changed.
        hu: (k, j, i) the scan.
        head: (k,) bool: slices of cells through the head.
        step: mm along k, j, i.
        factors: voxels in a cell along k, j, i.
    """
    if not head.any():
        return
    patient = middle_voxels(labels, factors) == PATIENT
    patient[~head] = False
    if not patient.any():
        return
    size = np.array(step) * factors
    rays = _cast(patient, hu, step, factors)
    region, sure, usual_mm = _regions(rays, patient.shape, size)
    cm2 = np.bincount(region, np.where(sure, rays.cm2, 0))
    for number in np.flatnonzero(cm2 > _LEAST_CM2):
        own = region == number
        if number > 0 and _is_sheet(rays.of(own & sure)):
            _peel(labels, hu, step, factors, rays.of(own), usual_mm)


def _cast(patient: np.ndarray, hu: np.ndarray, step: Step, factors: Factors) -> _Rays:
    size = np.array(step) * factors
    soft = patient.astype(np.float32)
    for _ in range(2):
        soft = ndimage.uniform_filter(soft, [2 * round(_EVEN_MM / one) + 1 for one in size], mode="nearest")
    cell = np.argwhere(patient & ~ndimage.binary_erosion(patient, border_value=1))
    inward = np.empty(cell.shape)
    for axis in range(3):
        one, two = cell.copy(), cell.copy()
        one[:, axis] = np.minimum(one[:, axis] + 1, patient.shape[axis] - 1)
        two[:, axis] = np.maximum(two[:, axis] - 1, 0)
        inward[:, axis] = (soft[tuple(one.T)] - soft[tuple(two.T)]) / size[axis]
    length = np.linalg.norm(inward, axis=1)
    known = length > 1e-3
    cell, inward = cell[known], inward[known] / length[known, None]
    start = cell * np.array(factors) + [middle(factor, one) for factor, one in zip(factors, hu.shape)]
    along = np.arange(_START_MM, _STOP_MM)  # a sample each mm
    places = start.T[:, :, None] + (inward / step).T[:, :, None] * along
    values = np.nan_to_num(ndimage.map_coordinates(hu, places, order=1, mode="nearest", output=np.float32), nan=-1000)
    sample, ray = np.arange(len(along)), np.arange(len(cell))
    skin = values > _SKIN_HU
    first = np.where(skin.any(axis=1), skin.argmax(axis=1), len(along) - 1)
    within = (sample >= first[:, None]) & (sample <= first[:, None] + _DEEP_MM)
    faint = (values < _TISSUE_HU) & within
    last = np.where(faint.any(axis=1), len(along) - faint[:, ::-1].argmax(axis=1), first)
    begin = _crossing(values, first, _SKIN_HU)
    before = np.maximum.accumulate(np.where(within, values, -2000), axis=1)
    after = np.maximum.accumulate(values[:, ::-1], axis=1)[:, ::-1]
    fall = np.where(faint, np.minimum(before, after) - values, 0)
    trough = fall.argmax(axis=1)
    highest, lowest = before[ray, trough], values[ray, trough]
    # What is beneath may be hair, as dark all over: the sheet ends where HU has fallen for the most part.
    edge = (sample > np.where(before >= highest[:, None], sample, len(along)).min(axis=1)[:, None]) & (
        values < (lowest + _FALLEN * (highest - lowest))[:, None]
    )
    return _Rays(
        cell, start, inward, 1 / np.max(np.abs(inward) * size / np.prod(size), axis=1) / 100, first + float(_START_MM),
        np.maximum(_crossing(values, last, _TISSUE_HU) - begin, 0), fall.max(axis=1), trough + float(_START_MM),
        highest, edge.argmax(axis=1) + float(_START_MM),
    )  # fmt: skip


def _crossing(values: np.ndarray, sample: np.ndarray, level: float) -> np.ndarray:
    """(n,) where, between a sample of each ray and the one before, HU passes a level."""
    ray, sample = np.arange(len(values)), np.minimum(sample, values.shape[1] - 1)
    after, before = values[ray, sample], values[ray, np.maximum(sample - 1, 0)]
    return sample - np.clip((after - level) / np.maximum(after - before, 1), 0, 1)


def _regions(rays: _Rays, shape: tuple[int, ...], size: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Parts of the surface over which HU rises late.

    Returns:
        (n,) number of each ray's part, 0 for none; (n,) bool: whether it rises late beyond doubt; mm that are usual.
    """
    at = tuple(rays.cell.T)
    there, late = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    there[at], late[at] = 1, np.minimum(rays.late, _MOST_MM)
    window = [2 * max(1, round(_AROUND_MM / one)) + 1 for one in size]
    mean = ndimage.uniform_filter(late, window)[at] / np.maximum(ndimage.uniform_filter(there, window)[at], 1e-6)
    usual_mm = float(np.percentile(mean, 25))
    covered = np.zeros(shape, bool)
    covered[at] = mean > usual_mm + _LATER_MM
    return ndimage.label(covered, ALL_AROUND)[0][at], mean > usual_mm + _SURELY_LATER_MM, usual_mm


def _is_sheet(rays: _Rays) -> bool:
    """Whether a gap shows in enough places, beneath what is as dense as a sheet, and evenly or over a large area."""
    dips = rays.of(rays.dip > _DIP_HU)
    if len(dips.dip) < _DIPS * len(rays.dip) or not _DENSE_HU[0] < np.median(dips.peak) < _DENSE_HU[1]:
        return False
    least, usual, most = np.percentile(dips.trough - dips.first, [10, 50, 90])
    return bool(usual < _THIN_MM and (rays.cm2.sum() > _LARGE_CM2 or most - least < _EVENLY_MM))


def _peel(labels: np.ndarray, hu: np.ndarray, step: Step, factors: Factors, rays: _Rays, usual_mm: float) -> None:
    """Make equipment what lies before the gap, what is as soft as the sheet where it lies on, and the soft rest."""
    dips = rays.dip > _DIP_HU
    least, most = np.percentile(rays.peak[dips], [10, 90]) + np.array([-_ALIKE_HU, _ALIKE_HU])
    deep = rays.trough - rays.first
    clear = dips & (rays.peak > least) & (rays.peak < most) & (deep <= np.median(deep[dips]) + _DEEPER_MM)
    late = (rays.late >= usual_mm + _LATE_MM) & (rays.late <= _LATEST_MM)
    box, ray, near = _nearest(labels, rays, step, factors)
    where = np.nonzero(near & (labels[box] == PATIENT))
    ray, value = ray[where], hu[box][where]
    place = np.stack(where, axis=1) + [side.start for side in box]
    offset = (place - rays.start[ray]) * step
    depth = (offset * rays.inward[ray]).sum(axis=1)
    beside = np.linalg.norm(offset - depth[:, None] * rays.inward[ray], axis=1) < _BESIDE * np.linalg.norm(
        np.array(step) * factors
    )
    from_first = depth - rays.first[ray]
    sheet = clear[ray] & (depth < rays.edge[ray]) & (value < most)
    pressed = late[ray] & (from_first < np.clip(rays.late[ray] - usual_mm, 0, _ON_SKIN_MM))
    sheet |= pressed & (value < min(most, _PRESSED_HU))
    end = np.where(clear, rays.edge - rays.first, rays.late + 1)
    rest = late[ray] & (value < _SOFT_HU) & (from_first < end[ray]) & ((value > _SKIN_HU) | (from_first < 0))
    kind = labels[box]
    taken, soft = kind != PATIENT, np.zeros(kind.shape, bool)
    taken[where], soft[where] = sheet & beside, rest & beside
    kind[reached(taken, taken | soft) & (kind == PATIENT)] = OTHER


def _nearest(
    labels: np.ndarray, rays: _Rays, step: Step, factors: Factors
) -> tuple[tuple[slice, slice, slice], np.ndarray, np.ndarray]:
    """A box of voxels around the rays, the nearest ray of each and whether it is near."""
    size = np.array(step) * factors
    room = np.ceil(_NEAR_MM / size).astype(int)
    low = np.maximum(rays.cell.min(axis=0) - room, 0)
    cells = rays.cell.max(axis=0) + room + 1 - low
    box = tuple(
        slice(one * factor, min((one + count) * factor, most))
        for one, count, factor, most in zip(low, cells, factors, labels.shape)
    )
    number = np.full(cells, -1)
    number[tuple((rays.cell - low).T)] = np.arange(len(rays.cell))
    away, place = ndimage.distance_transform_edt(number < 0, size, return_indices=True)
    ray, near = number[tuple(place)], away < _NEAR_MM
    for axis, (factor, side) in enumerate(zip(factors, box)):
        ray, near = (np.repeat(one, factor, axis).take(range(side.stop - side.start), axis) for one in (ray, near))
    return box, ray, near
