"""Which slices go through the head: those where bone encloses brain, and those below, down to the neck."""

from __future__ import annotations

import numpy as np
from CTVolumeLib.cells import Cells

from .components import components
from .shapes import IN_SLICE, grow, holes, shrink

_BONE_HU, _GAP_MM = 220, 4.0
"""Thin bone is blurred away in places, at the base of the skull above all, and surgery leaves gaps: they are closed."""

_BRAIN_HU = (5, 75)
_BRAIN_MM2 = 1200.0
_BRAIN_SD_HU = 40.0
_LEAST_MM = 6.0
_BELOW_MM, _EARS_MM = 110.0, 50.0
_FAT_SHARE = 0.03


def head_slices(cells: Cells, body: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slices of the head, (k,) bool: from the vertex to about the fifth cervical vertebra, and those above the ears.

    Args:
        cells: the scan, slices from the feet to the head.
        body: (k, j, i) bool: the patient.
    """
    bone = (cells.hu > _BONE_HU) & body
    head, scalp = np.zeros(len(body), bool), np.zeros(len(body), bool)
    brain = _brain(bone, cells.step_mm, cells) | _brain(bone, _GAP_MM, cells)
    if np.count_nonzero(brain) * cells.spacing[2] >= _LEAST_MM:
        lowest = int(np.flatnonzero(brain)[0])
        head[max(0, lowest - round(_BELOW_MM / cells.spacing[2])) :] = True
        scalp[lowest + round(_EARS_MM / cells.spacing[2]) :] = True
    return head, scalp


def _brain(bone: np.ndarray, gap_mm: float, cells: Cells) -> np.ndarray:
    """(k,) bool: slices in which bone encloses brain, once gaps are closed from both sides."""
    inside = shrink(holes(grow(bone, cells.step_mm, gap_mm)) & ~bone, cells.step_mm, 2 * cells.step_mm)
    parts = components(inside, cells, IN_SLICE)
    area = parts.millilitres * 1000 / cells.spacing[2]
    like = (area >= _BRAIN_MM2) & (parts.mean_hu > _BRAIN_HU[0]) & (parts.mean_hu < _BRAIN_HU[1])
    like &= (parts.sd_hu < _BRAIN_SD_HU) & (parts.fat < _FAT_SHARE)
    return parts.chosen(like).any(axis=(1, 2))
