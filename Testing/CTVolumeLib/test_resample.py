"""Resampling against functions whose values are known everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib.errors import CTError
from CTVolumeLib.resample import around_largest_body, body_area, to_shape, to_spacing, unshear, weights
from CTVolumeLib.volume import CTVolume

RNG = np.random.default_rng(0)
TURN = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)  # i to the back, j to the right, k to the head
GRADIENT = np.array([1.5, -2.0, 0.8])


def points(volume):
    """(k, j, i, 3) LPS mm of all voxel centres."""
    axes = volume.axes()
    _, rows, columns = volume.array.shape
    return (
        volume.origins()[:, None, None, :]
        + np.arange(rows)[:, None, None] * volume.spacing[1] * axes[:, 1]
        + np.arange(columns)[:, None] * volume.spacing[0] * axes[:, 0]
    )


def ramp(**geometry):
    """A volume whose value grows evenly in a slanted direction in space."""
    volume = CTVolume(np.zeros((12, 15, 18), np.float32), origin=(10.0, -20.0, 30.0), **geometry)
    return volume.with_array((points(volume) @ GRADIENT).astype(np.float32))


def corner(volume):
    """LPS mm of the outer corner of the first voxel."""
    return volume.origins()[0] - volume.axes() @ (np.asarray(volume.spacing) / 2)


def inner(volume, original):
    """Voxels of a resampled volume at least one old and one new voxel away from the edges."""
    margins = [int(np.ceil(2 * old / new)) + 1 for old, new in zip(original.spacing, volume.spacing)][::-1]
    return tuple(slice(margin, size - margin) for margin, size in zip(margins, volume.array.shape))


@pytest.mark.parametrize("spacing", [0.7, 1.0, 1.3, (0.5, 2.9, 4.0), 2.2])
def test_a_ramp_stays_a_ramp_in_space(spacing):
    original = ramp(spacing=(0.8, 0.9, 2.5), direction=TURN)
    result = to_spacing(original, spacing)
    region = inner(result, original)
    expected = points(result)[region] @ GRADIENT
    assert expected.size > 20
    np.testing.assert_allclose(result.array[region], expected, atol=1e-3)


def test_extent_is_kept_and_the_spacing_is_the_true_one():
    original = ramp(spacing=(0.8, 0.9, 2.5), direction=TURN)
    result = to_spacing(original, 1.1)
    extent = np.array(original.array.shape[::-1]) * original.spacing
    assert result.array.shape == (27, 12, 13)
    np.testing.assert_allclose(np.array(result.array.shape[::-1]) * result.spacing, extent)
    np.testing.assert_allclose(result.spacing, extent / (13, 12, 27))
    np.testing.assert_allclose(corner(result), corner(original))
    assert result.direction == original.direction


def test_the_same_grid_gives_the_same_values():
    array = RNG.integers(-1000, 1000, (5, 6, 7)).astype(np.int16)
    volume = CTVolume(array, spacing=(0.7, 0.8, 1.9))
    result = to_spacing(volume, (0.7, 0.8, 1.9))
    np.testing.assert_array_equal(result.array, array)
    assert result.array.dtype == np.int16
    np.testing.assert_allclose(result.origin, volume.origin, atol=1e-9)


def test_uneven_slices_are_taken_where_they_are():
    positions = np.array([0, 1, 2, 4, 5, 9, 10, 11, 12.5, 14, 15, 20.0])
    original = ramp(spacing=(1, 1, 1), positions=positions)
    result = to_spacing(original, 1.0)
    assert result.positions is None
    middle = (slice(1, -4), slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(result.array[middle], points(result)[middle] @ GRADIENT, atol=1e-3)
    np.testing.assert_allclose(result.superior()[[0, -1]], [30.0, 52.0], atol=0.5)
    assert result.array.shape[0] * result.spacing[2] == pytest.approx(0.5 + 20 + 2.5)


def test_shrinking_does_not_alias():
    """Stripes finer than the new grid vanish; picked at every fourth voxel they would be as strong as before."""
    stripes = np.where(np.arange(64) // 1 % 2, 500, -500)
    fine = np.sin(np.arange(64) * 2 * np.pi / 3.7) * 500
    for pattern in (stripes, fine):
        volume = CTVolume(np.broadcast_to(pattern, (8, 64, 64)).astype(np.float32))
        result = to_spacing(volume, (4, 4, 1)).array[:, :, 2:-2]
        assert np.abs(result).max() < 60
        transposed = CTVolume(np.ascontiguousarray(volume.array.transpose(2, 0, 1)))
        assert np.abs(to_spacing(transposed, (1, 1, 4)).array[2:-2]).max() < 60


def test_noise_goes_down_when_shrinking_and_the_mean_stays():
    noise = RNG.normal(100, 200, (32, 64, 64)).astype(np.float32)
    result = to_spacing(CTVolume(noise), 4.0).array
    assert result.std() < 200 / 4
    assert result.mean() == pytest.approx(noise.mean(), abs=2)


def test_nothing_new_beyond_the_range_of_values():
    array = RNG.choice([-1024, 3071], (9, 9, 9)).astype(np.int16)
    for spacing in (0.4, 1.0, 2.5):
        result = to_spacing(CTVolume(array), spacing).array
        assert result.min() >= -1024
        assert result.max() <= 3071


def test_to_a_fixed_shape():
    original = ramp(spacing=(0.8, 0.9, 2.5))
    result = to_shape(original, (24, 10, 12))
    assert result.array.shape == (24, 10, 12)
    np.testing.assert_allclose(result.spacing, (18 * 0.8 / 12, 15 * 0.9 / 10, 12 * 2.5 / 24))
    np.testing.assert_allclose(corner(result), corner(original))
    region = inner(result, original)
    np.testing.assert_allclose(result.array[region], points(result)[region] @ GRADIENT, atol=1e-3)
    assert to_shape(CTVolume(np.zeros((3, 4, 5), np.int16))).array.shape == (64, 128, 128)


def test_one_slice_and_one_voxel():
    one = CTVolume(np.full((1, 4, 4), 7, np.int16), spacing=(1, 1, 5))
    result = to_spacing(one, 1.0)
    assert result.array.shape == (5, 4, 4)
    assert np.all(result.array == 7)
    assert result.superior().mean() == pytest.approx(0)
    assert to_spacing(one, 100.0).array.shape == (1, 1, 1)


def test_what_belongs_to_single_slices_is_dropped():
    volume = CTVolume(
        np.zeros((3, 4, 4), np.int16), meta={"slice_index": (2, 1, 0), "kernel": "B30"}, sources=tuple("abc")
    )
    result = to_spacing(volume, 2.0)
    assert result.sources == ()
    assert result.meta == {"kernel": "B30"}


@pytest.mark.parametrize("spacing", [0, -1, float("nan"), (1, 1, float("inf")), 1e-6])
def test_senseless_spacings_are_refused(spacing):
    with pytest.raises(CTError) as caught:
        to_spacing(CTVolume(np.zeros((3, 4, 4), np.int16)), spacing)
    assert caught.value.code == "bad_spacing"


@pytest.mark.parametrize("shape", [(0, 4, 4), (4, 4), (-1, 4, 4)])
def test_senseless_shapes_are_refused(shape):
    with pytest.raises(CTError) as caught:
        to_shape(CTVolume(np.zeros((3, 4, 4), np.int16)), shape)
    assert caught.value.code == "bad_shape"


def test_slices_at_one_place_are_refused():
    with pytest.raises(CTError) as caught:
        to_spacing(CTVolume(np.zeros((3, 4, 4), np.int16), positions=np.array([0.0, 2.0, 2.0])), 1.0)
    assert caught.value.code == "slice_order"


def test_weights_are_exact_for_a_box():
    """Mean of the polyline through (0, 0), (1, 2), (3, 0) over [0.5, 2]: 0.75 from 0.5 to 1, 1.5 from 1 to 2."""
    row = weights(np.array([0.0, 1, 3]), np.array([1.25]), 1.5).toarray()[0]
    assert row.sum() == pytest.approx(1)
    assert row @ [0, 2, 0] == pytest.approx((0.5 * 1.5 + 1 * 1.5) / 1.5)


def sheared(tilt=0.3, count=20):
    """A straight bright rod along the body in slices that a tilted gantry shifts by ``tilt`` mm each mm."""
    rows = np.arange(64)
    step = 3.0
    origins = np.array([[0.0, tilt * step * k, step * k] for k in range(count)])
    array = np.full((count, 64, 40), -1024, np.float32)
    for k in range(count):
        place = 30.0  # LPS P mm of the rod
        array[k] = np.maximum(-1024, 1000 - 400 * np.abs(rows + origins[k, 1] - place))[:, None]
    return CTVolume(array, spacing=(1, 1, step), slice_origins=origins)


def rod_places(volume):
    """LPS P mm of the rod in each slice."""
    profile = volume.array[:, :, volume.array.shape[2] // 2] + 1024.0
    rows = profile @ np.arange(profile.shape[1]) / profile.sum(axis=1)
    return volume.origins()[:, 1] + rows * volume.spacing[1]


def test_a_tilted_gantry_is_undone():
    volume = sheared()
    straight = unshear(volume)
    assert straight.slice_origins is None
    assert np.ptp(straight.origins()[:, 1]) < 1e-9
    np.testing.assert_allclose(rod_places(straight), 30, atol=0.05)
    column = straight.array[:, :, 20].argmax(axis=1)
    assert np.ptp(column) <= 1
    assert np.ptp(volume.array[:, :, 20].argmax(axis=1)) > 10


def test_resampling_undoes_the_tilt_too():
    result = to_spacing(sheared(), (1.0, 1.0, 2.0))
    assert result.slice_origins is None
    np.testing.assert_allclose(rod_places(result), 30, atol=0.1)


def body(count=30, largest=18):
    """Discs of a changing size with lungs inside, over a thin table that is wider than all of them."""
    y, x = np.mgrid[-48:48, -48:48] * 4.0
    array = np.full((count, 96, 96), -1000, np.int16)
    for k in range(count):
        radius = 120 - 3 * abs(k - largest)
        array[k][x**2 + y**2 < radius**2] = 40
        array[k][x**2 + y**2 < (radius - 30) ** 2] = -800
    array[:, 92:93, :] = 200
    return CTVolume(array, spacing=(4, 4, 5), sources=tuple(f"{k}.dcm" for k in range(count)))


def test_area_of_the_body_counts_its_air_but_not_the_table():
    areas = body_area(body())
    assert areas[18] == pytest.approx(np.pi * 12**2, rel=0.05)
    assert body_area(CTVolume(np.full((2, 8, 8), -1000, np.int16))).tolist() == [0, 0]


@pytest.mark.parametrize(("count", "first"), [(1, 18), (6, 15), (20, 8), (28, 2), (40, 0)])
def test_part_about_the_largest_body(count, first):
    volume = body()
    part = around_largest_body(volume, count)
    assert part.array.shape[0] == min(count, 30)
    assert part.sources[0] == f"{first}.dcm"
    assert part.superior()[0] == pytest.approx(volume.superior()[first])


@pytest.mark.realct
def test_a_real_scan_keeps_its_mean_and_its_place(ct_data):
    from CTVolumeLib import dicom

    scan = dicom.read(ct_data / "vol" / "ch11.nii.gz")
    result = to_spacing(scan, 6.0)
    assert result.array.mean() == pytest.approx(scan.array.mean(), abs=5)
    np.testing.assert_allclose(corner(result), corner(scan), atol=1e-6)
