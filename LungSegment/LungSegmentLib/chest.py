"""Where in the chest something lies: within the ribs, above the diaphragm, near the middle. All on the cells."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .cells import Cells

BONE_HU = 200
RIBS_MM = 12.0
"""Ribs run downwards: what lies this much higher or lower counts as bone in a slice."""

_DOME_MM = 20.0


def dome_of(lung: np.ndarray, cells: Cells) -> int | None:
    """The slice of the top of the diaphragm below one lung; None where the scan ends above it."""
    inner = ndimage.binary_erosion(lung.any(axis=0), iterations=max(1, round(_DOME_MM / cells.spacing[0]))) & ~lung[0]
    return int(np.percentile(lung.argmax(axis=0)[inner], 95)) if inner.any() else None


def from_the_middle(lung: np.ndarray, across: float) -> np.ndarray:
    """(i,) mm of the columns from the middle between the outer borders of the lungs, more to the patient's left."""
    columns = np.flatnonzero(lung.any(axis=(0, 1)))
    return (np.arange(lung.shape[2]) - (columns[0] + columns[-1]) / 2) * across


def within_ribs(lung: np.ndarray, cells: Cells, body: np.ndarray, slices: range, margin_mm: float) -> np.ndarray:
    """(len(slices), j, i) bool: the inside of the ribs, whose gaps the neighbouring directions fill.

    Args:
        lung: (k, j, i) bool, both lungs.
        cells: their grid.
        body: (k, j, i) bool.
        slices: in which it is wanted.
        margin_mm: how far before the ribs it ends.
    """
    across, down, step = cells.spacing
    bone = (cells.hu > BONE_HU) & body
    window = max(1, round(1.25 * RIBS_MM / step))
    angles, radii = np.radians(np.arange(-180, 180, 5)), np.arange(40, 200, 3.0)
    rows, columns = np.arange(lung.shape[1]), from_the_middle(lung, across)
    middle = -columns[0] / across
    inside = np.zeros((len(slices), *lung.shape[1:]), bool)
    for number, k in enumerate(slices):
        held = np.flatnonzero(lung[k].any(axis=1))
        if not len(held):
            continue
        centre = (held[0] + held[-1]) / 2
        near = bone[max(k - window, 0) : k + window + 1].any(axis=0)
        j = np.rint(centre + radii * np.sin(angles)[:, None] / down).astype(int).clip(0, lung.shape[1] - 1)
        i = np.rint(middle + radii * np.cos(angles)[:, None] / across).astype(int).clip(0, lung.shape[2] - 1)
        hit = near[j, i]
        seen = hit.any(axis=1)
        if seen.mean() < 0.5:
            continue
        ribs = np.interp(angles, angles[seen], radii[hit.argmax(axis=1)][seen], period=2 * np.pi)
        ribs = ndimage.median_filter(ribs, 5, mode="wrap")
        away = (rows - centre)[:, None] * down
        limit = np.interp(np.arctan2(away, columns), angles, ribs, period=2 * np.pi) - margin_mm
        inside[number] = np.hypot(away, columns) < limit
    return inside
