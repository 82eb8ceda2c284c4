"""Two scans of one patient laid on each other by what is seen in single slices, whatever their curves say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from CTSliceLocalizerLib import profiles
from CTSliceLocalizerLib.landmarks import body_to_location
from CTSliceLocalizerLib.matching import match
from CTSliceLocalizerLib.results import Appearance, ScanLocation
from scipy.ndimage import gaussian_filter1d
from support_locations import fake_location

SHIFT_MM = 500.0
HEIGHTS_MM = np.arange(-800.0, 101.0, 2.0)
LOOKS = gaussian_filter1d(np.random.default_rng(0).normal(size=(len(HEIGHTS_MM), 40)), 6.0, axis=0)
"""(heights, 40) features of the patient, which change within about 12 mm."""


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


def with_looks(scan: ScanLocation, heights_mm: np.ndarray, seed: int) -> ScanLocation:
    """The same scan with features of its cells of 4 mm, noise among them.

    Args:
        scan: from ``scan``.
        heights_mm: (k,) of the patient, of its slices.
        seed: of the noise.
    """
    cells = np.arange(scan.z_mm[0], scan.z_mm[-1] + 1e-6, 4.0)
    at = np.interp(cells, scan.z_mm, heights_mm)
    seen = np.stack([np.interp(at, HEIGHTS_MM, look) for look in LOOKS.T], axis=1) / LOOKS.std()
    seen += np.random.default_rng(seed).normal(0, 0.4, seen.shape)
    return replace(scan, appearance=Appearance.of(cells, seen - seen.min()))


def pair(displacement_mm: float = 0.0, noise_mm: float = 4.0, *, looks: bool = False) -> tuple[ScanLocation, ...]:
    """The lower and the upper part of a patient, their curves 24 mm apart; 150 mm are shared."""
    low, high = np.arange(-600.0, -299.0, 3.0), np.arange(-450.0, -149.0, 4.0)
    one = scan(low, low, curve_mm=10.0, seed=1, noise_mm=noise_mm)
    moved = high + displacement_mm * np.sin(high / 50)
    two = scan(high + SHIFT_MM, moved, curve_mm=-14.0, seed=2, noise_mm=noise_mm)
    return (with_looks(one, low, 3), with_looks(two, moved, 4)) if looks else (one, two)


def errors(displacement_mm: float, *scans: ScanLocation) -> tuple[np.ndarray, np.ndarray]:
    found = match(*scans)
    shown = [one for one in found.pairs if one.covered and one.baseline_z_mm > -445]
    heights = np.arange(-700.0, 0.0, 0.5)
    true = [np.interp(one.baseline_z_mm, heights + displacement_mm * np.sin(heights / 50), heights) for one in shown]
    off = np.array([one.followup_z_mm for one in shown]) - SHIFT_MM - true
    return off, np.array([one.sigma_mm for one in shown])


def test_curves_that_are_apart_are_brought_together() -> None:
    off, sigma = errors(0.0, *pair())
    assert np.abs(off).max() < 5
    assert np.mean(np.abs(off) < 2 * sigma) > 0.9


def test_features_follow_a_displacement() -> None:
    plain, _ = errors(6.0, *pair(6.0))
    off, sigma = errors(6.0, *pair(6.0, looks=True))
    assert np.median(np.abs(off)) < 0.5 * np.median(np.abs(plain))
    assert np.abs(off).max() < 4
    assert np.mean(np.abs(off) < 2 * sigma) > 0.9


def test_features_of_nothing_shared_return_to_the_curves() -> None:
    one, two = pair(looks=True)
    rng = np.random.default_rng(5)
    foreign = replace(two, appearance=Appearance.of(two.appearance.z_mm, rng.random((len(two.appearance.z_mm), 40))))
    off, sigma = errors(0.0, one, foreign)
    assert np.median(np.abs(off)) < 6
    assert np.mean(np.abs(off) < 2 * sigma) > 0.9


def test_features_of_another_model_are_not_compared() -> None:
    one, two = pair(8.0, looks=True)
    other = replace(two, model={"name": "other", "sha256": "1" * 64})
    bare = [replace(scan, appearance=None) for scan in (one, two)]
    assert match(one, other).to_json() == match(*bare).to_json() != match(one, two).to_json()


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
    one, two = pair(8.0, looks=True)
    turned = replace(
        two, z_mm=-two.z_mm[::-1], body_mm=two.body_mm[::-1], raw=two.raw[::-1], sigma_mm=two.sigma_mm[::-1],
        landmarks=tuple(replace(mark, z_mm=None if mark.z_mm is None else -mark.z_mm) for mark in two.landmarks),
        appearance=Appearance(-two.appearance.z_mm[::-1], two.appearance.features[::-1]),
    )  # fmt: skip
    plain, other = match(one, two), match(one, turned)
    assert "opposite_directions" in {flag.code for flag in other.flags}
    for a, b in zip(plain.pairs, other.pairs):
        assert a.covered == b.covered
        if a.covered:
            assert a.followup_z_mm == pytest.approx(-b.followup_z_mm, abs=0.01)
