"""What the buttons of Follow up do, without widgets: match, link, correct, list slices, carry points, align."""

from __future__ import annotations

from typing import NamedTuple

import slicer
from slicer.i18n import tr as _

from . import comparison_layout, location_nodes, match_nodes
from .linked_scrolling import LinkedScrolling

MARKUPS = (
    "vtkMRMLMarkupsFiducialNode",
    "vtkMRMLMarkupsLineNode",
    "vtkMRMLMarkupsAngleNode",
    "vtkMRMLMarkupsCurveNode",
    "vtkMRMLMarkupsClosedCurveNode",
)
"""Markups that are carried over point by point."""

_PROPOSAL = "CTSliceLocalizer.Proposal"


class SimilarSlice(NamedTuple):
    """A slice of the follow-up that shows about the same place.

    Attributes:
        index: as stored.
        z_mm: height of its centre.
        location: on the article's scale.
        distance_mm: from the place itself.
        file: name of its DICOM file, or empty.
    """

    index: int
    z_mm: float
    location: float
    distance_mm: float
    file: str = ""


class Carried(NamedTuple):
    """Points that were carried over: the new node, how many, how many are not covered, and how they were found."""

    node: object
    count: int
    left_out: int
    method: str


def match(baseline, followUp, locate, refine: bool = True, progress=None):
    """Match two volumes and keep the result in the scene; they are located first where needed.

    Args:
        baseline: volume node.
        followUp: volume node of the same patient.
        locate: ``locate(volumeNode, progress)``, for a volume that has no location yet.
        refine: whether to compare the images as well, which is better than the body curves alone.
        progress: called with done, total and a text; False cancels.

    Returns:
        ``CTSliceLocalizerLib.matching.Match``; its flags are what the user has to know.

    Raises:
        CTError: a volume that can't be used or is refused, scans of different parts of the body, cancelled, or a
            volume that was removed meanwhile. The scene is then as it was before.
    """
    from CTSliceLocalizerLib import matching, registration
    from CTSliceLocalizerLib.places import PlaceMap
    from CTVolumeLib import scene

    _checkPair(baseline, followUp)
    located = []
    try:
        for number, volume in enumerate((baseline, followUp)):
            if location_nodes.locationOf(volume) is None:
                locate(volume, _part(progress, 35 * number, 35, _("Locating {name}").format(name=volume.GetName())))
                located.append(volume)
        first, second = location_nodes.locationOf(baseline), location_nodes.locationOf(followUp)
        found = matching.match(first, second)
        if refine and found.line is not None:
            volumes = [scene.volume_from_node(volume) for volume in (baseline, followUp)]
            found = registration.refine(found, *volumes, _part(progress, 70, 30, _("Comparing the images")))
        _checkPair(baseline, followUp)
        PlaceMap(found)  # or it says why there is none
    except BaseException:
        # A cancelled match leaves nothing behind that wasn't there.
        for volume in located:
            if volume.GetScene() is not None:
                location_nodes.clearLocation(volume)
        raise
    match_nodes.storeMatch(baseline, followUp, _warned(found, baseline, followUp), refine, located)
    return match_nodes.matchOf(baseline, followUp)


def placeMap(baseline, followUp):
    """The kept match with the user's correction, to read heights from.

    Returns:
        ``CTSliceLocalizerLib.places.PlaceMap``

    Raises:
        CTError: not matched, refused, or the scans show different parts of the body.
    """
    from CTSliceLocalizerLib.places import PlaceMap
    from CTVolumeLib.errors import CTError

    found = match_nodes.matchOf(baseline, followUp)
    if found is None:
        raise CTError("not_matched", match_nodes.NOT_MATCHED)
    return PlaceMap(found, match_nodes.offsetOf(baseline, followUp))


