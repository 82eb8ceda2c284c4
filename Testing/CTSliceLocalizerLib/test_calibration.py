"""What is added to sigma, on made-up scans whose errors are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from CTSliceLocalizerLib import calibration
from CTSliceLocalizerLib.calibration import KNOTS_MM, NONE, Calibration, crosswise, measure
from CTSliceLocalizerLib.landmarks import NAMES
from support_evaluation import BODY, make_case

ARCH = NAMES.index("Aortic arch")


def people(spread_mm: float, count: int = 60, first: int = 0, seed: int = 5, **more: object) -> list:
    """Scans that are off by normal errors and claim a sigma of 2 mm."""
    off = np.random.default_rng(seed).normal(0, spread_mm, count)
    return [make_case(first + number, float(error), sigma_mm=2.0, **more) for number, error in enumerate(off)]


def within_2_sigma(cases: list) -> float:
    return float(np.mean([np.abs(case.off_mm) <= 2 * case.sigma_mm[case.known] for case in cases]))


def test_nine_of_ten_new_patients_are_within_two_sigma():
    found = measure(people(8.0))
    new = people(8.0, count=400, seed=6)
    assert within_2_sigma(new) < 0.45
    assert 0.88 < within_2_sigma([found.of_case(case) for case in new]) < 0.97
    marks = [mark for case in new for mark in found.of_case(case).landmarks if mark.landmark == "Aortic arch"]
    assert 0.88 < np.mean([abs(mark.error_mm) <= 2 * mark.sigma_mm for mark in marks]) < 0.97


def test_a_sigma_that_is_right_stays():
    found = measure(people(1.5))
    assert found.slices_mm.max() < 0.8
    assert found.landmarks_mm[ARCH] < 0.8


def test_parts_of_the_body_differ():
    cases = []
    for case in people(1.0):
        off = np.where(case.true_mm > 470, 20.0, 1.0)
        cases.append(replace(case, found_mm=case.true_mm - off))
    found = measure(cases)
    low, high = np.interp([300.0, 520.0], KNOTS_MM, found.slices_mm)
    assert high > 8.0
    assert low < high / 2


def test_few_patients_prove_little():
    many = people(10.0, family="other")
    sure = [replace(case, landmarks=case.landmarks[:1]) for case in people(0.1, count=2, first=100)]
    assert measure(many + sure).landmarks_mm[ARCH] > 5.0
    assert measure(people(10.0)).landmarks_mm[NAMES.index("Top of head")] > 5.0, "nobody showed it"


def test_a_large_family_does_not_speak_for_all():
    large = people(1.0, count=90, family="hn")
    small = people(12.0, count=10, first=200, family="other")
    calibrated = [measure(large + small).of_case(case) for case in small]
    assert within_2_sigma(calibrated) >= 0.7


def test_folds_are_calibrated_by_the_others():
    wild, tame = people(20.0, count=20), people(0.5, count=20, first=50)
    calibrated = crosswise([wild, tame])
    assert [case.name for case in calibrated] == [case.name for case in wild + tame]
    assert calibrated[0].sigma_mm[0] == pytest.approx(2.0, abs=0.1), "its own errors do not widen it"
    assert calibrated[-1].sigma_mm[0] > 10
    alone = crosswise([wild])
    assert alone[0].sigma_mm[0] == 2.0


def test_the_card_keeps_it():
    found = measure(people(8.0))
    again = Calibration.of_card({"calibration": found.to_card()})
    np.testing.assert_allclose(again.slices_mm, found.slices_mm, atol=0.051)
    np.testing.assert_allclose(again.landmarks_mm, found.landmarks_mm, atol=0.051)
    assert Calibration.of_card({}) is NONE
    np.testing.assert_array_equal(NONE.of_slices(np.full(len(BODY), 3.0), BODY), 3.0)


def test_nothing_known_adds_nothing():
    assert measure([]) is NONE
    assert calibration.measure([replace(make_case(0, 3.0), known=np.zeros(len(BODY), bool))]) is NONE
