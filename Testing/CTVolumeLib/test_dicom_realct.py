"""Real DICOM as it comes from scanners and archives, against the same scans read by others."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib import dicom
from scipy import ndimage
from support_dicom import codes, zipped

pytestmark = pytest.mark.realct


@pytest.mark.parametrize(
    ("folder", "name", "slices", "ends"),
    [("abdomen_kits136_jpegls", "tb02", 74, (-699.3, -334.3)), ("chest_8mm_jpeg2000", "ch14", 30, (80.0, 312.0))],
)
def test_equals_the_volume_made_from_it(ct_data, folder, name, slices, ends):
    volume = dicom.read(ct_data / "dicom" / folder)
    assert codes(volume) == []
    assert volume.array.shape == (slices, 512, 512)
    assert volume.superior()[[0, -1]] == pytest.approx(ends, abs=0.01)
    other = dicom.read(ct_data / "vol" / f"{name}.nii.gz").as_axial()
    at = [int(np.argmin(np.abs(other.superior() - z))) for z in volume.superior()]
    np.testing.assert_allclose(other.superior()[at], volume.superior(), atol=0.01)
    # The other is averaged in-plane and rounded to 8 HU (32 in air); slices next to it must fit worse.
    _, rows, columns = other.array.shape
    j = (np.arange(rows) * other.spacing[1] + other.origin[1] - volume.origin[1]) / volume.spacing[1]
    i = (np.arange(columns) * other.spacing[0] + other.origin[0] - volume.origin[0]) / volume.spacing[0]
    width = other.spacing[0] / volume.spacing[0]
    for k in range(0, slices, 7):
        smooth = ndimage.uniform_filter(volume.array[k].astype(np.float32), width)
        coarse = ndimage.map_coordinates(smooth, np.meshgrid(j, i, indexing="ij"), order=1, mode="nearest")
        assert np.median(np.abs(coarse - other.array[at[k]])) < 10
        assert np.mean(np.abs(coarse - other.array[at[k]])) < 30
        if 0 < at[k] < len(other.array) - 1:
            errors = [np.mean(np.abs(coarse - other.array[at[k] + step])) for step in (-1, 0, 1)]
            assert int(np.argmin(errors)) == 1


def test_file_order_is_not_slice_order_but_sources_follow(ct_data):
    volume = dicom.read(ct_data / "dicom" / "abdomen_kits136_jpegls")
    assert list(volume.sources) != sorted(volume.sources)
    for k in (0, 40, 73):
        alone = dicom.read(volume.sources[k])
        np.testing.assert_array_equal(alone.array[0], volume.array[k])
        assert alone.superior()[0] == pytest.approx(volume.superior()[k])


def test_head_with_tilt_and_uneven_slices(ct_data):
    volume = dicom.read(ct_data / "dicom" / "head_tilted_uneven")
    assert set(codes(volume)) == {"uneven_spacing", "gantry_tilt"}
    notes = dict(volume.meta["warnings"])
    assert "18.5 degrees" in notes["gantry_tilt"]
    assert "1.081 to 6.999 mm" in notes["uneven_spacing"]
    assert volume.array.shape == (28, 512, 512)
    z = volume.superior()
    assert np.all(np.diff(z) > 0)
    # The first slice by its header: y and z of its first voxel, and half of the picture along the tilted column.
    assert z[0] == pytest.approx(5.8360586 - 0.3173047 * 0.4882812 * 511 / 2, abs=1e-3)
    np.testing.assert_allclose(np.diff(z)[[0, 13, 20]], [4.22, 1.14, 7.38], atol=0.01)
    assert volume.array.min() == -1024  # the padding was -1500
    inside = volume.array[14, 200:300, 200:300]
    assert 20 < np.median(inside) < 60  # brain


def test_unsheared_head_is_a_box_with_the_same_voxels(ct_data):
    plain = dicom.read(ct_data / "dicom" / "head_tilted_uneven")
    box = dicom.read(ct_data / "dicom" / "head_tilted_uneven", unshear=True)
    assert box.slice_origins is None
    np.testing.assert_allclose(np.diff(box.origins(), axis=0) @ box.axes()[:, 1], 0, atol=1e-6)
    for k in (0, 13, 27):  # the centre of the bone, in mm, is where it was
        places = []
        for volume in (plain, box):
            j, i = np.nonzero(volume.array[k] > 500)
            axes = volume.axes()
            places.append(
                volume.origins()[k]
                + axes[:, 0] * volume.spacing[0] * i.mean()
                + axes[:, 1] * volume.spacing[1] * j.mean()
            )
        np.testing.assert_allclose(places[0], places[1], atol=0.5)


def test_messy_folder(ct_data):
    folder = ct_data / "dicom" / "head_phantom_messy"
    found = dicom.series_in(folder)
    usable = [item for item in found if item.unusable is None]
    assert [item.count for item in usable] == [28, 12]
    assert sorted(item.code for item in found if item.unusable) == ["localizer", "localizer", "not_ct"]
    volume = dicom.read(folder)
    np.testing.assert_allclose(volume.superior()[[0, -1]], [696.21, 831.21], atol=0.01)
    assert volume.spacing[2] == pytest.approx(5.0)
    assert codes(volume) == ["other_series"]
    tilted = dicom.read_series(usable[1])
    assert codes(tilted) == ["missing_slices", "gantry_tilt"]
    assert "16.5 degrees" in dict(tilted.meta["warnings"])["gantry_tilt"]


def test_zip_of_a_real_series(ct_data, tmp_path):
    folder = ct_data / "dicom" / "chest_8mm_jpeg2000"
    np.testing.assert_array_equal(
        dicom.read(zipped(folder, tmp_path / "chest.zip")).array[::10], dicom.read(folder).array[::10]
    )
