"""A match read at any height, both ways."""

from __future__ import annotations

import numpy as np
import pytest
from CTSliceLocalizerLib.matching import Line, Match
from CTSliceLocalizerLib.places import PlaceMap
from CTSliceLocalizerLib.results import Flag
from CTVolumeLib.errors import CTError
from hypothesis import given
from hypothesis import strategies as st

Z = np.arange(-100.0, 101.0, 2.0)


def wavy(z):
    return z + 300.0 + 6.0 * np.sin(z / 40.0)


def make_map(offset_mm: float = 0.0, turned: bool = False) -> PlaceMap:
    followup = -wavy(Z) if turned else wavy(Z)
    slices = np.arange(220.0, 381.0, 4.0)
    line = Line(
        baseline_z_mm=Z,
        baseline_index=np.arange(len(Z)),
        followup_z_mm=followup,
        sigma_mm=np.linspace(3.0, 9.0, len(Z)),
        registered=Z < 0,
        slices_z_mm=-slices[::-1] if turned else slices,
        slices_index=np.arange(len(slices)),
    )
    return PlaceMap(Match((), line=line), offset_mm)


@pytest.mark.parametrize("turned", [False, True])
@given(z=st.floats(-140, 140), offset=st.floats(-50, 50))
def test_there_and_back(turned, z, offset):
    places = make_map(offset, turned)
    there = places.to_followup(z)
    assert places.to_baseline(there.z_mm).z_mm == pytest.approx(z, abs=1e-6)


def test_heights_between_slices_and_the_correction():
    assert make_map().to_followup(-31.0).z_mm == pytest.approx(wavy(-31.0), abs=0.05)
    assert make_map(5.0).to_followup(-31.0).z_mm == pytest.approx(wavy(-31.0) + 5.0, abs=0.05)
    assert make_map(5.0).to_baseline(wavy(-31.0) + 5.0).z_mm == pytest.approx(-31.0, abs=0.05)


def test_what_is_covered():
    places = make_map()
    assert places.to_followup(0.0).covered
    assert places.to_followup(0.0).beyond_mm == 0
    low = places.to_followup(-95.0)
    assert not low.covered
    assert low.inside
    assert low.beyond_mm == pytest.approx(218.0 - wavy(-95.0), abs=0.1)
    assert not places.to_followup(-140.0).inside
    assert not make_map(200.0).to_followup(0.0).covered
    assert places.to_baseline(300.0).covered
    assert not places.to_baseline(500.0).inside


def test_sigma_and_what_confirmed_it():
    places = make_map()
    assert places.to_followup(-100.0).sigma_mm == pytest.approx(3.0)
    assert places.to_followup(50.0).sigma_mm == pytest.approx(7.5)
    assert places.to_followup(-20.0).registered
    assert not places.to_followup(20.0).registered
    assert places.to_baseline(wavy(-20.0)).registered


def test_the_middle_is_where_both_are():
    places = make_map()
    assert places.to_followup(places.middle_mm()).covered
    assert places.middle_mm() == pytest.approx(0.0, abs=8.0)
    assert -101 <= make_map(900.0).middle_mm() <= 101


def test_no_match_no_map():
    with pytest.raises(CTError, match="no CT"):
        PlaceMap(Match((), refused=Flag("not_ct", "no CT")))
    with pytest.raises(CTError, match="20 mm apart"):
        PlaceMap(Match((), flags=(Flag("no_overlap", "They are 20 mm apart."),)))
