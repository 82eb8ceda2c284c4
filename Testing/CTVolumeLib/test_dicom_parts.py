"""Reading a series a few slices at a time gives what reading it whole gives; heights come from the headers alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import support_dicom
from CTVolumeLib import dicom
from CTVolumeLib.errors import CTError


def parts(folder: Path, size: int) -> list[np.ndarray]:
    (series,) = dicom.series_in(folder)
    return [array for _, array in dicom.read_in_parts(series, size)]


class TestParts:
    @pytest.mark.parametrize("size", [1, 4, 10, 100])
    def test_together_they_are_the_volume(self, tmp_path, size):
        support_dicom.series(tmp_path, support_dicom.body(10))
        found = parts(tmp_path, size)
        assert all(len(array) <= size for array in found)
        np.testing.assert_array_equal(np.concatenate(found), dicom.read(tmp_path).array)

    def test_headers_are_those_of_the_slices(self, tmp_path):
        hu = support_dicom.series(tmp_path, support_dicom.body(7))
        (series,) = dicom.series_in(tmp_path)
        for headers, array in dicom.read_in_parts(series, 3):
            for header, picture in zip(headers, array):
                np.testing.assert_array_equal(picture, hu[header.instance - 1])

    def test_what_single_slices_cannot_tell_is_told_by_all(self, tmp_path):
        """Without RescaleIntercept the offset is guessed from one slice; a part of air alone would be guessed wrong."""
        hu = support_dicom.body(6)
        hu[:2] = -1000

        def without_intercept(slice_, _):
            del slice_.RescaleIntercept

        support_dicom.series(tmp_path, hu, edit=without_intercept)
        (whole,) = parts(tmp_path, 2)
        np.testing.assert_array_equal(whole, hu)

    def test_a_part_that_is_damaged_costs_only_itself(self, tmp_path):
        from pydicom.uid import RLELossless

        hu = support_dicom.body(6)

        def damaged(slice_, k):
            if k < 2:
                slice_.PixelData = slice_.PixelData[:8] + b"\xff" * 72

        support_dicom.series(tmp_path, hu, compress=RLELossless, edit=damaged)
        np.testing.assert_array_equal(np.concatenate(parts(tmp_path, 2)), hu[2:])

    def test_nothing_can_be_decoded(self, tmp_path):
        from pydicom.uid import RLELossless

        def damaged(slice_, _):
            slice_.PixelData = slice_.PixelData[:8] + b"\xff" * 72

        support_dicom.series(tmp_path, compress=RLELossless, edit=damaged)
        with pytest.raises(CTError) as caught:
            parts(tmp_path, 2)
        assert caught.value.code == "bad_pixels"

    def test_gray_values_are_no_hounsfield_units(self, tmp_path):
        support_dicom.series(tmp_path, np.full((4, 8, 8), 90, np.int16), bits=8, intercept=0, signed=True)
        with pytest.raises(CTError) as caught:
            parts(tmp_path, 2)
        assert caught.value.code == "not_hu"

    def test_an_unusable_series_says_why(self, tmp_path):
        def scout(slice_, _):
            slice_.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

        support_dicom.series(tmp_path, edit=scout)
        with pytest.raises(CTError) as caught:
            parts(tmp_path, 2)
        assert caught.value.code == "localizer"


class TestHeights:
    @pytest.mark.parametrize("degrees", [0.0, 12.0, -20.0])
    def test_are_those_of_the_volume(self, tmp_path, degrees):
        support_dicom.series(tmp_path, orientation=support_dicom.tilt(degrees), step=2.5)
        (series,) = dicom.series_in(tmp_path)
        np.testing.assert_allclose(series.heights(), dicom.read_series(series).superior(), atol=1e-6)
