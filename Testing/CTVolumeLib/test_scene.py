"""Nodes <-> CTVolume and results as nodes, on a real MRML scene (slicer-core)."""

from __future__ import annotations

import numpy as np
import pytest
import support_mrml as mrml
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume

SHAPE = (4, 5, 6)


@pytest.fixture
def world():
    world = mrml.start()
    yield world
    mrml.stop(world)


@pytest.fixture
def scene(world):
    return world.scene


@pytest.fixture
def lib(world):
    """The library under test; it needs slicer, so it is imported here."""
    from CTVolumeLib import scene

    return scene


def voxels(dtype=np.int16) -> np.ndarray:
    return (np.arange(np.prod(SHAPE)).reshape(SHAPE) * 7 - 400).astype(dtype)


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """Rotation matrix by Euler angles in degrees."""
    a, b, c = np.radians([x, y, z])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def make_node(scene, ijk_to_ras: np.ndarray, array: np.ndarray | None = None, name: str = "CT"):
    import slicer.util

    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, voxels() if array is None else array)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras))
    return node


def matrix(directions=None, spacing=(0.7, 0.8, 2.5), origin=(10.0, -20.0, 30.0)) -> np.ndarray:
    """(4, 4) IJK to RAS; by default as a head-first supine CT."""
    directions = np.diag([-1.0, -1.0, 1.0]) if directions is None else directions
    out = np.eye(4)
    out[:3, :3] = directions * spacing
    out[:3, 3] = origin
    return out


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


def linear_transform(scene, values: np.ndarray):
    import slicer.util

    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(values))
    return node


def slice_transform(scene, off: np.ndarray):
    """A grid transform as Slicer's DICOM reader makes it: slice k of ``matrix()`` is moved by off[k], RAS mm."""
    import slicer
    import vtk

    image = vtk.vtkImageData()
    image.SetOrigin(10.0 - 0.7 * 5, -20.0 - 0.8 * 4, 30.0)
    image.SetSpacing(0.7 * 5, 0.8 * 4, 2.5)
    image.SetDimensions(2, 2, SHAPE[0])
    image.AllocateScalars(vtk.VTK_DOUBLE, 3)
    for k in range(SHAPE[0]):
        for j in range(2):
            for i in range(2):
                for axis in range(3):
                    image.SetScalarComponentFromDouble(i, j, k, axis, off[k][axis])
    grid = slicer.vtkOrientedGridTransform()
    grid.SetDisplacementGridData(image)
    grid.SetInterpolationModeToLinear()
    node = scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "acquisition transform")
    node.SetAndObserveTransformToParent(grid)
    return node


DIRECTIONS = {
    "supine": np.diag([-1.0, -1.0, 1.0]),
    "upside-down": np.diag([-1.0, -1.0, -1.0]),
    "mirrored": np.diag([1.0, -1.0, 1.0]),
    "coronal": np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]]),
    "sagittal": np.array([[0.0, 0, -1], [-1, 0, 0], [0, -1, 0]]),
    "oblique": rotation(12, -25, 40),
}


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


