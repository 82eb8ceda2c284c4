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
        composite = slicer.vtkMRMLSliceLogic.GetSliceCompositeNode(sliceNode)
        shown = composite.GetBackgroundVolumeID() if composite is not None else None
        if shown in (None, "", volumeNode.GetID()):
            sliceNode.JumpSliceByOffsetting(*pointRas)
