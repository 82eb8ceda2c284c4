"""What the network sees of a scan, and the way back to its voxels."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib.volume import CTVolume
from HeadrestRemovalLib import netgrid


def ball(spacing: tuple[float, float, float], size_mm: float = 200.0, radius: float = 60.0) -> CTVolume:
    """A ball of 50 HU in air."""
    counts = [round(size_mm / step) for step in spacing]
    i, j, k = ((np.arange(count) - (count - 1) / 2) * step for count, step in zip(counts, spacing))
    inside = k[:, None, None] ** 2 + j[None, :, None] ** 2 + i[None, None, :] ** 2 < radius**2
    return CTVolume(np.where(inside, 50, -1000).astype(np.int16), spacing)


@pytest.mark.parametrize("spacing", [(0.8, 0.8, 1.0), (2.0, 1.5, 5.0), (4.5, 4.5, 3.0)])
def test_the_same_ball_whatever_the_spacing(spacing):
    grid = netgrid.of(ball(spacing))
    step = grid.along[1] - grid.along[0]
    assert grid.hu.shape[1:] == (160, 160)
    assert step == pytest.approx(max(3.0, spacing[2]))
    volume = (grid.hu + 1000).sum() / 1050 * netgrid.CELL_MM**2 * step
    assert volume == pytest.approx(4 / 3 * np.pi * 60**3, rel=0.03)
    rows = (grid.hu[len(grid.hu) // 2] > -475).any(axis=1)
    assert grid.rows[rows].mean() == pytest.approx(
        ball(spacing).spacing[1] * (round(200 / spacing[1]) - 1) / 2, abs=1.5
    )


def test_values_of_cells_come_back_to_the_voxels_they_were_made_of():
    volume = ball((1.0, 1.0, 2.0))
    grid = netgrid.of(volume)
    for k, values in netgrid.back(grid.hu[..., None], grid, volume):
        assert values.shape == (1, 200, 200)
        blurred = np.abs(values[0] - volume.array[k]) > 700
        assert blurred.mean() < 0.01  # the seam runs where it ran, to less than half a cell
        assert abs(values.mean() - volume.array[k].mean()) < 25


def test_a_field_larger_than_the_window_is_centred_on_what_is_in_it():
    array = np.full((3, 300, 300), -1000, np.int16)
    array[:, 180:240, 20:80] = 0
    volume = CTVolume(array, (2.5, 2.5, 5.0))
    grid = netgrid.of(volume)
    assert (grid.hu > -500).sum() * 9 == pytest.approx(3 * 60 * 60 * 2.5**2, rel=0.05)
    (_, values), *_ = netgrid.back(np.ones((3, 160, 160, 1), np.float32), grid, volume)
    assert values[0, 200, 50] == pytest.approx(1)
    assert values[0, 200, 290] == 0  # outside the window the network says nothing


def test_neighbours_of_the_outermost_slices_are_themselves():
    hu = np.arange(3, dtype=np.float32).reshape(3, 1, 1) * np.ones((3, 2, 2), np.float32) * 1000
    assert netgrid.stacks(hu, 3)[:, 0, 0].tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 2]]
    assert netgrid.stacks(hu)[:, 0, 0].tolist() == [[0, 0, 0, 1, 2], [0, 0, 1, 2, 2], [0, 1, 2, 2, 2]]
