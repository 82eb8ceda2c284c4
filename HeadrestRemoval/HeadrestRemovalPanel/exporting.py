"""The cleaned scan as a DICOM series: what the button Save as DICOM does."""

from __future__ import annotations

from pathlib import Path

from . import removing


def exportDicom(volumeNode, segmentationNode, folder, fill: float | str = -1000, progress=None):
    """Write the scan without the segments, as they are now, to a new DICOM series of the same study.

    Args:
        volumeNode: a scan that Slicer loaded from its DICOM database.
        segmentationNode: with headrest, table and other equipment.
        folder: in which a folder for the series is made; it is named after the scan.
        fill: HU of what is removed, or "air" for the air that the scan shows.
        progress: called with done, total and a text; False cancels. It may let Slicer handle events.

    Returns:
        CTVolumeLib.derived.DerivedSeries.

    Raises:
        CTError: there are no segments; the scan is not from DICOM files, or was edited; the folder can't be written
            or exists already; cancelled. Nothing is written then.
    """
    from CTVolumeLib import derived, names, scene
    from HeadrestRemovalLib import remove, resultfiles
    from HeadrestRemovalLib.results import EquipmentResult

    labels = removing.labelsOf(volumeNode, segmentationNode)
    volume = scene.volume_from_node(volumeNode)
    derived.check_source(volume)
    report = removing.reportOf(segmentationNode)
    method = report.method if report is not None else "unknown"
    if report is not None and report.edited:
        method += ", edited by hand"
    cleaned = remove.remove(volume, labels, fill)
    found = resultfiles.Found(volume, EquipmentResult(labels, method), cleaned=cleaned, fill=fill)
    name = names.distinct_name(f"{volumeNode.GetName()} cleaned", "cleaned")
    return resultfiles.write_dicom(Path(folder) / name, found, progress)
