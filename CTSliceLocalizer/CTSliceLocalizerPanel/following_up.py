"""What the buttons of Follow up do, without widgets: match two volumes, link their views, list similar slices."""

from __future__ import annotations

from typing import NamedTuple

import slicer
from slicer.i18n import tr as _

from . import comparison_layout, location_nodes, match_nodes
from .linked_scrolling import LinkedScrolling


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

    checkPair(baseline, followUp)
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
        checkPair(baseline, followUp)
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
    return _("{here} z {z:.1f} mm is {there} z {to:.1f} \u00b1\u00a0{sigma:.1f}\u00a0mm, {how}.").format(
        to=place.z_mm, sigma=place.sigma_mm, how=foundInWords(place), **names
    )


def warnings(baseline, followUp) -> list[str]:
    """What the user has to know before trusting the kept match: sentences on the match and on each scan."""
    found = match_nodes.matchOf(baseline, followUp)
    if found is None:
        return []
    sentences = [flag.text for flag in found.flags]
    for role, volume in ((_("Baseline"), baseline), (_("Follow-up"), followUp)):
        sentences += [f"{role}: {flag.text}" for flag in location_nodes.locationOf(volume).flags]
    return sentences


def foundInWords(place) -> str:
    """How the height of a ``Place`` was found."""
    return _("confirmed by the images") if place.registered else _("by the body curves only")


def checkPair(baseline, followUp) -> None:
    """Two different volumes that are in the scene, or an error that says what is wrong."""
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
