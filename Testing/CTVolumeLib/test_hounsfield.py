"""Exact values by the formulas of DICOM PS3.3, C.11.1 and C.11.2."""

from __future__ import annotations

import math

import numpy as np
import pytest
from CTVolumeLib import hounsfield
from CTVolumeLib.errors import CTError
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.pixels import apply_voi_lut

HU = np.arange(-1100, 1500, 7)


def linear(x, center, width):
    """C.11.2.1.2.1, word by word, with ymin 0 and ymax 255."""
    if x <= center - 0.5 - (width - 1) / 2:
        return 0
    if x > center - 0.5 + (width - 1) / 2:
        return 255
    return ((x - (center - 0.5)) / (width - 1) + 0.5) * 255


def linear_exact(x, center, width):
    """C.11.2.1.3.2."""
    if x <= center - width / 2:
        return 0
    if x > center + width / 2:
        return 255
    return ((x - center) / width + 0.5) * 255


def sigmoid(x, center, width):
    """C.11.2.1.3.1."""
    return 255 / (1 + math.exp(-4 * (x - center) / width))


class TestRescale:
    def test_whole_numbers_stay_int16(self):
        hu = hounsfield.rescale(np.array([[0, 1024], [4095, 24]], np.uint16), 1, -1024)
        assert hu.dtype == np.int16
        assert hu.tolist() == [[-1024, 0], [3071, -1000]]

    def test_fractions_become_float32(self):
        hu = hounsfield.rescale(np.array([0, 3], np.int16), 0.5, -1.25)
        assert hu.dtype == np.float32
        assert hu.tolist() == [-1.25, 0.25]

    def test_large_values_become_float32(self):
        assert hounsfield.rescale(np.array([65535], np.uint16), 1, 0).tolist() == [65535.0]
        assert hounsfield.rescale(np.array([65535], np.uint16), 1, -32768).dtype == np.int16


class TestWindow:
    @pytest.mark.parametrize(("center", "width"), [(40, 400), (-600, 1500), (40.5, 80), (0, 2), (300, 1)])
    def test_linear_by_the_standard(self, center, width):
        expected = [round(linear(float(x), center, width)) if width > 1 else 255 * (x > center - 0.5) for x in HU]
        np.testing.assert_array_equal(hounsfield.window(HU, center, width), expected)

    @pytest.mark.parametrize(("center", "width"), [(40, 400), (-600, 1500), (0, 0.5)])
    def test_linear_exact_by_the_standard(self, center, width):
        expected = [round(linear_exact(float(x), center, width)) for x in HU]
        np.testing.assert_array_equal(hounsfield.window(HU, center, width, "LINEAR_EXACT"), expected)

    @pytest.mark.parametrize(("center", "width"), [(40, 400), (-600, 1500)])
    def test_sigmoid_by_the_standard(self, center, width):
        expected = [round(sigmoid(float(x), center, width)) for x in HU]
        np.testing.assert_array_equal(hounsfield.window(HU, center, width, "SIGMOID"), expected)

    @pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
    def test_agrees_with_pydicom(self, function):
        header = Dataset()
        header.WindowCenter, header.WindowWidth, header.VOILUTFunction = 2048, 4096, function
        header.PhotometricInterpretation, header.BitsStored, header.PixelRepresentation = "MONOCHROME2", 12, 0
        stored = np.arange(0, 4096, 11, dtype=np.uint16)
        theirs = apply_voi_lut(stored, header, prefer_lut=False) / 4095 * 255
        np.testing.assert_allclose(hounsfield.window(stored, 2048, 4096, function), theirs, atol=0.51)

    def test_example_of_the_standard(self):
        """C.11.2.1.2: center 2048, width 4096 maps 0 to 0 and 4095 to white; width 1 is a threshold."""
        assert hounsfield.window(np.array([0, 4095]), 2048, 4096).tolist() == [0, 255]
        assert hounsfield.window(np.array([99.4, 99.5, 99.6]), 100, 1).tolist() == [0, 0, 255]

    def test_keeps_shape_and_makes_uint8(self):
        picture = hounsfield.window(np.zeros((2, 3, 4), np.int16), 40, 400)
        assert picture.shape == (2, 3, 4)
        assert picture.dtype == np.uint8

    @pytest.mark.filterwarnings("error")
    def test_extreme_values_overflow_nothing(self):
        values = np.array([-32768, 32767])
        assert hounsfield.window(values, 40, 0.001, "SIGMOID").tolist() == [0, 255]
        assert hounsfield.window(values, 40, 400).tolist() == [0, 255]

    @pytest.mark.parametrize(
        ("width", "function"),
        [(0.5, "LINEAR"), (0, "LINEAR_EXACT"), (-1, "SIGMOID"), (math.nan, "LINEAR"), (9, "CUBIC")],
    )
    def test_what_the_standard_forbids(self, width, function):
        with pytest.raises(CTError) as caught:
            hounsfield.window(HU, 40, width, function)
        assert caught.value.code == "bad_window"

    @settings(max_examples=50, derandomize=True, deadline=None, database=None)
    @given(st.floats(-2000, 2000), st.floats(1.01, 5000), st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]))
    def test_never_falls(self, center, width, function):
        assert np.all(np.diff(hounsfield.window(HU, center, width, function).astype(int)) >= 0)


