"""Places that are missing, odd or taken twice: an honest volume or a clear error."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib import dicom
from CTVolumeLib.errors import CTError
from support_dicom import body, codes, dataset, refusal, remove, series, write


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
