"""Two located scans of one patient put on each other by what the network sees in each slice by itself.

The curve of a scan draws on all of its slices, so where two scans show different parts of the body their curves err
differently. What the network says of a single slice errs too, but of the same slice of the same patient in the same
way. So the places that it names along one scan are laid on those of the other as a whole; and then the features from
which it names them, which differ from vertebra to vertebra, bend one scan onto the other.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .landmarks import location_to_body
from .results import Appearance, ScanLocation

STEP_MM = 4.0
OFFSETS_MM = np.arange(-40.0, 41.0, 2.0)
"""Offsets from the match of the curves that are tried for the scan as a whole."""
INDEPENDENT_MM = 20.0
"""Slices nearer than this err alike, and count as one."""
SPREAD_MM = 4.0
"""Answers for the same slice in two scans differ by this at least."""
FARTHEST_MM = 60.0
"""A difference of answers counts for no more than this."""
WHOLE_SIGMA_MM = 12.0
"""Standard deviation of the offset between two scans of different extent, as their curves have it."""
MIN_SHARED = 0.6
COMMON = 0.5
"""Share of the claimed standard deviation that stays: single slices err in part as the curves do."""

BENDS_MM = np.arange(-50.0, 51.0)
"""Displacements that are tried for each height once the whole scan has been moved."""
BEND_SIGMA_MM = 10.0
"""Standard deviation of the displacement of a height."""
BEND_PULL = 0.3
"""Share of that which every cell of 4 mm counts, so that a long stretch without likeness returns to the curves."""
BEND_STEP_MM = 0.7
"""Standard deviation of the change of the displacement from one cell of 4 mm to the next."""
NEIGHBOURHOOD_MM = 25.0
"""Standard deviation of the Gaussian along the body whose mean is taken from the features: what is left is special."""
LIKENESS = 10.0
"""By how much a correlation that is larger by 1 makes a displacement more likely (natural logarithm)."""
TILT = 0.7
"""Share of a displacement that stays doubtful: where the body is bent, its slices are tilted, so no height is right."""
MIN_CELLS = 4


def offset(
    baseline: ScanLocation, followup: ScanLocation, places_mm: np.ndarray, sigma_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """By how much a match of the curves has to be moved along the follow-up.

    Args:
        baseline: located.
        followup: located, by the same model; its heights grow with those of the baseline.
        places_mm: (k,) follow-up z of each slice of the baseline.
        sigma_mm: (k,) standard deviation of those.

    Returns:
        (k,) mm to be added, and (k,) standard deviation of the places then.
    """
    found = _whole(baseline, followup, places_mm, float(np.median(sigma_mm)))
    if found is None:
        return np.zeros_like(places_mm), sigma_mm
    whole, whole_sigma = found
    if not _comparable(baseline, followup):
        return np.full_like(places_mm, whole), np.hypot(whole_sigma, COMMON * sigma_mm)
    one, two = baseline.appearance, followup.appearance
    bend, bend_sigma = _bend(one, two, np.interp(one.z_mm, baseline.z_mm, places_mm + whole))
    bend, bend_sigma = (np.interp(baseline.z_mm, one.z_mm, values) for values in (bend, bend_sigma))
    return whole + bend, np.sqrt(bend_sigma**2 + (TILT * bend) ** 2 + (COMMON * sigma_mm) ** 2)


def _whole(
    baseline: ScanLocation, followup: ScanLocation, places_mm: np.ndarray, sigma_mm: float
) -> tuple[float, float] | None:
    """Offset of the scan as a whole by the answers for single slices, and its sigma; None for too little in common."""
    z_mm = np.arange(baseline.z_mm[0], baseline.z_mm[-1] + 1e-6, STEP_MM)
    places = np.interp(z_mm, baseline.z_mm, places_mm)
    ends = followup.z_mm[[0, -1]]
    shared = np.count_nonzero((places >= ends[0]) & (places <= ends[1]))
    if shared * STEP_MM < 2 * INDEPENDENT_MM:
        return None
    one = np.interp(z_mm, baseline.z_mm, location_to_body(baseline.raw))
    moved = places[:, None] + OFFSETS_MM
    two = np.interp(moved, followup.z_mm, location_to_body(followup.raw))
    shown = (moved >= ends[0]) & (moved <= ends[1])
    apart = np.where(shown, np.minimum(np.abs(one[:, None] - two), FARTHEST_MM), 0.0)
    count = shown.sum(axis=0)
    mean = np.where(count >= MIN_SHARED * shared, apart.sum(axis=0) / np.maximum(count, 1), np.inf)
    looks = shared * STEP_MM / INDEPENDENT_MM
    likely = -mean * looks / max(mean.min(), SPREAD_MM) - 0.5 * (OFFSETS_MM / max(WHOLE_SIGMA_MM, sigma_mm)) ** 2
    weight = np.exp(likely - likely.max())
    return _moments(weight / weight.sum(), OFFSETS_MM)


def _comparable(baseline: ScanLocation, followup: ScanLocation) -> bool:
    """Whether what the network sees is known of both, and by the same model."""
    scans = (baseline, followup)
    known = all(scan.appearance is not None and len(scan.appearance.z_mm) >= MIN_CELLS for scan in scans)
    return known and baseline.model.get("sha256") == followup.model.get("sha256")


def _bend(one: Appearance, two: Appearance, places_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(g,) smooth displacement of each cell of the baseline from its place, and its standard deviation, mm.

    A displacement is likely where both scans look alike, and it changes slowly along the body: the forward-backward
    algorithm over a chain of the cells (Rabiner 1989) gives its distribution in each.
    """
    likely = LIKENESS * _alike(one, two, places_mm)
    likely -= 0.5 * BEND_PULL * (BENDS_MM / BEND_SIGMA_MM) ** 2
    prior = np.exp(-0.5 * (BENDS_MM / BEND_SIGMA_MM) ** 2)
    change = np.exp(-0.5 * (np.arange(-4, 5) * (BENDS_MM[1] - BENDS_MM[0]) / BEND_STEP_MM) ** 2)
    seen = np.exp(likely - likely.max(axis=1, keepdims=True))
    forward = _passed(seen, prior, change)
    backward = _passed(seen[::-1], np.ones_like(prior), change)[::-1]
    # Each pass counts the cell itself once.
    probability = forward * backward / seen
    return _moments(probability / probability.sum(axis=1, keepdims=True), BENDS_MM)


