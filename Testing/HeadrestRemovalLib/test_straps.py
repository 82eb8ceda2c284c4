"""Straps that lie on the skin of the head without a gap."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib.volume import CTVolume
from HeadrestRemovalLib import evaluation, evaluation_cases, evaluation_kernels, evaluation_patients, rays, straps
from HeadrestRemovalLib.labels import HEADREST, OTHER, PATIENT

STEP = (3.0, 1.5, 1.5)
FACTORS = (1, 1, 1)
SHAPE = (40, 130, 120)
Z, Y, X = (axis * step for axis, step in zip(np.ogrid[: SHAPE[0], -66:64, -60:60], STEP))


def skin():
    """(k, j, i) mm from the skin of an upright oval head, whose outline moves from slice to slice."""
    y, x = np.random.default_rng(1).normal(0, 0.4, (2, SHAPE[0], 1, 1))
    return np.hypot((Y + y) * 0.85, X + x) - 70


def scan(strap=None, strap_hu=-200.0, thick=2.0, noise=15.0, fat_mm=None):
    """A head and what lies on it.

    Args:
        strap: (k, j, i) mm, negative where it may lie, or None.
        strap_hu: its HU.
        thick: mm.
        noise: HU.
        fat_mm: (k, j, i) how blurred the skin is, mm, or None.

    Returns:
        HU, labels as clustering leaves them (the strap is the patient's) and what is strap.
    """
    away = skin()
    soft = np.clip(0.5 - away / (1.5 if fat_mm is None else fat_mm), 0, 1)
    hu = np.full(SHAPE, -1000.0)
    on = np.zeros(SHAPE, bool)
    if strap is not None:
        distance = np.maximum(np.maximum(-1 - away, away - thick), strap)
        hu += np.clip(0.5 - distance / 1.5, 0, 1) * (strap_hu + 1000)
        on = (distance < 0) & (away >= 0)
    hu = soft * 20 + (1 - soft) * hu + noise * np.random.default_rng(2).standard_normal(SHAPE)
    labels = np.where((away < 0) | on, PATIENT, 0)
    return hu.astype(np.int16), labels.astype(np.uint8), on


def band(middle, half, slant=(0.0, 0.0), back=40.0):
    """(k, j, i) mm, negative within a strap: its height, half its width, its slant and where it ends at the back."""
    height = Z - slant[0] * X - slant[1] * Y
    return np.maximum(np.abs(height - middle) - half, Y - back)


def take(hu, labels):
    cast = rays.cast(labels, hu, np.ones(SHAPE[0], bool), STEP, FACTORS)
    straps.take(labels, hu, cast, STEP, FACTORS)
    return labels


@pytest.mark.parametrize("slant", [(0.0, 0.0), (0.1, -0.12)])
def test_a_strap_goes_and_the_skin_stays(slant):
    hu, labels, strap = scan(band(60.0, 12.0, slant))
    body = (labels == PATIENT) & ~strap & (hu > -300)
    take(hu, labels)
    assert np.mean(labels[strap] == OTHER) > 0.85
    assert np.count_nonzero(labels[body] != PATIENT) * np.prod(STEP) / 1000 < 0.7


@pytest.mark.parametrize("strap_hu", [-200.0, -500.0])
def test_a_thick_strap_goes(strap_hu):
    hu, labels, strap = scan(band(60.0, 14.0), strap_hu, thick=5.0)
    body = (labels == PATIENT) & ~strap & (hu > -300)
    take(hu, labels)
    assert np.mean(labels[strap] == OTHER) > 0.8
    assert np.count_nonzero(labels[body] != PATIENT) * np.prod(STEP) / 1000 < 0.7


def test_the_face_of_a_strap_goes_that_a_sharp_kernel_makes_as_dense_as_skin():
    hu, labels, strap = scan(band(60.0, 12.0), thick=3.0)
    hu = evaluation_kernels.by(CTVolume(hu, STEP[::-1]), "sharp").array
    face = strap & (hu > straps._FAINT_HU) & (skin() > 1)
    assert face.sum() > 500
    take(hu, labels)
    assert np.mean(labels[face] == OTHER) > 0.4  # a noisy one is as dense as skin for good


def test_a_strap_between_head_and_holder_goes():
    hu, labels, strap = scan(band(60.0, 12.0))
    holder = (skin() > 8) & (skin() < 12) & (Y > 0)
    hu[holder], labels[holder] = 60, HEADREST
    take(hu, labels)
    assert np.mean(labels[strap & (Y > 10)] == OTHER) > 0.75


def test_two_straps_go_and_the_skin_between_them_stays():
    upper, lower = band(90.0, 9.0), band(35.0, 12.0)
    hu, labels, strap = scan(np.minimum(upper, lower))
    take(hu, labels)
    assert np.mean(labels[strap & (upper < 0)] == OTHER) > 0.7
    assert np.mean(labels[strap & (lower < 0)] == OTHER) > 0.7
    between = (labels > 0) & (Z > 52) & (Z < 76)
    assert (labels[between] == PATIENT).all()


def test_a_head_without_a_strap_stays():
    hu, labels, _ = scan()
    before = labels.copy()
    assert np.array_equal(take(hu, labels), before)


def test_a_plaster_on_the_forehead_stays():
    short = np.maximum(band(60.0, 12.0, back=-45.0), np.abs(X) - 30)
    hu, labels, strap = scan(short)
    assert strap.any()
    before = labels.copy()
    assert np.array_equal(take(hu, labels), before)


def test_skin_that_is_blurred_from_a_height_on_stays():
    hu, labels, _ = scan(fat_mm=np.where(Z > 60, 4.5, 1.5))  # one edge only, as at a hairline
    before = labels.copy()
    assert np.array_equal(take(hu, labels), before)


def test_bare_skin_between_the_ends_of_a_strap_stays():
    """Two sectors wide, as far as a strap is followed over an ear where nothing can be told."""
    hu, labels, strap = scan(band(60.0, 12.0, back=76.0))
    bare = (labels == PATIENT) & (Y > 78) & (hu > -300)
    take(hu, labels)
    assert np.mean(labels[strap] == OTHER) > 0.85
    assert (labels[bare] == PATIENT).all()


def test_a_strap_as_dense_as_fat_goes_where_it_stands_out():
    """HU tells it at the back, where the skin beneath is dense; at the front fat lies beneath it."""
    hu, labels, strap = scan(band(60.0, 12.0), strap_hu=-110.0)
    take(hu, labels)
    assert np.mean(labels[strap] == OTHER) > 0.5


def test_a_strap_goes_on_where_the_skin_beside_it_is_no_measure_but_not_over_bare_skin():
    """HU rises later on hairy skin beside a strap than on the strap; where it ends the outline does not step out."""
    mm, step_mm = np.full(24, 1.2), np.full(24, 1.5)
    mm[4:7], mm[14:17], step_mm[14:17] = -1.0, 0.0, 0.0
    expected = np.ones(24, bool)
    expected[14:17] = False
    assert np.array_equal(straps._sectors(mm, mm, step_mm), expected)


def test_skin_that_is_blurred_in_a_band_stays():
    """HU rises later there, at both edges and all around, but the outline does not step out."""
    hu, labels, _ = scan(fat_mm=np.where(np.abs(Z - 60) < 12, 2.5, 1.5))
    before = labels.copy()
    assert np.array_equal(take(hu, labels), before)


def test_a_strap_follows_its_slant_and_ends():
    half = np.arange(24) < 12  # x below 0
    strap = straps.Strap((-0.1, 0.0), (10.0, 20.0), half, np.array([0.0, 0.0]), np.zeros(0, bool))
    inside, above, beyond = (20.0, -1.0, -50.0), (26.0, -1.0, -50.0), (10.0, -1.0, 50.0)
    assert list(strap.holds(np.array([inside, above, beyond]))) == [True, False, False]


@pytest.mark.slow
def test_straps_of_a_phantom_go():
    case = evaluation_cases.make(evaluation_patients.phantom_head(903), "straps", 4, 903)
    row = evaluation.run(case, evaluation.CLUSTERING)
    assert row.left_seen_percent < 8  # 12.5 where straps without a gap stay
    assert row.lost_ml < 0.5


@pytest.mark.slow
@pytest.mark.realct
def test_straps_go_where_they_are_thicker_in_a_slice(ct_data):
    """In corners of coarse voxels; 1.7 % stayed where all of a strap had to be near air in its slice."""
    case = evaluation_cases.make(evaluation_patients.real_head(ct_data, "hn124"), "straps", 0)
    row = evaluation.run(case, evaluation.CLUSTERING)
    assert row.left_seen_percent < 1.2
    assert row.lost_ml < 0.2
