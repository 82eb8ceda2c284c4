"""What Apply does: from a volume node to segments of equipment and a cleaned scan, and back from segments to labels."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import NamedTuple

from slicer.i18n import tr as _

from . import cleaned_scan, comparing

OWNER = "HeadrestRemoval"
"""Tag of the module's segments in a segmentation that may hold others."""

_REPORT = "HeadrestRemoval.report"


class Report(NamedTuple):
    """What is kept of ``EquipmentResult``, with the scene.

    Attributes:
        method: "clustering", "network" or "both".
        warnings: (code, sentence) as in ``EquipmentResult``.
        contactCm2: area over which each kind of equipment touched the patient, by the names of ``measure.measure``.
        contactIjk: a voxel in the slice where most of what is as dense as skin touches, or nothing.
        edited: whether segments were edited since.
    """

    method: str
    warnings: tuple[tuple[str, str], ...]
    contactCm2: dict[str, float]
    contactIjk: tuple[int, ...]
    edited: bool


class Removed(NamedTuple):
    """Result of ``remove``: the vtkMRMLSegmentationNode, the cleaned vtkMRMLScalarVolumeNode and its ``Report``."""

    segmentationNode: object
    cleanedNode: object
    report: Report


def remove(volumeNode, segmentationNode=None, method: str = "auto", fill: float | str = -1000, progress=None):
    """Find equipment, write it into a segmentation and make the scan without it.

    An error or a cancel leaves the scene as it was.

    Args:
        volumeNode: a CT in HU, under any transform; it is not changed.
        segmentationNode: keeps its other segments; None for a new one.
        method: "auto", "clustering", "network" or "both".
        fill: HU of what is removed, or "air" for the air that the scan shows.
        progress: called with done, total and a text; False cancels. It may let Slicer handle events.

    Returns:
        Removed.

    Raises:
        CTError: no body was found, the volume or segmentation can't be used or went away, cancelled.
    """
    from CTVolumeLib import scene, scene_segments
    from CTVolumeLib.errors import CTError
    from HeadrestRemovalLib import equipment, measure
    from HeadrestRemovalLib.labels import SEGMENTS

    volume = scene.volume_from_node(volumeNode)
    if segmentationNode is not None:
        scene_segments.check_segmentation(segmentationNode, volumeNode)
    result = equipment.find(volume, method, progress)
    if progress is not None and not progress(99, 100, _("Measuring and writing")):
        raise CTError("cancelled", "Removing equipment was cancelled.")
    measures = measure.measure(volume, result.labels)
    scene.check_present(volumeNode, segmentationNode)
    image = cleaned_scan.imageWithout(volumeNode, result.labels, fill)
    if segmentationNode is None:
        name = f"{volumeNode.GetName()} equipment"
        segmentationNode = volumeNode.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode", name)
        scene.show_in_subject_hierarchy(segmentationNode, volumeNode)
    scene_segments.save_undo_state(segmentationNode)
    scene_segments.write_segments(segmentationNode, volumeNode, result.labels, SEGMENTS, OWNER)
    _keepReport(segmentationNode, volume, result, measures)
    _remember(_stateOf(volumeNode, segmentationNode), measures)
    scene.remove_results(volumeNode, OWNER)  # the table of the result before
    cleanedNode = cleaned_scan.put(volumeNode, image, _voxels(segmentationNode), fill)
    if comparing.showsCleaned(volumeNode):
        comparing.showCleaned(volumeNode, segmentationNode, False)  # first one looks at what is removed now
    return Removed(segmentationNode, cleanedNode, reportOf(segmentationNode))


def clean(volumeNode, segmentationNode, fill: float | str = -1000):
    """Make the cleaned scan anew from the segments as they are now; the vtkMRMLScalarVolumeNode.

    Raises:
        CTError: there are no segments of equipment, or they can't be used.
    """
    image = cleaned_scan.imageWithout(volumeNode, labelsOf(volumeNode, segmentationNode), fill)
    return cleaned_scan.put(volumeNode, image, _voxels(segmentationNode), fill)


def isCurrent(volumeNode, segmentationNode, fill: float | str) -> bool:
    """Whether the cleaned scan is what ``clean`` would make of the segments and this fill."""
    return cleaned_scan.madeOf(volumeNode) == cleaned_scan.recipe(_voxels(segmentationNode), fill)


def labelsOf(volumeNode, segmentationNode):
    """(k, j, i) uint8 the equipment as it is now, with what was edited: 2 headrest, 3 table, 4 other, 0 all else.

    Raises:
        CTError: there is none.
    """
    from CTVolumeLib import scene_segments
    from CTVolumeLib.errors import CTError
    from HeadrestRemovalLib.labels import SEGMENTS

    if not hasEquipment(segmentationNode):
        raise CTError("no_equipment", "There are no segments of headrest and table of this scan yet.", "Press Apply.")
    return scene_segments.read_segments(segmentationNode, volumeNode, SEGMENTS, OWNER)


