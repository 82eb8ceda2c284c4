"""The pictures of a report: small axial slices that can be windowed in the browser, coronal and sagittal views.

The scan is read slice by slice and never copied as a whole: what is kept is an 8-bit stack of at most 320 x 320 pixels
a slice, cut to what is not air, which every picture is made from. The 8 bits hold -1024 to 1300 HU on a scale with
three pieces, finest in soft tissue, so that the browser can show any window from one set of pictures.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from CTVolumeLib.volume import CTVolume

SCALE_HU = (-1024.0, -160.0, 240.0, 1300.0)
"""HU at the codes of ``SCALE_CODE``; linear between them. -160 to 240 HU is the soft tissue window."""

SCALE_CODE = (0.0, 50.0, 172.0, 255.0)

MOST_PICTURES = 600
"""Slices that are pictured at most, whatever their size in bytes."""

BUDGET = 3_300_000
"""Bytes that the axial pictures of one scan may take in the file: two scans stay well below 8 MB."""

_PIXELS = 320
_AIR_HU = -300
_MARGIN_MM = 12.0
_VIEW_ROWS = 640
_SECTION_MM = 10.0
_THINNEST_VIEW_MM = 15.0

# What is tried in turn until a scan fits: longer side in pixels, JPEG quality, every n-th slice. Slices are left out
# only when smaller pictures would no longer show what is needed to judge a place.
_CHOICES = (
    (320, 80, 1),
    (288, 75, 1),
    (256, 70, 1),
    (256, 60, 1),
    (224, 60, 1),
    (192, 60, 1),
    (256, 70, 2),
    (256, 60, 2),
    (192, 60, 2),
    (224, 60, 3),
    (192, 50, 4),
    (192, 50, 8),
)


@dataclass(frozen=True)
class View:
    """A coronal or sagittal picture, square pixels, head up.

    Attributes:
        section: data URI of the mean of a slab through the middle of the body.
        projection: data URI of an X-ray-like projection of everything.
        width_mm: width.
        top_mm: LPS z of the upper edge.
        bottom_mm: LPS z of the lower edge.
    """

    section: str
    projection: str
    width_mm: float
    top_mm: float
    bottom_mm: float


@dataclass(frozen=True)
class Pictures:
    """All pictures of one scan.

    Attributes:
        axial: JPEG of each pictured slice, base64.
        slices: (n,) index k, in the axial volume, of each pictured slice.
        width_mm: width of an axial picture.
        height_mm: height of an axial picture.
        coronal: None where the scan is too thin for it.
        sagittal: likewise.
    """

    axial: tuple[str, ...]
    slices: np.ndarray
    width_mm: float
    height_mm: float
    coronal: View | None
    sagittal: View | None

    def to_json(self) -> dict[str, Any]:
        """What the script of the report needs to show the slices."""
        return {
            "axial": self.axial,
            "slices": self.slices.tolist(),
            "aspect": round(self.width_mm / self.height_mm, 4),
            "scaleHu": SCALE_HU,
            "scaleCode": SCALE_CODE,
        }


def draw(volume: CTVolume, budget: int = BUDGET) -> Pictures:
    """Make the pictures of a scan.

    Args:
        volume: axial order, see ``CTVolume.as_axial``.
        budget: bytes that the axial pictures may take, as base64.
    """
    count = volume.array.shape[0]
    kept = np.arange(0, count, -(-count // MOST_PICTURES))
    volume = _cut_to_body(volume)
    stack, spacing = _reduced(volume, kept)
    height_mm, width_mm = stack.shape[1] * spacing[0], stack.shape[2] * spacing[1]
    pictured, axial = _encoded(stack, budget)
    coronal, sagittal = _views(stack, volume.superior()[kept], spacing, volume.spacing[2])
    return Pictures(axial, kept[pictured], width_mm, height_mm, coronal, sagittal)


def encode_hu(hu: np.ndarray) -> np.ndarray:
    """HU to the 8-bit codes of the pictures.

    Args:
        hu: any shape; NaN counts as air.
    """
    code = np.interp(np.nan_to_num(hu, nan=SCALE_HU[0]), SCALE_HU, SCALE_CODE)
    return np.rint(code).astype(np.uint8)


def _cut_to_body(volume: CTVolume) -> CTVolume:
    """The scan without the columns and rows that are air in nearly all slices; a view, nothing is copied."""
    array = volume.array
    step = max(1, min(array.shape[1:]) // 128)
    sample = array[:: max(1, array.shape[0] // 80), ::step, ::step]
    # A pixel counts where it is matter in 1 of 50 slices, a row where that holds for several pixels: noise does not.
    matter = (sample > _AIR_HU).sum(axis=0) > 0.02 * len(sample)
    ranges = []
    for axis, spacing in ((1, volume.spacing[1]), (0, volume.spacing[0])):
        filled = np.flatnonzero(matter.sum(axis=axis) > 2)
        if not len(filled):
            return volume
        margin = round(_MARGIN_MM / spacing)
        ranges.append(slice(max(0, int(filled[0]) * step - margin), (int(filled[-1]) + 1) * step + margin))
    return volume.crop(j=ranges[0], i=ranges[1])


def _reduced(volume: CTVolume, kept: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """(n, rows, columns) codes of the kept slices, averaged over blocks of pixels, and their spacing in mm (j, i)."""
    array = volume.array
    block_j, block_i = (-(-size // _PIXELS) for size in array.shape[1:])
    rows, columns = array.shape[1] // block_j, array.shape[2] // block_i
    low, high = int(SCALE_HU[0]), int(SCALE_HU[-1])
    table = encode_hu(np.arange(low, high + 1))
    total = np.empty((rows, columns), dtype=np.float32)
    stack = np.empty((len(kept), rows, columns), dtype=np.uint8)
    for n, k in enumerate(kept):
        plane = array[k, : rows * block_j, : columns * block_i]
        total[:] = 0
        for j in range(block_j):
            for i in range(block_i):
                total += plane[j::block_j, i::block_i]
        hu = np.nan_to_num(total, nan=low, posinf=high, neginf=low) if plane.dtype.kind == "f" else total
        hu = np.clip(hu / (block_j * block_i), low, high)
        stack[n] = table[(hu - low).astype(np.int16)]
    return stack, (volume.spacing[1] * block_j, volume.spacing[0] * block_i)


def _encoded(stack: np.ndarray, budget: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """The slices to picture and their JPEGs: the first choice that fits the budget."""
    count = len(stack)
    samples = np.unique(np.linspace(0, count - 1, min(count, 12)).astype(int))
    for pixels, quality, every in _CHOICES:
        expected = np.mean([len(_jpeg(stack[k], pixels, quality)) for k in samples]) * -(-count // every)
        if expected > budget:
            continue
        pictured = np.arange(0, count, every)
        axial = tuple(_jpeg(stack[k], pixels, quality) for k in pictured)
        if sum(map(len, axial)) <= budget:
            return pictured, axial
    # Even the last choice is too large only for a tiny budget: keep as many slices as fit.
    size = max(len(_jpeg(stack[k], pixels, quality)) for k in samples)
    pictured = np.unique(np.linspace(0, count - 1, int(max(1, min(count, budget // (size * 1.2))))).astype(int))
    return pictured, tuple(_jpeg(stack[k], pixels, quality) for k in pictured)


def _jpeg(codes: np.ndarray, pixels: int, quality: int) -> str:
    """Base64 of a JPEG whose longer side has at most so many pixels."""
    from PIL import Image

    picture = Image.fromarray(codes)
    if max(picture.size) > pixels:
        scale = pixels / max(picture.size)
        size = tuple(max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality)
    return base64.b64encode(data.getvalue()).decode()


def _views(
    stack: np.ndarray, z_mm: np.ndarray, spacing: tuple[float, float], thickness: float
) -> tuple[View | None, View | None]:
    """Coronal and sagittal view of the stack of codes."""
    step = float(np.median(np.diff(np.sort(z_mm)))) if len(z_mm) > 1 else thickness
    top, bottom = float(z_mm.max()) + step / 2, float(z_mm.min()) - step / 2
    if top - bottom < _THINNEST_VIEW_MM:
        return None, None
    pixel = max(min(spacing), (top - bottom) / _VIEW_ROWS, 1.0)
    centre = _body_centre(stack)
    hu = np.interp(np.arange(256), SCALE_CODE, SCALE_HU)
    # Attenuation relative to water, bone weighted up: a topogram in which single vertebrae can be counted.
    attenuation = (np.clip(hu + 1000, 0, None) / 1000 + 6 * np.clip(hu - 150, 0, None) / 1000).astype(np.float32)
    half = [max(1, round(_SECTION_MM / 2 / size)) for size in spacing]
    views = []
    for axis in (0, 1):  # looking along j gives the coronal, along i the sagittal view
        projected = np.empty((len(stack), stack.shape[2 - axis]), dtype=np.float32)
        section = np.empty_like(projected)
        cut = slice(max(0, centre[axis] - half[axis]), centre[axis] + half[axis] + 1)
        for n, plane in enumerate(stack):
            projected[n] = attenuation[plane].sum(axis=axis)
            section[n] = (plane[cut] if axis == 0 else plane[:, cut]).mean(axis=axis)
        width_mm = projected.shape[1] * spacing[1 - axis]
        geometry = (z_mm, step, top, bottom, pixel, width_mm)
        views.append(
            View(
                _data_uri(_upright(_section_grey(section), *geometry)),
                _data_uri(_upright(_projection_grey(projected), *geometry)),
                width_mm,
                top,
                bottom,
            )
        )
    return views[0], views[1]


def _body_centre(stack: np.ndarray) -> tuple[int, int]:
    """Row and column of the middle of the body, the median over the slices; a table weighs little in it."""
    tissue = encode_hu(np.array([-200.0]))[0]
    centres = []
    for plane in stack[:: max(1, len(stack) // 60), ::2, ::2]:
        rows, columns = np.nonzero(plane > tissue)
        if len(rows) > 50:
            centres.append((np.median(rows), np.median(columns)))
    if not centres:
        return stack.shape[1] // 2, stack.shape[2] // 2
    row, column = np.median(centres, axis=0)
    return int(2 * row), int(2 * column)


def _section_grey(codes: np.ndarray) -> np.ndarray:
    """Codes to grey values in a window that shows lung outlines, soft tissue and bone together."""
    low, high = np.interp((-250.0, 600.0), SCALE_HU, SCALE_CODE)
    return np.clip((codes - low) / (high - low), 0, 1) * 255


def _projection_grey(projected: np.ndarray) -> np.ndarray:
    """Sums of attenuation to grey values, each row relative to the bulk around it: neck and pelvis both show bones."""
    bulk = np.maximum(np.percentile(projected, 98, axis=1, keepdims=True), 1e-3)
    smooth = np.convolve(np.pad(bulk[:, 0], 10, mode="edge"), np.ones(21) / 21, mode="valid")[:, None]
    relative = projected / smooth
    return np.clip(relative, 0, 1.15) ** 1.3 / 1.15**1.3 * 255


def _upright(
    rows: np.ndarray, z_mm: np.ndarray, step: float, top: float, bottom: float, pixel: float, width_mm: float
) -> np.ndarray:
    """(k, columns) grey values on a grid of square pixels, head up; black where no slice is near."""
    from PIL import Image

    order = np.argsort(z_mm, kind="stable")
    z_mm, rows = z_mm[order], rows[order]
    height = max(1, round((top - bottom) / pixel))
    at = top - (np.arange(height) + 0.5) * (top - bottom) / height
    where = np.interp(at, z_mm, np.arange(len(z_mm)))
    lower = np.minimum(where.astype(int), max(0, len(z_mm) - 2))
    upper = np.minimum(lower + 1, len(z_mm) - 1)
    part = (where - lower)[:, None].astype(np.float32)
    grid = rows[lower] * (1 - part) + rows[upper] * part
    distance = np.minimum(np.abs(at - z_mm[lower]), np.abs(at - z_mm[upper]))
    grid[distance > 1.5 * step] = 0
    picture = Image.fromarray(grid.astype(np.float32))
    picture = picture.resize((max(1, round(width_mm / pixel)), height), Image.Resampling.BOX)
    return np.rint(np.clip(np.asarray(picture), 0, 255)).astype(np.uint8)


def _data_uri(grey: np.ndarray) -> str:
    return "data:image/jpeg;base64," + _jpeg(grey, 4096, 80)
