"""Matches between two scans of one patient, improved by the images: a registration along the body axis only.

Each axial slice becomes a small picture of the body (table and air left out, centred, 5 mm pixels, once for soft tissue
and once for the lungs). From each picture its neighbours' mean along z is taken away, so that only what is special
about this height is left. The normalised correlation of such pictures is compared around the match of the curves, and
the smooth path of the largest correlation is found by dynamic programming (Sakoe and Chiba 1978 for the constraint on
the slope). Where that path doesn't stand out clearly against the heights beside it, the curve's match stays.

The figures below were set on real scans: follow-ups made by known maps, and the one pair of real examinations of one
person that overlaps (see Docs/Evaluation.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume
from scipy import fft, ndimage

from .matching import Line, Match, increasing
from .results import Flag

Progress = Callable[[int, int, str], bool]

PIXEL_MM = 5.0
PICTURE = 96
STEP_MM = 3.0
"""Distance of the pictures along the body."""
WINDOWS_HU = ((-150.0, 250.0), (-1000.0, -200.0))
NEIGHBOURHOOD_MM = 25.0
"""Standard deviation of the Gaussian along z whose mean is taken away."""

SEARCH_MM = 40.0
"""The path is looked for at least this far on both sides of the curve's match."""
OFFSET_MM = 2.0
"""Step of the displacements that are tried; with STEP_MM it bounds the slope to a third .. five thirds."""
PASSES = 3
"""The comparison is repeated with what the last pass found to be the shared part."""
BEND = 0.15
"""Correlation that a change of the displacement by one step has to be worth."""
WINDOW_MM = 15.0
"""Correlations are averaged over about this half-width when a path is judged."""
RIVAL_MM = 12.0
"""A height further than this from the path is a rival."""
MIN_CORRELATION = 0.4
MIN_LEAD = 0.12
"""By how much the path's correlation has to exceed that of every rival."""
MIN_CONFIRMED = 0.3
"""Share of the matched slices that the images have to confirm."""
MIN_LENGTH_MM = 30.0
"""Less than this confirmed altogether is chance."""
SCALE_LENGTH_MM = 120.0
"""Over this length the images know the scale between the two scans better than the curves."""
SIGMA_MM = 4.5
"""Standard deviation of a registered match, slice spacing aside.

Known maps are found again within 1 mm, but in real examinations bones and organs move apart: in the one real pair the
ribs and the sternum lie 216 mm, arch and carina (read by eye, to some 4 mm) 209 mm higher, and the match says 216.
"""
END_SIGMA_MM = 3.0
"""What is added (in quadrature) at the ends of a scan, where neighbours are on one side only; it fades over END_MM."""
END_MM = 15.0
DRIFT = 0.12
"""Growth of that standard deviation per mm of distance from the next registered slice."""


def refine(
    match: Match, baseline_volume: CTVolume, followup_volume: CTVolume, progress: Progress | None = None
) -> Match:
    """Improve a match with the images; where they don't speak clearly it stays as it is.

    Args:
        match: of the two located scans.
        baseline_volume: HU, as it was located.
        followup_volume: HU, as it was located.
        progress: called with (done, total, text); False cancels.

    Raises:
        CTError: cancelled.
    """
    if match.refused or match.line is None:
        return match
    if match.line.followup_z_mm[-1] < match.line.followup_z_mm[0]:  # one of them is upside-down
        return match
    return _told(_refined(match, baseline_volume, followup_volume, progress))


def _told(match: Match) -> Match:
    """The match with a warning where the images confirm little of it."""
    confirmed = [pair.method == "registered" for pair in match.pairs if pair.covered]
    if not confirmed or np.mean(confirmed) >= MIN_CONFIRMED:
        return match
    text = "The images do not confirm this match: it rests on the locations alone. Compare the slices by eye."
    return replace(match, flags=(*match.flags, Flag("not_confirmed", text)))