def measure(volumeNode, segmentationNode) -> tuple:
    """``HeadrestRemovalLib.measure.EquipmentMeasures`` of headrest, table, other equipment and all, as they are now.

    The area of contact is that of the run, since segments of equipment don't tell where the patient is; NaN where
    segments were edited since.

    Raises:
        CTError: there are no segments of equipment.
    """
    from CTVolumeLib import scene
    from HeadrestRemovalLib import measure as measuring

    key = _stateOf(volumeNode, segmentationNode)
    if key not in _measured:
        labels = labelsOf(volumeNode, segmentationNode)
        _remember(key, measuring.measure(scene.volume_from_node(volumeNode), labels))
    report = reportOf(segmentationNode)
    contact = report.contactCm2 if report is not None and not report.edited else {}
    return tuple(replace(one, contact_cm2=contact.get(one.name, math.nan)) for one in _measured[key])


def hasEquipment(segmentationNode) -> bool:
    """Whether a segmentation holds segments of this module."""
    from CTVolumeLib import scene_segments

    return scene_segments.has_segments(segmentationNode, OWNER)


def reportOf(segmentationNode) -> Report | None:
    """The report that is kept with a segmentation."""
    text = segmentationNode.GetAttribute(_REPORT) if segmentationNode is not None else None
    if not text or not hasEquipment(segmentationNode):
        return None
    try:
        kept = json.loads(text)
        return Report(
            kept["method"],
            tuple(map(tuple, kept["warnings"])),
            kept["contact_cm2"],
            tuple(kept["contact_ijk"]),
            kept["voxels"] != _voxels(segmentationNode),
        )
    except (ValueError, KeyError, TypeError):  # written by another version
        return None


def clear(volumeNode, segmentationNode) -> None:
    """Remove segments, cleaned scan, table and rendering; the segmentation goes with them if it held nothing else."""
    from CTVolumeLib import scene, scene_segments

    comparing.showCleaned(volumeNode, segmentationNode, False)
    comparing.show3D(volumeNode, False)
    cleaned_scan.remove(volumeNode)
    scene.remove_results(volumeNode, OWNER)
    if segmentationNode is None:
        return
    scene_segments.save_undo_state(segmentationNode)
    scene_segments.remove_segments(segmentationNode, OWNER)
    segmentationNode.RemoveAttribute(_REPORT)
    if not segmentationNode.GetSegmentation().GetNumberOfSegments():
        scene.remove_node(segmentationNode)


_measured: dict[tuple, tuple] = {}
"""The measures of the last equipment by times of change, which never repeat in a session."""


def _remember(key: tuple, measures: tuple) -> None:
    _measured.clear()
    _measured[key] = measures


def _stateOf(volumeNode, segmentationNode) -> tuple:
    """Changes whenever the voxels or the transform of the scan or the segments do."""
    from CTVolumeLib import scene_segments

    own = scene_segments.change_times(segmentationNode, OWNER)
    parent = volumeNode.GetParentTransformNode()
    place = (*volumeNode.GetSpacing(), parent.GetTransformToWorldMTime() if parent is not None else 0)
    return (volumeNode.GetID(), volumeNode.GetImageData().GetMTime(), *place, *own)


def _voxels(segmentationNode) -> dict[str, int]:
    from CTVolumeLib import scene_segments

    return scene_segments.voxel_counts(segmentationNode, OWNER)


def _keepReport(segmentationNode, volume, result, measures) -> None:
    kept = {
        "method": result.method,
        "warnings": result.warnings,
        "contact_cm2": {one.name: one.contact_cm2 for one in measures},
        "contact_ijk": _placeOfContact(volume, result.labels),
        "voxels": _voxels(segmentationNode),
    }
    segmentationNode.SetAttribute(_REPORT, json.dumps(kept))


def _placeOfContact(volume, labels) -> list[int]:
    """i, j, k of a voxel in the middle of the contact, in the slice where there is most of it; [] without contact.

    Equipment as dense as skin goes first: there the cut is a guess.
    """
    import numpy as np
    from HeadrestRemovalLib.cluster import DENSE_HU
    from HeadrestRemovalLib.labels import EQUIPMENT, PATIENT

    most, place = (0, 0), []
    for k, slice_ in enumerate(labels):
        if slice_.max() <= PATIENT:
            continue
        patient, equipment, dense = slice_ == PATIENT, np.isin(slice_, EQUIPMENT), volume.array[k] > DENSE_HU
        touching = [_beside(patient & dense) & equipment & dense, _beside(patient) & equipment]
        count = tuple(map(np.count_nonzero, touching))
        if count > most:
            most = count
            rows, columns = np.nonzero(touching[0] if count[0] else touching[1])
            middle = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
            place = [int(columns[middle]), int(rows[middle]), k]
    return place


def _beside(mask):
    """The four neighbours of each pixel of a slice, and the pixels between them."""
    from scipy import ndimage

    return ndimage.binary_dilation(mask)
