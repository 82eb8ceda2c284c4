"""What scanners, people and headers do to a scan, done on purpose: to measure whether locations stay where they were.

All alterations but the last two keep the LPS z of the patient, so a landmark should be found where it was before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from CTVolumeLib.resample import to_spacing
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

AIR_HU = -1024
CROP_MM = 100.0
BLANK_SHARE = 0.05
_BODY_HU = -300

Alteration = Callable[[CTVolume, np.random.Generator], CTVolume]


def cropped(volume: CTVolume, rng: np.random.Generator) -> CTVolume:
    """Any 10 cm of the scan."""
    z_mm = volume.superior()
    start = rng.uniform(z_mm[0], max(z_mm[0], z_mm[-1] - CROP_MM))
    kept = np.flatnonzero((z_mm >= start - 1e-6) & (z_mm <= start + CROP_MM))
    return volume.crop(k=slice(int(kept[0]), int(kept[-1]) + 1))


def mirrored(volume: CTVolume, rng: np.random.Generator) -> CTVolume:  # noqa: ARG001
    """Left and right swapped, against what the header says."""
    return volume.with_array(np.ascontiguousarray(volume.array[:, :, ::-1]))


def shifted_up(volume: CTVolume, rng: np.random.Generator) -> CTVolume:  # noqa: ARG001
    """100 HU added to everything."""
    return _shifted(volume, 100)


def shifted_down(volume: CTVolume, rng: np.random.Generator) -> CTVolume:  # noqa: ARG001
    """100 HU taken away from everything."""
    return _shifted(volume, -100)


def blanked(volume: CTVolume, rng: np.random.Generator) -> CTVolume:
    """One slice of 20 replaced by air, at least one."""
    array = volume.array.copy()
    array[rng.choice(len(array), max(1, round(BLANK_SHARE * len(array))), replace=False)] = AIR_HU
    return volume.with_array(array)


def resampled(slice_mm: float, pixel_mm: float | None = None) -> Alteration:
    """Slices, and where given pixels, of another size."""

    def alter(volume: CTVolume, rng: np.random.Generator) -> CTVolume:  # noqa: ARG001
        pixels = volume.spacing[:2] if pixel_mm is None else (pixel_mm, pixel_mm)
        return to_spacing(volume, (*pixels, slice_mm))

    return alter


def half_view(volume: CTVolume, rng: np.random.Generator) -> CTVolume:  # noqa: ARG001
    """Half the width of the picture, about the middle of the body."""
    body = _body(volume).any(axis=0)
    cut = []
    for axis, size in enumerate(body.shape):
        seen = np.flatnonzero(body.any(axis=1 - axis))
        middle = int(seen.mean()) if len(seen) else size // 2
        start = int(np.clip(middle - size // 4, 0, size - size // 2))
        cut.append(slice(start, start + size // 2))
    return volume.crop(j=cut[0], i=cut[1])


def without_table(volume: CTVolume, rng: np.random.Generator) -> CTVolume:  # noqa: ARG001
    """Air around the body."""
    return volume.with_array(np.where(_body(volume), volume.array, np.array(AIR_HU, volume.array.dtype)))


def on_table(volume: CTVolume, rng: np.random.Generator) -> CTVolume:  # noqa: ARG001
    """A flat table, 45 cm wide and 4 cm thick, that touches the back: a dense shell around foam."""
    body = _body(volume)
    rows, columns = (np.flatnonzero(body.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    array = volume.array.copy()
    if not len(rows):
        return volume
    mm_j, mm_i = volume.spacing[1], volume.spacing[0]
    top = int(rows[-1]) + 1
    thick, shell, half = (max(1, round(mm / pixel)) for mm, pixel in ((40, mm_j), (5, mm_j), (225, mm_i)))
    middle = int(columns.mean())
    left, right = max(0, middle - half), middle + half
    table = array[:, top : top + thick, left:right]
    table[...] = 150
    table[:, shell:-shell, shell:-shell] = -850
    return volume.with_array(array)


def upside_down(volume: CTVolume, rng: np.random.Generator) -> CTVolume:  # noqa: ARG001
    """Slices in the opposite order, against what the header says."""
    return volume.with_array(np.ascontiguousarray(volume.array[::-1]))


def doubled_spacing(volume: CTVolume, rng: np.random.Generator) -> CTVolume:  # noqa: ARG001
    """Slices twice as far apart in the header as they were made."""
    return replace(volume, spacing=(*volume.spacing[:2], 2 * volume.spacing[2]), positions=None)


KEPT: dict[str, Alteration] = {
    "any 10 cm of it": cropped,
    "mirrored": mirrored,
    "+100 HU": shifted_up,
    "-100 HU": shifted_down,
    "5 % of the slices blank": blanked,
    "slices of 1 mm": resampled(1.0),
    "slices of 3 mm": resampled(3.0),
    "slices of 5 mm": resampled(5.0),
    "slices of 8 mm": resampled(8.0),
    "3 mm in all directions": resampled(3.0, 3.0),
    "half the field of view": half_view,
    "without table": without_table,
    "on a table": on_table,
}
"""Alterations by which landmarks should not move."""

WRONG: dict[str, Alteration] = {"upside-down": upside_down, "doubled slice spacing": doubled_spacing}
"""Headers that lie: to be flagged (upside-down: or handled)."""


def like_mr(volume: CTVolume, rng: np.random.Generator) -> CTVolume:
    """The values of an MR: fat bright, bone and air dark, an uneven field, nothing below 0."""
    tissue = np.interp(volume.array, [-1024, -400, -110, 0, 60, 300, 1500], [10, 40, 700, 350, 400, 150, 30])
    field = 1 + 0.3 * np.linspace(-1, 1, volume.array.shape[2])
    noisy = tissue * field + rng.normal(0, 15, volume.array.shape)
    return replace(volume.with_array(np.clip(noisy, 0, None).astype(np.int16)), meta={})


def like_shifted_mr(volume: CTVolume, rng: np.random.Generator) -> CTVolume:
    """The same, stored with the offset of a CT, so that air is at -1024."""
    mr = like_mr(volume, rng)
    return mr.with_array((mr.array - 1014).astype(np.int16))


def noise(rng: np.random.Generator) -> CTVolume:
    """Nothing but noise over the range of a CT."""
    return _made(rng.integers(-1024, 1500, (60, 100, 100)).astype(np.int16))


def fine_noise(rng: np.random.Generator) -> CTVolume:
    """Noise about water in small voxels, as broad as bone and air."""
    return CTVolume(rng.normal(0, 400, (60, 160, 160)).astype(np.int16), (1.5, 1.5, 3.0))


def smooth_noise(rng: np.random.Generator) -> CTVolume:
    """A blob of smooth noise in air."""
    values = ndimage.gaussian_filter(rng.normal(size=(60, 100, 100)), 3)
    k, j, i = _coordinates(values.shape)
    inside = (j / 36) ** 2 + (i / 42) ** 2 + (k / 60) ** 2 < 1
    return _made(np.where(inside, 400 * values / values.std() + 20, AIR_HU).astype(np.int16))


def water(radius_mm: float) -> Callable[[np.random.Generator], CTVolume]:
    """A water phantom: a cylinder in a plastic wall, on a table."""

    def make(rng: np.random.Generator) -> CTVolume:
        _, j, i = _coordinates((60, 100, 100))
        distance = 4.0 * np.hypot(j, i)
        hu = np.where(distance < radius_mm, 0.0, np.where(distance < radius_mm + 8, 120.0, AIR_HU))
        hu = np.where((4.0 * j > radius_mm + 12) & (4.0 * j < radius_mm + 30), -200.0, hu)
        return _made((np.broadcast_to(hu, (60, 100, 100)) + rng.normal(0, 12, (60, 100, 100))).astype(np.int16))

    return make


def animal(width_mm: float) -> Callable[[np.random.Generator], CTVolume]:
    """Something like an animal: a body with lungs in one half, a spine, four legs that hang down."""

    def make(rng: np.random.Generator) -> CTVolume:
        shape = (90, 100, 100)
        k, j, i = (4.0 * axis for axis in _coordinates(shape))
        half = width_mm / 2
        body = (i / half) ** 2 + (j / (1.2 * half)) ** 2 + (k / (2.5 * half)) ** 2 < 1
        hu = np.where(body, 45.0, AIR_HU)
        for side in (-1, 1):
            lung = ((i - side * 0.4 * half) / (0.3 * half)) ** 2 + (j / (0.6 * half)) ** 2
            hu = np.where(lung + ((k - half) / half) ** 2 < 1, -800.0, hu)
            for along in (-1, 1):
                leg = ((i - side * 0.6 * half) ** 2 + (k - along * 1.5 * half) ** 2 < (0.2 * half) ** 2) & (
                    (j > 0) & (j < 2.2 * half)
                )
                hu = np.where(leg, 60.0, hu)
        spine = (i**2 + (j + 0.8 * half) ** 2 < (0.12 * half) ** 2) & (np.abs(k) < 2.3 * half)
        hu = np.where(spine, 500.0, hu)
        return _made((hu + rng.normal(0, 15, shape)).astype(np.int16))

    return make


FOREIGN: dict[str, Callable[[np.random.Generator], CTVolume]] = {
    "noise": noise,
    "noise in small voxels": fine_noise,
    "smooth noise": smooth_noise,
    "water phantom of 16 cm": water(80.0),
    "water phantom of 20 cm": water(100.0),
    "water phantom of 32 cm": water(160.0),
    "animal-like, 10 cm wide": animal(100.0),
    "animal-like, 20 cm wide": animal(200.0),
    "animal-like, 30 cm wide": animal(300.0),
}
"""What is no CT of a patient, to be refused."""

MODALITY: dict[str, Alteration] = {"like an MR": like_mr, "like an MR, air at -1024": like_shifted_mr}
"""Scans with the values of another modality, to be refused."""


def _shifted(volume: CTVolume, hu: int) -> CTVolume:
    return volume.with_array((volume.array.astype(np.int32) + hu).astype(volume.array.dtype))


def _made(array: np.ndarray) -> CTVolume:
    return CTVolume(array, (4.0, 4.0, 4.0))


def _coordinates(shape: tuple[int, int, int]) -> list[np.ndarray]:
    """Cells from the centre along each axis, ready to be broadcast."""
    return list(np.ogrid[tuple(slice(-(size // 2), size - size // 2) for size in shape)])


def _body(volume: CTVolume) -> np.ndarray:
    """(k, j, i) the largest thing that is dense and thick, filled slice by slice: a table is thin."""
    plane = ndimage.generate_binary_structure(3, 1)
    plane[[0, 2]] = False
    steps = max(1, round(8.0 / volume.spacing[1]))
    core = ndimage.binary_erosion(volume.array > _BODY_HU, plane, iterations=steps)
    labels, count = ndimage.label(core)
    if count == 0:
        return np.zeros(volume.array.shape, dtype=bool)
    largest = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    body = ndimage.binary_dilation(largest, plane, iterations=steps + 1)
    return np.stack([ndimage.binary_fill_holes(part) for part in body])
