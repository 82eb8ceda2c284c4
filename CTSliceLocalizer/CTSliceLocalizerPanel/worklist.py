"""The series that somebody wants to label, one after the other: of a folder, or of Slicer's DICOM database.

Series of a folder are read by this extension's own reader, so that nothing has to be imported first. Only one series
of a worklist is in the scene at a time; the labels of the others are on disk.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import slicer
import slicer.util

from . import label_files, label_nodes
from .label_files import Source

Progress = Callable[[int, int, str], bool]

ENOUGH = 2
"""A series with so many labels counts as labelled: from two on every slice of it has a location."""


@dataclass(frozen=True)
class Series:
    """A series of a worklist.

    Attributes:
        title: what it is called in the list, never by the patient.
        source: where it is from; says where its labels are.
        read: what reads it: a ``CTVolumeLib.dicom.Series``, or None for a volume file or a series of the database.
        inDatabase: whether Slicer's DICOM database has it.
    """

    title: str
    source: Source
    read: object = None
    inDatabase: bool = False


@dataclass
class Worklist:
    """Series in order, and which of them is open.

    Attributes:
        series: in order.
        current: number of the open one, or None.
        skipped: sentences about what was found and can't be labelled.
    """

    series: tuple[Series, ...] = ()
    skipped: tuple[str, ...] = ()
    current: int | None = None
    _nodes: list[str] = field(default_factory=list)
    _places: list[Path | None] = field(default_factory=list)
    _counts: list[int] = field(default_factory=list)
    _folder: str | None = None

    def counts(self, folder: str = "") -> tuple[int, ...]:
        """How many landmarks are labelled in each series; the disk is asked for all of them only once.

        Args:
            folder: the chosen folder for labels, or empty.
        """
        if folder != self._folder:
            self._folder = folder
            self._places = [label_files.placeOf(one.source, folder) for one in self.series]
            self._counts = [label_files.countIn(place) for place in self._places]
        elif self.current is not None:
            self._counts[self.current] = label_files.countIn(self._places[self.current])
        return tuple(self._counts)

    def open(self, number: int, progress: Progress | None = None):
        """Load a series and show it; what the series before brought into the scene goes.

        Args:
            number: of the series, from 0.
            progress: called with done, total, text; False cancels.

        Returns:
            The vtkMRMLScalarVolumeNode.

        Raises:
            CTError: there is no such series, it can't be read, or cancelled; the one before stays.
        """
        from CTVolumeLib.errors import CTError

        if not 0 <= number < len(self.series):
            raise CTError("no_series", "There is no further series in the list.", "")
        before = set(_nodeIds())
        try:
            node = _load(self.series[number], progress)
        except BaseException:
            _remove(set(_nodeIds()) - before)
            raise
        made = [identifier for identifier in _nodeIds() if identifier not in before]
        self.close()
        self.current, self._nodes = number, made
        slicer.util.setSliceViewerLayers(background=node, fit=True)
        return node

    def volumeNodes(self) -> list:
        """The volumes that the open series brought into the scene and that are there still."""
        nodes = [slicer.mrmlScene.GetNodeByID(identifier) for identifier in self._nodes]
        return [node for node in nodes if node is not None and node.IsA("vtkMRMLScalarVolumeNode")]

    def close(self) -> None:
        """Take the open series out of the scene, with what was made from it."""
        for node in self.volumeNodes():
            _removeWithResults(node)
        _remove(self._nodes)
        self.current, self._nodes = None, []


def inFolder(folder: Path | str, progress: Progress | None = None) -> Worklist:
    """The CT series and volume files in a folder tree.

    Args:
        folder: with DICOM files, zips or volume files at any depth.
        progress: called with files done, files in all, and a text; False cancels.

    Raises:
        CTError: it can't be read, holds no CT, or cancelled.
    """
    from CTVolumeLib import dicom, volumefile
    from CTVolumeLib.errors import CTError

    folder = Path(folder)
    if not folder.is_dir():
        raise CTError("not_found", f"There is no folder {folder.name}.", "Choose a folder with CT scans.")
    try:
        found = dicom.series_in(folder, progress)
    except CTError as error:
        if error.code == "cancelled":
            raise
        found = []  # a folder of volume files alone
    usable = [one for one in found if one.unusable is None]
    usable.sort(key=lambda one: (one.folder, one.uid, one.files[0]))
    series = [
        Series(f"{_below(one.folder, folder)}: {one.count} slices", Source(one.files, "", one.uid, one.name), one)
        for one in usable
    ]
    for path in sorted(folder.rglob("*")):
        if path.is_file() and volumefile.is_volume_name(path.name) and not path.name.startswith("."):
            series.append(Series(_below(str(path), folder), Source((), str(path), "", path.name)))
    if not series:
        raise CTError("no_images", f"There is no CT in {folder.name}.", "Choose a folder with CT scans.")
    return Worklist(tuple(series), tuple(f"{one.name}: {one.unusable}." for one in found if one.unusable is not None))


def inDatabase() -> Worklist:
    """The CT series of Slicer's DICOM database.

    Raises:
        CTError: there is no database, or no CT in it.
    """
    from CTVolumeLib.errors import CTError

    database = getattr(slicer, "dicomDatabase", None)
    if database is None or not database.isOpen:
        raise CTError("no_database", "Slicer's DICOM database is not open.", "Open the DICOM module once.")
    series = []
    for patient in database.patients():
        for study in database.studiesForPatient(patient):
            for uid in database.seriesForStudy(study):
                files = tuple(database.filesForSeries(uid))
                if files and database.fileValue(files[0], "0008,0060") == "CT":
                    description = database.fileValue(files[0], "0008,103e") or "CT"
                    title = f"{description}: {len(files)} slices"
                    series.append(Series(title, Source(files, "", uid, description), inDatabase=True))
    if not series:
        raise CTError("no_images", "There is no CT in Slicer's DICOM database.", "Import some in the DICOM module.")
    return Worklist(tuple(series))


def _load(series: Series, progress: Progress | None):
    from CTVolumeLib import dicom, scene
    from CTVolumeLib.errors import CTError

    if series.inDatabase:
        from DICOMLib import DICOMUtils

        nodes = [slicer.mrmlScene.GetNodeByID(found) for found in DICOMUtils.loadSeriesByUID([series.source.seriesUid])]
        node = next((node for node in nodes if node is not None and node.IsA("vtkMRMLScalarVolumeNode")), None)
        if node is None:
            raise CTError(
                "not_loaded", f"Slicer could not load the series {series.title}.", "Look at the DICOM module."
            )
        return node
    if series.read is None:
        node = scene.node_from_volume(dicom.read(series.source.volumeFile, progress=progress), series.source.name)
        node.SetAttribute(label_nodes.VOLUME_FILE, series.source.volumeFile)
        return node
    volume = dicom.read_series(series.read, progress=progress)
    node = scene.node_from_volume(volume, series.source.name)
    node.SetAttribute(label_nodes.FILES, json.dumps(list(volume.sources)))
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = tree.GetItemByDataNode(node) or tree.CreateItem(tree.GetSceneItemID(), node)
    tree.SetItemUID(item, "DICOM", series.source.seriesUid)
    tree.SetItemAttribute(item, "DICOM.Modality", "CT")
    return node


def _removeWithResults(node) -> None:
    """What was made from a volume goes with it; its labels are saved."""
    from . import location_nodes

    label_nodes.removeLabels(node)
    location_nodes.clearLocation(node)


def _remove(identifiers) -> None:
    for identifier in identifiers:
        node = slicer.mrmlScene.GetNodeByID(identifier)
        if node is not None and not node.GetSingletonTag():
            slicer.mrmlScene.RemoveNode(node)


def _nodeIds() -> list[str]:
    scene = slicer.mrmlScene
    return [scene.GetNthNode(number).GetID() for number in range(scene.GetNumberOfNodes())]


def _below(path: str, folder: Path) -> str:
    """The end of a path, as it lies in the folder."""
    try:
        inside = Path(path).relative_to(folder.resolve() if Path(path).is_absolute() else folder)
    except ValueError:
        try:
            inside = Path(path).relative_to(folder)
        except ValueError:
            inside = Path(Path(path).name)
    return str(inside) if inside.parts else folder.name
