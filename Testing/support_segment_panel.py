"""What tests of the panels that make segments do again and again."""

from __future__ import annotations

import numpy as np


def show(volume, name: str = "CT"):
    """A volume as a node that the views show."""
    import slicer.util
    from CTVolumeLib import scene

    node = scene.node_from_volume(volume, name)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def apply(slicer_app, panel, volume):
    """Choose a scan and press Apply; the segmentation."""
    if panel.widget.parameterNode.inputVolume is not volume:
        slicer_app.choose(panel.ui.inputSelector, volume)
    slicer_app.click(panel.ui.applyButton)
    assert not panel.ui.messageLabel.isVisible(), panel.ui.messageLabel.text
    return panel.widget.parameterNode.outputSegmentation


def dice(a, b) -> float:
    """How far two masks agree."""
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def fits(labels, masks) -> bool:
    """Whether labels of lungs are those of the digital patient."""
    return all(dice(labels == value, masks[name]) > 0.95 for value, name in ((1, "left lung"), (2, "right lung")))


def at_step(panel, number: int, action):
    """Do something in the middle of a run, when it asks the given time whether to go on."""
    asked, ask = [], panel.segment._onProgress

    def progress(*args):
        asked.append(args)
        if len(asked) == number:
            action()
        return ask(*args)

    panel.segment._onProgress = progress
    return asked


def names(segmentation) -> list[str]:
    """Names of the segments, in order."""
    held = segmentation.GetSegmentation()
    return [held.GetNthSegment(number).GetName() for number in range(held.GetNumberOfSegments())]


def made_of_surfaces():
    """A segmentation that holds a ball as a surface, not as voxels."""
    import slicer
    import vtk

    surfaces = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "surfaces")
    surfaces.GetSegmentation().SetSourceRepresentationName("Closed surface")
    ball = vtk.vtkSphereSource()
    ball.Update()
    surfaces.AddSegmentFromClosedSurfaceRepresentation(ball.GetOutput(), "ball", [1, 0, 0])
    return surfaces
