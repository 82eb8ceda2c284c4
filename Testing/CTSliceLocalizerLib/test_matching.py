from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from CTSliceLocalizerLib.landmarks import LANDMARKS
from CTSliceLocalizerLib.matching import increasing, match
from CTSliceLocalizerLib.results import Flag, refusal
from CTVolumeLib.errors import CTError
from support_locations import fake_location, location_from_landmarks

BASELINE_Z = np.arange(-600.0, -299.0, 3.0)


def smooth_error(rng, z_mm, sigma_mm, length_mm=60.0):
    """An error along the scan that neighbours share, as that of a located scan."""
    covariance = np.exp(-0.5 * ((z_mm[:, None] - z_mm) / length_mm) ** 2) + 1e-6 * np.eye(len(z_mm))
    return sigma_mm * np.linalg.cholesky(covariance) @ rng.normal(size=len(z_mm))


def followup_of(true, z_mm, *, error=0.0, sigma_mm=8.0):
    """The located follow-up at heights z_mm where baseline height z lies at true(z); the top of the head was at 0."""
    grid = np.arange(-900.0, 100.0, 0.5)
    body = -np.interp(z_mm, true(grid), grid) + error
    return fake_location(z_mm, -np.sort(-body), sigma_mm=sigma_mm)


@pytest.fixture
def baseline():
    return fake_location(BASELINE_Z)


def errors_of(found, true):
    return np.array([pair.followup_z_mm - true(pair.baseline_z_mm) for pair in found.pairs if pair.covered])


