"""The picture of spine and ribs."""

from __future__ import annotations

import numpy as np
import pytest
from CTSliceLocalizerLib import skeleton

RIBS = (10, 16, 22)
MIDDLE = skeleton.HALF


def bones(shift: int = 0) -> np.ndarray:
    """A body with a spine, three pairs of ribs and a breastbone, (32, 96, 96) HU."""
    hu = np.full((32, 96, 96), -1024.0, np.float32)
    hu[:, 20:76, 15 + shift : 80 + shift] = 40
    hu[:, 22:24, 44 + shift : 52 + shift] = 400
    hu[:, 56:70, 45 + shift : 51 + shift] = 500
    for rib in RIBS:
        hu[rib, 64:67, 28 + shift : 68 + shift] = 450
    return hu


def test_ribs_show_where_they_are():
    seen = skeleton.picture(bones())[..., 0]
    assert seen.shape == (32, skeleton.VIEW.width)
    assert (seen[:, MIDDLE - 1 : MIDDLE + 2] == 1).all(), "the spine, from below to above"
    for side in (slice(MIDDLE - 16, MIDDLE - 8), slice(MIDDLE + 8, MIDDLE + 16)):
        assert np.flatnonzero((seen[:, side] > 0.5).all(axis=1)).tolist() == list(RIBS)


def test_the_breastbone_does_not_show():
    hu = bones()
    without = skeleton.picture(hu)
    hu[4, 22:24, 30:66] = 400
    np.testing.assert_array_equal(skeleton.picture(hu)[4, 10:20], without[4, 10:20])


@pytest.mark.parametrize("shift", [-8, 9])
def test_the_picture_follows_the_spine(shift):
    here, there = (skeleton.picture(bones(by))[:, 10:-10] for by in (0, shift))
    np.testing.assert_allclose(there, here, atol=1e-6)


def test_the_picture_bends_with_the_spine():
    hu = bones()
    bent = np.stack([np.roll(one, round(k / 3), axis=1) for k, one in enumerate(hu)])
    seen = skeleton.picture(bent)[..., 0]
    assert (seen[:, MIDDLE] == 1).all()


def test_upside_down_it_is_the_same_picture():
    hu = bones() + np.random.default_rng(0).normal(0, 20, (32, 96, 96)).astype(np.float32)
    np.testing.assert_allclose(skeleton.picture(hu[::-1])[::-1], skeleton.picture(hu), atol=1e-6)


def test_nothing_but_air():
    assert not skeleton.picture(np.full((5, 96, 96), -1024, np.int16)).any()
