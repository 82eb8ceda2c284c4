"""Labels and the scene: the slices of a volume node, the slice that is shown, and a list of points that keeps labels.

The points are for people: they lie under the transforms of the volume. What the program reads is an attribute of the
list that names the slice of each landmark, since a slice is what was labelled, wherever the volume is moved to.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import NamedTuple

import slicer
import slicer.util
import vtk

from . import location_nodes
from .label_files import Source
from .label_session import LabelSession, SeriesSlices, sliceNames

ROLE = "labels"
"""Under this role ``scene.set_results`` notes the list at the volume."""

FILES = "CTSliceLocalizer.sliceFiles"
VOLUME_FILE = "CTSliceLocalizer.volumeFile"
_LABELS = "CTSliceLocalizer.labelledSlices"
_SAVED = "CTSliceLocalizer.labelsFile"
_COLOR = (0.2, 0.8, 0.3)
"""Of the points: another one than that of the landmarks which Locate finds."""

_AXIAL = 0.7
"""Cosine of the largest angle, 45 degrees, at which a view still counts as axial."""


def identityOf(volumeNode) -> tuple:
    """What tells volumes apart and says that their slices are the same still, wherever they lie."""
    image = volumeNode.GetImageData()
    named = (volumeNode.GetAttribute("DICOM.instanceUIDs"), volumeNode.GetAttribute(FILES))
    return (*named, _volumeFile(volumeNode), image.GetDimensions() if image is not None else None)


def sourceOf(volumeNode) -> Source:
    """Where a volume is from.

    Raises:
        CTError: no volume, or one without voxels.
    """
    from CTVolumeLib import scene

    _need(volumeNode)
    volume = scene.place_of_node(volumeNode)
    kept = tuple(json.loads(volumeNode.GetAttribute(FILES) or "[]"))
    files = kept if len(kept) == len(volume.array) else scene.sources_of_node(volumeNode)
    uid, file = volume.meta["series_uid"] or "", _volumeFile(volumeNode)
    return Source(files, file, uid, _name(volumeNode), 0 if uid or file else _checksum(volumeNode))


def slicesOf(volumeNode, source: Source) -> SeriesSlices:
    """The axial slices of a volume as it lies in the world now.

    Raises:
        CTError: no volume, no voxels, or slices that can't be brought into axial order.
    """
    axes = _axes(volumeNode)
    index, stillSlices = axes.index, axes.stillSlices
    files = tuple(source.files[k] for k in index) if source.files and stillSlices else ()
    numbers = (volumeNode.GetAttribute("DICOM.instanceNumbers") or "").split() if stillSlices else []
    return SeriesSlices(
        zMm=axes.zMm,
        index=index,
        files=sliceNames(files, index, Path(source.volumeFile).name or source.name),
        numbers=tuple(numbers[k] for k in index) if len(numbers) == len(index) else (),
    )


def shownSlice(volumeNode) -> int:
    """The position of the slice that the active axial view shows.

    The active view is the one under the mouse; where that is no axial view of the volume, it is Red or else the first.

    Raises:
        CTError: no axial view shows the volume, or it shows a place outside.
    """
    import numpy as np
    from CTVolumeLib.errors import CTError

    axes = _axes(volumeNode)
    centres, normal = axes.centres, axes.normal
    for sliceNode in _views(volumeNode):
        toRas = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
        if abs(toRas[:3, 2] @ normal) < _AXIAL:
            continue
        distances = np.abs((centres - toRas[:3, 3]) @ toRas[:3, 2])
        position = int(distances.argmin())
        steps = np.abs(np.diff(centres, axis=0) @ normal)
        if distances[position] > max(steps.max() if len(steps) else 0.0, 1.0):
            raise CTError(
                "outside",
                f"The view {sliceNode.GetName()} shows no slice of {_name(volumeNode)}.",
                "Scroll to the scan.",
            )
        return position
    raise CTError(
        "no_view",
        f"No axial view shows {_name(volumeNode)}.",
        "Show the volume in a slice view with the orientation Axial.",
    )


def goToSlice(volumeNode, position: int) -> tuple[float, float, float]:
    """Move the slice views to a slice; its centre in world RAS mm."""
    from . import locating

    centres = _axes(volumeNode).centres
    point = tuple(float(value) for value in centres[position])
    locating.goTo(volumeNode, point)
    return point


def storeLabels(volumeNode, session: LabelSession, savedTo: Path | None) -> None:
    """Keep the labels in the scene, as a list of points under the volume; none where there is no label.

    Args:
        volumeNode: of the series.
        session: its labels.
        savedTo: the labels.json that holds the same; None where they are nowhere but here.
    """
    from CTVolumeLib import scene

    node = labelsNode(volumeNode)
    if not session.labels:
        removeLabels(volumeNode)
        return
    if node is None:
        node = volumeNode.GetScene().AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", f"{_name(volumeNode)}: labels")
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetSelectedColor(*_COLOR)
        location_nodes.levelMarks(node)
        node.SetLocked(True)
        scene.set_results(volumeNode, ROLE, [node])
        scene.show_in_subject_hierarchy(node, volumeNode)
    centres = _axes(volumeNode).centres
    with slicer.util.NodeModify(node):
        node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
        node.RemoveAllControlPoints()
        for row in session.rows():
            if row.position is not None:
                point = node.AddControlPointWorld(vtk.vtkVector3d(*centres[row.position]), row.name)
                node.SetNthControlPointDescription(point, row.file)
        node.SetAttribute(
            _LABELS, json.dumps({name: session.slices.index[position] for name, position in session.labels.items()})
        )
        node.SetAttribute(_SAVED, str(savedTo) if savedTo is not None else None)


def storedLabels(volumeNode, slices: SeriesSlices) -> tuple[dict[str, int], Path | None]:
    """The labels that the scene keeps for a volume, and the file that held the same when they were stored."""
    node = labelsNode(volumeNode)
    if node is None:
        return {}, None
    try:
        kept = json.loads(node.GetAttribute(_LABELS) or "{}")
        labels = {name: slices.index.index(k) for name, k in kept.items() if k in slices.index}
    except (ValueError, AttributeError):
        labels = {}
    saved = node.GetAttribute(_SAVED)
    return labels, Path(saved) if saved else None


def labelsNode(volumeNode):
    """The list of points that keeps a volume's labels, or None."""
    return volumeNode.GetNodeReference(f"CTSliceLocalizer.{ROLE}")


