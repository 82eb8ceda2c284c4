"""What Apply does: from a volume node to segments with a light, and back from segments to labels."""

from __future__ import annotations

import json
from typing import NamedTuple

import slicer
import slicer.util

OWNER = "LungSegment"
"""Tag of the module's segments in a segmentation that may hold others."""

DENSE = "dense in lungs"
"""Name of the segment that shows filled minus unfilled."""

_LIGHT = "LungSegment.light"
_BLOOD = (216 / 255, 101 / 255, 79 / 255)


class Light(NamedTuple):
    """What is kept of ``quality.Light``, with the scene.

    Attributes:
        colour: "green", "amber" or "red".
        reasons: (colour, sentence) of each sign.
        notes: sentences on what is right but should be known.
        edited: whether segments were edited since.
    """

    colour: str
    reasons: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    edited: bool


class Segmented(NamedTuple):
    """Result of ``segment``: the vtkMRMLSegmentationNode and its ``Light``."""

    segmentationNode: object
    light: Light


def segment(volumeNode, segmentationNode=None, thresholdHu: float = -320, closingMm: float = 8, progress=None):
    """Find the lungs and write them into a segmentation; an error or a cancel leaves the scene as it was.

    Args:
        volumeNode: a CT in HU, under any transform.
        segmentationNode: keeps its other segments; None for a new one.
        thresholdHu: what is darker is air or lung.
        closingMm: notches up to twice this wide are filled.
        progress: called with done, total and a text; False cancels. It may let Slicer handle events.

    Returns:
        Segmented.

    Raises:
        CTError: no lungs were found, the volume or segmentation can't be used or went away, cancelled.
    """
    from CTVolumeLib import scene, scene_segments
    from LungSegmentLib import lungs, quality
    from LungSegmentLib.segments import SEGMENTS

    volume = scene.volume_from_node(volumeNode)
    name = volumeNode.GetName()
    if segmentationNode is not None:
        scene_segments.check_segmentation(segmentationNode, volumeNode)
    options = lungs.LungOptions(thresholdHu, closingMm, lungRange(volumeNode))
    result = lungs.segment(volume, options, progress)
    light = quality.judge(volume, result)
    scene.check_present(volumeNode, segmentationNode)
    if segmentationNode is None:
        segmentationNode = volumeNode.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode", f"{name} lungs")
        scene.show_in_subject_hierarchy(segmentationNode, volumeNode)
    scene_segments.save_undo_state(segmentationNode)
    removeDense(segmentationNode)
    scene_segments.write_segments(segmentationNode, volumeNode, result.labels, SEGMENTS, OWNER)
    _keepLight(segmentationNode, light)
    scene.remove_results(volumeNode, OWNER)  # tables and charts of the result before
    return Segmented(segmentationNode, lightOf(segmentationNode))


def labelsOf(volumeNode, segmentationNode):
    """(k, j, i) uint8 the lungs as they are now, with what was edited.

    Raises:
        CTError: there are none.
    """
    from CTVolumeLib import scene_segments
    from CTVolumeLib.errors import CTError
    from LungSegmentLib.segments import SEGMENTS

    if segmentationNode is None or not hasLungs(segmentationNode):
        raise CTError("no_lungs", "There are no lungs of this scan yet.", "Press Apply.")
    return scene_segments.read_segments(segmentationNode, volumeNode, SEGMENTS, OWNER)


def hasLungs(segmentationNode) -> bool:
    """Whether a segmentation holds segments of this module."""
    from CTVolumeLib import scene_segments

    return scene_segments.has_segments(segmentationNode, OWNER)


def state(segmentationNode) -> tuple[int, ...]:
    """Changes whenever the voxels or the transform of the lungs do."""
    from CTVolumeLib import scene_segments

    return scene_segments.change_times(segmentationNode, OWNER, but=DENSE)


def lightOf(segmentationNode) -> Light | None:
    """The light that is kept with a segmentation."""
    from CTVolumeLib import scene_segments

    text = segmentationNode.GetAttribute(_LIGHT) if segmentationNode is not None else None
    if not text or not hasLungs(segmentationNode):
        return None
    try:
        kept = json.loads(text)
        counts = scene_segments.voxel_counts(segmentationNode, OWNER)
        counts.pop(DENSE, None)
        return Light(kept["colour"], tuple(map(tuple, kept["reasons"])), tuple(kept["notes"]), counts != kept["voxels"])
    except (ValueError, KeyError, TypeError):  # written by another version
        return None


def showDense(volumeNode, segmentationNode, thresholdHu: float = -320) -> None:
    """Add a segment with what is dense inside the lungs: filled minus unfilled."""
    import numpy as np
    from CTVolumeLib import scene_segments
    from CTVolumeLib.scene import LabelSegment
    from LungSegmentLib import lungs

    labels = labelsOf(volumeNode, segmentationNode)
    array = slicer.util.arrayFromVolume(volumeNode)
    dense = ((labels == lungs.LEFT) | (labels == lungs.RIGHT)) & (array >= thresholdHu)
    scene_segments.save_undo_state(segmentationNode)
    entry = LabelSegment(1, DENSE, _BLOOD)
    scene_segments.write_segments(segmentationNode, volumeNode, dense.astype(np.uint8), [entry], OWNER)


def removeDense(segmentationNode) -> None:
    """Remove the segment of ``showDense``."""
    from CTVolumeLib import scene_segments

    scene_segments.remove_segments(segmentationNode, OWNER, [DENSE])


def hasDense(segmentationNode) -> bool:
    """Whether the segment of ``showDense`` is there."""
    from CTVolumeLib import scene_segments

    return segmentationNode is not None and DENSE in scene_segments.own_segments(segmentationNode, OWNER)


def clear(volumeNode, segmentationNode) -> None:
    """Remove the lungs with their tables and charts; the segmentation goes with them if it held nothing else."""
    from CTVolumeLib import scene, scene_segments

    scene.remove_results(volumeNode, OWNER)
    if segmentationNode is None:
        return
    scene_segments.save_undo_state(segmentationNode)
    scene_segments.remove_segments(segmentationNode, OWNER)
    segmentationNode.RemoveAttribute(_LIGHT)
    if not segmentationNode.GetSegmentation().GetNumberOfSegments():
        scene.remove_node(segmentationNode)


def lungRange(volumeNode) -> tuple[float, float] | None:
    """World z in mm between which lungs can be, where CT Slice Localizer has located a scan beyond them, else None."""
    located = volumeNode.GetNumberOfNodeReferences("CTSliceLocalizer.locations")
    if not located or getattr(slicer.modules, "ctslicelocalizer", None) is None:
        return None
    return slicer.util.getModuleLogic("CTSliceLocalizer").chestRange(volumeNode)


def _keepLight(segmentationNode, light) -> None:
    from CTVolumeLib import scene_segments

    kept = {
        "colour": light.colour,
        "reasons": [(sign.colour, sign.text) for sign in light.signs],
        "notes": [sign.text for sign in light.notes],
        "voxels": scene_segments.voxel_counts(segmentationNode, OWNER),
    }
    segmentationNode.SetAttribute(_LIGHT, json.dumps(kept))
