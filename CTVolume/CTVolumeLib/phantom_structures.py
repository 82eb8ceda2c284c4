"""The phantom's single structures as a segmentation, with the names that TotalSegmentator gives them.

Exact truth for whatever works from segmentations: which vertebra a voxel belongs to, the aorta, the hip bones, and so
on. Shapes lie as in the phantom's scan, but each whole, whatever the scan shows of it by its gray values.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from . import phantom, segments
from .phantom import Phantom
from .phantom_head import skull
from .phantom_organs import airways, aorta
from .phantom_painter import Paint, Painter
from .phantom_skeleton import legs, pelvis, vertebrae
from .phantom_tissue import AIRWAY, BONE, BRAIN_LABEL, EYE, LEFT_LUNG, LIVER_LABEL, RIGHT_LUNG
from .segments import LabelSegment

_KNEE_MM = 1270.0
"""Mm below the vertex; what the legs have above it is the femur."""

_SIDES = ("eye", "hip", "femur")
"""Structures that are there left and right."""


def segment(made: Phantom) -> tuple[np.ndarray, dict[str, int]]:
    """The structures of a phantom.

    Args:
        made: a rendered phantom; what its scan leaves out is left out here, too.

    Returns:
        (k, j, i) uint8 labels on the grid of the scan, 0 elsewhere, and the label of each name.
    """
    parameters = made.parameters
    frames = phantom.frames(parameters, made.volume)
    painter = Painter(made.volume.array.shape, frames, phantom.edge(parameters))
    names: dict[str, int] = {}

    def number(name: str) -> int:
        return names.setdefault(name, len(names) + 1)

    def draw(paints: list[Paint], new: dict[int, str]) -> None:
        for paint in paints:
            if paint.label is not None:
                label = number(new[paint.label]) if paint.label in new else 0
                painter.paint(Paint(paint.shape, 0.0, label, paint.frame, share=paint.share))

    draw([Paint(part, 0.0, BONE, "organ") for part in aorta()], {BONE: "aorta"})
    draw(airways(), {AIRWAY: "trachea"})
    draw(pelvis(), {BONE: "hip"})
    draw([paint for paint in legs() if paint.shape.bounds()[2][0] < _KNEE_MM], {BONE: "femur"})
    for name, shapes in vertebrae(parameters.lordosis).items():
        draw([Paint(shape, 0.0, BONE) for shape in shapes], {BONE: f"vertebrae_{name}"})
    draw(skull(), {BONE: "skull", BRAIN_LABEL: "brain", EYE: "eye"})
    labels = painter.labels
    for name, value in (("lung_left", LEFT_LUNG), ("lung_right", RIGHT_LUNG), ("liver", LIVER_LABEL)):
        labels[(made.labels == value) & (labels == 0)] = number(name)
    left = np.broadcast_to(frames["body"][0] > 0, labels.shape)
    for name in _SIDES:
        value = names.pop(name)
        names[f"{name}_right"] = value
        labels[(labels == value) & left] = names[f"{name}_left"] = len(names) + len(_SIDES) + 1
    present = set(np.unique(labels).tolist())
    return labels, {name: value for name, value in names.items() if value in present}


def write_segmentation(made: Phantom, path: Path | str) -> None:
    """Write the structures as ``.seg.nrrd``, which 3D Slicer opens as a segmentation.

    Raises:
        CTError: the folder can't be written.
    """
    labels, names = segment(made)
    segments.write_segmentation(
        path, made.volume, labels, [LabelSegment(value, name, None) for name, value in names.items()]
    )