def removeLabels(volumeNode) -> None:
    """Remove the list of points, not what is on disk."""
    from CTVolumeLib import scene

    scene.remove_results(volumeNode, ROLE)


def nearestPositions(volumeNode, points: dict[str, tuple[float, float, float]]) -> dict[str, int]:
    """The slices that hold points of the world: a .mrk.json to labels.

    Args:
        volumeNode: of the series.
        points: LPS mm by landmark; those more than a slice outside the scan are left out.
    """
    import numpy as np

    axes = _axes(volumeNode)
    centres, normal = axes.centres, axes.normal
    heights = centres @ normal
    slack = max(np.abs(np.diff(heights)).max() if len(heights) > 1 else 0.0, 1.0)
    found = {}
    for name, (left, posterior, superior) in points.items():
        distances = np.abs(heights - np.array([-left, -posterior, superior]) @ normal)
        if distances.min() <= slack:
            found[name] = int(distances.argmin())
    return found


def pointsOf(volumeNode, session: LabelSession) -> list:
    """The labels as ``CTSliceLocalizerLib.annotations.Point``: slice centres, LPS mm in the world."""
    from CTSliceLocalizerLib.annotations import Point

    centres = _axes(volumeNode).centres
    return [
        Point(row.name, tuple(float(value) for value in centres[row.position] * (-1, -1, 1)), row.file)
        for row in session.rows()
        if row.position is not None
    ]


