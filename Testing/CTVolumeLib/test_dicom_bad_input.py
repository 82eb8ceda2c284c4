"""Bad, odd and hostile input: a clear error or an honest result, never a wrong one, never a patient's name."""

from __future__ import annotations

import logging
import os
import warnings
import zipfile

import numpy as np
import pytest
from CTVolumeLib import dicom
from CTVolumeLib.errors import CTError
from pydicom.uid import JPEGLSLossless
from support_dicom import body, codes, dataset, enhanced, series, set_stored, write, zipped


def refusal(path) -> CTError:
    """The error of reading; its text names what was asked for and says what to do."""
    with pytest.raises(CTError) as caught:
        dicom.read(path)
    assert caught.value.message.endswith(".")
    return caught.value


def remove(*keywords):
    """An edit that deletes elements."""

    def edit(slice_, _):
        for keyword in keywords:
            if keyword in slice_:
                delattr(slice_, keyword)

    return edit


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
        np.testing.assert_array_equal(volume.array, hu[[k for k in range(7) if path.name not in _file_of(k, 7)]])
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


class TestGeometryThatIsMissingOrOdd:
    def test_no_positions(self, tmp_path):
        series(tmp_path, edit=remove("ImagePositionPatient"))
        error = refusal(tmp_path)
        assert error.code == "no_positions"
        assert "ImagePositionPatient" in error.message

    def test_positions_from_slice_location(self, tmp_path):
        def edit(ds, k):
            del ds.ImagePositionPatient
            ds.SliceLocation = -50 + 3 * k

        hu = series(tmp_path, edit=edit)
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        np.testing.assert_allclose(volume.superior(), -50 + 3.0 * np.arange(6))
        assert "no_positions" in codes(volume)

    @pytest.mark.parametrize("locations", [[0, 3, 3, 6, 9, 12], [0, 30, 3, 6, 9, 12], [0, 3, None, 6, 9, 12]],
                             ids=["twice", "jumping", "one missing"])  # fmt: skip
    def test_inconsistent_slice_locations_are_no_positions(self, tmp_path, locations):
        def edit(ds, k):
            del ds.ImagePositionPatient
            if locations[k] is not None:
                ds.SliceLocation = locations[k]

        series(tmp_path, edit=edit)
        assert refusal(tmp_path).code == "no_positions"

    def test_one_slice_without_position_is_left_out(self, tmp_path):
        hu = series(
            tmp_path, body(7), edit=lambda ds, k: remove("ImagePositionPatient" if k == 6 else "Nothing")(ds, k)
        )
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu[:6])
        assert codes(volume) == ["files_left_out"]

    @pytest.mark.parametrize("value", [None, [0, 0], [0.8, 0], [-0.8, 0.7], [0.8], [1e9, 1e9]])
    def test_missing_or_zero_pixel_spacing(self, tmp_path, value):
        def edit(ds, k):
            if value is None:
                del ds.PixelSpacing
            else:
                ds.PixelSpacing = value

        series(tmp_path, edit=edit)
        assert refusal(tmp_path).code == "bad_spacing"

    def test_no_orientation_is_told(self, tmp_path):
        hu = series(tmp_path, edit=remove("ImageOrientationPatient"))
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        assert codes(volume) == ["no_orientation"]

    def test_missing_slices_are_counted(self, tmp_path):
        hu = series(tmp_path, body(10), edit=lambda ds, k: k not in (3, 6, 7))
        volume = dicom.read(tmp_path)
        kept = [0, 1, 2, 4, 5, 8, 9]
        np.testing.assert_array_equal(volume.array, hu[kept])
        np.testing.assert_allclose(volume.superior(), 100 + 2.0 * np.array(kept))
        text = dict(volume.meta["warnings"])["missing_slices"]
        assert "3 of 10 slices are missing" in text
        assert "6 mm" in text
        assert volume.spacing[2] == pytest.approx(2.0)

    def test_uneven_spacing_is_told_in_mm(self, tmp_path):
        z = [0.0, 4.0, 8.0, 12.0, 13.1, 20.1, 27.1]
        hu = series(tmp_path, body(7), positions=[(0.0, 0.0, value) for value in z])
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        np.testing.assert_allclose(volume.superior(), z)
        text = dict(volume.meta["warnings"])["uneven_spacing"]
        assert "1.1 to 7 mm" in text

    def test_all_slices_in_one_place(self, tmp_path):
        series(tmp_path, positions=[(0.0, 0.0, 5.0)] * 6)
        volume = dicom.read(tmp_path)
        assert volume.array.shape[0] == 1
        assert {"several_acquisitions", "one_slice"} & set(codes(volume))

    def test_localizer_and_axial_in_one_series(self, tmp_path):
        hu = series(tmp_path)
        scout = dataset(body(1)[0], orientation=(0, 1, 0, 0, 0, -1), number=90)
        scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        write(scout, tmp_path / "scout.dcm")
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        assert codes(volume) == ["other_series"]
        scout = next(item for item in dicom.series_in(tmp_path) if item.unusable)
        assert scout.code == "localizer"
        with pytest.raises(CTError):
            dicom.read_series(scout)

    def test_localizer_not_named_as_one(self, tmp_path):
        hu = series(tmp_path)
        write(dataset(body(1)[0], orientation=(0, 1, 0, 0, 0, -1), number=90), tmp_path / "scout.dcm")
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)

    def test_two_orientations_in_one_series(self, tmp_path):
        hu = series(tmp_path / "a", body(8))
        places = [(0.0, 2.0 * k, 0.0) for k in range(5)]
        series(tmp_path / "b", body(5), positions=places, orientation=(1, 0, 0, 0, 0, -1), first_number=50)
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        assert [item.count for item in dicom.series_in(tmp_path)] == [8, 5]

    def test_slices_shifted_in_their_plane(self, tmp_path):
        places = [(-8.0 + (3.0 if k == 2 else 0.0), -6.0, 2.0 * k) for k in range(6)]
        series(tmp_path, positions=places)
        volume = dicom.read(tmp_path)
        assert codes(volume) == ["shifted_slices"]
        np.testing.assert_allclose(volume.origins(), places)


