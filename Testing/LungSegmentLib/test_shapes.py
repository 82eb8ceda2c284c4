"""Morphology in millimetres against slow and obvious ways to do the same."""

from __future__ import annotations

import numpy as np
import pytest
from LungSegmentLib import shapes
from scipy import ndimage
from skimage import measure

SPACING = (1.5, 2.0, 4.0)
"""mm along i, j, k."""


@pytest.fixture
def blobs() -> np.ndarray:
    noise = np.random.default_rng(7).standard_normal((14, 30, 34))
    return ndimage.gaussian_filter(noise, 2) > 0.03


@pytest.fixture
def ball() -> np.ndarray:
    k, j, i = np.ogrid[-12:13, -25:26, -33:34]
    return (k * 4.0) ** 2 + (j * 2.0) ** 2 + (i * 1.5) ** 2 < 25**2


def _mm_to(mask: np.ndarray) -> np.ndarray:
    """(k, j, i) mm from each voxel to the nearest one of a mask, by trying all."""
    places = np.argwhere(mask) * SPACING[::-1]
    everywhere = np.argwhere(np.ones_like(mask)) * SPACING[::-1]
    return np.array([np.sqrt(((places - place) ** 2).sum(axis=1).min()) for place in everywhere]).reshape(mask.shape)


class TestDistances:
    def test_dilate(self, blobs):
        away = _mm_to(blobs)
        for radius in (1.9, 5.0):
            np.testing.assert_array_equal(shapes.dilate(blobs, SPACING, radius), away <= radius)

    def test_erode_takes_what_is_near_the_rim(self, blobs):
        """Measured from the mask's own outermost voxels, which touch what is outside by a face, an edge or a corner."""
        outermost = blobs & ndimage.binary_dilation(~blobs, ndimage.generate_binary_structure(3, 3))
        eroded = shapes.erode(blobs, SPACING, 3.0)
        assert eroded.any()
        np.testing.assert_array_equal(eroded, blobs & (_mm_to(outermost) > 3.0))

    def test_the_same_ball_at_each_spacing(self):
        """The volume of what lies within 10 mm of a point does not depend on the grid."""
        volumes = []
        for spacing in ((1.0, 1.0, 1.0), (0.7, 0.7, 0.6), (1.5, 1.5, 3.0)):
            mask = np.zeros([2 * int(14 / step) + 1 for step in spacing[::-1]], bool)
            mask[tuple(size // 2 for size in mask.shape)] = True
            volumes.append(shapes.dilate(mask, spacing, 10.0).sum() * np.prod(spacing))
        assert volumes == pytest.approx([4 / 3 * np.pi * 1000] * 3, rel=0.05)

    def test_of_nothing(self):
        nothing = np.zeros((3, 4, 5), bool)
        for method in (shapes.dilate, shapes.erode, shapes.close):
            assert not method(nothing, SPACING, 3.0).any()
        assert not shapes.fill(nothing, SPACING, 100.0).any()
        assert not shapes.largest(nothing).any()
        assert not shapes.enclosed_in_slices(nothing).any()


class TestClose:
    def test_notch_and_hole_are_filled(self, ball):
        pierced = ball.copy()
        pierced[12, 25, :] = False  # a canal of 4 mm
        closed = shapes.close(pierced, SPACING, 8.0)
        assert closed[ball].all()
        assert np.count_nonzero(closed) < 1.03 * np.count_nonzero(ball)

    def test_wide_gap_stays(self, ball):
        halves = ball.copy()
        halves[:, :, 20:47] = False  # 40 mm
        closed = shapes.close(halves, SPACING, 8.0)
        assert not closed[12, 25, 30:36].any()

    def test_nothing_is_lost_and_twice_is_once(self, blobs):
        closed = shapes.close(blobs, SPACING, 4.0)
        assert closed[blobs].all()
        again = shapes.close(closed, SPACING, 4.0)
        assert np.count_nonzero(again != closed) < 0.03 * closed.size

    def test_end_slices_don_t_shrink_or_bulge(self):
        """A lung that the scan cuts goes on beyond it: its notch in the last slice is filled as one in the middle."""
        column = np.zeros((9, 30, 30), bool)
        column[:, 5:25, 5:25] = True
        column[:, 13:15, 5:15] = False
        closed = shapes.close(column, (1.5, 1.5, 5.0), 6.0)
        for plane in closed:
            np.testing.assert_array_equal(plane, closed[4])
        assert closed[:, 13:15, 8:15].all()


class TestFill:
    def test_hollow_and_small_holes(self):
        mask = np.ones((5, 20, 20), bool)
        mask[2, 4:16, 4:16] = False  # a hollow as large as it may be
        mask[:, 2:4, 2:4] = False  # a vessel from top to bottom: 2 x 2 pixels in each slice
        filled = shapes.fill(mask, (2.0, 2.0, 4.0), 20.0)
        assert filled.all()

    def test_a_large_hole_that_goes_through_stays(self):
        mask = np.ones((5, 20, 20), bool)
        mask[:3, 5:15, 5:15] = False  # the dome of the diaphragm, open below
        filled = shapes.fill(mask, (2.0, 2.0, 4.0), 300.0)
        np.testing.assert_array_equal(filled, mask)
        assert shapes.fill(mask, (2.0, 2.0, 4.0), 400.0).all()


class TestParts:
    def test_enclosed_in_slices(self, blobs):
        wanted = np.zeros_like(blobs)
        for k, plane in enumerate(blobs):
            labels = measure.label(plane, connectivity=1)
            edge = {*labels[0], *labels[-1], *labels[:, 0], *labels[:, -1]}
            wanted[k] = plane & ~np.isin(labels, list(edge))
        assert wanted.any()
        np.testing.assert_array_equal(shapes.enclosed_in_slices(blobs), wanted)

    def test_largest(self, blobs):
        labels = measure.label(blobs, connectivity=1)
        sizes = [(labels == number).sum() for number in range(1, labels.max() + 1)]
        np.testing.assert_array_equal(shapes.largest(blobs), labels == 1 + int(np.argmax(sizes)))
