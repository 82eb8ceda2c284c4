"""``slicer.dicomDatabase`` over folders, and ``DICOMLib.DICOMUtils`` that loads series from it."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import slicer


class DicomDatabase:
    """The calls of ctkDICOMDatabase that modules use, over files that were added with ``importDicom``."""

    def __init__(self):
        self.isOpen = True
        self.databaseFilename = ""
        self._headers = {}

    def add(self, folder) -> None:
        """Take all DICOM files below a folder in."""
        import pydicom

        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and pydicom.misc.is_dicom(path):
                self._headers[str(path)] = pydicom.dcmread(path, stop_before_pixels=True)

    def patients(self):
        return self._values("PatientID")

    def studiesForPatient(self, patient):
        return self._values("StudyInstanceUID", PatientID=patient)

    def seriesForStudy(self, study):
        return self._values("SeriesInstanceUID", StudyInstanceUID=study)

    def filesForSeries(self, series, _maximum=-1):
        return [path for path, header in self._headers.items() if header.SeriesInstanceUID == series]

    def instancesForSeries(self, series, _maximum=-1):
        return [str(self._headers[path].SOPInstanceUID) for path in self.filesForSeries(series)]

    def fileForInstance(self, instance):
        return next((p for p, header in self._headers.items() if header.SOPInstanceUID == instance), "")

    def instanceForFile(self, path):
        return str(self._headers[path].SOPInstanceUID) if path in self._headers else ""

    def seriesForFile(self, path):
        return str(self._headers[path].SeriesInstanceUID) if path in self._headers else ""

    def studyForSeries(self, series):
        return next((str(h.StudyInstanceUID) for h in self._headers.values() if h.SeriesInstanceUID == series), "")

    def patientForStudy(self, study):
        return next((str(h.PatientID) for h in self._headers.values() if h.StudyInstanceUID == study), "")

    def fileValue(self, path, tag):
        header = self._headers.get(path)
        group, element = (int(part, 16) for part in tag.split(","))
        if header is None or (group, element) not in header:
            return ""
        value = header[group, element].value
        return (
            "\\".join(str(part) for part in value)
            if isinstance(value, list | tuple) or (hasattr(value, "__iter__") and not isinstance(value, str | bytes))
            else str(value)
        )

    def instanceValue(self, instance, tag):
        return self.fileValue(self.fileForInstance(instance), tag)

    def fieldForSeries(self, field, series):
        paths = self.filesForSeries(series)
        return str(getattr(self._headers[paths[0]], field, "")) if paths else ""

    def allFiles(self):
        return list(self._headers)

    def _values(self, name, **where):
        found = {}
        for header in self._headers.values():
            if all(str(getattr(header, key, "")) == value for key, value in where.items()):
                found[str(getattr(header, name))] = None
        return list(found)


def importDicom(folder, db=None, copyFiles=False):
    """Add a folder to the database."""
    (db or slicer.dicomDatabase).add(folder)
    return True


def loadSeriesByUID(uids):
    """Load series as volumes, uneven or tilted ones under an acquisition transform, with Slicer's attributes.

    Returns:
        IDs of the volume nodes.
    """
    from CTVolumeLib import dicom, scene

    loaded = []
    for uid in uids:
        database = slicer.dicomDatabase
        paths = database.filesForSeries(uid)
        found = next(one for one in dicom.series_in(Path(paths[0]).parent) if one.uid == uid)
        volume = dicom.read_series(found)
        number = database.fileValue(paths[0], "0020,0011")
        description = database.fileValue(paths[0], "0008,103e")
        node = scene.node_from_volume(volume, f"{number}: {description}")
        instances = [database.instanceForFile(str(source)) for source in volume.sources]
        node.SetAttribute("DICOM.instanceUIDs", " ".join(instances))
        numbers = [database.fileValue(str(source), "0020,0013") or "?" for source in volume.sources]
        node.SetAttribute("DICOM.instanceNumbers", " ".join(numbers))
        tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        item = tree.GetItemByDataNode(node) or tree.CreateItem(tree.GetSceneItemID(), node)
        tree.SetItemUID(item, "DICOM", uid)
        tree.SetItemAttribute(item, "DICOM.Modality", database.fileValue(paths[0], "0008,0060"))
        loaded.append(node.GetID())
    return loaded


def loadPatientByUID(patient):
    """Load all series of a patient."""
    database = slicer.dicomDatabase
    studies = database.studiesForPatient(patient)
    return loadSeriesByUID([series for study in studies for series in database.seriesForStudy(study)])


def allSeriesUIDsInDatabase(database=None):
    """UIDs of all series."""
    database = database or slicer.dicomDatabase
    studies = [study for patient in database.patients() for study in database.studiesForPatient(patient)]
    return [series for study in studies for series in database.seriesForStudy(study)]


@contextmanager
def TemporaryDICOMDatabase(directory=None):
    """Another database for a while."""
    before = slicer.dicomDatabase
    slicer.dicomDatabase = DicomDatabase()
    try:
        yield slicer.dicomDatabase
    finally:
        slicer.dicomDatabase = before


def install(session) -> None:
    """Put database and module in place."""
    from .session import _module

    public = ("importDicom", "loadSeriesByUID", "loadPatientByUID", "allSeriesUIDsInDatabase", "TemporaryDICOMDatabase")
    utils = _module("DICOMLib.DICOMUtils", {name: globals()[name] for name in public})
    session._put_module("DICOMLib", _module("DICOMLib", {"DICOMUtils": utils}))
    session._put_module("DICOMLib.DICOMUtils", utils)
    session._put(slicer, "dicomDatabase", DicomDatabase())
