"""Real scans made ill, with known truth: how the evaluation tests the light where real disease is rare.

Every maker takes an axial scan and its reference lungs and returns a new scan with the lungs that a reader would draw
in it: airless lung stays lung, fluid and a lung that is gone do not. Severities go from about 20 % of a lung to most of
it. Same scan and kind give the same voxels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from CTVolumeLib.cells import slice_step
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

from .shapes import distance

LEFT, RIGHT = 1, 2
_AIRLESS_HU, _NOISE_HU = 40, 15
_FLUID_HU = 10
_GAS_HU = -990
_INFILTRATE_HU, _PATCHY_HU = -250, 150
_WALL_MM = 3.0
_LEAST_ML = 20.0


@dataclass(frozen=True, eq=False)
class IllScan:
    """A scan made ill.

    Attributes:
        kind: what was done to it.
        severity: how much of it, in words.
        volume: axial.
        truth: (k, j, i) uint8 1 left, 2 right lung.
        must_flag: the result needs a look also where it is right, since much is missing beside it.
    """

    kind: str
    severity: str
    volume: CTVolume
    truth: np.ndarray
    must_flag: bool = False


def all_of(volume: CTVolume, truth: np.ndarray, seed: int = 0) -> Iterator[IllScan]:
    """One healthy scan made ill in every way that its lungs allow.

    Args:
        volume: axial, slices from the feet to the head.
        truth: (k, j, i) 1 left lung, 2 right lung.
        seed: of the noise.
    """
    scan = _Scan(volume, truth, np.random.default_rng(seed))
    both = [side for side in (LEFT, RIGHT) if scan.millilitres(truth == side) > _LEAST_ML]
    for side in both:
        name = "left" if side == LEFT else "right"
        share = 0.25 if side == LEFT else 0.5
        yield scan.consolidation([side], share, f"{100 * share:.0f} % of the {name} lung")
        yield scan.infiltrates(side, 0.5, f"half of the {name} lung")
        share = 0.2 if side == LEFT else 0.5
        yield scan.effusion([side], share, f"{100 * share:.0f} % of the {name} lung")
        if len(both) == 2:
            yield scan.missing(side, f"{name} lung")
        gas = scan.colon_gas(side, 60.0 if side == RIGHT else 200.0, name)
        if gas:
            yield gas
    if len(both) == 2:
        yield scan.consolidation(both, 0.2, "both bases, 20 %")
        yield scan.consolidation(both, 0.4, "both bases, 40 %")
        yield scan.effusion(both, 0.3, "both sides, 30 %")
    slices = np.flatnonzero(truth.any(axis=(1, 2)))
    first, last = slices[0], slices[-1] + 1
    yield scan.cut(first + (last - first) // 3, None, "lower third gone")
    yield scan.cut(0, first + (last - first) * 2 // 3, "upper third gone")
    yield scan.cut(0, first + (last - first) // 4, "bases only")
    yield scan.mirrored()
    yield scan.noisy(60.0)
    if slice_step(volume) < 5:
        yield scan.thick()


class _Scan:
    def __init__(self, volume: CTVolume, truth: np.ndarray, rng: np.random.Generator) -> None:
        self.volume, self.truth, self.rng = volume, truth.astype(np.uint8), rng
        self.spacing = (*volume.spacing[:2], slice_step(volume))

    def millilitres(self, mask: np.ndarray) -> float:
        return float(np.count_nonzero(mask) * np.prod(self.spacing) / 1000)

    def consolidation(self, sides: list[int], share: float, severity: str) -> IllScan:
        """The lowest and hindmost part of lungs is airless, parted from the rest by a plane like a fissure."""
        hu = self.volume.array.copy()
        for side in sides:
            part = self._part(side, share, backwards=0.6)
            hu[part] = self._tissue(part, _AIRLESS_HU)
        return self._made("consolidation", severity, hu, self.truth)

    def infiltrates(self, side: int, share: float, severity: str) -> IllScan:
        """Part of a lung is patchy, between ground glass and airless."""
        hu = self.volume.array.copy()
        part = self._part(side, share, backwards=0.6)
        sigma = [8 / step for step in self.spacing[::-1]]
        clouds = ndimage.gaussian_filter(self.rng.standard_normal(hu.shape), sigma)
        clouds *= _PATCHY_HU / clouds.std()
        hu[part] = np.clip(np.maximum(hu[part], _INFILTRATE_HU + clouds[part]), -1000, 60)
        return self._made("infiltrates", severity, hu, self.truth)

    def effusion(self, sides: list[int], share: float, severity: str) -> IllScan:
        """Fluid takes the part of the chest that lies lowest in a patient on the back."""
        hu, truth = self.volume.array.copy(), self.truth.copy()
        for side in sides:
            part = self._part(side, share, backwards=3.0)
            hu[part], truth[part] = self._tissue(part, _FLUID_HU), 0
        return self._made("effusion", severity, hu, truth, must_flag=True)

    def missing(self, side: int, severity: str) -> IllScan:
        """One side of the chest holds no lung."""
        hu, truth = self.volume.array.copy(), self.truth.copy()
        part = truth == side
        hu[part], truth[part] = self._tissue(part, 20), 0
        return self._made("one lung missing", severity, hu, truth, must_flag=True)

    def colon_gas(self, side: int, millilitres: float, severity: str) -> IllScan | None:
        """A bubble of gas lies right below the dome, with a thin wall between; None if the scan ends above it."""
        lung = self.truth == side
        footprint = lung.any(axis=0)
        lowest = np.where(footprint, lung.argmax(axis=0), -1)
        inner = ndimage.binary_erosion(footprint, iterations=max(1, round(20 / self.spacing[0])))
        dome = int(np.where(inner, lowest, -1).max())
        if dome <= 0 or dome * self.spacing[2] < 40:
            return None
        j, i = (round(axis.mean()) for axis in np.nonzero(inner & (lowest == dome)))
        radius = (millilitres * 1000 * 3 / (4 * np.pi * 1.5 * 1.5)) ** (1 / 3)
        centre = (dome - (radius + _WALL_MM) / self.spacing[2], j, i)
        k, j, i = (
            (np.arange(size) - middle) * step
            for size, middle, step in zip(lung.shape, centre, self.spacing[::-1], strict=True)
        )
        bubble = k[:, None, None] ** 2 + (j[:, None] ** 2 + i**2) / 1.5**2 < radius**2
        bubble &= (distance(self.truth > 0, self.spacing) > _WALL_MM) & (self.volume.array > -300)
        if self.millilitres(bubble) < 0.3 * millilitres:
            return None
        hu = self.volume.array.copy()
        hu[bubble] = self._tissue(bubble, _GAS_HU)
        return self._made("colon gas", f"{millilitres:.0f} mL below the {severity} dome", hu, self.truth)

    def cut(self, first: int, last: int | None, severity: str) -> IllScan:
        """The scan ends within the lungs."""
        kept = slice(first, last)
        positions, origins = self.volume.positions, self.volume.slice_origins
        volume = replace(
            self.volume,
            array=self.volume.array[kept].copy(),
            origin=tuple(self.volume.origins()[first]),
            positions=None if positions is None else np.asarray(positions)[kept],
            slice_origins=None if origins is None else np.asarray(origins)[kept],
            sources=(),
        )
        return IllScan("cut", severity, volume, self.truth[kept])

    def mirrored(self) -> IllScan:
        """The heart lies on the right; what lies on the left is the left lung all the same."""
        truth = self.truth[:, :, ::-1]
        swapped = np.where(truth > 0, 3 - truth, 0).astype(np.uint8)
        return self._made("mirrored", "left for right", self.volume.array[:, :, ::-1].copy(), swapped)

    def noisy(self, sigma_hu: float) -> IllScan:
        hu = self.volume.array + sigma_hu * self.rng.standard_normal(self.volume.array.shape)
        return self._made("noise", f"{sigma_hu:.0f} HU", hu, self.truth)

    def thick(self) -> IllScan:
        """Slices averaged in pairs."""
        pairs = self.volume.array.shape[0] // 2
        hu = self.volume.array[: 2 * pairs].reshape(pairs, 2, *self.volume.array.shape[1:]).mean(axis=1)
        both = self.truth[: 2 * pairs].reshape(pairs, 2, *self.truth.shape[1:])
        step = self.spacing[2]
        origin = self.volume.origins()[:2].mean(axis=0)
        volume = CTVolume(
            np.rint(hu).astype(np.int16), (*self.volume.spacing[:2], 2 * step), tuple(origin), self.volume.direction
        )
        return IllScan("thick slices", f"{2 * step:.0f} mm", volume, np.minimum(both[:, 0], both[:, 1]))

    def _part(self, side: int, share: float, backwards: float) -> np.ndarray:
        """A share of a lung that lies low and, the more the larger ``backwards``, at the back."""
        lung = self.truth == side
        k, j, _ = np.nonzero(lung)
        depth = j * self.spacing[1] * backwards - k * self.spacing[2]
        part = np.zeros_like(lung)
        part[lung] = depth >= np.quantile(depth, 1 - share)
        return part

    def _tissue(self, part: np.ndarray, mean_hu: float) -> np.ndarray:
        return mean_hu + _NOISE_HU * self.rng.standard_normal(np.count_nonzero(part))

    def _made(self, kind: str, severity: str, hu: np.ndarray, truth: np.ndarray, *, must_flag: bool = False) -> IllScan:
        array = np.clip(np.rint(hu), -1024, 3000).astype(np.int16)
        return IllScan(kind, severity, self.volume.with_array(array), truth, must_flag)