class TestSegmentation:
    def make(self, scene, lib, directions=None):
        node = make_node(scene, matrix(directions))
        labels = np.zeros(SHAPE, dtype=np.int64)
        labels[1:3, 1:3, 1:4] = 1
        labels[2, 3:, 2:] = 2
        labels[0, 0, 0] = 5
        labels[3, 4, 5] = -3
        segments = [
            lib.LabelSegment(2, "Right lung", (0.77, 0.65, 0.57), lib.TERMINOLOGY["right lung"]),
            lib.LabelSegment(1, "Left lung", (0.1, 0.2, 0.3), lib.TERMINOLOGY["left lung"]),
            lib.LabelSegment(3, "Headrest", (0.5, 0.5, 0.5)),
        ]
        return node, labels, segments

    @pytest.mark.parametrize("directions", DIRECTIONS.values(), ids=DIRECTIONS)
    def test_segments_are_the_labels(self, scene, lib, directions):
        import slicer.util

        node, labels, segments = self.make(scene, lib, directions)
        segmentation = lib.segmentation_from_labels(node, labels, segments, "CT: lungs")
        found = segmentation.GetSegmentation()
        assert segmentation.GetName() == "CT: lungs"
        for number, entry in enumerate(segments):
            identifier = found.GetNthSegmentID(number)
            array = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, identifier, node)
            assert np.array_equal(array, labels == entry.value), entry.name
            segment = found.GetSegment(identifier)
            assert segment.GetName() == entry.name
            assert segment.GetColor() == pytest.approx(entry.color, abs=0.003)
        assert found.GetNumberOfSegments() == 3

    def test_terminology_is_what_slicer_reads(self, scene, lib):
        import slicer

        node, labels, segments = self.make(scene, lib)
        segmentation = lib.segmentation_from_labels(node, labels, segments, "s")
        logic = slicer.vtkSlicerTerminologiesModuleLogic
        for name, kind, modifier in [("Right lung", "Lung", "Right"), ("Left lung", "Lung", "Left")]:
            found = segmentation.GetSegmentation()
            segment = found.GetSegment(found.GetSegmentIdBySegmentName(name))
            entry = slicer.vtkSlicerTerminologyEntry()
            text = _tag(segment)
            assert logic.DeserializeTerminologyEntry(text, entry)
            assert entry.GetTypeObject().GetCodeMeaning() == kind
            assert entry.GetTypeModifierObject().GetCodeMeaning() == modifier
            assert logic.SerializeTerminologyEntry(entry) == text

    def test_every_entry_has_the_seven_parts(self, lib):
        for text in lib.TERMINOLOGY.values():
            assert text.count("~") == 6

    def test_lies_under_the_transform_of_the_volume(self, scene, lib):
        node, labels, segments = self.make(scene, lib)
        off = np.zeros((4, 3))
        off[:, 2] = [0, 0.5, -1, 0]
        transform = slice_transform(scene, off)
        node.SetAndObserveTransformNodeID(transform.GetID())
        segmentation = lib.segmentation_from_labels(node, labels, segments, "s")
        assert segmentation.GetTransformNodeID() == transform.GetID()

    def test_survives_a_file(self, scene, lib, tmp_path):
        import slicer.util

        node, labels, segments = self.make(scene, lib)
        segmentation = lib.segmentation_from_labels(node, labels, segments, "s")
        segmentation.AddDefaultStorageNode()
        storage = segmentation.GetStorageNode()
        storage.SetFileName(str(tmp_path / "lungs.seg.nrrd"))
        assert storage.WriteData(segmentation)
        again = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "again")
        storage.ReadData(again)
        found = again.GetSegmentation()
        identifier = found.GetSegmentIdBySegmentName("Left lung")
        assert np.array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(again, identifier, node), labels == 1)
        assert _tag(found.GetSegment(identifier)) == lib.TERMINOLOGY["left lung"]

    def test_another_grid_is_refused(self, scene, lib):
        node, labels, segments = self.make(scene, lib)
        before = mrml.node_ids(scene)
        with pytest.raises(CTError, match="shape"):
            lib.segmentation_from_labels(node, labels[1:], segments, "s")
        assert mrml.node_ids(scene) == before

    def test_leaves_one_node_and_its_display(self, scene, lib):
        node, labels, segments = self.make(scene, lib)
        before = mrml.node_ids(scene)
        segmentation = lib.segmentation_from_labels(node, labels, segments, "s")
        assert mrml.node_ids(scene) - before == {segmentation.GetID(), segmentation.GetDisplayNode().GetID()}


def _tag(segment) -> str:
    import vtk

    value = vtk.reference("")
    assert segment.GetTag(segment.GetTerminologyEntryTagName(), value)
    return str(value)


