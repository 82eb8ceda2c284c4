"""Two located scans of one patient put on each other by what the network says of each slice by itself.

The curve of a scan draws on all of its slices, so where two scans show different parts of the body their curves err
differently. What the network says of a single slice errs too, but of the same slice of the same patient in the same
way. So the profile of those answers along one scan is laid on that of the other: as a whole first, then piece by piece.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .landmarks import location_to_body
from .results import ScanLocation

STEP_MM = 4.0
OFFSETS_MM = np.arange(-40.0, 41.0, 2.0)
"""Offsets from the match of the curves that are tried."""
INDEPENDENT_MM = 20.0
"""Slices nearer than this err alike, and count as one."""
SPREAD_MM = 4.0
"""Answers for the same slice in two scans differ by this at least."""
FARTHEST_MM = 60.0
"""A difference of answers counts for no more than this."""
WHOLE_SIGMA_MM = 12.0
"""Standard deviation of the offset between two scans of different extent, as their curves have it."""
PIECE_SIGMA_MM = 6.0
PIECE_MM = 30.0
"""Standard deviation of the Gaussian that cuts out a piece."""
MIN_SHARED = 0.6
COMMON = 0.7
"""Share of the claimed standard deviation that stays: the answers for single slices err in part as the curves do."""


def offset(
    baseline: ScanLocation, followup: ScanLocation, places_mm: np.ndarray, sigma_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """By how much a match of the curves has to be moved along the follow-up.

    Args:
        baseline: located.
        followup: located; its heights grow with those of the baseline.
        places_mm: (k,) follow-up z of each slice of the baseline.
        sigma_mm: (k,) standard deviation of those.

    Returns:
        (k,) mm to be added, and (k,) standard deviation of the places then.
    """
    z_mm = np.arange(baseline.z_mm[0], baseline.z_mm[-1] + 1e-6, STEP_MM)
    places = np.interp(z_mm, baseline.z_mm, places_mm)
    ends = followup.z_mm[[0, -1]]
    shared = np.count_nonzero((places >= ends[0]) & (places <= ends[1]))
    if shared * STEP_MM < 2 * INDEPENDENT_MM:
        return np.zeros_like(places_mm), sigma_mm
    apart, shown = _apart(baseline, followup, z_mm, places)
    count = shown.sum(axis=0)
    mean = np.where(count >= MIN_SHARED * shared, apart.sum(axis=0) / np.maximum(count, 1), np.inf)
    looks = shared * STEP_MM / INDEPENDENT_MM
    whole, whole_sigma = _weighed(mean[None], looks, max(WHOLE_SIGMA_MM, float(np.median(sigma_mm))))
    apart, shown = _apart(baseline, followup, z_mm, places + whole)
    width = PIECE_MM / STEP_MM
    count, apart = (
        gaussian_filter1d(values.astype(float), width, axis=0, mode="constant") for values in (shown, apart)
    )
    mean = np.where(count > 0.1, apart / np.maximum(count, 1e-6), np.inf)
    # An offset that leads out of the follow-up is as likely as the best one.
    mean = np.where(np.isfinite(mean), mean, np.minimum(mean.min(axis=1, keepdims=True), FARTHEST_MM))
    looks = np.minimum(count.max(axis=1), 1.0) * PIECE_MM * np.sqrt(2 * np.pi) / INDEPENDENT_MM
    piece, piece_sigma = _weighed(mean, looks, PIECE_SIGMA_MM)
    found = np.interp(baseline.z_mm, z_mm, np.hypot(whole_sigma, piece_sigma))
    return np.interp(baseline.z_mm, z_mm, whole + piece), np.hypot(found, COMMON * sigma_mm)


def _apart(
    baseline: ScanLocation, followup: ScanLocation, z_mm: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(n, offsets) by how much the answers differ, 0 outside the follow-up, and whether it shows that place."""
    one = np.interp(z_mm, baseline.z_mm, location_to_body(baseline.raw))
    moved = places[:, None] + OFFSETS_MM
    two = np.interp(moved, followup.z_mm, location_to_body(followup.raw))
    shown = (moved >= followup.z_mm[0]) & (moved <= followup.z_mm[-1])
    return np.where(shown, np.minimum(np.abs(one[:, None] - two), FARTHEST_MM), 0.0), shown


def _weighed(mean: np.ndarray, looks: np.ndarray | float, sigma_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """(n,) mean and standard deviation of the offset, given the mean (n, offsets) difference of the answers."""
    spread = np.maximum(mean.min(axis=1), SPREAD_MM)
    likely = -mean * (np.asarray(looks) / spread)[:, None] - 0.5 * (OFFSETS_MM / sigma_mm) ** 2
    weight = np.exp(likely - likely.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    middle = weight @ OFFSETS_MM
    return middle, np.sqrt(np.maximum(weight @ OFFSETS_MM**2 - middle**2, 0.0))
