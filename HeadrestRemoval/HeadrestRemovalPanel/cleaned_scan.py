"""The cleaned scan as a node: a copy of the scan beside it, bit for bit the same but for what was removed."""

from __future__ import annotations

import json

import vtk
from vtk.util.numpy_support import vtk_to_numpy

_ROLE = "HeadrestRemoval.cleaned"
_MADE_OF = "HeadrestRemoval.madeOf"


def imageWithout(volumeNode, labels, fill: float | str):
    """A copy of the scan's voxels, with the equipment filled; the type of numbers stays.

    Args:
        volumeNode: the scan.
        labels: (k, j, i) on its grid, numbers as in ``HeadrestRemovalLib.labels``.
        fill: HU, or "air".

    Returns:
        vtkImageData.

    Raises:
        CTError: the scan's numbers can't hold the fill.
    """
    import numpy as np
    from CTVolumeLib import scene
    from CTVolumeLib.errors import CTError
    from HeadrestRemovalLib import remove
    from HeadrestRemovalLib.labels import EQUIPMENT

    hu = remove.fill_value(scene.volume_from_node(volumeNode), labels, fill)
    image = vtk.vtkImageData()
    image.DeepCopy(volumeNode.GetImageData())
    array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(labels.shape)
    kind = array.dtype
    if kind.kind in "iu" and not np.iinfo(kind).min <= hu <= np.iinfo(kind).max:
        raise CTError(
            "bad_fill",
            f"{volumeNode.GetName()} holds numbers of the type {kind}, into which {hu:g} HU does not fit.",
            "Choose another value to fill with.",
        )
    array[np.isin(labels, EQUIPMENT)] = hu
    return image


def put(volumeNode, image, voxels: dict[str, int], fill: float | str):
    """Make the cleaned scan of a volume, or give the one that is there new voxels; the vtkMRMLScalarVolumeNode."""
    from CTVolumeLib import scene

    node = nodeOf(volumeNode)
    isNew = node is None
    if isNew:
        node = volumeNode.GetScene().AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"{volumeNode.GetName()} cleaned")
        scene.set_results(volumeNode, _ROLE, [node])
        scene.show_beside_in_subject_hierarchy(node, volumeNode)
    node.CopyOrientation(volumeNode)
    node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    node.SetVoxelValueQuantity(volumeNode.GetVoxelValueQuantity())
    node.SetVoxelValueUnits(volumeNode.GetVoxelValueUnits())
    node.SetAndObserveImageData(image)
    node.SetAttribute(_MADE_OF, recipe(voxels, fill))
    if isNew:
        _showLike(node, volumeNode)
    return node


def nodeOf(volumeNode):
    """The cleaned scan of a volume, or None."""
    from CTVolumeLib import scene

    return next(iter(scene.results(volumeNode, _ROLE)), None) if volumeNode is not None else None


def remove(volumeNode) -> None:
    """Remove the cleaned scan."""
    from CTVolumeLib import scene

    scene.remove_results(volumeNode, _ROLE)


def recipe(voxels: dict[str, int], fill: float | str) -> str:
    """What a cleaned scan is made of, as a text to compare."""
    return json.dumps([voxels, fill])


def madeOf(volumeNode) -> str:
    """``recipe`` of the cleaned scan that is there."""
    node = nodeOf(volumeNode)
    return (node.GetAttribute(_MADE_OF) or "") if node is not None else ""


def _showLike(node, volumeNode) -> None:
    """The same window, level and colours; what Slicer would choose by itself differs without the equipment."""
    given = volumeNode.GetScalarVolumeDisplayNode()
    if given is None:
        node.CreateDefaultDisplayNodes()
        return
    display = node.GetScene().AddNewNodeByClass(given.GetClassName())
    display.CopyContent(given)
    display.SetAutoWindowLevel(False)
    display.SetAndObserveColorNodeID(given.GetColorNodeID())
    node.SetAndObserveDisplayNodeID(display.GetID())
