"""Scans with their truth beside what a model says of them: what every evaluation is made from.

A case comes from a compact store, from the article's files, or from a folder with volumes and a table of landmarks.
Whichever it is, truth and answer are body coordinates in mm of an average adult (see ``landmarks``), so that the parts
of the body can be compared; errors at landmarks are LPS z of the patient himself where his z is known.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from CTVolumeLib import dicom
from CTVolumeLib.errors import CTError
from CTVolumeLib.inference import Model
from CTVolumeLib.volume import CTVolume
from scipy.optimize import isotonic_regression

from . import curve, groundtruth, predictor, slicegrid, store
from .calibration import Calibration
from .groundtruth import Annotation
from .landmarks import BODY_MM, LOCATIONS, NAMES, location_to_body
from .results import ScanLocation

DISTRUST = ("low_confidence", "upside_down", "spacing", "mirrored", "back_to_front", "short_scan")
"""Flags that say not to trust a result."""

KNOWN_MM = 8.0
"""Where a scan has no two landmarks, slices count up to this uncertainty of their truth."""

Progress = Callable[[int, int, str], bool]


@dataclass(frozen=True)
class LandmarkError:
    """One annotated landmark of one scan.

    Attributes:
        error_mm: found minus annotated z, or None where it was not found in the scan.
        sigma_mm: as claimed; NaN where the model claims nothing.
        inside_true: whether the annotation lies within the scan.
        flagged: whether the scan carries a flag that says not to trust it.
        true_z_mm: the annotation.
    """

    scan: str
    patient: str
    family: str
    landmark: str
    error_mm: float | None
    sigma_mm: float
    inside_true: bool
    flagged: bool
    true_z_mm: float = float("nan")


@dataclass(frozen=True, eq=False)
class Case:
    """One scan: truth and answer of each slice, from the feet to the head.

    Attributes:
        name: of the scan.
        patient: what stands for its patient.
        family: scans that come from one source and look alike; they are never pooled with others.
        place: (k,) LPS z in mm, or number of the slice where no z is known.
        has_z: which of the two.
        true_mm: (k,) body coordinate as annotated.
        known: (k,) whether that is well known.
        found_mm: (k,) body coordinate as the model has it; NaN in a scan that it refused.
        raw_mm: (k,) likewise of each slice by itself.
        sigma_mm: (k,) standard deviation as claimed; NaN where the model claims nothing.
        landmarks: errors at the annotated landmarks.
        warnings: sentences that came with the answer, and the reason of a refusal.
        volume: gives the scan for pictures, or None.
        picture: gives (rows, columns) 8-bit gray of a slice, for scans that have no volume.
        claimed: names of the landmarks that the model says the scan shows, annotated or not.
    """

    name: str
    patient: str
    family: str
    place: np.ndarray
    has_z: bool
    true_mm: np.ndarray
    known: np.ndarray
    found_mm: np.ndarray
    raw_mm: np.ndarray
    sigma_mm: np.ndarray
    landmarks: tuple[LandmarkError, ...]
    warnings: tuple[str, ...] = ()
    volume: Callable[[], CTVolume] | None = field(default=None, repr=False)
    picture: Callable[[int], np.ndarray] | None = field(default=None, repr=False)
    claimed: tuple[str, ...] = ()

    @property
    def off_mm(self) -> np.ndarray:
        """(n,) found minus true body coordinate of the slices whose truth is known and that were answered."""
        off = (self.found_mm - self.true_mm)[self.known]
        return off[np.isfinite(off)]


def compare(
    name: str, patient: str, family: str, result: ScanLocation, annotations: Mapping[str, Annotation]
) -> list[LandmarkError]:
    """Errors of all annotated landmarks of a scan."""
    flagged = result.refused is not None or any(flag.code in DISTRUST for flag in result.flags)
    errors = []
    for landmark, annotation in annotations.items():
        found = result.landmark(landmark)
        error = None if found.z_mm is None else found.z_mm - annotation.z_mm
        low, high = result.series["z_mm"]
        inside = low <= annotation.z_mm <= high
        errors.append(
            LandmarkError(name, patient, family, landmark, error, found.sigma_mm, inside, flagged, annotation.z_mm)
        )
    return errors


def from_folder(
    data: Path, patients: Sequence[str] | None, model: Model | None = None, progress: Progress | None = None
) -> Iterator[Case]:
    """Scans of a folder with ``scans.csv``, ``landmarks.csv`` and ``vol/<id>.nii.gz``.

    Args:
        data: the folder.
        patients: whose scans, or None for all.
        model: other than the shipped one.
        progress: called with scans done, scans in all, and a text; False cancels.
    """
    annotations = groundtruth.read_landmarks(data / "landmarks.csv")
    with (data / "scans.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["id"] in annotations]
    rows = [row for row in rows if patients is None or row["patient"] in set(patients)]
    for number, row in enumerate(rows):
        _tell(progress, number, len(rows))
        name = row["id"]
        volume = dicom.read(data / "vol" / f"{name}.nii.gz")
        family = row.get("family") or ("hn" if name.startswith("hn") else "other")
        result = predictor.locate(volume, model=model)
        yield _case(name, row["patient"], family, result, annotations[name], lambda volume=volume: volume.as_axial())


def from_store(
    folder: Path, uids: Sequence[str] | None, model: Model, progress: Progress | None = None
) -> Iterator[Case]:
    """Series of a compact store.

    Args:
        folder: the store.
        uids: SeriesInstanceUIDs, or None for all.
        model: with the parts of the compact network.
        progress: as for ``from_folder``.

    Raises:
        CTError: the store is damaged or in another format, or cancelled.
    """
    store.series(folder)  # refuses other formats
    entries = [entry for entry in store.read_index(folder).series if uids is None or entry.uid in set(uids)]
    for number, entry in enumerate(entries):
        _tell(progress, number, len(entries))
        one = store.read_series(entry.path)
        z_mm = [round(float(one.grid.z_mm[0]), 3), round(float(one.grid.z_mm[-1]), 3)]
        result = curve.fit(
            predictor.estimate(one.grid, model),
            z_mm=one.grid.z_mm,
            index=np.arange(len(one.grid.z_mm)),
            files=(),
            series={"source": one.name, "modality": "CT", "slices": len(one.grid.z_mm), "z_mm": z_mm},
            model={"name": model.name, "sha256": model.sha256},
            flags=(),
            calibrated=Calibration.of_card(model.card),
        )
        truth = (one.grid.z_mm, one.body_mm, one.sigma_mm)
        yield _case(one.name, one.patient, "all", result, one.annotations, lambda grid=one.grid: _volume(grid), truth)


def from_article(
    folder: Path, uids: Sequence[str] | None, model: Model, progress: Progress | None = None
) -> Iterator[Case]:
    """Series of a store in the article's format, for a network that looks at single slices.

    The files hold no z: slices are placed by their number, and a landmark counts as found where the answers, made
    monotone along the scan, pass its location.

    Args:
        folder: the store.
        uids: SeriesInstanceUIDs, or None for all.
        model: with the part that gives the location of a slice.
        progress: as for ``from_folder``.

    Raises:
        CTError: the store is damaged or holds no slices, or cancelled.
    """
    entries = [entry for entry in store.read_index(folder).series if uids is None or entry.uid in set(uids)]
    for number, entry in enumerate(entries):
        _tell(progress, number, len(entries))
        files = sorted(entry.path.glob("*.npz"), key=lambda path: (len(path.stem), path.stem))
        if not files:
            raise CTError("bad_store", f"{entry.name} of the data set has no slices.", "Convert the data again.")
        slices = [_article_slice(path) for path in files]
        location = np.array([one[1] for one in slices])
        raw = article_locations(model, np.stack([one[0] for one in slices]))
        order = np.argsort(-location, kind="stable")  # from the feet to the head
        place = np.array([_instance(path, n) for n, path in enumerate(files)], dtype=float)[order]
        location, raw = location[order], raw[order]
        found = -_increasing(-raw)
        landmarks = _landmarks_of_article(entry, location, found)
        yield Case(
            name=entry.name,
            patient=entry.patient,
            family="all",
            place=place,
            has_z=False,
            true_mm=location_to_body(location),
            known=(location >= LOCATIONS[0]) & (location <= LOCATIONS[-1]),
            found_mm=location_to_body(found),
            raw_mm=location_to_body(raw),
            sigma_mm=np.full(len(raw), np.nan),
            landmarks=landmarks,
            picture=lambda k, files=files, order=order: _article_slice(files[order[k]])[0],
        )


def article_locations(model: Model, pixels: np.ndarray) -> np.ndarray:
    """(n,) locations of (n, rows, columns) 8-bit slices by a network of the article."""
    (part,) = model.parts.values()
    output = part.predict(pixels[..., None].astype(np.float32))
    values = next(iter(output.values())) if isinstance(output, dict) else output
    return np.asarray(values, dtype=float).reshape(len(pixels))


def is_article(model: Model) -> bool:
    """Whether a model is one of the article's: one network that gives the location of single slices."""
    return "encoder" not in model.parts and len(model.parts) == 1


