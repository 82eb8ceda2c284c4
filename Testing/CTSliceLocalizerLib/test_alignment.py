"""The rigid map of two matched scans, on a follow-up whose map is known exactly."""

from __future__ import annotations

import numpy as np
import pytest
from CTSliceLocalizerLib import alignment
from CTSliceLocalizerLib.matching import Line, Match
from CTVolumeLib import dicom, phantom, samples
from CTVolumeLib.errors import CTError
from CTVolumeLib.resample import to_spacing
from support_followup import KnownMap, make_followup

KNOWN = KnownMap(shift_mm=300.0, amplitude_mm=5.0, wavelength_mm=290.0, centre_mm=-100.0)
SHIFT = (12.0, -7.0)


@pytest.fixture(scope="module")
def baseline():
    volume = dicom.read(samples.sample("CTChestSample").path).as_axial()
    return to_spacing(volume, (4.0, 4.0, 4.0))


@pytest.fixture(scope="module")
def followup(baseline):
    return make_followup(baseline, KNOWN, shift_in_plane_mm=SHIFT, noise_hu=10.0)


def match_of(baseline, followup, known=KNOWN) -> Match:
    z, slices = baseline.superior(), followup.superior()
    line = Line(
        baseline_z_mm=z,
        baseline_index=np.arange(len(z)),
        followup_z_mm=known.followup(z),
        sigma_mm=np.full(len(z), 4.0),
        registered=np.ones(len(z), dtype=bool),
        slices_z_mm=slices,
        slices_index=np.arange(len(slices)),
    )
    return Match((), line=line)


def in_plane_errors(found, baseline) -> np.ndarray:
    middle = np.asarray(baseline.origin) + baseline.axes() @ (
        np.array(baseline.array.shape[::-1]) * baseline.spacing / 2
    )
    points = middle + np.array([(x, y, z) for x in (-100, 0, 100) for y in (-60, 60) for z in (-80, 0, 80)])
    return np.hypot(*(found.points(points) - points - (*SHIFT, 0))[:, :2].T)


def test_a_known_shift_is_found(baseline, followup):
    found = alignment.align(match_of(baseline, followup), baseline, followup)
    assert found.method == "registered"
    assert in_plane_errors(found, baseline).max() < 3.0
    assert found.correlation > 0.9
    np.testing.assert_allclose(found.matrix[:3, :3] @ found.matrix[:3, :3].T, np.eye(3), atol=1e-9)
    again = alignment.align(match_of(baseline, followup), baseline, followup)
    np.testing.assert_allclose(again.matrix, found.matrix, atol=1e-6)


def test_the_centres_of_the_bodies_alone(baseline, followup):
    found = alignment.align(match_of(baseline, followup), baseline, followup, register=False)
    assert found.method == "centres"
    assert in_plane_errors(found, baseline).max() < 10.0
    np.testing.assert_array_equal(found.matrix[:3, :3], np.eye(3))


def test_another_body_is_not_taken(baseline):
    other = to_spacing(phantom.make().volume.as_axial(), 4.0)
    shift = other.superior().mean() - baseline.superior().mean()
    match = match_of(baseline, other, KnownMap(shift_mm=float(shift)))
    found = alignment.align(match, baseline, other)
    assert found.method == "centres"
    assert found.correlation < alignment.MIN_CORRELATION


def test_a_short_overlap_is_not_registered(baseline, followup):
    z = followup.superior()
    part = followup.crop(k=slice(0, int(40 / (z[1] - z[0]))))
    found = alignment.align(match_of(baseline, part), baseline, part)
    assert found.method == "centres"


def test_points_take_their_height_from_the_match(baseline, followup):
    match = match_of(baseline, followup)
    found = alignment.align(match, baseline, followup, register=False)
    points = [(0.0, 0.0, -150.0), (10.0, 20.0, -30.0), (0.0, 0.0, -900.0)]
    carried = alignment.carry(match, found, points, offset_mm=2.0)
    for point, target in zip(points[:2], carried):
        assert target.point_lps[2] == pytest.approx(float(KNOWN.followup(point[2])) + 2.0, abs=0.2)
        assert target.place.covered
        assert target.method == "centres"
    assert not carried[2].place.covered


def test_cancel_at_every_step(baseline, followup):
    match, calls = match_of(baseline, followup), []
    alignment.align(match, baseline, followup, progress=lambda *step: calls.append(step) or True)
    assert len(calls) > 10
    assert [done for done, _, _ in calls] == sorted(done for done, _, _ in calls)
    for stop in (1, 2, len(calls) // 2):
        seen = []
        with pytest.raises(CTError) as error:
            alignment.align(
                match,
                baseline,
                followup,
                progress=lambda *_step, seen=seen, stop=stop: seen.append(1) or len(seen) < stop,
            )
        assert error.value.code == "cancelled"


def test_scans_that_share_nothing(baseline, followup):
    match = match_of(baseline, followup, KnownMap(shift_mm=2000.0))
    with pytest.raises(CTError, match="different parts"):
        alignment.align(match, baseline, followup)


@pytest.mark.realct
@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "method"),
    [(("wb01", "ch16"), "registered"), (("ch17", "ch19"), "centres")],
    ids=["one person", "two people"],
)
def test_real_examinations(ct_data, names, method):
    """The one pair of examinations of one person that overlaps is registered; the most alike two people are not."""
    from CTSliceLocalizerLib import matching, predictor, registration

    volumes = [dicom.read(ct_data / "vol" / f"{name}.nii.gz") for name in names]
    found = registration.refine(matching.match(*map(predictor.locate, volumes)), *volumes)
    assert alignment.align(found, *volumes).method == method
