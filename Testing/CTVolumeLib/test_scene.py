"""Nodes <-> CTVolume, on a real MRML scene (slicer-core)."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume
from support_volume_nodes import (
    DIRECTIONS,
    SHAPE,
    linear_transform,
    make_node,
    matrix,
    rotation,
    slice_transform,
    voxels,
)


@pytest.fixture
def lib(world):
    """The library under test; it needs slicer, so it is imported here."""
    from CTVolumeLib import scene

    return scene


def place_lps(volume: CTVolume, k: float, j: float, i: float) -> np.ndarray:
    """LPS mm of a voxel, from the fields of the volume alone."""
    axes = volume.axes()
    return volume.origins()[k] + axes[:, 0] * volume.spacing[0] * i + axes[:, 1] * volume.spacing[1] * j


def assert_same_places(volume: CTVolume, node, atol=1e-6) -> None:
    """Every corner voxel lies where Slicer says it does, in the world."""
    import slicer
    import slicer.util
    import vtk

    ijk_to_ras = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(ijk_to_ras)
    to_world = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(node.GetParentTransformNode(), None, to_world)
    for k in range(SHAPE[0]):
        for j in (0, SHAPE[1] - 1):
            for i in (0, SHAPE[2] - 1):
                ras = to_world.TransformPoint(ijk_to_ras.MultiplyPoint((i, j, k, 1))[:3])
                assert place_lps(volume, k, j, i) == pytest.approx(np.array(ras) * [-1, -1, 1], abs=atol)


class TestVolumeFromNode:
    @pytest.mark.parametrize("directions", DIRECTIONS.values(), ids=DIRECTIONS)
    def test_places_of_all_orientations(self, scene, lib, directions):
        node = make_node(scene, matrix(directions))
        volume = lib.volume_from_node(node)
        assert_same_places(volume, node)
        assert volume.spacing == pytest.approx((0.7, 0.8, 2.5))
        assert volume.positions is None
        assert volume.slice_origins is None
        assert volume.direction == pytest.approx((np.diag([-1, -1, 1]) @ directions).ravel())

    def test_superior_is_lps_z(self, scene, lib):
        volume = lib.volume_from_node(make_node(scene, matrix(DIRECTIONS["upside-down"])))
        assert volume.superior() == pytest.approx([30, 27.5, 25, 22.5])

    @pytest.mark.parametrize("dtype", [np.int16, np.float32])
    def test_shares_the_memory_of_the_node(self, scene, lib, dtype):
        import slicer.util

        node = make_node(scene, matrix(), voxels(dtype))
        volume = lib.volume_from_node(node)
        assert np.shares_memory(volume.array, slicer.util.arrayFromVolume(node))
        assert volume.array.dtype == dtype

    @pytest.mark.parametrize(
        ("dtype", "expected"),
        [(np.int32, np.int16), (np.uint16, np.int16), (np.uint8, np.int16), (np.float64, np.float32)],
    )
    def test_other_types_keep_their_values(self, scene, lib, dtype, expected):
        array = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(dtype)
        volume = lib.volume_from_node(make_node(scene, matrix(), array))
        assert volume.array.dtype == expected
        assert np.array_equal(volume.array, array)

    def test_values_beyond_int16_are_not_wrapped(self, scene, lib):
        array = np.full(SHAPE, 70000, dtype=np.int32)
        assert lib.volume_from_node(make_node(scene, matrix(), array)).array[0, 0, 0] == 70000

    def test_linear_parent_transforms_count(self, scene, lib):
        node = make_node(scene, matrix())
        outer, inner = np.eye(4), np.eye(4)
        outer[:3, :3], outer[:3, 3] = rotation(0, 0, 30), (5, 6, 7)
        inner[:3, :3], inner[:3, 3] = rotation(10, 0, 0), (-100, 0, 50)
        top, below = linear_transform(scene, outer), linear_transform(scene, inner)
        below.SetAndObserveTransformNodeID(top.GetID())
        node.SetAndObserveTransformNodeID(below.GetID())
        volume = lib.volume_from_node(node)
        assert_same_places(volume, node)
        expected = (outer @ inner @ matrix())[:3, 3] * [-1, -1, 1]
        assert volume.origin == pytest.approx(expected)

    def test_a_shearing_transform_gives_sheared_slices(self, scene, lib):
        node = make_node(scene, matrix())
        shear = np.eye(4)
        shear[1, 2] = 0.3
        node.SetAndObserveTransformNodeID(linear_transform(scene, shear).GetID())
        volume = lib.volume_from_node(node)
        assert_same_places(volume, node)
        assert volume.slice_origins is not None
        assert volume.spacing == pytest.approx((0.7, 0.8, 2.5))

    def test_uneven_slices_of_an_acquisition_transform(self, scene, lib):
        node = make_node(scene, matrix())
        off = np.zeros((4, 3))
        off[:, 2] = [0, 0.5, -1, 0]
        node.SetAndObserveTransformNodeID(slice_transform(scene, off).GetID())
        volume = lib.volume_from_node(node)
        assert_same_places(volume, node)
        assert volume.positions == pytest.approx([0, 3, 4, 7.5])
        assert volume.slice_origins is None
        assert volume.superior() == pytest.approx([30, 33, 34, 37.5])

    def test_gantry_tilt_of_an_acquisition_transform(self, scene, lib):
        node = make_node(scene, matrix())
        off = np.zeros((4, 3))
        off[:, 1] = np.arange(4) * 0.9
        node.SetAndObserveTransformNodeID(slice_transform(scene, off).GetID())
        volume = lib.volume_from_node(node)
        assert_same_places(volume, node)
        assert volume.slice_origins[:, 1] == pytest.approx(20 - np.arange(4) * 0.9)

    def test_a_bending_transform_is_refused(self, scene, lib):
        """Also one that leaves the corners of the slices where they are."""
        import slicer
        import vtk

        image = vtk.vtkImageData()
        image.SetOrigin(-500, -500, -500)
        image.SetSpacing(500, 500, 500)
        image.SetDimensions(3, 3, 3)
        image.AllocateScalars(vtk.VTK_DOUBLE, 3)
        image.GetPointData().GetScalars().Fill(0)
        image.SetScalarComponentFromDouble(1, 1, 1, 2, 4.0)
        grid = slicer.vtkOrientedGridTransform()
        grid.SetDisplacementGridData(image)
        transform = scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "bump")
        transform.SetAndObserveTransformToParent(grid)
        node = make_node(scene, matrix(spacing=(200, 250, 2.5), origin=(500, 500, 0)))
        node.SetAndObserveTransformNodeID(transform.GetID())
        with pytest.raises(CTError, match="CT bends or skews its slices") as error:
            lib.volume_from_node(node)
        assert "Harden" in error.value.hint

    def test_a_skewing_transform_is_refused(self, scene, lib):
        node = make_node(scene, matrix())
        skew = np.eye(4)
        skew[0, 1] = 0.1
        node.SetAndObserveTransformNodeID(linear_transform(scene, skew).GetID())
        with pytest.raises(CTError, match="skews"):
            lib.volume_from_node(node)

    def test_slices_that_change_their_order_are_refused(self, scene, lib):
        node = make_node(scene, matrix())
        off = np.zeros((4, 3))
        off[1, 2] = 4
        node.SetAndObserveTransformNodeID(slice_transform(scene, off).GetID())
        with pytest.raises(CTError, match="order"):
            lib.volume_from_node(node)

    def test_one_slice(self, scene, lib):
        node = make_node(scene, matrix(DIRECTIONS["oblique"]), voxels()[:1])
        volume = lib.volume_from_node(node)
        assert volume.array.shape == (1, 5, 6)
        assert volume.spacing == pytest.approx((0.7, 0.8, 2.5))
        assert volume.direction == pytest.approx((np.diag([-1, -1, 1]) @ DIRECTIONS["oblique"]).ravel())

    def test_no_voxels_and_colour_pictures_are_refused(self, scene, lib):
        empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing")
        with pytest.raises(CTError, match="Nothing holds no voxels"):
            lib.volume_from_node(empty)
        with pytest.raises(CTError, match="no voxels"):
            lib.volume_from_node(None)
        colour = make_node(scene, matrix())
        colour.GetImageData().AllocateScalars(3, 3)
        with pytest.raises(CTError, match="colour"):
            lib.volume_from_node(colour)

    def test_facts_of_the_series_but_nothing_of_the_patient(self, scene, lib, monkeypatch):
        import slicer

        node = make_node(scene, matrix())
        node.SetAttribute("DICOM.instanceUIDs", "1.1 1.2 1.3 1.4")
        lib.show_in_subject_hierarchy(node, make_node(scene, matrix(), name="DOE^JANE"))
        tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        item = tree.GetItemByDataNode(node)
        tree.SetItemAttribute(item, "DICOM.Modality", "CT")
        tree.SetItemUID(item, "DICOM", "1.2.3")

        class Database:
            def fileForInstance(self, uid):
                return f"/data/{uid}.dcm"

        monkeypatch.setattr(slicer, "dicomDatabase", Database(), raising=False)
        volume = lib.volume_from_node(node)
        assert volume.meta == {"modality": "CT", "series_uid": "1.2.3"}
        assert volume.sources == ("/data/1.1.dcm", "/data/1.2.dcm", "/data/1.3.dcm", "/data/1.4.dcm")


class TestNodeFromVolume:
    @pytest.mark.parametrize("directions", DIRECTIONS.values(), ids=DIRECTIONS)
    @pytest.mark.parametrize("kind", ["even", "uneven", "sheared"])
    def test_round_trip(self, scene, lib, directions, kind):
        steps = np.array([0, 2, 5, 6.5]) if kind != "even" else np.arange(4) * 2.5
        normal = directions[:, 2]
        origins = (
            np.array([1.0, 2, 3])
            + steps[:, None] * normal
            + (kind == "sheared") * steps[:, None] * directions[:, 0] / 3
        )
        volume = CTVolume(
            array=voxels(),
            spacing=(0.7, 0.8, float(steps[-1] / 3)),
            origin=(1.0, 2.0, 3.0),
            direction=tuple(directions.ravel()),
            positions=steps if kind != "even" else None,
            slice_origins=origins if kind == "sheared" else None,
        )
        node = lib.node_from_volume(volume, "CT chest", scene)
        assert node.GetName() == "CT chest"
        assert node.GetDisplayNode() is not None
        assert (node.GetParentTransformNode() is None) == (kind == "even")
        assert_same_places(volume, node, atol=1e-5)
        back = lib.volume_from_node(node)
        assert np.array_equal(back.array, volume.array)
        assert back.array.dtype == volume.array.dtype
        assert back.spacing == pytest.approx(volume.spacing)
        assert back.direction == pytest.approx(volume.direction, abs=1e-6)
        assert back.origins() == pytest.approx(volume.origins(), abs=1e-5)
        assert (back.positions is None) == (kind == "even")

    def test_does_not_share_memory(self, scene, lib):
        volume = CTVolume(array=voxels())
        node = lib.node_from_volume(volume, "CT", scene)
        volume.array[:] = 0
        assert np.array_equal(lib.volume_from_node(node).array, voxels())

    def test_views_and_the_default_scene(self, scene, lib):
        volume = CTVolume(array=voxels()).crop(k=slice(1, 3), i=slice(2, 5))
        node = lib.node_from_volume(volume, "part")
        assert node.GetScene() is scene
        assert np.array_equal(lib.volume_from_node(node).array, voxels()[1:3, :, 2:5])
