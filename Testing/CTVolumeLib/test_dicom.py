"""Reading good DICOM of all kinds: the voxels and places that were written come back."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pytest
from CTVolumeLib import dicom
from CTVolumeLib.errors import CTError
from pydicom import Dataset, dcmread
from pydicom import uid as syntaxes
from pydicom.data import get_testdata_file
from support_dicom import NATIVE, body, codes, dataset, enhanced, series, set_stored, tilt, write, zipped

BIG = body(6, 40, 48)
"""The JPEG 2000 encoder refuses smaller pictures."""


class TestGeometry:
    def test_voxels_and_places_come_back(self, tmp_path):
        hu = series(tmp_path)
        volume = dicom.read(tmp_path)
        assert volume.array.dtype == np.int16
        np.testing.assert_array_equal(volume.array, hu)
        assert volume.spacing == pytest.approx((0.7, 0.8, 2.0))
        assert volume.origin == (-8.0, -6.0, 100.0)
        np.testing.assert_allclose(volume.superior(), 100 + 2.0 * np.arange(6))
        assert volume.positions is None
        assert volume.slice_origins is None
        assert volume.meta["warnings"] == ()
        assert len(volume.sources) == 6

    def test_sources_are_the_files_of_the_slices(self, tmp_path):
        hu = series(tmp_path)
        volume = dicom.read(tmp_path)
        for k in (0, 3, 5):
            alone = dicom.read(volume.sources[k])
            np.testing.assert_array_equal(alone.array[0], hu[k])

    def test_spacing_comes_from_positions_not_thickness(self, tmp_path):
        series(tmp_path, step=1.25)  # SliceThickness is 2
        volume = dicom.read(tmp_path)
        assert volume.spacing[2] == pytest.approx(1.25)
        assert volume.meta["slice_thickness"] == 2

    def test_rounded_positions_are_even(self, tmp_path):
        places = [(0.0, 0.0, round(0.625 * k, 1)) for k in range(30)]
        series(tmp_path, body(30), positions=places)
        volume = dicom.read(tmp_path)
        assert volume.positions is None
        assert volume.spacing[2] == pytest.approx(0.625, abs=0.005)

    @pytest.mark.parametrize("patient_position", ["HFS", "FFS", "HFP", "FFDR", "nonsense"])
    def test_patient_position_changes_nothing(self, tmp_path, patient_position):
        hu = series(tmp_path, edit=lambda ds, k: setattr(ds, "PatientPosition", patient_position))
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        np.testing.assert_allclose(volume.superior(), 100 + 2.0 * np.arange(6))

    def test_feet_first_rows_run_the_other_way(self, tmp_path):
        """Feet first, supine, as a scanner that shows the table's left on the left writes it: i to the right."""
        places = [(8.0, -6.0, 100.0 - 2.0 * k) for k in range(6)]
        hu = series(tmp_path, positions=places, orientation=(-1.0, 0, 0, 0, 1.0, 0))
        volume = dicom.read(tmp_path)
        np.testing.assert_allclose(volume.superior(), 100 - 2.0 * np.arange(6))
        np.testing.assert_array_equal(volume.array, hu)
        axial = volume.as_axial()
        np.testing.assert_allclose(axial.superior(), 90 + 2.0 * np.arange(6))
        np.testing.assert_array_equal(axial.array, hu[::-1, :, ::-1])

    @pytest.mark.parametrize(
        ("orientation", "direction"),
        [((1.0, 0, 0, 0, 0, -1.0), (0.0, 1.0, 0.0)), ((0, 1.0, 0, 0, 0, -1.0), (-1.0, 0.0, 0.0))],
        ids=["coronal", "sagittal"],
    )
    def test_coronal_and_sagittal(self, tmp_path, orientation, direction):
        places = [tuple(10 + 2.0 * k * component for component in direction) for k in range(6)]
        hu = series(tmp_path, positions=places, orientation=orientation)
        volume = dicom.read(tmp_path)
        np.testing.assert_allclose(volume.axes()[:, 2], direction, atol=1e-9)
        np.testing.assert_array_equal(volume.array, hu)
        axial = volume.as_axial()
        assert axial.array.shape[0] == 16
        assert np.all(np.diff(axial.superior()) > 0)

    def test_gantry_tilt_is_told_and_kept(self, tmp_path):
        hu = series(tmp_path, orientation=tilt(15))
        volume = dicom.read(tmp_path)
        text = dict(volume.meta["warnings"])["gantry_tilt"]
        assert "15.0 degrees" in text
        np.testing.assert_array_equal(volume.array, hu)
        np.testing.assert_allclose(volume.origins(), [(-8.0, -6.0, 100.0 + 2 * k) for k in range(6)])
        centre = 0.8 * 7.5 * np.sin(np.deg2rad(15))
        np.testing.assert_allclose(volume.superior(), 100 + 2.0 * np.arange(6) + centre, atol=1e-6)
        np.testing.assert_allclose(np.diff(volume.positions), 2 * np.cos(np.deg2rad(15)), atol=1e-6)

    @pytest.mark.parametrize("degrees", [20, -20])
    def test_unshear_puts_a_tilted_rod_upright(self, tmp_path, degrees):
        """A rod along the true normal: sheared slices show it wandering, a box shows it in one place."""
        step, angle = 2.0, np.deg2rad(degrees)
        hu = np.full((12, 40, 30), -1000, np.int16)
        for k in range(12):  # the rod's place in the slice, in mm along the column direction
            hu[k, :, 10] = 1000 * np.clip(1 - np.abs(np.arange(40) - (20 - step * k * np.sin(angle) / 0.8)), 0, 1)
        hu[:, :, 10] = np.where(hu[:, :, 10] > 0, hu[:, :, 10], -1000)
        series(tmp_path, hu, orientation=tilt(degrees))
        plain = dicom.read(tmp_path)
        volume = dicom.read(tmp_path, unshear=True)
        assert volume.slice_origins is None
        assert volume.positions is None
        assert "unsheared" in codes(volume)
        assert volume.array.shape[0] == 12
        np.testing.assert_allclose(volume.spacing[2], step * np.cos(angle), atol=1e-9)
        weight = np.clip(volume.array.astype(float) + 1000, 0, None)
        rows = (weight.sum(axis=2) * np.arange(volume.array.shape[1])).sum(axis=1) / weight.sum(axis=(1, 2))
        assert np.ptp(rows) < 0.6  # pixels; it wandered by 5.9 or more before
        before = np.clip(plain.array.astype(float) + 1000, 0, None)
        wandered = (before.sum(axis=2) * np.arange(40)).sum(axis=1) / before.sum(axis=(1, 2))
        assert np.ptp(wandered) > 5
        # The same physical place as before, in any slice.
        for k in (0, 11):
            was = plain.origins()[k] + plain.axes()[:, 1] * 0.8 * wandered[k]
            is_ = volume.origins()[k] + volume.axes()[:, 1] * 0.8 * rows[k]
            np.testing.assert_allclose(is_, was, atol=0.4)

    def test_unshear_leaves_an_upright_scan_alone(self, tmp_path):
        hu = series(tmp_path)
        volume = dicom.read(tmp_path, unshear=True)
        np.testing.assert_array_equal(volume.array, hu)
        assert "unsheared" not in codes(volume)

    def test_one_slice(self, tmp_path):
        hu = series(tmp_path, body(1))
        volume = dicom.read(tmp_path)
        assert volume.array.shape == (1, 16, 20)
        np.testing.assert_array_equal(volume.array, hu)
        assert volume.spacing[2] == 2.0
        assert codes(volume) == ["one_slice"]

    @pytest.mark.slow
    def test_three_thousand_slices(self, tmp_path):
        hu = body(3000, 8, 8)
        template = write(dataset(hu[0], position=(-8.0, -6.0, 12345.5)), tmp_path / "template").read_bytes()
        (tmp_path / "template").unlink()
        uid = dcmread(io.BytesIO(template)).SOPInstanceUID.encode()
        for k in range(3000):  # pydicom would take ten seconds to write them
            head = template[:-128].replace(b"12345.5", f"{100 + 0.5 * k:07.1f}".encode())
            head = head.replace(uid, uid[:-4] + f"{k:04d}".encode())
            pixels = (hu[k] + 1024).astype("<u2").tobytes()
            (tmp_path / f"{k * 7 % 3000:04d}.dcm").write_bytes(head + pixels)
        volume = dicom.read(tmp_path)
        assert codes(volume) == []
        np.testing.assert_allclose(volume.superior(), 100 + 0.5 * np.arange(3000))
        np.testing.assert_array_equal(volume.array, hu)


