"""What augmentation does to a stretch, and that the truth goes with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from CTSliceLocalizerLib import augmentation, dataset
from CTSliceLocalizerLib.groundtruth import Annotation
from CTSliceLocalizerLib.landmarks import NAMES
from CTSliceLocalizerLib.slicegrid import SliceGrid

OWN = augmentation.STRENGTHS["own"]
STILL = replace(OWN, p_slide=0.0)
SLIDING = replace(OWN, p_slide=1.0)
COUNT = 60
DOME_Z = 120.0


def ramp() -> np.ndarray:
    """A body whose values say the height: HU = 10 x index of the slice."""
    hu = np.full((COUNT, 96, 96), -1024.0, np.float32)
    hu[:, 20:76, 18:78] = 10.0 * np.arange(COUNT)[:, None, None]
    return hu


def trunk() -> np.ndarray:
    """Body coordinate of the slices, from below the kidneys up to the neck."""
    return 650.0 - 6.0 * np.arange(COUNT)


def test_the_front_slides_along_the_spine():
    position = np.arange(5.0, 55.0)
    body = np.interp(position, np.arange(COUNT), trunk())
    hu, moved = augmentation.slide(ramp(), position, body, np.random.default_rng(1), SLIDING)
    back, front = hu[:, 74, 48], hu[:, 24, 48]
    np.testing.assert_allclose(back, 10 * position, rtol=1e-5, err_msg="the spine stays")
    np.testing.assert_allclose(front, 10 * (position - moved / 4.0), atol=0.01)
    inside = (body > 460) & (body < 600)
    assert np.abs(moved[inside]).min() > 1
    assert np.ptp(moved[inside]) < 1e-9, "all organs between carina and kidneys go together"
    assert np.all(moved[body < 380] == 0), "the neck stays as it is"


def test_a_head_does_not_slide():
    position = np.arange(5.0, 25.0)
    assert augmentation.slide(ramp(), position, np.full(20, 200.0), np.random.default_rng(1), SLIDING) is None


def scan() -> dataset.Scan:
    grid = SliceGrid(ramp().astype(np.int16), 4.0 * np.arange(COUNT), np.full(COUNT, 300.0), ramp().astype(np.int16))
    marks = {"Right dome of diaphragm": Annotation(DOME_Z, 2.0), "T12": Annotation(80.0, 2.0)}
    return dataset.Scan("s", "p", "other", grid, marks, trunk(), np.full(COUNT, 3.0))


def truths(strength: augmentation.Strength, name: str) -> list[float]:
    """Heights in cells at which examples of one stretch say that a landmark is."""
    found = []
    for seed in range(8):
        targets = dataset.make_example(scan(), COUNT - 1, np.random.default_rng(seed), strength)[3]
        found.append(float(targets[:-1, NAMES.index(name)] @ np.arange(COUNT - 1)))
    return found


def test_the_dome_goes_with_the_organs_and_the_vertebra_stays():
    upright = {"body_scale": (1.0, 1.0)}
    still, sliding = replace(STILL, **upright), replace(SLIDING, **upright)
    assert np.ptp(truths(still, "T12")) < 1.01
    assert np.ptp(truths(sliding, "T12")) < 1.01
    assert np.ptp(truths(still, "Right dome of diaphragm")) < 1.01
    assert 4 < np.ptp(truths(sliding, "Right dome of diaphragm")) <= 2 * OWN.slide_mm / 4 + 1


def test_bones_alone():
    hu = np.full((4, 96, 96), -1024.0, np.float32)
    hu[:, 20:76, 18:78] = np.linspace(-100, 120, 60)
    hu[:, 60:70, 40:50] = 600
    seen = augmentation._skeleton(hu, np.random.default_rng(0))
    assert (seen[:, 60:70, 40:50] == 600).all()
    assert (seen[:, :20] == -1024).all()
    assert len(np.unique(seen[:, 20:50, 18:78])) == 1, "nothing else is told apart"


def test_a_hidden_box_is_in_the_body_alone():
    hu = ramp()[:20]
    seen = augmentation._hidden(hu, np.random.default_rng(3))
    changed = seen != hu
    assert 0 < changed.mean() < 0.2
    assert (hu[changed] > -950).all()


def test_a_seed_gives_the_same_example_again():
    one, again, other = (dataset.make_example(scan(), 20, np.random.default_rng(seed), OWN) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one[0], again[0])
    assert np.abs(one[0] - other[0]).max() > 1
