"""Segments of a module beside other people's in one segmentation, and undo as the Segment Editor does it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import support_volume_nodes as nodes
from support_mrml import slicer_core

OWNER = "Test"


@pytest.fixture
def made(scene):
    """A volume, and a segmentation of it with a segment of someone else in the layer of the own ones."""
    slicer_core()
    from CTVolumeLib import scene_segments as lib
    from CTVolumeLib.segments import LabelSegment

    volume = nodes.make_node(scene, nodes.matrix(nodes.rotation(12, -25, 40)))
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "s")
    entries = [LabelSegment(1, "one", (1, 0, 0)), LabelSegment(2, "two", (0, 1, 0))]
    return SimpleNamespace(lib=lib, volume=volume, segmentation=segmentation, entries=entries)


def labels() -> np.ndarray:
    out = np.zeros(nodes.SHAPE, np.uint8)
    out[1:3, 1:3, 1:3] = 1
    out[2:4, 3:5, 2:6] = 2
    return out


def write(made, array):
    made.lib.write_segments(made.segmentation, made.volume, array, made.entries, OWNER)


def read(made):
    return made.lib.read_segments(made.segmentation, made.volume, made.entries, OWNER)


def add_other(made, array, share: bool):
    """Someone else's segment; in one layer with the own ones where ``share``."""
    import slicer.util

    held = made.segmentation.GetSegmentation()
    held.AddEmptySegment("other", "one")
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, made.segmentation, "other", made.volume)
    if share:
        held.CollapseBinaryLabelmaps(False)
    assert held.GetNumberOfLayers() == (1 if share else 2)


def other(made):
    import slicer.util

    return slicer.util.arrayFromSegmentBinaryLabelmap(made.segmentation, "other", made.volume)


def test_what_is_written_is_read(made):
    write(made, labels())
    assert np.array_equal(read(made), labels())
    assert made.lib.voxel_counts(made.segmentation, OWNER) == {"one": 8, "two": 16}
    assert made.segmentation.GetDisplayNode() is not None


@pytest.mark.parametrize("share", [False, True])
def test_other_segments_stay_and_own_ones_keep_id_name_and_colour(made, share):
    write(made, labels())
    theirs = np.zeros(nodes.SHAPE, np.uint8)
    theirs[0, 0, :] = 1
    add_other(made, theirs, share)
    own = made.lib.own_segments(made.segmentation, OWNER)
    segment = made.segmentation.GetSegmentation().GetSegment(own["one"])
    segment.SetName("renamed")
    segment.SetColor(0.1, 0.2, 0.3)
    write(made, np.flip(labels(), 1))
    assert made.lib.own_segments(made.segmentation, OWNER) == own
    assert segment.GetName() == "renamed"
    assert segment.GetColor() == pytest.approx((0.1, 0.2, 0.3))
    assert np.array_equal(read(made), np.flip(labels(), 1))
    assert np.array_equal(other(made), theirs)
    made.lib.remove_segments(made.segmentation, OWNER, ["two"])
    assert list(made.lib.own_segments(made.segmentation, OWNER)) == ["one"]
    made.lib.remove_segments(made.segmentation, OWNER)
    assert list(made.segmentation.GetSegmentation().GetSegmentIDs()) == ["other"]
    assert np.array_equal(other(made), theirs)


@pytest.mark.parametrize("surface", [False, True])
def test_undo_of_the_segment_editor_brings_the_segments_before_back(made, monkeypatch, surface):
    import slicer

    write(made, labels())
    theirs = np.zeros(nodes.SHAPE, np.uint8)
    theirs[0, 0, :] = 1
    add_other(made, theirs, share=True)
    if surface:
        made.segmentation.CreateClosedSurfaceRepresentation()
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(made.segmentation.GetSegmentation())
    editor = SimpleNamespace(segmentationNode=lambda: made.segmentation, saveStateForUndo=history.SaveState)
    module = SimpleNamespace(widgetRepresentation=lambda: SimpleNamespace(editor=editor))
    monkeypatch.setattr(slicer.modules, "segmenteditor", module, raising=False)
    monkeypatch.setattr(slicer.util, "getModuleWidget", lambda given: given.widgetRepresentation())
    made.lib.save_undo_state(made.segmentation)
    assert history.GetNumberOfStates() == 0, "the Segment Editor was never opened"
    made.volume.GetScene().AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    made.lib.save_undo_state(made.segmentation)
    write(made, np.flip(labels(), 0))
    assert np.array_equal(read(made), np.flip(labels(), 0))
    history.RestorePreviousState()
    assert np.array_equal(read(made), labels())
    assert np.array_equal(other(made), theirs)
    history.RestoreNextState()
    assert np.array_equal(read(made), np.flip(labels(), 0))
    held = made.segmentation.GetSegmentation()
    assert held.ContainsRepresentation("Closed surface") == surface


