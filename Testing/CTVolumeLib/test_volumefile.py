"""Volume files: right places, and doubts about what can't be CT."""

from __future__ import annotations

import gzip
import shutil
import struct

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from CTVolumeLib import dicom
from CTVolumeLib.errors import CTError
from support_dicom import body, codes

ENDINGS = ["nii.gz", "nii", "nrrd", "mha", "mhd"]


def save(
    path, array, *, spacing=(0.7, 0.8, 2.0), origin=(-8.0, -6.0, 100.0), direction=None, metadata=None, vector=False
):
    """Write an array (k, j, i) with SimpleITK."""
    image = sitk.GetImageFromArray(array, isVector=vector)
    if array.ndim - vector == 3:
        image.SetSpacing((0.7, 0.8, 2.0))
        image.SetOrigin((-8.0, -6.0, 100.0))
        if direction is not None:
            image.SetDirection(direction)
    for key, value in (metadata or {}).items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path))
    return path


def refusal(path):
    with pytest.raises(CTError) as caught:
        dicom.read(path)
    assert path.name in caught.value.message
    return caught.value


class TestGood:
    @pytest.mark.parametrize("ending", ENDINGS)
    def test_voxels_and_places_come_back(self, tmp_path, ending):
        direction = (-1.0, 0, 0, 0, 0.96, 0.28, 0, -0.28, 0.96)
        volume = dicom.read(save(tmp_path / f"a.{ending}", body(), direction=direction))
        assert volume.array.dtype == np.int16
        np.testing.assert_array_equal(volume.array, body())
        np.testing.assert_allclose(volume.spacing, (0.7, 0.8, 2.0), rtol=1e-6)
        np.testing.assert_allclose(volume.origin, (-8, -6, 100), rtol=1e-6)
        np.testing.assert_allclose(volume.direction, direction, atol=1e-6)
        assert volume.meta["modality"] == "CT"
        assert codes(volume) == []
        assert volume.sources == (str(tmp_path / f"a.{ending}"),) * 6

    def test_nifti_of_another_program_is_turned_from_ras_to_lps(self, tmp_path):
        affine = np.array([[-0.7, 0, 0, 8.0], [0, 0.8, 0, -6.0], [0, 0, 2.0, 100.0], [0, 0, 0, 1]])
        nibabel.save(nibabel.Nifti1Image(body().T, affine), tmp_path / "a.nii.gz")
        volume = dicom.read(tmp_path / "a.nii.gz")
        np.testing.assert_allclose(volume.origin, (-8.0, 6.0, 100.0), atol=1e-5)
        np.testing.assert_allclose(np.diag(volume.axes()), (1, -1, 1), atol=1e-6)
        np.testing.assert_allclose(volume.superior(), 100 + 2.0 * np.arange(6), atol=1e-4)

    def test_whole_floats_become_int16_and_others_stay(self, tmp_path):
        assert dicom.read(save(tmp_path / "a.mha", body().astype(np.float64))).array.dtype == np.int16
        volume = dicom.read(save(tmp_path / "b.mha", body() + np.float32(0.25)))
        assert volume.array.dtype == np.float32
        np.testing.assert_allclose(volume.array, body() + 0.25)

    def test_folder_with_one_volume_file(self, tmp_path):
        save(tmp_path / "a.nrrd", body())
        (tmp_path / "notes.txt").write_text("hello")
        np.testing.assert_array_equal(dicom.read(tmp_path).array, body())

    def test_padding_becomes_air(self, tmp_path):
        hu = body()
        hu[:, :3] = -3024
        assert dicom.read(save(tmp_path / "a.mha", hu)).array.min() == -1024

    @pytest.mark.parametrize(("slope", "intercept"), [(2, -1024), (0.5, -1000.25)])
    def test_scaled_nifti(self, tmp_path, slope, intercept):
        stored = body() + 1024
        path = save(tmp_path / "a.nii", stored)
        data = bytearray(path.read_bytes())
        data[112:120] = struct.pack("<2f", slope, intercept)
        path.write_bytes(data)
        volume = dicom.read(path)
        np.testing.assert_allclose(volume.array, stored * slope + intercept)
        assert volume.array.dtype == (np.int16 if slope == 2 else np.float32)

    def test_big_endian_nifti(self, tmp_path):
        image = nibabel.Nifti1Image(body().T, np.diag([0.7, 0.8, 2, 1]))
        header = image.header.as_byteswapped(">")
        header.set_data_dtype(">i2")
        nibabel.save(nibabel.Nifti1Image(body().T, image.affine, header), tmp_path / "a.nii.gz")
        np.testing.assert_array_equal(dicom.read(tmp_path / "a.nii.gz").array, body())

    def test_one_time_point_is_a_volume(self, tmp_path):
        nibabel.save(nibabel.Nifti1Image(body().T[..., None], np.diag([0.7, 0.8, 2, 1])), tmp_path / "a.nii")
        volume = dicom.read(tmp_path / "a.nii")
        np.testing.assert_array_equal(volume.array, body())
        np.testing.assert_allclose(volume.spacing, (0.7, 0.8, 2.0), rtol=1e-6)

    def test_one_slice(self, tmp_path):
        volume = dicom.read(save(tmp_path / "a.nii", body(1)))
        assert volume.array.shape == (1, 16, 20)
        assert codes(volume) == ["one_slice"]


