"""Between the library and Slicer's scene: the one place that knows both ``CTVolume`` and MRML nodes.

Arrays are (k, j, i) on both sides. Geometry is LPS in ``CTVolume`` and RAS in nodes, so x and y change sign here and
nowhere else. A volume's place in the world includes its parent transforms: DICOM series with uneven slices or gantry
tilt hang under a non-linear "acquisition transform", without which their slices are wrong by millimetres.

Nodes are made in the scene that is given, else in ``slicer.mrmlScene``. Everything here runs in the main thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from .errors import CTError
from .scene_results import (
    markups_from_points,
    plot_from_table,
    segmentation_from_labels,
    table_from_columns,
)
from .segments import TERMINOLOGY, LabelSegment
from .volume import CTVolume

__all__ = [
    "TERMINOLOGY",
    "LabelSegment",
    "check_present",
    "markups_from_points",
    "node_from_volume",
    "place_of_node",
    "plot_from_table",
    "remove_node",
    "remove_results",
    "results",
    "segmentation_from_labels",
    "set_results",
    "show_beside_in_subject_hierarchy",
    "show_in_subject_hierarchy",
    "sources_of_node",
    "table_from_columns",
    "temporary_nodes",
    "volume_from_node",
]

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

_TOLERANCE_MM = 0.01
"""Slices that are off by less lie where they should (Slicer's own bound for a regular series, 1e-2 mm)."""

_RESULT_ROLE = "CTSliceLocalizer.{}"


def volume_from_node(node: slicer.vtkMRMLScalarVolumeNode) -> CTVolume:
    """A volume node as it lies in the world, its parent transforms included.

    The array is the node's own memory where that holds int16 or float32: don't change it, and copy it before another
    thread works on it.

    Args:
        node: a scalar volume in HU.

    Raises:
        CTError: no voxels; several components; a parent transform that bends slices.
    """
    if node is None or node.GetImageData() is None or 0 in node.GetImageData().GetDimensions():
        raise CTError("no_images", f"{_name(node)} holds no voxels.", "Choose another volume.")
    if node.GetImageData().GetNumberOfScalarComponents() != 1:
        raise CTError("not_scalar", f"{node.GetName()} is a colour picture, not a CT.", "Choose another volume.")
    array = _hounsfield_type(slicer.util.arrayFromVolume(node))
    return CTVolume(array=array, meta=_meta(node), sources=_sources(node, len(array)), **_geometry(node, array.shape))


def place_of_node(node: slicer.vtkMRMLScalarVolumeNode) -> CTVolume:
    """A volume node as it lies in the world, without its voxels, which are all 0, and its sources: for every keystroke.

    Args:
        node: a scalar volume.

    Raises:
        CTError: no voxels; a parent transform that bends slices.
    """
    if node is None or node.GetImageData() is None or 0 in node.GetImageData().GetDimensions():
        raise CTError("no_images", f"{_name(node)} holds no voxels.", "Choose another volume.")
    shape = node.GetImageData().GetDimensions()[::-1]
    return CTVolume(array=np.broadcast_to(np.int16(0), shape), meta=_meta(node), **_geometry(node, shape))


def sources_of_node(node: slicer.vtkMRMLScalarVolumeNode) -> tuple[str, ...]:
    """File of each slice in the order of k where Slicer's DICOM database knows them all, else nothing."""
    return _sources(node, node.GetImageData().GetDimensions()[2] if node.GetImageData() is not None else 0)


def node_from_volume(volume: CTVolume, name: str, scene: slicer.vtkMRMLScene | None = None):
    """A scalar volume node with a copy of the voxels at their place.

    Uneven or sheared slices are put in their place by an acquisition transform, as Slicer does when it loads DICOM.

    Returns:
        vtkMRMLScalarVolumeNode.
    """
    scene = scene or slicer.mrmlScene
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(volume.array))
    origins = volume.origins()
    regular = np.eye(4)
    regular[:3, :3] = volume.axes() * volume.spacing
    if len(origins) > 1:
        regular[:3, 2] = (origins[-1] - origins[0]) @ volume.axes()[:, 2] / (len(origins) - 1) * volume.axes()[:, 2]
    regular[:3, 3] = origins[0]
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(LPS_TO_RAS @ regular))
    off = origins - (origins[0] + np.arange(len(origins))[:, None] * regular[:3, 2])
    if np.abs(off).max() > _TOLERANCE_MM:
        transform = _acquisition_transform(LPS_TO_RAS @ regular, volume.array.shape, off * [-1, -1, 1], name, scene)
        node.SetAndObserveTransformNodeID(transform.GetID())
    node.CreateDefaultDisplayNodes()
    return node


