"""The picture of trachea, main bronchi and arch."""

from __future__ import annotations

import numpy as np
import pytest
from CTSliceLocalizerLib import airway

MIDDLE = airway.HALF
CARINA = 12


def chest(shift: int = 0) -> np.ndarray:
    """A body with a spine, a trachea that divides at a cell, and a dense band on its left, (32, 96, 96) HU."""
    hu = np.full((32, 96, 96), -1024.0, np.float32)
    hu[:, 20:76, 15 + shift : 80 + shift] = 40
    hu[:, 56:70, 45 + shift : 51 + shift] = 500
    hu[CARINA:, 50:54, 46 + shift : 50 + shift] = -1000
    for k in range(CARINA):
        for side in (-1, 1):
            column = 48 + shift + side * (3 + CARINA - k)
            hu[k, 50:53, column - 1 : column + 2] = -900
    hu[18:22, 46:58, 54 + shift : 62 + shift] = 300
    return hu


def test_the_trachea_shows_and_divides():
    seen = airway.picture(chest())
    assert seen.shape == (32, airway.VIEW.width, 2)
    dark = seen[..., 0]
    assert (dark[CARINA + 2 :, MIDDLE] == 1).all()
    assert (dark[: CARINA - 2, MIDDLE] < 0.1).all()
    for k in range(CARINA - 2):
        parts = np.flatnonzero(np.diff(np.r_[0, dark[k] > 0.5, 0]) == 1)
        assert len(parts) == 2, "a bronchus on each side"


def test_what_is_dense_shows_in_the_mean():
    mean = airway.picture(chest())[..., 1]
    assert (mean[19:21, MIDDLE + 8] > mean[26:28, MIDDLE + 8] + 0.05).all()


def test_air_around_the_body_is_not_airway():
    hu = chest()
    hu[:, 20:50] = -1024
    hu[CARINA:, 50:54] = 40
    assert (airway.picture(hu)[CARINA:, :, 0] < 0.1).all()


@pytest.mark.parametrize("shift", [-8, 9])
def test_the_picture_follows_the_spine(shift):
    here, there = (airway.picture(chest(by))[:, 5:-5] for by in (0, shift))
    np.testing.assert_allclose(there, here, atol=1e-6)


def test_upside_down_it_is_the_same_picture():
    hu = chest() + np.random.default_rng(0).normal(0, 20, (32, 96, 96)).astype(np.float32)
    np.testing.assert_allclose(airway.picture(hu[::-1])[::-1], airway.picture(hu), atol=1e-6)


def test_nothing_but_air():
    assert not airway.picture(np.full((5, 96, 96), -1024, np.int16))[..., 0].any()
