"""What is dense where lung should be: between the lungs and the ribs, and tissue with bronchi full of air in it.

Healthy lungs lie on the ribs wherever they are. What keeps them from there is airless lung, fluid or a mass. Airless
lung also shows itself: the bronchi in it stay open, so that specks of air lie in tissue (the air bronchogram).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from CTVolumeLib.boxes import bounding_box
from CTVolumeLib.cells import Cells
from scipy import ndimage

from .chest import BONE_HU, RIBS_MM, from_the_middle, lowest_dome, within_ribs
from .consolidation import AROUND_MM, count_specks, specks_of_air
from .lungs import AIRWAY, LEFT, RIGHT
from .shapes import dilate

_SLICES_MM = 6.0
_AWAY_MM = 25.0
_BEHIND_MM, _BEHIND_MOST_MM, _MUSCLE_MM = 20.0, 80.0, 12.0
_SPINE_MM = 25.0
_FROM_RIBS_MM = 6.0


def away_from_ribs(
    lungs: np.ndarray, cells: Cells, body: np.ndarray, directions: list[tuple[int, int]], *, upper_half: bool = False
) -> float:
    """Share of the directions in which ribs lie further from the lung than 25 mm.

    Looked at from the middle between the lungs, slice by slice, in the slices that hold much lung.

    Args:
        lungs: (k, j, i) labels of the cells.
        cells: their grid.
        body: (k, j, i) bool.
        directions: a side, and degrees from there (0) to the back (90) or the front (-90).
        upper_half: whether only the upper half of the slices counts.
    """
    lung = np.isin(lungs, (LEFT, RIGHT))
    area = lung.sum(axis=(1, 2))
    held = np.flatnonzero(area > 0.25 * area.max())
    if upper_half:
        held = held[len(held) // 2 :]
    bone = (cells.hu > BONE_HU) & body
    across, down, step = cells.spacing
    window = max(1, round(RIBS_MM / step))
    radii = np.arange(20, 220, 2.0)
    away = total = 0
    for k in held[:: max(1, round(_SLICES_MM / step))]:
        rows, columns = np.nonzero(lung[k])
        centre_j, centre_i = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
        near = bone[max(k - window, 0) : k + window + 1].any(axis=0)
        for side, degrees in directions:
            angle = np.radians(degrees)
            outwards = 1 if side == LEFT else -1
            j = np.rint(centre_j + radii * np.sin(angle) / down).astype(int)
            i = np.rint(centre_i + outwards * radii * np.cos(angle) / across).astype(int)
            inside = (j >= 0) & (i >= 0) & (j < lung.shape[1]) & (i < lung.shape[2])
            ribs = radii[inside][near[j[inside], i[inside]] & (radii[inside] > (45 if upper_half else 60))]
            if not len(ribs):
                continue
            reached = radii[inside][lung[k, j[inside], i[inside]]]
            total += 1
            away += not len(reached) or ribs.min() - reached.max() > _AWAY_MM
    return away / total if total else 0.0


@dataclass(frozen=True)
class Behind:
    """What keeps the lungs from the ribs behind them.

    Attributes:
        shares: of the left and of the right lung's columns, those that end further than 20 mm before the ribs.
        missing: what fills the gaps, by the volume of both lungs.
    """

    shares: tuple[float, float]
    missing: float


def behind(lungs: np.ndarray, cells: Cells, body: np.ndarray) -> Behind:
    """How far the lungs end before the ribs at the back.

    Only columns with lung in them are asked, so that a low or a high diaphragm changes nothing: bases that the scan
    cuts can be judged as whole lungs can.

    Args:
        lungs: (k, j, i) labels of the cells.
        cells: their grid.
        body: (k, j, i) bool.
    """
    lung = np.isin(lungs, (LEFT, RIGHT))
    across, down, step = cells.spacing
    area = lung.sum(axis=(1, 2))
    every = max(1, round(_SLICES_MM / step))
    bone = (cells.hu > BONE_HU) & body
    window, wider = max(1, round(RIBS_MM / step)), max(1, round(5 / across))
    beside_spine = np.abs(from_the_middle(lung, across)) > _SPINE_MM
    gaps: dict[int, list[np.ndarray]] = {LEFT: [np.zeros(0)], RIGHT: [np.zeros(0)]}
    for k in np.flatnonzero(area > 0.1 * area.max())[::every]:
        near = bone[max(k - window, 0) : k + window + 1].any(axis=0)
        near = ndimage.binary_dilation(near, np.ones((1, 2 * wider + 1), bool))
        for side, found in gaps.items():
            own = lungs[k] == side
            columns = np.flatnonzero((own.sum(axis=0) >= 2) & beside_spine)
            last = len(own) - 1 - own[::-1, columns].argmax(axis=0)
            ribs = near[:, columns] & (np.arange(len(own))[:, None] > last)
            gap = (ribs.argmax(axis=0) - last) * down
            gap = gap[ribs.any(axis=0)]
            found.append(gap[gap < _BEHIND_MOST_MM])  # further in front lies the lung before the dome
    left, right = (np.concatenate(found) for found in gaps.values())
    both = np.concatenate([left, right])
    filled = np.maximum(both - _MUSCLE_MM, 0).sum() * across * every * step
    volume = max(np.count_nonzero(lung) * np.prod(cells.spacing), 1.0)
    shares = tuple(float((side > _BEHIND_MM).mean()) if len(side) else 0.0 for side in (left, right))
    return Behind(shares, float(filled / volume))


@dataclass(frozen=True)
class Bronchi:
    """Air in tissue beside the lungs.

    Attributes:
        specks: their number.
        dark: the number of those that are really dark, which noise is not.
        airless: volume of the tissue around them, by that of both lungs.
    """

    specks: int = 0
    dark: int = 0
    airless: float = 0.0


def bronchi_in_tissue(lungs: np.ndarray, cells: Cells, body: np.ndarray) -> Bronchi:
    """Specks of air in tissue beside the lungs, which bronchi in airless lung are.

    Looked for within the ribs and above the lower dome, since below there is bowel.

    Args:
        lungs: (k, j, i) labels of the cells.
        cells: their grid.
        body: (k, j, i) bool.
    """
    lung = np.isin(lungs, (LEFT, RIGHT))
    dome = lowest_dome(lungs, cells)
    if dome is None:
        return Bronchi()
    box = bounding_box(lung)
    air = specks_of_air(lung, lungs == AIRWAY, cells, box)
    air[: max(dome - box[0].start, 0)] = False
    if not air.any():
        return Bronchi()
    inside = within_ribs(lung, cells, body, range(box[0].start, box[0].stop), _FROM_RIBS_MM)[:, box[1], box[2]]
    air &= inside
    around = dilate(air, cells.spacing, AROUND_MM) & inside & (lungs[box] == 0)
    around[: max(dome - box[0].start, 0)] = False
    airless = np.count_nonzero(around) / np.count_nonzero(lung)
    return Bronchi(*count_specks(air, cells.hu[box]), airless)
