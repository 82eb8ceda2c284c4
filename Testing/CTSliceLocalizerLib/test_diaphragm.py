"""The dome of the diaphragm, measured on made-up chests."""

from __future__ import annotations

import numpy as np
import pytest
from CTSliceLocalizerLib import diaphragm
from CTSliceLocalizerLib.curve import Estimates, Sequence
from CTSliceLocalizerLib.landmarks import NAMES

DOME = NAMES.index("Right dome of diaphragm")
CELLS = 60
TOP = 24.0


def chest() -> np.ndarray:
    """Lungs of 40 cells that end on a dome each, the right one higher; a heart between them; (60, 96, 96) HU."""
    k, y, x = np.mgrid[:CELLS, :96, :96]
    hu = np.where((y - 48) ** 2 / 30**2 + (x - 48) ** 2 / 40**2 < 1, 40.0, -1024.0)
    for middle, top in ((28, TOP), (68, TOP - 4)):
        within = (y - 48) ** 2 / 22**2 + (x - middle) ** 2 / 14**2
        surface = top - 12 * np.clip(within, 0, 1)
        hu[(within < 1) & (k >= surface) & (k < 55)] = -850
    hu[(np.abs(x - 48) < 12) & (k < 40) & (hu > -1000)] = 40
    return hu


def test_the_dome_is_where_the_right_lung_ends_highest():
    assert diaphragm.dome(chest()) == pytest.approx(TOP, abs=1.0)


def test_vessels_and_noise_do_not_matter():
    hu = chest() + np.random.default_rng(0).normal(0, 60, (CELLS, 96, 96)) * (chest() > -1000)
    hu[:, 40:43, 24:27] = 50
    assert diaphragm.dome(hu) == pytest.approx(TOP, abs=1.5)


def test_where_the_base_is_not_in_the_scan_there_is_none():
    assert diaphragm.dome(chest()[30:]) is None
    assert diaphragm.dome(np.full((20, 96, 96), 40.0)) is None
    assert diaphragm.dome(np.full((20, 96, 96), -1024.0)) is None


def test_a_base_alone_is_enough():
    assert diaphragm.dome(chest()[:34]) == pytest.approx(TOP, abs=1.0)


def said(cells: int = CELLS) -> Estimates:
    nothing = Sequence(np.zeros((cells, 92)), np.full((cells, 12), -4.0))
    return Estimates(4.0 * np.arange(cells), np.ones(cells, bool), np.zeros((cells, 92)), np.zeros((cells, 2)),
                     nothing, nothing)  # fmt: skip


def test_the_answer_says_so():
    found = diaphragm.measured(said(), chest())
    assert found.upright.landmarks[:, DOME].argmax() == round(TOP)
    others = np.arange(12) != DOME
    np.testing.assert_array_equal(found.upright.landmarks[:, others], said().upright.landmarks[:, others])


def test_upside_down_the_other_reading_says_so():
    found = diaphragm.measured(said(), chest()[::-1])
    assert found.reversed.landmarks[:, DOME].argmax() == CELLS - 1 - round(TOP)


def test_networks_that_are_sure_are_not_overruled():
    sure = said()
    sure.upright.landmarks[40, DOME] = 10.0
    assert diaphragm.measured(sure, chest()).upright.landmarks[:, DOME].argmax() == 40
