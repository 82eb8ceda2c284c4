"""Equipment on the cells: what is hard and no patient, and what is faint (foam, cushions, cloth), but more than air."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from CTVolumeLib.boxes import bounding_box
from CTVolumeLib.cells import Cells
from scipy import ndimage

from .body import Body
from .components import components
from .constant import presence
from .shapes import ALL_AROUND, distance, grow, grow_along, reached

AIR_HU = (-1015, -850)
"""Where the peak of air lies: scanners are off by as much, and beneath is padding."""

_ABOVE_AIR_HU, _SIGMAS = (28.0, 60.0), 3.5
"""More than air is what is denser by so many spreads of its noise, but by no less and no more than this.

A soft cushion is 70 HU denser than air; less than the former may be a scatter's shade.
"""

_AIR_SHARE = 0.25
"""A peak of HU this high, beside the highest one, may be air's: the rest are bumps of noise."""

_CRUMB_ML = 0.6
"""Smaller parts are specks of noise."""

_FAINT_HU = 55.0
"""So much above air foam begins; haze and streaks stay below in the mean."""

_STRONG_HU, _CLOUD_MM = 130, 8.0
"""Cloth and foam have parts that are denser than air by this; what is faint and that near to one belongs to it."""

_HAIR_MM, _PRESSED_MM = 25.0, 3.0
"""How thick hair is, loose and where the head lies on it."""

_BESIDE_MM, _FREE_MM = 8.0, 14.0
"""That near to equipment hair may be pressed; that far from it nothing but hair makes the air around a head denser."""

_EDGE_MM, _BLURRED_CELLS = 5.0, 1.5
"""What lies against hair and is hard beneath an edge no thicker than the first is a holder: in front of it there is
nothing but hair and, nearer than the second, its own blur. A cushion is as faint as hair.
"""

_LONG_MM, _HAIRY, _TIPS_MM = 12.0, 0.4, 0.5
"""Free hair is measured in layers up to the first; a layer is hair if the second, a share, of it is more than air, and
single tips stand out by the third.
"""

_LOOSER_MM = 2.0
"""By so much hair may be thicker in places than it is where it was measured."""

_SMOOTH_HU, _EVEN_HU, _END_MM = 30.0, 45.0, 8.0
"""Foam is so smooth from cell to cell and all over; hair is not. Nearer to the body's end its blur is as smooth."""

_FOAM_ML, _FOAM_SD_HU = 2.0, 25.0
"""Foam that lies alone is more than this, denser than haze, and as even as noise lets it be."""

_AROUND_CELLS = 3
"""What is no farther from hair than so many cells may tell what it is."""

_FOREIGN_ML = 20.0
"""As much of a piece of equipment lies farther from the head than hair goes."""

_SUPPORT = 0.5
"""Share of the slices around in which cloth or foam goes on, while noise and streaks don't."""

_HELD = 0.4
"""Likewise of the slices in which the patient is not in the way. At the very end of a cushion it is a half."""

_STEADY = 0.8
"""Share of the slices around in which a cushion is at the same place, and hair is not."""


@dataclass(frozen=True, eq=False)
class Equipment:
    """Equipment on the cells.

    Attributes:
        mask: (k, j, i) bool.
        hair: (k, j, i) bool: what is faint and stays, since it is hair or may be.
        air_hu: of the air around the patient.
        faint_hu: above this is more than air, on smoothed values.
        hairy: whether hair was seen where nothing touches the head.
    """

    mask: np.ndarray
    hair: np.ndarray
    air_hu: float
    faint_hu: float
    hairy: bool


