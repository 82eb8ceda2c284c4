"""A small tree of labelled DICOM series as the organizer leaves it, for tests of what is made from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import support_dicom

COUNT, STEP_MM = 24, 5.0
LANDMARKS = {"C7": 22, "T1": 18, "Aortic arch": 6}
"""Index of the slice (from the feet) that shows each: 20 and 60 mm apart, as in a body."""


@dataclass(frozen=True)
class Planted:
    """A series of the tree.

    Attributes:
        folder: with its slices.
        path: of the folder below the tree, as in the ground truth file.
        uid: SeriesInstanceUID.
        hu: (k, j, i) HU from the feet to the head.
        files: name of the file of each slice.
    """

    folder: Path
    path: str
    uid: str
    hu: np.ndarray
    files: tuple[str, ...]

    @property
    def z_mm(self) -> np.ndarray:
        """(k,) LPS z of each slice."""
        return 100.0 + STEP_MM * np.arange(len(self.files))


def tree(folder: Path, count: int = 3, *, patients: int = 2, slices: int = COUNT, pixels: int = 24) -> list[Planted]:
    """Write series with labels beside them; series ``n`` is of patient ``n % patients``.

    Args:
        folder: of the tree.
        count: of series.
        patients: among whom they are divided.
        slices: of each series, ``STEP_MM`` apart.
        pixels: rows and columns; a slice is 192 mm wide.
    """
    planted = []
    for number in range(count):
        uid = f"1.2.3.{number + 1}"
        path = f"patient{number % patients}/1.2.{number + 1}/{uid}"
        hu = support_dicom.body(slices, pixels, pixels)
        hu[:, 0, 0] = 100 + number
        support_dicom.series(
            folder / path, hu, step=STEP_MM, series_uid=uid, spacing=(192 / pixels, 192 / pixels), names="{}.dcm"
        )
        files = tuple(f"{support_dicom.file_number(k, slices)}.dcm" for k in range(slices))
        labels = {name: files[k] for name, k in LANDMARKS.items()}
        (folder / path / "labels.json").write_text(json.dumps(labels))
        planted.append(Planted(folder / path, path, uid, hu, files))
    return planted


def locations(planted: list[Planted], path: Path) -> dict[str, float]:
    """Write a ground truth file: location 0.3 at the lowest slice of each series, 0.002 less with each further one."""
    content = {f"{one.path}/{name}": round(0.3 - 0.002 * k, 6) for one in planted for k, name in enumerate(one.files)}
    path.write_text(json.dumps(content))
    return content


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
