"""The shipped model on real scans: the sample that is shipped, and those of CT_DATA_DIR."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from CTSliceLocalizerLib import evaluation_cases, members, predictor
from CTVolumeLib import dicom
from CTVolumeLib.errors import CTError
from CTVolumeLib.samples import sample
from CTVolumeLib.volume import CTVolume

ANNOTATED = {"T1": 19.5, "Aortic arch": -25.0, "Bifurcation of trachea": -63.0, "Right dome of diaphragm": -127.0}
"""Read by eye on the sample scan, LPS z in mm; no part in training."""


@pytest.fixture(scope="module")
def scan() -> CTVolume:
    return dicom.read(sample("CTChestSample").path)


def _oriented(volume: CTVolume, orientation: str) -> CTVolume:
    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(volume.spacing)
    image.SetOrigin(volume.origin)
    image.SetDirection(volume.direction)
    image = sitk.DICOMOrient(image, orientation)
    array = sitk.GetArrayFromImage(image)
    return CTVolume(array, image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def _codes(result) -> set[str]:
    return {flag.code for flag in result.flags}


def test_finds_the_landmarks_of_a_patient_it_never_saw(scan) -> None:
    result = predictor.locate(scan)
    assert result.refused is None
    assert not result.flags
    for name, z_mm in ANNOTATED.items():
        assert abs(result.landmark(name).z_mm - z_mm) < 20
    assert not result.landmark("Head of femur").inside
    assert not result.landmark("C1").inside
    assert np.all(np.diff(result.location) < 0)


@pytest.mark.parametrize("orientation", ["LPI", "RAI", "LSP", "PSL", "RAS", "LIA"])
def test_orientation_makes_no_difference_where_the_header_tells(scan, orientation: str) -> None:
    plain, turned = predictor.locate(scan), predictor.locate(_oriented(scan, orientation))
    np.testing.assert_allclose(turned.location, plain.location, atol=1e-4)
    assert _codes(turned) == _codes(plain)
    for a, b in zip(plain.landmarks, turned.landmarks):
        assert a.inside == b.inside
        assert a.z_mm == pytest.approx(b.z_mm, abs=0.5)


@pytest.mark.parametrize(
    ("axis", "code"), [(0, "upside_down"), (1, "back_to_front"), (2, "mirrored")], ids=["head", "front", "left"]
)
def test_a_header_that_lies_about_an_axis_is_flagged(scan, axis: int, code: str) -> None:
    assert code in _codes(predictor.locate(scan.with_array(np.flip(scan.array, axis=axis))))


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_wrong_slice_spacing_is_flagged(scan, factor: float) -> None:
    stretched = replace(scan, spacing=(*scan.spacing[:2], scan.spacing[2] * factor))
    result = predictor.locate(stretched)
    assert result.refused or _codes(result) & {"spacing", "low_confidence"}


def test_what_is_no_ct_of_a_body_is_refused(scan) -> None:
    noise = np.random.default_rng(0).integers(-1024, 1500, scan.array.shape).astype(np.int16)
    picture = np.clip(scan.array, 0, 255).astype(np.int16)
    for array in (noise, picture, np.full_like(scan.array, -1000)):
        assert predictor.locate(scan.with_array(array)).refused is not None
    assert predictor.locate(replace(scan, meta={"modality": "MR"})).refused.code == "not_ct"


def test_engines_agree(scan) -> None:
    pytest.importorskip("ai_edge_litert")
    a, b = (predictor.locate(scan, engine=engine) for engine in ("numpy", "litert"))
    np.testing.assert_allclose(a.location, b.location, atol=1e-4)


def test_one_slice_is_located_with_a_warning(scan) -> None:
    result = predictor.locate(scan.crop(k=slice(50, 51)))
    assert result.refused is not None or "short_scan" in _codes(result)


@pytest.mark.realct
@pytest.mark.slow
def test_bars_on_patients_that_a_member_never_saw(ct_data: Path) -> None:
    model = predictor.load_model(engine="numpy")
    errors = []
    for number, entry in enumerate(model.card["members"]):
        some = entry["held_out"][::2]
        for case in evaluation_cases.from_folder(ct_data, some, members.only(model, number)):
            errors += [error for error in case.landmarks if error.inside_true]
    for family, patients, median in (("hn", 20, 5), ("other", 10, 9)):
        own = [error for error in errors if error.family == family]
        assert len({error.patient for error in own}) >= patients
        off = np.abs([error.error_mm for error in own if error.error_mm is not None])
        assert np.median(off) <= median
        assert len(off) > 0.9 * len(own), "found where they are"


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
def test_progress_goes_up_and_can_cancel_at_any_step(scan, step):
    steps = []

    def progress(done, total, text):
        steps.append((done / total, text))
        return len(steps) < step

    with pytest.raises(CTError) as caught:
        predictor.locate(scan, progress=progress)
    assert caught.value.code == "cancelled"
    assert len(steps) == step
    shares = [share for share, _ in steps]
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1
