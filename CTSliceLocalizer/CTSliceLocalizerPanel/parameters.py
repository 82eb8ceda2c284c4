"""Every setting of the panel, kept in the scene's parameter node, so that it is saved and loaded with the scene."""

from __future__ import annotations

from slicer import vtkMRMLScalarVolumeNode
from slicer.parameterNodeWrapper import parameterNodeWrapper


@parameterNodeWrapper
class CTSliceLocalizerParameterNode:
    """Settings of the four sections; a section's fields stand under its comment.

    Attributes:
        inputVolume: the scan that Locate works on.
        modelFile: a model's ``.npz``; an empty text is the model that comes with the extension.
        useLiteRT: whether to run the network in LiteRT, which is faster and has to be installed.
    """

    # Locate
    inputVolume: vtkMRMLScalarVolumeNode
    modelFile: str = ""
    useLiteRT: bool = False

    # Follow up

    # Annotate

    # Train