class TestLut:
    def test_maps_and_clamps(self):
        data = np.array([0, 50, 100, 255])
        values = np.array([-2000, -11, -10, -9, -8.4, -7, 500])
        assert hounsfield.apply_lut(values, (4, -10, 8), data).tolist() == [0, 0, 0, 50, 100, 255, 255]

    def test_twelve_bits_are_scaled(self):
        assert hounsfield.apply_lut(np.array([0, 1, 2]), (3, 0, 12), np.array([0, 2048, 4095])).tolist() == [
            0,
            128,
            255,
        ]

    def test_zero_entries_mean_65536(self):
        data = np.arange(65536, dtype=np.uint16)
        assert hounsfield.apply_lut(np.array([-32768, 32767]), (0, -32768, 16), data).tolist() == [0, 255]

    def test_agrees_with_pydicom(self):
        item, header = Dataset(), Dataset()
        data = (np.linspace(0, 1, 256) ** 2 * 1023).astype(int)
        item.LUTDescriptor, item.LUTData = [256, 100, 10], data.tolist()
        header.VOILUTSequence = [item]
        header.BitsStored, header.PixelRepresentation = 12, 0
        stored = np.arange(0, 500, dtype=np.uint16)
        theirs = apply_voi_lut(stored, header) / 1023 * 255
        np.testing.assert_allclose(hounsfield.apply_lut(stored, (256, 100, 10), data), theirs, atol=0.51)

    @pytest.mark.parametrize("descriptor", [(3, 0, 8), (4, 0, 0), (4, 0, 17)])
    def test_descriptor_that_lies(self, descriptor):
        with pytest.raises(CTError) as caught:
            hounsfield.apply_lut(np.zeros(2), descriptor, np.arange(4))
        assert caught.value.code == "bad_lut"


class TestNetworkValues:
    def test_normalize_and_zero_center(self):
        hu = np.array([-3000, -1000, -300, 400, 3000], np.int16)
        x = hounsfield.normalize(hu)
        assert x.dtype == np.float32
        np.testing.assert_allclose(x, [0, 0, 0.5, 1, 1], atol=1e-7)
        centered = hounsfield.zero_center(x)
        assert centered.dtype == np.float32
        np.testing.assert_allclose(centered, [-0.25, -0.25, 0.25, 0.75, 0.75], atol=1e-7)
        np.testing.assert_allclose(hounsfield.zero_center(x, mean=0.5)[2], 0, atol=1e-7)

    def test_own_limits_and_nan(self):
        x = hounsfield.normalize(np.array([-160, 40, 240, np.nan]), low=-160, high=240)
        np.testing.assert_allclose(x, [0, 0.5, 1, 0], atol=1e-7)

    def test_input_is_left_alone(self):
        hu = np.array([-500.0, 0.0], np.float32)
        hounsfield.normalize(hu)
        assert hu.tolist() == [-500.0, 0.0]

    def test_limits_the_wrong_way_round(self):
        with pytest.raises(CTError):
            hounsfield.normalize(HU, 400, -1000)


class TestHistogram:
    def test_counts(self):
        counts, edges = hounsfield.histogram(np.array([-5000, -1024, -1009, -1008, 0, 9999]), width=16)
        assert len(counts) == 256
        assert len(edges) == 257
        assert edges[[0, 1, -1]].tolist() == [-1024, -1008, 3072]
        assert counts[0] == 3
        assert counts[1] == 1
        assert counts[64] == 1
        assert counts[-1] == 1
        assert counts.sum() == 6

    def test_agrees_with_numpy_inside(self):
        values = np.random.default_rng(0).normal(0, 300, 5000).clip(-1000, 1500).astype(np.float32)
        counts, edges = hounsfield.histogram(values, -1024, 2000, 21)
        np.testing.assert_array_equal(counts, np.histogram(values, edges)[0])

    def test_nan_counts_nowhere(self):
        assert hounsfield.histogram(np.array([np.nan, 1.0]))[0].sum() == 1

    @pytest.mark.parametrize(("low", "high", "width"), [(0, 0, 1), (0, 10, 0), (10, 0, 1)])
    def test_bad_bins(self, low, high, width):
        with pytest.raises(CTError):
            hounsfield.histogram(HU, low, high, width)
