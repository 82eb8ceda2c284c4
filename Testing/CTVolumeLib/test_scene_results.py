"""Results as nodes: segmentations, tables, plots, markups, and what is cleaned up; on a real MRML scene."""

from __future__ import annotations

import numpy as np
import pytest
import support_mrml as mrml
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume
from support_volume_nodes import DIRECTIONS, SHAPE, make_node, matrix, slice_transform, voxels


@pytest.fixture
def lib(world):
    """The library under test; it needs slicer, so it is imported here."""
    from CTVolumeLib import scene

    return scene


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


class TestPlaces:
    def test_beside_is_in_the_same_study_with_the_modality(self, scene, lib):
        import slicer

        node, copy = make_node(scene, matrix()), make_node(scene, matrix(), name="copy")
        tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        lib.show_beside_in_subject_hierarchy(copy, node)
        assert tree.GetItemParent(tree.GetItemByDataNode(copy)) == tree.GetSceneItemID(), "the scan is in no study"
        study = tree.CreateStudyItem(tree.CreateSubjectItem(tree.GetSceneItemID(), "subject"), "study")
        item = tree.CreateItem(study, node)
        tree.SetItemAttribute(item, "DICOM.Modality", "CT")
        lib.show_beside_in_subject_hierarchy(copy, node)
        assert tree.GetItemParent(tree.GetItemByDataNode(copy)) == study
        assert tree.GetItemAttribute(tree.GetItemByDataNode(copy), "DICOM.Modality") == "CT"

    def test_nodes_that_went_away_are_told(self, scene, lib):
        node, other = make_node(scene, matrix()), make_node(scene, matrix(), name="other")
        lib.check_present(node, None, other)
        scene.RemoveNode(other)
        with pytest.raises(CTError, match="CT or its segmentation was removed meanwhile"):
            lib.check_present(node, other)
