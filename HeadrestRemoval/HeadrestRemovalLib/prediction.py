"""What the network says of a whole scan, alone or to refine what clustering found.

The network gives, on cells of 3 mm, the share of each label (``netgrid``). What is patient and what is equipment
follows from these shares; where the skin runs is read from the scan's own voxels, except where both touch: there the
line along which the shares are equal is the cut, moved a little towards the equipment, since what is left of that does
less harm than a lost piece of skin.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from CTVolumeLib.boxes import bounding_box
from CTVolumeLib.cells import Cells, slice_step
from CTVolumeLib.errors import CTError
from CTVolumeLib.inference import Model
from CTVolumeLib.progress import Progress
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

from . import field, netgrid, pressed, window
from .cluster import refuse_what_is_no_ct, warnings_of
from .contact import contact_cm2
from .grid import Step, cells_of, middle_voxels, voxel_step
from .head import head_slices
from .labels import BACKGROUND, EQUIPMENT, HEADREST, PATIENT, TABLE
from .results import TRUNCATED, UNCERTAIN, EquipmentResult
from .shapes import ALL_AROUND, numbered

MODEL_NAME = "headrest-removal"
PART = "shares"
SKIN_HU = -500
"""Half-way between air and skin."""

_FOLDERS = (Path(__file__).parent.parent / "Resources" / "Models", Path(__file__).parent / "Models")
_CUT, _FAINT_CUT = 0.78, 0.7
"""Share of equipment in what is not air, above which a voxel goes to the equipment: as dense as skin, and fainter."""
_DARK_HU, _DARK_CUT = -100, 0.9
"""What is fainter than fat but no foam takes more: where a pad touches, the voxels darker than both are the skin's."""
_FULL, _SOME = 0.5, 0.03
_HARD_HU = -900
"""What is fainter and only in part equipment is air beside it; foam between two plates is not."""
_CERTAIN, _REACH, _LEAST_ML = 0.85, 1, 2.0
"""Share of equipment in what is not air that is certain, how many cells around it may be equipment, too, and how much
there must be together: on the nape and where shoulders begin, the network suspects thin layers of skin."""
_LIKELY, _THIN_HU = 0.5, -700
"""Share of equipment in what is not air with which a plate, a strap or a mask goes on from where it is certain, and HU
of a cell that holds a thin one; what is fainter may be hair."""
_CLEAR, _CLEAR_ML = 2, 1.0
"""Cells away from the patient, and how much of a piece of equipment must reach that far: what lies on the skin all
over, such as a layer of the nape or the breast bone, is skin."""
_WORN_ML, _WORN_CERTAIN = 3.0, 0.6
"""How much, and with what share of equipment on average, does not have to reach away: a mask, a strap."""
_ONE_KIND = 0.7
_AIR_HU, _AROUND_MM = -980, 5.0
"""HU of cells of air; over so much (standard deviation of a Gauss) what is faint is one thing, all hair or all foam."""
_WIDE_MM, _WIDE_SHARE = 4.0, 0.4
"""What a pad's seam gives to it has to be equipment by that share to the network, over so much (standard deviation of
a Gauss): ears that lie on a shell are not. No ear lies on a table."""
_PIECE_ML, _EDGE = 10.0, 2
"""Smaller pieces that clustering took for the patient are his, since ears that touch a holder and ends of cannulas look
like equipment to the network, as arms do that the picture cuts. A piece's blurred edge is so many voxels wide."""
_LEAST_MM, _SURE = 8.0, 0.93
"""Pieces are thicker on average, since to the network a back's skin that is pressed flat looks like a thin plate; and
they are equipment by that share to it: a thin child's nape was by less."""

_PAD_ML, _PAD_MM, _BEFORE_SHARE, _EVEN_HU = 1.0, 10.0, 0.7, 60.0
"""Smaller ones are pads if they are thinner on average from front to back, at least that share of them lies right
before what both call equipment, and they are of one material: half of their HU lie within that range. Ears that touch a
holder, and flat skin beside one, are deeper or of several."""

