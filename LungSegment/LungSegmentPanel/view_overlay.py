"""A coloured layer over a scan in the slice views, for a moment: nothing of it is saved, and nothing stays behind."""

from __future__ import annotations

import math
from dataclasses import dataclass

import slicer
import slicer.util
import vtk

_OPACITY = 0.45
_DARKEST = -100000


@dataclass
class _Before:
    """What a slice view showed in the foreground."""

    composite: object
    volumeID: str
    opacity: float


class ViewOverlay:
    """Voxels between two values in one colour, in all slice views that show the scan.

    The layer is a hidden volume in the foreground; with the scan's own image it costs no memory and follows a slider at
    once, since Slicer thresholds only the slices that are shown.
    """

    def __init__(self, volumeNode, name: str, color: str, imageData=None) -> None:
        """Show nothing yet: see ``setRange``.

        Args:
            volumeNode: the scan.
            name: of the hidden volume, as views show it.
            color: of Slicer's colour tables, such as "Green".
            imageData: on the scan's grid; None for the scan's own voxels.
        """
        scene = volumeNode.GetScene()
        self.volumeNode = volumeNode
        display = slicer.vtkMRMLScalarVolumeDisplayNode()
        self._node = slicer.vtkMRMLScalarVolumeNode()
        for node in (display, self._node):
            node.SetName(name)
            node.SetHideFromEditors(True)
            node.SetSaveWithScene(False)
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(_DARKEST - 1, _DARKEST)  # every value has the table's last colour
        display.SetAutoThreshold(False)
        display.SetApplyThreshold(True)
        scene.AddNode(display)
        display.SetAndObserveColorNodeID(f"vtkMRMLColorTableNode{color}")
        self._node.CopyOrientation(volumeNode)
        self._node.SetAndObserveImageData(imageData or volumeNode.GetImageData())
        self._node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
        scene.AddNode(self._node)
        self._node.SetAndObserveDisplayNodeID(display.GetID())
        self._display = display
        self._before: list[_Before] = []

    def setRange(self, low: float, high: float) -> None:
        """Colour the voxels from low to high, both included."""
        if self._node.GetImageData() is not None and self._node.GetImageData().GetScalarType() not in (
            vtk.VTK_FLOAT,
            vtk.VTK_DOUBLE,
        ):
            low, high = math.ceil(low), math.floor(high)  # else VTK would round towards 0
        self._display.SetThreshold(low, high)
        self._show()

    def remove(self) -> None:
        """Give the views back what they showed, and take the nodes out of the scene."""
        scene = slicer.mrmlScene
        for before in self._before:
            if scene.IsNodePresent(before.composite) and before.composite.GetForegroundVolumeID() == self._node.GetID():
                before.composite.SetForegroundVolumeID(before.volumeID or None)
                before.composite.SetForegroundOpacity(before.opacity)
        self._before = []
        for node in (self._node, self._display):
            if scene.IsNodePresent(node):
                scene.RemoveNode(node)

    def _show(self) -> None:
        shown = [before.composite for before in self._before]
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            if composite.GetBackgroundVolumeID() == self.volumeNode.GetID() and composite not in shown:
                self._before.append(
                    _Before(composite, composite.GetForegroundVolumeID() or "", composite.GetForegroundOpacity())
                )
                composite.SetForegroundVolumeID(self._node.GetID())
                composite.SetForegroundOpacity(_OPACITY)


class ThresholdPreview(ViewOverlay):
    """What is darker than a threshold, in green, over the scan."""

    def __init__(self, volumeNode, thresholdHu: float) -> None:
        super().__init__(volumeNode, "threshold preview", "Green")
        self.setThreshold(thresholdHu)

    def setThreshold(self, thresholdHu: float) -> None:
        """Colour what is darker; for each step of a slider."""
        self.setRange(_DARKEST, math.nextafter(thresholdHu, -math.inf))
