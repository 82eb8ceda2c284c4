"""Every setting of the panel, kept in the scene's parameter node, so that it is saved and loaded with the scene."""

from __future__ import annotations

from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

METHODS = ("auto", "clustering", "network", "both")
"""What ``methodIndex`` counts: the methods of ``HeadrestRemovalLib.equipment.find``."""

AIR, MEASURED_AIR, NUMBER = range(3)
"""What ``fillIndex`` counts."""


@parameterNodeWrapper
class HeadrestRemovalParameterNode:
    """Settings of the panel.

    Attributes:
        inputVolume: the scan.
        outputSegmentation: where headrest, table and other equipment are written; None for a new segmentation.
        methodIndex: how they are found, place in ``METHODS``.
        fillIndex: what they become in the cleaned scan: ``AIR``, ``MEASURED_AIR`` or ``NUMBER``.
        fillHu: the number.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    outputSegmentation: vtkMRMLSegmentationNode
    methodIndex: Annotated[int, WithinRange(0, len(METHODS) - 1)] = 0
    fillIndex: Annotated[int, WithinRange(0, 2)] = 0
    fillHu: Annotated[float, WithinRange(-3024, 3071)] = -1000


def fillOf(parameters) -> float | str:
    """The settings' ``fill`` as ``HeadrestRemovalLib.remove.remove`` takes it."""
    return {AIR: -1000.0, MEASURED_AIR: "air", NUMBER: parameters.fillHu}[parameters.fillIndex]
