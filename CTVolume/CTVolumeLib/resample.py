"""Volumes on another grid: even spacing, a fixed shape, part of the slices, slices of a tilted gantry side by side.

Where the grid gets finer, values are interpolated linearly; where it gets coarser, the interpolated values are averaged
over a box, since picking single values would turn noise and edges into patterns that are not there (aliasing). Both
keep whatever changes evenly along an axis. The scan keeps its physical extent (from edge to edge of its voxels), so the
spacing is what rounding to whole voxels leaves, not exactly what was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage, sparse

from .errors import CTError
from .unshear import upright
from .volume import CTVolume

BODY_HU = -300.0
"""Above air, lungs, foam and blankets, below fat."""

_AREA_PIXEL_MM = 4.0
_LARGEST_VOXELS = 2**31


def to_spacing(volume: CTVolume, spacing_mm: float | Sequence[float] = 1.0) -> CTVolume:
    """The scan with another spacing; uneven slices are taken where they truly are.

    Args:
        volume: any volume; a sheared one is straightened first (``unshear``).
        spacing_mm: one for all axes, or one each for i, j, k.

    Returns:
        A volume whose ``spacing`` is the true one: extent / number of voxels. HU keep their type; values beyond the
        outermost voxel centres are those of the outermost voxels. Slices are new, so there are no ``sources``.

    Raises:
        CTError: ``bad_spacing`` for a spacing that is not positive or leads to more voxels than memory holds,
            ``slice_order`` where slices do not lie one behind the other.
    """
    wanted = np.broadcast_to(np.asarray(spacing_mm, dtype=float), (3,))
    if not (np.all(np.isfinite(wanted)) and wanted.min() > 0):
        raise CTError("bad_spacing", f"The spacing {spacing_mm} is not one or three positive numbers.")
    volume = unshear(volume)
    edges = _edges(volume)
    counts = [max(1, round((last - first) / step)) for (first, last), step in zip(edges, wanted)]
    return _onto(volume, edges, counts)


def to_shape(volume: CTVolume, shape: Sequence[int] = (64, 128, 128)) -> CTVolume:
    """The scan with a fixed number of voxels, as a 3-D network needs it.

    Args:
        volume: any volume; a sheared one is straightened first.
        shape: voxels along (k, j, i).

    Raises:
        CTError: ``bad_shape``, ``slice_order``.
    """
    if len(shape) != 3 or min(shape) < 1:
        raise CTError("bad_shape", f"The shape {tuple(shape)} is not three numbers of at least 1.")
    volume = unshear(volume)
    return _onto(volume, _edges(volume), [int(count) for count in shape[::-1]])


def around_largest_body(volume: CTVolume, n_slices: int) -> CTVolume:
    """The n slices about the one in which the body's area is largest; fewer where the scan has fewer.

    At the scan's ends the slices are moved inwards, so that there are still n of them.

    Args:
        volume: axial slices.
        n_slices: number of slices.
    """
    if n_slices < 1:
        raise CTError("bad_shape", f"A part of {n_slices} slices can't be cut out.", "Ask for at least one slice.")
    count = volume.array.shape[0]
    centre = int(np.argmax(body_area(volume)))
    first = int(np.clip(centre - n_slices // 2, 0, max(0, count - n_slices)))
    return volume.crop(k=slice(first, min(first + n_slices, count)))


def body_area(volume: CTVolume) -> np.ndarray:
    """(k,) area in cm2 of the largest connected thing denser than ``BODY_HU`` in each slice, air inside it included."""
    steps = [max(1, int(_AREA_PIXEL_MM // size)) for size in volume.spacing[:2]]
    areas = np.zeros(volume.array.shape[0])
    for k, picture in enumerate(volume.array):
        dense = ndimage.binary_opening(picture[:: steps[1], :: steps[0]] > BODY_HU)
        labels, found = ndimage.label(dense)
        if found:
            largest = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
            areas[k] = np.count_nonzero(ndimage.binary_fill_holes(largest))
    return areas * steps[0] * steps[1] * volume.spacing[0] * volume.spacing[1] / 100


def unshear(volume: CTVolume) -> CTVolume:
    """The stack of a tilted gantry with each slice shifted back in its plane; see ``unshear.upright``."""
    return upright(volume)


def weights(places: np.ndarray, centres: np.ndarray, width: float) -> sparse.csr_array:
    """How much each sample counts for each mean of the linearly interpolated samples over a box.

    Args:
        places: (n,) where the samples are, growing. Outside them the outermost samples go on.
        centres: (m,) centres of the boxes.
        width: of the boxes; 0 for interpolation at the centres.

    Returns:
        (m, n) matrix whose rows add up to 1.
    """
    places, centres = np.asarray(places, float), np.asarray(centres, float)
    if len(places) == 1:
        return sparse.csr_array(np.ones((len(centres), 1)))
    if width <= 0:
        return _interpolation(places, centres)
    # The interpolated samples are straight between the places, so their mean over a box is a sum of trapezoids:
    # cut the box at every place inside it and weigh both ends of each piece with half its length.
    lows, highs = centres - width / 2, centres + width / 2
    rows, cuts, shares = [], [], []
    for row, (low, high) in enumerate(zip(lows, highs)):
        inside = places[np.searchsorted(places, low, "right") : np.searchsorted(places, high, "left")]
        points = np.concatenate([[low], inside, [high]])
        lengths = np.diff(points) / width
        rows.append(np.full(len(points), row))
        cuts.append(points)
        shares.append((np.append(lengths, 0) + np.insert(lengths, 0, 0)) / 2)
    rows, cuts, shares = (np.concatenate(parts) for parts in (rows, cuts, shares))
    gather = sparse.csr_array((shares, (rows, np.arange(len(rows)))), shape=(len(centres), len(rows)))
    return (gather @ _interpolation(places, cuts)).tocsr()


def _interpolation(places: np.ndarray, points: np.ndarray) -> sparse.csr_array:
    points = np.clip(points, places[0], places[-1])
    low = np.clip(np.searchsorted(places, points, "right") - 1, 0, len(places) - 2)
    part = (points - places[low]) / (places[low + 1] - places[low])
    rows = np.arange(len(points))
    values = np.concatenate([1 - part, part])
    index = (np.concatenate([rows, rows]), np.concatenate([low, low + 1]))
    return sparse.csr_array((values, index), shape=(len(points), len(places)))


def _centres(volume: CTVolume) -> list[np.ndarray]:
    """For i, j, k the mm of the voxel centres along the axis, from the first voxel's centre."""
    along = (volume.origins() - volume.origins()[0]) @ volume.axes()[:, 2]
    if np.any(np.diff(along) <= 0):
        raise CTError("slice_order", "The slices do not lie one behind the other.", "Load the original DICOM series.")
    _, rows, columns = volume.array.shape
    return [np.arange(columns) * volume.spacing[0], np.arange(rows) * volume.spacing[1], along]


