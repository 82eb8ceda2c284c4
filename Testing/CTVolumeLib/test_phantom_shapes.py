from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from CTVolumeLib.phantom_shapes import (
    Above,
    Both,
    Capsule,
    Either,
    Ellipsoid,
    Loft,
    Sheet,
    Shell,
    Slab,
    Without,
    smooth,
    tube,
)

AXIS = np.arange(-30, 31, dtype=np.float32)
GRID = AXIS.reshape(1, 1, -1), AXIS.reshape(1, -1, 1), AXIS.reshape(-1, 1, 1)
BALL = Ellipsoid((0, 0, 0), (10, 10, 10))
SHAPES = {
    "ball": BALL,
    "egg": Ellipsoid((3, -4, 5), (14, 8, 5)),
    "turned egg": Ellipsoid((3, -4, 5), (16, 8, 5), (30, -20, 50)),
    "capsule": Capsule((-8, -3, -10), (9, 6, 12), 6, 3),
    "loft": Loft(((-18, 0, 0, 6, 4, 0.3), (2, 3, -2, 12, 8, 0.6), (17, -2, 3, 5, 9, 0))),
    "both": Both((BALL, Slab(0, -30, 3))),
    "either": Either((BALL, Capsule((10, 0, 0), (18, 0, 0), 4, 4))),
    "without": Without(BALL, Capsule((0, 0, -20), (0, 0, 20), 5, 5)),
    "shell": Shell(BALL, 4),
}


def _inside(shape):
    return np.broadcast_to(shape.distance(*GRID) < 0, (61, 61, 61))


@pytest.mark.parametrize("name", SHAPES)
def test_the_box_holds_the_shape_closely(name):
    shape = SHAPES[name]
    inside = _inside(shape)
    assert inside.any()
    for axis, (first, last) in zip((2, 1, 0), shape.bounds()):
        found = AXIS[inside.any(axis=tuple(n for n in range(3) if n != axis))]
        assert first <= found.min()
        assert found.max() <= last
        if name not in ("without", "both"):  # those may be smaller than the box of their parts
            assert found.min() < first + 3
            assert found.max() > last - 3


@pytest.mark.parametrize("name", ["ball", "capsule"])
def test_the_distance_is_exact_where_that_is_easy(name):
    distance = np.broadcast_to(SHAPES[name].distance(*GRID), (61, 61, 61))
    steepness = np.sqrt(sum(part**2 for part in np.gradient(distance.astype(float))))[3:-3, 3:-3, 3:-3]
    away = np.abs(distance[3:-3, 3:-3, 3:-3]) < 3
    assert np.mean(np.abs(steepness[away] - 1) < 0.12) > 0.99


def test_volumes():
    assert _inside(BALL).sum() == pytest.approx(4 / 3 * np.pi * 1000, rel=0.02)
    assert _inside(SHAPES["turned egg"]).sum() == pytest.approx(4 / 3 * np.pi * 16 * 8 * 5, rel=0.03)
    tower = Loft(((-10, 0, 0, 8, 5, 0), (10, 0, 0, 8, 5, 0)))
    assert _inside(tower).sum() == pytest.approx(np.pi * 8 * 5 * 19, rel=0.07)
    square = Loft(((-10, 0, 0, 8, 5, 1), (10, 0, 0, 8, 5, 1)))
    assert _inside(square).sum() == pytest.approx(16 * 10 * 19, rel=0.15)
    assert _inside(square).sum() > 1.1 * _inside(tower).sum()


def test_turning_goes_from_x_to_y():
    long = Ellipsoid((0, 0, 0), (20, 2, 2), (30, 0, 0))
    at = 15 * np.cos(np.radians(30)), 15 * np.sin(np.radians(30))
    assert long.distance(*(np.float32(value) for value in (*at, 0))) < 0
    assert long.distance(*(np.float32(value) for value in (at[0], -at[1], 0))) > 0


def test_half_spaces():
    bowl = Sheet((0, 0, 5), (10, 10), 8, below=True)
    zero = np.float32(0)
    assert bowl.distance(zero, zero, np.float32(6)) < 0 < bowl.distance(zero, zero, np.float32(4))
    assert bowl.distance(np.float32(10), zero, np.float32(12)) > 0 > bowl.distance(np.float32(10), zero, np.float32(14))
    roof = Above((1, 0), 0)
    assert roof.distance(np.float32(5), zero, np.float32(4)) < 0 < roof.distance(np.float32(5), zero, np.float32(6))


def test_growing():
    assert BALL.grow(2).radii == (12, 12, 12)
    assert Capsule((0, 0, 0), (1, 0, 0), 3, 2).grow(-5).stop_radius > 0
    assert SHAPES["loft"].grow(1).rows[0] == (-18, 0, 0, 7, 5, 0.3)


def test_tubes_pass_through_their_points():
    points = smooth([(0, 0, 0), (10, 0, 0), (10, 10, 0)], 9)
    np.testing.assert_allclose(points[[0, 4, 8]], [(0, 0, 0), (10, 0, 0), (10, 10, 0)])
    parts = tube(points, list(range(1, 10)))
    assert len(parts) == 8
    assert parts[0].start_radius == 1
    assert parts[-1].stop_radius == 9
    assert all(one.stop == other.start for one, other in pairwise(parts))
