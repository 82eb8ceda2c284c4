"""Where the skin runs beneath a pad that is pressed against it.

Around the pad skin is free, and skin is smooth: it goes on beneath as a thin plate does (``plate``). Where the seam
between pad and skin is seen (``seam``), the plate runs through it, and so far more exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from . import plate, seam
from .back import Back

AROUND_MM = 30.0
"""So far around a pad the plate goes."""

THICK_MM = 35.0
"""No pad is thicker than that at any place."""

_BESIDE_MM = 16.0
"""Skin this near to a pad has to be known, as it tells most."""

_FREE_SHARE, _FREE_COLUMNS = 0.6, 30
"""At least that share of the skin beside a pad has to be free, and so many samples of all around it."""

_LARGEST_CM2 = 120.0
"""Beneath what is larger the skin around tells little: it is pressed flat. There the seam has to be seen."""

_SMALL_CM2 = 20.0
"""Beneath what is smaller it tells enough, whatever the pad is made of."""

_LEAST_SEEN, _SEEN_PART = 20, 0.07
"""The seam has to be seen in so many samples and in that share of the pad's."""

_UNSURE_MM, _SURE = 1.5, 2.0
"""The plate may miss what it runs through by that (root mean square), and be wrong elsewhere by so many times it."""

_OUTLIER_MM, _ROUNDS = 6.0, 3
"""What stands out farther than that is no skin; it is left out in turn."""

_PAD_MM = 2.5
"""Less than that is no pad, but the skin that is not quite as smooth as a plate."""

_STEEP, _FLAT = 1.0, 0.5
"""Where nothing is seen of the seam, pads are taken off skin that faces back: its slope is at most 1, and half of that
where nothing lies right behind. Necks, ears and cheeks fall away at the sides."""

_STEEPEST = 2.0
"""Where the seam is seen near by, the slope of the skin may be that."""

_DEEPEST_MM = 15.0
"""A seam that seems to lie deeper than that beneath where the free skin goes on is the lung's edge or an air cell."""

_DENT_MM, _DENT_SHARE = 2.0, 0.6
"""No pad dents skin by more than that share of how far free skin is, but for so much; a seam half of which lies deeper
is the edge of something else."""

_TRUST_MM, _TRUSTED, _TRUST_ROUNDS = 1.5, 0.3, 4
"""A seam that far from the plate counts half (Cauchy's weights, found in rounds); one of less weight is none."""

_SEAM_SHARE = 0.7
"""At least that share of what looks like the seam has to fit to a plate."""

_LONE_MM, _LONE_SHARE = 10.0, 0.05
"""Fewer than that share of all, so far from the others, are edges of something else."""

_FREE_MM = 4.0
"""Where nothing firm lies behind, a column that ends within that of the plate ends with free skin."""

_REACH_MM, _BLUR_MM, _NEAR_SHARE = 15.0, 6.0, 0.5
"""The plate holds so far from where the seam was seen, less far where only a blurred edge lies behind. At least that
share of the pad lies so near."""

_BETWEEN_MM = 30.0
"""Where the seam was seen to the left and to the right, the plate holds so far from it, too, but is less sure."""

_FOLLOWED_MM, _FOLLOWED_IN_MM = 40.0, 5.0
"""So far from where it was seen the seam is followed, and into the patient so far from the plate: deeper lies the edge
of a lung or a muscle."""

_FILM_SHARE = 0.25
"""A dark voxel counts as the skin's, though on average that much of it is not."""

_SKIN_MM, _OTHER_SHARE = ((1.0, 2.5), (2.5, 6.0)), 0.25
"""Free skin, and the fat beneath it, between so many mm deep, are of another material if no larger share is as the pad.
"""

_OUTER_PERCENT, _OUTER_SAMPLES = 75, 3
"""Grains of skin that are as the pad is make its end seem too deep, nothing makes it too high: of so many samples
along each axis, this percentile from the deepest up is the end.
"""

_MARGIN = 0.5
"""What lies beyond the plate by less than that part of its error stays with the skin, as that is worse to lose."""

_ALL_AROUND = np.ones((3, 3), bool)


@dataclass(frozen=True, eq=False)
class Skin:
    """The skin beneath a pad, (k, i) samples.

    Attributes:
        height: mm from the first row; what is farther out is pad.
        patch: bool: columns of the pad.
        exact: bool: columns in which the seam was seen, so that the height is known to the voxel.
        small: whether the pad is so small that the skin around tells it surely.
        seam: what was seen of the pad's end; None where the free skin around told all.
    """

    height: np.ndarray
    patch: np.ndarray
    exact: np.ndarray
    small: bool
    seam: seam.Seam | None = None