def showPair(baseline, followUp, onStep=None, onStop=None) -> LinkedScrolling:
    """Two matched volumes side by side, each view followed; ``linked`` of the result lets them follow each other."""
    places = placeMap(baseline, followUp)
    fresh = comparison_layout.existing()
    known = fresh is not None and fresh.baseline.shows(baseline) and fresh.followUp.shows(followUp)
    views = comparison_layout.show(baseline, followUp)
    axes = [location_nodes.axisOf(volume) for volume in (baseline, followUp)]
    pair = LinkedScrolling(baseline, followUp, views, places, axes, onStep, onStop)
    comparison_layout.keepApart(views, [_landmarks(baseline)], [_landmarks(followUp)])
    height = pair.heights()[0]
    low, high = places.baseline_range_mm
    if not known or height is None or not low <= height <= high:
        pair.goTo(places.middle_mm())
        pair.jump()
    return pair


def shownPair(pair: LinkedScrolling | None) -> LinkedScrolling:
    """The pair itself.

    Raises:
        CTError: no scans are shown side by side.
    """
    from CTVolumeLib.errors import CTError

    if pair is None:
        raise CTError("not_shown", "No two scans are shown side by side.", "Press Link scrolling first.")
    return pair


def shownHeight(pair: LinkedScrolling | None) -> float:
    """Z in mm of the slice that the baseline's view shows.

    Raises:
        CTError: no scans are shown side by side, or the view is not axial.
    """
    from CTVolumeLib.errors import CTError

    height = shownPair(pair).heights()[0]
    if height is None:
        raise CTError("not_axial", "The baseline's view is not axial.", "Turn it back to Axial.")
    return height


def offsetOfShown(pair: LinkedScrolling | None) -> float:
    """The correction in mm with which the two shown slices are the same place.

    Raises:
        CTError: no scans are shown side by side, or a view is not axial.
    """
    from CTVolumeLib.errors import CTError

    first, second = shownPair(pair).heights()
    if first is None or second is None:
        raise CTError("not_axial", "One of the two views is not axial.", "Turn it back to Axial.")
    return second - pair.places.to_followup(first).z_mm + pair.places.offset_mm


def shownPlaceInWords(pair: LinkedScrolling | None) -> tuple[str, bool]:
    """A sentence on the slice that was scrolled to last, and whether the other scan shows its place."""
    if pair is None:
        return _("Matched. Press Link scrolling to show both scans side by side."), True
    place = pair.place()
    return placeInWords(place, pair.fromFollowUp), place is None or place.covered


def slicesWithin(baseline, followUp, zMm: float, tolerance: float) -> list[SimilarSlice]:
    """The slices of the follow-up that show about the same place as a height of the baseline, nearest first.

    Args:
        baseline: volume node.
        followUp: volume node that was matched with it.
        zMm: z in mm in the baseline.
        tolerance: on the location scale, as in the article's ``match_files``.

    Raises:
        CTError: not matched, or the follow-up doesn't show this place.
    """
    from CTVolumeLib import scene
    from CTVolumeLib.errors import CTError

    place = placeMap(baseline, followUp).to_followup(zMm)
    if not place.covered:
        raise CTError("not_covered", placeInWords(place), "Scroll to a slice that both scans show.")
    location = location_nodes.locationOf(followUp)
    target = float(location.location_at(min(max(place.z_mm, location.z_mm.min()), location.z_mm.max())))
    found = [
        SimilarSlice(
            int(location.index[position]),
            float(location.z_mm[position]),
            float(location.location[position]),
            float(location.z_mm[position] - place.z_mm),
            location.files[position] if location.files else "",
        )
        for position in location.match(target, tolerance)
    ]
    found.sort(key=lambda entry: abs(entry.distance_mm))
    data = match_nodes.dataNode(baseline, followUp)
    if data.GetNodeReference("slices") is not None:
        slicer.mrmlScene.RemoveNode(data.GetNodeReference("slices"))
    columns = {
        "slice": [entry.index for entry in found],
        "z (mm)": [entry.z_mm for entry in found],
        "location": [entry.location for entry in found],
        "distance (mm)": [entry.distance_mm for entry in found],
    }
    if location.files:
        columns["file"] = [entry.file for entry in found]
    name = f"{followUp.GetName()}: slices like z {zMm:.1f} mm of {baseline.GetName()}"
    table = scene.table_from_columns(name, columns, slicer.mrmlScene)
    data.SetNodeReferenceID("slices", table.GetID())
    scene.show_in_subject_hierarchy(table, followUp)
    return found


