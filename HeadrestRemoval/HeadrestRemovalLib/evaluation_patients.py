"""Patients in air whose outline is known voxel by voxel: the phantom, and real people cut out along their skin.

The real people are scans that end at the skin (radiotherapy planning: all outside the body's outline was wiped out) or
bodies that lie clear of their table.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from CTVolumeLib import dicom, phantom
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

from .evaluation_equipment import Patient, closed
from .labels import PATIENT

SQUARE = np.ones((1, 3, 3), bool)
"""The eight neighbours in a slice."""

_SKIN_HU = -350
_FINEST_MM = 3.1
_MARGIN_MM = 75.0
_MOUTH_MM = 14.0


def phantom_head(seed: int = 900, spacing: tuple[float, float, float] = (2.0, 2.0, 3.0), **parameters) -> Patient:
    """A phantom's head and neck in air.

    Args:
        seed: of the person.
        spacing: mm along i, j, k.
        parameters: others of ``phantom.PhantomParameters``.
    """
    made = phantom.make(
        phantom.PhantomParameters(
            seed=seed, variation=0.04, table=False, spacing=spacing, **{
                "field_mm": 340.0, "field_centre": (0.0, 20.0), "z_range": (-255.0, 12.0),
                "size": 0.95 + 0.02 * (seed % 6), "hair": float(2 * (seed % 5)), **parameters,
            },
        )
    )  # fmt: skip
    patient = _from_phantom(made, f"phantom {seed}")
    z = made.volume.superior()
    low = made.landmarks["C1"] - 5
    return replace(patient, head=slice(int(np.searchsorted(z, low)), int(np.searchsorted(z, -12.0))))


def phantom_body(seed: int = 950, **parameters) -> Patient:
    """A phantom's trunk in air; parameters as in ``phantom.PhantomParameters``."""
    made = phantom.make(
        phantom.PhantomParameters(
            seed=seed, variation=0.04, table=False, **{
                "spacing": (2.5, 2.5, 5.0), "field_mm": 500.0, "field_centre": (0.0, 30.0), "coverage": (0.17, 0.34),
                "girth": 1.0 + 0.1 * (seed % 5), **parameters,
            },
        )
    )  # fmt: skip
    return _from_phantom(made, f"phantom {seed}")


def real_head(data: Path, name: str, pixel: float | None = None) -> Patient:
    """A real head and neck that was cut out along its skin, on finer pixels.

    Args:
        data: folder of the real scans.
        name: which.
        pixel: mm that the finer pixels should have; None is half of what they had.

    Raises:
        CTError: the scan can't be read.
    """
    volume = dicom.read(data / "vol" / f"{name}.nii.gz").as_axial()
    mask = _outline(volume.array)
    for plane, hu in zip(mask, volume.array):
        if plane.any():  # nose and mouth are the patient's; what was wiped out has the lowest HU
            plane |= closed(plane, _MOUTH_MM / volume.spacing[0]) & (hu > hu.min())
    patient = _finer(volume, mask, name, pixel)
    widths = patient.mask.any(axis=1).sum(axis=1) * patient.volume.spacing[0]
    narrow = widths < 210
    # from the top down to where the shoulders begin, and the nape left free
    top = len(narrow) - 1
    shoulders = int(np.flatnonzero(~narrow).max()) if (~narrow).any() else 0
    free = round(65 / patient.volume.spacing[2])
    return replace(patient, head=slice(min(shoulders + free, top - free), top + 1))


def real_body(data: Path, name: str) -> Patient:
    """A real body that lies clear of its table, the table taken away.

    Raises:
        CTError: the scan can't be read.
    """
    volume = dicom.read(data / "vol" / f"{name}.nii.gz").as_axial()
    return _finer(volume, _outline(volume.array), name)


def fill(truth: np.ndarray) -> None:
    """Make air within the skin the patient's: what each slice encloses."""
    for plane in truth:
        inside = ndimage.binary_fill_holes(plane == PATIENT)
        plane[inside] = PATIENT


def _from_phantom(made: phantom.Phantom, name: str) -> Patient:
    truth = made.masks["patient"].astype(np.uint8)
    fill(truth)
    mask = truth > 0
    hu = made.volume.array.astype(np.float32)
    # at the skin a voxel's HU tells the share that the patient takes; hair is thin itself
    share = np.clip((hu + 1000) / 950, 0, 1)
    near = ndimage.binary_dilation(mask, SQUARE) & ~mask
    cover = np.where(mask, 1.0, np.where(near, share, 0.0)).astype(np.float32)
    return Patient(name, name, made.volume, mask, cover)


def _outline(hu: np.ndarray) -> np.ndarray:
    """The body within its skin: the largest solid part, and what its slices enclose."""
    solid = hu > _SKIN_HU
    core, _ = ndimage.label(ndimage.binary_opening(solid, SQUARE))
    sizes = np.bincount(core.ravel())
    sizes[0] = 0
    body = ndimage.binary_dilation(core == int(sizes.argmax()), SQUARE) & solid
    for plane in body:
        plane[...] = ndimage.binary_fill_holes(plane)
    return body


def _finer(volume: CTVolume, mask: np.ndarray, name: str, pixel: float | None = None) -> Patient:
    """Cut to the patient with room for equipment, on pixels of about that size, or of half theirs if they are coarse.

    HU is continued beyond the skin before it is interpolated, so that the skin stays as dense as it was.
    """
    j, i = (np.flatnonzero(mask.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    room = [int(np.ceil(_MARGIN_MM / step)) for step in (volume.spacing[1], volume.spacing[0])]
    pad = ((0, 0), (room[0], room[0]), (room[1], room[1]))
    cut = (slice(None), slice(j[0], j[-1] + 1), slice(i[0], i[-1] + 1))
    inside = np.pad(mask[cut], pad)
    hu = np.pad(volume.array[cut].astype(np.float32), pad, constant_values=-1000)
    for n in range(len(hu)):
        if inside[n].any():
            near = ndimage.distance_transform_edt(~inside[n], return_distances=False, return_indices=True)
            hu[n] = hu[n][tuple(near)]
    half = 2 if max(volume.spacing[:2]) > _FINEST_MM else 1
    factor = max(1, round(volume.spacing[0] / pixel)) if pixel else half
    spacing = (volume.spacing[0] / factor, volume.spacing[1] / factor, volume.spacing[2])
    soft = ndimage.gaussian_filter(inside.astype(np.float32), (0, 0.6, 0.6))
    if factor > 1:
        zoom = {"zoom": (1, factor, factor), "order": 1, "mode": "nearest", "grid_mode": True}
        hu, soft = ndimage.zoom(hu, **zoom), ndimage.zoom(soft, **zoom)
    # the skin blurred over about a pixel
    cover = np.clip((soft - 0.5) * 2 * factor + 0.5, 0, 1).astype(np.float32)
    cover[ndimage.binary_fill_holes(cover >= 1, SQUARE)] = 1
    array = np.clip(np.rint(cover * hu + (1 - cover) * -1000), -1024, 3071).astype(np.int16)
    origin = tuple(
        float(o + axis * size)
        for o, axis, size in zip(
            volume.origin, (i[0] - room[1], j[0] - room[0], 0), (volume.spacing[0], volume.spacing[1], 0.0)
        )
    )
    meta = {key: value for key, value in volume.meta.items() if key in ("modality", "patient_position")}
    return Patient(name, name, CTVolume(array, spacing, origin, meta=meta), cover >= 0.5, cover)
