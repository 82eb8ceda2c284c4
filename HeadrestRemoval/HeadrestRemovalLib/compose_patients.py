"""Patients whose skin is known for certain, from real scans and phantoms, for composing scenes with exact truth."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from CTVolumeLib import dicom, phantom
from CTVolumeLib.phantom import PhantomParameters
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

from .split import FIRST_TRAINING_SEED, held_out

SKIN_HU = -400.0


@dataclass(frozen=True, eq=False)
class Patient:
    """A patient without anything around.

    Attributes:
        name: of the scan, or of the phantom.
        hu: (k, j, i) int16, rows to the back, columns to the left.
        mask: (k, j, i) bool, all within the skin.
        spacing: mm along i, j, k.
    """

    name: str
    hu: np.ndarray
    mask: np.ndarray
    spacing: tuple[float, float, float]


def training_scans(data: Path) -> list[dict[str, str]]:
    """Rows of ``scans.csv`` that may train and are not held out, without crops and scans with equipment in the skin."""
    with (data / "scans.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        row
        for row in rows
        if row["use"] == "train"
        and not held_out(row["patient"])
        and not row["id"].startswith("pv")
        and (not row["id"].startswith("hn") or row["equipment"].startswith("no"))
    ]


def real(path: Path, masked: bool) -> Patient:
    """A real patient.

    Args:
        path: the scan.
        masked: whether everything outside the body's contour is air already.
    """
    axial = dicom.read(path).as_axial()
    return of_volume(path.name.split(".")[0], axial, masked)


def of_volume(name: str, axial: CTVolume, masked: bool) -> Patient:
    """The patient of a scan in axial order, as ``real``."""
    spacing = (*axial.spacing[:2], float(np.median(np.diff(axial.superior()))))
    hu = axial.array.astype(np.int16)
    dense = hu > SKIN_HU
    mask = _largest(dense) if masked else _trunk(hu, spacing)
    for k in range(len(mask)):
        mask[k] = ndimage.binary_fill_holes(ndimage.binary_closing(np.pad(mask[k], 4), iterations=2)[4:-4, 4:-4])
    return Patient(name, hu, mask, spacing)


def made_up(seed: int, head_only: bool = False) -> Patient:
    """A phantom of a random build and posture; its truth is exact.

    Args:
        seed: ``FIRST_TRAINING_SEED`` or more; lower ones are for measuring and refused.
        head_only: head and neck, whatever the seed says.
    """
    if seed < FIRST_TRAINING_SEED:
        raise ValueError(f"seed {seed} is for measuring")
    rng = np.random.default_rng(seed)
    head = rng.random() < 0.75 or head_only
    made = phantom.make(
        PhantomParameters(
            size=float(rng.uniform(0.75, 1.12)), girth=float(rng.uniform(0.9, 1.6)), variation=0.05,
            neck_flexion=float(rng.uniform(-12, 15)), arms=str(rng.choice(["up", "down", "none"])),
            hair=float(rng.uniform(0, 14)), table=False, headrest="none", spacing=(1.7, 1.7, 4.0), noise=0.0,
            coverage=(-0.02, 0.13) if head else (0.12, 0.5), seed=seed,
        )
    )  # fmt: skip
    axial = made.volume.as_axial()
    return Patient(f"phantom{seed}", axial.array, made.masks["patient"].copy(), (1.7, 1.7, 4.0))


def _largest(mask: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask.copy()
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax()


def _trunk(hu: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The body without the table: opened so far that a table's plates go, then grown back within what is dense."""
    dense = hu > SKIN_HU
    radius = 9.0
    pixel = spacing[0]
    filled = [np.pad(ndimage.binary_fill_holes(picture), 1) for picture in dense]
    core = np.stack([ndimage.distance_transform_edt(picture)[1:-1, 1:-1] * pixel > radius for picture in filled])
    core = _largest(core)
    grown = np.stack([ndimage.distance_transform_edt(~picture) * pixel <= radius + pixel for picture in core])
    return _largest(grown & dense)