def align(baseline, followUp, refine: bool = True, progress=None):
    """How the baseline lies in the follow-up in all three directions; kept with the match.

    Returns:
        ``CTSliceLocalizerLib.alignment.Alignment``, in LPS mm.
    """
    from CTSliceLocalizerLib import alignment
    from CTVolumeLib import scene

    placeMap(baseline, followUp)  # or it says why not
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
    _checkPair(baseline, followUp)
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


def proposedPair() -> tuple:
    """The two volumes to follow up where there is no doubt: there are just two, the earlier one first.

    The dates are those of the DICOM studies; without them the one that was loaded first is the baseline.
    """
    volumes = [
        node
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        if node.GetClassName() == "vtkMRMLScalarVolumeNode" and not node.GetHideFromEditors()
    ]
    if len(volumes) != 2:
        return None, None
    dates = [_fact(volume, "DICOM.StudyDate") for volume in volumes]
    return tuple(volumes if not all(dates) or dates[0] <= dates[1] else volumes[::-1])


def placeInWords(place, fromFollowUp: bool = False) -> str:
    """A sentence on a ``Place`` for the panel."""
    if place is None:
        return _("Scroll one of the two views to an axial slice of its scan to see where it lies in the other.")
    here, there = (_("Follow-up"), _("baseline")) if fromFollowUp else (_("Baseline"), _("follow-up"))
    names = {"here": here, "there": there, "z": place.from_mm}
    if not place.inside:
        return _("{here} z {z:.1f} mm: outside the scan.").format(**names)
    if not place.covered:
        return _("{here} z {z:.1f} mm: not covered by the {there}, which ends {mm:.0f} mm before.").format(
            mm=place.beyond_mm, **names
        )
    return _("{here} z {z:.1f} mm is {there} z {to:.1f} mm \u00b1 {sigma:.1f} mm, {how}.").format(
        to=place.z_mm, sigma=place.sigma_mm, how=_found(place), **names
    )


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
            how=_found(place),
            plane=point.in_plane_sigma_mm,
            by=_("registered") if point.method == "registered" else _("centres of the bodies"),
        ),
    )


def _found(place) -> str:
    return _("confirmed by the images") if place.registered else _("by the body curves only")


def _checkPair(baseline, followUp) -> None:
    from CTVolumeLib.errors import CTError

    if baseline is None or followUp is None:
        raise CTError("no_volume", "Two volumes are needed.", "Choose a baseline and a follow-up.")
    if baseline is followUp:
        raise CTError("same_volume", "Baseline and follow-up are the same volume.", "Choose two different volumes.")
    for volume in (baseline, followUp):
        if volume.GetScene() is None or not volume.GetScene().IsNodePresent(volume):
            raise CTError("no_volume", "A volume was removed while it was matched.", "Choose another volume.")


def _warned(found, baseline, followUp):
    """The match with a warning where DICOM files the two volumes under different patients."""
    from dataclasses import replace

    from CTSliceLocalizerLib.results import Flag

    patients = [_fact(volume, "DICOM.PatientID") for volume in (baseline, followUp)]
    if not all(patients) or patients[0] == patients[1]:
        return found
    text = _(
        "The two volumes belong to different patients: between patients the same level is not the same organ slice."
    )
    return replace(found, flags=(*found.flags, Flag("different_patients", text)))


def _fact(volumeNode, attribute: str) -> str:
    """What the subject hierarchy knows of the volume's study or patient; empty where nothing is known."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volumeNode.GetScene())
    item = tree.GetItemByDataNode(volumeNode) if tree is not None else 0
    while item and item != tree.GetSceneItemID():
        value = tree.GetItemAttribute(item, attribute)
        if value:
            return value
        item = tree.GetItemParent(item)
    return ""


def _landmarks(volumeNode):
    nodes = location_nodes.nodesOf(volumeNode)
    return nodes.markups if nodes is not None else None


def _part(progress, start: int, length: int, text: str):
    """A progress callback for a part of the work, in percent of the whole."""
    if progress is None:
        return None
    return lambda done, total, _text: progress(start + length * done // max(total, 1), 100, text)