_FREE_SHARE = 0.3
"""Where the picture cuts the patient, so much of a piece's surface is free: flesh that is cut may look like a pad."""

_BONE_HU, _ON_BONE = 300, 0.1
"""A pad lies on skin. What lies on so much bone is a face, which looks like a pad where it lies in foam."""

_DOUBTFUL_ML = 3.0
"""Larger ones that are left to the patient are told of."""

_CRUMB_ML = 0.4
_STUCK_ML, _JOINED, _TISSUE_HU = 40.0, 0.1, -250
"""What is smaller, as dense as tissue, joined to nothing so dense but the patient, and to him by so many voxels of its
own number, is an ear or a nose that sinks into foam."""


@functools.lru_cache(maxsize=4)
def load_model(path: Path | str | None = None, engine: str = "auto") -> Model:
    """The shipped model, or another one; read once.

    Args:
        path: a model's ``.npz``; None is the shipped one.
        engine: "auto" (LiteRT where it is there, else numpy), "numpy" or "litert".

    Raises:
        CTError: the model is missing, damaged or foreign.
    """
    if path is None:
        path = next((folder / f"{MODEL_NAME}.npz" for folder in _FOLDERS if folder.is_dir()), _FOLDERS[0] / MODEL_NAME)
    model = Model.load(path, engine)
    if PART not in model.parts:
        raise CTError("bad_model", f"The model {model.name} does not tell equipment from patient.", "Choose another.")
    return model


def label(
    volume: CTVolume,
    first: EquipmentResult | None = None,
    progress: Progress | None = None,
    *,
    model: Model | None = None,
) -> EquipmentResult:
    """Tell patient, headrest, table and other equipment apart by the network.

    Args:
        volume: a CT with its slices in any order and direction.
        first: what clustering found; in scans of heads the network then takes large dense pieces from the patient.
        progress: called with done, total and text; returning False cancels.
        model: another than the shipped one.

    Returns:
        What was found by "network" or "both"; what clustering found as it is where no head is seen.

    Raises:
        CTError: ``not_ct``, ``no_body``, ``too_few_slices``, ``cancelled``; the model is missing or damaged.
    """
    model = model or load_model()
    if first is None:
        refuse_what_is_no_ct(volume)
    axial = window.with_air(volume.as_axial())
    cells = cells_of(axial)
    given = None if first is None else volume.with_array(first.labels).as_axial().array
    if given is not None and not _shows_a_head(cells, given):
        return first
    labels = np.zeros(volume.array.shape, np.uint8)
    target = volume.with_array(labels).as_axial().array  # a view
    grid = netgrid.of(axial)
    network = model.parts[PART]
    shares = network.predict(netgrid.stacks(grid.hu, network.inputs[0][1][-1]), progress)
    shares = _settled(shares, grid)
    ratio = _onto_voxels(shares, grid, axial, target)
    voxel_ml = float(np.prod(axial.spacing[:2]) * slice_step(axial) / 1000)
    _undivided(target, axial.array)
    _give_back_stuck(target, axial.array, voxel_ml)
    if given is None:
        if not (target == PATIENT).any():
            raise CTError("no_body", "No patient was found in this scan.", "Choose a CT that shows a part of the body.")
        _up_to_the_skin(target, axial, ratio, cells)
        _without_crumbs(target, voxel_ml)
        return EquipmentResult(labels, "network", contact_cm2(volume, labels), warnings_of(volume, labels, cut=False))
    cut = any(code == TRUNCATED for code, _ in first.warnings)
    kept_ml = _merge(target, given, ratio, axial, cells, cut)
    warnings = warnings_of(volume, labels, cut)
    if kept_ml:
        text = (
            f"About {kept_ml:.0f} mL look like equipment to the network alone and were kept as patient; the method"
            " Neural network shows where."
        )
        warnings += ((UNCERTAIN, text),)
    warnings += tuple(one for one in first.warnings if one[0] == UNCERTAIN and one not in warnings)
    return EquipmentResult(labels, "both", contact_cm2(volume, labels), warnings)


