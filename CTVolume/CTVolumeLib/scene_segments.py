"""Segments of a module in a segmentation that may hold other people's segments as well. Used by the modules' panels.

A module's own segments carry a tag with its name, which is saved with them: they are found again under any name that
the user gave them, and replaced without touching the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from .errors import CTError
from .scene_results import LabelSegment

_TAG = "CTSliceLocalizer.segment"
_LABELMAP, _SURFACE = "Binary labelmap", "Closed surface"


def own_segments(segmentation_node, owner: str) -> dict[str, str]:
    """IDs of a module's segments by the names of their ``LabelSegment``."""
    segmentation = segmentation_node.GetSegmentation()
    found = {}
    for identifier in segmentation.GetSegmentIDs():
        tag = _tag(segmentation.GetSegment(identifier))
        if tag.startswith(f"{owner}:"):
            found[tag.partition(":")[2]] = identifier
    return found


def has_segments(segmentation_node, owner: str) -> bool:
    """Whether a segmentation, or None, holds segments of a module."""
    return segmentation_node is not None and bool(own_segments(segmentation_node, owner))


def segmentation_of(volume_node, owner: str):
    """The segmentation that holds a module's segments of a volume, or None."""
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        if node.GetNodeReference(role) is volume_node and has_segments(node, owner):
            return node
    return None


def change_times(segmentation_node, owner: str, but: str = "") -> tuple[int, ...]:
    """Changes whenever the voxels or the transform of a module's segments do, that of one name excepted."""
    if segmentation_node is None:
        return ()
    segmentation = segmentation_node.GetSegmentation()
    own = own_segments(segmentation_node, owner)
    times = [
        segmentation.GetSegment(identifier).GetRepresentation(_LABELMAP).GetMTime()
        for name, identifier in own.items()
        if name != but
    ]
    parent = segmentation_node.GetParentTransformNode()
    return (*times, parent.GetTransformToWorldMTime() if parent is not None else 0)


def write_segments(segmentation_node, volume_node, labels: np.ndarray, segments: Sequence[LabelSegment], owner: str):
    """Put labels into a segmentation; segments of the same owner and name are replaced, all others stay.

    What the user changed at an own segment (name, colour, visibility) stays as well. The steps are such that undo of
    the Segment Editor takes them back where ``save_undo_state`` was called before.

    Args:
        segmentation_node: any; an empty one takes over geometry and transform of the volume.
        volume_node: what the labels belong to.
        labels: (k, j, i) integers below 256 on its grid. Values without a segment are left out.
        segments: one for each value that is written; they must not overlap segments that are written apart.
        owner: name of the module.

    Raises:
        CTError: the labels are not on the grid of the volume; see ``check_segmentation``.
    """
    check_segmentation(segmentation_node, volume_node)
    size = volume_node.GetImageData().GetDimensions()[::-1]
    if labels.shape != size:
        raise CTError("bad_shape", f"The labels have the shape {labels.shape}, {volume_node.GetName()} {size}.")
    segmentation = segmentation_node.GetSegmentation()
    if not segmentation.GetNumberOfSegments():
        segmentation_node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
        segmentation_node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    # Slicer would paint values that no segment has in some colour.
    labels = np.where(np.isin(labels, [entry.value for entry in segments]), labels, 0).astype(np.uint8)
    layer = _image(labels, _geometry(volume_node, segmentation_node))
    own = own_segments(segmentation_node, owner)
    has_surface = segmentation.ContainsRepresentation(_SURFACE)
    with slicer.util.NodeModify(segmentation_node):
        for entry in segments:
            if entry.name in own:
                # Else its old voxels would stay in a layer that it shares with others.
                segmentation.SeparateSegmentLabelmap(own[entry.name])
                segment = segmentation.GetSegment(own[entry.name])
                segment.SetLabelValue(entry.value)
                segment.AddRepresentation(_LABELMAP, layer)
            else:
                segmentation.AddSegment(_new_segment(entry, layer, owner))
        if has_surface:
            segmentation.CreateRepresentation(_SURFACE, True)
    if segmentation_node.GetDisplayNode() is None:
        segmentation_node.CreateDefaultDisplayNodes()


def read_segments(segmentation_node, volume_node, segments: Sequence[LabelSegment], owner: str) -> np.ndarray:
    """A module's segments on the grid of a volume, with all that the user changed; segments that are gone are 0.

    Returns:
        (k, j, i) uint8.

    Raises:
        CTError: see ``check_segmentation``.
    """
    check_segmentation(segmentation_node, volume_node)
    size = volume_node.GetImageData().GetDimensions()[::-1]
    labels = np.zeros(size, np.uint8)
    geometry = _geometry(volume_node, segmentation_node)
    reference = _image(np.zeros(size, np.uint8), geometry)
    own = own_segments(segmentation_node, owner)
    for entry in segments:
        if entry.name not in own:
            continue
        image = slicer.vtkOrientedImageData()
        if not segmentation_node.GetBinaryLabelmapRepresentation(own[entry.name], image) or image.IsEmpty():
            continue
        on_grid = slicer.vtkOrientedImageData()
        slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(image, reference, on_grid)
        labels[vtk_to_numpy(on_grid.GetPointData().GetScalars()).reshape(size) > 0] = entry.value
    return labels


