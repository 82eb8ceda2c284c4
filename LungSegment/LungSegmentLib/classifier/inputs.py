"""What a network sees of a scan: a part of it, with values between 0 and 1, on a fixed number of voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from CTVolumeLib import hounsfield, resample
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

from ..lungs import LEFT, RIGHT
from ..preprocess import crop_to_lungs

PARTS = ("whole", "centre", "body", "lung", "lungs")
VALUES = ("ct", "mr")
ZOOMS = ("linear", "spline")

CT_HU = (-1000.0, 400.0)
_MR_PERCENTILES = (1.0, 99.0)
_MR_BODY = 0.15
"""Share of the range of an MR above which a voxel is body rather than air."""


@dataclass(frozen=True)
class InputOptions:
    """How a scan becomes a network's input.

    Attributes:
        part: ``"whole"`` scan; ``"centre"``, ``"body"`` or ``"lung"``: so many slices about the middle, or about the
            slice with the largest area of body or lung; ``"lungs"``: the box of both lungs.
        slices: number of slices for the parts that are slices.
        margin_mm: about the box of the lungs.
        values: ``"ct"``: -1000 to 400 HU become 0 to 1; ``"mr"``: percentiles 1 to 99 do.
        shape: voxels along (k, j, i).
        zoom: ``"linear"``: anti-aliased, uneven slices where they truly are; ``"spline"``: cubic, as SciPy's zoom.
    """

    part: str = "lungs"
    slices: int = 64
    margin_mm: float = 5.0
    values: str = "ct"
    shape: tuple[int, int, int] = (64, 128, 128)
    zoom: str = "linear"

    def __post_init__(self) -> None:
        for name, known in (("part", PARTS), ("values", VALUES), ("zoom", ZOOMS)):
            if getattr(self, name) not in known:
                raise CTError(
                    "bad_option", f"There is no {name} {getattr(self, name)!r}.", f"Choose {', '.join(known)}."
                )
        if self.values == "mr" and self.needs_lungs:
            raise CTError("bad_option", "Lungs are found in CT only.", "Choose another part for MR.")
        if len(self.shape) != 3 or not all(8 <= size <= 512 for size in self.shape):
            raise CTError("bad_option", f"The input can't have {self.shape} voxels.", "Choose 8 to 512 on each axis.")
        if self.slices < 1 or not 0 <= self.margin_mm <= 200:
            raise CTError("bad_option", "At least one slice and a margin of 0 to 200 mm are needed.", "")

    @property
    def needs_lungs(self) -> bool:
        """Whether the lungs have to be found."""
        return self.part in ("lung", "lungs")


@dataclass(frozen=True, eq=False)
class Input:
    """What a network sees of a scan.

    Attributes:
        values: (k, j, i) float16 from 0 to 1 in axial order: k to the head, j to the back, i to the patient's left.
        extent_mm: of the whole along (k, j, i).
    """

    values: np.ndarray
    extent_mm: tuple[float, float, float]


def make(volume: CTVolume, options: InputOptions, labels: np.ndarray | None = None) -> Input:
    """The input that a scan becomes.

    Args:
        volume: with its slices in any order and direction.
        options: see there.
        labels: (k, j, i) as from ``lungs.segment``, where the options need lungs.

    Raises:
        CTError: ``no_lungs``, or slices that can't be put in order.
    """
    axial = _part(volume, options, labels)
    if options.values == "mr":
        axial = axial.with_array(mr_values(axial.array))
    even = resample.to_shape(axial, options.shape)
    extent = tuple(float(step * count) for step, count in zip(even.spacing[::-1], options.shape))
    array = even.array
    if options.zoom == "spline":
        # Whole voxels are what is stretched, not the distance of their centres, so that nothing is cut off.
        factors = np.array(options.shape) / axial.array.shape
        array = ndimage.zoom(axial.array.astype(np.float32), factors, order=3, mode="nearest", grid_mode=True)
    low, high = (0.0, 1.0) if options.values == "mr" else CT_HU
    return Input(hounsfield.normalize(array, low, high).astype(np.float16), extent)


def mr_values(array: np.ndarray) -> np.ndarray:
    """MR intensities as float32 from 0 to 1: percentiles 1 and 99 of all that is above the lowest value."""
    array = np.asarray(array, dtype=np.float32)
    inside = array[array > array.min()]
    if not inside.size:
        return np.zeros_like(array)
    low, high = np.percentile(inside, _MR_PERCENTILES)
    return np.clip((array - low) / max(high - low, 1e-6), 0.0, 1.0)


def _part(volume: CTVolume, options: InputOptions, labels: np.ndarray | None) -> CTVolume:
    if options.part == "lungs":
        if labels is None:
            raise CTError("no_lungs", "There are no lungs to crop the scan to.", "Choose another part.")
        return crop_to_lungs(volume, labels, options.margin_mm).as_axial()
    axial = volume.as_axial()
    if options.part == "whole":
        return axial
    if options.part == "centre":
        return _around(axial, (len(axial.array) - 1) // 2, options.slices)
    if options.part == "lung":
        if labels is None:
            raise CTError("no_lungs", "There are no lungs to look for slices.", "Choose another part.")
        where = volume.with_array(labels).as_axial().array
        area = np.isin(where, (LEFT, RIGHT)).sum(axis=(1, 2))
        return _around(axial, int(np.argmax(area)), options.slices)
    if options.values == "ct":
        return resample.around_largest_body(axial, options.slices)
    area = (mr_values(axial.array) > _MR_BODY).sum(axis=(1, 2))
    return _around(axial, int(np.argmax(area)), options.slices)


def _around(axial: CTVolume, centre: int, count: int) -> CTVolume:
    """So many slices about one, moved inwards at the ends."""
    total = len(axial.array)
    first = int(np.clip(centre - count // 2, 0, max(0, total - count)))
    return axial.crop(k=slice(first, min(first + count, total)))


def shape_of(size: Sequence[int]) -> tuple[int, int, int]:
    """(k, j, i) voxels of a size given as width, height, slices, as people write it: 128 128 64."""
    width, height, slices = (int(number) for number in size)
    return slices, height, width