def _case(
    name: str,
    patient: str,
    family: str,
    result: ScanLocation,
    annotations: Mapping[str, Annotation],
    volume: Callable[[], CTVolume],
    truth: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> Case:
    if truth is None:
        z_mm = result.z_mm if len(result.z_mm) else volume().superior()
        truth = (z_mm, *groundtruth.body_targets(z_mm, annotations))
    z_mm, body, sigma = truth
    answered = result.refused is None
    nothing = np.full(len(z_mm), np.nan)
    heights = [annotation.z_mm for annotation in annotations.values()]
    known = sigma <= KNOWN_MM
    if len(heights) > 1:  # beyond the outermost landmarks the truth is a guess
        known = (z_mm >= min(heights)) & (z_mm <= max(heights))
    warnings = tuple(flag.text for flag in (*((result.refused,) if result.refused else ()), *result.flags))
    return Case(
        name=name,
        patient=patient,
        family=family,
        place=z_mm,
        has_z=True,
        true_mm=body,
        known=known,
        found_mm=result.body_mm if answered else nothing,
        raw_mm=location_to_body(result.raw) if answered else nothing,
        sigma_mm=result.sigma_mm if answered else nothing,
        landmarks=tuple(compare(name, patient, family, result, annotations)),
        warnings=warnings,
        claimed=tuple(estimate.name for estimate in result.landmarks if estimate.inside),
        volume=volume,
    )


def _volume(grid: slicegrid.SliceGrid) -> CTVolume:
    cell = slicegrid.CELL_MM
    return CTVolume(grid.unmasked if grid.unmasked is not None else grid.hu, (cell,) * 3, (0, 0, float(grid.z_mm[0])))


def _landmarks_of_article(entry: store.Entry, location: np.ndarray, found: np.ndarray) -> tuple[LandmarkError, ...]:
    """Errors at the landmarks that the series shows, in mm of an average adult; up is positive as for z."""
    errors = []
    down = location[::-1]  # growing
    for name, at, body in zip(NAMES, LOCATIONS, BODY_MM):
        if down[0] <= at <= down[-1]:
            said = float(location_to_body(np.interp(at, down, found[::-1])))
            errors.append(
                LandmarkError(entry.name, entry.patient, "all", name, float(body) - said, float("nan"), True, False)
            )
    return tuple(errors)


def _increasing(values: np.ndarray) -> np.ndarray:
    """The nearest series that never falls (least squares; pool adjacent violators)."""
    return isotonic_regression(values).x


def _article_slice(path: Path) -> tuple[np.ndarray, float]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return archive["pixels"], float(archive["norm_loc"])
    except Exception as error:  # numpy and zipfile raise many kinds for damaged files
        text = f"{path.parent.name}/{path.name} of the data set is damaged or of another program."
        raise CTError("bad_store", text, "Convert the data again.") from error


def _instance(path: Path, number: int) -> int:
    return int(path.stem) if path.stem.isdigit() else number


def read_split(path: Path) -> dict[str, list[str]]:
    """Patients of each part of a split file: ``train``, ``validation``, ``held_out``.

    Raises:
        CTError: it is no such file.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {str(part): [str(patient) for patient in patients] for part, patients in content["patients"].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        text = f"{path.name} does not say which patients belong to which part."
        raise CTError("bad_partition", text, "Make it with ct-localize partition.") from error


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None and not progress(done, total, "evaluating"):
        raise CTError("cancelled", "The evaluation was cancelled.")
