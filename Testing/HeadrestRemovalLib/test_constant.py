"""What is the same from slice to slice, also where the table leans."""

from __future__ import annotations

import numpy as np
import pytest
from HeadrestRemovalLib import constant
from support_trunk import cells_from

SPACING = (2.0, 2.0, 4.0)


def cells(count: int = 40):
    return cells_from(np.zeros((count, 60, 50)), SPACING)


@pytest.mark.parametrize("lean", [0.0, 0.3, -0.4])
def test_a_leaning_shell_is_constant_and_an_ear_is_not(lean):
    scan = cells()
    shell, ear = np.zeros(scan.hu.shape, bool), np.zeros(scan.hu.shape, bool)
    for k in range(40):
        row = 30 + round(lean * (k - 20) * 2)
        shell[k, row : row + 2, 5:45] = True
    ear[10:22, 4:6, 20:26] = True
    found = constant.explained(shell | ear, scan)
    assert found[shell].mean() > 0.98
    assert not found[ear].any()


@pytest.mark.parametrize("lean", [0.0, 0.4])
def test_a_curved_shell_leans_as_each_of_its_parts_does(lean):
    """Where a head lies on its middle the sides alone show, which lie in other rows."""
    k, j, i = np.ogrid[:40, :80, :50]
    row = 45 - ((i - 25) / 5) ** 2 + np.rint(lean * (k - 20) * 2)
    shell = (j >= row) & (j < row + 3) & ((k < 16) | (np.abs(i - 25) > 12))
    expected = np.rint(lean * (np.arange(40) - 20) * 2)
    assert np.array_equal(constant.shifts_of(shell, 4.0, 2.0), expected)


def test_what_lies_a_little_better_at_a_lean_does_not_lean():
    """As cloth and thick cushions do by chance."""
    cushion = np.zeros((40, 80, 50), bool)
    for k in range(40):
        row = 20 + round(0.1 * (k - 20) * 2)
        cushion[k, row : row + 40, 5:45] = True
    assert not constant.shifts_of(cushion, 4.0, 2.0).any()


def test_shares_are_of_the_slices_around():
    scan = cells()
    mask = np.zeros(scan.hu.shape, bool)
    mask[::2, 30, 20] = True
    share = constant.presence(mask, scan, beside=False)
    assert share[20, 30, 20] == pytest.approx(0.5, abs=0.03)
    assert share[20, 30, 21] == 0
    assert constant.presence(mask, scan)[20, 30, 21] == pytest.approx(0.5, abs=0.03)


def test_the_window_slides():
    scan = cells(60)
    mask = np.zeros(scan.hu.shape, bool)
    mask[:20, 10, 10] = True
    share = constant.presence(mask, scan, beside=False)[:, 10, 10]
    window = round(constant.WINDOW_MM / 4)
    wanted = [mask[s : s + window, 10, 10].mean() for s in np.clip(np.arange(60) - window // 2, 0, 60 - window)]
    assert np.allclose(share, wanted)


def test_slices_that_the_patient_hides_do_not_count():
    scan = cells(28)
    mask, hidden = np.zeros(scan.hu.shape, bool), np.zeros(scan.hu.shape, bool)
    mask[:14, 10, 10], hidden[14:, 10, 10] = True, True
    mask[:4, 10, 20], hidden[4:, 10, 20] = True, True
    plain = constant.presence(mask, scan, beside=False)
    share = constant.presence(mask, scan, beside=False, hidden=hidden)
    assert plain[5, 10, 10] == pytest.approx(0.5)
    assert share[5, 10, 10] == pytest.approx(1.0)
    # Four slices are too few to go by: they count as a part of 50 mm.
    assert share[2, 10, 20] == pytest.approx(4 / round(constant.SHORTEST_MM / 4))
    assert np.array_equal(constant.presence(mask, scan, hidden=np.zeros_like(mask)), constant.presence(mask, scan))


def test_what_leans_out_of_the_picture_is_lost_and_nothing_else():
    scan = cells()
    mask = np.zeros(scan.hu.shape, bool)
    for k in range(40):
        row = 45 + round(0.5 * (k - 20) * 2)
        mask[k, max(row, 0) : row + 3, 20:30] = True
    share = constant.presence(mask, scan, beside=False)
    assert not mask[39].any()  # the last slices hold nothing of it
    assert share[mask].min() > 0.4
    assert not share[:, :, :20].any()


def test_nothing_does_not_lean():
    assert not constant.shifts_of(np.zeros((4, 6, 5), bool), 4.0, 2.0).any()


def test_sums_over_slices():
    array = np.random.default_rng(5).integers(-1000, 1000, (9, 3, 4))
    starts, stops = np.array([0, 0, 2, 5]), np.array([1, 4, 9, 9])
    wanted = [array[start:stop].sum(axis=0) for start, stop in zip(starts, stops)]
    assert np.array_equal(constant.sums(array.astype(np.float32), starts, stops), wanted)
    wanted = [np.count_nonzero(array[start:stop] > 0, axis=0) for start, stop in zip(starts, stops)]
    assert np.array_equal(constant.sums(array > 0, starts, stops), wanted)


def test_what_goes_on_unbroken_for_longer_than_any_ear():
    scan = cells()
    mask = np.zeros(scan.hu.shape, bool)
    mask[3:22, 10, 10] = True  # 76 mm
    mask[3:19, 10, 20] = True  # 64 mm, as an ear at the most
    mask[:, 10, 30] = True
    mask[::15, 10, 30] = False
    found = constant.unbroken(mask, scan)
    assert found[3:22, 10, 10].all()
    assert np.count_nonzero(found) == 19


def test_in_a_short_scan_nothing_can_be_told():
    scan = cells(5)
    assert not constant.explained(np.ones(scan.hu.shape, bool), scan).any()


def test_shifting_back_and_forth():
    array = np.random.default_rng(0).random((4, 9, 3))
    shifts = np.array([0, 2, -3, 20])
    moved = constant.shifted(array, shifts)
    assert np.array_equal(moved[1, 2:], array[1, :-2])
    assert not moved[1, :2].any()
    assert np.array_equal(moved[2, :-3], array[2, 3:])
    assert not moved[3].any()
