"""Pictures of a scan as arrays: axial, coronal and sagittal, with square pixels and the mm at their edges.

All show the patient as radiologists expect: right side at the left of the picture, front at the top (axial) or at the
left (sagittal), head up, whatever way the scan is stored. Uneven slices are put where they truly are. No picture needs
more memory than a few slices.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .errors import CTError
from .hounsfield import window as apply_window
from .resample import BODY_HU, unshear, weights
from .volume import CTVolume

SOFT_TISSUE = (40.0, 400.0)
LUNG = (-500.0, 1500.0)
BONE = (500.0, 2000.0)
"""Window centers and widths in HU."""

_PROJECTED_PIXELS = 384
_LONGEST_SIDE = 2048
_SEEN_ALONG = {"coronal": 1, "sagittal": 0}
"""Axis (i, j) along which each is looked at."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A grey picture with its place.

    Attributes:
        pixels: (rows, columns) uint8.
        extent_mm: LPS mm at the outer edges: left, right, bottom, top, as matplotlib's ``imshow(extent=...)`` has it.
            Across: L in axial and coronal, P in sagittal pictures. Down: P in axial, S in the others.
        pixel_mm: side of the square pixels.
    """

    pixels: np.ndarray
    extent_mm: tuple[float, float, float, float]
    pixel_mm: float


def axial(
    volume: CTVolume, k: int, window: tuple[float, float] = SOFT_TISSUE, pixel_mm: float | None = None
) -> Picture:
    """One slice.

    Args:
        volume: any volume.
        k: slice of ``volume.as_axial()``, from the feet on.
        window: center and width in HU.
        pixel_mm: side of a pixel; where omitted the finer of the scan's own.
    """
    volume = volume.as_axial()
    if not 0 <= k < volume.array.shape[0]:
        raise CTError("bad_slice", f"There is no slice {k} in a scan of {volume.array.shape[0]} slices.")
    first = volume.origins()[k]
    spacing = volume.spacing
    columns, rows = volume.array.shape[2], volume.array.shape[1]
    edges = (
        first[0] - spacing[0] / 2,
        first[0] + (columns - 0.5) * spacing[0],
        first[1] + (rows - 0.5) * spacing[1],
        first[1] - spacing[1] / 2,
    )
    down, across = (np.arange(rows) + 0.5) * spacing[1], (np.arange(columns) + 0.5) * spacing[0]
    return _picture(volume.array[k], down, across, edges, window, pixel_mm or min(spacing[:2]))


def upright(
    volume: CTVolume,
    plane: str,
    at_mm: float | None = None,
    window: tuple[float, float] = SOFT_TISSUE,
    mode: str = "plane",
    slab_mm: float | None = None,
    pixel_mm: float | None = None,
) -> Picture:
    """The scan from the front, or from its left side with its front at the left of the picture.

    Args:
        volume: any volume.
        plane: "coronal" or "sagittal".
        at_mm: LPS P (coronal) or L (sagittal) of the plane or of the middle of the slab; where omitted the middle of
            the body.
        window: center and width in HU.
        mode: "plane" for a section, "mean" or "max" (MIP) over the slab.
        slab_mm: thickness of the slab; where omitted the whole scan.
        pixel_mm: side of a pixel; where omitted that of the scan across.
    """
    if plane not in _SEEN_ALONG:
        raise CTError("bad_plane", f"There is no plane called {plane}.", "Choose coronal or sagittal.")
    if mode not in ("plane", "mean", "max"):
        raise CTError("bad_mode", f"There is no view called {mode}.", "Choose plane, mean or max.")
    seen_along = _SEEN_ALONG[plane]
    volume = volume.as_axial()
    if volume.slice_origins is not None:
        volume = unshear(_thinned(volume))
    origin, spacing, sizes = volume.origins()[0], volume.spacing, volume.array.shape[::-1]
    across = 1 - seen_along
    start = origin[seen_along]
    last = sizes[seen_along] - 1
    middle = _middle(volume, seen_along) if at_mm is None else (at_mm - start) / spacing[seen_along]
    if mode == "plane":
        low = high = int(np.clip(round(middle), 0, last))
    elif slab_mm is None:
        low, high = 0, last
    else:
        half = slab_mm / 2 / spacing[seen_along]
        low, high = (int(np.clip(round(edge), 0, last)) for edge in (middle - half, middle + half))
    step = 1 if mode == "plane" else max(1, -(-max(sizes[:2]) // _PROJECTED_PIXELS))
    deep, wide = slice(low, high + 1, step), slice(0, None, step)
    lines = np.empty((sizes[2], len(range(0, sizes[across], step))), np.float32)
    for k, picture in enumerate(volume.array):
        slab = picture[deep, wide] if seen_along == 1 else picture[wide, deep].T
        lines[k] = slab.max(axis=0) if mode == "max" else slab.mean(axis=0, dtype=np.float32)

    z_mm = volume.superior()
    order = np.argsort(z_mm, kind="stable")
    z_mm, lines = z_mm[order], lines[order]
    ends = np.diff(z_mm)[[0, -1]] if len(z_mm) > 1 else (spacing[2], spacing[2])
    left = origin[across] - spacing[across] / 2
    edges = (left, left + sizes[across] * spacing[across], z_mm[0] - ends[0] / 2, z_mm[-1] + ends[1] / 2)
    places = (np.arange(lines.shape[1]) * step + 0.5) * spacing[across]
    return _picture(lines[::-1], edges[3] - z_mm[::-1], places, edges, window, pixel_mm or spacing[across] * step)


def montage(images: Sequence[np.ndarray], columns: int | None = None, gap: int = 2, background: int = 0) -> np.ndarray:
    """Pictures side by side, in rows from the top left, each in the middle of its field.

    Args:
        images: (rows, columns) or (rows, columns, 3) uint8, of any sizes; if one has colours the result has.
        columns: pictures in a row; where omitted about as many as rows.
        gap: pixels between pictures.
        background: grey value of gaps and empty fields.

    Raises:
        CTError: ``bad_shape`` for no pictures at all.
    """
    if not images:
        raise CTError("bad_shape", "There are no pictures to put side by side.")
    columns = columns or int(np.ceil(np.sqrt(len(images))))
    rows = -(-len(images) // columns)
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    coloured = any(image.ndim == 3 for image in images)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap)
    result = np.full((*shape, 3) if coloured else shape, background, np.uint8)
    for number, image in enumerate(images):
        if coloured and image.ndim == 2:
            image = np.repeat(image[..., None], 3, axis=2)
        top = number // columns * (height + gap) + (height - image.shape[0]) // 2
        left = number % columns * (width + gap) + (width - image.shape[1]) // 2
        result[top : top + image.shape[0], left : left + image.shape[1]] = image
    return result


def to_png(image: np.ndarray) -> bytes:
    """A PNG file (ISO/IEC 15948) of a (rows, columns) grey or (rows, columns, 3) RGB uint8 picture."""
    if image.dtype != np.uint8 or not image.size or not (image.ndim == 2 or image.shape[2:] == (3,)):
        raise CTError("bad_shape", f"A picture of the shape {image.shape} and type {image.dtype} can't be written.")

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows, columns = image.shape[:2]
    lines = image.reshape(rows, -1)
    # Filter 2: each line less the one above, which packs pictures far better than the plain values.
    above = np.concatenate([np.zeros((1, lines.shape[1]), np.uint8), lines[:-1]])
    filtered = np.concatenate([np.full((rows, 1), 2, np.uint8), lines - above], axis=1)
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0 if image.ndim == 2 else 2, 0, 0, 0)
    return b"".join([
        b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(filtered.tobytes(), 6)),
        chunk(b"IEND", b""),
    ])  # fmt: skip


def _picture(
    values: np.ndarray,
    down: np.ndarray,
    across: np.ndarray,
    edges: tuple[float, float, float, float],
    window: tuple[float, float],
    pixel_mm: float,
) -> Picture:
    """Values at places down and across (mm from the upper left corner) as a picture of square pixels."""
    left, right, bottom, top = (float(edge) for edge in edges)
    height, width = abs(top - bottom), right - left
    pixel = max(pixel_mm, height / _LONGEST_SIDE, width / _LONGEST_SIDE)
    rows, columns = max(1, round(height / pixel)), max(1, round(width / pixel))
    values = np.nan_to_num(values.astype(np.float32), nan=-1024.0, posinf=3071.0, neginf=-1024.0)
    for axis, (places, count, size) in enumerate(((down, rows, height), (across, columns, width))):
        step = size / count
        own = float(np.median(np.diff(places))) if len(places) > 1 else size
        matrix = weights(places, (np.arange(count) + 0.5) * step, float(np.sqrt(max(0.0, step**2 - own**2))))
        values = matrix @ values if axis == 0 else (matrix @ values.T).T
    return Picture(apply_window(values, *window), (left, right, bottom, top), pixel)


def _middle(volume: CTVolume, axis: int) -> float:
    """Index along i (0) or j (1) of the middle of all that is denser than air, lungs and blankets."""
    steps = [max(1, size // 64) for size in volume.array.shape]
    dense = volume.array[:: steps[0], :: steps[1], :: steps[2]] > BODY_HU
    profile = dense.sum(axis=(0, 1) if axis == 0 else (0, 2)).astype(float)
    size = volume.array.shape[2 - axis]
    if profile.sum() == 0:
        return (size - 1) / 2
    return float(profile @ np.arange(len(profile)) / profile.sum() * steps[2 - axis])


def _thinned(volume: CTVolume) -> CTVolume:
    """Every n-th row and column, so that shifting sheared slices stays cheap."""
    step = max(1, -(-max(volume.array.shape[1:]) // _PROJECTED_PIXELS))
    spacing = (volume.spacing[0] * step, volume.spacing[1] * step, volume.spacing[2])
    return replace(volume, array=volume.array[:, ::step, ::step], spacing=spacing)
