"""Pictures show the patient the radiologists' way round, at true size, however the scan is stored."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest
from CTVolumeLib.errors import CTError
from CTVolumeLib.render import BONE, axial, montage, to_png, upright
from CTVolumeLib.volume import CTVolume

SOFT = (40.0, 400.0)


def patient(spacing=(2.0, 2.0, 5.0)):
    """A box of soft tissue with a bright marker each at the right, the back and the head. Index order: L, P, S."""
    array = np.full((30, 60, 80), -1000, np.int16)
    array[2:28, 10:50, 10:70] = 40
    array[14:16, 25:35, 12:16] = 1000  # right
    array[14:16, 44:48, 35:45] = 1000  # back
    array[25:27, 28:32, 38:42] = 1000  # head
    return CTVolume(array, spacing=spacing, origin=(-79.0, -200.0, 1000.0))


def flipped(volume, signs, order=(0, 1, 2)):
    """The same patient stored with axes turned round and swapped."""
    array, origin = volume.array, np.array(volume.origin, float)
    axes = np.eye(3)
    for axis in range(3):
        if signs[axis] < 0:
            origin[axis] += volume.spacing[axis] * (array.shape[2 - axis] - 1)
            array = np.flip(array, 2 - axis)
            axes[axis, axis] = -1
    array = array.transpose([2 - axis for axis in order[::-1]])
    return CTVolume(
        array, tuple(volume.spacing[axis] for axis in order), tuple(origin), tuple(axes[:, list(order)].ravel())
    )


def bright(picture):
    """Columns and rows, as fractions of the picture, where the brightest things lie."""
    rows, columns = np.nonzero(picture.pixels == 255)
    return columns.mean() / picture.pixels.shape[1], rows.mean() / picture.pixels.shape[0]


WAYS = [
    ((1, 1, 1), (0, 1, 2)),
    ((-1, -1, 1), (0, 1, 2)),
    ((1, -1, -1), (0, 1, 2)),
    ((1, 1, -1), (0, 2, 1)),
    ((-1, 1, -1), (1, 2, 0)),
]


@pytest.mark.parametrize(("signs", "order"), WAYS)
def test_way_round_of_every_view(signs, order):
    volume = flipped(patient(), signs, order)
    x, y = bright(axial(volume, 14))
    assert x < 0.5 < y  # the right marker is at the left, the back one at the bottom
    right = upright(volume, "sagittal", at_mm=-79 + 2 * 13)
    back = upright(volume, "coronal", at_mm=-200 + 2 * 46)
    top = upright(volume, "coronal", at_mm=-200 + 2 * 30)
    assert bright(right)[0] == pytest.approx(0.5, abs=0.02)
    assert bright(back)[0] == pytest.approx(0.5, abs=0.02)
    assert bright(back)[1] == pytest.approx(0.5, abs=0.04)
    rows, _ = np.nonzero(top.pixels[: top.pixels.shape[0] // 3] == 255)
    assert rows.size  # the marker of the head is in the upper third
    front = upright(volume, "sagittal", at_mm=-79 + 2 * 40)
    _, columns = np.nonzero(front.pixels[front.pixels.shape[0] // 3 :] == 255)
    assert columns.mean() / front.pixels.shape[1] > 0.7  # the back is at the right


@pytest.mark.parametrize(("signs", "order"), WAYS)
def test_all_ways_of_storing_give_the_same_pictures(signs, order):
    expected, volume = patient(), flipped(patient(), signs, order)
    for draw in (
        lambda v: axial(v, 20),
        lambda v: upright(v, "coronal"),
        lambda v: upright(v, "sagittal"),
        lambda v: upright(v, "coronal", mode="max"),
    ):
        np.testing.assert_array_equal(draw(volume).pixels, draw(expected).pixels)
        np.testing.assert_allclose(draw(volume).extent_mm, draw(expected).extent_mm)


def test_pixels_are_square_and_extents_true():
    volume = patient((1.0, 2.0, 5.0))
    for picture, extent in (
        (axial(volume, 3), (-79.5, 0.5, -81.0, -201.0)),
        (upright(volume, "coronal"), (-79.5, 0.5, 997.5, 1147.5)),
        (upright(volume, "sagittal"), (-201.0, -81.0, 997.5, 1147.5)),
    ):
        left, right, bottom, top = picture.extent_mm
        assert picture.extent_mm == pytest.approx(extent)
        rows, columns = picture.pixels.shape
        assert (right - left) / columns == pytest.approx(abs(top - bottom) / rows, rel=0.02)


def test_places_in_pixels_agree_with_the_extent():
    """The right marker lies from index 12 to 15 across and 14 to 15 in height; also in a thinned-out projection."""
    for spacing, grown in (((2.0, 2.0, 5.0), 1), ((0.2, 0.2, 5.0), 10)):
        volume = patient(spacing)
        volume = CTVolume(volume.array.repeat(grown, 1).repeat(grown, 2), spacing, (0, 0, 1000.0))
        for mode in ("plane", "max"):
            picture = upright(volume, "coronal", at_mm=60.0, slab_mm=1.0, mode=mode, window=BONE, pixel_mm=1.0)
            rows, columns = np.nonzero(picture.pixels[:, : picture.pixels.shape[1] // 3] > 180)
            left, right, bottom, top = picture.extent_mm
            x = left + (columns.mean() + 0.5) * (right - left) / picture.pixels.shape[1]
            z = top - (rows.mean() + 0.5) * (top - bottom) / picture.pixels.shape[0]
            assert x == pytest.approx(13.5 * 2 + (0 if grown == 1 else 0.9), abs=0.6)
            assert z == pytest.approx(1000 + 14.5 * 5, abs=0.6)


def test_uneven_slices_are_put_where_they_are():
    """A slope whose zero is a slanted line in space: it stays one in the picture, also across the gaps."""
    positions = np.array([0, 1, 2, 3, 4, 5, 10, 20, 21, 22, 23, 24, 30.0])
    slope = 100 * (5 + positions[:, None] - np.arange(40))
    array = np.repeat(slope[:, None, :], 10, axis=1).astype(np.int16)
    picture = upright(CTVolume(array, positions=positions), "coronal", window=(0, 20000), pixel_mm=1.0)
    assert picture.extent_mm == pytest.approx((-0.5, 39.5, -0.5, 33.0))
    edge = (picture.pixels[::-1] > 127).sum(axis=1)
    z = -0.5 + (np.arange(len(edge)) + 0.5) * 33.5 / len(edge)
    inside = (z > 0) & (z < 30)
    np.testing.assert_allclose(edge[inside], 5.5 + z[inside], atol=1.1)


def test_modes():
    volume = patient()
    plane, mean, most = (
        upright(volume, "coronal", at_mm=-200.0 + 40, mode=mode, window=BONE) for mode in ("plane", "mean", "max")
    )
    assert most.pixels.max() >= plane.pixels.max() >= mean.pixels.max()
    slab = upright(volume, "coronal", at_mm=-200 + 2 * 46, mode="max", slab_mm=4.0, window=BONE).pixels
    assert slab.max() == upright(volume, "coronal", at_mm=-200 + 2 * 46, window=BONE).pixels.max()
    assert upright(volume, "coronal", at_mm=-200 + 2 * 20, mode="max", slab_mm=4.0, window=BONE).pixels.max() < 100
    with pytest.raises(CTError):
        upright(volume, "coronal", mode="min")
    with pytest.raises(CTError, match="no plane"):
        upright(volume, "oblique")


def test_the_middle_of_the_body_is_shown_where_nothing_is_asked_for():
    array = np.full((10, 50, 50), -1000, np.int16)
    array[:, 30:40, 5:15] = 40
    volume = CTVolume(array, spacing=(2, 2, 5))
    assert (upright(volume, "coronal").pixels > 100).any()
    assert (upright(volume, "sagittal").pixels > 100).any()
    assert upright(CTVolume(np.full((3, 5, 5), -1000, np.int16)), "coronal").pixels.max() == 0


def test_finer_slices_than_pixels_are_averaged():
    array = np.zeros((200, 4, 20), np.int16)
    array[::2] = 400
    picture = upright(CTVolume(array, spacing=(2, 2, 0.2)), "coronal", window=(200, 400))
    assert picture.pixels.shape == (20, 20)
    assert np.ptp(picture.pixels[1:-1].astype(int)) < 30


def test_sheared_slices_are_straightened():
    origins = np.array([[0.0, 1.0 * k, 3.0 * k] for k in range(20)])
    array = np.full((20, 60, 20), -1000, np.int16)
    for k in range(20):
        array[k, 40 - k - 2 : 40 - k + 3] = 1000
    picture = upright(CTVolume(array, spacing=(1, 1, 3), slice_origins=origins), "sagittal", window=(0, 1000))
    place = picture.pixels.argmax(axis=1)
    assert np.ptp(place) <= 1


def test_one_slice_and_odd_values():
    for array in (np.zeros((1, 5, 6), np.int16), np.full((2, 5, 6), np.nan, np.float32), np.full((2, 1, 1), np.inf)):
        for picture in (
            axial(CTVolume(array), 0),
            upright(CTVolume(array), "coronal"),
            upright(CTVolume(array), "sagittal"),
        ):
            assert picture.pixels.dtype == np.uint8
            assert picture.pixels.size
    with pytest.raises(CTError):
        axial(CTVolume(np.zeros((1, 5, 6))), 1)


def test_a_long_scan_gives_a_picture_of_a_sensible_size():
    picture = upright(CTVolume(np.zeros((3000, 8, 8), np.int16), spacing=(0.1, 0.1, 1.0)), "coronal")
    assert max(picture.pixels.shape) <= 2048


def test_projecting_needs_little_memory():
    volume = CTVolume(np.zeros((100, 512, 512), np.int16), spacing=(0.8, 0.8, 2.0))
    tracemalloc.start()
    upright(volume, "coronal", mode="mean")
    upright(volume, "sagittal", mode="max")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < volume.array.nbytes / 8


def test_montage():
    first, second, third = (
        np.full((4, 6), 100, np.uint8),
        np.full((2, 6), 200, np.uint8),
        np.full((4, 2, 3), 7, np.uint8),
    )
    grey = montage([first, second], columns=2, gap=2)
    assert grey.shape == (4, 14)
    assert (grey[:, :6] == 100).all()
    assert (grey[:, 6:8] == 0).all()
    assert (grey[1:3, 8:] == 200).all()
    colour = montage([first, second, third], gap=1, background=9)
    assert colour.shape == (9, 13, 3)
    assert (colour[5:9, 2:4] == 7).all()
    assert (colour[5:9, 7:] == 9).all()
    with pytest.raises(CTError):
        montage([])


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 3), (1, 1), (300, 200)])
def test_png_is_read_back_by_others(shape, tmp_path):
    from PIL import Image

    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(to_png(image)))), image)
    import SimpleITK as sitk

    (tmp_path / "a.png").write_bytes(to_png(image))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.png"))), image)


@pytest.mark.parametrize("image", [np.zeros((2, 2)), np.zeros((2, 2, 4), np.uint8), np.zeros((0, 2), np.uint8)])
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(CTError):
        to_png(image)


@pytest.mark.realct
@pytest.mark.parametrize("name", ["tb02", "ch11"])
def test_a_real_patient_is_the_right_way_round(ct_data, name):
    """Under the right dome there is liver at the left of a coronal picture; the spine is at the bottom of slices."""
    from CTVolumeLib import dicom

    scan = dicom.read(ct_data / "vol" / f"{name}.nii.gz")
    picture = axial(scan, scan.array.shape[0] // 2, window=(500, 100))
    rows, _ = np.nonzero(picture.pixels > 250)
    assert rows.mean() > 0.55 * picture.pixels.shape[0]
    height = {"tb02": slice(0.15, 0.3), "ch11": slice(0.85, 1.0)}[name]
    frontal = upright(scan, "coronal", window=(90, 120)).pixels
    band = frontal[int(height.start * len(frontal)) : int(height.stop * len(frontal))]
    half = band.shape[1] // 2
    tissue = (band > 60) & (band < 250)
    assert tissue[:, :half].sum() > 1.3 * tissue[:, half:].sum()
    side = upright(scan, "sagittal", mode="max", window=(600, 600)).pixels > 200
    assert np.nonzero(side)[1].mean() > 0.5 * side.shape[1]