def _refined(match: Match, baseline_volume: CTVolume, followup_volume: CTVolume, progress: Progress | None) -> Match:
    line = match.line
    reach = max(SEARCH_MM, 3.0 * float(line.sigma_mm.max()))
    inside = (line.followup_z_mm > line.slices_z_mm[0] - reach) & (line.followup_z_mm < line.slices_z_mm[-1] + reach)
    if np.count_nonzero(inside) < 2:
        return match
    wanted = line.baseline_z_mm[inside]
    margin = 2 * NEIGHBOURHOOD_MM
    places = line.followup_z_mm[inside]
    _report(progress, 0, 3, "Looking at the baseline")
    z_1, one = _pictures(baseline_volume.as_axial(), wanted[0] - margin, wanted[-1] + margin)
    _report(progress, 1, 3, "Looking at the follow-up")
    z_2, two = _pictures(followup_volume.as_axial(), places[0] - reach - margin, places[-1] + reach + margin)
    _report(progress, 2, 3, "Comparing the images")
    if min(len(z_1), len(z_2)) < 4:
        return match
    curve = np.interp(z_1, line.baseline_z_mm, line.followup_z_mm)
    two = _aligned(one, two, z_2, curve)
    offsets = np.arange(-np.ceil(reach / OFFSET_MM), np.ceil(reach / OFFSET_MM) + 1) * OFFSET_MM
    sigma = np.interp(z_1, line.baseline_z_mm, line.sigma_mm)
    displacement, expected = np.zeros(len(z_1)), np.full(len(z_1), MIN_CORRELATION)
    for _ in range(PASSES):
        score = _along(_correlate(one, two, *_shared(z_1, z_2, curve + displacement)), z_2, curve, offsets)
        path = _best_path(score, expected, offsets, sigma)
        displacement, accepted = _judge(score, path)
        expected = _typical(score, path)
    _report(progress, 3, 3, "Done")
    if np.count_nonzero(accepted) * STEP_MM < MIN_LENGTH_MM:
        return match
    improved = match.with_line(_improved(line, z_1, displacement, accepted))
    good = z_1[accepted]
    if np.ptp(good) < SCALE_LENGTH_MM:
        return improved
    return improved.with_scale(float(np.polyfit(good, (curve + displacement)[accepted], 1)[0]), float(np.ptp(good)))


