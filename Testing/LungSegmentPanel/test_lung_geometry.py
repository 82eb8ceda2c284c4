"""Lungs in the scene of scans that lie in any way: transforms, axis orders, tilt, pixels that are not square."""

from __future__ import annotations

import numpy as np
import pytest
from support_segment_panel import fits, show

TURN = np.array([[0.96, -0.28, 0, 30], [0.28, 0.96, 0, -12], [0, 0, 1, 55], [0, 0, 0, 1.0]])


def transform(values):
    import slicer.util

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(values))
    return node


def box_of(segmentation):
    bounds = [0.0] * 6
    segmentation.GetRASBounds(bounds)
    return np.array(bounds)


def test_under_a_transform_the_segmentation_moves_with_the_scan(panel, volume, patient):
    done = panel.logic.segment(volume)
    still = box_of(done.segmentationNode)
    panel.logic.clear(volume, done.segmentationNode)
    volume.SetAndObserveTransformNodeID(transform(TURN).GetID())
    done = panel.logic.segment(volume)
    assert fits(panel.logic.labels(volume, done.segmentationNode), patient.masks)
    assert np.abs(box_of(done.segmentationNode) - still).max() > 20


def test_a_segmentation_outside_the_transform_of_the_scan_gets_them_at_their_place(panel, volume, patient):
    import slicer
    from CTVolumeLib.errors import CTError

    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    other.CreateDefaultDisplayNodes()
    other.GetSegmentation().AddEmptySegment("mine", "mine")
    reference = panel.logic.segment(volume)
    still = box_of(reference.segmentationNode)
    volume.SetAndObserveTransformNodeID(transform(TURN).GetID())
    under = panel.logic.segment(volume)
    done = panel.logic.segment(volume, other)
    assert np.allclose(box_of(other), box_of(under.segmentationNode), atol=0.01)
    assert not np.allclose(box_of(other), still, atol=5)
    assert fits(panel.logic.labels(volume, done.segmentationNode), patient.masks)
    other.SetAndObserveTransformNodeID(transform(np.diag([2.0, 1, 1, 1])).GetID())
    with pytest.raises(CTError, match="lies under another transform"):
        panel.logic.segment(volume, other)


@pytest.mark.parametrize("axes", [(2, 1, 0), (1, 0, 2), (0, 2, 1)])
@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, 1, -1)])
def test_any_order_of_axes(panel, patient, axes, flip):
    from CTVolumeLib.volume import CTVolume

    given = patient.volume
    array, order = given.array.transpose(axes), [2 - axis for axis in axes[::-1]]
    step = given.axes() * given.spacing
    columns, origin = step[:, order], np.array(given.origin)
    for place, sign in enumerate(flip):
        if sign < 0:
            array = np.flip(array, 2 - place)
            origin = origin + columns[:, place] * (array.shape[2 - place] - 1)
            columns[:, place] *= -1
    spacing = np.linalg.norm(columns, axis=0)
    node = show(
        CTVolume(
            np.ascontiguousarray(array),
            spacing=tuple(spacing),
            origin=tuple(origin),
            direction=tuple((columns / spacing).ravel()),
        )
    )
    labels = panel.logic.labels(node, panel.logic.segment(node).segmentationNode)
    for place, sign in enumerate(flip):
        labels = np.flip(labels, 2 - place) if sign < 0 else labels
    assert fits(labels.transpose(np.argsort(axes)), patient.masks), "left is left"


@pytest.mark.slow
def test_tilted_slices_and_pixels_that_are_not_square(panel):
    from CTVolumeLib import phantom

    chest = {"coverage": (0.12, 0.36)}
    tilted = phantom.make(phantom.PhantomParameters(**chest, spacing=(3.0, 3.0, 5.0), tilt=20))
    node = show(tilted.volume)
    assert node.GetParentTransformNode() is not None
    segmentation = panel.logic.segment(node).segmentationNode
    assert segmentation.GetParentTransformNode() is node.GetParentTransformNode()
    assert fits(panel.logic.labels(node, segmentation), tilted.masks)
    oblong = phantom.make(phantom.PhantomParameters(**chest, spacing=(2.5, 3.5, 5.0)))
    node = show(oblong.volume)
    assert fits(panel.logic.labels(node, panel.logic.segment(node).segmentationNode), oblong.masks)


def test_locations_say_where_lungs_can_be(slicer_app, panel, patient, monkeypatch):
    """A located scan gives the heights of the chest to the algorithm, and lungs are looked for there only."""
    from LungSegmentPanel import segmenting

    z = patient.volume.superior()
    wanted = (float(z[len(z) // 4]), float(z[-1]))
    localizer = slicer_app.load("CTSliceLocalizer", enter=False)
    logic = slicer_app.module("CTSliceLocalizer").module.widgetRepresentation().self().logic
    slicer_app.select("LungSegment")
    asked = []
    monkeypatch.setattr(type(logic), "chestRange", lambda _logic, node: asked.append(node) or wanted)
    volume = show(patient.volume)
    assert localizer.module is not None
    assert segmenting.lungRange(volume) is None, "not located"
    assert asked == []
    volume.AddNodeReferenceID("CTSliceLocalizer.locations", volume.GetID())
    assert segmenting.lungRange(volume) == wanted
    node = panel.logic.segment(volume).segmentationNode
    found = np.flatnonzero(panel.logic.labels(volume, node).any(axis=(1, 2)))
    assert z[found].min() >= wanted[0] - 8


def test_the_localizer_gives_the_chest_of_a_located_scan(slicer_app):
    """Its real answer for the sample scan, which ends below the lungs."""
    from CTVolumeLib import dicom, samples

    logic = slicer_app.load("CTSliceLocalizer").logic
    node = show(dicom.read(samples.sample("CTChestSample").path))
    assert logic.chestRange(node) is None
    location = logic.locate(node)
    assert location.refused is None
    from CTSliceLocalizerLib import chest

    assert logic.chestRange(node) == chest.range_of(location)
