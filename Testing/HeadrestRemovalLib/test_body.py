"""The patient on the cells: what of a thin shell is an ear and what is not."""

from __future__ import annotations

import numpy as np
import pytest
from HeadrestRemovalLib import body
from scipy import ndimage
from support_trunk import cells_from

SPACING = (2.0, 2.0, 3.0)
FAT, MUSCLE, SHELL, EAR = -100, 50, 250, 20


def trunk(rows: int, columns: int) -> np.ndarray:
    """(j, i) HU of muscle in fat in air."""
    j, i = np.mgrid[:rows, :columns]
    away = np.hypot(j - 45, i - 45)
    return np.select([away < 24, away < 30], [MUSCLE, FAT], -1000)


def test_a_shell_that_ears_touch_is_equipment_up_to_its_end_and_they_stay_whole():
    """Most slices show the shell as far as row 45; in the first ones it goes on past the ear, up to row 20."""
    hu = np.repeat(trunk(90, 100)[None], 40, 0)
    shell, ear = np.zeros(hu.shape, bool), np.zeros(hu.shape, bool)
    shell[:, 45:80, 80:82] = True
    shell[:14, 20:80, 80:82] = True
    ear[4:10, 34:38, 70:80] = True  # where the shell ends soon
    ear[4:10, 60:64, 70:80] = True  # where it goes on for long
    hu[shell], hu[ear] = SHELL, EAR
    found = body.find(cells_from(hu, SPACING), -300)
    assert not found.mask[shell].any()
    assert found.mask[ear].all(), np.argwhere(ear & ~found.mask)


def test_a_thin_board_beneath_the_back_is_no_fold_of_skin():
    hu = np.repeat(trunk(80, 100)[None], 40, 0)
    board, fold = np.zeros(hu.shape, bool), np.zeros(hu.shape, bool)
    board[10:22, 75:76, 25:65] = True  # in too few slices to be steady
    fold[10:22, 25:65, 75:76] = True
    hu[board] = -230
    hu[fold] = np.where(np.indices(hu.shape).sum(axis=0) % 2, -100, -280)[fold]  # blurred in places
    found = body.find(cells_from(hu, SPACING), -300)
    stands_off = board & (np.abs(np.arange(100) - 45) > 12)
    assert not found.mask[stands_off].any()
    assert found.mask[fold].all()