class TestMap:
    def test_exact_curves_give_the_exact_shift(self, baseline):
        def true(z):
            return z + 812.5

        found = match(baseline, followup_of(true, np.arange(180.0, 520.0, 4.0)))
        assert len(found.pairs) == len(BASELINE_Z)
        assert all(pair.covered for pair in found.pairs)
        assert np.abs(errors_of(found, true)).max() < 0.5
        assert not found.flags

    def test_follows_a_smooth_displacement(self, baseline):
        def true(z):
            return z + 100 + 8 * np.sin(z / 60)

        found = match(baseline, followup_of(true, np.arange(-520.0, -180.0, 4.0), sigma_mm=2.0))
        error = np.abs(errors_of(found, true))
        assert np.median(error) < 3
        assert error.max() < 6

    def test_says_so_where_the_slices_may_be_off_by_centimetres(self, baseline):
        rough, fine = (
            match(baseline, followup_of(lambda z: z, BASELINE_Z, sigma_mm=sigma_mm)) for sigma_mm in (40.0, 8.0)
        )
        assert [flag.code for flag in rough.flags] == ["uncertain_match"]
        assert not fine.flags
        sigma_mm = np.full(len(BASELINE_Z), 2.0)
        assert not rough.with_line(replace(rough.line, sigma_mm=sigma_mm)).flags
        sigma_mm[:8] = 9.0
        partly = rough.with_line(replace(rough.line, sigma_mm=sigma_mm)).flags
        assert [flag.text for flag in partly] == [
            "Some of the matched slices may be off by 18 mm; compare them by eye."
        ]

    def test_averages_errors_that_change_along_the_scan(self):
        """The whole overlap is fitted: much better than taking the slice with the same body coordinate."""
        rng = np.random.default_rng(2)
        ours, single = [], []
        for _ in range(20):
            z_2 = np.arange(-560.0, -250.0, 4.0) + 400
            one = fake_location(BASELINE_Z, -np.sort(BASELINE_Z - smooth_error(rng, BASELINE_Z, 8, 20)))
            two = followup_of(lambda z: z + 400, z_2, error=smooth_error(rng, z_2, 8, 20))
            found = match(one, two)
            covered = np.array([pair.covered for pair in found.pairs])
            ours.append(errors_of(found, lambda z: z + 400))
            nearest = np.interp(one.body_mm[covered], two.body_mm[::-1], two.z_mm[::-1])
            single.append(nearest - one.z_mm[covered] - 400)
        ours, single = np.concatenate(ours), np.concatenate(single)
        assert np.sqrt(np.mean(ours**2)) < 0.75 * np.sqrt(np.mean(single**2))

    def test_sigma_is_about_the_true_error(self):
        """Half of the error is shared by the two curves, as for one network on one patient."""
        rng = np.random.default_rng(5)
        ratios = []
        for _ in range(40):
            z_2 = np.arange(-560.0, -250.0, 4.0)
            shared, own_1, own_2 = (smooth_error(rng, BASELINE_Z, 8 * np.sqrt(0.5)) for _ in range(3))
            one = fake_location(BASELINE_Z, -np.sort(BASELINE_Z - shared - own_1))
            two = followup_of(lambda z: z, z_2, error=np.interp(z_2, BASELINE_Z, shared + own_2))
            found = match(one, two)
            sigma = np.array([pair.sigma_mm for pair in found.pairs if pair.covered])
            ratios.append(errors_of(found, lambda z: z) / sigma)
        assert 0.6 < np.sqrt(np.mean(np.concatenate(ratios) ** 2)) < 1.5

    def test_one_wild_landmark_does_not_pull_the_match(self, baseline):
        followup = followup_of(lambda z: z + 50, np.arange(-550.0, -250.0, 4.0))
        wild = tuple(
            replace(mark, z_mm=mark.z_mm + 150) if mark.name == "Aortic arch" else mark for mark in followup.landmarks
        )
        found = match(baseline, replace(followup, landmarks=wild))
        assert np.abs(errors_of(found, lambda z: z + 50)).max() < 4

    def test_never_turns_back(self):
        rng = np.random.default_rng(1)
        z_2 = np.arange(-500.0, -350.0, 5.0)
        for _ in range(10):
            one = fake_location(BASELINE_Z, -np.sort(BASELINE_Z - smooth_error(rng, BASELINE_Z, 25, 30)))
            two = followup_of(lambda z: z, z_2, error=smooth_error(rng, z_2, 25, 30))
            matched = match(one, two).line.followup_z_mm
            assert np.all(np.diff(matched) > 0)

    def test_sigma_grows_beyond_the_shared_part(self, baseline):
        found = match(baseline, followup_of(lambda z: z, np.arange(-600.0, -499.0, 4.0)))
        sigma = found.line.sigma_mm
        assert sigma[-1] > 1.5 * sigma[10]
        assert np.all(np.diff(sigma[40:]) > -0.2), "it hardly falls again"

    def test_sigma_is_never_below_half_a_slice(self, baseline):
        found = match(baseline, followup_of(lambda z: z, np.arange(-600.0, -300.0, 10.0), sigma_mm=0.1))
        assert min(pair.sigma_mm for pair in found.pairs if pair.covered) > 10 / 2 / np.sqrt(3) - 1e-9

    def test_scan_that_is_upside_down_is_matched_and_flagged(self, baseline):
        z_2 = np.arange(0.0, 301.0, 5.0)
        upside_down = fake_location(z_2, 320.0 + z_2, index=np.arange(len(z_2)))
        # fake_location reads the heights of landmarks from a falling curve; here it rises.
        upside_down = replace(
            upside_down,
            landmarks=tuple(
                replace(mark, z_mm=known.body_mm - 320.0 if mark.inside else None)
                for mark, known in zip(upside_down.landmarks, LANDMARKS)
            ),
        )
        found = match(baseline, upside_down)
        assert [flag.code for flag in found.flags] == ["opposite_directions"]
        middle = found.at([-500.0]).pairs[0]
        assert middle.followup_z_mm == pytest.approx(180.0, abs=1.0)
        assert middle.followup_index == 36

    def test_increasing_leaves_an_increasing_map_alone(self):
        z_mm = np.linspace(0, 100, 21)
        np.testing.assert_allclose(increasing(z_mm, z_mm + 3 * np.sin(z_mm / 20)), z_mm + 3 * np.sin(z_mm / 20))


class TestCoverage:
    def test_follow_up_that_ends_earlier_leaves_slices_uncovered(self, baseline):
        z_2 = np.arange(-500.0, -399.0, 5.0)
        found = match(baseline, followup_of(lambda z: z, z_2))
        covered = [pair.baseline_z_mm for pair in found.pairs if pair.covered]
        assert min(covered) == pytest.approx(-502.5, abs=4)
        assert max(covered) == pytest.approx(-397.5, abs=4)
        for pair in found.pairs:
            if not pair.covered:
                assert (pair.followup_index, pair.followup_z_mm, pair.sigma_mm) == (None, None, None)
            else:
                assert abs(z_2[pair.followup_index] - pair.followup_z_mm) <= 2.5 + 1e-6

    def test_no_overlap_is_said(self, baseline):
        found = match(baseline, fake_location(np.arange(0.0, 100.0, 5.0), top_mm=150.0))
        assert [flag.code for flag in found.flags] == ["no_overlap"]
        assert len(found.pairs) == len(BASELINE_Z)
        assert not any(pair.covered for pair in found.pairs)
        assert len(found.at([-500.0, -400.0]).pairs) == 2

    def test_little_overlap_is_flagged(self, baseline):
        found = match(baseline, followup_of(lambda z: z, np.arange(-320.0, -200.0, 4.0)))
        assert "little_overlap" in [flag.code for flag in found.flags]

    @pytest.mark.parametrize("slices", [1, 2])
    def test_few_slices_are_matched_too(self, baseline, slices):
        found = match(fake_location(np.arange(slices) * 5.0 - 450.0), baseline)
        assert found.pairs[0].followup_z_mm == pytest.approx(-450.0, abs=1.5)
        back = match(baseline, fake_location(np.arange(slices) * 5.0 - 450.0))
        nearest = min(back.pairs, key=lambda pair: abs(pair.baseline_z_mm + 450))
        assert nearest.covered

    def test_index_is_that_of_the_stored_slice(self):
        z_2 = np.arange(-500.0, -400.0, 5.0)
        one = fake_location(BASELINE_Z, index=np.arange(len(BASELINE_Z))[::-1])
        two = replace(followup_of(lambda z: z, z_2), index=np.arange(len(z_2))[::-1])
        pair = match(one, two, at=[-450.0]).pairs[0]
        assert pair.baseline_index == len(BASELINE_Z) - 1 - 50
        assert pair.followup_index == len(z_2) - 1 - 10


