"""Scans that lie in any way and hold numbers of any type: the cleaned scan lies and counts as they do."""

from __future__ import annotations

import numpy as np
import pytest
from support_headrest_panel import answer, equipment_of, voxels
from support_segment_panel import show

TURN = np.array([[0.96, -0.28, 0, 30], [0.28, 0.96, 0, -12], [0, 0, 1, 55], [0, 0, 0, 1.0]])


def transform(values):
    import slicer.util

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(values))
    return node


def box_of(node) -> np.ndarray:
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    return np.array(bounds)


def removed(volume, done) -> np.ndarray:
    return voxels(volume) != voxels(done.cleanedNode)


def fits(gone, patient, given) -> bool:
    """Whether what is gone is the equipment, and nothing of the patient's tissue."""
    solid = (patient.masks["headrest"] | patient.masks["table"]) & (given > -900)
    return not (gone & patient.masks["patient"] & (given > -300)).any() and gone[solid].mean() > 0.95


def test_under_a_transform_everything_moves_with_the_scan(panel, volume, patient):
    still = box_of(volume)
    volume.SetAndObserveTransformNodeID(transform(TURN).GetID())
    done = panel.logic.remove(volume)
    assert done.cleanedNode.GetParentTransformNode() is volume.GetParentTransformNode()
    assert done.segmentationNode.GetParentTransformNode() is volume.GetParentTransformNode()
    assert np.allclose(box_of(done.cleanedNode), box_of(volume))
    assert np.abs(box_of(done.cleanedNode) - still).max() > 20
    assert fits(removed(volume, done), patient, patient.volume.array)


def test_the_cleaned_scan_follows_the_scan_to_another_place(panel, volume, patient, monkeypatch):
    answer(monkeypatch, equipment_of(patient))
    cleaned = panel.logic.remove(volume).cleanedNode
    volume.SetAndObserveTransformNodeID(transform(TURN).GetID())
    done = panel.logic.remove(volume)
    assert done.cleanedNode is cleaned
    assert np.allclose(box_of(cleaned), box_of(volume))


def test_a_segmentation_under_another_transform_is_refused(panel, volume):
    import slicer
    from CTVolumeLib.errors import CTError

    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    other.CreateDefaultDisplayNodes()
    other.GetSegmentation().AddEmptySegment("mine", "mine")
    other.SetAndObserveTransformNodeID(transform(np.eye(4) + 0.5 * np.eye(4, k=1) * [0, 1, 0, 0]).GetID())
    with pytest.raises(CTError, match="lies under another transform"):
        panel.logic.remove(volume, other)
    assert panel.logic.cleaned(volume) is None


@pytest.mark.parametrize("axes", [(2, 1, 0), (1, 0, 2), (0, 2, 1)])
def test_any_order_of_axes(panel, patient, axes):
    from CTVolumeLib.volume import CTVolume

    given = patient.volume
    step = given.axes() * given.spacing
    columns, origin = step[:, [2 - axis for axis in axes[::-1]]], np.array(given.origin)
    array = np.flip(given.array.transpose(axes), 2)
    origin = origin + columns[:, 0] * (array.shape[2] - 1)
    columns[:, 0] *= -1
    spacing = np.linalg.norm(columns, axis=0)
    place = {"spacing": tuple(spacing), "origin": tuple(origin), "direction": tuple((columns / spacing).ravel())}
    node = show(CTVolume(np.ascontiguousarray(array), **place))
    gone = np.flip(removed(node, panel.logic.remove(node)), 2).transpose(np.argsort(axes))
    reference = show(given)
    assert np.array_equal(gone, removed(reference, panel.logic.remove(reference)))
    assert fits(gone, patient, given.array)


def test_tilted_slices_and_pixels_that_are_not_square(panel):
    from CTVolumeLib import phantom

    head = {"coverage": (-0.01, 0.12), "field_mm": 320, "headrest": "flat"}
    for more in ({"spacing": (2.5, 2.5, 5.0), "tilt": 20}, {"spacing": (2.0, 3.0, 5.0)}):
        made = phantom.make(phantom.PhantomParameters(**head, **more))
        node = show(made.volume)
        done = panel.logic.remove(node)
        assert done.cleanedNode.GetParentTransformNode() is node.GetParentTransformNode()
        assert (node.GetParentTransformNode() is not None) == ("tilt" in more)
        assert fits(removed(node, done), made, made.volume.array)


@pytest.mark.parametrize("kind", ["int16", "int32", "float32", "float64"])
def test_the_type_of_numbers_stays(panel, volume, patient, monkeypatch, kind):
    import slicer.util

    labels = equipment_of(patient)
    answer(monkeypatch, labels)
    array = patient.volume.array.astype(kind)
    if kind.startswith("float"):
        array += np.linspace(0, 0.9, array.size).reshape(array.shape).astype(kind)
    slicer.util.updateVolumeFromArray(volume, array)
    for fill, value in ((-1000, -1000), (-1024.0, -1024)):
        cleaned = voxels(panel.logic.remove(volume, fill=fill).cleanedNode)
        assert cleaned.dtype == array.dtype
        assert cleaned[labels < 2].tobytes() == array[labels < 2].tobytes()
        assert (cleaned[labels >= 2] == value).all()


def test_a_fill_that_does_not_fit_is_refused(panel, volume, patient, monkeypatch):
    import slicer.util
    from CTVolumeLib.errors import CTError

    answer(monkeypatch, equipment_of(patient))
    slicer.util.updateVolumeFromArray(volume, np.clip(patient.volume.array + 1024, 0, 4000).astype(np.uint16))
    before = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(CTError, match="does not fit"):
        panel.logic.remove(volume)
    with pytest.raises(CTError, match="can't be filled"):
        panel.logic.remove(volume, fill="nothing")
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def test_the_cleaned_scan_lies_beside_the_scan_in_its_study(panel, volume, patient, monkeypatch):
    import slicer

    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    subject = tree.CreateSubjectItem(tree.GetSceneItemID(), "patient")
    study = tree.CreateStudyItem(subject, "study")
    item = tree.CreateItem(study, volume)
    tree.SetItemAttribute(item, "DICOM.Modality", "CT")
    volume.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    answer(monkeypatch, equipment_of(patient))
    done = panel.logic.remove(volume)
    own = tree.GetItemByDataNode(done.cleanedNode)
    assert tree.GetItemParent(own) == study
    assert tree.GetItemAttribute(own, "DICOM.Modality") == "CT"
    assert tree.GetItemParent(tree.GetItemByDataNode(done.segmentationNode)) == item
    assert done.cleanedNode.GetAttribute("DICOM.instanceUIDs") is None, "its slices are in no file"
    assert done.cleanedNode.GetStorageNode() is None
    tree.SetItemParent(own, subject)
    panel.logic.remove(volume)
    assert tree.GetItemParent(own) == subject, "where the user put it"


def test_without_views_logic_works_as_well(patient):
    from slicerstandin.session import Session

    app = Session().start(window=False)
    try:
        logic = app.load("HeadrestRemoval", enter=False).file.HeadrestRemovalLogic()
        node = show(patient.volume)
        done = logic.remove(node)
        logic.show3D(node)
        logic.showCleaned(node, done.segmentationNode)
        logic.showContact(node, done.segmentationNode)
        logic.clear(node, done.segmentationNode)
        assert slicer_nodes(app) == [node]
    finally:
        app.end()


def slicer_nodes(app) -> list:
    return list(app.scene.GetNodesByClass("vtkMRMLDisplayableNode"))
