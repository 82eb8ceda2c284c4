"""The phantom's segmentation: right names, right sides, in agreement with the scan, and a file that others read."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from CTVolumeLib import phantom, phantom_structures


@pytest.fixture(scope="module")
def segmented():
    made = phantom.make(phantom.PhantomParameters(spacing=(3.0, 3.0, 4.0), noise=0, seed=5, variation=0.05))
    return made, *phantom_structures.segment(made)


def test_names_are_those_of_totalsegmentator(segmented):
    _, labels, names = segmented
    vertebrae = [f"vertebrae_{kind}{n}" for kind, count in (("C", 7), ("T", 12), ("L", 5)) for n in range(1, count + 1)]
    others = ["skull", "brain", "aorta", "trachea", "liver"]
    pairs = [f"{thing}_{side}" for thing in ("eye", "hip", "femur", "lung") for side in ("left", "right")]
    assert set(names) == {*vertebrae, *others, *pairs}
    assert set(np.unique(labels)) == {0, *names.values()}


def test_left_is_left(segmented):
    made, labels, names = segmented
    x = made.volume.origin[0] + np.arange(labels.shape[2]) * made.volume.spacing[0]
    for thing in ("eye", "hip", "femur", "lung"):
        for side, sign in (("left", 1), ("right", -1)):
            inside = (labels == names[f"{thing}_{side}"]).sum(axis=(0, 1))
            assert sign * np.average(x, weights=inside) > 15


def test_structures_lie_where_the_scan_shows_them(segmented):
    made, labels, names = segmented
    hu = made.volume.array
    for name, low, high in (("brain", 0, 80), ("liver", 30, 90), ("vertebrae_L3", 150, 900), ("trachea", -1024, -700)):
        assert low < np.median(hu[labels == names[name]]) < high, name
    order = [np.argwhere(labels == names[f"vertebrae_T{n}"])[:, 0].mean() for n in range(1, 13)]
    assert np.all(np.diff(order) < 0)


def test_the_file_holds_names_and_place(segmented, tmp_path):
    made, labels, names = segmented
    phantom_structures.write_segmentation(made, tmp_path / "s.seg.nrrd")
    image = sitk.ReadImage(str(tmp_path / "s.seg.nrrd"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), labels)
    assert image.GetOrigin() == pytest.approx(made.volume.origin)
    assert image.GetSpacing() == pytest.approx(made.volume.spacing)
    found = {
        image.GetMetaData(f"Segment{n}_Name"): int(image.GetMetaData(f"Segment{n}_LabelValue"))
        for n in range(len(names))
    }
    assert found == names


def test_what_the_scan_leaves_out_is_left_out():
    made = phantom.make(phantom.PhantomParameters(spacing=(4.0, 4.0, 5.0), coverage=(0.2, 0.3), noise=0))
    _, names = phantom_structures.segment(made)
    assert {"aorta", "liver", "vertebrae_T8"} <= set(names)
    assert not {"skull", "femur_left", "vertebrae_C1", "vertebrae_L4"} & set(names)