def pointUnderMouse():
    """The markups point under the mouse as (markups node, number), or None; of lists that are not locked."""
    for display in slicer.util.getNodesByClass("vtkMRMLMarkupsDisplayNode"):
        markups = display.GetDisplayableNode()
        if (
            markups is not None
            and not markups.GetLocked()
            and display.GetActiveComponentType() == display.ComponentControlPoint
        ):
            return markups, display.GetActiveComponentIndex()
    return None


def _views(volumeNode) -> list:
    """The slice nodes with the volume: the one under the mouse first, then those of the layout, then Red."""
    scene = volumeNode.GetScene()
    crosshair = scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    active = crosshair.GetCursorPositionXYZ([0.0, 0.0, 0.0]) if crosshair is not None else None
    nodes = []
    for sliceNode in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        composite = slicer.vtkMRMLSliceLogic.GetSliceCompositeNode(sliceNode)
        shown = composite is not None and composite.GetBackgroundVolumeID() == volumeNode.GetID()
        if shown:
            nodes.append(sliceNode)
    return sorted(
        nodes, key=lambda node: (node is not active, not node.IsMappedInLayout(), node.GetLayoutName() != "Red")
    )


class _Axes(NamedTuple):
    """A volume's axial slices from the feet to the head, as it lies in the world.

    Attributes:
        centres: (n, 3) RAS mm.
        normal: unit vector, RAS.
        zMm: z of the centres.
        index: of each slice as stored.
        stillSlices: whether axial slices are the slices as stored; coronal series are cut anew.
    """

    centres: object
    normal: object
    zMm: tuple[float, ...]
    index: tuple[int, ...]
    stillSlices: bool


_known: dict[tuple, _Axes] = {}
"""By modification times, which never repeat in a session: a view asks for it with every step of scrolling."""


def _axes(volumeNode) -> _Axes:
    import numpy as np
    from CTVolumeLib import scene

    _need(volumeNode)
    image, transform = volumeNode.GetImageData(), volumeNode.GetParentTransformNode()
    moved = [volumeNode.GetMTime(), image.GetDimensions() if image is not None else ()]
    while transform is not None:
        moved += [transform.GetMTime(), transform.GetTransformToWorldMTime()]
        transform = transform.GetParentTransformNode()
    key = tuple(moved)
    if key in _known:
        return _known[key]
    volume = scene.place_of_node(volumeNode)
    axial = volume.as_axial()
    _, rows, columns = axial.array.shape
    axes = axial.axes()
    middle = axes[:, 0] * axial.spacing[0] * (columns - 1) / 2 + axes[:, 1] * axial.spacing[1] * (rows - 1) / 2
    found = _Axes(
        centres=(axial.origins() + middle) * (-1, -1, 1),
        normal=axes[:, 2] * np.array([-1, -1, 1]),
        zMm=tuple(float(z) for z in axial.superior()),
        index=tuple(axial.meta.get("slice_index", range(len(axial.array)))),
        stillSlices="slice_index" in axial.meta or axial is volume,
    )
    if len(_known) >= 8:
        del _known[next(iter(_known))]
    _known[key] = found
    return found


def _need(volumeNode) -> None:
    from CTVolumeLib.errors import CTError

    if volumeNode is None:
        raise CTError("no_volume", "No volume is chosen.", "Choose the volume to label.")


def _checksum(volumeNode) -> int:
    """Of an even sample of the voxels."""
    array = slicer.util.arrayFromVolume(volumeNode)
    sample = array.ravel()[:: max(1, array.size // 100_000)]
    return zlib.crc32(repr(array.shape).encode() + sample.astype("<f4").tobytes())


def _volumeFile(volumeNode) -> str:
    storage = volumeNode.GetStorageNode()
    return volumeNode.GetAttribute(VOLUME_FILE) or (storage.GetFileName() if storage is not None else "") or ""


def _name(volumeNode) -> str:
    return volumeNode.GetName() or "volume"
