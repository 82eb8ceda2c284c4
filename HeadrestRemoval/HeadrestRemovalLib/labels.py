"""What the numbers in a label array mean, and as which segments Slicer shows them."""

from __future__ import annotations

from CTVolumeLib.segments import TERMINOLOGY, LabelSegment

BACKGROUND, PATIENT, HEADREST, TABLE, OTHER = range(5)

EQUIPMENT = (HEADREST, TABLE, OTHER)
"""The labels of what can be removed."""

NAMES = {
    BACKGROUND: "background",
    PATIENT: "patient",
    HEADREST: "headrest",
    TABLE: "table",
    OTHER: "other equipment",
}

SEGMENTS = (
    LabelSegment(HEADREST, "Headrest", (230 / 255, 159 / 255, 0 / 255), TERMINOLOGY["table"]),
    LabelSegment(TABLE, "Table", (86 / 255, 180 / 255, 233 / 255), TERMINOLOGY["table"]),
    LabelSegment(OTHER, "Other equipment", (204 / 255, 121 / 255, 167 / 255), TERMINOLOGY["foreign body"]),
)
"""Colours that the colour-blind can tell apart (Okabe and Ito, 2008). A headrest has no code of its own."""
