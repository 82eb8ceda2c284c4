"""Equipment on the cells: what is hard and no patient, and what is faint (foam, cushions, cloth), but more than air."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .body import Body
from .components import components
from .constant import presence
from .grid import Cells
from .shapes import ALL_AROUND, distance, grow

AIR_HU = (-1015, -930)
_ABOVE_AIR_HU, _SIGMAS = 30.0, 3.5
_FAINT_LIMITS_HU = (-975.0, -935.0)
_CRUMB_ML, _FAINT_ML = 0.6, 8.0
_FAINT_HU = 55.0
_HAIR_MM, _PRESSED_MM = 25.0, 5.0
_SUPPORT = 0.5


@dataclass(frozen=True, eq=False)
class Equipment:
    """Equipment on the cells.

    Attributes:
        mask: (k, j, i) bool.
        hair: (k, j, i) bool: what is faint and stays, since it is hair or may be.
        air_hu: of the air around the patient.
        faint_hu: above this is more than air, on smoothed values.
    """

    mask: np.ndarray
    hair: np.ndarray
    air_hu: float
    faint_hu: float


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
    faint_hu = float(np.clip(air_hu + max(_ABOVE_AIR_HU, _SIGMAS * noise), *_FAINT_LIMITS_HU))
    rim = grow(body.mask, step, step)
    faint = (smooth > faint_hu) & outside
    candidates = (faint & ~rim) | body.thin
    steady = presence(candidates, cells) > _SUPPORT
    parts = components(candidates, cells, ALL_AROUND)
    highest = ndimage.maximum(cells.hu, parts.labels, np.arange(parts.count + 1))
    # Noise and streaks make faint clouds. Cushions are as faint, but are the same from slice to slice.
    cloud = (highest < air_hu + 3 * _FAINT_HU) & (parts.share(steady) < 0.5)
    real = (parts.millilitres > _CRUMB_ML) & ~(cloud & (parts.mean_hu < air_hu + 2 * _FAINT_HU))
    mask = parts.chosen(real)
    hair = _hair(candidates & ~body.thin, steady, mask, body, cells)
    mask &= ~hair
    mask |= body.thin & ~grow(hair, step, step)
    return Equipment(mask, hair, air_hu, faint_hu)


def _hair(faint: np.ndarray, steady: np.ndarray, mask: np.ndarray, body: Body, cells: Cells) -> np.ndarray:
    """Faint stuff on the head that is no steady part of a cushion: as far as hair goes where it is loose, and a
    few millimetres where it is pressed against something."""
    if not body.head.any():
        return np.zeros_like(faint)
    near = distance(body.mask & body.head[:, None, None], cells.spacing)
    loose = faint & ~steady & (near <= _HAIR_MM)
    parts = components(loose, cells)
    own = components(mask, cells, ALL_AROUND)
    large = own.chosen(own.millilitres > 60)
    free = parts.chosen(parts.share(large) < 0.5)
    return free | (loose & (near <= _PRESSED_MM))


def _air(hu: np.ndarray) -> tuple[float, float]:
    """Commonest HU of air and its spread (standard deviation) towards less; towards more there are foam and cloth.

    What is as low as padding is left out: in slanting slices it can be anywhere.
    """
    counts = np.bincount(np.clip(hu, AIR_HU[0], AIR_HU[1]).astype(int) - AIR_HU[0], minlength=AIR_HU[1] - AIR_HU[0] + 1)
    counts[[0, -1]] = 0
    if counts.sum() < 50:
        return -1000.0, 0.0
    smooth = ndimage.uniform_filter1d(counts.astype(float), 15)
    middle = int(smooth.argmax())
    below = counts[: middle + 1]
    spread = np.sqrt((below @ (np.arange(middle + 1) - middle) ** 2) / max(below.sum(), 1))
    return float(middle + AIR_HU[0]), float(spread)


def _smoothed(hu: np.ndarray) -> np.ndarray:
    """HU averaged over neighbouring cells, so that faint cushions stand out from noise."""
    return ndimage.uniform_filter(hu, size=(1, 3, 3), mode="nearest")