class TestTransferSyntaxes:
    @pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
    @pytest.mark.parametrize("syntax", [*NATIVE, syntaxes.DeflatedExplicitVRLittleEndian])
    def test_uncompressed(self, tmp_path, syntax, signed):
        hu = series(tmp_path, transfer_syntax=syntax, signed=signed, bits=16)
        np.testing.assert_array_equal(dicom.read(tmp_path).array, hu)

    @pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
    @pytest.mark.parametrize(
        "syntax",
        [syntaxes.JPEGLSLossless, syntaxes.JPEG2000Lossless, syntaxes.RLELossless],
        ids=["jpegls", "j2k", "rle"],
    )
    def test_compressed(self, tmp_path, syntax, signed):
        hu = series(tmp_path, BIG, compress=syntax, signed=signed, bits=16 if signed else 12)
        np.testing.assert_array_equal(dicom.read(tmp_path).array, hu)

    @pytest.mark.parametrize("syntax", [syntaxes.JPEGLSLossless, syntaxes.JPEG2000Lossless], ids=["jpegls", "j2k"])
    def test_compressed_without_pydicoms_plugins(self, tmp_path, syntax, monkeypatch):
        """As in Slicer, where only SimpleITK can decode."""
        hu = series(tmp_path, BIG, compress=syntax)
        monkeypatch.setattr("CTVolumeLib.pixels._decoder", lambda syntax: None)
        np.testing.assert_array_equal(dicom.read(tmp_path).array, hu)

    @pytest.mark.parametrize("monochrome1", [False, True])
    def test_lossless_jpeg(self, tmp_path, monochrome1):
        """No encoder for it is at hand, so the bit stream is made here."""
        hu = body(5)
        series(tmp_path, hu, edit=lambda ds, k: _as_lossless_jpeg(ds, hu[k], monochrome1))
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)

    @pytest.mark.parametrize("name", ["CT_small.dcm", "693_J2KI.dcm"])
    def test_files_of_other_makers(self, name):
        path = get_testdata_file(name, download=False)
        slice_ = dcmread(path)
        hu = slice_.pixel_array * float(slice_.RescaleSlope) + float(slice_.RescaleIntercept)
        np.testing.assert_array_equal(dicom.read(path).array[0], np.where(hu <= -1500, -1024, hu))