def beside_a_holder(bone: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HU of a trunk, beside it a block of plastic and on it, joined by a thin bridge, a lump as dense as flesh."""
    hu = np.repeat(trunk(90, 140)[None], 40, 0)
    holder, lump = np.zeros(hu.shape, bool), np.zeros(hu.shape, bool)
    holder[8:20, 50:66, 90:120] = True
    holder[12:16, 38:50, 104:105] = True
    lump[10:18, 22:38, 98:112] = True
    hu[holder] = SHELL
    hu[lump] = np.where(np.indices(hu.shape).sum(axis=0) % 2, FAT, MUSCLE)[lump]
    if bone:
        hu[10:18, 28:32, 102:108] = 600
    return hu, holder, lump


@pytest.mark.parametrize("bone", [False, True])
def test_a_lump_that_is_part_of_a_holder_is_no_patient_but_a_hand_on_it_is(bone):
    hu, holder, lump = beside_a_holder(bone)
    found = body.find(cells_from(hu, SPACING), -300)
    assert found.mask[lump].mean() > 0.9 if bone else not found.mask[lump].any()
    assert not found.mask[holder & (np.arange(90)[:, None] > 50)].any()


@pytest.mark.parametrize(("slices", "doubtful"), [((10, 18), True), ((32, 40), False)])
def test_what_hangs_on_the_patient_by_little_is_doubtful_unless_it_leaves_the_scan(slices, doubtful):
    hu = np.repeat(trunk(90, 140)[None], 40, 0)
    lump = np.zeros(hu.shape, bool)
    lump[slice(*slices), 38:52, 78:92] = True
    hu[lump] = np.where(np.indices(hu.shape).sum(axis=0) % 2, FAT, MUSCLE)[lump]
    hu[slice(*slices), 44:46, 74:78] = MUSCLE
    found = body.find(cells_from(hu, SPACING), -300)
    millilitres = np.count_nonzero(lump) * np.prod(SPACING) / 1000
    assert found.mask[lump].mean() > 0.9
    assert found.doubtful_ml == pytest.approx(millilitres if doubtful else 0, rel=0.15)
    assert body.find(cells_from(np.repeat(trunk(90, 140)[None], 40, 0), SPACING), -300).doubtful_ml == 0


def test_a_thin_plate_on_the_skin_is_doubtful():
    hu = np.repeat(trunk(90, 140)[None], 40, 0)
    plate = np.zeros(hu.shape, bool)
    plate[10:20, 75:77, 20:72] = True
    hu[plate] = np.where(np.indices(hu.shape).sum(axis=0) % 2, -100, 100)[plate]
    found = body.find(cells_from(hu, SPACING), -300)
    assert found.mask[plate].mean() > 0.9
    assert found.doubtful_ml > 5


def test_a_patient_in_few_slices_of_a_long_scan_is_found():
    hu = np.full((40, 90, 140), -1000)
    hu[21:24] = trunk(90, 140)
    hu[32:38, 20:40, 100:120] = MUSCLE
    hu[33:37, 26:34, 106:114] = FAT
    found = body.find(cells_from(hu, SPACING), -300)
    assert (found.mask[22] == (hu[22] > -500)).all()


@pytest.mark.parametrize("faintest", [-870, -965])
def test_a_lung_that_the_picture_cuts_is_patient_also_with_emphysema(faintest):
    hu = np.repeat(trunk(90, 90)[None], 20, 0)
    j, i = np.mgrid[:90, :90]
    lung = np.broadcast_to(np.hypot(j - 45, i - 62) < 14, hu.shape)
    hu[lung] = np.where(np.indices(hu.shape).sum(axis=0) % 3, faintest, -850)[lung]
    cropped, lung = hu[:, :, :64], lung[:, :, :64]
    found = body.find(cells_from(cropped, SPACING), -300)
    assert found.mask[lung].mean() > 0.95
    beside = np.broadcast_to(np.hypot(j - 45, i - 45) > 31, hu.shape)[:, :, :64]
    assert not found.mask[beside].any()


def test_a_shell_that_the_head_hides_in_most_slices_is_equipment_beneath_it_and_an_ear_beside_it_is_not():
    """The head reaches through both in slices 10 to 31; in the others each hangs on it by a thread."""
    k, j, i = np.ogrid[:40, :110, :110]
    through = np.abs(k - 20.5) < 11
    away = np.hypot(j - 55, i - 55) - 3 * through
    hu = np.select([away < 32, away < 36, away < 40], [40.0, 800.0, FAT], -1000.0)
    apart = (hu == -1000) & ~through
    shell = (hu == -1000) & (j >= 96) & (j < 98) & (np.abs(i - 55) < 40)
    ear = apart & (i >= 96) & (i < 98) & (np.abs(j - 55) < 6)
    threads = apart & ((i == 55) & (j == 95) | (i == 95) & (j == 55))
    hu[shell | ear | threads] = EAR
    found = body.find(cells_from(hu, SPACING), -300)
    assert not found.mask[shell & (np.abs(k - 20.5) > 13)].any()
    assert found.mask[ear].all()


def test_a_plate_is_equipment_up_to_its_ends_where_an_ear_touches_it():
    hu = np.repeat(trunk(90, 110)[None], 60, 0)
    plate, ear = np.zeros(hu.shape, bool), np.zeros(hu.shape, bool)
    plate[20:46, 30:60, 80:82] = True  # 78 mm long
    ear[20:24, 40:44, 70:80] = True
    hu[plate], hu[ear] = EAR, EAR
    found = body.find(cells_from(hu, SPACING), -300)
    assert not found.mask[plate].any()
    assert found.mask[ear].all()


def test_the_blurred_edge_of_a_plate_which_some_slices_do_not_show_is_no_ear():
    hu = np.repeat(trunk(90, 110)[None], 60, 0)
    plate, edge, ear = (np.zeros(hu.shape, bool) for _ in range(3))
    plate[20:46, 30:60, 80:82] = edge[20:46, 30:60, 79] = True
    edge[::5] = False
    ear[20:24, 40:44, 70:79] = True
    hu[plate], hu[edge], hu[ear] = EAR, -250, EAR
    found = body.find(cells_from(hu, SPACING), -300)
    assert not found.mask[plate | (edge & ~ndimage.binary_dilation(ear))].any()
    assert found.mask[ear].all()


def test_the_cells_of_a_nose_that_slices_show_open_are_patient_and_cloth_before_it_is_not():
    k, j, i = np.ogrid[:30, :110, :100]
    away = np.hypot(j - 55, i - 50) + 0 * k
    hu = np.select([away < 36, away < 40, away < 43], [40.0, 800.0, FAT], -1000.0)
    cells = (np.abs(k - 20) < 2) & (np.abs(j - 28) < 8) & (np.abs(i - 50) < 8)
    hu[(np.abs(k - 20) < 2) & (j < 30) & (np.abs(i - 50) < 2)] = -1000  # the way out
    hu[cells] = np.where((np.indices(hu.shape).sum(axis=0) % 2)[cells], -700, -500)
    hu[cells & (i == 50)] = -150
    cloth = (np.abs(k - 20) < 6) & (j > 4) & (j < 8) & (np.abs(i - 50) < 30)
    hu[cloth] = -600
    found = body.find(cells_from(hu, SPACING), -300)
    assert found.head.any()
    assert found.mask[cells].all()
    assert not found.mask[cloth].any()


def chest(rows: slice, columns: slice, table: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HU of a picture of a chest, its lungs, and foam beneath it; the picture may cut all of them."""
    hu = np.repeat(trunk(90, 90)[None], 20, 0)
    j, i = np.mgrid[:90, :90]
    grain = 40 * (np.indices(hu.shape).sum(axis=0) % 3 - 1)
    lung = np.broadcast_to(np.hypot(j - 45, np.abs(i - 45) - 12) < 10, hu.shape)
    foam = np.broadcast_to((j > 70) & (np.hypot(j - 45, i - 45) > 31) & table, hu.shape)
    arms = np.broadcast_to((np.abs(i - 45) > 36) & (np.abs(j - 66) < 8) & table, hu.shape)
    hu = np.where(lung, -850 + grain, np.where(foam & ~arms, -900 + grain, np.where(arms, MUSCLE, hu)))
    return hu[:, rows, columns], lung[:, rows, columns], (foam & ~arms)[:, rows, columns]


@pytest.mark.parametrize("rows", [slice(None, 46), slice(40, None)])
def test_lungs_that_the_picture_cuts_before_or_behind_are_patient(rows):
    """As in pictures of the heart or of the spine alone."""
    hu, lung, _ = chest(rows, slice(20, 70))
    found = body.find(cells_from(hu, SPACING), -300)
    assert found.mask[lung].mean() > 0.95
    assert not found.mask[hu == -1000].any()


def test_foam_beneath_a_back_is_no_lung_where_the_picture_cuts_the_arms_beside_it():
    hu, lung, foam = chest(slice(None, 85), slice(None), table=True)
    found = body.find(cells_from(hu, SPACING), -300)
    assert found.mask[lung].all()
    assert found.mask[foam].mean() < 0.05


def test_a_vertebra_that_is_cut_off_by_lungs_and_the_edge_of_the_picture_is_patient():
    hu = np.repeat(trunk(90, 90)[None], 20, 0)
    j, i = np.mgrid[:90, :90]
    vertebra = np.broadcast_to(np.hypot(j - 65, i - 45) < 10, hu.shape)
    hu[:, (np.hypot(j - 45, i - 45) < 28) & (j > 50)] = -850
    hu[vertebra] = np.where(np.indices(hu.shape).sum(axis=0) % 4, 250, MUSCLE)[vertebra]
    found = body.find(cells_from(hu[:, :72], SPACING), -300)
    assert found.mask[vertebra[:, :72]].mean() > 0.95