def show_in_subject_hierarchy(node, under) -> None:
    """Put a node under another one in the tree of the Data module."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    parent = tree.GetItemByDataNode(under)
    if not parent:  # not in the tree yet, as a node that was made without the application
        parent = tree.CreateItem(tree.GetSceneItemID(), under)
    item = tree.GetItemByDataNode(node)
    if item:
        tree.SetItemParent(item, parent)
    else:
        tree.CreateItem(parent, node)


def show_beside_in_subject_hierarchy(node, other) -> None:
    """Put a volume beside the one that it was made from, under the same study, and with the same modality."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    beside = tree.GetItemByDataNode(other)
    parent = tree.GetItemParent(beside) if beside else tree.GetSceneItemID()
    item = tree.GetItemByDataNode(node)
    if item:
        tree.SetItemParent(item, parent)
    else:
        item = tree.CreateItem(parent, node)
    modality = tree.GetItemAttribute(beside, "DICOM.Modality") if beside else ""
    if modality:
        tree.SetItemAttribute(item, "DICOM.Modality", modality)


def check_present(node, *others) -> None:
    """Whether nodes are still in the scene after Slicer handled events; ``others`` may be None.

    Raises:
        CTError: one of them is not.
    """
    for one in (node, *others):
        if one is not None and (one.GetScene() is None or not one.GetScene().IsNodePresent(one)):
            text = f"{node.GetName()} or its segmentation was removed meanwhile."
            raise CTError("no_volume", text, "Choose them again.")


@contextmanager
def temporary_nodes(scene: slicer.vtkMRMLScene | None = None) -> Iterator[Callable]:
    """Remove the nodes that are made inside the block, also after an error.

    Yields:
        ``keep(node)``: called for a result inside the block, it stays, with its display, storage and other nodes that
        it refers to, unless the block ends with an error.
    """
    scene = scene or slicer.mrmlScene
    before = _ids(scene)
    kept = []
    try:
        yield kept.append
    except BaseException:
        kept = []
        raise
    finally:
        stay = before.union(*(_with_references(node) for node in kept))
        for identifier in _ids(scene) - stay:
            node = scene.GetNodeByID(identifier)
            if node is not None and not node.GetSingletonTag():
                scene.RemoveNode(node)


def set_results(volume_node, role: str, nodes: Sequence) -> None:
    """Note the nodes that a run made from a volume, so that ``remove_results`` of the next run finds them.

    Args:
        volume_node: what they were made from; the note is saved with the scene.
        role: short name of the job, such as ``"locations"``.
        nodes: the results.
    """
    for node in nodes:
        volume_node.AddNodeReferenceID(_RESULT_ROLE.format(role), node.GetID())


def results(volume_node, role: str) -> list:
    """The nodes that ``set_results`` noted and that are still there."""
    reference = _RESULT_ROLE.format(role)
    return [node for node in _references(volume_node, reference) if node is not None]


def remove_results(volume_node, role: str) -> None:
    """Remove the nodes that an earlier run noted with ``set_results``, with all that belongs to them alone."""
    found = results(volume_node, role)
    volume_node.RemoveNodeReferenceIDs(_RESULT_ROLE.format(role))
    for node in found:
        remove_node(node)


