"""Every setting of the panel, kept in the scene's parameter node, so that it is saved and loaded with the scene."""

from __future__ import annotations

from typing import Annotated

from slicer import vtkMRMLMarkupsNode, vtkMRMLScalarVolumeNode
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper


@parameterNodeWrapper
class CTSliceLocalizerParameterNode:
    """Settings of the four sections; a section's fields stand under its comment.

    Attributes:
        inputVolume: the scan that Locate works on.
        modelFile: a model's ``.npz``; an empty text is the model that comes with the extension.
        useLiteRT: whether to run the network in LiteRT, which is faster and has to be installed.
        baselineVolume: the earlier scan of Follow up.
        followUpVolume: the later scan of the same patient.
        linkedScrolling: whether the two are scrolled together.
        refineMatch: whether their images are compared, not only their locations.
        sliceTolerance: half-width on the location scale within which slices count as similar.
        carriedMarkups: points on the baseline that are carried over.
        annotateVolume: the scan that Annotate labels.
        labelsFolder: where labels are kept; an empty text is beside the data.
        trainSource: folder or zip with the DICOM files that a training folder is made from.
        trainFolder: the training folder.
        trainEpochs: how often training sees the data at most; 0 is the command's own number.
    """

    # Locate
    inputVolume: vtkMRMLScalarVolumeNode
    modelFile: str = ""
    useLiteRT: bool = False

    # Follow up
    baselineVolume: vtkMRMLScalarVolumeNode
    followUpVolume: vtkMRMLScalarVolumeNode
    linkedScrolling: bool = False
    refineMatch: bool = True
    sliceTolerance: Annotated[float, WithinRange(0.001, 0.1)] = 0.005
    carriedMarkups: vtkMRMLMarkupsNode

    # Annotate
    annotateVolume: vtkMRMLScalarVolumeNode
    labelsFolder: str = ""

    # Train
    trainSource: str = ""
    trainFolder: str = ""
    trainEpochs: Annotated[int, WithinRange(0, 1000)] = 0
