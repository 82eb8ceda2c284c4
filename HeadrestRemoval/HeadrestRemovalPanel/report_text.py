"""The report of a removal as rich text: what was removed, and each warning in words."""

from __future__ import annotations

import html

from slicer.i18n import tr as _

_METHODS = {
    "clustering": _("Found by clustering."),
    "network": _("Found by the neural network."),
    "both": _("Found by clustering and the neural network."),
}


def reportText(report, measures, cleanedName: str, *, current: bool) -> str:
    """What stands under the button.

    Args:
        report: ``removing.Report``, or None where it is of another version.
        measures: ``HeadrestRemovalLib.measure.EquipmentMeasures`` of each kind and of all.
        cleanedName: of the cleaned scan; empty where it is gone.
        current: whether the cleaned scan is that of the segments and the fill as they are now.

    Returns:
        Rich text.
    """
    *kinds, everything = measures
    names = ", ".join(one.name for one in kinds if one.volume_ml > 0)
    if names:
        lines = [_("<b>Removed {ml:.0f} mL</b>: {names}.").format(ml=everything.volume_ml, names=html.escape(names))]
    else:
        lines = [_("<b>Nothing was removed</b>: the cleaned scan is the same.")]
    if report is not None and report.method in _METHODS:
        lines[0] += " " + _METHODS[report.method]
    if cleanedName:
        lines.append(_("The cleaned scan is a volume of its own: {name}.").format(name=html.escape(cleanedName)))
    lines += [_warning(text) for _code, text in (report.warnings if report is not None else ())]
    if not current:
        lines.append(_warning(_("The cleaned scan is not that of these segments and this value: press Clean again.")))
    return "<br>".join(lines)


def exportText(series) -> str:
    """What stands below the button after a DICOM series was written, a ``CTVolumeLib.derived.DerivedSeries``."""
    folder = html.escape(str(series.files[0].parent))
    lines = [_("{count} slices were written to {folder}.").format(count=len(series.files), folder=folder)]
    return "<br>".join(lines + [_warning(text) for _code, text in series.notes])


def _warning(text: str) -> str:
    return f"<b>\u26a0 {html.escape(text)}</b>"
