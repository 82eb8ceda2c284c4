"""Left lung, right lung, trachea and main bronchi of a chest CT: ``segment``.

How it goes, all in millimetres and on cells of nearly 3 mm (see ``cells``):

1. Air that tissue encloses in its slice; of that the parts whose inside is as dense as lung. Gas in the bowel is
   darker, foam under the patient lies outside the body.
2. Trachea and main bronchi are grown from a tube near the middle and taken out with their wall (``airways``).
3. The rest is parted into left and right (``sides``).
4. Each lung is closed, so that vessels, nodules and the hilum are inside; airless lung with open bronchi in it is added
   (``consolidation``).
5. The surface is found again on the scan's own voxels.

The steps of the classic recipe, by which this is often taught, are in ``recipe``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from CTVolumeLib.boxes import bounding_box
from CTVolumeLib.cells import Cells, interpolation
from CTVolumeLib.errors import CTError
from CTVolumeLib.progress import Progress, Steps
from CTVolumeLib.volume import CTVolume
from scipy import ndimage, sparse

from . import airways, consolidation, sides
from .cells import cells_of
from .shapes import IN_SLICE, close, dilate, distance, erode, fill, largest

LEFT, RIGHT, AIRWAY = sides.LEFT, sides.RIGHT, 3

LUNG_HU = (-962.0, -500.0)
"""Between these lies the inside of lungs, also in emphysema; gas is darker, stool is denser."""

SURFACE_HU = -400
"""Half-way between lung and tissue: where the surface runs through a voxel."""

PADDING_HU = -1015
"""What stays below this in all slices lies outside a round field of view."""

CUT_LUNG_HU = -930
"""Denser than the air around the patient: what reaches an edge of the picture may be lung in a narrow field of view."""

_SHEET_MM, _THINNED_MM = 3.0, 5.1
_DEEP_MM = 4.0
_RIM_ML, _RIM_HU = 10.0, (-935.0, -550.0)
_LUNG_SHARE = 0.6
_IN_BODY_SHARE = 0.3
_WHOLE_ML, _CUT_ML = 20.0, 1.5
_WALL_MM, _WALL_LEFT_MM = 2.5, 1.5
_HOLE_MM2 = 300.0
_BONE_HU, _RIB_ML = 200, 5.0
_CRUMB_SHARE = 0.01
_WIDE_MM, _APEX_MM, _CUT_SHARE, _HELD_SHARE = 20.0, 40.0, 0.5, 0.3
_GAS_HU, _POCKET_ML = -970, 2.0
_AROUND_MM, _LUNG_AROUND = (4.0, 8.0), 0.25
_FAR_MM = 1e3
_SIDE_CUT_SHARE = 0.5


@dataclass(frozen=True)
class LungOptions:
    """How lungs are found.

    Attributes:
        threshold_hu: what is darker is air or lung.
        closing_mm: notches up to twice this wide are filled: vessels at the hilum, nodules at the wall.
        within_z_mm: LPS z between which lungs can be, where the place of the slices in the body is known, else None.
    """

    threshold_hu: float = -320.0
    closing_mm: float = 8.0
    within_z_mm: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not -900 <= self.threshold_hu <= -100:
            raise CTError(
                "bad_option", f"A threshold of {self.threshold_hu} HU finds no lungs.", "Choose -900 to -100."
            )
        if not 0 <= self.closing_mm <= 30:
            raise CTError("bad_option", f"Lungs can't be closed by {self.closing_mm} mm.", "Choose 0 to 30 mm.")


@dataclass(frozen=True, eq=False)
class LungResult:
    """The lungs of a scan.

    Attributes:
        labels: (k, j, i) uint8 on the volume's own grid: 1 left lung, 2 right lung, 3 trachea and main bronchi.
        options: by which they were found.
        two_lungs: whether left and right were told apart as two bodies; else all is on one side.
        airway_sealed: whether trachea and main bronchi ended at their wall, False where they may have leaked.
        trachea_mm: length of the trachea in the scan, 0 where none was found.
        airless_ml: volume of the airless lung in it, which was known by the open bronchi in it.
        airless_left_ml: volume of what lies around such bronchi and is not in it; where it is much, some is missing.
    """

    labels: np.ndarray
    options: LungOptions = field(default_factory=LungOptions)
    two_lungs: bool = True
    airway_sealed: bool = True
    trachea_mm: float = 0.0
    airless_ml: float = 0.0
    airless_left_ml: float = 0.0

    def unfilled(self, volume: CTVolume) -> np.ndarray:
        """(k, j, i) uint8: the labels without vessels, nodules and all else that is dense."""
        return np.where(volume.array < self.options.threshold_hu, self.labels, np.uint8(0))

    def difference(self, volume: CTVolume) -> np.ndarray:
        """(k, j, i) uint8: the labels of what is dense inside the lungs, filled minus unfilled."""
        return np.where(volume.array < self.options.threshold_hu, np.uint8(0), self.labels)


def segment(volume: CTVolume, options: LungOptions | None = None, progress: Progress | None = None) -> LungResult:
    """Find the lungs.

    Args:
        volume: a CT with its slices in any order and direction.
        options: see ``LungOptions``.
        progress: called with done, total and text; returning False cancels.

    Returns:
        The labels and what is to be said about them; ``quality.judge`` tells whether to trust them.

    Raises:
        CTError: ``no_lungs`` with the reason, ``not_ct``, ``cancelled``.
    """
    options = options or LungOptions()
    steps = Steps(progress, 6, "Finding the lungs")
    labels = np.zeros(volume.array.shape, np.uint8)
    axial, axial_labels = volume.as_axial(), volume.with_array(labels).as_axial().array  # the latter is a view
    steps("Reading the slices")
    cells = cells_of(axial)
    _refuse_what_is_no_ct(cells)
    steps("Looking for air inside the body")
    body = body_of(cells)
    enclosed = _air_inside(cells.hu < options.threshold_hu, cells, body)
    _keep_between(enclosed, axial, cells, options.within_z_mm)
    lungs = _parts_like_lung(enclosed, cells, body)
    middle = _middle(body, lungs, cells)
    steps("Following the airways")
    tree = airways.find(cells, enclosed, lungs, middle)
    if tree.lumen.any():
        lungs &= ~dilate(tree.lumen, cells.spacing, _WALL_MM)
    lungs = _without_crumbs(_without_walled_gas(_below_the_neck(lungs, cells, body), cells), cells)
    if not lungs.any():
        raise _no_lungs("its air is that of throat, sinuses or airways")
    steps("Telling left from right")
    parted, two = sides.split(lungs, cells, middle)
    steps("Closing the lungs over vessels")
    finished = _closed(parted, tree.lumen, cells, options)
    airless = consolidation.airless_lung(finished, tree.lumen, cells, body)
    finished = np.where(airless.labels > 0, airless.labels, finished)
    steps("Finding the surface")
    _onto_voxels(finished, tree.lumen, cells, axial.array, axial_labels, options.threshold_hu)
    steps("Done")
    return LungResult(labels, options, two, tree.sealed, tree.length_mm, airless.added_ml, airless.left_ml)


def body_of(cells: Cells) -> np.ndarray:
    """(k, j, i) bool: the patient with all that is inside, without table, cushions and sheets."""
    solid = cells.hu > -320
    # Each slice by itself, so that thick slices do not vanish; sheets and table shells are thinner than this.
    thin = min(_SHEET_MM, 0.99 * max(cells.spacing[0], 1.0))
    if max(cells.spacing[:2]) < _THINNED_MM:
        core = dilate(largest(erode(solid, (*cells.spacing[:2], 1e3), thin)), cells.spacing, thin + 0.5)
    else:
        core = largest(solid)  # what is as thin shares its cells with air, and chest walls have one or two cells
    body = close(core, cells.spacing, 10.0)
    return body | _air_inside(~body, cells, body)


def _middle(body: np.ndarray, lungs: np.ndarray, cells: Cells) -> float:
    """Index i of the middle of the body; of its bones, most of which lie around the spine, where one side is cut."""
    slices = lungs.any(axis=(1, 2))
    right, left = (float(body[slices][:, :, edge].any(axis=1).mean()) for edge in (0, -1))
    bones = np.nonzero(body & (cells.hu > _BONE_HU) & slices[:, None, None])[2]
    if abs(left - right) > _SIDE_CUT_SHARE and len(bones):
        return float(np.median(bones))
    return float(np.nonzero(body)[2].mean())


def _air_inside(air: np.ndarray, cells: Cells, body: np.ndarray) -> np.ndarray:
    """Air that tissue encloses in its slice, and lung that the edge of a narrow field of view cuts.

    Such lung reaches one side of the picture or the rim of a round field; the air around a patient reaches more, or is
    as thin as air. Foam under the patient is as dense as lung, but has no body on its other side.
    """
    padding = np.broadcast_to((cells.hu <= PADDING_HU).all(axis=0), air.shape)
    labels, count = ndimage.label(air & ~padding, IN_SLICE)
    across = ndimage.binary_dilation(padding[0], iterations=2)
    reached = np.zeros(count + 1, int)
    for edge in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        reached[np.unique(edge)] += 1
    rim = np.unique(labels[:, across])
    reached[rim] = np.maximum(reached[rim], 1)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    mean = np.bincount(labels.ravel(), weights=cells.hu.ravel(), minlength=count + 1) / np.maximum(sizes, 1)
    between = np.bincount(labels[_between(body)], minlength=count + 1) / np.maximum(sizes, 1)
    inside = (reached == 0) | ((reached == 1) & (mean > CUT_LUNG_HU) & (between > 0.5))
    inside[0] = False
    return inside[labels]


def _between(body: np.ndarray, axes: tuple[int, ...] = (1, 2)) -> np.ndarray:
    """(k, j, i) bool: what has body on both sides, in its row (axis 2) or in its column (axis 1)."""
    result = np.zeros_like(body)
    for axis in axes:
        ahead = np.maximum.accumulate(body, axis=axis)
        behind = np.flip(np.maximum.accumulate(np.flip(body, axis), axis=axis), axis)
        result |= ahead & behind
    return result


def _refuse_what_is_no_ct(cells: Cells) -> None:
    low, high = np.percentile(cells.hu[:: max(1, len(cells.hu) // 20)], [0.5, 99.5])
    if low > -200:
        raise _no_lungs(
            "it holds no air, so it is empty, or its values are not Hounsfield units as those of MR and PET"
        )
    if high < -150:
        raise _no_lungs("it holds no body")


def _keep_between(air: np.ndarray, axial: CTVolume, cells: Cells, within: tuple[float, float] | None) -> None:
    if within is None:
        return
    z = axial.superior()
    outside = (z < min(within)) | (z > max(within))
    air[outside[:: cells.factors[0]][: len(air)]] = False


def _parts_like_lung(enclosed: np.ndarray, cells: Cells, body: np.ndarray) -> np.ndarray:
    """The parts of the enclosed air whose inside is as dense as lung and which lie in the body."""
    labels, count = ndimage.label(enclosed)
    deep = erode(enclosed, cells.spacing, _DEEP_MM)
    inside = body | _between(body, (1,))  # where the chest wall is thin, slices of the body are open rings
    like = deep & inside & _dense_as_lung(cells)
    cell_ml = np.prod(cells.spacing) / 1000

    def volumes(mask: np.ndarray | None = None) -> np.ndarray:
        chosen = labels if mask is None else labels[mask]
        return np.bincount(chosen.ravel(), minlength=count + 1) * cell_ml

    bottom, top = _ends(body)
    at_top, at_bottom = (np.isin(np.arange(count + 1), part) for part in (labels[top:], labels[: bottom + 1]))
    lung_ml = volumes(like)
    in_body = volumes(inside) > _IN_BODY_SHARE * volumes()
    fits = (lung_ml > _LUNG_SHARE * volumes(deep)) & in_body
    fits[0] = False
    # Little lung is believed only where the scan cuts it: its bases at the top, else its apices at the bottom.
    chosen = fits & ((lung_ml > _WHOLE_ML) | (at_top & (lung_ml > _CUT_ML)))
    if not (chosen & ~at_bottom).any():
        chosen |= fits & at_bottom & (lung_ml > _CUT_ML)
    if (chosen & at_top).any():
        # Beside the base of one lung the other may be a rim around the dome, too thin to have an inside as deep.
        for number in np.flatnonzero(at_top & in_body & ~chosen & (volumes() > _RIM_ML)):
            darkest, middling = np.percentile(cells.hu[labels == number], [10, 50])
            chosen[number] = number > 0 and darkest > _RIM_HU[0] and middling < _RIM_HU[1]
    if not chosen.any():
        gas = volumes()[1:].sum()
        reason = (
            f"{gas:.0f} mL of gas inside the body are bowel or airways" if gas > 1 else "there is no air in the body"
        )
        raise _no_lungs(reason)
    return chosen[labels]


def _ends(body: np.ndarray) -> tuple[int, int]:
    """The lowest and the highest slice that are held by the body; beyond some scans are blank, or nearly."""
    area = body.sum(axis=(1, 2))
    held = np.flatnonzero(area >= _HELD_SHARE * np.median(area))
    return int(held[0]), int(held[-1])


def _below_the_neck(lungs: np.ndarray, cells: Cells, body: np.ndarray) -> np.ndarray:
    """Lungs without what lies far above the slices where they are wide: throat and sinuses, which can be connected.

    Where nothing is wide, only lungs that the scan cuts are believed, and only if it cuts them where they are large:
    throat and sinuses have their largest slice inside a scan of the head.
    """
    wide = erode(lungs, cells.spacing, _WIDE_MM / 2) & _dense_as_lung(cells)
    if wide.any():
        top = np.flatnonzero(wide.any(axis=(1, 2)))[-1] + round(_APEX_MM / cells.spacing[2])
        lungs[top + 1 :] = False
    else:
        area = lungs.sum(axis=(1, 2))
        if area[list(_ends(body))].max() < _CUT_SHARE * area.max():
            lungs[:] = False
    return lungs


def _without_walled_gas(lungs: np.ndarray, cells: Cells) -> np.ndarray:
    """Lungs without the pure gas that a wall surrounds: bowel at the dome, bronchi. Around bullae there is lung."""
    pockets, count = ndimage.label(lungs & (cells.hu < _GAS_HU))
    if count == 0:
        return lungs
    like = lungs & _dense_as_lung(cells)
    millilitres = np.bincount(pockets.ravel()) * np.prod(cells.spacing) / 1000
    lungs = lungs.copy()
    for number, box in enumerate(ndimage.find_objects(pockets), start=1):
        if millilitres[number] < _POCKET_ML:
            continue
        margins = [int(np.ceil(_AROUND_MM[1] / step)) + 1 for step in cells.spacing[::-1]]
        box = tuple(slice(max(part.start - margin, 0), part.stop + margin) for part, margin in zip(box, margins))
        away = distance(pockets[box] == number, cells.spacing)
        around = (away > _AROUND_MM[0]) & (away <= _AROUND_MM[1])  # nearer cells share their HU with the gas
        if like[box][around].mean() < _LUNG_AROUND:
            lungs[box] &= away > _AROUND_MM[0]
    return lungs


def _without_crumbs(lungs: np.ndarray, cells: Cells) -> np.ndarray:
    """Lungs without what taking out airways and bowel leaves behind: small parts, and parts full of gas as sinuses."""
    labels, count = ndimage.label(lungs)
    inner = erode(lungs, cells.spacing, _DEEP_MM)
    like = inner & _dense_as_lung(cells)
    sizes, deep, lung = (np.bincount(labels[mask], minlength=count + 1) for mask in (lungs, inner, like))
    return lungs & ((sizes > _CRUMB_SHARE * sizes.max(initial=0)) & (lung >= _LUNG_SHARE * deep))[labels]


def _dense_as_lung(cells: Cells) -> np.ndarray:
    return (cells.hu > LUNG_HU[0]) & (cells.hu < LUNG_HU[1])


def _closed(parted: np.ndarray, lumen: np.ndarray, cells: Cells, options: LungOptions) -> np.ndarray:
    """(k, j, i) uint8 both lungs with their vessels."""
    wall = dilate(lumen, cells.spacing, _WALL_LEFT_MM)
    ribs = _bone_at_the_wall(cells, parted)
    large = _larger_than(ribs, cells, _RIB_ML)
    result = np.zeros_like(parted)
    for side in (LEFT, RIGHT):
        closed = fill(close(parted == side, cells.spacing, options.closing_mm) & ~ribs, cells.spacing, _HOLE_MM2)
        closed &= ~large  # in a slice a rib may look like a hole; calcified nodules and bright vessels are smaller
        result[closed & ~wall & (result == 0)] = side
    # Where the closing of one lung ran into the other, that one keeps what it had.
    return np.where(parted > 0, np.where(wall, 0, parted), result).astype(np.uint8)


def _bone_at_the_wall(cells: Cells, parted: np.ndarray) -> np.ndarray:
    """(k, j, i) bool: ribs that bulge into the lungs; vessels full of contrast medium, as dense, lie at the hilum."""
    bone = (cells.hu > _BONE_HU) & (parted == 0)
    rows, columns = np.arange(parted.shape[1]), np.arange(parted.shape[2])
    for k in range(len(parted)):
        lung = parted[k] > 0
        if not lung.any():
            continue
        front, back = np.flatnonzero(lung.any(axis=1))[[0, -1]]
        depth = (rows - front) / max(back - front, 1)
        centres = [np.nonzero(parted[k] == side)[1].mean() for side in (RIGHT, LEFT) if (parted[k] == side).any()]
        medial = (columns > min(centres)) & (columns < max(centres))
        bone[k][np.outer((depth > 0.25) & (depth < 0.75), medial)] = False
    # The rim of a rib is less dense than bone, since it shares its cells with lung.
    return dilate(bone, (*cells.spacing[:2], 1e3), 1.01 * max(cells.spacing[:2])) & (cells.hu > -320)


def _larger_than(mask: np.ndarray, cells: Cells, millilitres: float) -> np.ndarray:
    """The connected parts that are larger."""
    labels, _ = ndimage.label(mask)
    large = np.bincount(labels.ravel()) * np.prod(cells.spacing) / 1000 > millilitres
    large[0] = False
    return large[labels]


def _onto_voxels(
    lungs: np.ndarray, lumen: np.ndarray, cells: Cells, hu: np.ndarray, labels: np.ndarray, threshold_hu: float
) -> None:
    """Write the labels of the voxels: deep inside by the cells, at the surface by the voxels' own HU.

    Args:
        lungs: (k, j, i) labels of the cells.
        lumen: likewise, bool.
        cells: their grid.
        hu: (K, J, I) the scan.
        labels: (K, J, I) uint8 zeros, is filled.
        threshold_hu: by which the cells were found.
    """
    edge = max(cells.spacing[:2])
    box = bounding_box((lungs > 0) | lumen, cells.spacing, 2 * edge)
    ranges = _voxels_of(box, cells, hu.shape)
    window = ranges[1:]
    parts = [_Surface(part, cells, hu.shape) for part in (lungs == LEFT, lungs == RIGHT, lumen)]
    for k in range(ranges[0].start, ranges[0].stop):
        to_left, to_right, to_tube = (part.distances(k, window) for part in parts)
        to_lung = np.minimum(to_left, to_right)
        plane = hu[k][window]
        dark = plane < SURFACE_HU
        # What is darker than the threshold, but not than the surface, is more than half tissue at the rim.
        tissue = ~dark & (plane < threshold_hu) & (to_lung > -0.01)
        inside = ((to_lung < 0.01) & ~tissue) | ((to_lung < 0.9 * edge) & dark)
        inside &= to_tube > _WALL_LEFT_MM / 2
        target = labels[k][window]
        np.copyto(target, np.where(to_left <= to_right, np.uint8(LEFT), np.uint8(RIGHT)), where=inside)
        if to_tube.min() < 0.6 * edge:
            np.copyto(target, np.uint8(AIRWAY), where=(to_tube < 0.6 * edge) & dark & (to_tube < to_lung))


class _Surface:
    """Distances from the surface of a part that is known on the cells, on the slices of the scan."""

    def __init__(self, part: np.ndarray, cells: Cells, shape: tuple[int, int, int]) -> None:
        self._window: tuple[slice, slice] | None = None
        if not part.any():
            return
        box = bounding_box(part, cells.spacing, 2 * max(cells.spacing[:2]))
        slices, *self._window = _voxels_of(box, cells, shape)
        self._first = slices.start
        self._field = distance(part[box], cells.spacing)
        self._along, down, across = (
            interpolation(voxels.stop - voxels.start, factor, places.stop - places.start)
            for voxels, factor, places in zip((slices, *self._window), cells.factors, box)
        )
        # Sparse, since each voxel lies between two cells; products of full matrices take ten times as long.
        self._down, self._across = sparse.csr_array(down), sparse.csr_array(across)

    def distances(self, k: int, window: tuple[slice, slice]) -> np.ndarray:
        """(j, i) float32 mm in a window of a slice: negative inside; far away where the part is not near."""
        result = np.full([part.stop - part.start for part in window], _FAR_MM, np.float32)
        if self._window is None or not 0 <= k - self._first < len(self._along):
            return result
        weights = self._along[k - self._first]
        used = np.flatnonzero(weights)
        cells = np.tensordot(weights[used], self._field[used], 1)
        place = tuple(slice(own.start - all_.start, own.stop - all_.start) for own, all_ in zip(self._window, window))
        result[place] = self._down @ (self._across @ cells.T).T
        return result


def _voxels_of(
    box: tuple[slice, slice, slice], cells: Cells, shape: tuple[int, int, int]
) -> tuple[slice, slice, slice]:
    """The voxels in a box of cells."""
    return tuple(
        slice(part.start * factor, min(part.stop * factor, size))
        for part, factor, size in zip(box, cells.factors, shape)
    )


def _no_lungs(reason: str) -> CTError:
    return CTError("no_lungs", f"No lungs were found in this scan: {reason}.", "Choose a CT of the chest.")
