"""Before and after: the scan and its cleaned copy take turns in the slice views and, on request, in the 3D view."""

from __future__ import annotations

import slicer
import slicer.util
import vtk

from . import cleaned_scan

_RENDERING = "HeadrestRemoval.rendering"
_OPACITY = ((-600, 0.0), (-450, 0.08), (-200, 0.2), (150, 0.35), (400, 0.9), (1500, 1.0))
_COLORS = (
    (-600, (0.35, 0.6, 0.85)), (-250, (0.45, 0.65, 0.85)), (-120, (0.85, 0.62, 0.48)), (120, (0.85, 0.55, 0.45)),
    (300, (0.95, 0.9, 0.8)), (1500, (1.0, 1.0, 0.95)),
)  # fmt: skip
"""HU: foam and plastics are blue, skin and soft tissue red, bone white. Below -600 HU all is clear."""

_FROM_THE_RIGHT = 1
"""As qMRMLThreeDView::rotateToViewAxis counts: patient and what is under the patient side by side."""


def showCleaned(volumeNode, segmentationNode, cleaned: bool = True) -> None:
    """Show the cleaned scan in all views that show the scan, or the other way round.

    Where the cleaned scan is shown the segments are hidden, since they would cover what is to be seen.
    """
    other = cleaned_scan.nodeOf(volumeNode)
    if other is None:
        return
    was, now = (volumeNode, other) if cleaned else (other, volumeNode)
    if showsCleaned(volumeNode) != cleaned:
        _copyWindow(was, now)
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        if composite.GetBackgroundVolumeID() == was.GetID():
            composite.SetBackgroundVolumeID(now.GetID())
    if segmentationNode is not None and segmentationNode.GetDisplayNode() is not None:
        segmentationNode.GetDisplayNode().SetVisibility2D(not cleaned)
    if shows3D(volumeNode):
        _render(volumeNode)


def showsCleaned(volumeNode) -> bool:
    """Whether a slice view shows the cleaned scan."""
    node = cleaned_scan.nodeOf(volumeNode)
    return node is not None and any(
        composite.GetBackgroundVolumeID() == node.GetID()
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    )


def show3D(volumeNode, shown: bool = True) -> None:
    """Show in the 3D view, as a volume rendering, what the slice views show: the scan or its cleaned copy.

    Ended, no node of it stays in the scene.
    """
    if not shown:
        for node in (volumeNode, cleaned_scan.nodeOf(volumeNode)):
            _removeRendering(node)
        return
    isNew = not shows3D(volumeNode)
    _render(volumeNode)
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    if not manager.threeDViewCount:
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    if isNew:
        view = manager.threeDWidget(0).threeDView()
        view.rotateToViewAxis(_FROM_THE_RIGHT)
        view.resetFocalPoint()
        view.resetCamera(False)  # at a distance from which all is seen


def shows3D(volumeNode) -> bool:
    """Whether there is a rendering of the scan or its cleaned copy."""
    return any(_rendering(node) is not None for node in (volumeNode, cleaned_scan.nodeOf(volumeNode)))


def removeOrphans(scene) -> None:
    """Remove renderings whose volume was removed from the scene."""
    for display in slicer.util.getNodesByClass("vtkMRMLVolumeRenderingDisplayNode", scene):
        if display.GetAttribute(_RENDERING) and display.GetDisplayableNode() is None:
            _removeWithParts(display)


def jumpTo(volumeNode, ijk) -> None:
    """Move the slice views to a voxel."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    ras = matrix.MultiplyPoint((*ijk, 1))[:3]
    if volumeNode.GetParentTransformNode() is not None:
        toWorld = vtk.vtkGeneralTransform()
        slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(volumeNode.GetParentTransformNode(), None, toWorld)
        ras = toWorld.TransformPoint(ras)
    slicer.vtkMRMLSliceNode.JumpAllSlices(volumeNode.GetScene(), *ras)


def _copyWindow(source, target) -> None:
    """What the user did to the brightness goes along."""
    given, display = source.GetScalarVolumeDisplayNode(), target.GetScalarVolumeDisplayNode()
    if given is None or display is None:
        return
    window = (given.GetWindow(), given.GetLevel())
    if window != (display.GetWindow(), display.GetLevel()):
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(*window)


def _render(volumeNode) -> None:
    """Let the one that the slice views show be rendered, and the other one not."""
    cleaned = cleaned_scan.nodeOf(volumeNode)
    shown, hidden = (cleaned, volumeNode) if showsCleaned(volumeNode) else (volumeNode, cleaned)
    _removeRendering(hidden)
    if _rendering(shown) is None:
        _addRendering(shown)


def _addRendering(node) -> None:
    scene = node.GetScene()
    properties = slicer.vtkMRMLVolumePropertyNode()
    properties.SetName(f"{node.GetName()} rendering property")
    scene.AddNode(properties)
    opacity, colors = vtk.vtkPiecewiseFunction(), vtk.vtkColorTransferFunction()
    for hu, value in _OPACITY:
        opacity.AddPoint(hu, value)
    for hu, color in _COLORS:
        colors.AddRGBPoint(hu, *color)
    properties.SetScalarOpacity(opacity)
    properties.SetColor(colors)
    properties.GetVolumeProperty().ShadeOn()
    properties.GetVolumeProperty().SetInterpolationTypeToLinear()
    display = scene.AddNewNodeByClass(_renderingClass(), f"{node.GetName()} rendering")
    display.SetAttribute(_RENDERING, "1")
    display.SetAndObserveVolumePropertyNodeID(properties.GetID())
    node.AddAndObserveDisplayNodeID(display.GetID())
    display.SetVisibility(True)


def _renderingClass() -> str:
    """By the graphics card, unless the user chose another way in Slicer's settings."""
    module = getattr(slicer.modules, "volumerendering", None)
    chosen = module.logic().GetDefaultRenderingMethod() if module is not None else None
    return chosen or "vtkMRMLGPURayCastVolumeRenderingDisplayNode"


def _rendering(node):
    """Our volume rendering display node of a volume, or None; one that the user made is not ours."""
    if node is None:
        return None
    for number in range(node.GetNumberOfDisplayNodes()):
        display = node.GetNthDisplayNode(number)
        if display is not None and display.GetAttribute(_RENDERING):
            return display
    return None


def _removeRendering(node) -> None:
    display = _rendering(node)
    if display is not None:
        _removeWithParts(display)


def _removeWithParts(display) -> None:
    scene = display.GetScene()
    for part in (display.GetROINode(), display.GetVolumePropertyNode(), display):
        if part is not None:
            scene.RemoveNode(part)