def _shows_a_head(cells: Cells, given: np.ndarray) -> bool:
    """Elsewhere clustering stays alone: of hips and thighs the network takes some for pads."""
    return bool(head_slices(cells, middle_voxels(given, cells.factors) == PATIENT)[0].any())


def _settled(shares: np.ndarray, grid: netgrid.NetGrid) -> np.ndarray:
    """Shares in which equipment goes on from where it is certain, and is of one kind where most of a piece is.

    Args:
        shares: (g, 160, 160, 5) of the network.
        grid: where they lie.
    """
    shares = shares.copy()
    equipment = shares[..., HEADREST:].sum(axis=-1)
    some = shares[..., PATIENT] + equipment
    cell_ml = netgrid.CELL_MM**2 * _step(grid) / 1000
    sure = (some > _SOME) & (equipment > _CERTAIN * some)
    parts, count = ndimage.label(sure, ALL_AROUND)
    large = np.bincount(parts.ravel(), (equipment * sure).ravel(), count + 1) * cell_ml > _LEAST_ML
    large[0] = False
    sure = large[parts]
    likely = (some > _SOME) & (equipment > _LIKELY * some) & (grid.hu > _THIN_HU)
    sure = ndimage.binary_propagation(sure, ALL_AROUND, mask=sure | likely)
    equipment[~ndimage.binary_dilation(sure, ALL_AROUND, iterations=_REACH)] = 0
    parts, count = ndimage.label(equipment > _FULL / 2, ALL_AROUND)
    away = ~ndimage.binary_dilation(some - equipment > _FULL, ALL_AROUND, iterations=_CLEAR)
    held = np.bincount(parts.ravel(), (equipment * away).ravel(), count + 1) * cell_ml > _CLEAR_ML
    volume = np.bincount(parts.ravel(), equipment.ravel(), count + 1)
    certainty = np.bincount(parts.ravel(), (equipment**2 / np.maximum(some, 1e-3)).ravel(), count + 1)
    held |= (volume * cell_ml > _WORN_ML) & (certainty > _WORN_CERTAIN * volume)
    held[0] = True
    equipment[~held[parts]] = 0
    doubtful = equipment == 0
    shares[doubtful, PATIENT] = some[doubtful]
    shares[doubtful, HEADREST:] = 0
    amounts = np.stack([np.bincount(parts.ravel(), shares[..., kind].ravel(), count + 1) for kind in EQUIPMENT])
    clear = amounts.max(axis=0) > _ONE_KIND * amounts.sum(axis=0)
    clear[0] = False
    piece = clear[parts]
    kinds = np.eye(len(EQUIPMENT), dtype=shares.dtype)[amounts.argmax(axis=0)[parts[piece]]]
    shares[piece, HEADREST:] = kinds * equipment[piece][:, None]
    return shares


def _step(grid: netgrid.NetGrid) -> float:
    return float(grid.along[1] - grid.along[0]) if len(grid.along) > 1 else netgrid.STEP_MM


