"""The coarse grid against means that are taken one by one."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib.cells import enlarge, interpolation, means_of_blocks, slice_step
from CTVolumeLib.volume import CTVolume

RANGE_HU = (-1100, 500)


def _scan(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> CTVolume:
    return CTVolume(np.random.default_rng(2).integers(-1024, 600, shape).astype(np.int16), spacing)


class TestCells:
    @pytest.mark.parametrize(
        ("spacing", "factors"),
        [((0.7, 0.7, 0.6), (5, 4, 4)), ((1.5, 1.5, 8.0), (1, 2, 2)), ((3.0, 3.0, 5.0), (1, 1, 1))],
    )
    def test_means_of_blocks(self, spacing, factors):
        volume = _scan((11, 13, 18), spacing)
        cells = means_of_blocks(volume, 2.8, RANGE_HU)
        assert cells.factors == factors
        assert cells.spacing == pytest.approx([step * factor for step, factor in zip(spacing, factors[::-1])])
        clipped = np.clip(volume.array, -1100, 500).astype(float)
        for (k, j, i), value in np.ndenumerate(cells.hu):
            low = [number * factor for number, factor in zip((k, j, i), factors)]
            # Beyond the edge the last row and the last column count again, slices don't.
            rows = np.minimum(np.arange(low[1], low[1] + factors[1]), 12)
            columns = np.minimum(np.arange(low[2], low[2] + factors[2]), 17)
            block = clipped[low[0] : low[0] + factors[0]][:, rows][:, :, columns]
            assert value == pytest.approx(block.mean(), abs=0.51)

    @pytest.mark.parametrize("cell_mm", [2.0, 2.8])
    @pytest.mark.parametrize("step", [0.3, 0.6, 0.75, 1.0, 1.5, 2.0])
    def test_cells_are_of_nearly_the_same_size(self, step, cell_mm):
        cells = means_of_blocks(_scan((20, 20, 20), (step, step, step)), cell_mm, RANGE_HU)
        assert cell_mm / 1.5 < cells.spacing[0] < cell_mm * 1.5

    def test_sums_that_exceed_16_bits(self):
        volume = CTVolume(np.full((9, 9, 9), 3000, np.int16), (0.3, 0.3, 0.3))
        assert np.all(means_of_blocks(volume, 2.7, (-1100, 3000)).hu == 3000)

    def test_no_value_and_huge_ones(self):
        array = np.full((1, 2, 4), -500, np.float32)
        array[0, 0] = [np.nan, np.inf, -np.inf, 1e30]
        hu = means_of_blocks(CTVolume(array, (3.0, 3.0, 3.0)), 2.8, RANGE_HU).hu
        assert hu.tolist() == [[[-1100, 500, -1100, 500], [-500] * 4]]
        assert np.isnan(array[0, 0, 0]), "the scan itself is not to be changed"

    def test_litres(self):
        cells = means_of_blocks(_scan((10, 10, 10), (3.0, 3.0, 5.0)), 2.8, RANGE_HU)
        assert cells.litres(np.ones((10, 10, 10), bool)) == pytest.approx(0.045)
        assert cells.millilitres == pytest.approx(0.045)


class TestSliceStep:
    def test_median_of_uneven_slices(self):
        volume = CTVolume(np.zeros((4, 2, 2), np.int16), (1.0, 1.0, 9.0), positions=np.array([0.0, 2.0, 4.0, 12.0]))
        assert slice_step(volume) == pytest.approx(2.0)

    def test_one_slice_is_as_thick_as_its_spacing(self):
        assert slice_step(CTVolume(np.zeros((1, 2, 2), np.int16), (1.0, 1.0, 7.0))) == 7.0


class TestWayBack:
    def test_every_voxel_gets_the_value_of_its_cell(self):
        plane = np.arange(6).reshape(2, 3)
        found = enlarge(plane, (1, 3, 2), (5, 6))
        assert all(found[j, i] == plane[j // 3, i // 2] for j, i in np.ndindex(5, 6))
        assert found.shape == (5, 6)

    @pytest.mark.parametrize(("size", "factor"), [(12, 4), (11, 3), (5, 1), (7, 2), (3, 4)])
    def test_linear_between_centres(self, size, factor):
        cells = -(-size // factor)
        weights = interpolation(size, factor, cells)
        centres = (np.arange(cells) + 0.5) * factor - 0.5
        values = np.random.default_rng(0).random(cells)
        np.testing.assert_allclose(weights @ values, np.interp(np.arange(size), centres, values), atol=1e-6)
