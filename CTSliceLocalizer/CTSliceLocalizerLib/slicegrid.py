"""What the networks see of a scan: the body alone, on cells of 4 mm, whatever the scan's own grid is.

Training and prediction both come through here, so spacing, orientation, field of view, table and clothes are dealt
with once: a scan becomes a stack of 96 x 96 pictures 4 mm apart, centred on the body, with air around it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from CTVolumeLib.blas import one_thread_each
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume
from scipy import ndimage, sparse

CELL_MM = 4.0
SIZE = 96
AIR_HU = -1024
BODY_HU = -300
MIN_BODY_CM2 = 15.0
PURE_AIR_HU = -1000
AIR_SHARE = 0.15
EVEN_HU = 40.0
"""Air around a patient varies less than this, padding at -1024 HU included."""
WRONG_HU = 60
"""An offset of the values that is less is no fault: padding, beam hardening."""
_CELLS_A_STEP = 16
"""So many cells are made between two questions whether to go on: about 0.1 s of a scan of 512 x 512 pixels."""

Progress = Callable[[int, int, str], bool]


@dataclass(frozen=True, eq=False)
class SliceGrid:
    """A scan on the networks' grid.

    Attributes:
        hu: (g, 96, 96) int16 HU, rows to the back, columns to the left, outside the body -1024.
        z_mm: (g,) LPS z of each picture, growing by 4 mm.
        body_cm2: (g,) area of the body in each picture.
        unmasked: (g, 96, 96) like ``hu`` but with everything around the body, or None where it was not asked for.
    """

    hu: np.ndarray
    z_mm: np.ndarray
    body_cm2: np.ndarray
    unmasked: np.ndarray | None = None


def make(axial: CTVolume, *, keep_unmasked: bool = False, progress: Progress | None = None) -> SliceGrid:
    """Bring a scan onto the networks' grid.

    Args:
        axial: a volume in axial order, as ``as_axial()`` gives it.
        keep_unmasked: also return the pictures before the surroundings are removed (for training).
        progress: called with cells done, cells in all, and a text; False cancels.

    Raises:
        CTError: cancelled, or nothing in the scan is as dense and as large as a body.
    """
    z_slices = axial.superior()
    if np.any(np.diff(z_slices) <= 0):
        raise CTError("slice_order", "The slices do not lie one above the other.", "Load the original DICOM series.")
    with one_thread_each():  # small products: beside another busy program, sharing each out takes ten times as long
        cells = _downsample(axial, z_slices, _shown(axial), progress)
    offset = hu_offset(axial)
    if offset:
        cells = np.clip(cells - offset, AIR_HU, 3071)
    body = _body(cells)
    area = body.sum(axis=(1, 2)) * (CELL_MM / 10) ** 2
    if area.max() < MIN_BODY_CM2:
        raise CTError(
            "no_body",
            "The scan shows no body: nothing in it is dense and large enough.",
            "Check that the values are Hounsfield units and that this is a CT of a patient.",
        )
    rows, columns = _centre(body)
    hu = _cut(np.where(body, cells, AIR_HU), rows, columns)
    z_mm = z_slices[0] + CELL_MM * np.arange(len(cells))
    return SliceGrid(hu, z_mm, area, _cut(cells, rows, columns) if keep_unmasked else None)


def hu_offset(axial: CTVolume) -> int:
    """By how much a scan's values are too high, by the air around the patient, which has -1000 HU; 0 if about right.

    Air that varies is none: lungs that fill the picture, clothes. Values below -1300 HU are padding.

    Args:
        axial: a volume in axial order.
    """
    sample = axial.array[:: max(1, len(axial.array) // 16), ::4, ::4]
    air = sample[(sample > -1300) & (sample < -700)]
    if len(air) < AIR_SHARE * sample.size:
        return 0
    low, middle = np.percentile(air, [1, 50]) - PURE_AIR_HU
    off = middle - low <= EVEN_HU and (min(low, middle) >= WRONG_HU or max(low, middle) <= -WRONG_HU)
    return round(float(middle)) if off else 0


def _shown(axial: CTVolume) -> np.ndarray:
    """(k,) whether each slice shows anything: one that is blank between two that show a body is left out."""
    thinned = np.ascontiguousarray(axial.array[:, ::8, ::8]).reshape(len(axial.array), -1)
    dense = np.mean(thinned > BODY_HU, axis=1)
    even = thinned.max(axis=1) < thinned.min(axis=1) + 1.0  # not a difference: metal against air exceeds 16 bits
    full = ~even & (dense > 0.02)
    inner = np.maximum.accumulate(full) & np.maximum.accumulate(full[::-1])[::-1]
    return ~(inner & (even | (dense < 0.002)))


def _downsample(axial: CTVolume, z: np.ndarray, shown: np.ndarray, progress: Progress | None) -> np.ndarray:
    """(g, rows, columns) int16 on 4 mm cells, by tent filters along z and in the plane."""
    slices, z = np.flatnonzero(shown), z[shown]
    count = int((z[-1] - z[0]) // CELL_MM) + 1
    centres = z[0] + CELL_MM * np.arange(count)
    # Pixels finer than 2 mm are thinned out first: the tent filters still average several of them.
    thin = [max(1, int(2.0 // spacing)) for spacing in axial.spacing[:2]]
    columns = _tent(axial.array.shape[2], axial.spacing[0], thin[0])
    rows = _tent(axial.array.shape[1], axial.spacing[1], thin[1])
    cells = np.empty((count, rows.shape[0], columns.shape[0]), dtype=np.int16)
    gaps = np.diff(z, prepend=z[0], append=z[-1])
    half = np.maximum(CELL_MM, gaps[np.searchsorted(z, centres)])
    first, last = np.searchsorted(z, centres - half), np.searchsorted(z, centres + half)
    # Neighbouring cells share slices, so those of one cell are kept: each is thinned and made float once.
    kept = np.zeros((int((last - first).max()), *axial.array[0, :: thin[1], :: thin[0]].shape), dtype=np.float32)
    held = np.full(len(kept), -1)
    for cell, centre in enumerate(centres):
        if progress is not None and cell % _CELLS_A_STEP == 0 and not progress(cell, count, "Reading slices"):
            raise CTError("cancelled", "Locating was cancelled.")
        weights = np.zeros(len(kept), dtype=np.float32)
        for k in range(first[cell], last[cell]):
            place = k % len(kept)
            if held[place] != k:
                kept[place], held[place] = axial.array[slices[k], :: thin[1], :: thin[0]], k
            weights[place] = max(1 - abs(z[k] - centre) / half[cell], 1e-6)
        mean = np.tensordot(weights / weights.sum(), kept, axes=1)
        np.clip(mean, AIR_HU, 3071, out=mean)
        cells[cell] = np.rint((columns @ (rows @ mean).T).T)
    return cells


def _tent(size: int, spacing: float, thin: int) -> sparse.csr_array:
    """(cells, pixels) weights that bring a line of pixels onto 4 mm cells over the same extent; few are not zero."""
    pixels = (np.arange(0, size, thin) + 0.5) * spacing
    cells = (np.arange(max(1, round(size * spacing / CELL_MM))) + 0.5) * CELL_MM
    half = max(CELL_MM, spacing * thin)
    weights = np.clip(1 - np.abs(cells[:, None] - pixels) / half, 0, None)
    return sparse.csr_array((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))


def _body(cells: np.ndarray) -> np.ndarray:
    """The largest connected thing denser than fat, without thin plates that touch it, holes in each slice filled."""
    dense = cells > BODY_HU
    plane = ndimage.generate_binary_structure(3, 1)
    plane[[0, 2]] = False
    core = ~_grown(~dense)
    core[:, [0, -1]] = core[:, :, [0, -1]] = False
    labels, found = ndimage.label(core, ndimage.generate_binary_structure(3, 1))
    if found == 0:
        return np.zeros_like(dense)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    body = _grown(_grown(labels == sizes.argmax())) & dense
    outside, count = ndimage.label(~body, plane)
    touching = np.zeros(count + 1, dtype=bool)
    for edge in (outside[:, 0], outside[:, -1], outside[:, :, 0], outside[:, :, -1]):
        touching[edge.ravel()] = True
    touching[0] = False
    return ~touching[outside]


def _grown(mask: np.ndarray) -> np.ndarray:
    """With the four neighbours of each cell in its slice; ndimage's dilation takes ten times as long."""
    grown = mask.copy()
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    grown[:, :, 1:] |= mask[:, :, :-1]
    grown[:, :, :-1] |= mask[:, :, 1:]
    return grown


def _centre(body: np.ndarray) -> tuple[int, int]:
    """Row and column about which the body lies, the same for all slices."""
    profile_rows = body.sum(axis=(0, 2))
    profile_columns = body.sum(axis=(0, 1))
    return tuple(int(np.average(np.arange(len(p)), weights=p)) for p in (profile_rows, profile_columns))


def _cut(cells: np.ndarray, row: int, column: int) -> np.ndarray:
    """(g, 96, 96) about a row and a column, filled with air where the scan ends."""
    result = np.full((len(cells), SIZE, SIZE), AIR_HU, dtype=np.int16)
    source, target = [], []
    for centre, size in ((row, cells.shape[1]), (column, cells.shape[2])):
        start = centre - SIZE // 2
        low, high = max(0, start), min(size, start + SIZE)
        source.append(slice(low, high))
        target.append(slice(low - start, high - start))
    result[:, target[0], target[1]] = cells[:, source[0], source[1]]
    return result
