"""Growing, shrinking and holes, against slow and obvious ways."""

from __future__ import annotations

import numpy as np
import pytest
from HeadrestRemovalLib import shapes
from scipy import ndimage


@pytest.fixture(scope="module")
def mask() -> np.ndarray:
    rng = np.random.default_rng(0)
    return ndimage.binary_opening(rng.random((4, 40, 50)) > 0.15, np.ones((1, 2, 2)))


@pytest.mark.parametrize("radius", [2.0, 4.0, 8.0])
def test_growing_is_nearly_by_a_disc_and_stays_in_its_slice(radius):
    point = np.zeros((3, 41, 41), bool)
    point[1, 20, 20] = True
    grown = shapes.grow(point, 2.0, radius)
    j, i = np.nonzero(grown[1])
    away = np.hypot(j - 20, i - 20) * 2
    assert not grown[[0, 2]].any()
    assert radius <= away.max() <= 1.25 * radius
    assert grown[1][np.hypot(*np.indices((41, 41)) - 20) * 2 <= 0.8 * radius].all()


def test_growing_inside_goes_no_shorter_way():
    within = np.zeros((1, 11, 11), bool)
    within[0, 5, :6] = within[0, 5:, 5] = True
    seed = np.zeros_like(within)
    seed[0, 5, 0] = True
    reached = shapes.grow(seed, 1.0, 7.0, within)
    assert reached[0, 5, :6].all()
    assert reached[0, 7, 5]
    assert not reached[0, 9, 5]
    assert not (reached & ~within).any()


def test_shrinking_is_growing_of_the_rest_and_the_edge_holds(mask):
    assert np.array_equal(shapes.shrink(mask, 2.0, 4.0), ~shapes.grow(~mask, 2.0, 4.0))
    assert shapes.shrink(np.ones((1, 5, 5), bool), 1.0, 2.0).all()


def test_what_lies_off_the_edges_is_grown_and_shrunk_as_anywhere(mask):
    for piece in (np.pad(mask, ((2, 1), (9, 7), (5, 8))), np.pad(mask, ((0, 0), (0, 9), (9, 0)))):
        cross, square = shapes.IN_SLICE, np.ones((1, 3, 3), bool)
        grown = ndimage.binary_dilation(ndimage.binary_dilation(piece, cross), square)
        assert np.array_equal(shapes.grow(piece, 1.0, 2.0), grown)
        shrunk = ndimage.binary_erosion(ndimage.binary_erosion(piece, cross, border_value=1), square, border_value=1)
        assert np.array_equal(shapes.shrink(piece, 1.0, 2.0), shrunk)
        assert shrunk.any()


def test_widening_numbers_gives_the_highest_around():
    numbers = np.random.default_rng(1).integers(0, 5, (3, 20, 30)).astype(np.uint8)
    cross = ndimage.grey_dilation(numbers, footprint=shapes.IN_SLICE)
    assert np.array_equal(shapes.widened(numbers), cross)
    assert np.array_equal(shapes.widened(numbers, square=True), ndimage.grey_dilation(numbers, (1, 3, 3)))


def test_growing_along_slices():
    mask = np.zeros((7, 2, 2), bool)
    mask[3, 0, 0] = True
    assert shapes.grow_along(mask, 2)[:, 0, 0].tolist() == [False, True, True, True, True, True, False]


def test_holes_are_those_of_each_slice(mask):
    wanted = np.stack([ndimage.binary_fill_holes(plane) & ~plane for plane in mask])
    assert wanted.any()
    assert np.array_equal(shapes.holes(mask), wanted)


def test_distance_in_millimetres():
    mask = np.zeros((5, 9, 9), bool)
    mask[2, 4, 4] = True
    away = shapes.distance(mask, (1.0, 2.0, 3.0), 6.0)
    assert away[2, 4, 6] == 2
    assert away[2, 7, 4] == 6
    assert away[0, 4, 4] == 6
    assert away[2, 4, 4] == 0
    assert np.isinf(away[2, 8, 4])  # 8 mm
    assert np.isinf(shapes.distance(np.zeros((2, 2, 2), bool), (1, 1, 1), 5.0)).all()


def test_the_distance_is_known_where_it_is_asked_for():
    masks = np.random.default_rng(3).random((2, 12, 40, 50)) > 0.998
    whole, asked = (shapes.distance(masks[0], (1.5, 2.0, 3.0), 15.0, where) for where in (None, masks[1]))
    near = masks[1] & (whole <= 15)
    assert near.any()
    assert np.allclose(asked[near], whole[near])
    assert (asked[masks[1] & (whole > 15)] > 15).all()
    assert np.isinf(shapes.distance(masks[0], (1.0, 1.0, 1.0), 5.0, np.zeros_like(masks[0]))).all()


@pytest.mark.parametrize("around", [None, shapes.IN_SLICE, shapes.ALL_AROUND])
def test_parts_are_numbered_in_order(mask, around):
    labels, count = shapes.numbered(mask, around)
    wanted, number = ndimage.label(mask, around)
    assert count == number
    assert labels.dtype == np.int32
    assert np.array_equal(labels, wanted)
    assert shapes.numbered(mask[:0], around)[1] == 0


def test_what_is_reached_from_seeds():
    within = np.array([[[1, 1, 0, 1, 1]]], bool)
    seeds = np.array([[[0, 1, 1, 0, 0]]], bool)
    assert shapes.reached(seeds, within).ravel().tolist() == [True, True, False, False, False]