class TestResults:
    def columns(self) -> dict:
        return {
            "z_mm": [1.5, 2.5, None],
            "location": np.array([0.1, 0.2, 0.3]),
            "region": ["neck", None, "chest"],
            "n": [1, 2, 3],
        }

    def test_table(self, scene, lib):
        table = lib.table_from_columns("CT: slices", self.columns())
        assert table.GetScene() is scene
        assert (table.GetNumberOfColumns(), table.GetNumberOfRows()) == (4, 3)
        assert [table.GetColumnName(number) for number in range(4)] == ["z_mm", "location", "region", "n"]
        assert [table.GetTable().GetValue(row, 1).ToDouble() for row in range(3)] == [0.1, 0.2, 0.3]
        assert np.isnan(table.GetTable().GetValue(2, 0).ToDouble())
        assert [table.GetCellText(row, 2) for row in range(3)] == ["neck", "", "chest"]

    def test_plot(self, scene, lib):
        table = lib.table_from_columns("t", self.columns(), scene)
        chart = lib.plot_from_table(table, "z_mm", ["location", "n"], "Location", x_title="z (mm)", points=["n"])
        assert chart.GetNumberOfPlotSeriesNodes() == 2
        line, points = (chart.GetNthPlotSeriesNode(number) for number in range(2))
        assert (line.GetXColumnName(), line.GetYColumnName()) == ("z_mm", "location")
        assert line.GetTableNode() is table
        assert chart.GetXAxisTitle() == "z (mm)"
        assert line.GetMarkerStyle() == line.MarkerStyleNone
        assert points.GetLineStyle() == points.LineStyleNone
        assert line.GetColor() != points.GetColor()

    def test_markups(self, scene, lib):
        points = np.array([[1.0, 2, 3], [4, 5, 6.5]])
        node = lib.markups_from_points("CT: landmarks", points, ["C1", "C7"], ["about C1", "±8 mm"], scene)
        position = [0.0, 0.0, 0.0]
        for number, point in enumerate(points):
            node.GetNthControlPointPositionWorld(number, position)
            assert position == pytest.approx(point)
        assert [node.GetNthControlPointLabel(number) for number in range(2)] == ["C1", "C7"]
        assert node.GetNthControlPointDescription(1) == "±8 mm"
        assert node.GetLocked()

    def test_tree(self, scene, lib):
        import slicer

        node = make_node(scene, matrix())
        table = lib.table_from_columns("t", self.columns(), scene)
        for _ in range(2):
            lib.show_in_subject_hierarchy(table, node)
            tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
            parent = tree.GetItemParent(tree.GetItemByDataNode(table))
            assert tree.GetItemDataNode(parent) is node


class TestCleanUp:
    def test_temporary_nodes_are_gone_and_results_stay(self, scene, lib):
        node = make_node(scene, matrix())
        before = mrml.node_ids(scene)
        with lib.temporary_nodes(scene) as keep:
            lib.node_from_volume(CTVolume(array=voxels()), "temporary", scene)
            table = lib.table_from_columns("t", {"a": [1, 2]}, scene)
            chart = lib.plot_from_table(table, "a", ["a"], "c")
            markups = lib.markups_from_points("m", np.zeros((1, 3)), ["p"], (), scene)
            keep(chart)
            keep(markups)
        expected = {chart, chart.GetNthPlotSeriesNode(0), table, markups, markups.GetDisplayNode()}
        assert mrml.node_ids(scene) - before == {node.GetID() for node in expected}
        assert scene.IsNodePresent(node)

    def test_an_error_leaves_nothing(self, scene, lib):
        make_node(scene, matrix())
        before = mrml.node_ids(scene)

        def fail():
            with lib.temporary_nodes(scene) as keep:
                keep(lib.node_from_volume(CTVolume(array=voxels()), "half-made", scene))
                raise KeyError("x")

        with pytest.raises(KeyError):
            fail()
        assert mrml.node_ids(scene) == before

    def test_results_are_replaced(self, scene, lib):
        """Ten runs leave as many nodes as one."""
        node = make_node(scene, matrix())
        node.CreateDefaultDisplayNodes()
        other = make_node(scene, matrix())
        counts = []
        for _ in range(10):
            lib.remove_results(node, "locations")
            table = lib.table_from_columns("t", {"a": [1, 2]}, scene)
            chart = lib.plot_from_table(table, "a", ["a"], "c")
            markups = lib.markups_from_points("m", np.zeros((1, 3)), ["p"], (), scene)
            labels = np.ones(SHAPE, dtype=np.uint8)
            segments = [lib.LabelSegment(1, "a", (1, 0, 0))]
            segmentation = lib.segmentation_from_labels(node, labels, segments, "s")
            for result in (table, chart, markups, segmentation):
                lib.show_in_subject_hierarchy(result, node)
            lib.set_results(node, "locations", [table, chart, markups, segmentation])
            counts.append(len(mrml.node_ids(scene)))
        assert len(set(counts)) == 1
        assert scene.IsNodePresent(node)
        assert node.GetDisplayNode() is not None
        assert scene.IsNodePresent(other)
        lib.remove_results(other, "locations")
        lib.remove_results(node, "another job")
        assert scene.IsNodePresent(table)
        scene.RemoveNode(table)
        lib.remove_results(node, "locations")
        assert not scene.IsNodePresent(chart)
