"""A follow-up whose place in the baseline is known exactly: the baseline, moved and resampled by a known map.

Used for the shipped sample follow-up and to measure the matching. It shows how exactly a map is found again, not how
alike two real examinations are: contrast agent, breathing and posture change more between those.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

AIR_HU = -1024


@dataclass(frozen=True)
class KnownMap:
    """Where a height of the baseline lies in the follow-up: a shift and a smooth displacement.

    Attributes:
        shift_mm: added to the baseline's LPS z.
        amplitude_mm: largest smooth displacement.
        wavelength_mm: of the displacement, a sine.
        centre_mm: baseline z where the displacement is 0.
    """

    shift_mm: float = 0.0
    amplitude_mm: float = 0.0
    wavelength_mm: float = 300.0
    centre_mm: float = 0.0

    def followup(self, baseline_z_mm: np.ndarray | float) -> np.ndarray:
        """Follow-up z of a baseline z, mm, any shape."""
        z_mm = np.asarray(baseline_z_mm, dtype=float)
        phase = 2 * np.pi * (z_mm - self.centre_mm) / self.wavelength_mm
        return z_mm + self.shift_mm + self.amplitude_mm * np.sin(phase)

    def baseline(self, followup_z_mm: np.ndarray | float) -> np.ndarray:
        """Baseline z of a follow-up z, mm, any shape."""
        target = np.asarray(followup_z_mm, dtype=float) - self.shift_mm
        margin = abs(self.amplitude_mm) + 1
        grid = np.arange(target.min() - margin, target.max() + margin, 0.25)
        return np.interp(target, self.followup(grid) - self.shift_mm, grid)


def make_followup(
    volume: CTVolume,
    known: KnownMap,
    *,
    baseline_range_mm: tuple[float, float] | None = None,
    slice_mm: float = 4.0,
    shift_in_plane_mm: tuple[float, float] = (0.0, 0.0),
    rotation_deg: float = 0.0,
    scale: float = 1.0,
    noise_hu: float = 0.0,
    hu_step: int = 1,
    seed: int = 8,
) -> CTVolume:
    """The follow-up of an axial volume by a known map.

    Args:
        volume: baseline in axial order (``as_axial``), even slices.
        known: the map along z.
        baseline_range_mm: lowest and highest baseline z that the follow-up shows; None for all.
        slice_mm: the follow-up's slice spacing; each slice averages over its thickness.
        shift_in_plane_mm: to the left and to the back.
        rotation_deg: about the body's long axis, in the picture's centre.
        scale: in-plane size of the follow-up's patient.
        noise_hu: standard deviation of white noise that is added.
        hu_step: round to multiples of this.
        seed: of the noise.
    """
    z_mm = volume.superior()
    low, high = baseline_range_mm or (z_mm[0], z_mm[-1])
    followup_z = np.arange(known.followup(low), known.followup(high) + 1e-6, slice_mm)
    angle = np.deg2rad(rotation_deg)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / scale
    centre = (np.array(volume.array.shape[1:]) - 1) / 2
    shift = np.array(shift_in_plane_mm[::-1]) / np.array(volume.spacing[1::-1])
    rng = np.random.default_rng(seed)
    slices = []
    for z in followup_z:
        picture = np.mean(
            [_slice_at(volume, z_mm, known.baseline(z + part * slice_mm)) for part in (-1 / 3, 0, 1 / 3)], 0
        )
        picture = ndimage.affine_transform(
            picture, rotation, centre - rotation @ (centre + shift), order=1, cval=AIR_HU
        )
        picture += rng.normal(0, noise_hu, picture.shape) * (picture > AIR_HU + 1)
        slices.append(np.clip(np.round(picture / hu_step) * hu_step, AIR_HU, 3071).astype(np.int16))
    origin = (volume.origin[0], volume.origin[1], float(followup_z[0]))
    return CTVolume(np.stack(slices), spacing=(*volume.spacing[:2], slice_mm), origin=origin, meta={"modality": "CT"})


def _slice_at(volume: CTVolume, z_mm: np.ndarray, z: float) -> np.ndarray:
    """(j, i) HU at one height, linear between the slices, the end slices beyond."""
    place = float(np.interp(z, z_mm, np.arange(len(z_mm))))
    below = min(int(place), len(z_mm) - 2)
    part = place - below
    return (1 - part) * volume.array[below].astype(np.float32) + part * volume.array[below + 1]