def _onto_voxels(shares: np.ndarray, grid: netgrid.NetGrid, axial: CTVolume, labels: np.ndarray) -> np.ndarray:
    """Fill in the labels of all voxels.

    Returns:
        (k, j, i) uint8, 255 times the share of equipment in what is not air; 0 where next to all is air.
    """
    ratio = np.zeros(labels.shape, np.uint8)
    shares = np.concatenate([shares, _share_of_faint(shares, grid)[..., None]], axis=-1)
    for k, share in netgrid.back(shares, grid, axial):
        some = share[PATIENT] + share[HEADREST:-1].sum(axis=0)
        box = bounding_box(some > _SOME)  # beyond is air
        hu, some, share = axial.array[k][box], some[box], share[(slice(None), *box)]
        share, faint = share[:-1], share[-1]
        patient, equipment = share[PATIENT], share[HEADREST:].sum(axis=0)
        part = np.where(hu > SKIN_HU, equipment / np.maximum(some, 1e-3), faint)
        foreign = part > np.where(hu > _DARK_HU, _CUT, np.where(hu > SKIN_HU, _DARK_CUT, _FAINT_CUT))
        inside = ~foreign & (((some > _SOME) & (hu > SKIN_HU)) | (patient > 0.7))
        things = foreign & ((equipment > _FULL) | ((some > _SOME) & (hu > _HARD_HU)))
        kind = HEADREST + share[HEADREST:].argmax(axis=0).astype(np.uint8)
        labels[k][box] = np.where(inside, np.uint8(PATIENT), np.where(things, kind, np.uint8(BACKGROUND)))
        ratio[k][box] = np.where(some > _SOME, np.clip(part * 255, 1, 255), 0).astype(np.uint8)
    return ratio


def _share_of_faint(shares: np.ndarray, grid: netgrid.NetGrid) -> np.ndarray:
    """(g, 160, 160) share of equipment in what is faint around each cell, where there is such; else in the cell.

    Hair and foam look alike cell by cell, so that the network takes a layer of the one for the other.
    """
    faint = (grid.hu > _AIR_HU) & (grid.hu < SKIN_HU)
    equipment = shares[..., HEADREST:].sum(axis=-1)
    some = shares[..., PATIENT] + equipment
    sigma = [_AROUND_MM / size for size in (_step(grid), netgrid.CELL_MM, netgrid.CELL_MM)]
    foam, all_ = (ndimage.gaussian_filter(np.where(faint, part, 0), sigma, truncate=2.5) for part in (equipment, some))
    alone = all_ < 0.01
    return np.where(alone, equipment, foam) / np.maximum(np.where(alone, some, all_), 1e-3)


def _undivided(labels: np.ndarray, hu: np.ndarray) -> None:
    """What is as dense as tissue and apart from the body is one thing: all patient, or the commonest equipment."""
    box = bounding_box(labels > BACKGROUND)
    part = labels[box]
    dense = (part > BACKGROUND) & (hu[box] > _TISSUE_HU)
    numbers, count = ndimage.label(dense)
    numbers, own = numbers[dense], part[dense]
    amounts = np.stack([np.bincount(numbers[own == kind], minlength=count + 1) for kind in (PATIENT, *EQUIPMENT)])
    amounts[:, amounts[0].argmax()] = 0  # the body
    mixed = np.count_nonzero(amounts, axis=0) > 1
    equipment = amounts[1:].sum(axis=0) > amounts[0]
    kinds = np.where(equipment, HEADREST + amounts[1:].argmax(axis=0), PATIENT).astype(np.uint8)
    part[dense] = np.where(mixed[numbers], kinds[numbers], own)


def _up_to_the_skin(labels: np.ndarray, axial: CTVolume, ratio: np.ndarray, cells: Cells) -> None:
    """What is pressed on the patient from behind goes up to the skin, as clustering finds it; ears stay.

    Args:
        labels: (k, j, i) of the network, is changed.
        axial: the scan.
        ratio: from ``_onto_voxels``.
        cells: of the scan.
    """
    step = voxel_step(cells)
    # Where a pad ends towards the skin is seen from its far side: its columns are made whole for that.
    whole = labels.copy()
    dense = np.isin(labels, EQUIPMENT) & (axial.array > _TISSUE_HU)
    for j in range(1, labels.shape[1]):
        whole[:, j][dense[:, j] & (whole[:, j - 1] == PATIENT)] = PATIENT
    pressed.take(whole, axial.array, step, cells.factors)
    taken = (labels == PATIENT) & (whole > PATIENT)
    if not taken.any():
        return
    box = bounding_box(taken, np.array(step[::-1]), 3 * _WIDE_MM)
    whole, taken, share = whole[box], taken[box], ratio[box] / np.float32(255)
    sigma = [_WIDE_MM / size for size in step]
    mean, weight = (ndimage.gaussian_filter(np.where(taken, one, 0), sigma, truncate=2.5) for one in (share, 1.0))
    taken &= (whole == TABLE) | (mean > _WIDE_SHARE * weight)
    labels[box][taken] = whole[taken]


