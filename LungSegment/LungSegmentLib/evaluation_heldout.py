"""Scans made ill in other ways than those that the light's limits were chosen on (``evaluation_ill``).

Disease has other shapes here: planes through a lung in any direction, balls at its wall, fluid with a level, a rind
along the ribs, gas of a pneumothorax, bowel that bulges into the chest. So have scanners: blurred and displaced slices,
sharp and soft kernels, a field of view that is too narrow, and headers with a wrong spacing. A first look at a part of
them told which signs were missing (in front, at the apices, gas beside the lungs); no limit is to be fitted to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from CTVolumeLib.cells import slice_step
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

from .evaluation_ill import LEFT, RIGHT, IllScan
from .shapes import distance

_AIRLESS_HU, _FLUID_HU, _GAS_HU = 50, 5, -1000
_NOISE_HU = 12
_LINE_MM = 2.0
_LEAST_ML = 100.0


def all_of(volume: CTVolume, truth: np.ndarray, seed: int = 0) -> Iterator[IllScan]:
    """One healthy scan made ill in every way that its lungs allow.

    Args:
        volume: axial, slices from the feet to the head.
        truth: (k, j, i) 1 left lung, 2 right lung.
        seed: of noise and directions.
    """
    scan = _Scan(volume, truth, np.random.default_rng(seed))
    sides = [side for side in (LEFT, RIGHT) if scan.millilitres(truth == side) > _LEAST_ML]
    for side in sides:
        name = "left" if side == LEFT else "right"
        for share in (0.15, 0.3, 0.6):
            yield scan.airless_by_plane(side, share, f"{100 * share:.0f} % of the {name} lung, any plane")
        for radius in (25.0, 45.0):
            yield scan.ball_at_wall(side, radius, f"{2 * radius:.0f} mm at the wall of the {name} lung")
        for share in (0.1, 0.35):
            yield scan.fluid_level(side, share, f"{100 * share:.0f} % of the {name} lung, level")
            yield scan.pneumothorax(side, share, f"{100 * share:.0f} % of the {name} side")
        yield scan.rind(side, 15.0, f"15 mm around the {name} lung")
        yield scan.collapsed(side, f"{name} lung")
        bowel = scan.bowel_in_chest(side, 40.0 if side == RIGHT else 120.0, name)
        if bowel:
            yield bowel
    yield from scan.parts()
    yield from scan.wrong_headers()
    yield from scan.scanners()


class _Scan:
    def __init__(self, volume: CTVolume, truth: np.ndarray, rng: np.random.Generator) -> None:
        self.volume, self.truth, self.rng = volume, truth.astype(np.uint8), rng
        self.spacing = (*volume.spacing[:2], slice_step(volume))

    def millilitres(self, mask: np.ndarray) -> float:
        return float(np.count_nonzero(mask) * np.prod(self.spacing) / 1000)

    # Disease

    def airless_by_plane(self, side: int, share: float, severity: str) -> IllScan:
        """All of a lung on one side of a plane in any direction, with bronchi full of air, and a soft border."""
        lung = self.truth == side
        direction = self.rng.standard_normal(3)
        part = self._beyond(lung, direction / np.linalg.norm(direction), share)
        bronchi = ndimage.gaussian_filter(self.rng.standard_normal(lung.shape), [3 / step for step in self._steps()])
        air = part & (bronchi > np.quantile(bronchi[part], 0.95))
        return self._made("consolidation", severity, self._painted(part & ~air, _AIRLESS_HU, soft_mm=2.0), self.truth)

    def ball_at_wall(self, side: int, radius_mm: float, severity: str) -> IllScan:
        """A mass or round pneumonia whose centre lies on the surface of the lung; it counts as lung."""
        lung = self.truth == side
        surface = np.argwhere(lung & ~ndimage.binary_erosion(lung))
        centre = surface[self.rng.integers(len(surface))]
        axes = [(np.arange(size) - c) * step for size, c, step in zip(lung.shape, centre, self._steps())]
        away = axes[0][:, None, None] ** 2 + axes[1][:, None] ** 2 + axes[2] ** 2
        part = lung & (away < radius_mm**2)
        return self._made("round consolidation", severity, self._painted(part, _AIRLESS_HU, soft_mm=1.0), self.truth)

    def fluid_level(self, side: int, share: float, severity: str) -> IllScan:
        """Fluid up to a level in a patient on the back, higher at the ribs than in the middle."""
        lung = self.truth == side
        inside = -distance(lung, self.spacing)
        rise = 15.0 * np.exp(-np.maximum(inside, 0) / 8.0)
        depth = np.arange(lung.shape[1])[:, None] * self.spacing[1] + rise
        part = lung & (depth >= np.quantile(depth[lung], 1 - share))
        return self._without(part, "effusion", severity, self._painted(part, _FLUID_HU))

    def rind(self, side: int, thickness_mm: float, severity: str) -> IllScan:
        """Thick pleura all around the outside of a lung, not along heart and mediastinum."""
        lung = self.truth == side
        columns = np.nonzero(lung)[2]
        outer = np.arange(lung.shape[2]) * (1 if side == LEFT else -1)
        limit = np.median(columns) * (1 if side == LEFT else -1)
        part = lung & (distance(lung, self.spacing) > -thickness_mm) & (outer > limit)
        return self._without(part, "thick pleura", severity, self._painted(part, _AIRLESS_HU))

    def pneumothorax(self, side: int, share: float, severity: str) -> IllScan:
        """Gas in front of a lung that has withdrawn from the chest wall and is denser; between them a thin line."""
        lung = self.truth == side
        part = self._beyond(lung, np.array([0.3, -1.0, 0.0]), share)
        hu = self.volume.array.astype(np.float32)
        rest = lung & ~part
        hu[rest] += 150 * share
        line = rest & (distance(part, self.spacing) < _LINE_MM)
        hu[part] = self._noisy(part, _GAS_HU)
        hu[line] = np.maximum(hu[line], -300)
        return self._without(part, "pneumothorax", severity, hu)

    def collapsed(self, side: int, severity: str) -> IllScan:
        """A lung of which only a part at the hilum holds air, the rest airless; fluid around takes the outer third."""
        lung = self.truth == side
        outwards = 1.0 if side == LEFT else -1.0
        fluid = self._beyond(lung, np.array([0.0, 0.0, outwards]), 0.35)
        airless = self._beyond(lung, np.array([-0.5, 0.5, outwards]), 0.85)
        hu = self._painted(airless & ~fluid, _AIRLESS_HU)
        hu[fluid] = self._noisy(fluid, _FLUID_HU)
        return self._without(fluid, "collapsed lung", severity, hu)

    def bowel_in_chest(self, side: int, millilitres: float, name: str) -> IllScan | None:
        """Colon that bulges from below into a lung, with a wall as thin as cells can't show; None without a base."""
        lung = self.truth == side
        footprint = lung.any(axis=0)
        lowest = np.where(footprint, lung.argmax(axis=0), -1)
        inner = ndimage.binary_erosion(footprint, iterations=max(1, round(25 / self.spacing[0])))
        if not inner.any() or lowest[inner].max() * self.spacing[2] < 30:
            return None
        dome = int(lowest[inner].max())
        j, i = np.argwhere(inner & (lowest == dome))[0]
        radius = (millilitres * 1000 * 3 / (4 * np.pi * 1.8)) ** (1 / 3)
        away = [(np.arange(n) - c) * step for n, c, step in zip(lung.shape, (dome, j, i), self._steps())]
        ball = away[0][:, None, None] ** 2 + (away[1][:, None] / 1.8) ** 2 + away[2] ** 2
        wall = ball < (radius + 1.5) ** 2
        gas = ball < radius**2
        hu = self.volume.array.astype(np.float32)
        hu[wall & (hu < -100)] = 20
        hu[gas] = self._noisy(gas, _GAS_HU)
        truth = np.where(wall, 0, self.truth).astype(np.uint8)
        return self._made("bowel in the chest", f"{millilitres:.0f} mL, {name}", hu, truth, must_flag=True)

    # Scanners

    def parts(self) -> Iterator[IllScan]:
        """Slabs of the chest, and a field of view that is too narrow."""
        slices = np.flatnonzero(self.truth.any(axis=(1, 2)))
        first, count = slices[0], len(slices)
        for begin, end, name in ((0.3, 0.7, "middle"), (0.8, 1.0, "apices"), (0.0, 0.12, "lowest bases")):
            kept = slice(first + round(begin * count) if begin else 0, first + round(end * count))
            if kept.stop - kept.start >= 8:
                yield IllScan("slab", name, self._slices(kept), self.truth[kept])
        columns = np.flatnonzero(self.truth.any(axis=(0, 1)))
        begin = columns[0] + round(0.15 * (columns[-1] - columns[0]))
        origin = self.volume.origins() + begin * self.spacing[0] * self.volume.axes()[:, 0]
        narrow = replace(
            self.volume, array=self.volume.array[:, :, begin:].copy(), origin=tuple(origin[0]),
            slice_origins=None if self.volume.slice_origins is None else origin, sources=(),
        )  # fmt: skip
        yield IllScan("narrow field of view", "right side cut", narrow, self.truth[:, :, begin:])

    def wrong_headers(self) -> Iterator[IllScan]:
        """Spacings that are not true: nothing in the picture is wrong, but all volumes are."""
        for across, along in ((1.0, 2.0), (1.0, 0.5), (1.6, 1.0), (0.6, 1.0)):
            spacing = (self.spacing[0] * across, self.spacing[1] * across, self.spacing[2] * along)
            volume = CTVolume(self.volume.array, spacing, self.volume.origin, self.volume.direction)
            severity = f"{across:g} in the slice, {along:g} between slices"
            yield IllScan("wrong spacing", severity, volume, self.truth, must_flag=True)

    def scanners(self) -> Iterator[IllScan]:
        """What scanners and breathing do to a healthy chest."""
        hu = self.volume.array.astype(np.float32)
        for sigma in (30.0, 100.0):
            yield self._made("noise", f"{sigma:.0f} HU", hu + sigma * self.rng.standard_normal(hu.shape), self.truth)
        in_slice = (0, 1.5 / self.spacing[1], 1.5 / self.spacing[0])
        soft = ndimage.gaussian_filter(hu, in_slice)
        yield self._made("kernel", "soft", soft, self.truth)
        yield self._made("kernel", "sharp", hu + 1.0 * (hu - soft), self.truth)
        yield self._made("values", "60 HU too high", hu + 60, self.truth)
        step = max(1, round(12 / self.spacing[2]))
        moved = [np.roll(hu, shift, axis=0) for shift in (-step, 0, step)]
        below = np.arange(len(hu)) < np.nonzero(self.truth)[0].mean()
        blurred = np.where(below[:, None, None], np.mean(moved, axis=0), hu)
        seen = np.where(blurred < -400, ndimage.grey_dilation(self.truth, (2 * step + 1, 1, 1)), self.truth)
        seen = np.where(blurred < -400, seen, 0)
        yield self._made("breathing", "base blurred by 12 mm", blurred, seen, must_flag=True)
        shifted = hu.copy()
        aside = max(1, round(8 / self.spacing[1]))
        truth = self.truth.copy()
        shifted[below], truth[below] = (np.roll(array[below], aside, axis=1) for array in (hu, self.truth))
        yield self._made("moved", "lower half by 8 mm", shifted, truth)
        factor = 300 / hu.shape[1]
        zoomed = ndimage.zoom(hu, (1, factor, factor), order=1)
        labels = ndimage.zoom(self.truth, (1, factor, factor), order=0)
        spacing = (self.spacing[0] / factor, self.spacing[1] / factor, self.spacing[2])
        finer = CTVolume(np.rint(zoomed).astype(np.int16), spacing, self.volume.origin, self.volume.direction)
        yield IllScan("pixels", "300 in a row", finer, labels)

    # How

    def _steps(self) -> tuple[float, float, float]:
        return self.spacing[::-1]

    def _beyond(self, lung: np.ndarray, direction: np.ndarray, share: float) -> np.ndarray:
        """A share of a lung, as far as possible in a direction (k, j, i)."""
        places = np.argwhere(lung) * self._steps() @ direction
        part = np.zeros_like(lung)
        part[lung] = places >= np.quantile(places, 1 - share)
        return part

    def _painted(self, part: np.ndarray, hu: float, soft_mm: float = 0.0) -> np.ndarray:
        """The scan with a part of it filled, its border spread over some mm."""
        weight = part.astype(np.float32)
        if soft_mm:
            weight = ndimage.gaussian_filter(weight, [soft_mm / step for step in self._steps()])
        filling = hu + _NOISE_HU * self.rng.standard_normal(part.shape).astype(np.float32)
        # Nothing becomes darker: ribs and vessels beside the part stay.
        return np.maximum(self.volume.array, weight * filling + (1 - weight) * self.volume.array)

    def _noisy(self, part: np.ndarray, hu: float) -> np.ndarray:
        return hu + _NOISE_HU * self.rng.standard_normal(np.count_nonzero(part))

    def _slices(self, kept: slice) -> CTVolume:
        positions, origins = self.volume.positions, self.volume.slice_origins
        return replace(
            self.volume,
            array=self.volume.array[kept].copy(),
            origin=tuple(self.volume.origins()[kept.start]),
            positions=None if positions is None else np.asarray(positions)[kept],
            slice_origins=None if origins is None else np.asarray(origins)[kept],
            sources=(),
        )

    def _without(self, part: np.ndarray, kind: str, severity: str, hu: np.ndarray) -> IllScan:
        """What is no lung any more; the result needs a look also where it is right."""
        return self._made(kind, severity, hu, np.where(part, 0, self.truth).astype(np.uint8), must_flag=True)

    def _made(self, kind: str, severity: str, hu: np.ndarray, truth: np.ndarray, *, must_flag: bool = False) -> IllScan:
        array = np.clip(np.rint(hu), -1024, 3000).astype(np.int16)
        return IllScan(kind, severity, self.volume.with_array(array), truth.astype(np.uint8), must_flag)