def remove_node(node) -> None:
    """Remove a node with its display and storage nodes and all else that belongs to it alone."""
    scene = node.GetScene()
    own = [part for role in _roles(node) for part in _references(node, role) if part is not None and _is_own(part)]
    for part in [node, *own]:
        if scene is not None and scene.IsNodePresent(part):
            _leave_subject_hierarchy(part)
            scene.RemoveNode(part)


_OWN_PARTS = ("vtkMRMLDisplayNode", "vtkMRMLStorageNode", "vtkMRMLPlotSeriesNode")


# Volumes


def _hounsfield_type(array: np.ndarray) -> np.ndarray:
    """The array itself where it is int16 or float32, else the nearest of the two that holds its values."""
    if array.dtype in (np.int16, np.float32):
        return array
    limits = np.iinfo(np.int16)
    if array.dtype.kind in "iub" and array.min() >= limits.min and array.max() <= limits.max:
        return array.astype(np.int16)
    return array.astype(np.float32)


def _geometry(node, shape: tuple[int, int, int]) -> dict:
    """The arguments of ``CTVolume`` that say where the voxels are, in LPS."""
    count, rows, columns = shape
    # Nine points of each slice: a transform that bends may well leave the corners where they are.
    index = np.array([(i, j) for j in (0, (rows - 1) / 2, rows - 1) for i in (0, (columns - 1) / 2, columns - 1)])
    points = np.array([np.column_stack([index, np.full(len(index), k)]) for k in range(count)], dtype=float)
    ijk_to_ras = slicer.util.arrayFromVTKMatrix(_matrix(node))
    local = points @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]
    world = _to_world(node, local) * [-1, -1, 1]
    # A slice with a single row or column has no ends to measure by; there the node's own axes have to do.
    steps = _to_world(node, np.stack([ijk_to_ras[:3, 3], *(ijk_to_ras[:3, 3] + ijk_to_ras[:3, :3].T)])) * [-1, -1, 1]
    edges = np.stack(
        [
            (world[:, 2] - world[:, 0]).mean(axis=0) / (columns - 1) if columns > 1 else steps[1] - steps[0],
            (world[:, 6] - world[:, 0]).mean(axis=0) / (rows - 1) if rows > 1 else steps[2] - steps[0],
        ]
    )
    bent = np.abs(world - world[:, :1] - index @ edges).max() > 10 * _TOLERANCE_MM
    skewed = abs(edges[0] @ edges[1]) > 1e-3 * np.linalg.norm(edges[0]) * np.linalg.norm(edges[1])
    origins = world[:, 0]
    normal = np.cross(edges[0], edges[1])
    normal /= np.linalg.norm(normal)
    step = origins[-1] - origins[0] if count > 1 else steps[3] - steps[0]
    if step @ normal < 0:
        normal = -normal
    positions = (origins - origins[0]) @ normal
    if bent or skewed or (count > 1 and np.diff(positions).min() <= 0):
        raise CTError(
            "bent_slices",
            f"The transform of {node.GetName()} bends or skews its slices or changes their order.",
            "Harden the transform on a copy of the volume, or take the volume out of the transform.",
        )
    spacing_k = positions[-1] / (count - 1) if count > 1 else float(step @ normal)
    spacing = (*np.linalg.norm(edges, axis=1), spacing_k)
    uneven = count > 1 and np.abs(positions - np.arange(count) * spacing_k).max() > _TOLERANCE_MM
    sheared = np.abs(origins - origins[0] - positions[:, None] * normal).max() > _TOLERANCE_MM
    direction = np.stack([edges[0] / spacing[0], edges[1] / spacing[1], normal], axis=1)
    return {
        "spacing": tuple(float(value) for value in spacing),
        "origin": tuple(float(value) for value in origins[0]),
        "direction": tuple(float(value) for value in direction.ravel()),
        "positions": positions if uneven or sheared else None,
        "slice_origins": origins if sheared else None,
    }


