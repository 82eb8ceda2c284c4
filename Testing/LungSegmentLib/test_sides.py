"""Left and right on shapes whose sides are known."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib.cells import Cells
from LungSegmentLib import sides
from LungSegmentLib.sides import LEFT, RIGHT

SHAPE = (30, 60, 110)
SPACING = (2.8, 2.8, 3.0)
MIDDLE = 54.5


def _ellipsoid(centre: tuple[float, float, float], radius: tuple[float, float, float]) -> np.ndarray:
    grids = np.ogrid[tuple(slice(0, size) for size in SHAPE)]
    return sum(((grid - c) / r) ** 2 for grid, c, r in zip(grids, centre, radius)) < 1


@pytest.fixture
def left() -> np.ndarray:
    """i grows to the patient's left."""
    return _ellipsoid((15, 30, 80), (13, 24, 18))


@pytest.fixture
def right() -> np.ndarray:
    return _ellipsoid((15, 30, 29), (14, 24, 20))


def _split(lungs: np.ndarray, middle: float = MIDDLE) -> tuple[np.ndarray, bool]:
    return sides.split(lungs, Cells(np.zeros(SHAPE, np.int16), SPACING, (1, 1, 1)), middle)


def test_apart(left, right):
    parted, two = _split(left | right)
    assert two
    np.testing.assert_array_equal(parted == LEFT, left)
    np.testing.assert_array_equal(parted == RIGHT, right)


@pytest.mark.parametrize("width", [2, 6])
def test_joined_in_front_of_the_heart(left, right, width):
    bridge = np.zeros(SHAPE, bool)
    bridge[13 : 13 + width, 20 : 20 + width, 40:70] = True
    parted, two = _split(left | right | bridge)
    assert two
    assert (parted[left] == LEFT).all()
    assert (parted[right] == RIGHT).all()
    np.testing.assert_array_equal(parted > 0, left | right | bridge)
    border = np.flatnonzero(parted[13, 20] == LEFT)[0]
    assert 45 <= border <= 66, "they part on the bridge"


def test_small_parts_go_to_the_side_where_they_lie(left, right):
    bridge, crumb = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    bridge[13:15, 20:22, 40:70] = True
    crumb[2:4, 50:53, 95:99] = True
    parted, _ = _split(left | right | bridge | crumb)
    assert (parted[crumb] == LEFT).all()
    parted, _ = _split(left | right | crumb)
    assert (parted[crumb] == LEFT).all()


@pytest.mark.parametrize("side", [LEFT, RIGHT])
def test_one_lung(left, right, side):
    lung = left if side == LEFT else right
    parted, two = _split(lung)
    assert not two
    assert (parted[lung] == side).all()
    assert not parted[~lung].any()


def test_one_lung_in_two_parts_is_one_lung(left):
    """The base of one lung, around the dome: front and back of it, or lobes that a fissure parts."""
    parts = left.copy()
    parts[:, 28:32] = False
    parted, two = _split(parts)
    assert not two
    assert (parted[parts] == LEFT).all()


def test_parts_of_one_lung_far_apart():
    inner, outer = _ellipsoid((15, 20, 66), (10, 12, 6)), _ellipsoid((15, 40, 95), (10, 12, 8))
    parted, two = _split(inner | outer)
    assert not two
    assert (parted[inner | outer] == LEFT).all()


def test_nothing():
    parted, two = _split(np.zeros(SHAPE, bool))
    assert not two
    assert not parted.any()