def _without_crumbs(labels: np.ndarray, voxel_ml: float) -> None:
    """Small pieces of patient by themselves become air; small equipment becomes what it lies on."""
    for box, piece in _small(labels == PATIENT, voxel_ml, 5 * _CRUMB_ML):
        labels[box][piece] = BACKGROUND
    found = list(_small(np.isin(labels, EQUIPMENT), voxel_ml, _CRUMB_ML))
    beside = [ndimage.binary_dilation(labels[box] == PATIENT, ALL_AROUND) for box, _ in found]
    for (box, piece), skin in zip(found, beside):
        labels[box][piece] = np.where(skin[piece], np.uint8(PATIENT), np.uint8(BACKGROUND))


def _give_back_stuck(labels: np.ndarray, hu: np.ndarray, voxel_ml: float) -> None:
    """Small pieces of equipment as dense as tissue, and joined to the patient's alone, become the patient's."""
    tissue = hu > _TISSUE_HU
    found = []
    for box, piece in _small(np.isin(labels, EQUIPMENT) & tissue, voxel_ml, _STUCK_ML):
        skin = (labels[box] == PATIENT) & tissue[box]
        if np.count_nonzero(ndimage.binary_dilation(piece) & skin) > _JOINED * np.count_nonzero(piece):
            found.append((box, ndimage.binary_dilation(piece, ALL_AROUND) & (hu[box] > SKIN_HU)))
    for box, piece in found:
        labels[box][piece] = PATIENT


def _merge(
    labels: np.ndarray, given: np.ndarray, ratio: np.ndarray, axial: CTVolume, cells: Cells, cut: bool
) -> float:  # fmt: skip
    """What clustering found, and the dense pieces that it took for the patient and the network surely does not.

    Nothing goes the other way: the plates of masks, which clustering finds, look like bone to the network.

    Args:
        labels: (k, j, i) of the network, is changed.
        given: (k, j, i) of clustering.
        ratio: from ``_onto_voxels``.
        axial: the scan.
        cells: of the scan.
        cut: whether the picture cuts the patient.

    Returns:
        Millilitres that are equipment to the network and were left to the patient all the same.
    """
    if labels.max() <= PATIENT:
        labels[...] = given
        return 0.0
    box = bounding_box(labels > PATIENT, margin_mm=_EDGE)
    ours, theirs, hu = labels[box], given[box], axial.array[box]
    more = (ours > PATIENT) & (theirs == PATIENT)
    dense = more & (hu > _TISSUE_HU)
    before = _right_before(dense, (ours > PATIENT) & (theirs > PATIENT))
    edge = _near_edge(cells, labels.shape)[box[1:]]
    sure, kept_ml = _sure_pieces(dense, before, ratio[box], hu, theirs == PATIENT, edge, voxel_step(cells), cut)
    if not sure.any():
        labels[...] = given
        return kept_ml
    pieces = ndimage.binary_dilation(sure, ALL_AROUND, iterations=_EDGE) & more
    kinds = ours[pieces]
    labels[...] = given
    ours[pieces] = kinds
    _up_to_the_skin(labels, axial, ratio, cells)
    return kept_ml


