"""The labels of a result as Slicer's segments: names, codes and the colours that Slicer's own lists have."""

from __future__ import annotations

from CTVolumeLib.segments import TERMINOLOGY, LabelSegment

from .lungs import AIRWAY, LEFT, RIGHT

_LUNG_COLOR, _AIRWAY_COLOR = (197 / 255, 165 / 255, 145 / 255), (182 / 255, 228 / 255, 255 / 255)

SEGMENTS = (
    LabelSegment(LEFT, "left lung", _LUNG_COLOR, TERMINOLOGY["left lung"]),
    LabelSegment(RIGHT, "right lung", _LUNG_COLOR, TERMINOLOGY["right lung"]),
    LabelSegment(AIRWAY, "trachea", _AIRWAY_COLOR, TERMINOLOGY["trachea"]),
)
"""Trachea and main bronchi are one segment: Slicer's list of anatomy has a code for the trachea alone."""
