from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from CTVolumeLib import phantom
from CTVolumeLib.errors import CTError
from CTVolumeLib.phantom_dicom import TRANSFER_SYNTAXES


@pytest.fixture(scope="module")
def volume():
    parameters = phantom.PhantomParameters(
        spacing=(9, 9, 20), coverage=(0.15, 0.3), vertex_z_mm=1234.5, field_centre=(7, -3)
    )
    return phantom.make(parameters).volume


def _read(folder):
    """What SimpleITK reads, as (k, j, i) HU with its geometry."""
    reader = sitk.ImageSeriesReader()
    (series,) = reader.GetGDCMSeriesIDs(str(folder))
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder), series))
    image = reader.Execute()
    return sitk.GetArrayFromImage(image), image


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES)
def test_another_program_reads_the_same_volume(volume, tmp_path, transfer_syntax):
    paths = phantom.write_dicom(volume, tmp_path, transfer_syntax=transfer_syntax)
    assert len(paths) == volume.array.shape[0]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    array, image = _read(tmp_path)
    np.testing.assert_array_equal(array, volume.array)
    np.testing.assert_allclose(image.GetSpacing(), volume.spacing, atol=1e-6)
    np.testing.assert_allclose(image.GetOrigin(), volume.origin, atol=1e-6)
    np.testing.assert_allclose(image.GetDirection(), volume.direction, atol=1e-6)
    assert pydicom.dcmread(paths[0]).file_meta.TransferSyntaxUID == TRANSFER_SYNTAXES[transfer_syntax]


@pytest.mark.parametrize("transfer_syntax", ["explicit", "rle", "jpegls", "jpeg2000", "big endian"])
def test_signed_values_and_padding_survive_compression(volume, tmp_path, transfer_syntax):
    paths = phantom.write_dicom(volume, tmp_path, transfer_syntax=transfer_syntax, padding=-2000)
    dataset = pydicom.dcmread(paths[1])
    pixels = dataset.pixel_array
    assert dataset.PixelPaddingValue == -2000
    assert pixels[0, 0] == -2000
    middle = tuple(size // 2 for size in pixels.shape)
    assert pixels[middle] + int(dataset.RescaleIntercept) == volume.array[1][middle]
    assert np.mean(pixels == -2000) == pytest.approx(1 - np.pi / 4, abs=0.02)


def test_slices_lie_where_the_volume_has_them_even_when_sheared(tmp_path):
    parameters = phantom.PhantomParameters(spacing=(9, 9, 20), coverage=(0.0, 0.1), tilt=15)
    volume = phantom.make(parameters).volume
    paths = phantom.write_dicom(volume, tmp_path, shuffle=True)
    for k, path in enumerate(paths):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        np.testing.assert_allclose([float(v) for v in header.ImagePositionPatient], volume.origins()[k], atol=1e-6)
        assert abs(float(header.GantryDetectorTilt)) == pytest.approx(15)
        row, column = np.array(header.ImageOrientationPatient, dtype=float).reshape(2, 3)
        np.testing.assert_allclose(np.cross(row, column), volume.axes()[:, 2], atol=1e-6)


def test_shuffled_names_and_numbers_are_in_no_order(volume, tmp_path):
    paths = phantom.write_dicom(volume, tmp_path, shuffle=True)
    numbers = [pydicom.dcmread(path, stop_before_pixels=True).InstanceNumber for path in paths]
    assert sorted(numbers) == list(range(1, len(paths) + 1))
    assert numbers not in (sorted(numbers), sorted(numbers)[::-1])
    np.testing.assert_array_equal(_read(tmp_path)[0], volume.array)


def test_one_multi_frame_file_holds_all_slices(volume, tmp_path):
    (path,) = phantom.write_dicom(volume, tmp_path, multi_frame=True, transfer_syntax="rle")
    dataset = pydicom.dcmread(path)
    np.testing.assert_array_equal(dataset.pixel_array.astype(int) - 1024, volume.array)
    frames = dataset.PerFrameFunctionalGroupsSequence
    z = [float(frame.PlanePositionSequence[0].ImagePositionPatient[2]) for frame in frames]
    np.testing.assert_allclose(z, volume.superior())
    assert "PixelSpacing" not in dataset


def test_monochrome1_in_both_ways(volume, tmp_path):
    shown = phantom.write_dicom(volume, tmp_path / "a", monochrome1="display")
    negative = phantom.write_dicom(volume, tmp_path / "b", monochrome1="negative")
    first, second = (pydicom.dcmread(paths[0]) for paths in (shown, negative))
    assert first.PhotometricInterpretation == second.PhotometricInterpretation == "MONOCHROME1"
    np.testing.assert_array_equal(first.pixel_array.astype(int) - 1024, volume.array[0])
    np.testing.assert_array_equal(4095 - second.pixel_array.astype(int) - 1024, volume.array[0])


def test_uids_follow_from_the_seed(volume, tmp_path):
    def header(folder, **options):
        return pydicom.dcmread(phantom.write_dicom(volume, tmp_path / folder, **options)[0], stop_before_pixels=True)

    first, again, follow_up, other = (
        header("a", seed=1), header("b", seed=1), header("c", seed=1, series_number=2), header("d", seed=2)
    )  # fmt: skip
    assert first == again
    assert first.StudyInstanceUID == follow_up.StudyInstanceUID
    assert first.SeriesInstanceUID != follow_up.SeriesInstanceUID
    assert first.FrameOfReferenceUID != other.FrameOfReferenceUID
    assert first.SOPInstanceUID not in (follow_up.SOPInstanceUID, other.SOPInstanceUID)
    assert str(first.PatientName) == first.PatientID == "PHANTOM"


def test_edit_can_break_what_a_test_wants_broken(volume, tmp_path):
    def lose_position(dataset, k):
        if k == 1:
            del dataset.ImagePositionPatient

    paths = phantom.write_dicom(volume, tmp_path, edit=lose_position)
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    assert ["ImagePositionPatient" in header for header in headers] == [k != 1 for k in range(len(paths))]


def test_feet_first_and_unknown_syntax(volume, tmp_path):
    meta = dict(volume.meta) | {"patient_position": "FFS"}
    paths = phantom.write_dicom(replace(volume, meta=meta), tmp_path)
    assert pydicom.dcmread(paths[0]).PatientPosition == "FFS"
    with pytest.raises(CTError, match="not known"):
        phantom.write_dicom(volume, tmp_path, transfer_syntax="morse")
