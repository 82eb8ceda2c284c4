"""Where in the chest something lies: within the ribs, above the diaphragm, near the middle. All on the cells."""

from __future__ import annotations

import numpy as np
from CTVolumeLib.cells import Cells
from scipy import ndimage

from .shapes import dilate

BONE_HU = 200
RIBS_MM = 12.0
"""Ribs run downwards: what lies this much higher or lower counts as bone in a slice."""

_DOME_MM = 20.0
_THICK_MM, _BONE_ML = 6.0, 0.1
_JUTS, _BACK_DEGREES = 13, 45
"""How many neighbouring directions what is no rib may take (of 5 degrees each), and how far the spine reaches."""


def dome_of(lung: np.ndarray, cells: Cells) -> int | None:
    """The slice of the top of the diaphragm below one lung, 0 where the scan ends above it; None where none is told.

    Looked for in the hind half of the lung, since in front it lies on the heart.
    """
    footprint = lung.any(axis=0)
    inner = ndimage.binary_erosion(footprint, iterations=max(1, round(_DOME_MM / cells.spacing[0])))
    if not inner.any():
        return None
    rows = np.flatnonzero(footprint.any(axis=1))
    inner[: (rows[0] + rows[-1]) // 2 + 1] = False
    return int(np.percentile(lung.argmax(axis=0)[inner], 95)) if inner.any() else None


def lowest_dome(lungs: np.ndarray, cells: Cells) -> int | None:
    """The lower of the tops of the diaphragm: what is above it holds no bowel on either side."""
    return min((dome for side in (1, 2) if (dome := dome_of(lungs == side, cells)) is not None), default=None)


def bone_of(cells: Cells, body: np.ndarray) -> np.ndarray:
    """(k, j, i) bool: bone as thin as ribs: no blood full of contrast medium, and no cells that noise makes dense."""
    dense = (cells.hu > BONE_HU) & body
    dense &= ~dilate(blood_of(cells.hu, cells), (*cells.spacing[:2], 1e3), 2 * cells.spacing[0])
    labels, _ = ndimage.label(dense)
    large = np.bincount(labels.ravel()) * np.prod(cells.spacing) / 1000 > _BONE_ML
    large[0] = False
    return large[labels]


def blood_of(hu: np.ndarray, cells: Cells) -> np.ndarray:
    """(k, j, i) bool of a part of the cells: heart and large vessels full of contrast medium, thicker than ribs."""
    radius = int(np.ceil(_THICK_MM / cells.spacing[0]))
    disc = np.hypot(*np.mgrid[-radius : radius + 1, -radius : radius + 1]) <= radius
    thick = ndimage.binary_erosion(hu > BONE_HU, disc[None])
    return dilate(thick, (*cells.spacing[:2], 1e3), radius * cells.spacing[0])


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
    bone = bone_of(cells, body)
    window = max(1, round(RIBS_MM / step))
    angles, radii = np.radians(np.arange(-180, 180, 5)), np.arange(40, 200, 3.0)
    at_the_back = np.abs(angles - np.pi / 2) < np.radians(_BACK_DEGREES)
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
        # No rib lies before the end of the lung.
        last = np.where(lung[k][j, i], np.arange(len(radii)), -1).max(axis=1)
        hit = near[j, i] & (np.arange(len(radii)) > last[:, None])
        seen = hit.any(axis=1)
        if seen.mean() < 0.5:
            continue
        ribs = np.interp(angles, angles[seen], radii[hit.argmax(axis=1)][seen], period=2 * np.pi)
        ribs = ndimage.median_filter(ribs, 5, mode="wrap")
        # What juts far inwards is no rib, but for the spine.
        ribs = np.where(at_the_back, ribs, ndimage.grey_closing(ribs, _JUTS, mode="wrap"))
        away = (rows - centre)[:, None] * down
        limit = np.interp(np.arctan2(away, columns), angles, ribs, period=2 * np.pi) - margin_mm
        inside[number] = np.hypot(away, columns) < limit
    return inside
