"""The surface that goes on where it is hidden."""

from __future__ import annotations

import numpy as np
import pytest
from HeadrestRemovalLib import plate

SIZE = (3.0, 2.0)


def bowl(shape=(30, 40)):
    """Heights of the back of a head: mm, curved along both axes."""
    k, i = np.ogrid[: shape[0], : shape[1]]
    return 100 - (((k - 15) * SIZE[0]) ** 2 / 300 + ((i - 20) * SIZE[1]) ** 2 / 160)


def hidden(height):
    """(k, i) weights that are 0 over a patch of about 30 cm2 in the middle."""
    weight = np.ones(height.shape)
    weight[6:24, 6:34] = 0
    return weight


def test_a_curved_surface_goes_on_where_it_is_hidden():
    height = bowl()
    weight = hidden(height)
    found = plate.fit(np.where(weight > 0, height, 250.0), weight, np.ones(height.shape, bool), SIZE)
    assert np.abs(found - height)[weight == 0].max() < 1.0
    assert np.abs(found - height)[weight > 0].max() < 0.3


def test_a_tilted_plane_stays_a_plane_whatever_the_spacing():
    k, i = np.ogrid[:20, :25]
    height = 3.0 * k + 0.5 * i
    weight = np.zeros(height.shape)
    weight[:4], weight[:, :4] = 1, 1
    for size in ((1.0, 1.0), (5.0, 0.7)):
        found = plate.fit(height, weight, np.ones(height.shape, bool), size)
        assert found == pytest.approx(height, abs=0.05)


def test_steps_of_voxels_are_evened_out_and_hills_are_not():
    height = bowl()
    everywhere = np.ones(height.shape, bool)
    found = plate.fit(np.round(height), np.ones(height.shape), everywhere, SIZE)
    assert np.sqrt(np.mean((found - height) ** 2)) < 0.7 * np.sqrt(np.mean((np.round(height) - height) ** 2))
    assert np.abs(found - height).max() < 0.6


def test_outside_of_what_is_wanted_nothing_is_told():
    height = bowl()
    where = np.zeros(height.shape, bool)
    where[:, :30] = True
    found = plate.fit(height, np.where(where, 1.0, 0.0), where, SIZE)
    assert (found[:, 30:] == found[0, -1]).all()
    assert np.abs(found - height)[:, :30].max() < 0.3
