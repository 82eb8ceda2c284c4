"""Pictures of cases: the network's input in three planes, with what speaks for the finding and what against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from CTVolumeLib.render import montage, to_png
from scipy import ndimage

_FOR, _AGAINST = np.array([255.0, 120.0, 30.0]), np.array([60.0, 150.0, 255.0])
_LONGEST_PIXELS = 230
_FULL = 0.55
"""Share of colour at the strongest place."""
_AS_MUCH = 0.999
"""Of the strongest; means of the same numbers differ in their last digits."""


@dataclass(frozen=True, eq=False)
class Shown:
    """What is drawn of a case.

    Attributes:
        picture: (k, j, i) input from 0 to 1, in axial order.
        saliency: (k, j, i) as from ``evaluation_saliency.occlusion``.
        extent_mm: of the whole along (k, j, i).
    """

    picture: np.ndarray
    saliency: np.ndarray
    extent_mm: Sequence[float]

    @property
    def place(self) -> tuple[int, int, int]:
        """The voxel that says most, for or against; of several that say as much, the one nearest to their middle."""
        heat = np.abs(self.saliency)
        # A box is one value, whose first voxel is its corner.
        most = np.argwhere(heat >= _AS_MUCH * heat.max())
        nearest = np.argmin(((most - most.mean(axis=0)) ** 2).sum(axis=1))
        return tuple(int(n) for n in most[nearest])


def draw(shown: Shown) -> bytes:
    """PNG: axial, coronal and sagittal through the place that says most; plain above, coloured below.

    The patient's right is at the left, the front at the top or left, the head at the top.
    """
    k, j, i = shown.place
    mm = shown.extent_mm
    planes = (
        (np.s_[k], (mm[1], mm[2]), False),
        (np.s_[:, j], (mm[0], mm[2]), True),
        (np.s_[:, :, i], (mm[0], mm[1]), True),
    )
    scale = _LONGEST_PIXELS / max(mm)
    strongest = max(float(np.abs(shown.saliency).max()), 1e-6)
    plain, coloured = [], []
    for cut, extent, head_up in planes:
        gray, heat = (_stretched(part[cut], extent, scale, head_up) for part in (shown.picture, shown.saliency))
        gray = np.repeat(255 * np.clip(gray, 0, 1)[..., None], 3, axis=2)
        share = (_FULL * np.clip(np.abs(heat) / strongest, 0, 1))[..., None]
        colour = np.where(heat[..., None] > 0, _FOR, _AGAINST)
        plain.append(gray.astype(np.uint8))
        coloured.append((gray * (1 - share) + colour * share).astype(np.uint8))
    return to_png(montage([*plain, *coloured], columns=3, gap=4, background=0))


def _stretched(part: np.ndarray, extent: tuple[float, float], scale: float, head_up: bool) -> np.ndarray:
    """A plane on square pixels."""
    part = part[::-1] if head_up else part
    factors = [max(1, round(mm * scale)) / size for mm, size in zip(extent, part.shape)]
    return ndimage.zoom(part.astype(np.float32), factors, order=1, mode="nearest", grid_mode=True)
