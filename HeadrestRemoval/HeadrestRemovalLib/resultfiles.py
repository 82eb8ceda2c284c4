"""The files of one scan: segmentation, labels, the scan without equipment, picture, and report.json about all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from CTVolumeLib import derived, scans, segments
from CTVolumeLib.batch import Item
from CTVolumeLib.derived_header import Derivation, program_version
from CTVolumeLib.errors import CTError
from CTVolumeLib.files import write_atomic
from CTVolumeLib.volume import CTVolume, describe

from . import equipment, measure, prediction, report_picture
from .labels import EQUIPMENT, HEADREST, NAMES, OTHER, SEGMENTS, TABLE
from .measure import EquipmentMeasures
from .remove import AIR_HU, remove
from .results import EquipmentResult

SCHEMA = "ct-headrest/1"
REFUSALS = ("not_ct", "no_body", "too_few_slices")
"""Errors that say what the scan is rather than that something went wrong: they are a result, too."""

CLEANED = {"nrrd": "cleaned.nrrd", "nifti": "cleaned.nii.gz", "dicom": "cleaned"}
"""Formats of the scan without equipment, and the name of the file, or of the folder with the DICOM series."""

_COLUMNS = {
    "headrest_ml": NAMES[HEADREST], "table_ml": NAMES[TABLE], "other_ml": NAMES[OTHER], "removed_ml": "all equipment",
}  # fmt: skip
"""Of the summary: volumes, by the names of measures."""

_USE = "Research use only, not a medical device."


@dataclass(frozen=True)
class Found:
    """What is known of a scan.

    Attributes:
        volume: the scan.
        result: its equipment, None where that was refused.
        measures: of headrest, table, other and all equipment.
        cleaned: the scan without it, None likewise.
        fill: what was asked for in its place: HU, or "air".
        refused: why there is no result.
    """

    volume: CTVolume
    result: EquipmentResult | None = None
    measures: tuple[EquipmentMeasures, ...] = ()
    cleaned: CTVolume | None = None
    fill: float | str = AIR_HU
    refused: CTError | None = None

    @property
    def removed(self) -> np.ndarray:
        """(k, j, i) bool: the voxels that are filled."""
        return np.isin(self.result.labels, EQUIPMENT)

    @property
    def fill_hu(self) -> float | None:
        """HU that stand in the place of the equipment; None where there is none."""
        filled = None if self.cleaned is None else self.cleaned.array[self.removed]
        return float(filled[0]) if filled is not None and filled.size else None


def find(volume: CTVolume, method: str = "auto", fill: float | str = AIR_HU) -> Found:
    """Find, measure and remove the equipment; a scan in which there is no body is a result with the reason.

    Args:
        volume: the scan.
        method: see ``equipment.find``.
        fill: HU, or "air" for the air that the scan shows.

    Raises:
        CTError: anything but what the scan is, see ``REFUSALS``.
    """
    try:
        result = equipment.find(volume, method)
    except CTError as error:
        if error.code not in REFUSALS:
            raise
        return Found(volume, fill=fill, refused=error)
    measures = measure.measure(volume, result.labels)
    return Found(volume, result, measures, remove(volume, result.labels, fill), fill)


def write(folder: Path, found: Found, cleaned_as: str = "nrrd") -> dict[str, Any]:
    """Write the files, report.json last: where it is, all is there.

    Args:
        folder: made if missing.
        found: what is known of the scan.
        cleaned_as: one of ``CLEANED``.

    Returns:
        What report.json holds.

    Raises:
        CTError: the folder can't be written; ``no_dicom_source``: a DICOM series of a scan that was none.
    """
    folder = Path(folder)
    volume, result = found.volume, found.result
    notes: tuple[tuple[str, str], ...] = ()
    labels = None
    if result is not None:
        labels = result.labels
        segments.write_segmentation(folder / "equipment.seg.nrrd", volume, labels_of_segments(labels), SEGMENTS)
        segments.write_volume(folder / "equipment.nii.gz", volume.with_array(labels))
        if cleaned_as == "dicom":
            notes = write_dicom(folder / CLEANED["dicom"], found).notes
        else:
            segments.write_volume(folder / CLEANED[cleaned_as], found.cleaned)
    report = to_json(found, cleaned_as, notes)
    title = str(report["series"]["source"] or "CT")
    write_atomic(folder / "picture.png", report_picture.draw(
        volume, labels, found.cleaned, found.measures, [entry["text"] for entry in report["warnings"]], title,
        found.refused.message if found.refused else "",
    ))  # fmt: skip
    write_atomic(folder / "report.json", json.dumps(report, indent=1, allow_nan=False))
    return report


def write_dicom(folder: Path, found: Found, progress: derived.Progress | None = None) -> derived.DerivedSeries:
    """Write the scan without equipment as a derived DICOM series of the same study.

    Args:
        folder: does not exist yet or is empty.
        found: with a result; its volume was read from DICOM files.
        progress: called with slices done, slices in all, and a text; False cancels.

    Raises:
        CTError: see ``derived.write_series``.
    """
    fill = AIR_HU if found.fill_hu is None else found.fill_hu
    named = ", ".join(NAMES[value] for value in EQUIPMENT if (found.result.labels == value).any()) or "nothing found"
    text = f"Equipment removed ({named}) by method {found.result.method}; removed voxels are {fill:g} HU. {_USE}"
    derivation = Derivation(text, "without equipment", program_version())
    return derived.write_series(folder, found.volume, found.removed, fill, derivation, progress)


def labels_of_segments(labels: np.ndarray) -> np.ndarray:
    """Labels without the patient, who is no segment: Slicer would make one without a name of it."""
    return np.where(np.isin(labels, EQUIPMENT), labels, np.uint8(0))


def to_json(found: Found, cleaned_as: str, notes: tuple[tuple[str, str], ...] = ()) -> dict[str, Any]:
    """What report.json holds; numbers that do not exist are null.

    Args:
        found: what is known of the scan.
        cleaned_as: one of ``CLEANED``.
        notes: what was noticed when the scan without equipment was written.
    """
    volume, result = found.volume, found.result
    return {
        "schema": SCHEMA,
        "refused": None if found.refused is None else {"code": found.refused.code, "text": found.refused.message},
        "series": describe(volume, volume.as_axial()),
        "warnings": [{"code": code, "text": text} for code, text in (*warnings_of(found), *notes)],
        "method": None if result is None else result.method,
        "contact_cm2": None if result is None else round(float(result.contact_cm2), 2),
        "measures": measure.to_dict(found.measures),
        "labels": {} if result is None else {str(value): name for value, name in NAMES.items()},
        "fill": {"asked": found.fill, "hu": found.fill_hu},
        "cleaned": None if result is None else CLEANED[cleaned_as],
        "use": _USE,
    }


def warnings_of(found: Found) -> list[tuple[str, str]]:
    """Code and text of what the reader noticed in the files and of what is to be said about the equipment."""
    noticed = [tuple(note) for note in found.volume.meta.get("warnings", ())]
    return noticed + ([] if found.result is None else [tuple(note) for note in found.result.warnings])


def clean_item(item: Item, folder: Path) -> dict[str, Any]:
    """Find and remove the equipment of one scan of a batch and write its files; what comes back is for the summary.

    Args:
        item: of ``scans.find_items``; its settings are those of ``settings_of``.
        folder: to write into.

    Raises:
        CTError: the scan can't be read, or its result can't be written in the wanted format.
    """
    settings: Mapping[str, Any] = item.settings
    volume = scans.volume_of(item)
    if settings["cleaned"] == "dicom":
        derived.check_source(volume)  # before the long work
    found = find(volume, settings["method"], settings["fill"])
    report = write(folder, found, settings["cleaned"])
    facts: dict[str, Any] = {"slices": report["series"]["slices"]}
    for column, name in _COLUMNS.items():
        facts[column] = round(report["measures"][name]["volume_ml"], 1) if report["measures"] else None
    return facts | {
        "contact_cm2": report["contact_cm2"],
        "method": report["method"] or "",
        "warnings": " ".join(dict.fromkeys(entry["code"] for entry in report["warnings"])),
        "refused": found.refused.message if found.refused else "",
    }


def settings_of(method: str, fill: float | str, cleaned_as: str) -> dict[str, Any]:
    """What a result depends on besides the scan, as plain values.

    Raises:
        CTError: the method needs the network, and its model is missing or damaged.
    """
    method = equipment.BEST if method == "auto" else method
    settings = {
        "schema": SCHEMA,
        "program": program_version(),
        "method": method,
        "fill": fill,
        "cleaned": cleaned_as,
    }
    return settings if method == "clustering" else {**settings, "model": prediction.load_model().sha256}
