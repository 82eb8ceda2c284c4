"""Scans whose values were cut off to a window."""

from __future__ import annotations

import numpy as np
import pytest
import support_headrests
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume
from HeadrestRemovalLib import equipment, evaluation, remove, window
from HeadrestRemovalLib.results import UNCERTAIN


@pytest.fixture(scope="module")
def case():
    return support_headrests.case("gap 2 mm", 0, seed=902)


def cut_off(volume, low, high=2000, dtype=np.int16):
    return volume.with_array(np.clip(volume.array, low, high).astype(dtype))


@pytest.mark.parametrize("method", ["clustering", "both"])
@pytest.mark.parametrize(("low", "dtype"), [(-950, np.int16), (-900, np.float32)])
def test_equipment_is_found_and_it_is_said_what_is_missing(case, low, dtype, method):
    """All of it used to stay, and the picture was said to cut the patient."""
    volume = cut_off(case.volume, low, dtype=dtype)
    result = equipment.find(volume, method)
    row = evaluation.compare(case, method, result.labels)
    assert row.left_seen_percent < 1
    assert row.lost_ml == 0
    assert [(code, f"{low} HU" in text) for code, text in result.warnings] == [(UNCERTAIN, True)]


def test_what_is_removed_becomes_what_the_scan_has_for_air(case):
    volume = cut_off(case.volume, -900)
    labels = equipment.find(volume, "clustering").labels
    assert remove.fill_value(volume, labels, "air") == -900


@pytest.mark.parametrize("method", ["clustering", "network"])
def test_where_lungs_were_cut_off_it_is_refused(case, method):
    with pytest.raises(CTError, match="below -200 HU were cut off") as error:
        equipment.find(cut_off(case.volume, -200, 300), method)
    assert error.value.code == "not_ct"
    assert "original" in error.value.hint


def test_a_whole_scan_stays_as_it_is(case):
    assert window.with_air(case.volume) is case.volume


def test_a_picture_within_the_patient_was_not_cut_off():
    """It holds no air, but its lowest value is hardly ever the same."""
    hu = np.random.default_rng(0).normal(40, 12, (20, 80, 80)).astype(np.int16)
    hu[:, :20] -= 140
    assert window.floor_hu(CTVolume(hu, (1.0, 1.0, 3.0))) is None


def test_a_slice_of_the_same_value_all_over_is_none():
    assert window.floor_hu(CTVolume(np.full((4, 8, 8), -1000, np.int16))) is None