def _passed(seen: np.ndarray, start: np.ndarray, change: np.ndarray) -> np.ndarray:
    """(g, bends) distribution in each cell by what is seen in it and before it."""
    found = np.empty_like(seen)
    state = start
    for cell, likelihood in enumerate(seen):
        state = state * likelihood
        found[cell] = state = state / state.sum()
        state = np.convolve(state, change, "same")
    return found


def _alike(one: Appearance, two: Appearance, places_mm: np.ndarray) -> np.ndarray:
    """(g, bends) correlation of what is special about each cell with what is at its displaced place."""
    both = [scan.features.astype(np.float32) for scan in (one, two)]
    spread = np.concatenate(both).std(axis=0) + 1e-3
    step = two.z_mm[1] - two.z_mm[0]
    sides = []
    for features in both:
        features = features / spread
        features = features - gaussian_filter1d(features, NEIGHBOURHOOD_MM / step, axis=0, mode="nearest")
        sides.append(features / (np.linalg.norm(features, axis=1, keepdims=True) + 1e-6))
    correlation = sides[0] @ sides[1].T
    cells = (places_mm[:, None] + BENDS_MM - two.z_mm[0]) / step
    below = np.clip(cells.astype(int), 0, len(two.z_mm) - 2)
    rows, part = np.arange(len(cells))[:, None], np.clip(cells - below, 0, 1)
    found = correlation[rows, below] * (1 - part) + correlation[rows, below + 1] * part
    # Places outside the follow-up are as good as the best inside is as a rule, so that its end doesn't hold the match.
    shown = (cells >= 0) & (cells <= len(two.z_mm) - 1)
    best = np.where(shown, found, -1.0).max(axis=1)
    usual = np.median(best[shown.any(axis=1)]) if shown.any() else 0.0
    outside = np.where(shown.any(axis=1), np.minimum(best, usual), usual)
    return np.maximum(np.where(shown, found, outside[:, None]), 0.0)


def _moments(probability: np.ndarray, values: np.ndarray) -> tuple:
    """Mean and standard deviation of a distribution over the values, or of each row of several."""
    mean = probability @ values
    return mean, np.sqrt(np.maximum(probability @ values**2 - mean**2, 0.0))