def _to_world(node, points: np.ndarray) -> np.ndarray:
    """Points in the node's own RAS to world RAS, through all parent transforms; (..., 3) mm."""
    parent = node.GetParentTransformNode()
    if parent is None:
        return points
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(parent, None, transform)
    return np.array([transform.TransformPoint(point) for point in points.reshape(-1, 3)]).reshape(points.shape)


def _matrix(node) -> vtk.vtkMatrix4x4:
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


def _acquisition_transform(ijk_to_ras: np.ndarray, shape: tuple[int, int, int], off: np.ndarray, name: str, scene):
    """A grid transform that moves each slice from its regular place by ``off``, (k, 3) RAS mm."""
    count, rows, columns = shape
    spacing = np.linalg.norm(ijk_to_ras[:3, :3], axis=0)
    directions = np.eye(4)
    directions[:3, :3] = ijk_to_ras[:3, :3] / spacing
    image = vtk.vtkImageData()
    image.SetDimensions(2, 2, count)
    image.SetSpacing(spacing[0] * max(columns - 1, 1), spacing[1] * max(rows - 1, 1), spacing[2])
    image.SetOrigin(*ijk_to_ras[:3, 3])
    image.GetPointData().SetScalars(numpy_to_vtk(np.repeat(off, 4, axis=0), deep=True))
    grid = slicer.vtkOrientedGridTransform()
    grid.SetDisplacementGridData(image)
    grid.SetGridDirectionMatrix(slicer.util.vtkMatrixFromArray(directions))
    grid.SetInterpolationModeToLinear()
    node = scene.AddNewNodeByClass("vtkMRMLGridTransformNode", f"{name} acquisition transform")
    node.SetAndObserveTransformToParent(grid)
    return node


def _meta(node) -> dict:
    """What the subject hierarchy knows of the DICOM series; no name, no ID of the patient."""
    meta = {"modality": None, "series_uid": None}
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene()) if node.GetScene() else None
    item = tree.GetItemByDataNode(node) if tree else 0
    if item:
        meta["modality"] = tree.GetItemAttribute(item, "DICOM.Modality") or None
        meta["series_uid"] = tree.GetItemUID(item, "DICOM") or None
    return meta


def _sources(node, count: int) -> tuple[str, ...]:
    """File of each slice where Slicer's DICOM database knows them all."""
    uids = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if database is None or len(uids) != count:
        return ()
    files = tuple(database.fileForInstance(uid) for uid in uids)
    return files if all(files) else ()


# Clean-up


def _ids(scene) -> set[str]:
    return {scene.GetNthNode(number).GetID() for number in range(scene.GetNumberOfNodes())}


def _with_references(node) -> set[str]:
    """IDs of the node and of all that it refers to, directly or not."""
    found, left = set(), [node]
    while left:
        node = left.pop()
        if node is None or node.GetID() in found:
            continue
        found.add(node.GetID())
        for role in _roles(node):
            left += _references(node, role)
    return found


def _roles(node) -> list[str]:
    return [node.GetNthNodeReferenceRole(number) for number in range(node.GetNumberOfNodeReferenceRoles())]


def _references(node, role: str) -> list:
    return [node.GetNthNodeReference(role, number) for number in range(node.GetNumberOfNodeReferences(role))]


def _leave_subject_hierarchy(node) -> None:
    """Take a node out of the tree; the application does so by itself when a node goes, slicer-core alone does not."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    item = tree.GetItemByDataNode(node) if tree else 0
    if item:
        tree.RemoveItem(item, False, False)


def _is_own(node) -> bool:
    """Whether a node that another one refers to belongs to it alone."""
    return any(node.IsA(name) for name in _OWN_PARTS)


def _name(node) -> str:
    return "The volume" if node is None else node.GetName()