def find(cells: Cells, body: Body) -> Equipment:
    """Find all that is neither patient nor air.

    Args:
        cells: the scan.
        body: the patient.
    """
    step = cells.step_mm
    outside = ~body.mask & ~body.padding
    smooth = _smoothed(cells.hu)
    air_hu, noise = _air(smooth[outside])
    faint_hu = air_hu + float(np.clip(_SIGMAS * noise, *_ABOVE_AIR_HU))
    rim = grow(body.mask, step, step)
    # The averages of the next cells hold some of the skin's blurred edge.
    faint = (smooth > faint_hu) & outside & ~rim
    faint &= ~grow(rim, step, step) | (cells.hu > faint_hu)
    steady = presence(faint | body.thin, cells) > _SUPPORT
    if body.head.any():
        # A cushion ends, or the head sinks into it; haze around the patient does as much, but is fainter.
        held = presence(faint | body.thin, cells, hidden=body.mask) > _HELD
        steady |= held & body.head[:, None, None] & (smooth > air_hu + _FAINT_HU)
    # Noise and streaks are faint everywhere; cloth and foam have denser parts, or go on from slice to slice.
    strong = (faint & (cells.hu > air_hu + _STRONG_HU)) | body.thin
    faint &= steady | grow(strong, step, _CLOUD_MM)
    candidates = faint | body.thin
    parts = components(candidates, cells, ALL_AROUND)
    highest = parts.highest(cells.hu)
    # Noise and streaks make faint clouds. Cushions are as faint, but are the same from slice to slice.
    cloud = (highest < air_hu + 3 * _FAINT_HU) & (parts.share(steady) < 0.5)
    real = (parts.millilitres > _CRUMB_ML) & ~(cloud & (parts.mean_hu < air_hu + 2 * _FAINT_HU))
    mask = parts.chosen(real)
    steady = presence(candidates, cells, beside=False, hidden=body.mask) > _STEADY
    hair, thick = _hair(candidates & ~body.thin, steady, mask, air_hu, body, cells)
    mask &= ~hair
    mask |= body.thin & ~grow(hair, step, step)
    return Equipment(mask, hair, air_hu, faint_hu, thick > 0)


def _hair(
    faint: np.ndarray, steady: np.ndarray, mask: np.ndarray, air_hu: float, body: Body, cells: Cells
) -> tuple[np.ndarray, float]:
    """Faint stuff on the head that is no steady part of a cushion and stays.

    Loose hair stays as far as hair goes; before a hard holder as thick as it is where nothing presses it, and against
    a cushion no thicker than pressed hair.
    """
    if not body.head.any():
        return np.zeros_like(faint), 0.0
    near = distance(body.mask & body.head[:, None, None], cells.spacing, _HAIR_MM)
    far = near > _HAIR_MM
    own = components(mask, cells, ALL_AROUND)
    # Hair is nowhere far from the head, so what does not reach far is no equipment, unless it is hard.
    foreign = own.chosen(own.share(far) * own.millilitres > _FOREIGN_ML) & (steady | far) | body.thin
    steady = steady & foreign
    loose = faint & ~steady & ~far
    away = distance(foreign, cells.spacing, _FREE_MM, ~far)
    thick = _thickness(faint, near, away, body, cells.step_mm)
    # Hair that is no thicker than pressed hair stays as it is, whatever lies behind it.
    backed = _backed(loose, away, body, cells) if thick > _PRESSED_MM else np.zeros_like(loose)
    # A shoulder that a slice shows in part is as smooth as foam.
    rough = loose & grow_along(body.mask, max(1, round(_END_MM / cells.spacing[2])))
    hair, box = np.zeros_like(loose), bounding_box(loose, cells.spacing, _AROUND_CELLS * max(cells.spacing))
    loose, foreign, near, away, backed = (array[box] for array in (loose, foreign, near, away, backed))
    joined = reached(foreign, loose | foreign)
    beside = np.where(backed, thick, min(thick, _PRESSED_MM))
    limit = np.where(joined, np.where(away > _BESIDE_MM, thick + _LOOSER_MM, beside), _HAIR_MM)
    found = loose & (near <= limit) & ~_foam(loose & ~rough[box], foreign, air_hu, cells.part(box))
    # Beside equipment hair is the end of hair that is free; what else touches it there is foam in the folds of a face.
    hair[box] = reached(~joined | (away > _BESIDE_MM), found, ALL_AROUND)
    return hair, thick