def find(
    back: Back, patch: np.ndarray, columns: Callable[[], tuple[np.ndarray, ...]], step_mm: float
) -> Skin | None:  # fmt: skip
    """The skin beneath what touches the back.

    Args:
        back: of the patient.
        patch: (k, i) bool: what is touched, in one piece.
        columns: gives (k, j, i) HU of the columns, bool: what was taken for the patient, and bool: of that what is no
            holder's face; asked where it is needed.
        step_mm: of the rows.

    Returns:
        None where too little of the skin around is free, it is too uneven, or nothing stands out from it.
    """
    away = ndimage.distance_transform_edt(~patch, back.size)
    where, beside = away <= AROUND_MM, away <= _BESIDE_MM
    ring = beside & (away > 2 * max(back.size)) & back.there
    free = back.there & where & ~back.touched & ~ndimage.binary_dilation(patch, _ALL_AROUND)
    if min(back.height.shape) < 3 or np.count_nonzero(free & ring) < max(_FREE_SHARE * np.count_nonzero(ring), 1):
        return None
    large = back.cm2(patch) >= _LARGEST_CM2
    if large:
        value, own, bare = columns()
        seen = seam.find(value, own, step_mm, patch, THICK_MM)
        if seen is None or np.count_nonzero(np.isfinite(seen.height)) < _SEEN_PART * np.count_nonzero(patch):
            return None
    around = _from_around(back, free, where, beside)
    if around is None:
        return None
    skin, weight, unsure = around
    slope = _slope(skin, back)
    stands_out = (back.height - skin) / np.hypot(1, slope)  # across the skin
    joined, _ = ndimage.label(patch | (back.there & where & (stands_out > _OUTLIER_MM)))
    whole = np.isin(joined, np.unique(joined[patch]))
    facing = whole & (slope < np.where(patch | back.firm, _STEEP, _FLAT))
    if not facing.any():
        return None
    good = np.percentile((back.last - skin)[facing], 75) > _PAD_MM
    good &= unsure < _UNSURE_MM and back.cm2(whole) < _LARGEST_CM2
    if not large:
        value, own, bare = columns()
    pad = ndimage.binary_dilation(whole, _ALL_AROUND)
    seen = seam.find(value, own, step_mm, pad, THICK_MM)
    through = None if seen is None else _through_the_seam(back, whole, where, weight, skin, seen, value, bare, step_mm)
    wide = good and back.cm2(facing) >= _SMALL_CM2
    if through is None and seen is not None and wide and _is_other(back, free & where, value, own, step_mm, seen):
        seen = _with_ends(seen, skin, value, own, step_mm, pad)
        through = _through_the_seam(back, whole, where, weight, skin, seen, value, bare, step_mm)
    if through is None:
        small = back.cm2(facing) < _SMALL_CM2
        return Skin(skin + _SURE * unsure, facing, np.zeros_like(whole), small) if good else None
    result, near = through
    careful = np.maximum(result.height, skin + 2 * _SURE * unsure)
    height = np.where(near, result.height, careful)
    return replace(result, height=height, patch=result.patch & (near | (good & facing)))


def _from_around(
    back: Back, free: np.ndarray, where: np.ndarray, beside: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float] | None:
    """The plate through the free skin: (k, i) mm, (k, i) weights of that skin, root mean square of what it misses.

    None where too little of the skin is free.
    """
    free = free.copy()
    # Where the back slopes, a height is as unsure as the place across.
    weight = 1 / (1 + np.gradient(back.height, back.size[1], axis=1) ** 2)
    for _ in range(_ROUNDS):
        if np.count_nonzero(free) < _FREE_COLUMNS or not (free & beside).any():
            return None
        skin = plate.fit(back.height, np.where(free, weight, 0.0), where, back.size)
        wrong = back.height - skin
        unsure = float(np.sqrt(np.average(wrong[free & beside] ** 2, weights=weight[free & beside])))
        outliers = free & (wrong > max(_OUTLIER_MM, 2 * unsure))
        if not outliers.any():
            break
        free &= ~outliers
    return skin, np.where(free, weight, 0.0), unsure


