"""Locations kept in the scene, on real MRML: they come back, they go stale, they leave nothing behind."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import support_mrml as mrml
from CTSliceLocalizerLib.landmarks import words
from CTSliceLocalizerLib.results import Flag, refusal
from support_locations import fake_location

SHAPE = (60, 8, 9)


@pytest.fixture
def nodes(scene):
    from CTSliceLocalizerPanel import location_nodes

    return location_nodes


def make_volume(scene, matrix: np.ndarray | None = None, array: np.ndarray | None = None, name: str = "CT chest"):
    """A volume of 5 mm slices from z = -100 mm upwards, head first and supine."""
    import slicer.util

    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    voxels = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE) if array is None else array
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(voxels))
    place = np.array([[-3.0, 0, 0, 20], [0, -4, 0, 30], [0, 0, 5, -100], [0, 0, 0, 1]]) if matrix is None else matrix
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(place))
    return node


def located(**kwargs):
    return fake_location(np.arange(60) * 5.0 - 100, top_mm=300.0, sigma_mm=4.0, **kwargs)


def rotation_about_x(degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned = np.eye(4)
    turned[1:3, 1:3] = [[cos, -sin], [sin, cos]]
    return turned


def test_result_comes_back(scene, nodes):
    volume = make_volume(scene)
    assert nodes.locationOf(volume) is None
    assert nodes.whyNoLocation(volume) == nodes.NOT_LOCATED
    flags = (Flag("upside_down", "Upside-down."),)
    nodes.storeLocation(volume, located(flags=flags))
    found = nodes.locationOf(volume)
    assert found.location == pytest.approx(located().location, abs=1e-5)
    assert found.flags == flags
    assert nodes.whyNoLocation(volume) == ""
    assert nodes.locationOf(None) is None


def test_nodes_have_clear_names_and_lie_under_the_volume(scene, nodes):
    import slicer

    volume = make_volume(scene)
    made = nodes.storeLocation(volume, located())
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    names = set()
    for node in (made.table, made.landmarkTable, made.chart, made.markups):
        names.add(node.GetName())
        assert tree.GetItemParent(tree.GetItemByDataNode(node)) == tree.GetItemByDataNode(volume)
    assert names == {
        "CT chest: locations",
        "CT chest: landmark table",
        "CT chest: location plot",
        "CT chest: landmarks",
    }
    assert made.data.GetHideFromEditors()
    assert vars(nodes.nodesOf(volume)) == vars(made)


def test_table_holds_every_slice_and_the_chart_the_landmarks(scene, nodes):
    made = nodes.storeLocation(make_volume(scene), located(index=np.arange(60)[::-1]))
    table = made.table.GetTable()
    titles = [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())]
    assert titles == ["slice", "z (mm)", "location raw", "location fitted", "sigma", "region"]
    assert table.GetNumberOfRows() == 60
    assert table.GetValueByName(0, "slice").ToInt() == 59
    assert table.GetValueByName(0, "z (mm)").ToDouble() == -100.0
    assert made.chart.GetNumberOfPlotSeriesNodes() == 3
    landmarks = made.chart.GetNthPlotSeriesNode(2)
    assert landmarks.GetTableNode() is made.landmarkTable
    assert landmarks.GetLabelColumnName() == "landmark"


def test_points_lie_on_the_axis_of_the_body_with_their_uncertainty(scene, nodes):
    volume = make_volume(scene)
    made = nodes.storeLocation(volume, located())
    inside = [landmark for landmark in located().landmarks if landmark.inside]
    assert made.markups.GetNumberOfControlPoints() == len(inside) > 3
    for number, landmark in enumerate(inside):
        point = made.markups.GetNthControlPointPositionWorld(number)
        assert point == pytest.approx((20 - 3 * 4, 30 - 4 * 3.5, landmark.z_mm), abs=1e-6)
        assert made.markups.GetNthControlPointLabel(number) == landmark.name
        assert made.markups.GetNthControlPointDescription(number) == "+- 4.0 mm"
    assert made.markups.GetDisplayNode().GetGlyphTypeAsString() == "Dash2D", "a dot would seem to mark anatomy"


def test_again_replaces_and_clear_leaves_nothing(scene, nodes):
    volume = make_volume(scene)
    nodes.storeLocation(volume, located())
    nodes.clearLocation(volume)
    before = mrml.node_ids(scene)
    nodes.storeLocation(volume, located())
    once = len(mrml.node_ids(scene))
    nodes.storeLocation(volume, located())
    assert len(mrml.node_ids(scene)) == once
    nodes.clearLocation(volume)
    assert mrml.node_ids(scene) == before
    assert nodes.nodesOf(volume) is None


def test_an_error_on_the_way_leaves_nothing(scene, nodes, monkeypatch):
    volume = make_volume(scene)
    nodes.storeLocation(volume, located())
    nodes.clearLocation(volume)
    before = mrml.node_ids(scene)

    def fail(_table):
        raise MemoryError

    monkeypatch.setattr(nodes, "_landmarkSeries", fail)
    with pytest.raises(MemoryError):
        nodes.storeLocation(volume, located())
    assert mrml.node_ids(scene) == before
    assert nodes.nodesOf(volume) is None


def test_moved_or_painted_volumes_are_no_longer_located(scene, nodes):
    import slicer.util

    volume = make_volume(scene)
    nodes.storeLocation(volume, located())
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    volume.SetAndObserveTransformNodeID(transform.GetID())
    assert nodes.whyNoLocation(volume) == ""
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(rotation_about_x(2)))
    assert nodes.locationOf(volume) is None
    assert nodes.whyNoLocation(volume) == nodes.MOVED
    volume.SetAndObserveTransformNodeID(None)
    assert nodes.locationOf(volume) is not None
    slicer.util.arrayFromVolume(volume)[20:30] += 5
    slicer.util.arrayFromVolumeModified(volume)
    assert nodes.locationOf(volume) is None
    assert nodes.whyNoLocation(volume) == nodes.CHANGED


def test_hardening_a_transform_that_was_there_changes_nothing(scene, nodes):
    import slicer.util

    volume = make_volume(scene)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(rotation_about_x(10)))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    nodes.storeLocation(volume, located())
    volume.HardenTransform()
    assert volume.GetParentTransformNode() is None
    assert nodes.whyNoLocation(volume) == ""


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"schema": "ct-slicer-location/1"}', "no json"])
def test_a_garbled_node_counts_as_none(scene, nodes, text):
    volume = make_volume(scene)
    nodes.storeLocation(volume, located()).data.SetText(text)
    assert nodes.locationOf(volume) is None
    assert nodes.axisOf(volume) is None
    assert nodes.whyNoLocation(volume) == nodes.NOT_LOCATED
    nodes.clearLocation(volume)


def test_scene_file_brings_it_back(scene, nodes):
    """By the scene's XML alone: the text lies in it, no file of its own is needed."""
    import slicer

    volume = make_volume(scene)
    nodes.storeLocation(volume, located())
    scene.SetSaveToXMLString(1)
    scene.Commit()
    other = slicer.vtkMRMLScene()
    other.SetLoadFromXMLString(1)
    other.SetSceneXMLString(scene.GetSceneXMLString())
    other.Import()
    again = other.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    assert nodes.nodesOf(again).table.GetName() == "CT chest: locations"
    assert nodes.whyNoLocation(again) == nodes.MOVED  # the XML holds no voxels
    again.SetAndObserveImageData(volume.GetImageData())
    assert nodes.locationOf(again).location == pytest.approx(located().location, abs=1e-5)


