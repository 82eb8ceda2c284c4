"""How the measures of equipment are shown: in the panel, and as a table beside the views."""

from __future__ import annotations

import math

from CTVolumePanel import result_tables
from slicer.i18n import tr as _

from . import removing

TITLES = (_("Removed"), _("mL"), _("HU \u00b1 SD"), _("Contact"))
"""Of the panel's table."""

EXPLANATION = _(
    "Volume in mL; mean and standard deviation of its HU; area over which it lay against the patient when it was found,"
    " foam included."
)

_NOTHING = "\u2013"


_FIELDS = (("mL", "volume_ml"), ("mean HU", "mean_hu"), ("SD of HU", "sd_hu"), ("contact cm\u00b2", "contact_cm2"))
"""Columns of the table node."""


def textsOf(one) -> tuple[str, str, str, str]:
    """A row of the panel's table; it is narrow, so "all equipment" is "All"."""
    return (
        one.name.removesuffix(" equipment").capitalize(),
        _number(one.volume_ml),
        _NOTHING if math.isnan(one.mean_hu) else f"{one.mean_hu:.0f} \u00b1 {one.sd_hu:.0f}",
        _NOTHING if math.isnan(one.contact_cm2) else _("{area} cm\u00b2").format(area=_number(one.contact_cm2)),
    )


def colorOf(segmentationNode, one) -> tuple[int, ...] | None:
    """Red, green and blue, 0 to 255, in which the views show a kind of equipment; None for all of it."""
    from CTVolumeLib import scene_segments

    own = scene_segments.own_segments(segmentationNode, removing.OWNER)
    found = [identifier for name, identifier in own.items() if name.lower() == one.name]
    if not found:
        return None
    return tuple(round(255 * part) for part in segmentationNode.GetSegmentation().GetSegment(found[0]).GetColor())


def showTable(volumeNode, segmentationNode):
    """Make a table of the measures and show it beside the slice views; the vtkMRMLTableNode."""
    measured = removing.measure(volumeNode, segmentationNode)
    columns: dict[str, list] = {"removed": [one.name for one in measured]}
    for title, field in _FIELDS:
        values = [getattr(one, field) for one in measured]
        columns[title] = [None if math.isnan(value) else round(value, 2) for value in values]
    return result_tables.show(volumeNode, removing.OWNER, f"{volumeNode.GetName()}: equipment", columns)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == 0 else f"{value:.1f}"
