"""Pads as dense as tissue that are pressed against the skin: where the skin runs beneath them.

No HU tells such a pad from skin. But around it the skin is free, and skin is smooth: it goes on beneath the pad as a
thin plate does (``plate``). What lies beyond is pad if it is of one material.

All of this is done on the patient's back as seen from behind: for each slice and column one row where the skin ends.
It is done for small pads only: what lies on a large one is pressed flat, and the skin around tells little of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from . import plate
from .labels import BACKGROUND, EQUIPMENT, PATIENT
from .shapes import grow

_SKIN_HU = -500
_PIECE_MM, _HOLDER_MM = 15.0, 40.0
_LEAST_CM2, _LARGEST_CM2 = 1.5, 120.0
_AROUND_MM, _BESIDE_MM = 30.0, 16.0
_FREE_SHARE, _FREE_COLUMNS = 0.6, 30
_UNSURE_MM, _SURE = 1.5, 2.0
_OUTLIER_MM, _ROUNDS = 6.0, 3
_PAD_MM, _THICK_MM, _PAD_ML, _LOOSE_ML = 2.5, 35.0, 0.8, 60.0
_EVEN_HU, _EVEN_SHARE = 50, 0.5
_MEAN_MM, _BONE_HU, _BONE_SHARE = 25.0, 300, 0.01
_SPREADS, _ALIKE_HU, _GAP_HU = 2.5, (25.0, 75.0), -300
_SKIN_MM, _OTHER_SHARE, _DEEPER_MM = (2.0, 4.0), 0.1, 4.0

_AROUND = np.ones((3, 3), bool)

Step = tuple[float, float, float]
Factors = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class _Back:
    """The back of the patient, a sample for each column of cells.

    Attributes:
        height: (k, i) mm from the first row to where the skin ends, between voxels.
        last: (k, i) mm from the first row to the end of the last voxel that was taken for the patient.
        there: (k, i) bool: columns with the patient in them.
        touched: (k, i) bool: of these, those with equipment right behind.
        size: mm of a sample along k and i.
    """

    height: np.ndarray
    last: np.ndarray
    there: np.ndarray
    touched: np.ndarray
    size: tuple[float, float]


def take(labels: np.ndarray, hu: np.ndarray, step: Step, factors: Factors) -> None:
    """Give to the equipment the pads behind the patient that were taken for the patient.

    Args:
        labels: (k, j, i) uint8, slices from the feet to the head, rows from front to back; is changed.
        hu: (k, j, i) the scan.
        step: mm along k, j, i.
        factors: voxels in a cell along k, j, i.
    """
    back = _back_of(labels, hu, step, factors)
    patches, _ = ndimage.label(ndimage.binary_closing(back.touched, _AROUND))
    before = None
    for number, box in enumerate(ndimage.find_objects(patches), start=1):
        patch = patches[box] == number
        if not _LEAST_CM2 < _cm2(patch, back) < _LARGEST_CM2:
            continue
        room = [int(np.ceil(_AROUND_MM / size)) for size in back.size]
        window = tuple(slice(max(0, side.start - add), side.stop + add) for side, add in zip(box, room))
        part = _Back(*(one[window] for one in (back.height, back.last, back.there, back.touched)), back.size)
        found = _skin_beneath(part, patches[window] == number)
        if found is None:
            continue
        before = _sample(labels, factors) == PATIENT if before is None else before
        _take_beyond(labels, hu, step, factors, window, *found)
    if before is not None:
        _take_what_hung_on_it(labels, _largest(before), step, factors)


def _back_of(labels: np.ndarray, hu: np.ndarray, step: Step, factors: Factors) -> _Back:
    kind = _sample(labels, factors)[:, ::-1]  # from the back to the front
    value = np.nan_to_num(_sample(hu, factors)[:, ::-1], nan=-1000.0)
    rows, row = kind.shape[1], np.arange(kind.shape[1])[None, :, None]
    own = kind == PATIENT
    solid = own & (value > _SKIN_HU)
    there, first = solid.any(axis=1), solid.argmax(axis=1)
    # A thin piece behind air is a holder that was taken for the patient.
    gap = ((kind == BACKGROUND) & (row > first[:, None])).argmax(axis=1)
    ahead = solid & (row > gap[:, None])
    piece = there & (gap > first) & ((gap - first) * step[1] < _PIECE_MM) & ahead.any(axis=1)
    first = np.where(piece, ahead.argmax(axis=1), first)
    equipment = kind > PATIENT
    behind = (equipment & (row < first[:, None])).any(axis=1)
    k, i = np.ogrid[: len(kind), : kind.shape[2]]
    one, two = np.maximum(first - 1, 0), np.maximum(first - 2, 0)
    size = (step[0] * factors[0], step[2] * factors[2])
    # So it is where a holder lies behind all the columns around and none behind this one.
    touched = there & (equipment[k, one, i] | equipment[k, two, i] | (_closed(piece | behind, size) & ~piece & ~behind))
    inner, outer = value[k, first, i].astype(float), value[k, one, i].astype(float)
    share = np.clip((inner - _SKIN_HU) / np.maximum(inner - outer, 1), 0, 1)
    last = (rows - 1 - first) * step[1]
    return _Back(last + share * step[1], last + step[1] / 2, there, touched, size)


def _skin_beneath(back: _Back, patch: np.ndarray) -> tuple[np.ndarray, np.ndarray, float] | None:
    """The skin beneath what touches the back: heights, columns of the pad, mm by which the heights may be wrong.

    None where too little of the skin around is free, or it is too uneven, or nothing stands out from it.
    """
    away = ndimage.distance_transform_edt(~patch, back.size)
    where, near = away <= _AROUND_MM, away <= _BESIDE_MM
    ring = near & (away > 2 * max(back.size)) & back.there
    free = back.there & where & ~back.touched & ~ndimage.binary_dilation(patch, _AROUND)
    if min(back.height.shape) < 3 or np.count_nonzero(free & ring) < max(_FREE_SHARE * np.count_nonzero(ring), 1):
        return None
    # Where the back slopes, a height is as unsure as the place across.
    weight = 1 / (1 + np.gradient(back.height, back.size[1], axis=1) ** 2)
    for _ in range(_ROUNDS):
        if np.count_nonzero(free) < _FREE_COLUMNS or not (free & near).any():
            return None
        skin = plate.fit(back.height, np.where(free, weight, 0.0), where, back.size)
        wrong = back.height - skin
        unsure = float(np.sqrt(np.average(wrong[free & near] ** 2, weights=weight[free & near])))
        outliers = free & (wrong > max(_OUTLIER_MM, 2 * unsure))
        if not outliers.any():
            break
        free &= ~outliers
    joined, _ = ndimage.label(patch | (back.there & where & (wrong > _OUTLIER_MM)))
    patch = np.isin(joined, np.unique(joined[patch]))
    stands_out = np.percentile((back.last - skin)[patch], 75) > _PAD_MM
    good = stands_out and unsure < _UNSURE_MM and _cm2(patch, back) < _LARGEST_CM2
    return (skin, patch, unsure) if good else None


def _take_beyond(
    labels: np.ndarray, hu: np.ndarray, step: Step, factors: Factors, window: tuple[slice, slice],
    skin: np.ndarray, patch: np.ndarray, unsure: float,
) -> None:  # fmt: skip
    """Make equipment what lies beyond the skin in the columns of a pad, if it is of one material."""
    k, i = (
        np.arange(side.start * factor, min(side.stop * factor, size))
        for side, factor, size in zip(window, factors[::2], labels.shape[::2])
    )
    at = np.meshgrid(
        *((one - factor // 2) / factor - side.start for one, factor, side in zip((k, i), factors[::2], window)),
        indexing="ij",
    )
    wide = ndimage.binary_dilation(patch, _AROUND).astype(np.uint8)
    surface = ndimage.map_coordinates(skin, at, order=1, mode="nearest")[:, None] + _SURE * unsure
    columns = ndimage.map_coordinates(wide, at, order=0, mode="nearest")[:, None] > 0
    box = (slice(k[0], k[-1] + 1), slice(None), slice(i[0], i[-1] + 1))
    kind, value = labels[box], np.nan_to_num(hu[box], nan=-1000.0)
    height = np.arange(labels.shape[1])[None, :, None] * step[1]
    beyond = (kind == PATIENT) & columns & (height > surface) & (height < surface + _THICK_MM)
    # Neither voxels at its edge nor the skin's blur tell what it is made of.
    inside = ndimage.binary_erosion(beyond | (kind > PATIENT), _AROUND[None]) & (height > surface + 1.5 * step[1])
    material = value[inside & beyond]
    if material.size * np.prod(step) / 1000 < _PAD_ML:
        return
    middle = float(np.median(material))
    if np.mean(np.abs(material - middle) < _EVEN_HU) < _EVEN_SHARE:
        return
    dense = material[np.abs(material - middle) < _ALIKE_HU[1]]
    middle, spread = float(np.median(dense)), 1.4826 * float(np.median(np.abs(dense - np.median(dense))))
    alike = np.abs(value - middle) < np.clip(_SPREADS * spread, *_ALIKE_HU)
    # The skin may lie farther out than thought: then the pad starts where its material does, or behind a gap.
    beyond &= np.maximum.accumulate((alike | (value < _GAP_HU)) & (height > surface), axis=1)
    own = (kind == PATIENT) & ~columns & (np.abs(height - surface + _SKIN_MM[1]) < _SKIN_MM[0])
    if own.any() and np.mean(alike[own]) < _OTHER_SHARE:
        # Skin is of another density than this pad, so that the pad itself tells how deep it goes.
        deeper = (kind == PATIENT) & columns & alike & (height > surface - _DEEPER_MM)
        for _ in range(int(np.ceil(2 * _DEEPER_MM / step[1]))):
            beyond[:, :-1] |= deeper[:, :-1] & (beyond | (kind > PATIENT))[:, 1:]
    else:
        beyond &= height > surface + unsure
    # No pad holds bone, and none is that thick all over: then the skin was thought too deep.
    depth = np.count_nonzero(beyond) * step[1] / max(np.count_nonzero(beyond.any(axis=1)), 1)
    if depth > _MEAN_MM or np.mean(value[beyond] > _BONE_HU) > _BONE_SHARE:
        return
    counts = np.bincount(kind.ravel(), minlength=max(EQUIPMENT) + 1)
    kind[beyond] = max(EQUIPMENT, key=lambda one: counts[one])


def _take_what_hung_on_it(labels: np.ndarray, body: np.ndarray, step: Step, factors: Factors) -> None:
    """Make equipment the small parts that belonged to the body (cells, before) by nothing but pads."""
    parts, count = ndimage.label(_sample(labels, factors) == PATIENT)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    loose = np.bincount(parts[body], minlength=count + 1) > 0.9 * sizes
    loose &= sizes * np.prod(step) * np.prod(factors) / 1000 < _LOOSE_ML
    sizes[0] = 0
    loose[[0, int(sizes.argmax())]] = False
    if not loose.any():
        return
    cells = grow(loose[parts], 1.0, 1.0)
    kinds = _sample(labels, factors)[ndimage.binary_dilation(cells)]
    counts = np.bincount(kinds, minlength=max(EQUIPMENT) + 1)
    kind = max(EQUIPMENT, key=lambda one: counts[one])
    keep = grow(parts == int(sizes.argmax()), 1.0, 1.0)
    for k, j, i in zip(*np.nonzero(cells & ~keep)):
        cell = labels[tuple(slice(at * factor, (at + 1) * factor) for at, factor in zip((k, j, i), factors))]
        cell[cell == PATIENT] = kind


def _sample(array: np.ndarray, factors: Factors) -> np.ndarray:
    """The middle voxel of each cell."""
    return array[tuple(slice(min(factor // 2, size - 1), None, factor) for factor, size in zip(factors, array.shape))]


def _largest(mask: np.ndarray) -> np.ndarray:
    parts, _ = ndimage.label(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return parts == int(sizes.argmax())


def _closed(mask: np.ndarray, size: tuple[float, float]) -> np.ndarray:
    """(k, i) bool: with what lies between parts of a mask along a slice, across them or all around."""
    reach = [2 * round(_HOLDER_MM / one) + 1 for one in size]
    padded = np.pad(mask, [(one, one) for one in reach])
    along, across = (ndimage.binary_closing(padded, np.ones(shape, bool)) for shape in ((reach[0], 1), (1, reach[1])))
    return ndimage.binary_fill_holes(along | across)[tuple(slice(one, -one) for one in reach)]


def _cm2(patch: np.ndarray, back: _Back) -> float:
    return float(np.count_nonzero(patch) * np.prod(back.size) / 100)
