"""The compact store: annotated series on the networks' grid, ready for training.

    STORE/index.json                   {"schema": "ct-store/1", "format": "compact", "series": [...], "left_out": [...]}
    STORE/series/<name>/series.npz     one series, 20 kB for each 4 mm of it

A ``series.npz`` holds the pictures of ``slicegrid.SliceGrid`` (4 mm cells, the body with and without what is around
it), the truth of each picture and the landmarks. Files of the same content have the same bytes. Neither names nor
contents tell who the patient is: series go by their UID, patients by a hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from CTVolumeLib.errors import CTError
from CTVolumeLib.files import npz_bytes, write_atomic

from .groundtruth import Annotation
from .slicegrid import AIR_HU, CELL_MM, SIZE, SliceGrid

SCHEMA = "ct-store/1"
SERIES_SCHEMA = "ct-store-series/1"
COMPACT, ARTICLE = "compact", "article"
INDEX, SERIES_FOLDER, SERIES_FILE = "index.json", "series", "series.npz"


@dataclass(frozen=True, eq=False)
class StoredSeries:
    """One annotated series.

    Attributes:
        name: of its folder in the store.
        uid: SeriesInstanceUID.
        patient: hash that all series of a patient share; see ``patient_key``.
        grid: pictures with and without the surroundings, (g, 96, 96) HU.
        body_mm: (g,) true body coordinate in mm.
        sigma_mm: (g,) how well it is known.
        location: (g,) location on the scale of the ground truth file.
        annotations: landmarks by name; none where only locations of slices were given.
    """

    name: str
    uid: str
    patient: str
    grid: SliceGrid
    body_mm: np.ndarray
    sigma_mm: np.ndarray
    location: np.ndarray
    annotations: Mapping[str, Annotation]


@dataclass(frozen=True)
class Entry:
    """What the index says of a series.

    Attributes:
        name: of its folder.
        uid: SeriesInstanceUID.
        patient: see ``patient_key``.
        slices: pictures (compact) or files (article) of the series.
        landmarks: how many are annotated.
        path: of its ``series.npz``, or of the folder with its slices in the article's format.
    """

    name: str
    uid: str
    patient: str
    slices: int
    landmarks: int
    path: Path


@dataclass(frozen=True)
class Index:
    """What a store holds.

    Attributes:
        format: ``"compact"`` or ``"article"``.
        settings: how it was made.
        series: in the order of their names.
        left_out: name, code and message of each series that could not be converted.
    """

    format: str
    settings: Mapping[str, Any]
    series: tuple[Entry, ...]
    left_out: tuple[Mapping[str, str], ...]


def series(folder: Path | str) -> list[Path]:
    """The ``series.npz`` files of a compact store, in the order of their names.

    Raises:
        CTError: there is no store, or it is in the article's format.
    """
    index = read_index(folder)
    if index.format != COMPACT:
        raise CTError(
            "wrong_format",
            f"{Path(folder).name} holds one file for each slice ({index.format}), not the compact format.",
            "Convert the data again without --format, or train with one of the article's networks.",
        )
    return [entry.path for entry in index.series]


def read_index(folder: Path | str) -> Index:
    """What a store holds, in either format.

    Raises:
        CTError: there is no store, or its index is damaged.
    """
    folder = Path(folder)
    path = folder / INDEX
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ValueError(content["schema"])
        entries = [Entry(**entry, path=_place(folder, content["format"], entry["name"])) for entry in content["series"]]
        return Index(content["format"], content["settings"], tuple(entries), tuple(content["left_out"]))
    except FileNotFoundError:
        text = f"{folder.name} is no data set: it has no {INDEX}."
        raise CTError("no_store", text, "Make it with ct-localize convert.") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        text = f"{INDEX} of {folder.name} can't be read: it is damaged or of another program."
        raise CTError("bad_store", text, "Make it again with ct-localize convert.") from error


def write_index(folder: Path | str, index: Index) -> None:
    """Write ``index.json``; entries are sorted by name.

    Raises:
        CTError: it can't be written.
    """
    entries = [asdict(entry) for entry in sorted(index.series, key=lambda entry: entry.name)]
    for entry in entries:
        del entry["path"]
    content = {
        "schema": SCHEMA,
        "format": index.format,
        "settings": dict(index.settings),
        "series": entries,
        "left_out": sorted((dict(one) for one in index.left_out), key=lambda one: one["name"]),
    }
    write_atomic(Path(folder) / INDEX, json.dumps(content, indent=1) + "\n")


def read_series(path: Path | str) -> StoredSeries:
    """Read a ``series.npz``.

    Raises:
        CTError: it can't be read, is damaged or of another program.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if str(arrays["schema"]) != SERIES_SCHEMA:
            raise ValueError("schema")
        _check(arrays)
        count = len(arrays["z_mm"])
        body = np.unpackbits(arrays["body"], count=count * SIZE * SIZE).reshape(count, SIZE, SIZE).astype(bool)
        unmasked = arrays["unmasked"]
        grid = SliceGrid(np.where(body, unmasked, np.int16(AIR_HU)), arrays["z_mm"], arrays["body_cm2"], unmasked)
        annotations = {
            str(name): Annotation(float(z), float(uncertainty))
            for name, z, uncertainty in zip(
                arrays["landmark_names"], arrays["landmark_z_mm"], arrays["landmark_uncertainty_mm"], strict=True
            )
        }
        return StoredSeries(
            name=path.parent.name,
            uid=str(arrays["series_instance_UID"]),
            patient=str(arrays["patient"]),
            grid=grid,
            body_mm=arrays["body_mm"],
            sigma_mm=arrays["sigma_mm"],
            location=arrays["location"],
            annotations=annotations,
        )
    except OSError as error:
        reason = error.strerror or "it is damaged"
        text = f"{path.parent.name}/{path.name} of the data set can't be read: {reason}."
        raise CTError("bad_store", text, "Make it again with ct-localize convert.") from error
    except Exception as error:  # numpy and zipfile raise many kinds for damaged files
        text = f"{path.parent.name}/{path.name} of the data set is damaged or of another program."
        raise CTError("bad_store", text, "Remove that folder and start ct-localize convert again.") from error


