"""The seam between a pad and the skin: the dark voxels between them, or where HU rises from a pad's to tissue's.

Two surfaces that meet keep some air or hair between them here and there, and even where they don't, their blurred edges
leave a voxel that is darker than both. Where such a voxel is darker than any fat, it is the seam, exactly; this is so
in a part of the columns only, but skin is smooth, so that it is known between them. A pad that is fainter than fat all
through ends where tissue begins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

_MATERIAL_MM = 6.0
"""What a pad is made of is read from its outermost so many mm, all of which are pad where it is not a mere sheet."""

_NEAR_HU = 75.0
"""Of these what is no farther from the median is the material; the rest are edges and the skin beneath thin places."""

_EVEN_SHARE = 0.5
"""A pad is of one material: at least that share of what lies behind the skin is no farther from its median."""

_SOLID_HU = -500
"""Half-way between air and tissue."""

_DARK_HU, _NOISES, _ALONE_NOISES = -150.0, 3.5, 5.0
"""Fainter than fat, and that by so many standard deviations of the noise: by the latter where no sample beside shows
the seam, too, since of so many samples a few hold grains of fat that are darker than the former.
"""

_FAINT_HU, _FAT_HU = -200.0, -100.0
"""No tissue is as faint as the former over the thickness of a pad; fat is no denser than the latter."""

_FILM_HU = 60.0
"""By so much a film of air is fainter than the pad and than what lies beneath."""

_SPREADS = 2.0
"""Where a film is not as dark, by so many spreads of the pad: what is not even is darker by that much in places."""

_ALIKE_HU = 20.0
"""What lies deeper than thought is pad only if it is as near to its material as that: skin may be almost as dense."""

_ALIKE_SPREADS, _ALIKE_RANGE_HU = 2.5, (25.0, 75.0)
"""What is within so many standard deviations of the median HU is of a material; no less, no more HU than that."""

_PADS_SHARE = 0.5
"""A voxel that is farther from the pad's material, by this share of the step to the next voxel, may be skin as well."""

_START_MM = 5.0
"""A pad's material begins no deeper than this beneath its far side, which is blurred or the shell of a holder."""

_BENEATH_MM = 5.0
"""A film is thinner than that."""

_BARE_MM, _BONE_HU = 1.5, 500
"""No bone lies right beneath skin; what is dark before bone is the shadow that a sharp kernel gives it."""


@dataclass(frozen=True, eq=False)
class Seam:
    """Where a pad ends towards the skin.

    Attributes:
        height: (k, i) mm from the first row, between voxels, dark ones being the skin's; NaN where nothing is seen.
        middle_hu: median of the pad's material.
        spread_hu: its standard deviation.
        tissue_hu: what is denser is no pad; infinite where the pad may be as dense as tissue.
    """

    height: np.ndarray
    middle_hu: float
    spread_hu: float
    tissue_hu: float


def find(value: np.ndarray, own: np.ndarray, step_mm: float, pad: np.ndarray, deepest_mm: float) -> Seam | None:
    """Where a pad ends towards the skin.

    Args:
        value: (k, j, i) HU of the columns, rows from front to back.
        own: (k, j, i) bool: what was taken for the patient.
        step_mm: of the rows.
        pad: (k, i) bool: columns with the pad.
        deepest_mm: pads are no thicker.

    Returns:
        None where what lies there is not of one material.
    """
    columns, solid, first = _from_behind(value, own)
    pad = pad & solid.any(axis=-1)
    material = _material(columns[pad], first[pad], step_mm) if pad.any() else None
    if material is None:
        return None
    middle, spread = material
    noise = _noise(columns, solid)
    limit = min(_DARK_HU, _FAT_HU - _NOISES * noise, middle - _FILM_HU)
    row = np.arange(columns.shape[-1], dtype=np.int16)
    begun = (columns > limit) & (row >= first[..., None])
    start = begun.argmax(axis=-1)
    # A pad that is fainter than fat ends where tissue begins, too.
    tissue = (middle + _FAT_HU) / 2 if middle < _FAINT_HU else np.inf
    end = (((columns <= limit) | (columns > tissue)) & (row > start[..., None])).argmax(axis=-1)
    seen = pad & begun.any(axis=-1) & _is_pad(first, start, end, step_mm, deepest_mm)
    k, i = np.nonzero(seen)
    beneath = _from(columns[k, i], end[k, i] + 1, 1 + max(2, round(_BENEATH_MM / step_mm)))
    film = columns[k, i, end[k, i]]
    solid = beneath > np.where(film > limit, tissue, np.maximum(limit, film + _FILM_HU))[:, None]
    seen[k, i] = (solid[:, :-1] & solid[:, 1:]).any(axis=1)  # not so where it is the lung
    seen[k, i] &= ~(beneath[:, : max(1, round(_BARE_MM / step_mm))] > _BONE_HU).any(axis=1)
    beside = ndimage.uniform_filter(seen.astype(float), 3) > 1.5 / 9
    seen[k, i] &= beside[k, i] | (film < _FAT_HU - _ALONE_NOISES * noise) | (film > limit)
    return Seam(np.where(seen, (columns.shape[-1] - 0.5 - end) * step_mm, np.nan), middle, spread, tissue)