def _pictures(volume: CTVolume, low_mm: float, high_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Small pictures of the body at even heights.

    Returns:
        (n,) LPS z; (n, 2, PICTURE, PICTURE) values in [0, 1], one per window, 0 outside the body.
    """
    z_mm = volume.superior()
    kept = np.flatnonzero((z_mm >= low_mm) & (z_mm <= high_mm))
    if len(kept) < 2:
        return np.empty(0), np.empty((0, 2, PICTURE, PICTURE), np.float32)
    grid = np.arange(z_mm[kept[0]], z_mm[kept[-1]] + 1e-6, STEP_MM)
    place = np.interp(grid, z_mm[kept], np.arange(len(kept)))
    below = np.minimum(place.astype(int), len(kept) - 2)
    part = (place - below).astype(np.float32)[:, None, None, None]
    used = np.unique([below, below + 1])
    factors = [max(int(PIXEL_MM / volume.spacing[axis]), 1) for axis in (1, 0)]
    small = np.stack([_shrink(volume.array[k], factors) for k in kept[used]])
    pixels = np.array([volume.spacing[axis] * factor for axis, factor in zip((1, 0), factors)])
    body, centres = _body(small[:, 1], pixels, z_mm[kept[used]])
    small *= body[:, None]
    small = ndimage.gaussian_filter(small, (0, 0, *(PIXEL_MM / pixels)), truncate=3.0)
    scale = PIXEL_MM / pixels
    middle = (PICTURE - 1) / 2
    pictures = np.empty((len(used), len(WINDOWS_HU), PICTURE, PICTURE), np.float32)
    for n, m in np.ndindex(pictures.shape[:2]):
        offset = centres[n] - scale * middle
        ndimage.affine_transform(small[n, m], scale, offset, (PICTURE, PICTURE), pictures[n, m], order=1)
    below, above = np.searchsorted(used, below), np.searchsorted(used, below + 1)
    return grid, pictures[below] * (1 - part) + pictures[above] * part


def _shrink(picture: np.ndarray, factors: list[int]) -> np.ndarray:
    """(2, j, i) block means of one slice within each window, scaled to [0, 1]."""
    rows, columns = (size // factor * factor for size, factor in zip(picture.shape, factors))
    shape = (rows // factors[0], factors[0], columns // factors[1], factors[1])
    cut = picture[:rows, :columns]
    return np.stack(
        [(np.clip(cut, low, high).reshape(shape).mean(axis=(1, 3)) - low) / (high - low) for low, high in WINDOWS_HU]
    ).astype(np.float32)


def _body(solid: np.ndarray, pixels: np.ndarray, z_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, j, i) mask of the body (largest solid thing, filled, table off) and (n, 2) its smoothed centre in pixels."""
    size = np.maximum(np.round(20.0 / pixels).astype(int), 1)
    mask = ndimage.binary_opening(solid > 0.75, np.ones((1, *size)))
    labels, count = ndimage.label(mask)
    if count == 0:
        middle = (np.array(solid.shape[1:]) - 1) / 2
        return np.ones_like(solid, dtype=bool), np.tile(middle, (len(solid), 1))
    mask = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    mask = np.stack([ndimage.binary_fill_holes(part) for part in mask])
    mask = ndimage.binary_dilation(mask, np.ones((1, 3, 3)))
    area = np.maximum(mask.sum(axis=(1, 2)), 1e-3)
    rows, columns = np.arange(mask.shape[1]), np.arange(mask.shape[2])
    centres = np.stack([mask.sum(axis=2) @ rows / area, mask.sum(axis=1) @ columns / area], axis=1)
    seen = area > 1
    every = np.arange(len(mask))
    centres = np.stack([np.interp(every, every[seen], centres[seen, axis]) for axis in (0, 1)], axis=1)
    step = max(float(np.median(np.diff(z_mm))), 0.1)
    return mask, ndimage.gaussian_filter1d(centres, 30.0 / step, axis=0, mode="nearest")


def _aligned(one: np.ndarray, two: np.ndarray, z_2: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """The second pictures moved in plane, all alike, to fit the first ones best along the curve's match."""
    pairs = [(k, int(np.abs(z_2 - z).argmin())) for k, z in enumerate(curve) if z_2[0] <= z <= z_2[-1]]
    if not pairs:
        return two
    first, second = (pictures[[pair[side] for pair in pairs]] for side, pictures in enumerate((one, two)))
    spectrum = fft.rfft2(_unit(first, (2, 3))) * np.conj(fft.rfft2(_unit(second, (2, 3))))
    fit = fft.fftshift(fft.irfft2(spectrum.sum(axis=(0, 1)), s=(PICTURE, PICTURE)))
    reach = int(50.0 / PIXEL_MM)
    fit = fit[PICTURE // 2 - reach : PICTURE // 2 + reach + 1, PICTURE // 2 - reach : PICTURE // 2 + reach + 1]
    shift = np.array(np.unravel_index(fit.argmax(), fit.shape)) - reach
    return np.roll(two, tuple(shift), axis=(2, 3))


def _unit(pictures: np.ndarray, axes: tuple[int, ...], centre: bool = True) -> np.ndarray:
    """Pictures with norm 1, mean 0 if ``centre``."""
    if centre:
        pictures = pictures - pictures.mean(axis=axes, keepdims=True)
    return pictures / (np.sqrt(np.sum(pictures**2, axis=axes, keepdims=True)) + 1e-6)


def _shared(z_1: np.ndarray, z_2: np.ndarray, matched: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) and (m,) whether the other scan shows this height too, by the match so far."""
    back = np.interp(z_2, matched, z_1, left=np.nan, right=np.nan)
    return (matched >= z_2[0] - STEP_MM) & (matched <= z_2[-1] + STEP_MM), np.isfinite(back)


def _correlate(one: np.ndarray, two: np.ndarray, shared_1: np.ndarray, shared_2: np.ndarray) -> np.ndarray:
    """(n, m) correlation of what is special about each height, mean of the windows.

    Only heights that both scans show count as neighbours: otherwise a slice at the end of one scan, with neighbours on
    one side, would look different from the same slice in the middle of the other.
    """
    total = np.zeros((len(one), len(two)), np.float32)
    for window in range(len(WINDOWS_HU)):
        sides = []
        for pictures, shared in ((one[:, window], shared_1), (two[:, window], shared_2)):
            width = NEIGHBOURHOOD_MM / STEP_MM
            counted = (shared if shared.any() else np.ones(len(pictures))).astype(np.float32)
            weight = np.maximum(ndimage.gaussian_filter1d(counted, width, mode="constant"), 1e-6)[:, None, None]
            around = (
                ndimage.gaussian_filter1d(pictures * counted[:, None, None], width, axis=0, mode="constant") / weight
            )
            sides.append(_unit((pictures - around).reshape(len(pictures), -1), (1,), centre=False))
        total += sides[0] @ sides[1].T
    return total / len(WINDOWS_HU)


def _along(correlation: np.ndarray, z_2: np.ndarray, curve: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(n, offsets) correlation at curve + offset; NaN outside the follow-up."""
    places = (curve[:, None] + offsets - z_2[0]) / STEP_MM
    rows = np.broadcast_to(np.arange(len(curve))[:, None], places.shape)
    score = ndimage.map_coordinates(correlation, [rows, places], order=1, mode="nearest")
    return np.where((places >= 0) & (places <= len(z_2) - 1), score, np.nan)


def _typical(score: np.ndarray, path: np.ndarray) -> np.ndarray:
    """(n,) correlation along the path around each height; where the path is outside, that of the nearest heights."""
    values = score[np.arange(len(path)), path]
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return np.full(len(path), MIN_CORRELATION)
    filled = np.interp(np.arange(len(path)), known, values[known])
    return ndimage.gaussian_filter1d(filled, NEIGHBOURHOOD_MM / STEP_MM, mode="nearest")


def _best_path(score: np.ndarray, expected: np.ndarray, offsets: np.ndarray, sigma_mm: np.ndarray) -> np.ndarray:
    """(n,) column of the smooth path with the largest sum of correlations, the curve's match as a weak prior."""
    # Outside the follow-up counts as much as is typical nearby, so that its end neither holds nor repels the path.
    gain = (
        np.where(np.isfinite(score), score, expected[:, None])
        - 0.01 * (offsets / np.maximum(sigma_mm, 5.0)[:, None]) ** 2
    )
    total = gain[0].copy()
    came = np.zeros(score.shape, dtype=np.int8)
    for k in range(1, len(score)):
        padded = np.pad(total, 1, constant_values=-np.inf)
        options = np.stack([padded[:-2] - BEND, padded[1:-1], padded[2:] - BEND])
        came[k] = options.argmax(axis=0) - 1
        total = options.max(axis=0) + gain[k]
    path = np.empty(len(score), dtype=int)
    path[-1] = total.argmax()
    for k in range(len(score) - 1, 0, -1):
        path[k - 1] = path[k] + came[k, path[k]]
    return path


def _judge(score: np.ndarray, path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Displacement in mm along the path to a part of a step, and where it stands out against its rivals."""
    count, columns = score.shape
    rivals = int(np.ceil(SEARCH_MM / OFFSET_MM))
    around = path[:, None] + np.arange(-rivals, rivals + 1)
    known = (around >= 0) & (around < columns)
    straight = np.where(known, score[np.arange(count)[:, None], np.clip(around, 0, columns - 1)], np.nan)
    valid = np.isfinite(straight)
    width = WINDOW_MM / STEP_MM / 2
    weight = ndimage.gaussian_filter1d(valid.astype(float), width, axis=0, mode="constant")
    mean = ndimage.gaussian_filter1d(np.where(valid, straight, 0.0), width, axis=0, mode="constant")
    mean = np.where(valid & (weight > 0.05), mean / np.maximum(weight, 1e-6), np.nan)
    peak = mean[:, rivals]
    far = np.abs(np.arange(-rivals, rivals + 1)) * OFFSET_MM >= RIVAL_MM
    competitors = np.where(far & np.isfinite(mean), mean, -np.inf)
    best = competitors.max(axis=1)
    accepted = np.isfinite(peak) & np.isfinite(best) & (peak > MIN_CORRELATION) & (peak - best > MIN_LEAD)
    before, after = mean[:, rivals - 1], mean[:, rivals + 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = 0.5 * (before - after) / (before - 2 * peak + after)
    part = np.where(np.isfinite(part), np.clip(part, -1.0, 1.0), 0.0)
    displacement = (path - (columns - 1) / 2 + part) * OFFSET_MM
    return ndimage.gaussian_filter1d(displacement, width, mode="nearest"), accepted


def _improved(line: Line, z_mm: np.ndarray, displacement: np.ndarray, accepted: np.ndarray) -> Line:
    """The line with the confirmed displacements; between and beyond them they fade into the curve."""
    good = z_mm[accepted]
    distance = np.abs(line.baseline_z_mm[:, None] - good).min(axis=1)
    shift = np.interp(line.baseline_z_mm, good, displacement[accepted])
    spacing = max(np.median(np.diff(axis)) if len(axis) > 1 else 0.0 for axis in (line.baseline_z_mm, line.slices_z_mm))
    fade = np.maximum(distance - STEP_MM, 0.0) * DRIFT
    trust = line.sigma_mm**2 / (line.sigma_mm**2 + fade**2)
    places = line.followup_z_mm + trust * shift
    to_end = np.minimum(
        np.minimum(places - line.slices_z_mm[0], line.slices_z_mm[-1] - places),
        np.minimum(line.baseline_z_mm - line.baseline_z_mm[0], line.baseline_z_mm[-1] - line.baseline_z_mm),
    )
    end = END_SIGMA_MM * np.exp(-np.maximum(to_end, 0.0) / END_MM)
    sigma = np.sqrt(SIGMA_MM**2 + (spacing / 2) ** 2 / 3 + fade**2 + end**2)
    return replace(
        line,
        followup_z_mm=increasing(line.baseline_z_mm, places),
        sigma_mm=np.where(distance <= STEP_MM, sigma, np.minimum(sigma, np.maximum(line.sigma_mm, SIGMA_MM))),
        registered=distance <= STEP_MM,
    )


def _report(progress: Progress | None, done: int, total: int, text: str) -> None:
    if progress is not None and not progress(done, total, text):
        raise CTError("cancelled", "The comparison of the images was cancelled.")