def _through_the_seam(
    back: Back, patch: np.ndarray, where: np.ndarray, weight: np.ndarray, skin: np.ndarray, seen: seam.Seam,
    value: np.ndarray, bare: np.ndarray, step_mm: float,
) -> tuple[Skin, np.ndarray] | None:  # fmt: skip
    """The skin by the plate through the free skin and the seam, and (k, i) bool where the seam is near or followed.

    None where the seam is seen too seldom or is uneven.
    """
    across = np.hypot(1, _slope(skin, back))
    depth = (skin - seen.height) / across
    known = np.isfinite(seen.height) & where & (depth < _DEEPEST_MM)
    dent = _DENT_MM + _DENT_SHARE * ndimage.distance_transform_edt(weight == 0, back.size)
    if np.count_nonzero(known) < _LEAST_SEEN or np.mean((depth > dent)[known]) > 0.5:
        return None
    height = np.where(known, seen.height - _FILM_SHARE * step_mm, back.height)
    maybe_free = back.there & where & ~back.firm & ~known & (weight == 0)
    trust, as_free = np.ones(height.shape), np.zeros(height.shape)
    for _ in range(_TRUST_ROUNDS):
        skin = plate.fit(height, np.where(known, trust, np.where(maybe_free, as_free, weight)), where, back.size)
        trust = 1 / (1 + ((height - skin) / _TRUST_MM) ** 2)
        as_free = np.clip(1 - ((height - skin) / across / _FREE_MM) ** 2, 0, 1) ** 2
    good = known & (trust > _TRUSTED)
    pad = patch & (back.last - skin > _PAD_MM)
    least = max(_SEAM_SHARE * np.count_nonzero(known), _SEEN_PART * np.count_nonzero(pad), 1)
    if np.count_nonzero(good) < least or np.count_nonzero(pad) < _LEAST_SEEN:
        return None
    good &= ~_lone(good, back.size)
    unsure = float(np.sqrt(np.mean((height - skin)[good] ** 2)))
    away = ndimage.distance_transform_edt(~good, back.size)
    if unsure > _UNSURE_MM or np.mean(away[pad] < _REACH_MM) < _NEAR_SHARE:
        return None
    near = away < np.where(back.firm, _REACH_MM, _BLUR_MM)
    slope = _slope(skin, back)
    height = np.where(good, seen.height, np.where(near, seam.nearby(value, bare, step_mm, seen, skin), np.nan))
    deepest = skin - _FOLLOWED_IN_MM * np.hypot(1, slope)
    height = _followed(height, deepest, patch, value, bare, step_mm, seen, round(_FOLLOWED_MM / min(back.size)))
    exact = np.isfinite(height)
    margin = np.where(near, _MARGIN, _SURE) * unsure
    near |= _between(good) & back.firm & (away < _BETWEEN_MM)
    height = np.where(exact, height, skin + margin * np.hypot(1, slope))
    return Skin(height, patch & (exact | (slope < _STEEPEST)), exact, False, seen), near | exact


def _is_other(
    back: Back, free: np.ndarray, value: np.ndarray, own: np.ndarray, step_mm: float, seen: seam.Seam
) -> bool:
    """Whether free skin and what lies beneath it are of another material than a pad."""
    depth = back.height[:, None] - np.arange(value.shape[1])[None, :, None] * step_mm
    skin, alike = own & free[:, None], seam.is_alike(value, seen.middle_hu, seen.spread_hu)
    layers = [alike[skin & (depth > least) & (depth < most)] for least, most in _SKIN_MM]
    return all(layer.size and np.mean(layer) < _OTHER_SHARE for layer in layers)


def _with_ends(
    seen: seam.Seam, skin: np.ndarray, value: np.ndarray, own: np.ndarray, step_mm: float, pad: np.ndarray
) -> seam.Seam:
    """A seam with where the pad's material ends, in the columns in which no film shows it."""
    apart = seam.material_ends(value, own, step_mm, pad, THICK_MM, seen) - skin
    apart = ndimage.percentile_filter(
        np.where(np.isfinite(apart), apart, -THICK_MM), _OUTER_PERCENT, size=_OUTER_SAMPLES
    )
    ends = np.where(apart > -THICK_MM, skin + apart, np.nan)
    return replace(seen, height=np.where(np.isfinite(seen.height), seen.height, ends))


def _followed(
    height: np.ndarray,
    deepest: np.ndarray,
    patch: np.ndarray,
    value: np.ndarray,
    bare: np.ndarray,
    step_mm: float,
    seen: seam.Seam,
    rounds: int,
) -> np.ndarray:
    """(k, i) mm, NaN where not known: the seam with what joins on to it column by column, by a voxel at most.

    No deeper than ``deepest`` (k, i) mm.
    """
    for _ in range(rounds):
        known = np.isfinite(height)
        number = ndimage.uniform_filter(known.astype(float), 3)
        beside = patch & ~known & (number > 0.5 / 9)
        if not beside.any():
            break
        mean = ndimage.uniform_filter(np.where(known, height, 0.0), 3) / np.maximum(number, 0.5 / 9)
        found = np.where(beside, seam.nearby(value, bare, step_mm, seen, np.where(beside, mean, 0.0)), np.nan)
        found[found < deepest] = np.nan
        if not np.isfinite(found).any():
            break
        height = np.where(known, height, found)
    return height


def _lone(good: np.ndarray, size: tuple[float, float]) -> np.ndarray:
    """(k, i) bool: what of a mask is few, and far from the rest."""
    parts, count = ndimage.label(ndimage.distance_transform_edt(~good, size) < _LONE_MM / 2)
    number = np.bincount(parts[good], minlength=count + 1)
    return good & (number < _LONE_SHARE * number.sum())[parts]


def _between(good: np.ndarray) -> np.ndarray:
    """(k, i) bool: what has some of a mask to its left and to its right."""
    return np.maximum.accumulate(good, axis=1) & np.maximum.accumulate(good[:, ::-1], axis=1)[:, ::-1]


def _slope(skin: np.ndarray, back: Back) -> np.ndarray:
    return np.hypot(*np.gradient(skin, *back.size))
