"""Airless lung that shows by its bronchi, which stay open: it belongs to the lung, fluid beside the lung does not.

A threshold leaves it out. Here it is added where it is sure: around specks of air in tissue as dense as lung without
air, within the ribs, beside the mediastinum and above the diaphragm (below it only as far as such specks go on). What
has fluid or fat around it is left, and so is lung without open bronchi; ``quality`` looks for what is still missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from CTVolumeLib.boxes import bounding_box
from CTVolumeLib.cells import Cells
from scipy import ndimage

from .chest import blood_of, from_the_middle, lowest_dome, within_ribs
from .shapes import close, dilate, fill
from .sides import LEFT, RIGHT

AIR_HU, BLACK_HU, TISSUE_HU = -250, -350, -30
"""Specks of air are darker than the first, and some than the second, which noise is not; tissue is denser than fat."""

_SPECKS, _BLACK_SPECKS, _BLACK_SHARE, _SPECK_ML = 10, 2, 0.3, 8.0
"""Healthy lungs have up to five such specks beside them: bronchi at the hilum. Of those that noise makes a quarter are
really dark, of bronchi two fifths and more. What is larger is bowel."""

AIRLESS_HU, SOFT_HU, SOFT_SHARE = 25, 20, 0.2
"""Airless lung is denser than the first; fluid and fat are softer than the second, and little of it may be near."""

AROUND_MM, _TISSUE_SHARE = 12.0, 0.6
_FROM_LUNG_MM, _FROM_AIRWAY_MM, _FROM_MIDDLE_MM = 5.0, 15.0, 20.0
"""Specks have so much tissue around them, and lie so far from lung, airways and the middle between the lungs."""

_FROM_BLOOD_MM, _GROUP = 12.0, 3
"""Beside blood full of contrast medium sharp kernels make dark rims; single specks are noise."""

_MEAN_MM = 6.0
_SPECK_FROM_RIBS_MM, _FROM_RIBS_MM = 8.0, 1.0
_GAP_MM, _REACH_MM, _HOLE_MM2 = 20.0, 25.0, 150.0
_WALL_MM = 4.0
_CHAIN_MM, _BELOW_MM = 8.0, 12.0
"""Specks go on below the diaphragm with gaps of up to twice the first; so much around them is lung."""


@dataclass(frozen=True, eq=False)
class Airless:
    """Airless lung beside the lungs that were found.

    Attributes:
        labels: (k, j, i) uint8: LEFT and RIGHT where lung is to be added.
        added_ml: its volume.
        left_ml: volume of what lies around specks of air and was not added; where it is much, some is missing.
    """

    labels: np.ndarray
    added_ml: float = 0.0
    left_ml: float = 0.0


def airless_lung(lungs: np.ndarray, lumen: np.ndarray, cells: Cells, body: np.ndarray) -> Airless:
    """Airless lung beside the lungs that were found.

    Args:
        lungs: (k, j, i) uint8 labels of the cells.
        lumen: (k, j, i) bool, trachea and main bronchi.
        cells: their grid.
        body: (k, j, i) bool.
    """
    nothing = Airless(np.zeros_like(lungs))
    lung = lungs > 0
    dome = lowest_dome(lungs, cells)
    if dome is None:  # bowel can't be told from lung
        return nothing
    box = bounding_box(lung)
    above = np.arange(box[0].start, box[0].stop)[:, None, None] >= dome
    hu, own = cells.hu[box], lung[box]
    air = specks_of_air(lung, lumen, cells, box)
    if count_specks(air & above, hu)[0] < _SPECKS:
        return nothing
    slices = range(box[0].start, box[0].stop)
    chest, deep = (
        within_ribs(lung, cells, body, slices, margin)[:, box[1], box[2]]
        for margin in (_FROM_RIBS_MM, _SPECK_FROM_RIBS_MM)
    )
    density = _density(hu, cells)
    soft = _mean((hu > -150) & (density < SOFT_HU), AROUND_MM, cells)
    edges = dilate(blood_of(hu, cells), cells.spacing, _FROM_BLOOD_MM)
    specks = _in_groups(air & deep & (soft < SOFT_SHARE) & ~edges, cells)
    if not are_bronchi(*count_specks(specks & above, hu)):
        return nothing
    from_middle = from_the_middle(lung, cells.spacing[0])[box[2]]
    allowed = chest & ~own & (np.abs(from_middle) > _FROM_MIDDLE_MM) & ((density > AIRLESS_HU) | air)
    specks, near = _reached(specks, above, cells)
    # Up to the ribs, since between them and the specks there is nothing but lung.
    added = close(own | specks | ~chest, cells.spacing, _GAP_MM) & near & allowed
    added |= fill(added | own, cells.spacing, _HOLE_MM2) & chest & ~own & above
    added &= ~dilate(lumen[box], cells.spacing, _WALL_MM)
    labels = np.zeros_like(lungs)
    labels[box] = np.where(added, np.where(from_middle > 0, np.uint8(LEFT), np.uint8(RIGHT)), np.uint8(0))
    left = dilate(air & above, cells.spacing, AROUND_MM) & allowed & ~added
    return Airless(labels, 1000 * cells.litres(added), 1000 * cells.litres(left))


def specks_of_air(lung: np.ndarray, tube: np.ndarray, cells: Cells, box: tuple[slice, slice, slice]) -> np.ndarray:
    """(k, j, i) bool of the box: small pockets of air within tissue beside the lungs, as bronchi in airless lung are.

    Bowel and noise make such specks too. Large airways, and what lies in the middle as the oesophagus does, are left
    out.

    Args:
        lung: (k, j, i) bool, both lungs.
        tube: likewise, trachea and main bronchi.
        cells: their grid.
        box: in which it is looked for.
    """
    hu = cells.hu[box]
    air = (hu < AIR_HU) & ~dilate(lung[box], cells.spacing, _FROM_LUNG_MM)
    air &= ~dilate(tube[box], cells.spacing, _FROM_AIRWAY_MM)
    air = _small(air, cells)  # before the rim of a large pocket is taken for specks
    air &= np.abs(from_the_middle(lung, cells.spacing[0])[box[2]]) > _FROM_MIDDLE_MM
    return air & (_mean(hu > TISSUE_HU, AROUND_MM, cells) > _TISSUE_SHARE)


def count_specks(air: np.ndarray, hu: np.ndarray) -> tuple[int, int]:
    """The number of specks, and of those that are really dark."""
    return tuple(ndimage.label(mask)[1] for mask in (air, air & (hu < BLACK_HU)))


def are_bronchi(specks: int, dark: int) -> bool:
    """Whether there are enough specks, and of those that are really dark; noise makes many faint ones."""
    return specks >= _SPECKS and dark >= max(_BLACK_SPECKS, _BLACK_SHARE * specks)


def _in_groups(specks: np.ndarray, cells: Cells) -> np.ndarray:
    """The specks that have others near them."""
    groups, number = ndimage.label(dilate(specks, cells.spacing, AROUND_MM))
    each, found = ndimage.label(specks)
    first = ndimage.maximum(groups, each, np.arange(1, found + 1)).astype(int)  # a speck lies in one group
    return specks & (np.bincount(first, minlength=number + 1) >= _GROUP)[groups]


def _reached(specks: np.ndarray, above: np.ndarray, cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """The specks above the diaphragm with those that go on below it, and what lies around them.

    Below there are liver and spleen, as dense as airless lung, so that less is taken there.
    """
    chains, count = ndimage.label(dilate(specks, cells.spacing, _CHAIN_MM))
    sure = np.zeros(count + 1, bool)
    sure[np.unique(chains[specks & above])] = True
    specks = specks & sure[chains]
    near = dilate(specks & above, cells.spacing, _REACH_MM) & above
    return specks, near | dilate(specks, cells.spacing, _BELOW_MM)


def _small(air: np.ndarray, cells: Cells) -> np.ndarray:
    """The connected parts that are no larger than bronchi."""
    parts, _ = ndimage.label(air)
    small = np.bincount(parts.ravel()) * np.prod(cells.spacing) / 1000 < _SPECK_ML
    small[0] = False
    return small[parts]


def _density(hu: np.ndarray, cells: Cells) -> np.ndarray:
    """(k, j, i) float32 mean HU of the tissue around, with bone as dense as vessels; cells at air share its HU."""
    tissue = (hu > TISSUE_HU) & ~dilate(hu < AIR_HU, cells.spacing, 1.01 * max(cells.spacing))
    share = _mean(tissue, _MEAN_MM, cells)
    total = _mean(np.where(tissue, np.minimum(hu, 150), 0), _MEAN_MM, cells)
    return np.where(share > 0.02, total / np.maximum(share, 0.02), AIRLESS_HU + 1)  # nothing is known amid air


def _mean(values: np.ndarray, radius_mm: float, cells: Cells) -> np.ndarray:
    """(k, j, i) float32 mean in the box around each cell; of a mask its share."""
    sizes = [max(3, 2 * int(radius_mm / step) + 1) for step in cells.spacing[::-1]]
    return ndimage.uniform_filter(values.astype(np.float32), sizes)
