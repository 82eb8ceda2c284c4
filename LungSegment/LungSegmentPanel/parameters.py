"""Every setting of the panel, kept in the scene's parameter node, so that it is saved and loaded with the scene."""

from __future__ import annotations

from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper


@parameterNodeWrapper
class LungSegmentParameterNode:
    """Settings of the three sections.

    Attributes:
        inputVolume: the scan.
        outputSegmentation: where the lungs are written; None for a new segmentation.
        thresholdHu: what is darker is air or lung.
        closingMm: notches up to twice this wide are filled.
        backgroundIndex: how the classic recipe finds the air around the patient, place in ``recipe_steps.BACKGROUNDS``.
        fillSlices: whether the recipe fills the solid part of each slice.
        pockets: how many of the largest pockets of air the recipe keeps.
        cropToLungs: whether the prepared volume is cropped.
        cropMarginMm: margin around the lungs.
        resample: whether it gets even spacing.
        spacingMm: that spacing.
        normalize: whether -1000 to 400 HU become 0 to 1.
        zeroCenter: whether 0.25 is subtracted then.
    """

    # Segment
    inputVolume: vtkMRMLScalarVolumeNode
    outputSegmentation: vtkMRMLSegmentationNode
    thresholdHu: Annotated[float, WithinRange(-900, -100)] = -320
    closingMm: Annotated[float, WithinRange(0, 30)] = 8

    # Classic recipe
    backgroundIndex: Annotated[int, WithinRange(0, 2)] = 0
    fillSlices: bool = True
    pockets: Annotated[int, WithinRange(1, 9)] = 1

    # Prepared volume
    cropToLungs: bool = True
    cropMarginMm: Annotated[float, WithinRange(0, 100)] = 10
    resample: bool = True
    spacingMm: Annotated[float, WithinRange(0.3, 10)] = 1
    normalize: bool = True
    zeroCenter: bool = True
