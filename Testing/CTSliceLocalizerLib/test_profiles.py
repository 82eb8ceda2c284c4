"""Two scans of one patient laid on each other by the answers for single slices, whatever their curves say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from CTSliceLocalizerLib import profiles
from CTSliceLocalizerLib.landmarks import body_to_location
from CTSliceLocalizerLib.matching import match
from CTSliceLocalizerLib.results import ScanLocation
from support_locations import fake_location

SHIFT_MM = 500.0


def scan(z_mm: np.ndarray, height_mm: np.ndarray, *, curve_mm: float, seed: int, noise_mm: float = 4.0) -> ScanLocation:
    """A scan of the patient: his heights are shown at z, the curve is off as a whole, single slices as he is built.

    Args:
        z_mm: (k,) of the slices.
        height_mm: (k,) of the patient.
        curve_mm: by which the curve is off.
        seed: of what is only this scan's.
        noise_mm: of single slices.
    """
    built = 9 * np.sin(height_mm / 13) + 14 * np.sin(height_mm / 37)  # the same slice errs in the same way
    single = -height_mm + built + np.random.default_rng(seed).normal(0, noise_mm, len(z_mm))
    found = fake_location(z_mm, -height_mm + curve_mm, sigma_mm=6.0)
    return replace(found, raw=body_to_location(single))


def pair(displacement_mm: float = 0.0, noise_mm: float = 4.0) -> tuple[ScanLocation, ScanLocation]:
    """The lower and the upper part of a patient, their curves 24 mm apart; 150 mm are shared."""
    low, high = np.arange(-600.0, -299.0, 3.0), np.arange(-450.0, -149.0, 4.0)
    one = scan(low, low, curve_mm=10.0, seed=1, noise_mm=noise_mm)
    moved = high + displacement_mm * np.sin(high / 50)
    return one, scan(high + SHIFT_MM, moved, curve_mm=-14.0, seed=2, noise_mm=noise_mm)


def errors(displacement_mm: float = 0.0, noise_mm: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    found = match(*pair(displacement_mm, noise_mm))
    shown = [one for one in found.pairs if one.covered and one.baseline_z_mm > -445]
    heights = np.arange(-700.0, 0.0, 0.5)
    true = [np.interp(one.baseline_z_mm, heights + displacement_mm * np.sin(heights / 50), heights) for one in shown]
    off = np.array([one.followup_z_mm for one in shown]) - SHIFT_MM - true
    return off, np.array([one.sigma_mm for one in shown])


def test_curves_that_are_apart_are_brought_together() -> None:
    off, sigma = errors()
    assert np.abs(off).max() < 4
    assert np.mean(np.abs(off) < 2 * sigma) > 0.9


def test_pieces_follow_a_displacement() -> None:
    off, _ = errors(displacement_mm=6.0)
    assert np.median(np.abs(off)) < 3
    assert np.abs(off).max() < 8


def test_answers_that_say_nothing_change_little() -> None:
    one, two = pair(noise_mm=80.0)
    places = one.z_mm + SHIFT_MM
    moved, sigma = profiles.offset(one, two, places, np.full(len(places), 5.0))
    assert np.abs(moved).max() < 12
    assert sigma.min() > 5


def test_what_is_hardly_shared_stays() -> None:
    one, _ = pair()
    z_mm = np.arange(-330.0, -100.0, 4.0)
    two = scan(z_mm + SHIFT_MM, z_mm, curve_mm=0.0, seed=3)
    claimed = np.full(len(one.z_mm), 7.0)
    moved, sigma = profiles.offset(one, two, one.z_mm + SHIFT_MM, claimed)
    assert not moved.any()
    assert sigma is claimed


def test_upside_down_scans_are_compared_the_same_way() -> None:
    one, two = pair()
    turned = replace(
        two, z_mm=-two.z_mm[::-1], body_mm=two.body_mm[::-1], raw=two.raw[::-1], sigma_mm=two.sigma_mm[::-1],
        landmarks=tuple(replace(mark, z_mm=None if mark.z_mm is None else -mark.z_mm) for mark in two.landmarks),
    )  # fmt: skip
    plain, other = match(one, two), match(one, turned)
    assert "opposite_directions" in {flag.code for flag in other.flags}
    for a, b in zip(plain.pairs, other.pairs):
        assert a.covered == b.covered
        if a.covered:
            assert a.followup_z_mm == pytest.approx(-b.followup_z_mm, abs=0.01)
