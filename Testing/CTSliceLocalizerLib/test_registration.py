from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from CTSliceLocalizerLib import registration
from CTSliceLocalizerLib.matching import Match, match
from CTSliceLocalizerLib.registration import refine
from CTVolumeLib import dicom
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume
from make_samples import CHANGES, KNOWN
from support_followup import KnownMap, make_followup
from support_locations import fake_location

SAMPLE = Path(__file__).resolve().parents[2] / "CTVolume" / "Resources" / "SampleData" / "CTChestSample.nii.gz"
TOP_MM = 300.0


@pytest.fixture(scope="module")
def sample() -> CTVolume:
    volume = dicom.read(SAMPLE).as_axial()
    return replace(
        volume, array=volume.array[:, ::2, ::2], spacing=(*(2 * np.array(volume.spacing[:2])), volume.spacing[2])
    )


def off_by(error, baseline: CTVolume, followup: CTVolume, known: KnownMap) -> Match:
    """A match whose curves are wrong by error(z) mm."""
    z_1, z_2 = baseline.superior(), followup.superior()
    back = known.baseline(z_2)
    located_1 = fake_location(z_1, TOP_MM - z_1, sigma_mm=12.0)
    located_2 = fake_location(z_2, -np.sort(-(TOP_MM - back + error(back))), sigma_mm=12.0)
    return match(located_1, located_2)


def errors(found: Match, known: KnownMap, method: str = "") -> np.ndarray:
    pairs = [pair for pair in found.pairs if pair.covered and pair.method.startswith(method)]
    return np.array([abs(pair.followup_z_mm - known.followup(pair.baseline_z_mm)) for pair in pairs])


MOVED = {
    **{name: CHANGES[name] for name in ("baseline_range_mm", "slice_mm")},
    "shift_in_plane_mm": (12.0, -9.0),
    "rotation_deg": 4.0,
    "scale": 0.97,
    "noise_hu": 25.0,
}


@pytest.mark.parametrize("wrong_by", [-25.0, 18.0])
def test_finds_a_known_map_from_a_curve_that_is_off(sample, wrong_by):
    followup = make_followup(sample, KNOWN, **MOVED)
    before = off_by(lambda z: wrong_by + 5 * np.sin(z / 50), sample, followup, KNOWN)
    after = refine(before, sample, followup)
    assert np.median(errors(before, KNOWN)) > 10
    assert np.median(errors(after, KNOWN, "registered")) < 1.5
    assert errors(after, KNOWN, "registered").max() < 8
    covered = [pair for pair in after.pairs if pair.covered]
    assert np.mean([pair.method == "registered" for pair in covered]) > 0.9
    assert np.all(np.diff(after.line.followup_z_mm) > 0)
    sigma = np.array([pair.sigma_mm for pair in covered])
    assert np.sqrt(np.mean((errors(after, KNOWN) / sigma) ** 2)) < 1.2


def test_the_images_correct_a_false_warning_about_the_scale(sample):
    followup = make_followup(sample, KNOWN, **MOVED)
    before = off_by(lambda z: 0.12 * (z + 100), sample, followup, KNOWN).with_scale(1.12, 300.0)
    assert [flag.code for flag in before.flags] == ["scale_differs"]
    after = refine(before, sample, followup)
    assert not after.flags
    assert np.median(errors(after, KNOWN, "registered")) < 1.5


def test_a_wrong_slice_spacing_is_found_by_the_images(sample):
    """The header of the follow-up says 12 % too much, and the curves don't tell."""
    known = KnownMap(shift_mm=412.0)
    followup = make_followup(sample, known, **MOVED)
    z_2 = followup.superior()
    stretched = replace(followup, spacing=(*followup.spacing[:2], 1.12 * followup.spacing[2]))
    before = off_by(lambda z: 0 * z, sample, followup, known)
    line = replace(before.line, slices_z_mm=stretched.superior())
    after = refine(replace(before, line=line), sample, stretched)
    assert [flag.code for flag in after.flags] == ["scale_differs"]
    assert "1.1" in after.flags[0].text
    right = z_2[0] + 1.12 * (known.followup(-100.0) - z_2[0])
    assert after.at([-100.0]).pairs[0].followup_z_mm == pytest.approx(right, abs=3)


def test_volumes_may_be_stored_in_any_orientation(sample):
    followup = make_followup(sample, KNOWN, **MOVED)
    upside_down = replace(
        followup,
        array=followup.array[::-1],
        origin=(*followup.origin[:2], followup.superior()[-1]),
        direction=(1, 0, 0, 0, 1, 0, 0, 0, -1),
    )
    before = off_by(lambda z: 15.0 + 0 * z, sample, followup, KNOWN)
    plain, turned = refine(before, sample, followup), refine(before, sample, upside_down)
    np.testing.assert_allclose(turned.line.followup_z_mm, plain.line.followup_z_mm, atol=1e-6)


