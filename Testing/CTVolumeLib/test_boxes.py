"""Boxes around masks."""

from __future__ import annotations

import numpy as np
from CTVolumeLib.boxes import bounding_box


def test_a_box_holds_the_mask_and_a_margin_inside_the_grid():
    mask = np.zeros((20, 30, 40), bool)
    mask[5:8, 10:12, 1:4] = True
    mask[7, 20, 30] = True
    assert bounding_box(mask) == (slice(5, 8), slice(10, 21), slice(1, 31))
    assert bounding_box(mask, (1.25, 2.0, 2.5), 5.0) == (slice(3, 10), slice(7, 24), slice(0, 35))
    assert bounding_box(mask[7], (1.25, 2.0), 5.0) == (slice(7, 24), slice(0, 35))


def test_nothing_has_an_empty_box():
    mask = np.zeros((2, 3, 4), bool)
    assert mask[bounding_box(mask, margin_mm=9.0)].size == 0