class TestAt:
    def test_heights_between_slices_are_continuous(self, baseline):
        found = match(baseline, followup_of(lambda z: z + 10, np.arange(-590.0, -290.0, 4.0)), at=[-450.0, -448.7])
        assert [pair.baseline_z_mm for pair in found.pairs] == [-450.0, -448.7]
        assert found.pairs[1].followup_z_mm - found.pairs[0].followup_z_mm == pytest.approx(1.3, abs=0.2)

    @pytest.mark.parametrize("height", [-650.0, -250.0, float("nan")])
    def test_heights_outside_the_baseline_are_an_error_that_names_the_range(self, baseline, height):
        with pytest.raises(CTError, match=r"-600\.0 and -300\.0") as problem:
            match(baseline, baseline, at=[height])
        assert problem.value.code == "outside_baseline"


class TestFlags:
    @pytest.mark.parametrize("scale", [0.85, 1.15])
    def test_wrong_slice_spacing_is_flagged_and_followed(self, baseline, scale):
        found = match(baseline, followup_of(lambda z: scale * z, np.arange(-640.0, -280.0, 4.0), sigma_mm=5.0))
        assert "scale_differs" in [flag.code for flag in found.flags]
        assert np.abs(errors_of(found, lambda z: scale * z)).max() < 6

    def test_same_scale_is_not_flagged(self, baseline):
        found = match(baseline, followup_of(lambda z: 1.02 * z, np.arange(-590.0, -310.0, 4.0), sigma_mm=5.0))
        assert not found.flags

    def test_refused_scan_refuses_the_match(self, baseline, tmp_path):
        refused = refusal(Flag("not_ct", "The series is MR, not CT."), series={})
        for found, code in (
            (match(refused, baseline), "baseline_refused"),
            (match(baseline, refused), "followup_refused"),
        ):
            assert found.refused.code == code
            assert "MR" in found.refused.text
            assert found.pairs == ()
            found.at([1.0]).write(tmp_path / "match.json")
            assert json.loads((tmp_path / "match.json").read_text(encoding="utf-8"))["refused"]["code"] == code


def test_file_has_the_agreed_keys(baseline, tmp_path):
    match(baseline, followup_of(lambda z: z, np.arange(-500.0, -400.0, 5.0))).write(tmp_path / "match.json")
    content = json.loads((tmp_path / "match.json").read_text(encoding="utf-8"))
    assert content["schema"] == "ct-match/1"
    assert content["refused"] is None
    assert content["flags"] == []
    assert len(content["pairs"]) == len(BASELINE_Z)
    for pair in content["pairs"]:
        assert set(pair) == {
            "baseline_index", "baseline_z_mm", "followup_index", "followup_z_mm", "sigma_mm", "covered", "method"
        }  # fmt: skip


@pytest.mark.realct
def test_landmarks_of_one_person_in_two_studies_agree(ct_data):
    """wb01 and ch16 are one person; both show the arch and the carina, read by eye to some 3 mm each."""
    known: dict[str, dict[str, float]] = {}
    with (ct_data / "landmarks.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            known.setdefault(row["id"], {})[row["landmark"]] = float(row["z_mm"])
    one = location_from_landmarks(np.arange(-375.0, 42.0, 4.25), known["wb01"])
    two = location_from_landmarks(np.arange(-213.0, -68.0, 4.25), known["ch16"])
    found = match(one, two, at=[known["wb01"][name] for name in ("Aortic arch", "Bifurcation of trachea")])
    for pair, name in zip(found.pairs, ("Aortic arch", "Bifurcation of trachea")):
        assert pair.followup_z_mm == pytest.approx(known["ch16"][name], abs=8)
