"""One scan as Slicer may hold it: axis orders, transforms, tilted slices, files. The landmarks stay where they are."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from CTVolumeLib import dicom, samples
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

ORDERS = [
    (order, flips) for order in itertools.permutations(range(3)) for flips in itertools.product((False, True), repeat=3)
]


@functools.cache
def sample() -> CTVolume:
    """The sample scan with every second pixel in plane, axial, axes to left, back and head."""
    whole = dicom.read(samples.sample("CTChestSample").path).as_axial()
    spacing = (2 * whole.spacing[0], 2 * whole.spacing[1], whole.spacing[2])
    return CTVolume(
        np.ascontiguousarray(whole.array[:, ::2, ::2]), spacing, whole.origin, direction=whole.direction, meta={}
    )


def ijk_to_ras(volume: CTVolume) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = volume.axes() * volume.spacing
    matrix[:3, 3] = volume.origin
    return np.diag([-1.0, -1, 1, 1]) @ matrix


def make_node(scene, array: np.ndarray, matrix: np.ndarray):
    import slicer.util

    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT chest")
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(array))
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    return node


def landmarks(node) -> dict[str, tuple[float, float, float]]:
    """World RAS of each landmark found, from the points in the scene."""
    from CTSliceLocalizerPanel import locating, location_nodes

    location = locating.locate(node)
    assert location.refused is None
    markups = location_nodes.nodesOf(node).markups
    return {
        markups.GetNthControlPointLabel(number): markups.GetNthControlPointPositionWorld(number)
        for number in range(markups.GetNumberOfControlPoints())
    }


_wanted: dict = {}


@pytest.fixture
def wanted(scene):
    """The landmarks of the scan as it is; located once for all tests."""
    if not _wanted:
        _wanted.update(landmarks(make_node(scene, sample().array, ijk_to_ras(sample()))))
    assert len(_wanted) >= 6
    return _wanted


def assert_same(found: dict, wanted: dict, tolerance_mm: float) -> float:
    assert found.keys() == wanted.keys()
    worst = max(np.linalg.norm(np.subtract(found[name], wanted[name])) for name in wanted)
    assert worst <= tolerance_mm
    return worst


def reordered(order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> tuple[np.ndarray, np.ndarray]:
    """The sample with its (k, j, i) axes in another order and direction, every voxel at its place in the world."""
    array, matrix = sample().array, ijk_to_ras(sample())
    columns = matrix[:3, :3][:, ::-1]  # in the order k, j, i
    origin = matrix[:3, 3].copy()
    steps = columns.copy()
    for axis, flip in enumerate(flips):
        if flip:
            origin += columns[:, axis] * (array.shape[axis] - 1)
            steps[:, axis] = -columns[:, axis]
    array = np.flip(array, axis=[axis for axis, flip in enumerate(flips) if flip]).transpose(order)
    turned = np.eye(4)
    turned[:3, :3] = steps[:, list(order)][:, ::-1]
    turned[:3, 3] = origin
    return array, turned


@pytest.mark.slow
def test_all_48_axis_orders(scene, wanted, capsys):
    worst = 0.0
    for order, flips in ORDERS:
        node = make_node(scene, *reordered(order, flips))
        worst = max(worst, assert_same(landmarks(node), wanted, 0.1))
        scene.RemoveNode(node)
    with capsys.disabled():
        print(f"\nlandmarks in {len(ORDERS)} axis orders: within {worst:.3f} mm")


def rotation(degrees: tuple[float, float, float]) -> np.ndarray:
    out = np.eye(4)
    for axis, angle in enumerate(np.radians(degrees)):
        first, second = [n for n in range(3) if n != axis]
        turn = np.eye(4)
        turn[[first, second], [first, second]] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        out = turn @ out
    out[:3, 3] = (15, -40, 70)
    return out


@pytest.mark.parametrize("degrees", [(20, -35, 50), (90, 0, 0), (0, 180, 0)])
def test_under_a_rotated_transform_that_puts_it_to_the_same_place(scene, wanted, degrees):
    import slicer.util

    turned = rotation(degrees)
    node = make_node(scene, sample().array, np.linalg.inv(turned) @ ijk_to_ras(sample()))
    outer = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "outer")
    inner = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "inner")
    half = rotation((10, 0, 0))
    outer.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(turned @ half))
    inner.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.linalg.inv(half)))
    inner.SetAndObserveTransformNodeID(outer.GetID())
    node.SetAndObserveTransformNodeID(inner.GetID())
    assert_same(landmarks(node), wanted, 0.1)


def test_a_patient_who_lies_obliquely(scene, wanted):
    """The scan is turned by 8 degrees as it is: its landmarks turn along."""
    turned = rotation((8, 0, 5))
    node = make_node(scene, sample().array, turned @ ijk_to_ras(sample()))
    moved = {name: (turned @ [*point, 1])[:3] for name, point in wanted.items()}
    assert_same(landmarks(node), moved, 3.0)


def tilted_sample(degrees: float) -> CTVolume:
    """The sample as a gantry that is tilted about the left-right axis would take it: slices at the same heights."""
    volume = sample()
    count, rows, columns = volume.array.shape
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    _, spacing_y, spacing_z = volume.spacing
    back = (np.arange(rows) - (rows - 1) / 2) * spacing_y  # along the tilted rows, from the middle
    j = (rows - 1) / 2 + back * cos / spacing_y
    k = np.arange(count)[:, None] + back * sin / spacing_z
    where = np.stack(np.broadcast_arrays(k[..., None], j[:, None], np.arange(columns)))
    array = ndimage.map_coordinates(volume.array, where, order=1, cval=-1024)
    middle = volume.origins() + np.array([0, spacing_y * (rows - 1) / 2, 0])
    axis_j, normal = np.array([0, cos, sin]), np.array([0, -sin, cos])
    origins = middle - axis_j * spacing_y * (rows - 1) / 2
    return CTVolume(
        array,
        volume.spacing,
        tuple(origins[0]),
        direction=tuple(np.stack([[1, 0, 0], axis_j, normal], axis=1).ravel()),
        positions=(origins - origins[0]) @ normal,
        slice_origins=origins,
    )


def test_as_a_tilted_series_under_its_acquisition_transform(scene, wanted):
    from CTSliceLocalizerLib import predictor
    from CTVolumeLib import scene as ctscene

    volume = tilted_sample(12)
    node = ctscene.node_from_volume(volume, "CT chest")
    assert node.GetParentTransformNode() is not None
    found = landmarks(node)
    alone = predictor.locate(volume)
    assert found.keys() >= wanted.keys() - {"T1"}  # at the tilted upper end
    for name, point in found.items():
        assert point[2] == pytest.approx(alone.landmark(name).z_mm, abs=0.1), name
        # A point in the middle of the slice that shows the landmark; 60 mm behind it, where the spine is, that slice
        # lies 12 mm higher.
        assert point == pytest.approx(wanted[name], abs=6.0 + 60 * np.sin(np.radians(12))), name


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd"])
def test_from_a_file_that_slicer_reads(scene, wanted, tmp_path, ending):
    import slicer
    import vtk

    written = make_node(scene, sample().array, ijk_to_ras(sample()))
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    path = tmp_path / f"chest.{ending}"
    storage.SetFileName(str(path))
    storage.SetScene(scene)
    assert storage.WriteData(written)
    node = slicer.modules.volumes.logic().AddArchetypeScalarVolume(str(path), "chest", 0, vtk.vtkStringArray())
    assert_same(landmarks(node), wanted, 0.1)


@pytest.mark.realct
@pytest.mark.parametrize("name", ["head_tilted_uneven", "chest_8mm_jpeg2000"])
def test_real_series_with_tilt_and_uneven_slices(scene, ct_data, name):
    """The node lies under an acquisition transform and gives what the series gives by itself, on its slices."""
    from CTSliceLocalizerLib import predictor
    from CTSliceLocalizerPanel import locating, location_nodes
    from CTVolumeLib import scene as ctscene

    volume = dicom.read(ct_data / "dicom" / name)
    node = ctscene.node_from_volume(volume, name)
    found, wanted = locating.locate(node), predictor.locate(volume)
    assert found.location == pytest.approx(wanted.location, abs=2e-3)
    markups = location_nodes.nodesOf(node).markups
    inside = [landmark for landmark in found.landmarks if landmark.inside]
    assert markups.GetNumberOfControlPoints() == len(inside)
    for number, landmark in enumerate(inside):
        assert markups.GetNthControlPointPositionWorld(number)[2] == pytest.approx(landmark.z_mm, abs=0.05)
        assert landmark.z_mm == pytest.approx(wanted.landmark(landmark.name).z_mm, abs=1.0)