def remove_segments(segmentation_node, owner: str, names: Sequence[str] | None = None) -> None:
    """Remove a module's segments, or those of these names."""
    for name, identifier in own_segments(segmentation_node, owner).items():
        if names is None or name in names:
            # Else its voxels would stay in a layer that it shares with others.
            segmentation_node.GetSegmentation().SeparateSegmentLabelmap(identifier)
            segmentation_node.GetSegmentation().RemoveSegment(identifier)


def voxel_counts(segmentation_node, owner: str) -> dict[str, int]:
    """How many voxels each of a module's segments has, by name: tells whether one was edited since."""
    counts = {}
    for name, identifier in own_segments(segmentation_node, owner).items():
        segment = segmentation_node.GetSegmentation().GetSegment(identifier)
        counts[name] = _count(segment.GetRepresentation(_LABELMAP), segment.GetLabelValue())
    return counts


def check_segmentation(segmentation_node, volume_node) -> None:
    """Whether labels of a volume can be written into a segmentation.

    Raises:
        CTError: it is made of surfaces, or lies elsewhere than the volume in a way that voxels can't follow.
    """
    segmentation, name = segmentation_node.GetSegmentation(), segmentation_node.GetName()
    if segmentation.GetNumberOfSegments() and segmentation.GetSourceRepresentationName() != _LABELMAP:
        raise CTError(
            "surfaces", f"The segmentation {name} is made of surfaces, not of voxels.", "Choose another segmentation."
        )
    if segmentation.GetNumberOfSegments() and _geometry(volume_node, segmentation_node) is None:
        raise CTError(
            "other_transform",
            f"The segmentation {name} lies under another transform than {volume_node.GetName()}.",
            "Choose another segmentation, or put both under the same transform.",
        )


def save_undo_state(segmentation_node) -> None:
    """Let undo of the Segment Editor come back to here, where it is editing this segmentation."""
    module = getattr(slicer.modules, "segmenteditor", None)
    has_nodes = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentEditorNode")
    if module is None or not has_nodes:  # never opened: don't make its panel, it has nothing to undo
        return
    editor = getattr(slicer.util.getModuleWidget(module), "editor", None)
    if editor is not None and editor.segmentationNode() is segmentation_node:
        editor.saveStateForUndo()


def _new_segment(entry: LabelSegment, layer, owner: str):
    segment = slicer.vtkSegment()
    segment.SetName(entry.name)
    # Slicer takes medium grey for "no colour yet" and rolls the dice.
    segment.SetColor(*(entry.color if tuple(entry.color) != (0.5, 0.5, 0.5) else [128 / 255] * 3))
    segment.SetLabelValue(entry.value)
    segment.SetTag(_TAG, f"{owner}:{entry.name}")
    if entry.terminology:
        segment.SetTag(segment.GetTerminologyEntryTagName(), entry.terminology)
    segment.AddRepresentation(_LABELMAP, layer)
    return segment


def _tag(segment) -> str:
    value = vtk.reference("")
    return str(value.get()) if segment.GetTag(_TAG, value) else ""


_counts: dict[tuple[int, int], int] = {}
"""Counted once, by the time of the last change, which never repeats in a session, and the label."""


def _count(image, value: int) -> int:
    scalars = image.GetPointData().GetScalars() if image is not None else None
    if scalars is None:
        return 0
    key = (image.GetMTime(), value)
    if key not in _counts:
        if len(_counts) >= 32:
            del _counts[next(iter(_counts))]
        _counts[key] = int(np.count_nonzero(vtk_to_numpy(scalars) == value))
    return _counts[key]


def _geometry(volume_node, segmentation_node):
    """(4, 4) matrix from voxels of the volume to the segmentation's own mm; None where no such matrix is right."""
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    own, other = volume_node.GetParentTransformNode(), segmentation_node.GetParentTransformNode()
    if own is other or not segmentation_node.GetSegmentation().GetNumberOfSegments():
        return matrix
    between = vtk.vtkMatrix4x4()
    if not slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(own, other, between):
        return None
    vtk.vtkMatrix4x4.Multiply4x4(between, matrix, matrix)
    axes = slicer.util.arrayFromVTKMatrix(matrix)[:3, :3]
    axes = axes / np.linalg.norm(axes, axis=0)
    return matrix if np.allclose(axes.T @ axes, np.eye(3), atol=1e-4) else None


def _image(labels: np.ndarray, matrix):
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*labels.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(labels.ravel(), deep=True))
    image.SetGeometryFromImageToWorldMatrix(matrix)
    return image
