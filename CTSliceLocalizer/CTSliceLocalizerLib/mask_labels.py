"""From masks to labels: ``labels.json`` beside each series, or a table for scans that are no DICOM.

The masks of a scan are looked for where segmentation programs leave them: in its own folder under the name
``segmentations`` (a folder, or one file), or in a folder for masks under the SeriesInstanceUID or the scan's own name.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from CTVolumeLib import dicom, volumefile
from CTVolumeLib.errors import CTError

from . import annotations, landmarks_from_masks, maskfiles
from .landmarks_from_masks import Found, Result

MASKS = "segmentations"
LABELS = "labels.json"
_COLUMNS = ("id", "landmark", "z_mm", "uncertainty_mm", "how", "reader", "note")

Progress = Callable[[int, int, str], bool]


@dataclass(frozen=True)
class Scan:
    """A scan and where its masks are.

    Attributes:
        name: for messages and tables.
        folder: that holds it; gets the ``labels.json``.
        masks: folder or file.
        series: None where it is no DICOM.
    """

    name: str
    folder: Path
    masks: Path
    series: dicom.Series | None


@dataclass(frozen=True)
class Labelled:
    """What became of a scan.

    Attributes:
        scan: which one.
        result: landmarks found, and why others were not.
        written: landmarks that are new or changed in its ``labels.json``.
        kept: landmarks that were labelled there before and were left alone.
        problem: why nothing could be done, or None.
    """

    scan: Scan
    result: Result = field(default_factory=lambda: Result({}, {}))
    written: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    problem: CTError | None = None


def scans_in(source: Path, masks: Path | None = None, progress: Progress | None = None) -> tuple[list[Scan], list[str]]:
    """The scans with masks in a folder tree, and the names of those without.

    Args:
        source: a series, a tree of series, or a tree of folders with a volume file and its masks.
        masks: folder for masks, or the masks themselves if there is only one scan.
        progress: as for ``dicom.series_in``.

    Raises:
        CTError: nothing is there, or cancelled.
    """
    found, without = [], []
    try:
        series = [one for one in dicom.series_in(source, progress) if one.unusable is None]
    except CTError as error:
        if error.code == "cancelled":
            raise
        series = []
    named = {} if masks is None else _by_name(masks)
    for one in series:
        folder = Path(one.folder)
        if masks is None:
            place = _by_name(folder).get(MASKS)
        else:
            place = named.get(one.uid) or named.get(folder.name) or (masks if len(series) == 1 else None)
        if place is None:
            without.append(folder.name)
        else:
            found.append(Scan(folder.name, folder, place, one))
    if not series:
        for place in sorted(source.rglob(f"{MASKS}*")):
            if place.is_dir() or volumefile.is_volume_name(place.name):
                found.append(Scan(place.parent.name, place.parent, place, None))
    if not found and not without:
        raise CTError(
            "no_scans",
            f"{source.name} holds no CT series and no masks.",
            f'Give a tree of series, or folders that hold masks under the name "{MASKS}".',
        )
    return found, without


def label(scan: Scan, *, names: Path | None = None, replace: bool = False) -> Labelled:
    """Find the landmarks of a scan, and write its ``labels.json`` if it is DICOM.

    Args:
        scan: with masks.
        names: table of names for label maps that hold none.
        replace: whether labels that are there already may be changed; a person's count more, so they stay by default.

    Returns:
        What was found; an error that concerns this scan alone is in ``problem``.
    """
    try:
        structures = maskfiles.read(scan.masks, landmarks_from_masks.wanted(), names)
        result = _without_contradictions(landmarks_from_masks.find(structures))
        if scan.series is None:
            return Labelled(scan, result)
        return _write(scan, result, replace)
    except CTError as error:
        return Labelled(scan, problem=error)


def table(labelled: Sequence[Labelled]) -> str:
    """All landmarks as CSV with the columns that training from tables reads."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for one in labelled:
        for name, found in one.result.found.items():
            writer.writerow(
                [one.scan.name, name, f"{found.z_mm:.1f}", f"{found.uncertainty_mm:g}", "mask", "", found.how]
            )
    return text.getvalue()


def describe(labelled: Labelled) -> str:
    """What became of a scan, for people; one line for each thing that was not found although there was a mask."""
    name = labelled.scan.name
    if labelled.problem is not None:
        return f"{name}: {labelled.problem}"
    found = labelled.result.found
    lines = [f"{name}: {len(found)} landmarks ({', '.join(found) or 'none'})"]
    if labelled.kept:
        lines.append(f"  kept as they were: {', '.join(labelled.kept)}")
    lines += [f"  no {landmark}: {reason}" for landmark, reason in labelled.result.missing.items()]
    return "\n".join(lines)


def nearest_files(series: dicom.Series, found: Mapping[str, Found]) -> dict[str, str]:
    """Name of the file whose slice shows each landmark; landmarks outside the series are left out.

    Raises:
        CTError: the series is not one file per slice, or no landmark lies in it.
    """
    if len(series.files) != len(series.slices):
        text = f"{series.name} is not stored as one file per slice, so labels.json can't name its slices."
        raise CTError("no_files", text, "Write a table instead (--table).")
    z_mm = series.heights()
    step = float(np.median(np.abs(np.diff(np.sort(z_mm))))) if len(z_mm) > 1 else 1.0
    files = {}
    for name, landmark in found.items():
        nearest = int(np.argmin(np.abs(z_mm - landmark.z_mm)))
        if abs(z_mm[nearest] - landmark.z_mm) <= step:
            files[name] = series.slices[nearest].source.name
    if found and not files:
        text = f"The masks of {series.name} lie elsewhere: no landmark is within the series."
        raise CTError("masks_elsewhere", text, "Check that they were made from this series.")
    return files


def _by_name(folder: Path) -> dict[str, Path]:
    """Folders and volume files anywhere in a folder, by their names without ending."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_dir():
            found.setdefault(path.name, path)
        elif volumefile.is_volume_name(path.name):
            found.setdefault(maskfiles.stem(path), path)
    return found


def _write(scan: Scan, result: Result, replace: bool) -> Labelled:
    path = scan.folder / LABELS
    if not scan.folder.is_dir():
        raise CTError("in_a_zip", f"{scan.name} lies in a zip, where no labels can be written.", "Unpack it first.")
    labels = annotations.read_labels(path) if path.exists() else annotations.Labels()
    written, kept = [], []
    for name, file in nearest_files(scan.series, result.found).items():
        if name in labels.entries and not replace:
            kept.append(name)
        elif labels.entries.get(name) != file:
            labels = labels.with_label(name, file)
            written.append(name)
    if written:
        annotations.write_labels(path, labels)
    return Labelled(scan, result, tuple(written), tuple(kept))


def _without_contradictions(result: Result) -> Result:
    """Landmarks that contradict each other are both dropped: one of the masks is wrong, and nobody knows which."""
    problems = annotations.contradictions({name: found.z_mm for name, found in result.found.items()})
    doubtful = {name: problem.text for problem in problems for name in problem.landmarks}
    found = {name: landmark for name, landmark in result.found.items() if name not in doubtful}
    return Result(found, {**result.missing, **doubtful})
