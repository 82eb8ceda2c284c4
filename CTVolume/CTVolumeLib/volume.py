"""A CT volume with its geometry: the one type that reading, models and modules exchange.

Geometry follows SimpleITK: ``spacing``, ``origin`` and ``direction`` are in LPS and mm, axes in the order i, j, k,
while the array is indexed (k, j, i). Whoever needs the place of a slice asks for ``superior()``, never for its index:
slices may be uneven, sheared by a gantry tilt, or stored upside-down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .errors import CTError

SUPERIOR = 2
"""Index of the LPS axis that points to the head."""


@dataclass(frozen=True, eq=False)
class CTVolume:
    """A scan in Hounsfield units.

    Attributes:
        array: (k, j, i) HU, int16 or float32.
        spacing: mm between voxel centres along i, j, k.
        origin: LPS mm of the centre of voxel (0, 0, 0).
        direction: 9 numbers, row by row; column c is the unit LPS vector of axis c (i, j, k).
        positions: (k,) mm along the slice normal where slices are uneven or sheared, else None.
        slice_origins: (k, 3) LPS mm of each slice's first voxel where slices are sheared (gantry tilt), else None.
        meta: modality, kernel, slice_thickness, patient_position, frame_of_reference_uid, series_uid, and notes of
            the reader under ``warnings``. No patient's name or ID.
        sources: file of each slice in the order of k, or empty.
    """

    array: np.ndarray
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    positions: np.ndarray | None = None
    slice_origins: np.ndarray | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.array.ndim != 3 or 0 in self.array.shape:
            raise CTError(
                "bad_shape", f"A volume needs three non-empty axes, this one has the shape {self.array.shape}."
            )
        if not (np.all(np.isfinite(self.spacing)) and min(self.spacing) > 0):
            raise CTError(
                "bad_spacing",
                f"The voxel spacing {tuple(self.spacing)} is not three positive numbers.",
                "Correct the header, or load the original DICOM series.",
            )
        axes = self.axes()
        if not np.all(np.isfinite(axes)) or not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3):
            raise CTError(
                "bad_direction",
                "The directions of the axes are not perpendicular unit vectors.",
                "Correct the header, or load the original DICOM series.",
            )

    def axes(self) -> np.ndarray:
        """(3, 3) matrix whose columns are the LPS unit vectors of the axes i, j, k."""
        return np.asarray(self.direction, dtype=float).reshape(3, 3)

    def origins(self) -> np.ndarray:
        """(k, 3) LPS mm of the first voxel of each slice."""
        if self.slice_origins is not None:
            return np.asarray(self.slice_origins, dtype=float)
        count = self.array.shape[0]
        if self.positions is not None:
            steps = np.asarray(self.positions, dtype=float) - float(self.positions[0])
        else:
            steps = np.arange(count) * self.spacing[2]
        return np.asarray(self.origin, dtype=float) + steps[:, None] * self.axes()[:, 2]

    def superior(self) -> np.ndarray:
        """(k,) LPS z in mm of each slice's centre; towards the head it grows."""
        _, rows, columns = self.array.shape
        axes = self.axes()
        centre = axes[:, 0] * self.spacing[0] * (columns - 1) / 2 + axes[:, 1] * self.spacing[1] * (rows - 1) / 2
        return self.origins()[:, SUPERIOR] + centre[SUPERIOR]

    def as_axial(self) -> CTVolume:
        """The same scan with i to the left, j to the back and k to the head, as nearly as its axes allow.

        Nothing is interpolated: axes are swapped and flipped. ``meta["slice_index"]`` tells the index that each slice
        had before, where slices are still the same slices; ``sources`` follow likewise.

        Raises:
            CTError: coronal or sagittal slices that are uneven or sheared (they have to be resampled first).
        """
        axes = self.axes()
        order = _closest_axes(axes)
        signs = [1 if axes[lps, axis] >= 0 else -1 for lps, axis in enumerate(order)]
        if order == (0, 1, 2) and signs == [1, 1, 1]:
            return self
        if order[2] != 2 and (self.positions is not None or self.slice_origins is not None):
            raise CTError(
                "uneven_reformat",
                "The slices are not axial and their spacing is uneven.",
                "Resample the scan to even spacing first.",
            )
        array = self.array.transpose([2 - axis for axis in order[::-1]])
        array = np.flip(array, axis=tuple(2 - lps for lps in range(3) if signs[lps] < 0))
        still_slices = order[2] == 2
        shift = np.zeros(3)
        for axis, sign in zip(order, signs):
            if sign < 0 and not (axis == 2 and still_slices):
                shift += axes[:, axis] * self.spacing[axis] * (self.array.shape[2 - axis] - 1)
        step = signs[2] if still_slices else 1
        origins = self.origins()[::step] + shift
        direction = np.stack([axes[:, axis] * sign for axis, sign in zip(order, signs)], axis=1)
        meta, sources, positions, slice_origins = dict(self.meta), (), None, None
        if still_slices:
            meta["slice_index"] = tuple(range(self.array.shape[0]))[::step]
            sources = tuple(self.sources[::step])
            if self.positions is not None:
                positions = np.asarray(self.positions)[::step] * step
            if self.slice_origins is not None:
                slice_origins = origins
        return replace(
            self,
            array=array,
            spacing=tuple(float(self.spacing[axis]) for axis in order),
            origin=tuple(float(value) for value in origins[0]),
            direction=tuple(float(value) for value in direction.ravel()),
            positions=positions,
            slice_origins=slice_origins,
            meta=meta,
            sources=sources,
        )

    def crop(self, k: slice = slice(None), j: slice = slice(None), i: slice = slice(None)) -> CTVolume:
        """The part inside the index ranges, at its true place. The array is a view, not a copy.

        Args:
            k: slices to keep; like the others a plain range without a step.
            j: rows to keep.
            i: columns to keep.
        """
        ranges = [range(*cut.indices(size)) for cut, size in zip((k, j, i), self.array.shape)]
        if any(len(kept) == 0 or kept.step != 1 for kept in ranges):
            raise CTError("bad_crop", "A crop needs a non-empty range with step 1 on each axis.")
        first_k, first_j, first_i = (kept.start for kept in ranges)
        axes = self.axes()
        shift = axes[:, 0] * self.spacing[0] * first_i + axes[:, 1] * self.spacing[1] * first_j
        kept = slice(ranges[0].start, ranges[0].stop)
        meta = dict(self.meta)
        if "slice_index" in meta:
            meta["slice_index"] = meta["slice_index"][kept]
        return replace(
            self,
            array=self.array[tuple(slice(kept.start, kept.stop) for kept in ranges)],
            origin=tuple(float(value) for value in self.origins()[first_k] + shift),
            positions=None if self.positions is None else np.asarray(self.positions)[kept],
            slice_origins=None if self.slice_origins is None else np.asarray(self.slice_origins)[kept] + shift,
            meta=meta,
            sources=tuple(self.sources[kept]),
        )

    def with_array(self, array: np.ndarray) -> CTVolume:
        """The same geometry with other values.

        Args:
            array: (k, j, i) of the same shape.
        """
        if array.shape != self.array.shape:
            raise CTError("bad_shape", f"The new array has the shape {array.shape}, the volume {self.array.shape}.")
        return replace(self, array=array)


def describe(volume: CTVolume, axial: CTVolume) -> dict[str, Any]:
    """What results say of the series: source, modality, number and range of slices; nothing about the patient.

    Args:
        volume: the scan as it was read.
        axial: its ``as_axial()``.
    """
    z_mm = axial.superior()
    meta: Mapping[str, Any] = volume.meta
    return {
        "source": meta.get("source", Path(volume.sources[0]).parent.name if volume.sources else None),
        "modality": meta.get("modality", "CT"),
        "slices": len(z_mm),
        "z_mm": [round(float(z_mm[0]), 3), round(float(z_mm[-1]), 3)],
    }


def _closest_axes(axes: np.ndarray) -> tuple[int, int, int]:
    """For L, P and S the index of the volume axis that points most along it, each axis once."""
    strength = np.abs(axes)
    order = [-1, -1, -1]
    for _ in range(3):
        lps, axis = np.unravel_index(np.argmax(strength), strength.shape)
        order[lps] = int(axis)
        strength[lps, :] = -1
        strength[:, axis] = -1
    return tuple(order)