def _edges(volume: CTVolume) -> list[tuple[float, float]]:
    """For i, j, k the mm at which the first voxel begins and the last ends."""
    edges = []
    for centres, spacing in zip(_centres(volume), volume.spacing):
        first, last = np.diff(centres)[[0, -1]] if len(centres) > 1 else (spacing, spacing)
        edges.append((float(centres[0] - first / 2), float(centres[-1] + last / 2)))
    return edges


def _onto(volume: CTVolume, edges: list[tuple[float, float]], counts: list[int]) -> CTVolume:
    """The volume on counts (i, j, k) even voxels between the edges, one new slice after the other."""
    if np.prod([float(count) for count in counts]) > _LARGEST_VOXELS:
        raise CTError("bad_spacing", f"A grid of {counts[0]} x {counts[1]} x {counts[2]} voxels is too large.",
                      "Choose a coarser spacing.")  # fmt: skip
    spacing = [(last - first) / count for (first, last), count in zip(edges, counts)]
    starts = [first + step / 2 for (first, _), step in zip(edges, spacing)]
    along_i, along_j, along_k = (
        weights(places, start + step * np.arange(count), _box(places, step, old)).astype(np.float32)
        for places, start, step, count, old in zip(_centres(volume), starts, spacing, counts, volume.spacing)
    )
    whole = volume.array.dtype.kind in "iu"
    array = np.empty(counts[::-1], volume.array.dtype if whole else np.float32)
    for k in range(counts[2]):
        used = slice(along_k.indptr[k], along_k.indptr[k + 1])
        picture = np.zeros(volume.array.shape[1:], np.float32)
        for source, share in zip(along_k.indices[used], along_k.data[used]):
            picture += share * volume.array[source].astype(np.float32)
        picture = (along_i @ (along_j @ picture).T).T
        array[k] = np.rint(picture) if whole else picture
    origin = np.asarray(volume.origins()[0]) + volume.axes() @ starts
    return replace(
        volume,
        array=array,
        spacing=tuple(float(step) for step in spacing),
        origin=tuple(float(value) for value in origin),
        positions=None,
        slice_origins=None,
        meta={key: value for key, value in volume.meta.items() if key != "slice_index"},
        sources=(),
    )


def _box(places: np.ndarray, step: float, old: float) -> float:
    """Width of the box to average over: samples have a width of their own, the box adds what is missing."""
    own = float(np.median(np.diff(places))) if len(places) > 1 else old
    return float(np.sqrt(max(0.0, step**2 - own**2)))
