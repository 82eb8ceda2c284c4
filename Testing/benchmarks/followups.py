"""Follow-ups of real scans by known maps: breathing, weight, a bent neck, other extent, slices, table and noise.

Where a height of the baseline lies in the follow-up is known exactly. Two real examinations differ in more ways.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from CTSliceLocalizerLib import alterations, groundtruth
from CTSliceLocalizerLib.landmarks import BODY_MM, NAMES
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

AIR_HU = -1024
KINDS = ("breathing", "weight", "neck flexion", "cropped", "resampled", "re-tabled", "re-noised", "all of it")
POSTURE_MM = 6.0
"""Amplitude of the smooth displacement that every follow-up has."""
BREATH_MM = 12.0
BREATH_WIDTH_MM = 60.0
LEAST_OVERLAP_MM = 80.0
FLEXION_DEG = 12.0
FLEXION_OVER_MM = 80.0


@dataclass(frozen=True, eq=False)
class Followup:
    """A pair of scans and the map between them.

    Attributes:
        kind: one of ``KINDS``.
        baseline: in axial order.
        followup: likewise.
        heights: (n,) LPS z of the baseline, growing.
        places: (n,) where they lie in the follow-up, beyond its ends too.
    """

    kind: str
    baseline: CTVolume
    followup: CTVolume
    heights: np.ndarray
    places: np.ndarray

    def place(self, z_mm: np.ndarray) -> np.ndarray:
        """Follow-up z of baseline z, mm."""
        return np.interp(z_mm, self.heights, self.places)


@dataclass
class _Plan:
    """How a follow-up is made, in mm; what is not changed is as in the baseline."""

    slice_mm: float
    pixel_mm: float
    scale: tuple[float, float] = (1.0, 1.0)
    displacements: list[Callable[[np.ndarray], np.ndarray]] = field(default_factory=list)
    tilt: Callable[[np.ndarray], np.ndarray] = np.zeros_like
    overlap: float | None = None
    table: bool = False
    noisy: bool = False


def make(
    volume: CTVolume, annotations: Mapping[str, groundtruth.Annotation], kind: str, rng: np.random.Generator
) -> Followup | None:
    """A follow-up of one kind, or None where the scan does not show what it needs.

    Args:
        volume: the scan, axial.
        annotations: its landmarks, which tell where breathing and bending take place.
        kind: one of ``KINDS``.
        rng: for all that is drawn.
    """
    z_mm = volume.superior()
    body, _ = groundtruth.body_targets(z_mm, annotations)
    plan = _plan(volume, z_mm, body, kind, rng)
    if plan is None:
        return None
    heights = np.arange(z_mm[0] - 100, z_mm[-1] + 100, 0.5)
    moved = sum((displace(heights) for displace in plan.displacements), np.zeros_like(heights))
    places = np.maximum.accumulate(heights + moved + rng.choice([-1, 1]) * rng.uniform(100, 400))
    low, high, shown = _extent(z_mm, plan, rng)
    baseline = volume.crop(k=slice(*np.searchsorted(z_mm, [shown[0], shown[1] + 1e-6])))
    followup = _warped(volume, z_mm, heights, places, (low, high), plan, rng)
    if plan.noisy:
        followup = _renoised(followup, rng)
    if plan.table:
        baseline = alterations.without_table(baseline, rng)
        followup = alterations.on_table(followup, rng)
    return Followup(kind, baseline, followup, heights, places)


def _plan(volume: CTVolume, z_mm: np.ndarray, body: np.ndarray, kind: str, rng: np.random.Generator) -> _Plan | None:
    everything = kind == "all of it"
    wave, phase = rng.uniform(220, 350), rng.uniform(0, 6)
    plan = _Plan(float(rng.choice([3.0, 4.0, 5.0])), float(volume.spacing[0]))
    plan.displacements.append(lambda z: POSTURE_MM * np.sin(z / wave * 2 * np.pi + phase))
    if everything or kind == "breathing":
        at = min(body.max(), BODY_MM[NAMES.index("Right dome of diaphragm")])
        centre, sign = float(np.interp(-at, -body, z_mm)), rng.choice([-1, 1])
        plan.displacements.append(lambda z: sign * BREATH_MM * np.exp(-(((z - centre) / BREATH_WIDTH_MM) ** 2)))
        plan.scale = (1.04, 1.02)
    if everything or kind == "weight":
        plan.scale = (1.13, 1.09) if rng.random() < 0.5 else (0.9, 0.93)
    if everything or kind == "neck flexion":
        bend = BODY_MM[NAMES.index("C7")]
        if body.max() > bend and body.min() < bend - 60:
            start, slope = float(np.interp(-bend, -body, z_mm)), np.tan(np.radians(rng.choice([-1, 1]) * FLEXION_DEG))
            plan.tilt = lambda z: slope * np.clip((z - start) / FLEXION_OVER_MM, 0, 1)
        elif not everything:
            return None
    if everything or kind == "cropped":
        plan.overlap = rng.uniform(0.3, 0.6)
    if everything or kind == "resampled":
        plan.slice_mm = float(rng.choice([1.5, 8.0]))
        plan.pixel_mm *= 1.4
    plan.table = everything or kind == "re-tabled"
    plan.noisy = everything or kind == "re-noised"
    return plan


def _extent(z_mm: np.ndarray, plan: _Plan, rng: np.random.Generator) -> tuple[float, float, tuple[float, float]]:
    """Lowest and highest baseline z that the follow-up shows, and the part that the baseline keeps."""
    low, high = float(z_mm[0]), float(z_mm[-1])
    length = high - low
    if plan.overlap is None:
        return low + rng.uniform(0, 0.25) * length, high - rng.uniform(0, 0.25) * length, (low, high)
    shared = max(plan.overlap * length, min(LEAST_OVERLAP_MM, length))
    middle = (low + high) / 2
    above, below = (middle - shared / 2, high), (low, middle + shared / 2)
    shown, kept = (above, below) if rng.random() < 0.5 else (below, above)
    return *shown, kept


def _warped(
    volume: CTVolume,
    z_mm: np.ndarray,
    heights: np.ndarray,
    places: np.ndarray,
    ends: tuple[float, float],
    plan: _Plan,
    rng: np.random.Generator,
) -> CTVolume:
    """The follow-up's voxels, each from where it was in the baseline; a slice is the mean over its thickness."""
    first, last = np.interp(ends, heights, places)
    followup_z = np.arange(first, last + 1e-6, plan.slice_mm)
    pixel = np.array([volume.spacing[1], volume.spacing[0]])
    counts = np.maximum(np.round(np.array(volume.array.shape[1:]) * pixel / plan.pixel_mm).astype(int), 8)
    centre = (np.array(volume.array.shape[1:]) - 1) / 2 * pixel
    angle, shift = np.radians(rng.uniform(-4, 4)), rng.uniform(-12, 12, 2)
    rows, columns = ((np.arange(count) - (count - 1) / 2) * plan.pixel_mm for count in counts)
    y, x = (rows - shift[0])[:, None] / plan.scale[0], (columns - shift[1])[None, :] / plan.scale[1]
    back = np.cos(angle) * y - np.sin(angle) * x
    left = np.sin(angle) * y + np.cos(angle) * x
    array = volume.array.astype(np.float32)
    slices = []
    for z in followup_z:
        picture = np.zeros(tuple(counts), np.float32)
        for part in (-1 / 3, 0.0, 1 / 3):
            at = np.interp(z + part * plan.slice_mm, places, heights)
            lifted = at + plan.tilt(np.array(at)) * back
            k = np.interp(lifted, z_mm, np.arange(len(z_mm)))
            picture += ndimage.map_coordinates(
                array, [k, (back + centre[0]) / pixel[0], (left + centre[1]) / pixel[1]], order=1, cval=AIR_HU
            )
        slices.append(picture / 3)
    found = np.stack(slices)
    found += rng.normal(0, 12, found.shape) * (found > AIR_HU + 1)
    spacing = (plan.pixel_mm, plan.pixel_mm, plan.slice_mm)
    origin = (0.0, 0.0, float(followup_z[0]))
    return CTVolume(np.clip(np.rint(found), AIR_HU, 3071).astype(np.int16), spacing, origin, meta={"modality": "CT"})


def _renoised(volume: CTVolume, rng: np.random.Generator) -> CTVolume:
    """Another kernel, more noise, less contrast agent, a scanner that is 15 HU off."""
    array = volume.array.astype(np.float32)
    array = np.where((array > 80) & (array < 300), 80 + (array - 80) * 0.25, array)
    array = ndimage.gaussian_filter(array, (0, 0.7, 0.7)) + 15
    array += rng.normal(0, 45, array.shape) * (array > AIR_HU + 30)
    return volume.with_array(np.clip(np.rint(array), AIR_HU, 3071).astype(np.int16))
