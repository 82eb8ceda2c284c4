"""Rays into the skin of the head: how HU rises from outside inwards, for what looks for sheets and straps on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from CTVolumeLib.boxes import bounding_box
from scipy import ndimage
from scipy.spatial import cKDTree

from .grid import Factors, Step, middle, middle_voxels
from .labels import PATIENT
from .shapes import distance, grow, holes, shrink

_START_MM, _STOP_MM = -5, 13
"""Rays go from outside the surface of the cells, which is a cell off at most, to beneath a thick sheet and its gap."""

_DEEP_MM = 10
"""So far beneath the outermost layer a gap is looked for; deeper there are fat and the sinuses."""

SKIN_HU = -650
"""What is denser, from outside inwards, is the outermost layer: a third of tissue, and cloth as thick as a voxel."""

_TISSUE_HU = -200
"""Beneath the outermost layer a head is denser than this, as fat is."""

_FLESH_HU = -130
"""Fat is hardly fainter than this; a strap on it is, or the blurred seam between the two."""

_LAYER_MM = 8
"""So far it is looked for."""

_BENEATH_MM = 3
"""So far beneath a gap there is skin rather than bone."""

_FALLEN = 0.2
"""The sheet ends where HU has come down to the lowest place up to this share of the fall."""

_OPENING_MM, _HOLLOW_MM = 8.0, 6.0
"""Nostrils and ear canals are no wider than twice the one. Once they are closed, rays start no deeper than the other:
sheets and straps lie outside, and the walls of sinuses look like them."""

_EVEN_MM = 3.0
"""The surface is smoothed over this to tell which way is inwards."""

_NEAR_MM = 8.0
"""How far from where a ray of the sheet starts its voxels are."""

_APART_MM = 1000.0
"""Slices so far apart have nothing to do with each other."""

_BESIDE = 0.75
"""And how far beside that ray, in diagonals of a cell: beyond the sheet's end the next ray says nothing of the skin."""