class TestDoubtful:
    @pytest.mark.parametrize("ending", ENDINGS)
    def test_nan_and_infinity_become_air(self, tmp_path, ending):
        values = body().astype(np.float32) + 0.5
        values[0, 0, 0], values[1, 2, 3], values[2, 3, 4] = np.nan, np.inf, -np.inf
        volume = dicom.read(save(tmp_path / f"a.{ending}", values))
        assert volume.array[0, 0, 0] == volume.array[1, 2, 3] == volume.array[2, 3, 4] == -1024
        assert np.isfinite(volume.array).all()
        assert volume.array[3, 3, 3] == values[3, 3, 3]
        assert "3 voxels" in dict(volume.meta["warnings"])["not_finite"]

    def test_offset_of_1024_is_found(self, tmp_path):
        volume = dicom.read(save(tmp_path / "a.nrrd", (body() + 1024).astype(np.uint16)))
        np.testing.assert_array_equal(volume.array, body())
        assert codes(volume) == ["no_rescale"]

    def test_clipped_to_a_window_is_told(self, tmp_path):
        volume = dicom.read(save(tmp_path / "a.nii", body().clip(-160, 240)))
        assert codes(volume) == ["clipped"]

    def test_nifti_without_orientation_is_told(self, tmp_path):
        image = nibabel.Nifti1Image(body().T, np.diag([0.7, 0.8, 2, 1]))
        image.header.set_sform(None, 0)
        image.header.set_qform(None, 0)
        image.header["sform_code"] = image.header["qform_code"] = 0
        nibabel.save(image, tmp_path / "a.nii")
        path = tmp_path / "a.nii"
        data = bytearray(path.read_bytes())
        data[252:256] = struct.pack("<2h", 0, 0)
        path.write_bytes(data)
        assert "no_orientation" in codes(dicom.read(path))


