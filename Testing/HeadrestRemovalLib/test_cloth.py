"""Blankets on the skin of a trunk, and what only looks like one."""

from __future__ import annotations

import numpy as np
import pytest
from HeadrestRemovalLib import cloth, evaluation, evaluation_cases, evaluation_patients
from HeadrestRemovalLib.body import Body
from HeadrestRemovalLib.labels import OTHER, TABLE
from support_trunk import cells_from

SHAPE, SPACING = (30, 90, 110), (2.5, 2.5, 5.0)
K, J, ALONG = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
OUT = np.hypot((J - 45) * 1.3, ALONG - 55) - np.clip(65 - K, 0, 45)
"""Cells from the skin of a trunk that narrows by a cell from slice to slice once K is above 20."""


def scene(sheet_hu, thick=2, front=45, spread_hu=40, skin=0.3):
    """A trunk whose skin is blurred by a cell, and a sheet over its front.

    Args:
        sheet_hu: its HU.
        thick: cells.
        front: up to this row it lies on the trunk.
        spread_hu: standard deviation of its HU.
        skin: share of it in the cells beside the skin.

    Returns:
        Patient, kind and cells as they come from what was done before, and what of the sheet is taken for skin.
    """
    random = np.random.default_rng(3)
    sheet = (OUT >= 0) & (OUT - thick < 1) & (J - front < 0)
    hu = np.where(sheet, random.normal(sheet_hu, spread_hu, SHAPE), -1000)
    rim = (OUT >= 0) & (OUT < 1)
    hu = np.where(rim, (1 - skin) * hu, hu)
    hu = np.where(OUT < 0, 0, hu)
    solid, mask = OUT < 0, OUT < 1
    mask[1:] |= (OUT[:-1] < 0) & (hu[1:] > -900)  # ends of the body, as they are taken for blurred
    kind = np.where(sheet & ~mask, OTHER, 0).astype(np.uint8)
    none = np.zeros(SHAPE[0], bool)
    body = Body(mask, solid, solid & ~mask, none, none, np.zeros(SHAPE[1:], bool), False)
    return body, kind, cells_from(hu, SPACING), sheet & mask


def test_a_blanket_goes_to_the_skin_and_bare_skin_stays():
    body, kind, cells, blurred = scene(-650)
    after = cloth.take(body, kind, cells)
    assert np.mean(kind[blurred] == OTHER) > 0.98
    assert not (after.mask & blurred & (kind == OTHER)).any()
    assert np.array_equal(after.mask & (J >= 47), body.mask & (J >= 47))  # as blurred, but nothing lies on it
    assert after.mask[body.solid].all()


@pytest.mark.parametrize("case", [{"sheet_hu": -900}, {"front": 6}, {"spread_hu": 250}])
def test_gowns_cuffs_and_haze_change_nothing(case):
    body, kind, cells, _ = scene(**{"sheet_hu": -650} | case)
    before = kind.copy()
    assert cloth.take(body, kind, cells) is body
    assert np.array_equal(kind, before)


def test_what_is_as_dense_as_skin_stays_beneath_dense_cloth():
    body, kind, cells, blurred = scene(-480, skin=0.45)
    after = cloth.take(body, kind, cells)
    dense = cells.hu > -300
    assert np.count_nonzero(dense & blurred) > 1000
    assert np.array_equal(after.mask & dense, body.mask & dense)


def test_where_the_blanket_was_taken_for_the_table_it_goes_on():
    body, kind, cells, blurred = scene(-650)
    side = np.broadcast_to(ALONG > 88, SHAPE)
    kind[(kind == OTHER) & side] = TABLE
    after = cloth.take(body, kind, cells)
    assert np.mean(after.mask[blurred & side]) < 0.02
    assert (kind[side] == TABLE).any()


def test_the_lung_beneath_a_blanket_stays():
    body, kind, cells, _ = scene(-650)
    lung = OUT < -3
    cells.hu[lung] = -700
    body.solid[lung] = False
    assert cloth.take(body, kind, cells).mask[lung].all()


@pytest.mark.slow
def test_the_blanket_of_a_phantom_goes():
    case = evaluation_cases.make(evaluation_patients.phantom_body(953), "cables and blanket", 4, 953)
    row = evaluation.run(case, evaluation.CLUSTERING)
    assert row.left_seen_percent < 1  # 3.4 where its blurred sides stay
    assert row.lost_ml < 0.1


@pytest.mark.slow
def test_on_fine_pixels_skin_keeps_its_outermost_voxels_beneath_a_blanket():
    """Cells that blanket and skin share went as a whole, 37 mL of skin."""
    patient = evaluation_patients.phantom_body(953, spacing=(1.0, 1.0, 5.0))
    case = evaluation_cases.make(patient, "cables and blanket", 0)
    row = evaluation.run(case, evaluation.CLUSTERING)
    assert row.lost_ml < 0.5
    assert row.left_seen_percent < 1
