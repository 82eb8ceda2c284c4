"""Masks and straps over the skin of the head."""

from __future__ import annotations

import numpy as np
import pytest
from HeadrestRemovalLib import cluster, evaluation, evaluation_cases, evaluation_patients, rays, sheets
from HeadrestRemovalLib.labels import OTHER, PATIENT
from scipy import ndimage

STEP = (3.0, 1.0, 1.0)
FACTORS = (1, 2, 2)
SHAPE = (50, 200, 180)


def head(sheet_hu=None, gap=4.0, share=1.0, dark=None):
    """An upright cylinder of tissue, a sheet of 3 mm over the part of its front that ``share`` says.

    Args:
        sheet_hu: of the sheet, None without one.
        gap: mm between skin and sheet where it lies free; it lies on at every fifth part of its height.
        share: of the front that it covers.
        dark: HU of what fills the gap, None for air.

    Returns:
        HU, labels as clustering leaves them (the sheet is the patient's) and what is sheet.
    """
    k, j, i = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    away = np.hypot(j - 100.0, i - 90.0) - 75 + 0.0 * k  # mm from the skin
    hu = -1000 + 1030 * np.clip(0.5 - away, 0, 1)
    body, sheet = away < 0, np.zeros(SHAPE, bool)
    if sheet_hu is not None:
        near = gap * (k % 10 > 1)
        front = (j < 100) & (np.abs(i - 90) < 75 * share) & (k > 2)
        cover = np.clip(1.5 - np.abs(away - near - 1.5) + 0.5, 0, 1) * front * (away > -0.5)
        if dark is not None:
            hu = np.where((away > 0.5) & (away < near) & front, dark, hu)
        hu += cover * (sheet_hu - hu)
        sheet = front & (away >= near) & (away < near + 3) & ~body
        labels = np.where(body | (front & (away < near + 3)), PATIENT, 0)
    else:
        labels = np.where(body, PATIENT, 0)
    hu += 8 * np.random.default_rng(0).standard_normal(SHAPE)
    return hu.astype(np.int16), labels.astype(np.uint8), sheet


def take(hu, labels):
    sheets.take(labels, hu, rays.cast(labels, hu, np.ones(SHAPE[0], bool), STEP, FACTORS), STEP, FACTORS)
    return labels


@pytest.mark.parametrize("sheet_hu", [-150.0, 100.0])
def test_a_mask_goes_and_the_skin_beneath_it_stays(sheet_hu):
    hu, labels, sheet = head(sheet_hu)
    body = (labels == PATIENT) & ~sheet & (hu > -300)
    inside = body & (np.hypot(*np.ogrid[-100:100, -90:90]) < 75)
    take(hu, labels)
    assert np.mean(labels[sheet] == OTHER) > (0.9 if sheet_hu < 0 else 0.75)  # what lies on is as dense as skin
    assert np.mean(labels[inside] != PATIENT) < 5e-4


def test_a_head_without_a_sheet_stays():
    hu, labels, _ = head()
    before = labels.copy()
    assert np.array_equal(take(hu, labels), before)


def test_no_ray_starts_in_a_sinus_that_a_nostril_opens():
    """Its walls are thin and its lining soft, so that they look like sheets."""
    hu, labels, _ = head()
    j, i = np.ogrid[: SHAPE[1], : SHAPE[2]]
    air = (np.hypot(j - 60, i - 90) < 18) | ((j < 60) & (np.abs(i - 90) < 4))
    hu[5:45, air], labels[5:45, air] = -1000, 0
    starts = rays.cast(labels, hu, np.ones(SHAPE[0], bool), STEP, FACTORS).start
    away = np.hypot(starts[:, 1] - 100, starts[:, 2] - 90)
    assert len(starts) > 1000
    assert away.min() > 60


def test_what_covers_as_little_as_an_ear_stays():
    hu, labels, _ = head(0.0, share=0.12)
    before = labels.copy()
    assert np.array_equal(take(hu, labels), before)


def test_on_the_trunk_nothing_is_looked_for():
    hu, labels, _ = head(-150.0)
    assert rays.cast(labels, hu, np.zeros(SHAPE[0], bool), STEP, FACTORS) is None


@pytest.mark.parametrize("skin_hu", [-200, -250])
def test_soft_skin_beyond_the_end_of_a_mask_stays(skin_hu):
    hu, labels, sheet = head(-150.0)
    away = np.hypot(*np.ogrid[-100:100, -90:90]) - 75
    end = 20
    hu[:end], labels[:end], sheet[:end] = head()[0][:end], np.where(away < 0, PATIENT, 0), False
    hu[:, (away < 0) & (away > -2)] = np.minimum(hu[:, (away < 0) & (away > -2)], skin_hu)
    take(hu, labels)
    assert np.mean(labels[sheet] == OTHER) > 0.9
    assert np.all(labels[:end][(away < -0.5) & (hu[:end] > -300)] == PATIENT)