def test_pixel_size_does_not_matter(sample):
    fine = dicom.read(SAMPLE).as_axial()
    followup = make_followup(sample, KNOWN, **MOVED)
    after = refine(off_by(lambda z: 15.0 + 0 * z, fine, followup, KNOWN), fine, followup)
    assert np.median(errors(after, KNOWN, "registered")) < 1.5


def test_keeps_the_heights_that_were_asked_for(sample):
    followup = make_followup(sample, KNOWN, **MOVED)
    before = off_by(lambda z: 15.0 + 0 * z, sample, followup, KNOWN).at([-100.0, -250.0])
    after = refine(before, sample, followup)
    assert [pair.baseline_z_mm for pair in after.pairs] == [-100.0, -250.0]
    assert after.pairs[0].method == "registered"
    assert abs(after.pairs[0].followup_z_mm - KNOWN.followup(-100.0)) < 3
    assert not after.pairs[1].covered


def stays(before, after):
    """The map is that of the curves, and where anything is matched the user is told that no image confirms it."""
    assert after.line is before.line
    assert after.pairs == before.pairs
    told = ["not_confirmed"] if any(pair.covered for pair in before.pairs) else []
    assert [flag.code for flag in after.flags] == [*(flag.code for flag in before.flags), *told]


def test_stays_with_the_curve_where_the_images_show_something_else(sample):
    """The curves lead 130 mm astray, beyond what is searched: nothing there looks alike enough."""
    followup = make_followup(sample, KNOWN, **MOVED)
    before = off_by(lambda z: 130.0 + 0 * z, sample, followup, KNOWN)
    stays(before, refine(before, sample, followup))


def test_stays_with_the_curve_in_noise(sample):
    noise = np.random.default_rng(0).normal(0, 200, (60, 90, 90)).astype(np.float32)
    followup = CTVolume(noise, spacing=(5.0, 5.0, 4.0), origin=(0.0, 0.0, 180.0))
    before = off_by(lambda z: 0 * z, sample, followup, KNOWN)
    stays(before, refine(before, sample, followup))


def test_a_uniform_body_confirms_nothing():
    rows, columns = np.mgrid[:80, :80]
    tube = np.where((rows - 40) ** 2 + (columns - 40) ** 2 < 900, 40, -1000).astype(np.int16)
    volume = CTVolume(np.repeat(tube[None], 60, axis=0), spacing=(5.0, 5.0, 4.0), origin=(0.0, 0.0, -200.0))
    known = KnownMap(shift_mm=50.0)
    followup = make_followup(volume, known, noise_hu=10.0)
    before = off_by(lambda z: 10 + 0 * z, volume, followup, known)
    stays(before, refine(before, volume, followup))


@pytest.mark.parametrize("slices", [1, 3])
def test_too_few_slices_stay_with_the_curve(sample, slices):
    few = sample.crop(k=slice(50, 50 + slices))
    located = fake_location(sample.superior(), top_mm=TOP_MM)
    before = match(located, fake_location(few.superior(), top_mm=TOP_MM))
    stays(before, refine(before, sample, few))
    back = match(fake_location(few.superior(), top_mm=TOP_MM), located)
    stays(back, refine(back, few, sample))


def test_can_be_cancelled(sample):
    located = fake_location(sample.superior(), top_mm=TOP_MM)
    with pytest.raises(CTError) as problem:
        refine(match(located, located), sample, sample, progress=lambda done, total, text: done < 1)
    assert problem.value.code == "cancelled"


def test_work_does_not_grow_with_the_slices_beyond_its_grid(sample, monkeypatch):
    """1 mm slices: only those that the grid of pictures needs are looked at."""
    thin = make_followup(sample, KnownMap(), slice_mm=1.0)
    shrunk = []
    monkeypatch.setattr(
        registration,
        "_shrink",
        lambda picture, factors, shrink=registration._shrink: shrunk.append(1) or shrink(picture, factors),
    )
    registration._pictures(thin, -1e6, 1e6)
    assert len(shrunk) <= 0.7 * len(thin.array)


@pytest.mark.realct
@pytest.mark.parametrize("offset_mm", [185.0, 209.0, 235.0])
def test_two_studies_of_one_person(ct_data, offset_mm):
    """wb01 and ch16: by the arch and the carina, read by eye, the second lies 209 mm higher (to some 6 mm)."""
    one, two = (dicom.read(ct_data / "vol" / f"{name}.nii.gz").as_axial() for name in ("wb01", "ch16"))
    z_1, z_2 = one.superior(), two.superior()
    before = match(fake_location(z_1, sigma_mm=12.0), fake_location(z_2, top_mm=offset_mm, sigma_mm=12.0))
    after = refine(before, one, two).at([-343.0, -324.0])
    for pair in after.pairs:
        assert pair.method == "registered"
        assert pair.followup_z_mm - pair.baseline_z_mm == pytest.approx(209.0, abs=9.0)
