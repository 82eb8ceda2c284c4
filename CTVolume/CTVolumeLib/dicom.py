"""Read any CT into a CTVolume: DICOM folders, trees, zips and single files, and volume files.

``series_in`` lists what is there from the headers alone, ``read_series`` reads one of them, ``read`` finds and reads
the one that is meant. What is odd about a scan is told in ``meta["warnings"]`` as (code, text) pairs; what can't be
trusted is a CTError. Texts name files and folders, never a patient.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from . import pixels, stacking, volumefile
from .errors import CTError
from .headers import NotDicomError, SliceHeader, is_localizer, looks_like_dicom, read_headers
from .pixels import Progress
from .quiet import quiet_libraries
from .sources import Files, Source, is_zip
from .unshear import upright
from .volume import CTVolume

Note = tuple[str, str]

logger = logging.getLogger(__name__)

_DICOM_ENDINGS = (".dcm", ".dicom", ".ima")
_HINTS = {
    "not_ct": "Choose a CT series.",
    "no_pixels": "Export the images again, with their pixels.",
    "truncated": "Copy or export the files again.",
    "bad_image": "Export the series again from the scanner or archive.",
    "not_hu": "Load the original CT series instead of pictures of it.",
    "no_positions": "Load the original series; without positions nobody can say where its slices lie.",
    "bad_spacing": "Load the original series; without a pixel spacing nothing can be measured.",
    "localizer": "Choose the series with the slices.",
}


@dataclass(frozen=True)
class Series:
    """A stack of slices that can be read as one volume, or the reason why it can't.

    Attributes:
        uid: SeriesInstanceUID, or an empty string. Stacks that were told apart inside one series share it.
        modality: DICOM modality such as ``CT``.
        description: geometry in words.
        files: path of the file of each slice (in a zip: path of the zip, then the member), each once.
        count: number of slices.
        axial: whether the slices are rather axial than coronal or sagittal.
        folder: folder or zip that holds the files.
        unusable: why it can't be read, or None.
        code: short name of that reason, or an empty string.
        warnings: (code, text) pairs that reading will repeat.
        slices: the headers, in order of position where they have one.
    """

    uid: str
    modality: str
    description: str
    files: tuple[str, ...]
    count: int
    axial: bool
    folder: str
    unusable: str | None = None
    code: str = ""
    warnings: tuple[Note, ...] = ()
    slices: tuple[SliceHeader, ...] = field(default=(), repr=False, compare=False)

    @property
    def name(self) -> str:
        """Name for messages: the folder, or the file where there is only one."""
        return Path(self.files[0]).name if len(self.files) == 1 else Path(self.folder).name

    def heights(self) -> np.ndarray:
        """(k,) LPS z in mm of the centre of each of ``slices``, by the headers alone; the slices have a position."""
        return stacking.heights(list(self.slices))


def series_in(path: Path | str, progress: Progress | None = None) -> list[Series]:
    """The DICOM series in a folder tree, a zip or a file, by their headers; the largest first.

    Args:
        path: folder (with all below it), zip, or DICOM file.
        progress: called with files done, files in all, and a text; False cancels.

    Raises:
        CTError: nothing there, unreadable folder, bad zip, cancelled.
    """
    with Files() as files, quiet_libraries():
        return _scan(_of_index(Path(path)), files, progress).series


def read_series(series: Series, *, progress: Progress | None = None, unshear: bool = False) -> CTVolume:
    """Read one series.

    Args:
        series: one of those that ``series_in`` lists.
        progress: called with slices done, slices in all, and a text; False cancels.
        unshear: shift the slices of a scan with gantry tilt in their plane, so that the volume is a box.

    Raises:
        CTError: the series is unusable, its pixels can't be decoded, its values are no HU, or cancelled.
    """
    _check_usable(series)
    with Files() as files, quiet_libraries():
        try:
            array, good, notes = pixels.load(list(series.slices), files, progress)
        except MemoryError as error:
            raise CTError(
                "no_memory", f"{series.name} does not fit into memory ({series.description}).", "Close other programs."
            ) from error
    headers = [series.slices[index] for index in good]
    notes = list(series.warnings) + notes
    lost = len(series.slices) - len(good)
    if lost:
        name = next(header.source.name for index, header in enumerate(series.slices) if index not in set(good))
        text = f"{lost} of {len(series.slices)} slices could not be decoded and {_were(lost)} left out, such as {name}."
        notes.append(("files_left_out", text))
    array, headers = _without_duplicates(array, headers, notes)
    _check_hounsfield(array, series)
    geometry = stacking.geometry(headers)
    first = headers[0]
    volume = CTVolume(
        array=array,
        spacing=geometry.spacing,
        origin=geometry.origin,
        direction=geometry.direction,
        positions=geometry.positions,
        slice_origins=geometry.slice_origins,
        meta={
            "modality": first.modality,
            "kernel": first.kernel or None,
            "slice_thickness": first.thickness,
            "patient_position": first.patient_position or None,
            "frame_of_reference_uid": first.frame_of_reference or None,
            "series_uid": first.series_uid or None,
            "series_description": first.series_description,
            "warnings": tuple(notes) + geometry.notes,
        },
        sources=tuple(str(header.source) for header in headers),
    )
    logger.info("Read a series: %s", series.description)
    return upright(volume) if unshear else volume


def read_in_parts(series: Series, size: int = 32) -> Iterator[tuple[tuple[SliceHeader, ...], np.ndarray]]:
    """The slices of a series, few at a time, so that memory holds only a part of them; copies of a slice come, too.

    Args:
        series: one of those that ``series_in`` lists.
        size: slices at a time. Where the values of single slices can't tell what they mean (no RescaleIntercept,
            MONOCHROME1) all come at once.

    Yields:
        The headers of slices that could be decoded, in order of position, and their (n, j, i) HU.

    Raises:
        CTError: as ``read_series``; a part of which no slice can be decoded is left out unless it is the whole series.
    """
    _check_usable(series)
    clear = all(header.intercept is not None and header.pixels.photometric != "MONOCHROME1" for header in series.slices)
    size = size if clear else len(series.slices)
    problem = None
    some = False
    with Files() as files, quiet_libraries():
        for first in range(0, len(series.slices), size):
            headers = list(series.slices[first : first + size])
            try:
                # One thread: handing over few small slices takes longer than reading them.
                array, good, _ = pixels.load(headers, files, threads=1)
            except CTError as error:
                if error.code != "bad_pixels":
                    raise
                problem = error
                continue
            _check_hounsfield(array, series)
            some = True
            yield tuple(headers[index] for index in good), array
    if problem is not None and not some:
        raise problem


def read(path: Path | str, *, progress: Progress | None = None, unshear: bool = False) -> CTVolume:
    """Read the CT in a folder, a zip, a DICOM file or a volume file (NIfTI, NRRD, MetaImage).

    Of several series the CT with the most slices is taken, axial ones before others; ``meta["warnings"]`` names the
    rest.

    Args:
        path: what to read.
        progress: called with steps done, steps in all, and a text; False cancels.
        unshear: see ``read_series``.

    Raises:
        CTError: there is no CT to be read; the message says why.
    """
    path = _of_index(Path(path))
    with Files() as files, quiet_libraries():
        if path.is_file() and not is_zip(path) and not _is_dicom(path, files):
            return volumefile.read(path)
        scan = _scan(path, files, progress)
        usable = [series for series in scan.series if series.unusable is None]
        if not usable:
            inner = [source for source in scan.other if volumefile.is_volume_name(source.name)]
            if not scan.series and len(inner) == 1:
                return volumefile.read_source(inner[0], files)
            raise _nothing_usable(path, scan)
    chosen = max(usable, key=lambda series: (series.count > 1, series.axial, series.count))
    volume = read_series(chosen, progress=progress, unshear=unshear)
    others = [series for series in scan.series if series is not chosen]
    if not others:
        return volume
    listed = "; ".join(series.description for series in others[:3]) + ("; ..." if len(others) > 3 else "")
    text = f"{len(others)} other series {'is' if len(others) == 1 else 'are'} in {path.name} and not read: {listed}."
    return replace(volume, meta={**volume.meta, "warnings": (*volume.meta["warnings"], ("other_series", text))})


def _check_usable(series: Series) -> None:
    if series.unusable is not None:
        raise CTError(series.code, f"{series.name} can't be read: {series.unusable}.", _HINTS.get(series.code, ""))


def _check_hounsfield(array: np.ndarray, series: Series) -> None:
    if series.slices[0].pixels.stored <= 8 and array.min() >= 0 and array.max() <= 255:
        text = f"The values of {series.name} lie between 0 and 255: gray values of a picture, no Hounsfield units."
        raise CTError("not_hu", text, _HINTS["not_hu"])


@dataclass
class _Scan:
    """What a look through a tree has found."""

    series: list[Series]
    total: int
    damaged: list[Source]
    other: list[Source]


def _scan(path: Path, files: Files, progress: Progress | None) -> _Scan:
    sources = files.find(path)
    headers: list[SliceHeader] = []
    damaged: list[Source] = []
    other: list[Source] = []
    for done, source in enumerate(sources, 1):
        try:
            headers += read_headers(source, files)
        except NotDicomError:
            (damaged if source.name.lower().endswith(_DICOM_ENDINGS) else other).append(source)
        except Exception as error:  # a damaged header can make pydicom raise anything; the file is reported
            logger.debug("A file could not be read (%s).", type(error).__name__)
            damaged.append(source)
        if progress is not None and progress(done, len(sources), "Reading headers") is False:
            raise CTError("cancelled", "Reading was cancelled.")
    series = _series_of(headers, damaged)
    series.sort(key=lambda item: (item.unusable is not None, not item.axial, -item.count, item.folder))
    logger.info("Found %d series in %d files, %d of them damaged.", len(series), len(sources), len(damaged))
    return _Scan(series, len(sources), damaged, other)


def _series_of(headers: list[SliceHeader], damaged: list[Source]) -> list[Series]:
    """Group the slices; files with a problem are left out of a good group of the same series, and reported there."""
    good: dict[str, list[SliceHeader]] = defaultdict(list)
    bad: dict[str, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        (good if header.problem is None else bad)[header.series_uid or header.source.folder].append(header)
    series = []
    for key in dict.fromkeys([*good, *bad]):
        found = [_stacks(group) for group in stacking.groups(good.get(key, []))]
        stacks = [stack for group in found for stack in group]
        usable = [stack for stack in stacks if stack.unusable is None]
        left_out = [header.source for header in bad.get(key, [])]
        if usable:
            main = stacks.index(max(usable, key=lambda stack: (stack.axial, stack.count)))
            folders = {header.source.folder for header in stacks[main].slices}
            unread = [source for source in damaged if source.folder in folders]
            lost = [stack for stack in stacks if stack is not stacks[main] and _lacks_geometry(stack)]
            left_out += unread + [header.source for stack in lost for header in stack.slices]
            stacks[main] = _with_left_out(stacks[main], left_out, bad.get(key, []))
            stacks = [stack for stack in stacks if stack not in lost]
        elif left_out:
            stacks.append(_unusable(bad[key], *bad[key][0].problem))
        series += stacks
    return series


def _stacks(group: list[SliceHeader]) -> list[Series]:
    """The series that a group of slices makes: usually one, several where acquisitions lie in the same place."""
    notes: tuple[Note, ...] = ()
    if is_localizer(group[0]):
        return [_unusable(group, "localizer", "it is an overview picture (localizer), not a stack of slices")]
    if group[0].spacing is None:
        return [_unusable(group, "bad_spacing", "its headers have no valid pixel spacing")]
    placed = [header for header in group if header.position is not None]
    left_out = [header.source for header in group if header.position is None]
    if not placed:
        made_up = stacking.places_from_slice_location(group)
        if made_up is None:
            return [_unusable(group, "no_positions", "its headers lack ImagePositionPatient, the places of the slices")]
        placed, notes = made_up
        left_out = []
    elif group[0].orientation is None:
        notes = (("no_orientation", "The headers lack ImageOrientationPatient; the slices are taken as axial."),)
        placed = [replace(header, orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0)) for header in placed]
    rescaled = [header for header in placed if header.intercept is not None]
    if rescaled:  # what the values of the others mean can't be known
        left_out += [header.source for header in placed if header.intercept is None]
        placed = rescaled
    parts, told_apart_by = stacking.split_acquisitions(placed)
    if len(parts) > 1:
        text = (
            f"The series holds {len(parts)} acquisitions of the same place, told apart by their {told_apart_by} "
            f"({', '.join(str(len(part)) for part in parts)} slices)."
        )
        notes = (*notes, ("several_acquisitions", text))
    copies = len(placed) - sum(len(part) for part in parts)
    if copies:
        notes = (*notes, ("duplicate_slices", f"{copies} files are copies of others and {_were(copies)} left out."))
    found = [_usable(part, notes) for part in parts]
    found[0] = _with_left_out(found[0], left_out, [])
    return found


def _lacks_geometry(series: Series) -> bool:
    """Slices that only lack a part of their geometry: left out where the rest of the series has it."""
    return series.code in ("no_positions", "bad_spacing") or any(
        code == "no_orientation" for code, _ in series.warnings
    )


def _usable(slices: list[SliceHeader], notes: tuple[Note, ...]) -> Series:
    slices = stacking.ordered(slices)
    offsets = stacking.along_normal(slices)
    normal = np.cross(slices[0].orientation[:3], slices[0].orientation[3:])
    plane = ("sagittal", "coronal", "axial")[int(np.argmax(np.abs(normal)))]
    apart = f", {np.median(np.diff(offsets)):.4g} mm apart" if len(slices) > 1 else ""
    series = _unusable(slices, "", "")
    description = f"{series.description}{apart}, {plane}"
    return replace(series, description=description, unusable=None, warnings=notes, axial=plane == "axial")


def _unusable(slices: list[SliceHeader], code: str, reason: str) -> Series:
    first = slices[0]
    modality = first.modality or "unknown modality"
    count = f"{len(slices)} slice{'' if len(slices) == 1 else 's'}"
    folder = str(first.source.path if first.source.member is not None else first.source.path.parent)
    return Series(
        uid=first.series_uid,
        modality=first.modality,
        description=f"{modality}, {count} of {first.pixels.columns} x {first.pixels.rows}",
        files=tuple(dict.fromkeys(str(header.source) for header in slices)),
        count=len(slices),
        axial=False,
        folder=folder,
        unusable=reason,
        code=code,
        slices=tuple(slices),
    )


def _with_left_out(series: Series, left_out: list[Source], bad: list[SliceHeader]) -> Series:
    if not left_out:
        return series
    total = len(series.files) + len(left_out)
    why = f" ({bad[0].problem[1]})" if bad else ""
    text = f"{len(left_out)} of {total} files {_were(len(left_out))} left out, such as {left_out[0].name}{why}."
    return replace(series, warnings=(*series.warnings, ("files_left_out", text)))


def _without_duplicates(
    array: np.ndarray, headers: list[SliceHeader], notes: list[Note]
) -> tuple[np.ndarray, list[SliceHeader]]:
    """One slice for each place; tells whether those that go are the same pictures."""
    offsets = stacking.along_normal(headers)
    keep, same, differing = [0], 0, 0
    for index in range(1, len(headers)):
        if offsets[index] - offsets[keep[-1]] > stacking.SAME_PLACE_MM:
            keep.append(index)
        elif np.array_equal(array[index], array[keep[-1]]):
            same += 1
        else:
            differing += 1
    if same:
        notes.append(("duplicate_slices", f"{same} slices are there twice; the copies {_were(same)} left out."))
    if differing:
        text = f"{differing} places hold two different slices; the one acquired first was taken."
        notes.append(("differing_duplicates", text))
    if len(keep) < len(headers):
        for new, old in enumerate(keep):
            if new != old:
                array[new] = array[old]
        array = array[: len(keep)]
    return array, [headers[index] for index in keep]


def _nothing_usable(path: Path, scan: _Scan) -> CTError:
    if scan.series:
        worst = max(scan.series, key=lambda series: (series.modality == "CT", series.code != "localizer", series.count))
        more = f" ({len(scan.series) - 1} more series can't be read either)" if len(scan.series) > 1 else ""
        text = f"{path.name} holds no CT that can be read: {worst.description}: {worst.unusable}{more}."
        return CTError(worst.code, text, _HINTS.get(worst.code, ""))
    if scan.damaged:
        number = len(scan.damaged)
        text = f"{path.name} holds no DICOM images: {number} of {scan.total} files are damaged or no DICOM at all"
        return CTError("no_images", f"{text}, such as {scan.damaged[0].name}.", "Copy or export the files again.")
    text = f"{path.name} holds no DICOM images ({scan.total} file{'' if scan.total == 1 else 's'})."
    return CTError("no_images", text, "Choose the folder with the DICOM files of the scan.")


def _of_index(path: Path) -> Path:
    """The folder of a DICOMDIR, which is what is meant by it."""
    return path.parent if path.name.upper() == "DICOMDIR" and path.is_file() else path


def _is_dicom(path: Path, files: Files) -> bool:
    if path.name.lower().endswith(_DICOM_ENDINGS):
        return True
    if volumefile.is_volume_name(path.name):
        return False
    try:
        return looks_like_dicom(files.read(Source(path), 0, 256))
    except OSError:
        return False


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