def test_soft_skin_deep_under_a_mask_stays():
    """What is as dense as skin is taken no farther from air than a sheet is thick: depths along rays are less exact."""
    hu, labels, sheet = head(-150.0)
    away = np.hypot(*np.ogrid[-100:100, -90:90]) - 75
    hu[:, (away < -0.5) & (away > -4)] = -200
    take(hu, labels)
    assert np.mean(labels[sheet] == OTHER) > 0.95
    assert np.count_nonzero(labels[:, away < -0.5] != PATIENT) * np.prod(STEP) / 1000 < 0.6


def test_hair_under_a_mask_stays():
    hu, labels, sheet = head(-100.0, gap=6.0, dark=-800.0)
    hair = (labels == PATIENT) & (hu < -720) & (hu > -880) & ~sheet
    take(hu, labels)
    assert np.mean(labels[sheet] == OTHER) > 0.8
    assert np.mean(labels[hair] == PATIENT) > 0.8


def test_where_a_mask_lies_on_the_skin_it_goes_as_deep_as_elsewhere():
    """Where no gap shows, all of a mask goes that is fainter than fat: it is as thick as where one shows."""
    hu, labels, sheet = head(-150.0)
    lies_on = sheet & (np.arange(SHAPE[0]) % 10 <= 1)[:, None, None] & (hu < -130)
    lies_on &= np.abs(np.arange(SHAPE[2]) - 90) < 60  # clear of its ends
    skin = np.hypot(*np.ogrid[-100:100, -90:90]) - 75 < -0.5
    take(hu, labels)
    assert np.mean(labels[lies_on] == OTHER) > 0.99
    assert np.all(labels[:, skin] == PATIENT)


def test_a_sheet_is_evened_out_and_its_end_left():
    """Holes are filled where it covers the skin, but not beyond its end; there what is doubtful is given back."""
    cell = np.argwhere(np.ones((12, 20, 40), bool))
    rng = np.random.default_rng(0)
    covered = cell[:, 2] < 20
    found, doubtful = covered & (rng.random(len(cell)) < 0.93), ~covered & (rng.random(len(cell)) < 0.1)
    deep = rng.uniform(0, 4, len(cell))
    within = deep < 3
    size = np.array([3.0, 2.0, 2.0])
    result = sheets._evened(found | doubtful, within, doubtful, deep, cell, size)
    inner, beyond = cell[:, 2] < 15, cell[:, 2] > 22
    assert np.all(result[inner & within])
    assert np.array_equal(result[inner & ~within], found[inner & ~within])
    assert not result[beyond].any()


@pytest.mark.slow
@pytest.mark.parametrize("spacing", [(2.0, 2.0, 3.0), (1.0, 1.0, 2.0)])
def test_a_mask_on_a_head_with_ears_and_nose(spacing):
    case = evaluation_cases.make(evaluation_patients.phantom_head(911, spacing=spacing), "mask and frame")
    row = evaluation.run(case, evaluation.CLUSTERING)
    assert row.left_seen_percent < 2
    assert row.lost_percent < 0.1


@pytest.mark.slow
@pytest.mark.realct
def test_a_mask_goes_where_voxels_are_as_wide_as_it_is_thick(ct_data):
    """3.1 % stayed where no gap shows between coarse voxels."""
    case = evaluation_cases.make(evaluation_patients.real_head(ct_data, "hn124"), "mask and frame")
    row = evaluation.run(case, evaluation.CLUSTERING)
    assert row.left_seen_percent < 1.2
    assert row.lost_ml < 0.5


@pytest.mark.slow
def test_no_ear_or_nose_is_taken_for_a_mask():
    case = evaluation_cases.make(evaluation_patients.phantom_head(911), "no equipment")
    assert (cluster.label(case.volume).labels <= PATIENT).all()


@pytest.mark.slow
def test_fat_of_the_scalp_that_a_sharp_kernel_darkens_is_no_gap():
    """Between the bright edges of skin and skull it is as dark as what lies beneath a mask: 108 mL of scalp went."""
    case = evaluation_cases.make(evaluation_patients.phantom_head(902), "gap 2 mm", 0)
    hu = case.volume.array.astype(np.float32)
    sharp = np.clip(hu + 1.9 * (hu - ndimage.gaussian_filter(hu, (0, 1, 1))), -1024, 3071).astype(np.int16)
    labels = cluster.label(case.volume.with_array(sharp)).labels
    assert evaluation.compare(case, evaluation.CLUSTERING, labels).lost_ml < 1