def write_series(path: Path | str, one: StoredSeries) -> None:
    """Write a ``series.npz``, whole or not at all, the same bytes for the same content.

    Args:
        path: of the file; the name of its folder is that of the series.
        one: its grid has the pictures with the surroundings (``slicegrid.make(..., keep_unmasked=True)``).

    Raises:
        CTError: it can't be written.
    """
    grid = one.grid
    if grid.unmasked is None:
        raise ValueError("The pictures with the surroundings are missing.")
    names = list(one.annotations)
    write_atomic(
        path,
        npz_bytes(
            {
                "schema": np.array(SERIES_SCHEMA),
                "series_instance_UID": np.array(one.uid),
                "patient": np.array(one.patient),
                "unmasked": grid.unmasked.astype(np.int16),
                # Within the body both are the same and outside it one is air: a bit for each cell says it all.
                "body": np.packbits(grid.hu == grid.unmasked),
                "z_mm": grid.z_mm.astype(np.float64),
                "body_cm2": grid.body_cm2.astype(np.float64),
                "body_mm": one.body_mm.astype(np.float64),
                "sigma_mm": one.sigma_mm.astype(np.float64),
                "location": one.location.astype(np.float64),
                "landmark_names": np.array(names, dtype=str),
                "landmark_z_mm": np.array([one.annotations[name].z_mm for name in names], dtype=np.float64),
                "landmark_uncertainty_mm": np.array(
                    [one.annotations[name].uncertainty_mm for name in names], dtype=np.float64
                ),
            },
            level=0,  # noise hardly packs: half the size for ten times the time of reading
        ),
    )


def patient_key(patient: str) -> str:
    """What stands for a patient in a store: the first 16 hexadecimal digits of the SHA-256 of its ID.

    It keeps series of one patient together without naming him, also across stores. It is no protection against
    somebody who knows the ID, or can try all IDs.
    """
    return hashlib.sha256(patient.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _place(folder: Path, kind: str, name: str) -> Path:
    place = folder / SERIES_FOLDER / name
    return place / SERIES_FILE if kind == COMPACT else place


def _check(arrays: Mapping[str, np.ndarray]) -> None:
    """Sizes and kinds of numbers, so that what is read can be relied on."""
    count = len(arrays["z_mm"])
    if arrays["unmasked"].shape != (count, SIZE, SIZE) or arrays["unmasked"].dtype != np.int16:
        raise ValueError("unmasked")
    if count > 1 and not np.allclose(np.diff(arrays["z_mm"]), CELL_MM):
        raise ValueError("z_mm")
    for name in ("z_mm", "body_cm2", "body_mm", "sigma_mm", "location"):
        if arrays[name].shape != (count,) or arrays[name].dtype != np.float64 or np.isnan(arrays[name]).any():
            raise ValueError(name)
