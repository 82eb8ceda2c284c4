"""Geometry of volumes, checked against SimpleITK on grids whose three axes differ."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import SimpleITK as sitk
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume

SHAPE = (4, 5, 6)
ORIENTATIONS = [
    "".join(letters) for axes in itertools.permutations(("LR", "PA", "SI")) for letters in itertools.product(*axes)
]


def _volume(**changes: object) -> CTVolume:
    array = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    return CTVolume(array, **{"spacing": (0.5, 0.7, 2.0), "origin": (-10.0, 20.0, 30.0), **changes})


def _image(volume: CTVolume) -> sitk.Image:
    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(volume.spacing)
    image.SetOrigin(volume.origin)
    image.SetDirection(volume.direction)
    return image


def _from_image(image: sitk.Image) -> CTVolume:
    return CTVolume(sitk.GetArrayFromImage(image), image.GetSpacing(), image.GetOrigin(), image.GetDirection())


class TestAsAxial:
    @pytest.mark.parametrize("orientation", ORIENTATIONS)
    def test_every_orientation_comes_back_to_the_same_scan(self, orientation: str) -> None:
        plain = _volume()
        stored = _from_image(sitk.DICOMOrient(_image(plain), orientation))
        axial = stored.as_axial()
        np.testing.assert_array_equal(axial.array, plain.array)
        np.testing.assert_allclose(axial.origin, plain.origin)
        np.testing.assert_allclose(axial.spacing, plain.spacing)
        np.testing.assert_allclose(axial.superior(), plain.superior())

    def test_oblique_axes_stay_oblique(self) -> None:
        angle = np.deg2rad(20)
        tilt = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
        volume = _volume(direction=tuple((tilt @ np.diag([1, -1, -1])).ravel()))
        axial = volume.as_axial()
        image, back = _image(volume), _image(axial)
        for index in itertools.product((0, 5), (0, 4), (0, 3)):
            point = back.TransformIndexToPhysicalPoint(index)
            assert image.GetPixel(image.TransformPhysicalPointToIndex(point)) == back.GetPixel(index)

    def test_upside_down_uneven_slices_keep_their_files_and_places(self) -> None:
        volume = _volume(
            direction=(1, 0, 0, 0, -1, 0, 0, 0, -1),
            positions=np.array([0.0, 2.0, 5.0, 9.0]),
            sources=("a", "b", "c", "d"),
        )
        axial = volume.as_axial()
        assert axial.sources == ("d", "c", "b", "a")
        assert axial.meta["slice_index"] == (3, 2, 1, 0)
        np.testing.assert_allclose(axial.superior(), [21, 25, 28, 30])
        np.testing.assert_allclose(np.diff(axial.positions), [4, 3, 2])
        np.testing.assert_array_equal(axial.array[0], volume.array[3][::-1])

    def test_uneven_coronal_slices_are_refused(self) -> None:
        volume = _volume(direction=(1, 0, 0, 0, 0, 1, 0, -1, 0), positions=np.array([0.0, 2.0, 5.0, 9.0]))
        with pytest.raises(CTError, match="uneven"):
            volume.as_axial()


class TestSuperior:
    def test_is_the_height_of_the_slice_centre(self) -> None:
        angle = np.deg2rad(30)
        tilt = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
        volume = _volume(direction=tuple(tilt.ravel()))
        image = _image(volume)
        expected = [image.TransformContinuousIndexToPhysicalPoint((2.5, 2.0, float(k)))[2] for k in range(4)]
        np.testing.assert_allclose(volume.superior(), expected)

    def test_sheared_slices_lie_where_their_origins_are(self) -> None:
        origins = np.array([[0, 0, 0], [0, 1, 3], [0, 2, 6], [0, 3, 9]], dtype=float)
        np.testing.assert_allclose(_volume(slice_origins=origins).superior(), [0, 3, 6, 9])


class TestCrop:
    def test_every_voxel_stays_at_its_place(self) -> None:
        volume = _volume(direction=(0, 0, 1, 1, 0, 0, 0, 1, 0))
        part = volume.crop(k=slice(1, 3), j=slice(2, 5), i=slice(1, 4))
        whole, cut = _image(volume), _image(part)
        for index in itertools.product(range(3), range(3), range(2)):
            point = cut.TransformIndexToPhysicalPoint(index)
            assert whole.GetPixel(whole.TransformPhysicalPointToIndex(point)) == cut.GetPixel(index)

    def test_an_empty_crop_is_refused(self) -> None:
        with pytest.raises(CTError, match="non-empty"):
            _volume().crop(k=slice(3, 3))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"spacing": (0.0, 1.0, 1.0)}, "bad_spacing"),
        ({"spacing": (float("nan"), 1.0, 1.0)}, "bad_spacing"),
        ({"direction": (1.0, 0, 0, 0, 1, 0, 0, 1, 0)}, "bad_direction"),
        ({"array": np.zeros((0, 4, 4), np.int16)}, "bad_shape"),
        ({"array": np.zeros((4, 4), np.int16)}, "bad_shape"),
    ],
)
def test_impossible_geometry_is_refused(changes: dict, code: str) -> None:
    with pytest.raises(CTError) as error:
        CTVolume(**{"array": np.zeros(SHAPE, np.int16), **changes})
    assert error.value.code == code


def test_other_values_need_the_same_shape() -> None:
    with pytest.raises(CTError, match="shape"):
        _volume().with_array(np.zeros((1, 2, 3)))