class TestMeaningOfPixels:
    def test_rescale_may_differ_from_slice_to_slice(self, tmp_path):
        def edit(ds, k):
            if k % 2:
                ds.RescaleSlope, ds.RescaleIntercept = 2, -1000
                set_stored(ds, (hu[k].astype(int) + 1000) // 2)

        hu = body() // 2 * 2
        series(tmp_path, hu, edit=edit)
        np.testing.assert_array_equal(dicom.read(tmp_path).array, hu)

    def test_fractional_slope_gives_floats(self, tmp_path):
        stored = body().astype(int) + 1024
        series(tmp_path, edit=lambda ds, k: setattr(ds, "RescaleSlope", 0.5))
        volume = dicom.read(tmp_path)
        assert volume.array.dtype == np.float32
        np.testing.assert_allclose(volume.array, stored * 0.5 - 1024)

    def test_values_beyond_int16_give_floats(self, tmp_path):
        def edit(ds, k):
            stored = np.where(hu[k] > 600, 60000, hu[k].astype(int) + 1024)
            ds.BitsStored, ds.HighBit = 16, 15
            set_stored(ds, stored)

        hu = body()
        series(tmp_path, hu, edit=edit)
        volume = dicom.read(tmp_path)
        assert volume.array.dtype == np.float32
        np.testing.assert_array_equal(volume.array, np.where(hu > 600, 60000 - 1024, hu.astype(int)))

    def test_all_sixteen_bits_of_unsigned_values(self, tmp_path):
        hu = body()
        series(tmp_path, hu, bits=16, intercept=-32768)
        volume = dicom.read(tmp_path)
        assert volume.array.dtype == np.int16
        np.testing.assert_array_equal(volume.array, hu)

    @pytest.mark.parametrize("intercept", [-1024, 0])
    @pytest.mark.parametrize("tag", [True, False], ids=["told", "untold"])
    def test_padding_outside_a_round_field_of_view(self, tmp_path, intercept, tag):
        outside = np.hypot(*np.mgrid[-8:8, -10:10]) > 9
        hu = body()

        def edit(ds, k):
            set_stored(ds, np.where(outside, -2000, hu[k].astype(int) - intercept))
            if tag:
                ds.add_new(0x00280120, "SS", -2000)

        series(tmp_path, hu, signed=True, bits=16, intercept=intercept, edit=edit)
        np.testing.assert_array_equal(dicom.read(tmp_path).array, np.where(outside, -1024, hu))

    def test_padding_range(self, tmp_path):
        hu = body()

        def edit(ds, k):
            stored = hu[k].astype(int) + 1024
            stored[0, :4] = [0, 1, 2, 3]
            set_stored(ds, stored)
            ds.add_new(0x00280120, "US", 0)
            ds.add_new(0x00280121, "US", 2)

        series(tmp_path, hu, edit=edit)
        assert dicom.read(tmp_path).array[0, 0, :5].tolist() == [-1024, -1024, -1024, -1021, -1000]

    def test_padding_value_in_the_midst_of_tissue_is_not_believed(self, tmp_path):
        hu = series(tmp_path, edit=lambda ds, k: ds.add_new(0x00280120, "US", 1024 + 30))
        np.testing.assert_array_equal(dicom.read(tmp_path).array, hu)

    @pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
    def test_monochrome1_stored_as_negative_is_inverted(self, tmp_path, signed):
        def edit(ds, k):
            ds.PhotometricInterpretation = "MONOCHROME1"
            set_stored(ds, (-1 if signed else 4095) - (hu[k].astype(int) + 1024))

        hu = body()
        series(tmp_path, hu, edit=edit, signed=signed, bits=16 if signed else 12)
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        assert codes(volume) == ["monochrome1"]

    def test_monochrome1_by_the_standard_changes_only_the_display(self, tmp_path):
        hu = series(tmp_path, edit=lambda ds, k: setattr(ds, "PhotometricInterpretation", "MONOCHROME1"))
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        assert codes(volume) == []

    def test_missing_rescale_of_unsigned_values_is_told(self, tmp_path):
        def edit(ds, k):
            del ds.RescaleIntercept
            del ds.RescaleSlope

        hu = series(tmp_path, edit=edit)
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        assert codes(volume) == ["no_rescale"]

    def test_overlay_in_the_unused_high_bits(self, tmp_path):
        def edit(ds, k):
            ds.add_new(0x60000100, "US", 16)
            ds.add_new(0x60000102, "US", 12)
            set_stored(ds, (hu[k].astype(int) + 1024) | 0x1000 * (hu[k] > 600))

        hu = body()
        series(tmp_path, hu, edit=edit)
        np.testing.assert_array_equal(dicom.read(tmp_path).array, hu)

    def test_sign_that_was_not_carried_into_the_high_bits(self, tmp_path):
        hu = body()
        edit = lambda ds, k: set_stored(ds, hu[k].astype(int) & 0x0FFF)  # noqa: E731
        series(tmp_path, hu, signed=True, bits=12, intercept=0, edit=edit)
        np.testing.assert_array_equal(dicom.read(tmp_path).array, hu)


class TestMultiFrame:
    @pytest.mark.parametrize(
        "compress", [None, syntaxes.JPEGLSLossless, syntaxes.RLELossless], ids=["plain", "jpegls", "rle"]
    )
    def test_enhanced(self, tmp_path, compress):
        hu = body(7)
        edit = (lambda ds: ds.compress(compress, generate_instance_uid=False)) if compress else None
        enhanced(tmp_path / "all.dcm", hu, edit=edit)
        volume = dicom.read(tmp_path / "all.dcm")
        np.testing.assert_array_equal(volume.array, hu)
        np.testing.assert_allclose(volume.superior(), 100 + 2.0 * np.arange(7))
        assert volume.spacing == pytest.approx((0.7, 0.8, 2.0))

    def test_enhanced_with_two_phases(self, tmp_path):
        """Two temporal positions in one file, frame by frame in turn."""
        one, other = body(7), (body(7) + 40).astype(np.int16)

        def edit(ds):
            both = np.stack([one, other], axis=1).reshape(14, 16, 20)
            frames = []
            for number in range(14):
                frame, place, content = Dataset(), Dataset(), Dataset()
                place.ImagePositionPatient = [-8.0, -6.0, 100.0 + 2 * (number // 2)]
                content.TemporalPositionIndex = 1 + number % 2
                frame.PlanePositionSequence, frame.FrameContentSequence = [place], [content]
                frames.append(frame)
            ds.PerFrameFunctionalGroupsSequence, ds.NumberOfFrames = frames, 14
            set_stored(ds, both.astype(int) + 1024)

        enhanced(tmp_path / "a.dcm", one, edit=edit)
        volumes = [dicom.read_series(item) for item in dicom.series_in(tmp_path)]
        np.testing.assert_array_equal(volumes[0].array, one)
        np.testing.assert_array_equal(volumes[1].array, other)
        assert "temporal position" in dict(volumes[0].meta["warnings"])["several_acquisitions"]

    def test_enhanced_in_two_files(self, tmp_path):
        hu = body(7)
        enhanced(tmp_path / "all.dcm", hu)
        enhanced(tmp_path / "more" / "all.dcm", hu, edit=lambda ds: _move(ds, 14.0))
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, np.concatenate([hu, hu]))


class TestSeries:
    def test_lists_without_reading_pixels(self, tmp_path, monkeypatch):
        series(tmp_path / "a")
        series(tmp_path / "b", body(4), series_uid="1.2.3.5")
        monkeypatch.setattr("CTVolumeLib.pixels.load", None)
        found = dicom.series_in(tmp_path)
        assert [(item.uid, item.count, item.modality, item.unusable) for item in found] == [
            ("1.2.3.4", 6, "CT", None),
            ("1.2.3.5", 4, "CT", None),
        ]
        assert "6 slices of 20 x 16, 2 mm apart, axial" in found[0].description
        assert len(found[0].files) == 6
        assert found[0].name == "a"

    def test_reads_each_of_a_tree(self, tmp_path):
        one = series(tmp_path / "a")
        other = series(tmp_path / "deep" / "b", body(4), series_uid="1.2.3.5")
        volumes = [dicom.read_series(item) for item in dicom.series_in(tmp_path)]
        np.testing.assert_array_equal(volumes[0].array, one)
        np.testing.assert_array_equal(volumes[1].array, other)

    def test_read_takes_the_largest_and_names_the_others(self, tmp_path):
        hu = series(tmp_path / "a", body(8))
        series(tmp_path / "b", body(4), series_uid="1.2.3.5")
        volume = dicom.read(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        assert "4 slices" in dict(volume.meta["warnings"])["other_series"]

    def test_axial_before_a_larger_coronal_one(self, tmp_path):
        hu = series(tmp_path / "a", body(8))
        places = [(0.0, 2.0 * k, 0.0) for k in range(20)]
        series(tmp_path / "b", body(20), positions=places, orientation=(1, 0, 0, 0, 0, -1), series_uid="1.2.3.5")
        np.testing.assert_array_equal(dicom.read(tmp_path).array, hu)

    def test_zip_like_folder(self, tmp_path):
        hu = series(tmp_path / "scan")
        path = zipped(tmp_path / "scan", tmp_path / "scan.zip")
        volume = dicom.read(path)
        np.testing.assert_array_equal(volume.array, hu)
        assert volume.sources[0].startswith(str(path))
        assert dicom.series_in(path)[0].name == "scan.zip"

    @pytest.mark.parametrize("syntax", [syntaxes.JPEGLSLossless, syntaxes.JPEG2000Lossless], ids=["jpegls", "j2k"])
    def test_zip_of_compressed_slices(self, tmp_path, syntax, monkeypatch):
        hu = series(tmp_path / "scan", BIG, compress=syntax)
        path = zipped(tmp_path / "scan", tmp_path / "scan.zip")
        np.testing.assert_array_equal(dicom.read(path).array, hu)
        monkeypatch.setattr("CTVolumeLib.pixels._decoder", lambda syntax: None)
        np.testing.assert_array_equal(dicom.read(path).array, hu)

    def test_zips_within_a_tree_are_listed(self, tmp_path):
        series(tmp_path / "scan")
        series(tmp_path / "other", body(4), series_uid="1.2.3.5")
        zipped(tmp_path / "other", tmp_path / "other.zip")
        assert {item.count for item in dicom.series_in(tmp_path / "scan")} == {6}
        (tmp_path / "other").rename(tmp_path / "scan" / "deep")
        found = dicom.series_in(tmp_path)
        assert [item.count for item in found] == [6, 4]
        assert [code for code, _ in found[1].warnings] == ["duplicate_slices"]  # the same four in the zip

    def test_dicomdir_stands_for_its_folder(self, tmp_path):
        hu = series(tmp_path / "scan", names="IM{:04d}")
        shutil.copy(get_testdata_file("DICOMDIR", download=False), tmp_path / "DICOMDIR")
        np.testing.assert_array_equal(dicom.read(tmp_path / "DICOMDIR").array, hu)

    def test_pixel_spacing_may_differ_in_its_last_digits(self, tmp_path):
        hu = series(tmp_path, edit=lambda ds, k: setattr(ds, "PixelSpacing", [0.8005 + 1e-5 * (k % 2), 0.7005]))
        np.testing.assert_array_equal(dicom.read(tmp_path).array, hu)

    def test_files_without_ending_or_preamble(self, tmp_path):
        hu = series(tmp_path / "scan", names="IM{:04d}")
        for file in (tmp_path / "scan").iterdir():
            file.write_bytes(file.read_bytes()[132:])
        np.testing.assert_array_equal(dicom.read(tmp_path).array, hu)

    def test_header_longer_than_a_piece(self, tmp_path):
        hu = series(tmp_path, edit=lambda ds, k: ds.add_new(0x00091010, "OB", b"\1\2" * 40000))
        np.testing.assert_array_equal(dicom.read(tmp_path).array, hu)

    def test_progress_and_cancel(self, tmp_path):
        series(tmp_path)
        calls = []
        dicom.read(tmp_path, progress=lambda done, total, text: calls.append((done, total, text)) or True)
        assert calls[5][:2] == (6, 6)
        assert calls[-1][:2] == (6, 6)
        for stop_at in (2, 9):
            count = iter([True] * stop_at + [False])
            with pytest.raises(CTError) as caught:
                dicom.read(tmp_path, progress=lambda *_, count=count: next(count))
            assert caught.value.code == "cancelled"

    def test_kernel_thickness_and_uids_are_kept(self, tmp_path):
        series(tmp_path, edit=lambda ds, k: setattr(ds, "SeriesDescription", "Thorax 2mm soft"))
        meta = dicom.read(tmp_path).meta
        assert (meta["modality"], meta["kernel"], meta["slice_thickness"]) == ("CT", "B30f", 2)
        assert (meta["series_uid"], meta["frame_of_reference_uid"]) == ("1.2.3.4", "1.2.3.9")
        assert meta["patient_position"] == "HFS"
        assert meta["series_description"] == "Thorax 2mm soft"


def _move(ds, z):
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3.77"
    for frame in ds.PerFrameFunctionalGroupsSequence:
        frame.PlanePositionSequence[0].ImagePositionPatient[2] += z


def _as_lossless_jpeg(ds, hu, monochrome1):
    """JPEG process 14, selection value 1 (ITU-T T.81 annex H), each difference class with a 5-bit code."""
    from pydicom.encaps import encapsulate

    stored = hu.astype(int) + 1024
    if monochrome1:
        ds.PhotometricInterpretation = "MONOCHROME1"
        stored = 4095 - stored
    rows, columns = stored.shape
    bits = []
    for j in range(rows):
        for i in range(columns):
            before = stored[j, i - 1] if i else stored[j - 1, 0] if j else 1 << 11
            difference = int(stored[j, i] - before)
            size = abs(difference).bit_length()
            bits.append(f"{size:05b}")
            if size:
                value = difference if difference > 0 else difference + (1 << size) - 1
                bits.append(f"{value:0{size}b}")
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    scan = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")
    table = bytes([0, 0, 0, 0, 0, 17] + [0] * 11) + bytes(range(17))  # 17 codes of 5 bits; the code is the class
    table = table[:1] + bytes([0, 0, 0, 0, 17]) + bytes(11) + bytes(range(17))
    stream = (
        b"\xff\xd8"
        + b"\xff\xc4" + (2 + len(table)).to_bytes(2, "big") + table
        + b"\xff\xc3" + (11).to_bytes(2, "big") + bytes([12]) + rows.to_bytes(2, "big") + columns.to_bytes(2, "big")
        + bytes([1, 1, 0x11, 0])
        + b"\xff\xda" + (8).to_bytes(2, "big") + bytes([1, 1, 0, 1, 0, 0])
        + scan + b"\xff\xd9"
    )  # fmt: skip
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.70"
    ds.PixelData = encapsulate([stream])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
