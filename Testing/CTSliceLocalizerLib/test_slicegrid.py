"""The networks' grid is what its recipe says, however slices lie: thick, thin, with gaps, with metal."""

from __future__ import annotations

import numpy as np
import pytest
from CTSliceLocalizerLib import slicegrid
from CTVolumeLib.volume import CTVolume


@pytest.mark.parametrize(
    "steps",
    [[3.0] * 20, [0.7] * 60, [9.0] * 8, [1.0] * 10 + [30.0] + [1.0] * 20 + [6.0, 2.5] * 5],
    ids=["usual", "thin", "thick", "gap"],
)
@pytest.mark.parametrize("spacing", [2.0, 0.8])
def test_cells_are_means_of_the_pixels_around_them(steps, spacing):
    axial = body(np.cumsum([0.0, *steps]), spacing)
    grid = slicegrid.make(axial, keep_unmasked=True)
    for cell, z in enumerate(grid.z_mm):
        np.testing.assert_allclose(grid.unmasked[cell], plain_cell(axial, z, steps), atol=1)


def body(z: np.ndarray, spacing: float) -> CTVolume:
    """97 cells wide, so that the 96 of the grid begin with the first; noise, and a little metal."""
    size = round(97 * 4 / spacing)
    random = np.random.default_rng(3)
    array = random.integers(-1100, -900, (len(z), size, size)).astype(np.int16)
    shift = round(2 / spacing)  # to the middle of the 49th cell
    inside = slice(size // 4 + shift, size - size // 4 + shift)
    array[:, inside, inside] = random.integers(-150, 250, array[:, inside, inside].shape)
    array[len(z) // 2, size // 2 : size // 2 + 9, size // 2 : size // 2 + 9] = 32_767
    return CTVolume(array, (spacing, spacing, 1.0), positions=z)


def plain_cell(axial: CTVolume, z: float, steps: list[float]) -> np.ndarray:
    """By loops over slices: a tent of 4 mm (or as wide as the gap), clipped, then a tent in the plane."""
    heights = axial.superior()
    above = int(np.searchsorted(heights, z))
    half = max(4.0, 0.0 if above in (0, len(heights)) else steps[above - 1])
    near = [k for k in range(len(heights)) if z - half <= heights[k] < z + half]
    weights = np.array([max(1 - abs(heights[k] - z) / half, 1e-6) for k in near])
    thin = max(1, int(2 // axial.spacing[0]))
    mean = sum(w * axial.array[k, ::thin, ::thin].astype(float) for w, k in zip(weights / weights.sum(), near))
    centres = (np.arange(0, axial.array.shape[2], thin) + 0.5) * axial.spacing[0]
    tent = np.clip(1 - np.abs((np.arange(96)[:, None] + 0.5) * 4 - centres) / 4, 0, None)
    tent /= tent.sum(axis=1, keepdims=True)
    return tent @ mean.clip(-1024, 3071) @ tent.T