class TestRefused:
    @pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
    @pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
    def test_8_bit_windowed_pictures(self, tmp_path, kind, ending):
        gray = ((body().astype(float) + 160) * 255 / 400).clip(0, 255).astype(kind)
        error = refusal(save(tmp_path / f"a.{ending}", gray))
        assert error.code == "not_hu"
        assert "0 and 255" in error.message

    def test_normalized_values(self, tmp_path):
        assert refusal(save(tmp_path / "a.nii", (body() / 3000).astype(np.float32) + 0.4)).code == "not_hu"

    def test_values_without_air(self, tmp_path):
        assert refusal(save(tmp_path / "a.nii", np.full((4, 8, 8), 500, np.int16))).code == "not_hu"
        assert refusal(save(tmp_path / "b.nii", np.full((4, 8, 8), np.nan, np.float32))).code == "not_hu"

    @pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
    def test_rgb(self, tmp_path, ending):
        colors = np.repeat(np.clip(body(), 0, 255).astype(np.uint8)[..., None], 3, axis=3)
        assert refusal(save(tmp_path / f"a.{ending}", colors, vector=True)).code == "not_ct"

    def test_time_series(self, tmp_path):
        nibabel.save(nibabel.Nifti1Image(np.stack([body().T] * 3, axis=3), np.eye(4)), tmp_path / "a.nii.gz")
        error = refusal(tmp_path / "a.nii.gz")
        assert error.code == "four_d"
        assert "3 time points" in error.message

    def test_flat_picture(self, tmp_path):
        sitk.WriteImage(sitk.GetImageFromArray(body()[0]), str(tmp_path / "a.mha"))
        assert refusal(tmp_path / "a.mha").code == "bad_shape"

    def test_marked_as_mr(self, tmp_path):
        assert refusal(save(tmp_path / "a.nrrd", body(), metadata={"modality": "MR"})).code == "not_ct"

    @pytest.mark.parametrize("value", [0.0, float("nan"), -2.0])
    @pytest.mark.parametrize("packed", [False, True])
    def test_nifti_with_bad_spacing(self, tmp_path, value, packed):
        path = save(tmp_path / "a.nii", body())
        data = bytearray(path.read_bytes())
        data[88:92] = struct.pack("<f", value)
        path.write_bytes(data)
        if packed:
            path = tmp_path / "a.nii.gz"
            path.write_bytes(gzip.compress(bytes(data)))
        assert refusal(path).code == "bad_spacing"

    def test_headers_without_spacing(self, tmp_path):
        path = save(tmp_path / "a.mha", body())
        path.write_bytes(path.read_bytes().replace(b"ElementSpacing", b"ElementNothing"))
        assert refusal(path).code == "bad_spacing"
        path = save(tmp_path / "a.nrrd", body())
        path.write_bytes(path.read_bytes().replace(b"space directions", b"spice directions"))
        assert refusal(path).code == "bad_spacing"

    @pytest.mark.parametrize("ending", ENDINGS[:4])
    @pytest.mark.parametrize("length", [0, 3, 200, 1000, -10])
    def test_cut_off(self, tmp_path, ending, length):
        path = save(tmp_path / f"a.{ending}", body(40, 50, 60) + np.arange(60, dtype=np.int16) % 7)
        path.write_bytes(path.read_bytes()[:length])
        assert refusal(path).code in ("bad_volume_file", "bad_spacing")

    @pytest.mark.parametrize("ending", ENDINGS)
    def test_text(self, tmp_path, ending):
        path = tmp_path / f"a.{ending}"
        path.write_text("Dear colleague, thank you for your referral. " * 100)
        assert refusal(path).code in ("bad_volume_file", "bad_spacing")

    def test_mhd_without_its_data(self, tmp_path):
        path = save(tmp_path / "a.mhd", body())
        (tmp_path / "a.raw").unlink(missing_ok=True)
        (tmp_path / "a.zraw").unlink(missing_ok=True)
        assert refusal(path).code == "bad_volume_file"

    def test_nifti_2(self, tmp_path):
        nibabel.save(nibabel.Nifti2Image(body().T, np.eye(4)), tmp_path / "a.nii")
        assert refusal(tmp_path / "a.nii").code == "unknown_format"

    def test_wrong_ending(self, tmp_path):
        path = save(tmp_path / "a.nrrd", body())
        shutil.move(path, tmp_path / "a.nii")
        assert refusal(tmp_path / "a.nii").code == "bad_volume_file"
