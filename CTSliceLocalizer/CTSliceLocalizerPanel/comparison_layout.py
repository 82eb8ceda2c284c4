"""Two axial slice views side by side, one for the baseline and one for the follow-up, and back to the user's layout.

The views have view groups of their own: Slicer's jumps, crosshair and links go by coordinates, which two scans without
a common frame of reference don't share.
"""

from __future__ import annotations

from typing import NamedTuple

import slicer

LAYOUT_ID = 57211
"""Slicer's own layouts are below 100; a number that no other module is likely to use."""

_BEFORE = "CTSliceLocalizer.LayoutBefore"
_APART = "CTSliceLocalizer.OneView"
_VIEW = """
  <item splitSize="500">
    <view class="vtkMRMLSliceNode" singletontag="{tag}">
      <property name="orientation" action="default">Axial</property>
      <property name="viewlabel" action="default">{label}</property>
      <property name="viewcolor" action="default">{color}</property>
      <property name="viewgroup" action="default">{group}</property>
    </view>
  </item>"""

_timesRemoved = 0


class View(NamedTuple):
    """A slice view: its node and the node that says which volumes it shows."""

    sliceNode: object
    compositeNode: object

    def shows(self, volumeNode) -> bool:
        """Whether a volume is the background of the view."""
        return self.compositeNode.GetBackgroundVolumeID() == volumeNode.GetID()


class Views(NamedTuple):
    """Both views."""

    baseline: View
    followUp: View


def viewNames() -> tuple[str, str]:
    """Names of the baseline's and the follow-up's view, as ``layoutManager().sliceWidget(name)`` takes them.

    Views that were removed come back under other names: what observes slice views in Slicer, such as the texts in
    their corners, goes by name and would go on talking to the view that is gone.
    """
    number = str(_timesRemoved + 1) if _timesRemoved else ""
    return f"CTBaseline{number}", f"CTFollowUp{number}"


def register() -> None:
    """Make the layout known to Slicer; again does nothing."""
    layout, description = _layoutNode(), _description()
    if layout is not None and not layout.AddLayoutDescription(LAYOUT_ID, description):
        layout.SetLayoutDescription(LAYOUT_ID, description)


def show(baseline, followUp) -> Views:
    """Show two volumes side by side at the same zoom; views that show them already stay as they are.

    Raises:
        CTError: Slicer runs without views.
    """
    from CTVolumeLib.errors import CTError

    layout = _layoutNode()
    if layout is None:
        raise CTError("no_views", "Slicer runs without slice views, so there is nothing to scroll.")
    register()
    if layout.GetViewArrangement() != LAYOUT_ID:
        layout.SetAttribute(_BEFORE, str(layout.GetViewArrangement()))
        layout.SetViewArrangement(LAYOUT_ID)
        slicer.app.processEvents()  # the views get their sizes
    views = existing()
    if views is None:
        raise CTError("no_views", "Slicer did not make the two slice views.", "Choose another layout and try again.")
    new = [
        (view, volume)
        for view, volume in ((views.baseline, baseline), (views.followUp, followUp))
        if not view.shows(volume)
    ]
    for view, volume in new:
        view.compositeNode.SetBackgroundVolumeID(volume.GetID())
        view.compositeNode.SetForegroundVolumeID(None)
        view.compositeNode.SetLabelVolumeID(None)
        view.sliceNode.SetOrientationToAxial()
    if new:
        _fit(views)
    return views


def isShown() -> bool:
    """Whether the two views are the current layout."""
    layout = _layoutNode()
    return layout is not None and layout.GetViewArrangement() == LAYOUT_ID


def restore() -> None:
    """Back to the layout that the user had; one that the user chose since then stays."""
    layout = _layoutNode()
    if layout is None:
        return
    if layout.GetViewArrangement() == LAYOUT_ID:
        before = layout.GetAttribute(_BEFORE)
        known = before is not None and layout.IsLayoutDescription(int(before))
        layout.SetViewArrangement(int(before) if known else layout.SlicerLayoutFourUpView)
    layout.RemoveAttribute(_BEFORE)


def remove() -> None:
    """Take the two views out of the scene, after the user's layout is back."""
    global _timesRemoved
    restore()
    if isShown() or existing() is None:
        return
    tags, _timesRemoved = viewNames(), _timesRemoved + 1
    for tag in tags:
        sliceNode = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLSliceNode")
        if sliceNode is None:
            continue
        composite = slicer.vtkMRMLSliceLogic.GetSliceCompositeNode(sliceNode)
        widget = slicer.app.layoutManager().sliceWidget(tag)
        logic = widget.sliceLogic() if widget is not None else None
        plane = logic.GetSliceModelNode() if logic is not None else None
        parts = [sliceNode, composite]
        if plane is not None:
            parts += [plane, plane.GetDisplayNode(), plane.GetParentTransformNode()]
        # The slice node first: with it Slicer removes the view, which would make the others anew.
        for node in parts:
            if node is not None and slicer.mrmlScene.IsNodePresent(node):
                slicer.mrmlScene.RemoveNode(node)


def existing() -> Views | None:
    """The two views, or None where the layout was never shown in this scene."""
    found = []
    for tag in viewNames():
        sliceNode = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLSliceNode")
        composite = slicer.vtkMRMLSliceLogic.GetSliceCompositeNode(sliceNode) if sliceNode is not None else None
        if composite is None:
            return None
        found.append(View(sliceNode, composite))
    return Views(*found)


def keepApart(views: Views, baselineMarkups, followUpMarkups) -> None:
    """Show points only in the view of the scan that they belong to; ``mix`` takes that back.

    Points lie in the world: those of one scan would show in the other's view at whatever happens to be there.
    """
    for view, markups in ((views.baseline, baselineMarkups), (views.followUp, followUpMarkups)):
        for node in markups:
            display = node.GetDisplayNode() if node is not None else None
            if display is not None and display.GetNumberOfViewNodeIDs() == 0:
                display.AddViewNodeID(view.sliceNode.GetID())
                display.SetAttribute(_APART, "1")


def mix() -> None:
    """Show the points in all views again that ``keepApart`` confined to one."""
    for display in slicer.util.getNodesByClass("vtkMRMLMarkupsDisplayNode"):
        if display.GetAttribute(_APART):
            display.RemoveAllViewNodeIDs()
            display.RemoveAttribute(_APART)


def _fit(views: Views) -> None:
    """Both volumes whole in their views, a millimetre as large in one as in the other."""
    manager = slicer.app.layoutManager()
    for tag in viewNames():
        manager.sliceWidget(tag).sliceLogic().FitSliceToBackground()
    nodes = [view.sliceNode for view in views]
    largest = max(node.GetFieldOfView()[1] / max(node.GetDimensions()[1], 1) for node in nodes)
    for node in nodes:
        width, height, depth = node.GetDimensions()
        if width > 0 and height > 0 and depth > 0:
            node.SetFieldOfView(largest * width, largest * height, node.GetFieldOfView()[2])


def _description() -> str:
    # Blue and vermilion: told apart with any colour vision.
    looks = zip(viewNames(), ("Baseline", "Follow-up"), ("#0072B2", "#D55E00"), (57211, 57212))
    views = "".join(_VIEW.format(tag=tag, label=label, color=color, group=group) for tag, label, color, group in looks)
    return f'<layout type="horizontal" split="true">{views}\n</layout>'


def _layoutNode():
    manager = slicer.app.layoutManager()
    return manager.layoutLogic().GetLayoutNode() if manager is not None else None