def _right_before(mask: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """(k, j, i) bool: what of a mask is followed by nothing but itself up to another mask behind it."""
    row = np.arange(mask.shape[1], dtype=np.int16)[None, :, None]
    end = np.where(mask, np.int16(mask.shape[1] - 1), row)
    following = np.minimum.accumulate(end[:, ::-1], axis=1)[:, ::-1]
    return mask & np.take_along_axis(behind, following.astype(np.intp), axis=1)


def _sure_pieces(
    pieces: np.ndarray,
    before: np.ndarray,
    share: np.ndarray,
    hu: np.ndarray,
    patient: np.ndarray,
    edge: np.ndarray,
    step: Step,
    cut: bool,
) -> tuple[np.ndarray, float]:
    """The components of a mask that are solids or pads on the patient's skin and do not reach the picture's edge.

    Args:
        pieces: (k, j, i) bool: what is dense, patient to clustering and equipment to the network.
        before: (k, j, i) bool: those of them right before what both call equipment.
        share: (k, j, i) uint8 from ``_onto_voxels``.
        hu: (k, j, i) the scan.
        patient: (k, j, i) bool: of clustering.
        edge: (j, i) bool: what is near to the edge of the picture.
        step: mm along k, j, i.
        cut: whether the picture cuts the patient.

    Returns:
        (k, j, i) bool; millilitres of the other components, but for crumbs and those at the edge.
    """
    parts, count = numbered(pieces, ALL_AROUND)
    millilitres = np.bincount(parts.ravel(), minlength=count + 1) * np.prod(step) / 1000
    millilitres[0] = 0
    millilitres[np.unique(parts[:, edge])] = 0
    sure = np.zeros(count + 1, bool)
    for number, inner in enumerate(ndimage.find_objects(parts), start=1):
        if millilitres[number] < _PAD_ML:
            continue
        box = tuple(slice(max(0, side.start - _EDGE), side.stop + _EDGE) for side in inner)
        one = parts[box] == number
        size = np.count_nonzero(one)
        solid = millilitres[number] > _PIECE_ML and np.mean(share[box][one]) > 255 * _SURE
        solid &= all(size * step[axis] > _LEAST_MM * one.any(axis=axis).sum() for axis in (1, 2))
        pad = size * step[1] < _PAD_MM * one.any(axis=1).sum() and np.mean(before[box][one]) > _BEFORE_SHARE
        pad &= np.subtract(*np.percentile(hu[box][one], (75, 25))) < _EVEN_HU
        if not (solid or pad):
            continue
        rim = ndimage.binary_dilation(one, iterations=_EDGE) & ~one
        beside = (patient[box] & ~pieces[box])[rim]
        on_bone = np.mean(hu[box][rim][beside] > _BONE_HU) if beside.any() else 0.0
        sure[number] = on_bone < _ON_BONE and not (cut and 1 - np.mean(beside) < _FREE_SHARE)
    return sure[parts], float(millilitres[~sure & (millilitres > _DOUBTFUL_ML)].sum())


def _near_edge(cells: Cells, shape: tuple[int, ...]) -> np.ndarray:
    """(j, i) bool: voxels that the edge of the picture is near to."""
    edge = field.near_edge(field.outside(cells))
    return edge.repeat(cells.factors[1], axis=0).repeat(cells.factors[2], axis=1)[: shape[1], : shape[2]]


def _small(mask: np.ndarray, voxel_ml: float, most_ml: float) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
    """Box with a margin of a voxel, and mask in it, of each component of a mask below a volume."""
    if not mask.any():
        return
    around = bounding_box(mask)
    parts, _ = ndimage.label(mask[around], ALL_AROUND)
    sizes = np.bincount(parts.ravel())
    for number, own in enumerate(ndimage.find_objects(parts), start=1):
        if sizes[number] * voxel_ml < most_ml:
            inner = tuple(slice(one.start + all_.start, one.stop + all_.start) for one, all_ in zip(own, around))
            box = tuple(slice(max(0, one.start - 1), one.stop + 1) for one in inner)
            piece = np.zeros(mask[box].shape, bool)
            piece[tuple(slice(one.start - out.start, one.stop - out.start) for one, out in zip(inner, box))] = (
                parts[own] == number
            )
            yield box, piece