def test_undo_is_left_alone_where_another_segmentation_is_edited(made, monkeypatch):
    import slicer

    asked = []
    editor = SimpleNamespace(segmentationNode=lambda: None, saveStateForUndo=lambda: asked.append(1))
    monkeypatch.setattr(slicer.modules, "segmenteditor", SimpleNamespace(), raising=False)
    monkeypatch.setattr(slicer.util, "getModuleWidget", lambda _given: SimpleNamespace(editor=editor))
    made.volume.GetScene().AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    made.lib.save_undo_state(made.segmentation)
    assert asked == []


def test_labels_of_another_size_and_segmentations_of_surfaces_are_refused(made):
    import slicer
    import vtk
    from CTVolumeLib.errors import CTError

    with pytest.raises(CTError, match="have the shape"):
        write(made, np.zeros((2, 2, 2), np.uint8))
    ball = vtk.vtkSphereSource()
    ball.Update()
    made.segmentation.GetSegmentation().SetSourceRepresentationName("Closed surface")
    made.segmentation.AddSegmentFromClosedSurfaceRepresentation(ball.GetOutput(), "ball", [1, 0, 0])
    with pytest.raises(CTError, match="made of surfaces"):
        write(made, labels())
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLLabelMapVolumeNode") == 0


def test_values_without_a_segment_are_left_out(made):
    """Slicer would paint them in some colour, under no name."""
    from vtk.util.numpy_support import vtk_to_numpy

    array = labels()
    array[array == 0] = 7
    write(made, array)
    layer = made.segmentation.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    assert set(np.unique(vtk_to_numpy(layer.GetPointData().GetScalars()))) == {0, 1, 2}


def test_the_segmentation_of_a_volume_is_found_by_its_own_segments(made, scene):
    another = nodes.make_node(scene, nodes.matrix())
    assert not made.lib.has_segments(None, OWNER)
    assert not made.lib.has_segments(made.segmentation, OWNER)
    write(made, labels())
    assert made.lib.has_segments(made.segmentation, OWNER)
    assert not made.lib.has_segments(made.segmentation, "Another")
    assert made.lib.segmentation_of(made.volume, OWNER) is made.segmentation
    assert made.lib.segmentation_of(made.volume, "Another") is None
    assert made.lib.segmentation_of(another, OWNER) is None


def test_times_change_with_the_voxels_and_the_transform_of_own_segments_alone(made, scene):
    assert made.lib.change_times(None, OWNER) == ()
    write(made, labels())
    moved = nodes.linear_transform(scene, np.eye(4))
    made.segmentation.SetAndObserveTransformNodeID(moved.GetID())
    made.segmentation.GetSegmentation().SeparateSegmentLabelmap(made.lib.own_segments(made.segmentation, OWNER)["two"])
    times = [made.lib.change_times(made.segmentation, OWNER)]
    times.append(made.lib.change_times(made.segmentation, OWNER))
    assert times[0] == times[1]
    without = made.lib.change_times(made.segmentation, OWNER, but="two")
    made.lib.write_segments(made.segmentation, made.volume, labels(), made.entries[1:], OWNER)
    times.append(made.lib.change_times(made.segmentation, OWNER))
    assert made.lib.change_times(made.segmentation, OWNER, but="two") == without
    moved.Modified()
    moved.GetTransformToParent().Modified()
    times.append(made.lib.change_times(made.segmentation, OWNER))
    assert len(set(times)) == 3
