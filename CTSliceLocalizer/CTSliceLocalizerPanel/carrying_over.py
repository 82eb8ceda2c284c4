"""What is carried from the baseline to the follow-up in all three directions: points as proposals, a transform."""

from __future__ import annotations

from typing import NamedTuple

import slicer
from slicer.i18n import tr as _

from . import comparison_layout, following_up, match_nodes

MARKUPS = (
    "vtkMRMLMarkupsFiducialNode",
    "vtkMRMLMarkupsLineNode",
    "vtkMRMLMarkupsAngleNode",
    "vtkMRMLMarkupsCurveNode",
    "vtkMRMLMarkupsClosedCurveNode",
)
"""Markups that are carried over point by point."""

_PROPOSAL = "CTSliceLocalizer.Proposal"


class Carried(NamedTuple):
    """Points that were carried over: the new node, how many, how many are not covered, and how they were found."""

    node: object
    count: int
    left_out: int
    method: str


def align(baseline, followUp, refine: bool = True, progress=None):
    """How the baseline lies in the follow-up in all three directions; kept with the match.

    Returns:
        ``CTSliceLocalizerLib.alignment.Alignment``, in LPS mm.
    """
    from CTSliceLocalizerLib import alignment
    from CTVolumeLib import scene

    following_up.placeMap(baseline, followUp)  # or it says why not
    kept = match_nodes.alignmentOf(baseline, followUp)
    if kept is not None and (refine or kept.method == "centres"):
        return kept
    found = alignment.align(
        match_nodes.matchOf(baseline, followUp),
        scene.volume_from_node(baseline),
        scene.volume_from_node(followUp),
        offset_mm=match_nodes.offsetOf(baseline, followUp),
        register=refine,
        progress=progress,
    )
    following_up.checkPair(baseline, followUp)
    if refine:
        match_nodes.setAlignment(baseline, followUp, found)
    return found


def carryOver(markups, baseline, followUp, refine: bool = True, progress=None) -> Carried:
    """Put the points of markups on the baseline onto the follow-up, as proposals in a new node.

    The height is that of the match; left-right and front-back are those of ``align``. The description of each point
    says how sure it is. Labels end with a question mark until the user has looked.

    Raises:
        CTError: no points, none of them covered, or a line or curve that is covered in part only.
    """
    import numpy as np
    from CTSliceLocalizerLib import alignment
    from CTVolumeLib import scene
    from CTVolumeLib.errors import CTError

    if markups is None or not any(markups.IsA(name) for name in MARKUPS):
        raise CTError("no_markups", "No points, line or curve is chosen.", "Choose markups that lie on the baseline.")
    name = markups.GetName()
    defined = [
        number
        for number in range(markups.GetNumberOfControlPoints())
        if markups.GetNthControlPointPositionStatus(number) == markups.PositionDefined
    ]
    if not defined:
        raise CTError("no_markups", f"{name} has no points.", "Place points on the baseline first.")
    found = align(baseline, followUp, refine, progress)
    points = np.array([markups.GetNthControlPointPositionWorld(number) for number in defined]) * [-1, -1, 1]
    kept = match_nodes.matchOf(baseline, followUp)
    carried = alignment.carry(kept, found, points, match_nodes.offsetOf(baseline, followUp))
    covered = [(number, point) for number, point in zip(defined, carried) if point.place.covered]
    separate = markups.IsA("vtkMRMLMarkupsFiducialNode")
    if not covered or (len(covered) < len(carried) and not separate):
        part = "" if not covered else "all of "
        raise CTError("not_covered", f"The follow-up does not show {part}{name}.", "Nothing was carried over.")
    with scene.temporary_nodes() as keep:
        node = slicer.mrmlScene.AddNewNodeByClass(markups.GetClassName(), f"{name}: proposals in {followUp.GetName()}")
        node.CreateDefaultDisplayNodes()
        node.SetAttribute(_PROPOSAL, "1")
        node.GetDisplayNode().SetSelectedColor(1.0, 0.55, 0.0)
        for number, point in covered:
            _addProposal(node, markups.GetNthControlPointLabel(number), point)
        keep(node)
        scene.show_in_subject_hierarchy(node, followUp)
    views = comparison_layout.existing()
    if views is not None and comparison_layout.isShown():
        comparison_layout.keepApart(views, [markups], [node])
    return Carried(node, len(covered), len(carried) - len(covered), found.method)


def transformToFollowUp(baseline, followUp, refine: bool = True, progress=None):
    """A linear transform node that takes the baseline to the follow-up: a start for registration modules.

    Returns:
        vtkMRMLLinearTransformNode; the baseline under it lies on the follow-up. Made anew with each call of the same
        two volumes.
    """
    import numpy as np
    from CTVolumeLib.scene import LPS_TO_RAS

    found = align(baseline, followUp, refine, progress)
    name = f"{baseline.GetName()} to {followUp.GetName()}"
    data = match_nodes.dataNode(baseline, followUp)
    node = data.GetNodeReference("transform")
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
        data.SetNodeReferenceID("transform", node.GetID())
    matrix = np.asarray(LPS_TO_RAS) @ found.matrix @ LPS_TO_RAS
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    node.SetDescription(methodInWords(found.method))
    return node


def methodInWords(method: str) -> str:
    """How left-right and front-back of an alignment were found."""
    if method == "registered":
        return _("In plane by rigid registration of the two bodies (about \u00b1 5 mm).")
    return _("In plane only by the centres of the two bodies (about \u00b1 15 mm): the images did not agree clearly.")


def _addProposal(node, label: str, point) -> None:
    import vtk

    place = point.place
    number = node.AddControlPointWorld(vtk.vtkVector3d(*(point.point_lps * [-1, -1, 1])), f"{label}?")
    node.SetNthControlPointDescription(
        number,
        _("Proposal: z \u00b1 {z:.1f} mm ({how}), in plane \u00b1 {plane:.0f} mm ({by})").format(
            z=place.sigma_mm,
            how=following_up.foundInWords(place),
            plane=point.in_plane_sigma_mm,
            by=_("registered") if point.method == "registered" else _("centres of the bodies"),
        ),
    )
