"""What the buttons of Locate do, without widgets."""

from __future__ import annotations

import slicer

from . import location_nodes


def locate(volumeNode, progress=None, modelFile: str = "", useLiteRT: bool = False):
    """Locate a volume and put the result into the scene; an error or a cancel leaves the scene as it was.

    Args:
        volumeNode: a scalar volume node with a CT in HU, under any transform.
        progress: called with done, total and a text; False cancels. It may let Slicer handle events.
        modelFile: a model's ``.npz``; an empty text is the shipped model.
        useLiteRT: whether to run the network in LiteRT.

    Returns:
        The ``ScanLocation``, as it is kept in the scene.

    Raises:
        CTError: the volume can't be used, the model is missing or damaged, cancelled, or the volume went away.
    """
    from CTSliceLocalizerLib import predictor
    from CTVolumeLib import scene
    from CTVolumeLib.errors import CTError

    volume = scene.volume_from_node(volumeNode)
    name = volumeNode.GetName()
    engine = "litert" if useLiteRT else "numpy"
    model = predictor.load_model(modelFile or None, engine)
    location = predictor.locate(volume, model=model, progress=progress)
    if volumeNode.GetScene() is None or not volumeNode.GetScene().IsNodePresent(volumeNode):
        raise CTError("no_volume", f"{name} was removed while it was located.", "Choose another volume.")
    location_nodes.storeLocation(volumeNode, location)
    return location_nodes.locationOf(volumeNode)


def goTo(volumeNode, pointRas) -> None:
    """Move the slice views to a point without panning them, those that show another volume excepted."""
    for sliceNode in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        if _mayShow(sliceNode, volumeNode):
            sliceNode.JumpSliceByOffsetting(*pointRas)


def placeInView(volumeNode, sliceNode):
    """Where the plane of a slice view crosses the axis of a located volume.

    Returns:
        z in mm and a ``location_nodes.Place``, or z and None where the plane lies outside the scan; None where the
        volume is not located, or the view shows another one or cuts along the body.
    """
    axis = location_nodes.axisOf(volumeNode)
    if axis is None or not _mayShow(sliceNode, volumeNode):
        return None
    matrix = sliceNode.GetSliceToRAS()
    point, normal = ([matrix.GetElement(row, column) for row in range(3)] for column in (3, 2))
    height = axis.heightOfPlane(point, normal)
    return None if height is None else (height, location_nodes.placeAt(volumeNode, height))


def showPlot(volumeNode) -> bool:
    """Show the chart of a located volume in a layout that has a plot; False where the node is gone."""
    nodes = location_nodes.nodesOf(volumeNode)
    if nodes is None or nodes.chart is None:
        return False
    slicer.modules.plots.logic().ShowChartInLayout(nodes.chart)
    return True


def showTable(volumeNode) -> bool:
    """Show the table of a located volume in a layout that has a table; False where the node is gone."""
    nodes = location_nodes.nodesOf(volumeNode)
    if nodes is None or nodes.table is None:
        return False
    if slicer.app.layoutManager() is not None:
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
    slicer.app.applicationLogic().GetSelectionNode().SetActiveTableID(nodes.table.GetID())
    slicer.app.applicationLogic().PropagateTableSelection()
    return True


def _mayShow(sliceNode, volumeNode) -> bool:
    """Whether a view shows the volume, or none."""
    composite = slicer.vtkMRMLSliceLogic.GetSliceCompositeNode(sliceNode)
    shown = composite.GetBackgroundVolumeID() if composite is not None else None
    return shown in (None, "", volumeNode.GetID())
