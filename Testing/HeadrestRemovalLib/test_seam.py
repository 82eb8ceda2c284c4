"""The seam between a pad and the skin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from HeadrestRemovalLib import seam

STEP_MM = 2.0
ROWS, SKIN_ENDS, PAD_ENDS = 40, 20, 26
"""The last row of the skin, the last of the pad, which goes up to the holder behind."""


def columns(pad_hu=-80.0, skin_hu=-80.0, film_hu=-400.0, beneath_hu=None):
    """20 x 20 columns: skin, in every second one a dark voxel at its end, a pad; the rest is air.

    Returns:
        HU, what was taken for the patient.
    """
    value = np.full((20, ROWS, 20), -1000.0)
    value[:, : SKIN_ENDS + 1] = skin_hu if beneath_hu is None else beneath_hu
    value[:, SKIN_ENDS - 3 : SKIN_ENDS + 1] = skin_hu
    value[:, SKIN_ENDS + 1 : PAD_ENDS + 1] = pad_hu
    value[:, SKIN_ENDS, ::2] = film_hu
    return value, value > -1000


def found(value, own, deepest_mm=35.0):
    return seam.find(value, own, STEP_MM, np.ones((20, 20), bool), deepest_mm)


@pytest.mark.parametrize("pad_hu", [-80.0, 60.0, 110.0])
def test_the_dark_voxel_between_them_is_the_skins(pad_hu):
    result = found(*columns(pad_hu, film_hu=-500.0))
    assert np.all(result.height[:, ::2] == (SKIN_ENDS + 0.5) * STEP_MM)
    assert np.isnan(result.height[:, 1::2]).all()
    assert result.middle_hu == pad_hu


@pytest.mark.parametrize(("skin_hu", "ends"), [(30.0, SKIN_ENDS), (-90.0, None)])
def test_where_no_film_shows_a_pad_ends_with_its_material(skin_hu, ends):
    """A voxel of noise is no end; skin that is as the pad is shows none."""
    value, own = columns(-80.0, skin_hu, film_hu=skin_hu, beneath_hu=skin_hu)
    value[:, SKIN_ENDS + 3] = 30
    seen = found(value, own)
    height = seam.material_ends(value, own, STEP_MM, np.ones((20, 20), bool), 35.0, seen)
    assert np.isnan(seen.height).all()
    assert np.isnan(height).all() if ends is None else np.all(height == (ends + 0.5) * STEP_MM)


@pytest.mark.parametrize("edge_hu", [-80.0, -190.0, -500.0])
def test_what_is_fainter_than_fat_ends_where_tissue_begins(edge_hu):
    """Be the first voxel of it blurred, or dark."""
    result = found(*columns(-300.0, film_hu=edge_hu))
    assert np.all(result.height == (SKIN_ENDS + 0.5) * STEP_MM)
    assert -300 < result.tissue_hu < -100
    assert found(*columns(60.0)).tissue_hu == np.inf


def test_a_speck_in_what_is_fainter_than_fat_is_no_tissue():
    value, own = columns(-300.0, film_hu=-80.0)
    value[5, SKIN_ENDS + 3, 5] = -80
    assert np.isnan(found(value, own).height[5, 5])


def test_fat_is_no_seam():
    """A pad as dense as skin, and fat beneath the skin."""
    value, own = columns(30.0, 30.0, film_hu=30.0, beneath_hu=-110.0)
    assert np.isnan(found(value, own).height).all()


def test_a_dark_grain_of_fat_is_no_seam_but_many_beside_each_other_are():
    """The noise of wide patients makes single voxels as dark."""
    value, own = columns()
    value[own] += np.random.default_rng(0).normal(0, 14, value.shape)[own]
    value[:, SKIN_ENDS, ::2] = -160
    value[8:11, SKIN_ENDS, 4:7] = -80
    value[9, SKIN_ENDS - 6, 5] = -160
    result = found(value, own)
    assert np.isnan(result.height[8:11, 4:7]).all()
    assert np.mean(np.isfinite(result.height[:8, ::2])) > 0.9


def test_the_edge_of_the_lung_is_no_seam():
    value, own = columns(-90.0, -90.0, film_hu=-90.0)
    value[:, :14] = -850
    value[:, 3] = 30  # a vessel
    assert np.isnan(found(value, own).height).all()


def test_the_shadow_of_bone_is_no_seam():
    """A sharp kernel darkens the fat of the scalp right behind the skull: 55 mL of scalp were taken for a pad."""
    assert np.isnan(found(*columns(-110.0, skin_hu=900.0)).height).all()


def test_what_lies_too_deep_is_no_seam():
    assert np.isnan(found(*columns(), deepest_mm=8.0).height).all()


def test_what_is_of_several_materials_is_no_pad():
    value, own = columns()
    value[:, SKIN_ENDS + 1 : PAD_ENDS + 1] = np.random.default_rng(0).choice([-400, -80, 300], (20, 6, 20))
    assert found(value, own) is None


def test_nothing_is_no_pad():
    value = np.full((20, ROWS, 20), -1000.0)
    assert found(value, value > 0) is None


@pytest.mark.parametrize(("off", "seen"), [(-1, True), (0, True), (1, True), (2, False), (-3, False)])
def test_near_where_it_is_known_to_be_a_little_darker_suffices(off, seen):
    value, own = columns(60.0, -60.0, film_hu=-200.0)
    told = np.full((20, 20), (SKIN_ENDS + 0.5 + off) * STEP_MM)
    height = seam.nearby(value, own, STEP_MM, found(value, own), told)
    assert np.isfinite(height).all() == seen
    if seen:
        assert np.all(height == (SKIN_ENDS + 0.5) * STEP_MM)


def test_skin_that_is_nearly_as_dense_as_the_pad_is_not_taken_though_fat_lies_beneath():
    value, own = columns(60.0, 20.0, film_hu=-200.0)
    result = found(value, own)
    value[:, SKIN_ENDS - 1] = -90
    value[:, SKIN_ENDS] = 20
    height = seam.nearby(value, own, STEP_MM, result, np.full((20, 20), (SKIN_ENDS + 0.5) * STEP_MM))
    assert np.isnan(height).all()


def test_the_face_of_the_holder_is_no_seam():
    """Between it and a pad lies air, too: there no skin ends."""
    value, own = columns(60.0, 60.0, film_hu=60.0)
    value[:, SKIN_ENDS] = -60
    seen = seam.Seam(np.zeros((20, 20)), 60.0, 5.0, np.inf)
    height = np.full((20, 20), (SKIN_ENDS + 0.5) * STEP_MM)
    assert np.isfinite(seam.nearby(value, own, STEP_MM, seen, height)).all()
    own[:, SKIN_ENDS + 1 :] = False
    assert np.isnan(seam.nearby(value, own, STEP_MM, seen, height)).all()


def test_in_an_uneven_pad_what_is_a_little_darker_is_no_seam():
    value, own = columns(0.0, -70.0, film_hu=-400.0)
    seen = found(value, own)
    height = np.full((20, 20), (SKIN_ENDS + 0.5) * STEP_MM)
    assert np.isfinite(seam.nearby(value, own, STEP_MM, seen, height)).all()
    uneven = replace(seen, spread_hu=45.0)
    assert np.isnan(seam.nearby(value, own, STEP_MM, uneven, height)[:, 1::2]).all()
    assert np.isfinite(seam.nearby(value, own, STEP_MM, uneven, height)[:, ::2]).all()


def test_what_noise_makes_fainter_than_fat_is_no_seam():
    value, own = columns(-110.0, -110.0, film_hu=-110.0)
    noisy = value + 45 * np.random.default_rng(0).standard_normal(value.shape) * own
    assert np.mean(np.isfinite(found(noisy, own).height)) < 0.05
    value, own = columns(-110.0, -110.0, film_hu=-500.0)
    noisy = value + 45 * np.random.default_rng(0).standard_normal(value.shape) * own
    assert np.mean(np.isfinite(found(noisy, own).height[:, ::2])) > 0.9
