"""Missing, damaged and foreign files: a clear error or an honest result, never a wrong one."""

from __future__ import annotations

import os

import numpy as np
import pytest
from CTVolumeLib import dicom
from pydicom.uid import JPEGLSLossless
from support_dicom import body, codes, dataset, enhanced, file_number, refusal, remove, series, set_stored, write


class TestNothingToRead:
    def test_missing_path(self, tmp_path):
        assert refusal(tmp_path / "nowhere").code == "not_found"

    def test_empty_folder(self, tmp_path):
        error = refusal(tmp_path)
        assert error.code == "no_images"
        assert tmp_path.name in error.message
        assert dicom.series_in(tmp_path) == []

    def test_text_files_named_dcm(self, tmp_path):
        for number in range(3):
            (tmp_path / f"{number}.dcm").write_text("Dear colleague, thank you for your referral. " * 20)
        error = refusal(tmp_path)
        assert error.code == "no_images"
        assert "3 of 3 files" in error.message
        assert "0.dcm" in error.message

    @pytest.mark.parametrize("content", [b"", b"\0" * 100, b"\0" * 5000, b"\xff" * 5000, b"DICM" * 100,
                                         b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM" + b"\xff" * 500])  # fmt: skip
    def test_files_without_sense(self, tmp_path, content):
        (tmp_path / "a.dcm").write_bytes(content)
        assert refusal(tmp_path).code == "no_images"
        assert refusal(tmp_path / "a.dcm").code in ("no_images", "not_ct")

    def test_other_kinds_of_file(self, tmp_path):
        (tmp_path / "letter.pdf").write_bytes(b"%PDF-1.4" + b"\0" * 500)
        assert refusal(tmp_path).code == "no_images"
        assert refusal(tmp_path / "letter.pdf").code == "unknown_format"

    def test_unreadable_folder(self, tmp_path, monkeypatch):
        hu = series(tmp_path / "open")
        (tmp_path / "locked").mkdir()
        scandir = os.scandir

        def refuse(path):
            if "locked" in str(path):
                raise PermissionError(13, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refuse)  # the rights themselves don't stop root
        np.testing.assert_array_equal(dicom.read(tmp_path).array, hu)
        error = refusal(tmp_path / "locked")
        assert error.code == "cannot_read"
        assert "Permission denied" in error.message


class TestDamagedFiles:
    def test_truncated_file_alone(self, tmp_path):
        path = write(dataset(body(1)[0]), tmp_path / "a.dcm")
        path.write_bytes(path.read_bytes()[:-100])
        error = refusal(path)
        assert error.code == "truncated"
        assert "cut off" in error.message

    def test_truncated_within_the_header(self, tmp_path):
        path = write(dataset(body(1)[0]), tmp_path / "a.dcm")
        path.write_bytes(path.read_bytes()[:500])
        assert refusal(path).code in ("no_pixels", "no_images", "not_ct")

    def test_no_pixel_data(self, tmp_path):
        series(tmp_path, edit=remove("PixelData"))
        assert refusal(tmp_path).code == "no_pixels"

    def test_one_truncated_file_among_good_ones(self, tmp_path):
        hu = series(tmp_path, body(7))
        path = tmp_path / "0003.dcm"  # the first slice
        path.write_bytes(path.read_bytes()[:-100])
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(
            volume.array, hu[[k for k in range(7) if path.name != f"{file_number(k, 7):04d}.dcm"]]
        )
        text = dict(volume.meta["warnings"])["files_left_out"]
        assert "1 of 7 files was left out" in text
        assert "0003.dcm" in text

    def test_one_file_of_garbage_among_good_ones(self, tmp_path):
        hu = series(tmp_path)
        (tmp_path / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 300)
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        assert "broken.dcm" in dict(volume.meta["warnings"])["files_left_out"]

    @pytest.mark.parametrize("where", [0, 3, 6])
    def test_one_slice_with_a_damaged_code_stream(self, tmp_path, where):
        def edit(ds, k):
            if k == where:
                data = bytearray(ds.PixelData)
                data[30:] = b"\0" * (len(data) - 30)
                ds.PixelData = bytes(data)

        hu = series(tmp_path, body(7), compress=JPEGLSLossless, edit=edit)
        volume = dicom.read(tmp_path)
        good = [k for k in range(7) if k != where]
        np.testing.assert_array_equal(volume.array, hu[good])
        np.testing.assert_allclose(volume.superior(), 100 + 2.0 * np.array(good))
        assert "1 of 7 slices" in dict(volume.meta["warnings"])["files_left_out"]
        assert ("missing_slices" in codes(volume)) == (where == 3)

    def test_all_code_streams_damaged(self, tmp_path):
        def edit(ds, k):
            ds.PixelData = ds.PixelData[:20] + b"\0" * (len(ds.PixelData) - 20)

        series(tmp_path, compress=JPEGLSLossless, edit=edit)
        assert refusal(tmp_path).code == "bad_pixels"

    @pytest.mark.parametrize("keyword", ["Rows", "Columns"])
    @pytest.mark.parametrize("value", [0, 15, 19, 21, 65535])
    def test_header_that_lies_about_the_size(self, tmp_path, keyword, value):
        series(tmp_path, edit=lambda ds, k: setattr(ds, keyword, value))
        assert refusal(tmp_path).code in ("bad_image", "truncated")

    @pytest.mark.parametrize("keyword", ["Rows", "Columns"])
    def test_compressed_header_that_lies_about_the_size(self, tmp_path, keyword):
        series(tmp_path, compress=JPEGLSLossless, edit=lambda ds, k: setattr(ds, keyword, 15000))
        assert refusal(tmp_path).code == "bad_pixels"

    @pytest.mark.parametrize(("allocated", "stored"), [(16, 17), (12, 12), (0, 0), (64, 64), (32, 12)])
    def test_header_that_lies_about_the_bits(self, tmp_path, allocated, stored):
        def edit(ds, k):
            ds.BitsAllocated, ds.BitsStored = allocated, stored

        series(tmp_path, edit=edit)
        assert refusal(tmp_path).code == "bad_image"

    def test_one_slice_without_rescale_is_left_out(self, tmp_path):
        edit = remove("RescaleIntercept", "RescaleSlope")
        hu = series(tmp_path, body(7), edit=lambda ds, k: edit(ds, k) if k == 6 else None)
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu[:6])
        assert codes(volume) == ["files_left_out"]

    def test_zero_slope(self, tmp_path):
        series(tmp_path, edit=lambda ds, k: setattr(ds, "RescaleSlope", 0))
        assert refusal(tmp_path).code == "bad_image"


class TestNotCt:
    @pytest.mark.parametrize("modality", ["MR", "PT", "US", "OT", "RTDOSE"])
    def test_other_modalities(self, tmp_path, modality):
        series(tmp_path, edit=lambda ds, k: setattr(ds, "Modality", modality))
        error = refusal(tmp_path)
        assert error.code == "not_ct"
        assert modality in error.message

    def test_rgb(self, tmp_path):
        def edit(ds, k):
            ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
            ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
            ds.PixelData = b"\x80" * (16 * 20 * 3)

        series(tmp_path, edit=edit)
        assert refusal(tmp_path).code == "not_ct"

    @pytest.mark.parametrize("rescale", [True, False])
    def test_8_bit_pictures(self, tmp_path, rescale):
        def edit(ds, k):
            ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
            ds.RescaleSlope, ds.RescaleIntercept = 1, 0
            if not rescale:
                remove("RescaleSlope", "RescaleIntercept")(ds, k)
            set_stored(ds, np.clip((body()[k].astype(int) + 160) * 255 // 400, 0, 255))

        series(tmp_path, edit=edit)
        assert refusal(tmp_path).code == "not_hu"

    def test_8_bit_picture_in_16_bits_without_rescale(self, tmp_path):
        def edit(ds, k):
            remove("RescaleSlope", "RescaleIntercept")(ds, k)
            set_stored(ds, np.clip((body()[k].astype(int) + 160) * 255 // 400, 0, 255))

        series(tmp_path, edit=edit)
        assert refusal(tmp_path).code == "not_hu"

    def test_ct_beside_mr(self, tmp_path):
        hu = series(tmp_path / "ct")
        series(tmp_path / "mr", body(20), series_uid="1.2.3.5", edit=lambda ds, k: setattr(ds, "Modality", "MR"))
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        assert "MR, 20 slices" in dict(volume.meta["warnings"])["other_series"]

    @pytest.mark.parametrize("compress", [False, True])
    def test_multi_frame_without_positions(self, tmp_path, compress):
        def edit(ds):
            remove_groups(ds)
            if compress:
                ds.compress(JPEGLSLossless, generate_instance_uid=False)

        enhanced(tmp_path / "a.dcm", body(), edit=edit)
        assert refusal(tmp_path).code == "no_positions"


def remove_groups(ds):
    """Make a multi-frame image one that does not say where its frames lie."""
    del ds.PerFrameFunctionalGroupsSequence
    del ds.SharedFunctionalGroupsSequence
    ds.PixelSpacing, ds.ImagePositionPatient, ds.ImageOrientationPatient = [0.8, 0.7], [0, 0, 0], [1, 0, 0, 0, 1, 0]
