"""Two slice views that follow each other by anatomy: a step in one moves the other to the same place in the body.

Only slice nodes are observed and moved, so it works whatever moves a view: wheel, slider, keys, crosshair, scripts.
Slicer's own link goes by coordinates; while ours is on it is switched off for the two views, and put back afterwards.
"""

from __future__ import annotations

import slicer
import vtk
from slicer.util import VTKObservationMixin

from .comparison_layout import Views

_LINK_BEFORE = "CTSliceLocalizer.LinkBefore"
_STILL_MM = 1e-3
"""A view that moved less did not scroll: it was panned, zoomed or drawn."""


class LinkedScrolling(VTKObservationMixin):
    """Follows two slice views and, while ``linked``, lets each follow the other.

    Args:
        baseline: volume node in the first view.
        followUp: volume node in the second view.
        views: the two views.
        places: ``CTSliceLocalizerLib.places.PlaceMap`` of the two.
        axes: their ``location_nodes.BodyAxis``.
        onStep: called without arguments whenever a view has scrolled.
        onStop: called with a sentence when the pair can't be followed any more.
    """

    def __init__(self, baseline, followUp, views: Views, places, axes, onStep=None, onStop=None) -> None:
        super().__init__()
        self.volumes = (baseline, followUp)
        self.views = views
        self.places = places
        self.onStep, self.onStop = onStep, onStop
        self._axes = axes
        self._last = [self._heightShown(0), self._heightShown(1)]
        self._source = 0
        self._linked = self._moving = False
        for view in views:
            self.addObserver(view.sliceNode, vtk.vtkCommand.ModifiedEvent, self._onViewModified)
        for volume in self.volumes:
            self.addObserver(volume, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._onVolumeChanged)
            self.addObserver(volume, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, self._onVolumeChanged)
        scene = baseline.GetScene()
        self.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self._onNodeAboutToBeRemoved)
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneCloses)

    @property
    def linked(self) -> bool:
        """Whether the views follow each other."""
        return self._linked

    @linked.setter
    def linked(self, linked: bool) -> None:
        if linked == self._linked:
            return
        self._linked = linked
        for view in self.views:
            _switchSlicersLinkOff(view.compositeNode) if linked else _putSlicersLinkBack(view.compositeNode)
        if linked:
            self.jump()

    def stop(self) -> None:
        """Follow no more; Slicer's link is as it was."""
        self.linked = False
        self.removeObservers()

    def setPlaces(self, places) -> None:
        """Go by another map, such as one with another correction; the view that was scrolled last stays."""
        self.places = places
        if self._linked:
            self.jump()
        self._tell()

    def place(self):
        """Where the height shown by the view that was scrolled last lies in the other scan.

        Returns:
            A ``CTSliceLocalizerLib.places.Place``; None where that view is not axial or shows another volume.
        """
        height = self._heightShown(self._source)
        if height is None or not self.views[self._source].shows(self.volumes[self._source]):
            return None
        return self.places.to_followup(height) if self._source == 0 else self.places.to_baseline(height)

    @property
    def fromFollowUp(self) -> bool:
        """Whether the view that was scrolled last is that of the follow-up."""
        return self._source == 1

    def heights(self) -> tuple[float | None, float | None]:
        """Z in mm shown in the baseline's and in the follow-up's view; None for a view that is not axial."""
        return self._heightShown(0), self._heightShown(1)

    def goTo(self, heightMm: float, followUp: bool = False) -> None:
        """Scroll the baseline's view (or the follow-up's) to a height; linked, the other follows."""
        self._source = int(followUp)
        self._moveTo(self._source, heightMm)
        if self._linked:
            self.jump()
        self._tell()

    def jump(self):
        """Move the view that was not scrolled last to the same place in the body, also where its scan has ended.

        Returns:
            As ``place``.
        """
        place, other = self.place(), 1 - self._source
        if place is not None and self._heightShown(other) is not None and self.views[other].shows(self.volumes[other]):
            self._moveTo(other, place.z_mm)
        return place

    def _heightShown(self, side: int) -> float | None:
        """Z at which the plane of a view crosses the middle of its scan; None for sagittal and coronal planes."""
        matrix = self.views[side].sliceNode.GetSliceToRAS()
        point = [matrix.GetElement(row, 3) for row in range(3)]
        normal = [matrix.GetElement(row, 2) for row in range(3)]
        return self._axes[side].heightOfPlane(point, normal)

    def _moveTo(self, side: int, heightMm: float) -> None:
        self._moving = True
        try:
            self.views[side].sliceNode.JumpSliceByOffsetting(*self._axes[side].pointAt(heightMm))
        finally:
            self._moving = False
        self._last[side] = self._heightShown(side)

    def _tell(self) -> None:
        if self.onStep is not None:
            self.onStep()

    def _onViewModified(self, sliceNode, _event) -> None:
        if self._moving:
            return
        side = 0 if sliceNode is self.views.baseline.sliceNode else 1
        height, last = self._heightShown(side), self._last[side]
        if height is last or (height is not None and last is not None and abs(height - last) < _STILL_MM):
            return
        self._last[side], self._source = height, side
        if self._linked:
            self.jump()
        self._tell()

    def _onVolumeChanged(self, volume, _event) -> None:
        self._end(f"{volume.GetName()} was moved or changed, so it has to be located again: press Link scrolling.")

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAboutToBeRemoved(self, _scene, _event, node) -> None:
        if node in self.volumes:
            self._end(f"{node.GetName()} was removed: choose another volume.")
        elif any(node in view for view in self.views):
            self._end("The side-by-side views were removed: press Link scrolling to have them back.")

    def _onSceneCloses(self, _scene, _event) -> None:
        self._end("")

    def _end(self, reason: str) -> None:
        self.stop()
        if self.onStop is not None:
            self.onStop(reason)


def _switchSlicersLinkOff(compositeNode) -> None:
    # Kept at the node, so that a scene that was saved meanwhile gets its link back as well.
    if compositeNode.GetAttribute(_LINK_BEFORE) is None:
        before = f"{compositeNode.GetLinkedControl()} {compositeNode.GetHotLinkedControl()}"
        compositeNode.SetAttribute(_LINK_BEFORE, before)
    compositeNode.SetLinkedControl(0)
    compositeNode.SetHotLinkedControl(0)


def _putSlicersLinkBack(compositeNode) -> None:
    before = compositeNode.GetAttribute(_LINK_BEFORE)
    if before is not None:
        linked, hot = before.split()
        compositeNode.SetLinkedControl(int(linked))
        compositeNode.SetHotLinkedControl(int(hot))
        compositeNode.RemoveAttribute(_LINK_BEFORE)
