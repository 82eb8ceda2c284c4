"""The patient's back as seen from behind."""

from __future__ import annotations

import numpy as np
from HeadrestRemovalLib import back
from HeadrestRemovalLib.labels import HEADREST, PATIENT

BACK_MM, TABLE_MM = 60.0, 72.0


def scan(pixel_mm):
    """A slab of tissue with a board behind its middle, 4 mm from it, and beside it free air, on pixels of a size."""
    rows, columns = round(100 / pixel_mm), round(80 / pixel_mm)
    y = np.broadcast_to((np.arange(rows)[:, None] + 0.5) * pixel_mm, (rows, columns))
    x = (np.arange(columns) + 0.5) * pixel_mm
    board = (y > BACK_MM) & (y < TABLE_MM) & (x > 20) & (x < 60)
    labels = np.where(y < BACK_MM, PATIENT, np.where(board, HEADREST, 0)).astype(np.uint8)
    hu = np.where(y < BACK_MM, 30, np.where(board, 100, -1000))
    return np.repeat(labels[None], 6, 0), np.repeat(hu[None], 6, 0).astype(np.int16)


def test_heights_are_the_same_on_fine_pixels():
    """They were in cells, so that on fine pixels the skin was looked for at half its height."""
    for pixel_mm, factors in ((2.0, (1, 1, 1)), (1.0, (1, 2, 2)), (0.5, (2, 4, 4))):
        labels, hu = scan(pixel_mm)
        found = back.find(labels, hu, (3.0, pixel_mm, pixel_mm), factors)
        assert found.there.all()
        assert np.allclose(found.last + pixel_mm / 2, BACK_MM)  # from the middle of the first voxel
        assert np.abs(found.height + pixel_mm / 2 - BACK_MM).max() <= pixel_mm / 2


def test_what_lies_right_behind_touches():
    labels, hu = scan(2.0)
    found = back.find(labels, hu, (3.0, 2.0, 2.0), (1, 1, 1))
    assert found.touched[:, 11:29].all()
    assert found.firm[:, 11:29].all()
    assert not found.touched[:, :9].any()


def test_a_blurred_edge_that_was_labelled_does_not_touch_firmly():
    labels, hu = scan(2.0)
    labels[labels == HEADREST] = 0
    hu[:, 30:] = -1000
    labels[:, 30], hu[:, 30] = HEADREST, -800
    found = back.find(labels, hu, (3.0, 2.0, 2.0), (1, 1, 1))
    assert found.touched.all()
    assert not found.firm.any()
    hu[:, 30] = -990  # nothing but air
    assert not back.find(labels, hu, (3.0, 2.0, 2.0), (1, 1, 1)).touched.any()


def test_the_columns_are_all_voxels_of_some_samples():
    labels, hu = scan(1.0)
    faceless = np.where(np.arange(100)[:, None] < 55, labels, HEADREST)
    value, own, bare = back.columns(labels, faceless, hu, (1, 2, 2), (slice(2, 4), slice(10, 15)))
    assert value.shape == own.shape == (2, 100, 5)
    assert np.array_equal(value[0, :, 0], hu[2, :, 21])
    assert own[:, :60].all()
    assert not own[:, 60:].any()
    assert bare[:, :55].all()
    assert not bare[:, 55:].any()


def test_blurred_columns_hold_less_noise_and_the_same_mean():
    labels, hu = scan(1.0)
    hu = hu + 30 * np.random.default_rng(0).standard_normal(hu.shape)
    window = (slice(1, 5), slice(5, 25))
    sharp, blurred = (back.columns(labels, labels, hu, (1, 2, 2), window, blur)[0] for blur in ((0, 0), (1.0, 0.5)))
    inner = (slice(None), slice(10, 40), slice(3, -3))
    assert abs((blurred - sharp)[inner].mean()) < 1
    assert blurred[inner].std() < 0.6 * sharp[inner].std()