def material_ends(
    value: np.ndarray, own: np.ndarray, step_mm: float, pad: np.ndarray, deepest_mm: float, seam: Seam
) -> np.ndarray:
    """Where the pad's own material ends, for skin that is of another: of use where no film shows the seam.

    Args:
        value: (k, j, i) HU of the columns, rows from front to back.
        own: (k, j, i) bool: what was taken for the patient.
        step_mm: of the rows.
        pad: (k, i) bool: columns with the pad.
        deepest_mm: pads are no thicker.
        seam: of the pad.

    Returns:
        (k, i) mm from the first row, between voxels; NaN where it does not end so soon.
    """
    columns, solid, first = _from_behind(value, own)
    other = ~is_alike(columns, seam.middle_hu, seam.spread_hu)
    other[..., :-1] &= other[..., 1:]  # a single voxel is noise
    row = np.arange(columns.shape[-1], dtype=np.int16)
    begun = ~other & (row >= first[..., None])
    start = begun.argmax(axis=-1)
    end = (other & (row > start[..., None])).argmax(axis=-1)
    seen = pad & solid.any(axis=-1) & begun.any(axis=-1) & _is_pad(first, start, end, step_mm, deepest_mm)
    return np.where(seen, (columns.shape[-1] - 0.5 - end) * step_mm, np.nan)


def is_alike(value: np.ndarray, middle_hu: float, spread_hu: float) -> np.ndarray:
    """Bool: which HU are those of a material, whose median and standard deviation are given."""
    return np.abs(value - middle_hu) < np.clip(_ALIKE_SPREADS * spread_hu, *_ALIKE_RANGE_HU)


def nearby(value: np.ndarray, own: np.ndarray, step_mm: float, seam: Seam, height: np.ndarray) -> np.ndarray:
    """Where it is known about where a pad ends, a voxel that is a little darker than the pad suffices.

    Args:
        value: (k, j, i) HU of the columns, rows from front to back.
        own: (k, j, i) bool: what was taken for the patient.
        step_mm: of the rows.
        seam: of the pad.
        height: (k, i) mm from the first row to where the skin should end.

    Returns:
        (k, i) mm, between voxels and no farther than one voxel from there; NaN where there is no such voxel.
    """
    found = np.full(height.shape, np.nan)
    face = np.rint(height / step_mm - 0.5).astype(int)
    for shift in (1, -1, 0):  # the nearest comes last
        inner = np.clip(face + shift, 0, value.shape[1] - 2)[:, None]
        skin, pad = (np.take_along_axis(value, inner + more, axis=1)[:, 0] for more in (0, 1))
        wrong = np.abs(pad - seam.middle_hu)
        alike = np.take_along_axis(own, inner + 1, axis=1)[:, 0]  # else it is the holder's own face
        alike &= (wrong < (_ALIKE_HU if shift < 0 else _FILM_HU)) & (wrong < _PADS_SHARE * (pad - skin))
        seen = alike & (skin < seam.middle_hu - max(_FILM_HU, _SPREADS * seam.spread_hu))
        found = np.where(seen, (inner[:, 0] + 0.5) * step_mm, found)
    return found


def _from_behind(value: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(k, i, row) HU of the columns from the back to the front, and bool: what is solid; (k, i) its first row."""
    columns = value[:, ::-1].transpose(0, 2, 1).copy()  # in one piece it is read faster
    solid = own[:, ::-1].transpose(0, 2, 1) & (columns > _SOLID_HU)
    return columns, solid, solid.argmax(axis=-1)


def _is_pad(first: np.ndarray, start: np.ndarray, end: np.ndarray, step_mm: float, deepest_mm: float) -> np.ndarray:
    """(k, i) bool: where a material that starts and ends in these rows does so as a pad's."""
    near, thin = (start - first) * step_mm < _START_MM, (end - first) * step_mm < deepest_mm
    return near & thin & (end > start)


def _material(columns: np.ndarray, first: np.ndarray, step_mm: float) -> tuple[float, float] | None:
    """Median HU of a pad and its spread (standard deviation); None where it is not of one material."""
    outer = _from(columns, first + 1, max(2, round(_MATERIAL_MM / step_mm))).ravel()
    outer = outer[outer > _SOLID_HU]
    if not outer.size:
        return None
    middle = float(np.median(outer))
    near = outer[np.abs(outer - middle) < _NEAR_HU]
    if near.size < _EVEN_SHARE * outer.size:
        return None
    middle = float(np.median(near))
    return middle, 1.4826 * float(np.median(np.abs(near - middle)))


def _noise(columns: np.ndarray, solid: np.ndarray) -> float:
    """Standard deviation of the noise: neighbouring columns differ by little else."""
    apart = np.abs(np.diff(columns, axis=1))[solid[:, 1:] & solid[:, :-1]]
    return 1.4826 * float(np.median(apart)) / np.sqrt(2) if apart.size else 0.0


def _from(columns: np.ndarray, start: np.ndarray, count: int) -> np.ndarray:
    """(n, count): what each of the (n, rows) columns holds from a row on."""
    rows = np.minimum(start[:, None] + np.arange(count), columns.shape[1] - 1)
    return np.take_along_axis(columns, rows, axis=1)