class TestDuplicatesAndAcquisitions:
    def test_copied_files(self, tmp_path):
        hu = series(tmp_path / "a")
        series(tmp_path / "b")
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        assert codes(volume) == ["duplicate_slices"]

    def test_some_slices_twice_under_another_uid(self, tmp_path):
        hu = series(tmp_path, body(8))
        for k in (2, 5):
            again = dataset(hu[k], position=(-8.0, -6.0, 100.0 + 2 * k), number=50 + k)
            write(again, tmp_path / f"again{k}.dcm")
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        np.testing.assert_allclose(volume.superior(), 100 + 2.0 * np.arange(8))
        assert "2 slices are there twice" in dict(volume.meta["warnings"])["duplicate_slices"]
        assert len(volume.sources) == 8

    def test_some_places_with_two_different_slices(self, tmp_path):
        hu = series(tmp_path, body(8))
        write(dataset(hu[2] + 10, position=(-8.0, -6.0, 104.0), number=50), tmp_path / "again.dcm")
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        assert codes(volume) == ["differing_duplicates"]

    @pytest.mark.parametrize(
        ("keyword", "values"),
        [("AcquisitionNumber", (1, 2)), ("TemporalPositionIdentifier", (1, 2)), ("ConvolutionKernel", ("B30f", "B70f")),
         ("EchoNumbers", (1, 2)), ("AcquisitionTime", ("100000", "100130"))],
    )  # fmt: skip
    def test_two_acquisitions_in_the_same_places(self, tmp_path, keyword, values):
        one, other = body(8), (body(10) + 40).astype(np.int16)
        series(tmp_path / "a", one, edit=lambda ds, k: setattr(ds, keyword, values[0]))
        series(tmp_path / "b", other, first_number=100, edit=lambda ds, k: setattr(ds, keyword, values[1]))
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, other)
        assert "several_acquisitions" in codes(volume)
        assert "10, 8 slices" in dict(volume.meta["warnings"])["several_acquisitions"]
        smaller = dicom.read_series(dicom.series_in(tmp_path)[1])
        np.testing.assert_array_equal(smaller.array, one)

    def test_two_acquisitions_told_apart_by_nothing_but_their_order(self, tmp_path):
        one, other = body(8), (body(8) + 40).astype(np.int16)
        series(tmp_path / "a", one)
        series(tmp_path / "b", other, first_number=100)
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, one)
        assert "several_acquisitions" in codes(volume)

    def test_two_acquisitions_half_a_step_apart(self, tmp_path):
        one, other = body(8), (body(9) + 40).astype(np.int16)
        series(tmp_path / "a", one)
        places = [(-8.0, -6.0, 101.0 + 2 * k) for k in range(9)]
        edit = lambda ds, k: setattr(ds, "AcquisitionNumber", 2)  # noqa: E731
        series(tmp_path / "b", other, positions=places, first_number=100, edit=edit)
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, other)
        assert "several_acquisitions" in codes(volume)

    def test_odd_and_even_slices_scanned_one_after_the_other_are_one_volume(self, tmp_path):
        def edit(ds, k):
            ds.AcquisitionNumber = 1 + k % 2

        hu = series(tmp_path, body(12), edit=edit)  # 2 mm thick, so that each half alone would have gaps
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        assert codes(volume) == []

    @pytest.mark.parametrize("stations", [2, 6, 12])
    def test_stations_one_after_the_other_stay_together(self, tmp_path, stations):
        hu = series(tmp_path, body(12), edit=lambda ds, k: setattr(ds, "AcquisitionNumber", 1 + k * stations // 12))
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        assert codes(volume) == []


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


class TestZips:
    def test_no_zip_at_all(self, tmp_path):
        path = tmp_path / "scan.zip"
        path.write_bytes(b"PK\x03\x04" + b"nonsense" * 50)
        assert refusal(path).code == "bad_zip"

    def test_cut_off_zip(self, tmp_path):
        series(tmp_path / "scan")
        path = zipped(tmp_path / "scan", tmp_path / "scan.zip")
        path.write_bytes(path.read_bytes()[:-300])
        assert refusal(path).code == "bad_zip"

    def test_one_damaged_member(self, tmp_path):
        hu = series(tmp_path / "scan", body(7))
        path = zipped(tmp_path / "scan", tmp_path / "scan.zip")
        data = bytearray(path.read_bytes())
        with zipfile.ZipFile(path) as archive:
            start = archive.infolist()[1].header_offset + 60
        data[start : start + 200] = b"\xaa" * 200
        path.write_bytes(data)
        volume = dicom.read(path)
        assert volume.array.shape[0] == 6
        assert "files_left_out" in codes(volume)
        assert all((hu == volume.array[k]).all(axis=(1, 2)).any() for k in range(6))

    def test_names_that_climb_out_write_nothing(self, tmp_path):
        series(tmp_path / "scan")
        path = tmp_path / "a" / "b" / "evil.zip"
        path.parent.mkdir(parents=True)
        with zipfile.ZipFile(path, "w") as archive:
            for number, file in enumerate(sorted((tmp_path / "scan").iterdir())):
                archive.write(file, f"../../climbed{number}.dcm")
        before = set(tmp_path.rglob("*"))
        volume = dicom.read(path)
        assert volume.array.shape[0] == 6
        assert set(tmp_path.rglob("*")) == before

    def test_bomb_is_refused(self, tmp_path):
        path = tmp_path / "bomb.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.dcm", "w") as member:
            for _ in range(300):
                member.write(b"\0" * (1 << 20))
        assert refusal(path).code == "zip_too_large"

    def test_volume_file_in_a_zip(self, tmp_path):
        import SimpleITK as sitk

        sitk.WriteImage(sitk.GetImageFromArray(body()), str(tmp_path / "a.mha"))
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(tmp_path / "a.mha", "../deep/a.mha")
        np.testing.assert_array_equal(dicom.read(path).array, body())


CANARY = "CANARY^TWEETY"
MISUSED = [
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "SOPInstanceUID",
    "Modality",
    "ImagePositionPatient",
    "PixelSpacing",
    "Rows",
    "BitsStored",
    "RescaleIntercept",
    "PatientPosition",
    "ImageType",
    "PhotometricInterpretation",
    "SliceThickness",
    "AcquisitionTime",
    "InstanceNumber",
    "SpecificCharacterSet",
    "PatientBirthDate",
    "NumberOfFrames",
]


class TestPrivacy:
    @pytest.fixture
    def overheard(self, caplog, capfd):
        """All that is logged, warned or printed while the test runs, and all texts of errors and volumes."""
        caplog.set_level(logging.DEBUG)
        logging.getLogger("pydicom").setLevel(logging.DEBUG)
        texts = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield texts
            texts += [str(item.message) for item in caught] + [record.getMessage() for record in caplog.records]
        out, err = capfd.readouterr()
        everything = "\n".join([*texts, out, err])
        assert len(everything) > 10
        for part in CANARY.split("^"):
            assert part not in everything

    def _talk(self, path, texts):
        for series_ in dicom.series_in(path):
            texts.append(repr(series_))
        try:
            volume = dicom.read(path)
        except CTError as error:
            texts.append(f"{error!r} {error}")
        else:
            texts.append(repr(dict(volume.meta)))

    def _brand(self, ds, k):
        for keyword in ("PatientName", "PatientID", "AccessionNumber", "StudyDescription", "SeriesDescription",
                        "ImageComments", "InstitutionName", "ReferringPhysicianName", "ProtocolName", "StudyID",
                        "OtherPatientIDs", "PatientComments", "ConvolutionKernel"):  # fmt: skip
            setattr(ds, keyword, CANARY)
        ds.PatientBirthDate = "19700101"

    def test_good_series(self, tmp_path, overheard):
        series(tmp_path, edit=self._brand)
        self._talk(tmp_path, overheard)
        assert "19700101" not in "".join(overheard)

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("keyword", MISUSED)
    def test_name_in_the_wrong_place(self, tmp_path, overheard, keyword):
        def edit(ds, k):
            self._brand(ds, k)
            ds.add_new(keyword, "LO", CANARY)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logging.disable()
            series(tmp_path, edit=edit)
            logging.disable(logging.NOTSET)
        self._talk(tmp_path, overheard)

    @pytest.mark.filterwarnings("ignore")
    def test_name_as_transfer_syntax(self, tmp_path, overheard):
        path = write(dataset(body(1)[0]), tmp_path / "a.dcm")
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", CANARY.encode().ljust(20)))
        self._talk(tmp_path, overheard)

    def test_damaged_files(self, tmp_path, overheard):
        series(tmp_path, body(7), edit=self._brand, compress=JPEGLSLossless)
        for number, path in enumerate(sorted(tmp_path.iterdir())):
            path.write_bytes(path.read_bytes()[: 300 + 150 * number])
        self._talk(tmp_path, overheard)


def remove_groups(ds):
    """Make a multi-frame image one that does not say where its frames lie."""
    del ds.PerFrameFunctionalGroupsSequence
    del ds.SharedFunctionalGroupsSequence
    ds.PixelSpacing, ds.ImagePositionPatient, ds.ImageOrientationPatient = [0.8, 0.7], [0, 0, 0], [1, 0, 0, 0, 1, 0]


def _file_of(k, count):
    return f"{(k * 7 + 3) % count if np.gcd(7, count) == 1 else count - k:04d}.dcm"
