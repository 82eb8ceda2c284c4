"""Tests of volume-rendered pictures: what is in front hides what is behind, from every side."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib import render3d
from CTVolumeLib.volume import CTVolume


def room() -> CTVolume:
    """A tall bone at the patient's left, a short one in front of it at the back of the picture's middle."""
    hu = np.full((30, 40, 40), -1000, np.int16)
    hu[4:26, 18:22, 30:34] = 1200  # left
    hu[4:14, 4:8, 18:22] = 1200  # front, low
    return CTVolume(hu, (2.0, 2.0, 2.0))


def seen(picture: np.ndarray) -> np.ndarray:
    return np.any(picture != picture[0, 0], axis=2)


def test_air_shows_the_background():
    air = CTVolume(np.full((10, 12, 14), -1000, np.int16), (2.0, 2.0, 3.0))
    assert (render3d.shaded(air, background=(1.0, 1.0, 1.0)) == 255).all()
    assert (render3d.shaded(air, background=(0.0, 0.0, 0.0)) == 0).all()


def test_size_in_mm():
    picture = render3d.shaded(CTVolume(np.full((10, 12, 14), -1000, np.int16), (2.0, 2.0, 3.0)), pixel_mm=1.0)
    assert picture.shape == (30, 28, 3)


@pytest.mark.parametrize(
    ("azimuth", "left_bone"), [(0.0, 64), (180.0, 16), (90.0, 40), (270.0, 40)], ids=("front", "back", "left", "right")
)
def test_the_left_bone_stands_where_it_is_seen_from(azimuth, left_bone):
    picture = render3d.shaded(room(), azimuth, pixel_mm=1.0)
    upper = seen(picture)[: picture.shape[0] // 2]
    assert abs(np.flatnonzero(upper.any(axis=0)).mean() - left_bone) < 4


def test_head_is_up_whatever_way_the_scan_is_stored():
    volume = room()
    flipped = CTVolume(volume.array[::-1].copy(), volume.spacing, (0.0, 0.0, 58.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, -1.0))
    assert np.array_equal(render3d.shaded(volume, 30.0, 20.0), render3d.shaded(flipped, 30.0, 20.0))


def test_what_is_in_front_hides_what_is_behind():
    hu = np.full((20, 30, 20), -1000, np.int16)
    hu[5:15, 5:9, 5:15] = 1500
    alone = render3d.shaded(CTVolume(hu, (2.0, 2.0, 2.0)), pixel_mm=2.0)
    hu[5:15, 20:24, 5:15] = 0
    assert np.array_equal(render3d.shaded(CTVolume(hu, (2.0, 2.0, 2.0)), pixel_mm=2.0)[8:12, 8:12], alone[8:12, 8:12])
    behind = render3d.shaded(CTVolume(hu, (2.0, 2.0, 2.0)), 180.0, pixel_mm=2.0)[8:12, 8:12].mean(axis=(0, 1))
    front = alone[8:12, 8:12].mean(axis=(0, 1))
    assert behind[0] - behind[2] > front[0] - front[2] + 10, "flesh is redder than bone"