@dataclass(frozen=True, eq=False)
class Rays:
    """Rays from the patient's surface inwards, one for each cell of it.

    Attributes:
        cell: (n, 3) place among the cells.
        start: (n, 3) place among the voxels.
        inward: (n, 3) direction, mm.
        cm2: (n,) area of the surface.
        first: (n,) mm from the start to where the outermost layer begins.
        begin: (n,) the same, between the samples.
        late: (n,) mm from there to where there is nothing but tissue.
        layer: (n,) mm from there to where there is nothing fainter than fat.
        dip: (n,) HU by which it falls before it rises again.
        trough: (n,) mm from the start to the lowest place of that.
        peak: (n,) highest HU before it.
        edge: (n,) mm from the start to where HU has fallen from the one towards the other.
        beneath: (n,) highest HU right beneath the lowest place.
    """

    cell: np.ndarray
    start: np.ndarray
    inward: np.ndarray
    cm2: np.ndarray
    first: np.ndarray
    begin: np.ndarray
    late: np.ndarray
    layer: np.ndarray
    dip: np.ndarray
    trough: np.ndarray
    peak: np.ndarray
    edge: np.ndarray
    beneath: np.ndarray

    def of(self, which: np.ndarray) -> Rays:
        """Some of the rays; ``which``: (n,) bool."""
        return Rays(*(getattr(self, name)[which] for name in self.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class Voxels:
    """The patient's voxels near some rays.

    Attributes:
        box: part of the scan that holds them.
        where: (k, j, i) place of each in the box, arrays (m,).
        place: (m, 3) in the scan.
        ray: (m,) the nearest ray of each.
        depth: (m,) mm from where that ray starts, inwards.
        beside: (m,) bool: whether it lies beside the ray rather than beyond the last one.
    """

    box: tuple[slice, slice, slice]
    where: tuple[np.ndarray, ...]
    place: np.ndarray
    ray: np.ndarray
    depth: np.ndarray
    beside: np.ndarray


def cast(labels: np.ndarray, hu: np.ndarray, head: np.ndarray, step: Step, factors: Factors) -> Rays | None:
    """Rays into the patient all over the head.

    Args:
        labels: (k, j, i) uint8 as in ``labels``.
        hu: (k, j, i) the scan.
        head: (k,) bool: slices of cells through the head.
        step: mm along k, j, i.
        factors: voxels in a cell along k, j, i.

    Returns:
        None without a head.
    """
    if not head.any():
        return None
    patient = middle_voxels(labels, factors) == PATIENT
    patient[~head] = False
    if not patient.any():
        return None
    size = np.array(step) * factors
    box = bounding_box(patient, size[::-1], 2 * (_EVEN_MM + size.max()))
    outer = ~_within(patient, size)[box]
    patient = patient[box]
    soft = patient.astype(np.float32)
    for _ in range(2):
        soft = ndimage.uniform_filter(soft, [2 * round(_EVEN_MM / one) + 1 for one in size], mode="nearest")
    cell = np.argwhere(patient & ~ndimage.binary_erosion(patient, border_value=1) & outer)
    inward = np.empty(cell.shape)
    for axis in range(3):
        one, two = cell.copy(), cell.copy()
        one[:, axis] = np.minimum(one[:, axis] + 1, patient.shape[axis] - 1)
        two[:, axis] = np.maximum(two[:, axis] - 1, 0)
        inward[:, axis] = (soft[tuple(one.T)] - soft[tuple(two.T)]) / size[axis]
    length = np.linalg.norm(inward, axis=1)
    known = length > 1e-3
    cell, inward = cell[known] + [side.start for side in box], inward[known] / length[known, None]
    start = cell * np.array(factors) + [middle(factor, one) for factor, one in zip(factors, hu.shape)]
    along = np.arange(_START_MM, _STOP_MM)  # a sample each mm
    places = start.T[:, :, None] + (inward / step).T[:, :, None] * along
    values = np.nan_to_num(ndimage.map_coordinates(hu, places, order=1, mode="nearest", output=np.float32), nan=-1000)
    sample, ray = np.arange(len(along)), np.arange(len(cell))
    skin = values > SKIN_HU
    first = np.where(skin.any(axis=1), skin.argmax(axis=1), len(along) - 1)
    within = (sample >= first[:, None]) & (sample <= first[:, None] + _DEEP_MM)
    faint = (values < _TISSUE_HU) & within
    begin = _crossing(values, first, SKIN_HU)
    upper = within & (sample <= first[:, None] + _LAYER_MM)
    late, layer = (
        np.maximum(_rise(values, part, first, level) - begin, 0)
        for part, level in ((within, _TISSUE_HU), (upper, _FLESH_HU))
    )
    before = np.maximum.accumulate(np.where(within, values, -2000), axis=1)
    after = np.maximum.accumulate(values[:, ::-1], axis=1)[:, ::-1]
    fall = np.where(faint, np.minimum(before, after) - values, 0)
    trough = fall.argmax(axis=1)
    highest, lowest = before[ray, trough], values[ray, trough]
    # What is beneath may be hair, as dark all over: the sheet ends where HU has fallen for the most part.
    edge = (sample > np.where(before >= highest[:, None], sample, len(along)).min(axis=1)[:, None]) & (
        values < (lowest + _FALLEN * (highest - lowest))[:, None]
    )
    return Rays(
        cell, start, inward, 1 / np.max(np.abs(inward) * size / np.prod(size), axis=1) / 100, first + float(_START_MM),
        begin + float(_START_MM), late, layer, fall.max(axis=1), trough + float(_START_MM), highest,
        edge.argmax(axis=1) + float(_START_MM),
        np.where((sample >= trough[:, None]) & (sample <= trough[:, None] + _BENEATH_MM), values, -2000).max(axis=1),
    )  # fmt: skip


def _within(patient: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(k, j, i) bool: what lies deep within the outline of a patient whose openings are closed."""
    step = float(np.sqrt(size[1] * size[2]))
    closed = shrink(grow(patient, step, _OPENING_MM), step, _OPENING_MM)
    return shrink(closed | holes(closed), step, _HOLLOW_MM)


def voxels_near(labels: np.ndarray, rays: Rays, step: Step, factors: Factors) -> Voxels:
    """The patient's voxels near some rays.

    Args:
        labels: (k, j, i) uint8 as in ``labels``.
        rays: at least one.
        step: mm along k, j, i.
        factors: voxels in a cell along k, j, i.
    """
    box, ray, near = _nearest(labels, rays, step, factors)
    where = np.nonzero(near & (labels[box] == PATIENT))
    ray = ray[where]
    place = np.stack(where, axis=1) + [side.start for side in box]
    offset = (place - rays.start[ray]) * step
    depth = (offset * rays.inward[ray]).sum(axis=1)
    aside = np.linalg.norm(offset - depth[:, None] * rays.inward[ray], axis=1)
    return Voxels(box, where, place, ray, depth, aside < _BESIDE * np.linalg.norm(np.array(step) * factors))


def from_air(
    labels: np.ndarray, hu: np.ndarray, near: Voxels, step: Step, reach_mm: float, in_slice: bool = True
) -> np.ndarray:
    """(m,) mm from voxels near some rays to air outside the patient; infinite beyond ``reach_mm``.

    Rays tell the depth of a voxel no better than they tell which way is inwards; this knows to a voxel.
    """
    air = (hu[near.box] < SKIN_HU) & (labels[near.box] != PATIENT)
    return distance(air, (step[2], step[1], _APART_MM if in_slice else step[0]), reach_mm)[near.where]


def below_face(labels: np.ndarray, hu: np.ndarray, near: Voxels, step: Step, reach_mm: float) -> np.ndarray:
    """(m,) mm from voxels near some rays to where the air outside the patient ends, between the voxels.

    Infinite beyond ``reach_mm``, and for what is as faint as air.
    """
    plane = hu[near.box].astype(np.float32)
    air = (plane < SKIN_HU) & (labels[near.box] != PATIENT)
    found = []
    for axis in range(3):
        one, two = ([slice(None)] * 3 for _ in range(2))
        one[axis], two[axis] = slice(None, -1), slice(1, None)
        for outer, inner, sign in ((one, two, 1), (two, one, -1)):
            ends = air[tuple(outer)] & (plane[tuple(inner)] >= SKIN_HU)
            before, after = plane[tuple(outer)][ends], plane[tuple(inner)][ends]
            place = np.argwhere(ends).astype(float)
            place[:, axis] += (sign < 0) + sign * (SKIN_HU - before) / (after - before)
            found.append(place)
    face = np.concatenate(found) * step
    result = np.full(len(near.ray), np.inf)
    dense = plane[near.where] >= SKIN_HU
    if len(face) and dense.any():
        places = np.stack(near.where, axis=1)[dense] * np.array(step)
        result[dense] = cKDTree(face).query(places, distance_upper_bound=reach_mm)[0]
    return result


def _nearest(
    labels: np.ndarray, rays: Rays, step: Step, factors: Factors
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


def _rise(values: np.ndarray, within: np.ndarray, first: np.ndarray, level: float) -> np.ndarray:
    """(n,) where HU passes a level for the last time within the samples that count."""
    faint = (values < level) & within
    return _crossing(values, np.where(faint.any(axis=1), values.shape[1] - faint[:, ::-1].argmax(axis=1), first), level)


def _crossing(values: np.ndarray, sample: np.ndarray, level: float) -> np.ndarray:
    """(n,) where, between a sample of each ray and the one before, HU passes a level."""
    ray, sample = np.arange(len(values)), np.minimum(sample, values.shape[1] - 1)
    after, before = values[ray, sample], values[ray, np.maximum(sample - 1, 0)]
    return sample - np.clip((after - level) / np.maximum(after - before, 1), 0, 1)
