"""What the network sees of a scan: slices about 3 mm apart on cells of 3 mm, and the way back to the scan's own voxels.

The network only has to say what belongs to whom; where an edge runs exactly is read from the scan itself. So cells of
3 mm suffice, and every scan costs about the same, whatever its pixels are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from CTVolumeLib.blas import one_thread_each
from CTVolumeLib.resample import weights
from CTVolumeLib.volume import CTVolume

CELL_MM = 3.0
SIZE = 160
"""Cells along each side: a square of 480 mm, which holds a head with its holder or a trunk on its table."""
STEP_MM = 3.0
"""Slices closer than this are averaged."""
DEPTH = 5
"""Slices that the network sees at a time, to tell the one in the middle."""
AIR_HU = -1000.0
_BODY_HU = -300.0


@dataclass(frozen=True, eq=False)
class NetGrid:
    """A scan on the network's grid.

    Attributes:
        hu: (g, 160, 160) float32, rows to the back, columns to the left; air where the scan ends.
        along: (g,) mm along the slice normal, growing.
        rows: (160,) mm of the cells' centres along j, from the first pixel's centre.
        columns: (160,) likewise along i.
    """

    hu: np.ndarray
    along: np.ndarray
    rows: np.ndarray
    columns: np.ndarray


def of(axial: CTVolume) -> NetGrid:
    """Bring a scan onto the network's grid.

    The shift of a tilted gantry's slices against each other is left as it is: from one slice to the next it is less
    than a cell.

    Args:
        axial: a volume in axial order, as ``as_axial()`` gives it.
    """
    slices, height, width = axial.array.shape
    places = slice_places(axial)
    rows, columns = (_centre(axial, axis) + CELL_MM * (np.arange(SIZE) - (SIZE - 1) / 2) for axis in (1, 2))
    along_i, inside_i = _shrink(width, axial.spacing[0], columns)
    along_j, inside_j = _shrink(height, axial.spacing[1], rows)
    own = float(np.median(np.diff(places))) if slices > 1 else STEP_MM
    step = max(own, STEP_MM)
    count = int((places[-1] - places[0]) / step + 1e-3) + 1
    along = places[0] + step * np.arange(count)
    along_k = weights(places, along, np.sqrt(max(0.0, step**2 - own**2)))
    hu = np.zeros((count, SIZE, SIZE), np.float32)
    with one_thread_each():
        for k in range(slices):
            used = along_k[:, [k]].tocoo()
            if used.nnz:
                plane = np.nan_to_num(np.clip(axial.array[k], -1024, 3071), nan=AIR_HU).astype(np.float32)
                picture = (along_i @ (along_j @ plane).T).T
                for cell, share in zip(used.row, used.data):
                    hu[cell] += np.float32(share) * picture
    hu[:, ~inside_j] = AIR_HU
    hu[:, :, ~inside_i] = AIR_HU
    return NetGrid(hu, along, rows, columns)


def stacks(hu: np.ndarray, depth: int = DEPTH) -> np.ndarray:
    """(g, 160, 160, depth): each slice between those below and above, HU / 1000, as the network takes them."""
    around = neighbours(np.arange(len(hu)), len(hu), depth)
    return np.stack([hu[index] for index in around], axis=-1).astype(np.float32) / np.float32(1000)


def neighbours(middle: np.ndarray, count: int, depth: int = DEPTH) -> np.ndarray:
    """(depth, n) which slices lie around these (n,) of so many; the last ones stand for what lies beyond."""
    return np.clip(middle + np.arange(depth)[:, None] - depth // 2, 0, count - 1)


def back(values: np.ndarray, cells: NetGrid, axial: CTVolume) -> Iterator[tuple[int, np.ndarray]]:
    """Values of cells, interpolated linearly at the scan's own pixels, one slice after the other.

    Args:
        values: (g, 160, 160, c).
        cells: where they lie.
        axial: the scan that the cells were made of.

    Yields:
        The index of a slice and (c, j, i) float32; outside the network's window it is 0.
    """
    _, height, width = axial.array.shape
    along_i = _enlarge(width, axial.spacing[0], cells.columns)
    along_j = _enlarge(height, axial.spacing[1], cells.rows)
    along_k = weights(cells.along, slice_places(axial), 0).tocsr()
    for k in range(axial.array.shape[0]):
        used = slice(along_k.indptr[k], along_k.indptr[k + 1])
        mixed = np.tensordot(along_k.data[used].astype(np.float32), values[along_k.indices[used]], axes=1)
        yield k, np.stack([(along_i @ (along_j @ mixed[..., c]).T).T for c in range(values.shape[-1])])


def slice_places(axial: CTVolume) -> np.ndarray:
    """(k,) mm along the slice normal, growing."""
    places = axial.origins() @ axial.axes()[:, 2]
    return places - places[0]


def _centre(axial: CTVolume, axis: int) -> float:
    """Mm of the middle of the field; of what is in it where the field is larger than the network's window."""
    spacing, size = axial.spacing[2 - axis], axial.array.shape[axis]
    middle, room = (size - 1) * spacing / 2, (size * spacing - SIZE * CELL_MM) / 2
    if room <= 0:
        return middle
    dense = axial.array[:: max(1, len(axial.array) // 40), ::4, ::4] > _BODY_HU
    profile = dense.sum(axis=tuple(other for other in range(3) if other != axis)).astype(float)
    if not profile.any():
        return middle
    centre = float(np.average(np.arange(len(profile)) * 4 * spacing, weights=profile))
    return float(np.clip(centre, middle - room, middle + room))


def _shrink(size: int, spacing: float, centres: np.ndarray) -> tuple[object, np.ndarray]:
    """Weights from pixels to cells, and which cells lie in the field."""
    inside = (centres > -spacing / 2) & (centres < (size - 0.5) * spacing)
    box = np.sqrt(max(0.0, CELL_MM**2 - spacing**2))
    return weights(np.arange(size) * spacing, centres, box).astype(np.float32), inside


def _enlarge(size: int, spacing: float, centres: np.ndarray) -> object:
    """Weights from cells to pixels; none for pixels outside the window."""
    pixels = np.arange(size) * spacing
    inside = (pixels >= centres[0] - CELL_MM / 2) & (pixels <= centres[-1] + CELL_MM / 2)
    matrix = weights(centres, pixels, 0).astype(np.float32)
    return matrix.multiply(inside[:, None]).tocsr()
