"""The coarse grid: every cell has its middle voxel, also where the scan ends within a cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import support_headrests
from CTVolumeLib.volume import CTVolume
from HeadrestRemovalLib import evaluation, grid


@pytest.mark.parametrize("size", [6, 7, 8, 9])
@pytest.mark.parametrize("mm", [2.0, 1.0, 0.7, 0.5])
def test_there_are_as_many_middle_voxels_as_cells(size, mm):
    array = np.arange(size**3, dtype=np.int16).reshape(size, size, size)
    cells = grid.cells_of(CTVolume(array, (mm, mm, mm)))
    found = grid.middle_voxels(array, cells.factors)
    assert found.shape == cells.hu.shape
    whole = tuple(slice(0, size // factor) for factor in cells.factors)
    middles = array[tuple(slice(grid.middle(factor, size), None, factor) for factor in cells.factors)]
    assert (found[whole] == middles[whole]).all()


def test_thin_slices_are_taken_together_up_to_3_mm():
    array = np.zeros((12, 8, 8), np.int16)
    factors = [grid.cells_of(CTVolume(array, (2.0, 2.0, mm))).factors[0] for mm in (0.6, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0)]
    assert factors == [5, 3, 2, 2, 1, 1, 1]


def test_thin_slices_that_end_within_a_cell():
    """This stopped with an error once."""
    case = support_headrests.case("contact 10 cm2", 0, seed=901, spacing=(2.0, 2.0, 1.0))
    odd = slice(0, (len(case.volume.array) - 1) // 2 * 2 + 1)
    cut = replace(case, volume=case.volume.crop(k=odd), truth=case.truth[odd], rim=case.rim[odd])
    row = evaluation.run(cut, evaluation.CLUSTERING)
    assert row.left_seen_percent <= 1
    assert row.lost_ml <= 0.5