def _backed(loose: np.ndarray, away: np.ndarray, body: Body, cells: Cells) -> np.ndarray:
    """(k, j, i) bool: where what may be hair lies before a hard holder; ``away``: mm from what is no hair."""
    hard = distance(body.thin, cells.spacing, _BESIDE_MM + _EDGE_MM, loose)
    return (hard < away + _EDGE_MM) & (away > _BLURRED_CELLS * cells.step_mm)


def _foam(loose: np.ndarray, foreign: np.ndarray, air_hu: float, cells: Cells) -> np.ndarray:
    """Of what may be hair that which is as smooth as hair is not, and lies against equipment or is like foam itself."""
    size = (1, 3, 3)
    hu = cells.hu.astype(np.float32)
    variance = ndimage.uniform_filter(hu * hu, size) - ndimage.uniform_filter(hu, size) ** 2
    parts = components(loose & (variance < _SMOOTH_HU**2), cells)
    against = parts.touching(grow(foreign, cells.step_mm, 2 * cells.step_mm))
    foam = against & (parts.millilitres > _CRUMB_ML) & (parts.sd_hu < _EVEN_HU)
    foam |= (parts.millilitres > _FOAM_ML) & (parts.sd_hu < _FOAM_SD_HU) & (parts.mean_hu > air_hu + _FAINT_HU)
    smooth = parts.chosen(foam)
    # Averages over neighbours see the edge of what is smooth as rough.
    return grow(smooth, cells.step_mm, 2 * cells.step_mm, within=loose)


def _thickness(faint: np.ndarray, near: np.ndarray, away: np.ndarray, body: Body, step: float) -> float:
    """Mm of hair where there is nothing but air around it, 0 for a bald head; a guess where it is nowhere free."""
    free = (away > _FREE_MM) & body.scalp[:, None, None] & ~body.mask & (near <= _LONG_MM + 2.0)
    near, faint = near[free], faint[free]
    thick = 0.0
    for low in np.arange(1.25 * step, _LONG_MM, 2.0):  # nearer than that is the blurred edge of the skin
        shell = (near > low) & (near <= low + 2.0)
        cells = np.count_nonzero(shell)
        if cells < 200:
            return max(thick, _PRESSED_MM)
        if np.count_nonzero(shell & faint) < _HAIRY * cells:
            break
        thick = low + 2.0 + _TIPS_MM
    return thick


def _air(hu: np.ndarray) -> tuple[float, float]:
    """HU of air and its spread (standard deviation) towards less; towards more there are foam and cloth.

    It is the lowest peak that is not small: of a large cushion there may be more than of air.
    What is as low as padding is left out: in slanting slices it can be anywhere.
    """
    counts = np.bincount(np.clip(hu, AIR_HU[0], AIR_HU[1]).astype(int) - AIR_HU[0], minlength=AIR_HU[1] - AIR_HU[0] + 1)
    counts[[0, -1]] = 0
    if counts.sum() < 50:
        return -1000.0, 0.0
    smooth = ndimage.uniform_filter1d(counts.astype(float), 15)
    peak = (smooth[1:-1] >= smooth[:-2]) & (smooth[1:-1] >= smooth[2:]) & (smooth[1:-1] > _AIR_SHARE * smooth.max())
    middle = int(peak.argmax()) + 1 if peak.any() else int(smooth.argmax())
    below = counts[: middle + 1]
    spread = np.sqrt((below @ (np.arange(middle + 1) - middle) ** 2) / max(below.sum(), 1))
    return float(middle + AIR_HU[0]), float(spread)


def _smoothed(hu: np.ndarray) -> np.ndarray:
    """HU averaged over neighbouring cells, so that faint cushions stand out from noise."""
    return ndimage.uniform_filter(hu, size=(1, 3, 3), mode="nearest")