def test_refused_scans_are_kept_without_tables(scene, nodes):
    volume = make_volume(scene)
    made = nodes.storeLocation(volume, refusal(Flag("not_hu", "No CT."), series={}))
    assert made.table is made.chart is made.markups is None
    assert nodes.locationOf(volume).refused.text == "No CT."
    assert nodes.placeAt(volume, 0.0) is None


def test_place_at_a_height(scene, nodes):
    volume = make_volume(scene)
    nodes.storeLocation(volume, located())
    place = nodes.placeAt(volume, 10.0)
    assert place.location == pytest.approx(located().location_at(10.0), abs=1e-5)
    assert place.words == words(290.0)
    assert nodes.placeAt(volume, -102.4) is not None
    assert nodes.placeAt(volume, -103.0) is None
    assert nodes.placeAt(volume, 198.0) is None


def test_oblique_slices_are_found_along_their_normal(scene, nodes):
    """Slices tilted by 20 degrees: a point belongs to the slice that holds it, not to the one of the same z."""
    straight = make_volume(scene)
    import slicer.util

    matrix = rotation_about_x(20) @ slicer.util.arrayFromVTKMatrix(_matrix(straight))
    volume = make_volume(scene, matrix)
    nodes.storeLocation(volume, located())
    axis = nodes.axisOf(volume)
    for k, j, i in itertools.product((0, 30, 59), (0, 7), (0, 8)):
        point = (matrix @ [i, j, k, 1])[:3]
        centre = (matrix @ [4, 3.5, k, 1])[:3]
        assert axis.heightOf(point) == pytest.approx(centre[2], abs=1e-6)
        assert axis.pointAt(centre[2]) == pytest.approx(centre, abs=1e-6)
        assert axis.heightOfPlane(point, axis.normal) == pytest.approx(centre[2], abs=1e-6)
    assert axis.heightOfPlane((50, 60, 7), (0, 0, 1)) == pytest.approx(7)
    assert axis.heightOfPlane((0, 0, 0), (1, 0, 0)) is None
    assert axis.heightOfPlane((0, 0, 0), (0, 1, 0)) is None


def test_sheared_slices_keep_their_height(scene, nodes):
    """Gantry tilt: the line through the centres is not the normal of the slices."""
    from CTVolumeLib import scene as ctscene

    origins = np.stack([np.zeros(60), np.arange(60) * 1.5, np.arange(60) * 5.0 - 100], axis=1)
    from CTVolumeLib.volume import CTVolume

    volume = ctscene.node_from_volume(
        CTVolume(
            np.zeros(SHAPE, dtype=np.int16),
            spacing=(3, 4, 5),
            origin=tuple(origins[0]),
            positions=np.arange(60) * 5.0,
            slice_origins=origins,
        ),
        "tilted",
    )
    assert volume.GetParentTransformNode() is not None
    nodes.storeLocation(volume, located())
    axis = nodes.axisOf(volume)
    assert axis.pointAt(0.0) == pytest.approx((-12.0, -(1.5 * 20 + 14.0), 0.0), abs=0.01)
    assert axis.heightOf((99, -99, 40)) == pytest.approx(40.0, abs=0.01)


def test_a_single_slice_has_an_axis(scene, nodes):
    volume = make_volume(scene, array=np.zeros((1, 8, 9), dtype=np.int16))
    one = located()
    keep = {
        name: getattr(one, name)[:1] for name in ("z_mm", "raw", "location", "sigma", "body_mm", "sigma_mm", "index")
    }
    nodes.storeLocation(volume, replace(one, **keep))
    assert nodes.axisOf(volume).heightOf((0, 0, -99)) == pytest.approx(-99)
    assert nodes.placeAt(volume, -100.0) is not None


def _matrix(node):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix
