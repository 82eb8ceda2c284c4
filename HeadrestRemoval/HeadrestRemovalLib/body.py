"""The patient on the cells: thick parts of tissue, what grows out of them, and all that their skin encloses.

Shells, sheets and cables are thin, so they fall away when the dense part of the scan is opened. Arms, hands and legs
are parts of their own where the scan cuts what connects them, so each thick part is judged by what it is made of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from CTVolumeLib.boxes import bounding_box
from CTVolumeLib.cells import Cells
from CTVolumeLib.errors import CTError
from scipy import ndimage

from . import field, posts
from .components import Components, components
from .constant import SHARE, explained, presence, unbroken
from .head import head_slices
from .shapes import ALL_AROUND, IN_SLICE, distance, grow, grow_along, holes, reached, shrink

OPEN_MM = 4.0
"""What is up to twice as thin is no thick part: shells of headrests and tables, sheets, cables; ears and noses, too."""

_EAR_MM, _EAR_ML = 28.0, 25.0
_ON_HEAD = 0.9
"""That share of an ear lies in slices of the head; what holds shoulders lies beside the neck, too, and is larger."""

_CRUMB_MM, _CRUMB_ML = 8.0, 1.0
_NOSE_MM, _RIM_MM, _METAL_HU = 18.0, 5.0, 800
_PART_ML, _SURE_ML = 0.4, 3.0
_CUT_FLESH, _CUT_ML = 0.22, 20.0
"""Of a vertebra that the edge of the picture cuts off at least so much is as flesh; posts hold less."""

_RAIL_MM, _HANGING_ML = 22.0, 2.0
_OWN_SHARE = 0.5
"""In this share of the slices around, a place of a shell holds shell itself, not only next to it."""

_BENEATH, _BENEATH_SHARE = 0.7, 0.3
"""Beneath a head is what lies behind its middle, and to the side by no more than this times as far: no ear does. There
the head hides a shell in most slices, but the shell shows in this share of them.
"""

_EDGE_SHARE, _EDGE_HU = 0.3, -230
"""The blurred edge of a shell, a cell wide, shows in this share of slices around, and is fainter than any tissue."""

_SHELL_HU, _SHELL_ML, _SHELL_GAP_MM = 140, 0.2, 6.0
"""Denser than cartilage and skin, more than a calcified speck of an ear, and no farther than the ear is thick."""
_FAINT_HU, _FAINT_ML, _FAINT_SD_HU, _BESIDE_SHARE = -180, 0.8, 50.0, 0.6
"""So much fainter than fat are thin boards, masks and cloth, and they are so evenly, or stand off the skin for the most
part. Folds of skin are so only where they are blurred, and lie beside the rest of it.
"""

_WALL_MM, _SKIN_HU = 10.0, -550
_BLURRED_HU, _NEARLY_HU, _END_MM, _BEYOND_SHARE, _TABLE_SHARE = -850, -320, 4.0, 0.5, (0.5, 0.9)
_BESIDE_MM = 20.0
"""Air that goes on farther than this beside the body is all around it."""

_HOLE_MM2, _WALL_SHARE, _LUNG_SHARE = 90.0, 0.7, 0.6
_CUT_LUNG_HU, _CUT_LUNG_MEAN_HU = (-960, -450), (-945, -450)
_CUT_MM, _EDGE_CELLS = 20.0, 1
"""Where the edge of the picture runs through so much of the patient before or behind the middle, he goes on there."""

_CAVITY_SHARE = 0.7
"""Of what lies in nose or mouth, that much has the head on all sides."""

_HALF_PADDING = 3
"""So many cells at the rim of a round field are blurred with padding, once a scan was resampled."""


@dataclass(frozen=True, eq=False)
class Body:
    """The patient on the cells.

    Attributes:
        mask: (k, j, i) bool, with all that the skin encloses.
        solid: (k, j, i) bool: what is as dense as tissue, patient or not.
        thin: (k, j, i) bool: of that, what is no patient.
        head: (k,) bool: slices through the head, from the vertex to the neck.
        scalp: (k,) bool: of these, those where hair grows all around.
        padding: (j, i) bool: outside a round field of view.
        cut: whether the field of view cuts the patient at a side.
        doubtful_ml: volume of what is like the patient, but hardly joined to it, and was taken for it.
    """

    mask: np.ndarray
    solid: np.ndarray
    thin: np.ndarray
    head: np.ndarray
    scalp: np.ndarray
    padding: np.ndarray
    cut: bool
    doubtful_ml: float = 0.0


def find(cells: Cells, threshold_hu: float) -> Body:
    """Find the patient.

    Args:
        cells: the scan.
        threshold_hu: what is denser is tissue or hard equipment.

    Raises:
        CTError: ``no_body``.
    """
    step = cells.step_mm
    solid = cells.hu > threshold_hu
    padding = field.outside(cells)
    # Nostrils and ear canals make walls of what is thick; a body that is cut by the field of view goes on beyond it.
    tight = solid | _small_holes(solid, cells)
    deep = shrink(tight | padding, step, OPEN_MM) & tight
    near_edge = field.near_edge(padding)
    core, largest = _thick_parts_of_patient(components(deep, cells), tight, near_edge, cells)
    if not core.any():
        raise CTError("no_body", "No patient was found in this scan.", "Choose a CT that shows a part of the body.")
    body = grow(core, step, OPEN_MM + step, within=tight)
    head, scalp = head_slices(cells, body)
    held = posts.find(body, head, cells)
    body = _with_thin_walls(body & ~held, solid, cells)
    thin = solid & ~body
    small = _small_parts(thin & ~_on_posts(thin, held, head, cells), body, head, cells)
    body |= small
    body &= ~posts.plates(body & ~largest, largest, cells)
    if held.any():
        body &= ~posts.edges(held, body, cells)
    board = posts.boards(body, cells)
    body, solid = body & ~board, solid | board
    inside = _filled(body, solid, cells, padding)
    faint = (cells.hu > _BLURRED_HU) & ~inside
    lasting = presence(faint, cells)  # tables go on from slice to slice
    inside |= _blurred_ends(inside, faint, cells) & (lasting < _TABLE_SHARE[0])
    # Where streaks darken the skin, it is still denser than foam.
    dark = (cells.hu > _SKIN_HU) & ~solid & ~padding & (lasting < _TABLE_SHARE[1])
    inside |= grow(inside, step, step) & dark
    inside |= _open_cavities(inside, body, head, cells)
    cut = np.count_nonzero(body & near_edge) * step * cells.spacing[2] > 500
    small[head] = False  # ears and noses
    doubtful_ml = _hanging_ml(core | small, largest, tight & inside, near_edge, cells)
    return Body(inside, solid, solid & ~inside, head, scalp, padding, bool(cut), doubtful_ml)


def _thick_parts_of_patient(
    parts: Components, solid: np.ndarray, edge: np.ndarray, cells: Cells
) -> tuple[np.ndarray, np.ndarray]:
    """(k, j, i) bool: the thick parts that are made as people are, rather than as equipment, and the largest, grown.

    ``edge`` is (j, i) bool: near the edge of the picture.
    """
    tissue = parts.fat + parts.muscle + parts.bone
    flesh = parts.fat + parts.muscle
    like = (tissue > 0.5) & (flesh > 0.35) & (parts.millilitres > _PART_ML)
    cut = parts.touching(np.broadcast_to(edge, solid.shape))
    like |= cut & (tissue > 0.5) & (flesh > _CUT_FLESH) & (parts.millilitres > _CUT_ML)
    if not like.any():
        return np.zeros_like(solid), np.zeros_like(solid)
    main = int(np.argmax(np.where(like, parts.millilitres * (parts.fat + parts.muscle), 0)))
    mixed = (parts.fat > 0.03) & (parts.muscle > 0.03) | (parts.bone > 0.03)
    deep = parts.labels > 0
    largest = grow(parts.labels == main, cells.step_mm, OPEN_MM + cells.step_mm, within=solid)
    # Rails and thick shells go on and on; fingers are shorter, arms thicker.
    steady = parts.share(explained(deep, cells)) > 0.6
    bulky = parts.touching(shrink(deep, cells.step_mm, _RAIL_MM / 2 - OPEN_MM))
    like &= ~steady | bulky
    thick = grow(deep, cells.step_mm, OPEN_MM + cells.step_mm, within=solid)
    like &= ~_behind_equipment(parts, main, explained(solid & ~thick, cells))
    # Of a piece of equipment most is thin or unlike; of an elbow or a breast that reaches into the scan nearly nothing.
    rest = solid & ~largest
    whole = components(rest, cells, ALL_AROUND)
    share = whole.share(grow(parts.chosen(like), cells.step_mm, OPEN_MM + cells.step_mm, within=solid))
    belongs = np.zeros(parts.count + 1)
    for number, box in enumerate(parts.boxes, start=1):
        if like[number] and number != main:
            inside = whole.labels[box][parts.labels[box] == number]
            belongs[number] = share[np.bincount(inside[inside > 0], minlength=1).argmax()] if inside.any() else 1.0
    # An arm or a hand that lies on equipment holds bone.
    sure = (parts.millilitres > _SURE_ML) & (parts.bone > 0.03)
    chosen = like & (mixed & ((belongs > 0.5) | sure) | (belongs > 0.75))
    chosen[main] = True
    return parts.chosen(chosen), largest


def _hanging_ml(taken: np.ndarray, largest: np.ndarray, solid: np.ndarray, edge: np.ndarray, cells: Cells) -> float:
    """Volume of the parts that hang on the largest, or on nothing, and that the picture does not cut.

    A body is in one piece: what else is no arm, chin or breast whose rest lies beyond the picture may be equipment.
    """
    apart = taken & ~largest & solid
    if not apart.any():
        return 0.0
    apart = grow(apart, cells.step_mm, OPEN_MM + cells.step_mm, within=solid & ~largest) & ~holes(largest)
    parts = components(apart, cells, ALL_AROUND)
    ends = np.broadcast_to(edge, apart.shape).copy()
    ends[[0, -1]] = True
    return float(parts.millilitres[(parts.millilitres > _HANGING_ML) & ~parts.touching(ends)].sum())


def _behind_equipment(parts: Components, main: int, steady: np.ndarray) -> np.ndarray:
    """(count + 1,) bool: parts that equipment, which goes on from slice to slice, separates from the main part."""
    result = np.zeros(parts.count + 1, bool)
    own = parts.labels[parts.boxes[main - 1][0]]
    middle = np.mean(np.nonzero(own[:: max(1, len(own) // 8)] == main)[1:], axis=1)
    for number, box in enumerate(parts.boxes, start=1):
        k = (box[0].start + box[0].stop) // 2
        if number == main or not (parts.labels[k] == number).any():
            continue
        end = np.mean(np.nonzero(parts.labels[k] == number), axis=1)
        own = np.nonzero(parts.labels[k] == main)
        start = np.mean(own, axis=1) if own[0].size else middle
        line = np.linspace(start, end, 2 * int(np.abs(end - start).max()) + 2)
        rows, columns = np.rint(line).astype(int).T
        result[number] = np.count_nonzero(steady[k, rows, columns]) >= 2
    return result


def _small_holes(solid: np.ndarray, cells: Cells) -> np.ndarray:
    """(k, j, i) bool: holes in slices that are no wider than a nostril or an ear canal."""
    air = components(_around(solid, cells) & ~solid, cells, IN_SLICE)
    return air.chosen(air.sizes * cells.step_mm**2 < _HOLE_MM2)


def _with_thin_walls(body: np.ndarray, solid: np.ndarray, cells: Cells) -> np.ndarray:
    """The body with lungs that it surrounds for the most part, and with the thin wall of the rest, the chest's."""
    hollow = components(holes(solid | body) & ~solid, cells, IN_SLICE)
    box = bounding_box(hollow.labels > 0, margin_mm=1)
    beside = ndimage.grey_dilation(hollow.labels[box], footprint=IN_SLICE)
    wall = np.bincount(beside[solid[box]], minlength=hollow.count + 1)
    own = np.bincount(beside[(body & solid)[box]], minlength=hollow.count + 1)
    lung = hollow.share((cells.hu > _CUT_LUNG_HU[0]) & (cells.hu < _CUT_LUNG_HU[1])) > _LUNG_SHARE
    inside = hollow.chosen((own > _WALL_SHARE * np.maximum(wall, 1)) & lung)
    return body | inside | (grow(inside, cells.step_mm, _WALL_MM, within=solid) & solid)


def _on_posts(thin: np.ndarray, held: np.ndarray, head: np.ndarray, cells: Cells) -> np.ndarray:
    """(k, j, i) bool: of what is thin the posts with all that is joined to them, but ears that touch them."""
    if not held.any():
        return held
    parts = components(thin & ~held, cells, ALL_AROUND)
    joined = parts.touching(ndimage.binary_dilation(held, ALL_AROUND))
    on_head = parts.share(np.broadcast_to(head[:, None, None], thin.shape)) > _ON_HEAD
    return held | parts.chosen(joined & ~(on_head & (parts.millilitres < _EAR_ML)))


def _small_parts(thin: np.ndarray, body: np.ndarray, head: np.ndarray, cells: Cells) -> np.ndarray:
    """(k, j, i) bool: ears, nose, lips, folds of skin: small thin parts on the skin, not pieces of shells."""
    steady = _steady(thin, body, head, cells)
    # What is denser than an ear and next to a shell is more of it; so is its blurred edge, one cell wide.
    dense = components(thin & (cells.hu > _SHELL_HU), cells, ALL_AROUND)
    beside = dense.touching(grow(steady, cells.step_mm, _SHELL_GAP_MM, within=thin))
    shell = dense.chosen(beside & (dense.millilitres > _SHELL_ML))
    if shell.any():
        wider = ndimage.binary_opening((thin | body) & ~shell, np.ones((1, 2, 2), bool))
        steady |= grow(shell, cells.step_mm, cells.step_mm, within=thin & ~wider)
    own = thin & ~steady
    parts = components(own, cells, ALL_AROUND)
    near = grow(body, cells.step_mm, cells.step_mm)
    touches = parts.touching(near)
    away = distance(body, cells.spacing, _EAR_MM, own)
    farthest, nearest = parts.highest(away), -parts.highest(-away)
    small = touches & (farthest < _EAR_MM) & (parts.millilitres < _EAR_ML)
    on_head = parts.touching(np.broadcast_to(head[:, None, None], body.shape))
    small |= on_head & (nearest < _CRUMB_MM) & (farthest < _EAR_MM) & (parts.millilitres < _CRUMB_ML)
    faint = touches & ~on_head & (parts.mean_hu < _FAINT_HU) & (parts.millilitres > _FAINT_ML)
    if faint.any():  # on the head ``sheets`` looks for them
        beside = parts.share(reached(near, parts.chosen(faint), IN_SLICE))
        faint &= (parts.sd_hu < _FAINT_SD_HU) | (beside < _BESIDE_SHARE)
    metal = parts.mean_hu > _METAL_HU  # pins of a frame
    foreign = metal | faint
    result = parts.chosen(small & ~foreign)
    # Of larger ones what is near: on the head as far as an ear goes, elsewhere as a fold of skin.
    reach = np.where(head, _NOSE_MM, _RIM_MM)[:, None, None]
    result |= parts.chosen(touches & ~small & ~foreign) & (away <= reach)
    return result & ~_edges(steady, thin, body, cells)


def _steady(thin: np.ndarray, body: np.ndarray, head: np.ndarray, cells: Cells) -> np.ndarray:
    """(k, j, i) bool: of what is thin the shells, which are the same from slice to slice."""
    # An ear that touches a shell lies beside it, where nothing else is in most slices.
    own = presence(thin, cells, beside=False)
    steady = (explained(thin, cells) & (own > _OWN_SHARE)) | unbroken(thin, cells)
    beneath = thin & (own > _BENEATH_SHARE) & _beneath(body, head, cells)
    if beneath.any():
        shown = presence(thin, cells, hidden=body) > SHARE
        steady |= beneath & shown & (presence(thin, cells, beside=False, hidden=body) > _OWN_SHARE)
    return steady


def _edges(steady: np.ndarray, thin: np.ndarray, body: np.ndarray, cells: Cells) -> np.ndarray:
    """(k, j, i) bool: the blurred edges of shells, which are dense enough in some slices only."""
    edge = thin & ~steady & (cells.hu < _EDGE_HU) & grow(steady, cells.step_mm, cells.step_mm)
    edge &= presence(thin, cells, beside=False) > _EDGE_SHARE
    return edge & ~ndimage.binary_opening((thin | body) & ~steady, np.ones((1, 2, 2), bool)) if edge.any() else edge


def _beneath(body: np.ndarray, head: np.ndarray, cells: Cells) -> np.ndarray:
    """(k, j, i) bool: what lies straight behind the middle of the head."""
    result = np.zeros(body.shape, bool)
    for k in np.flatnonzero(head & body.any(axis=(1, 2))):
        rows, columns = np.nonzero(body[k])
        behind = (np.arange(body.shape[1]) - rows.mean()) * cells.spacing[1]
        beside = np.abs(np.arange(body.shape[2]) - columns.mean()) * cells.spacing[0]
        result[k] = beside < _BENEATH * behind[:, None]
    return result


def _filled(body: np.ndarray, solid: np.ndarray, cells: Cells, padding: np.ndarray) -> np.ndarray:
    """The body with all that it encloses in a slice, but not what lies between it and equipment."""
    lungs = _cut_lungs(body, solid, cells, padding)
    if lungs.any():
        body = body | lungs | (grow(lungs, cells.step_mm, _WALL_MM, within=solid) & solid)
    enclosed = holes(body) & ~padding
    parts = components(solid & ~body, cells, ALL_AROUND)
    foreign = parts.chosen(parts.share(~enclosed) > 0.3) & enclosed
    if foreign.any():
        enclosed &= ~reached(foreign, enclosed, IN_SLICE)
    return body | enclosed


def _blurred_ends(body: np.ndarray, faint: np.ndarray, cells: Cells) -> np.ndarray:
    """Where the body ends between two slices (a breast, the chin, a fold), they show it in part.

    What is faint there and goes on beyond is cloth or a cushion.
    """
    count = max(1, round(_END_MM / cells.spacing[2]))
    ends = grow_along(body, count)
    near = ends | grow(body, cells.step_mm, cells.step_mm)
    parts = components(faint, cells, IN_SLICE)
    own = parts.chosen(parts.share(~near) < _BEYOND_SHARE)
    return ends & faint & (own | (cells.hu > _NEARLY_HU))


def _cut_lungs(body: np.ndarray, solid: np.ndarray, cells: Cells, padding: np.ndarray) -> np.ndarray:
    """Lungs that the field of view cuts: they have the body before and behind them and are lung throughout.

    Beyond the edge of the picture the body goes on where it is cut. Foam under the patient is as dense, but has the
    body on one side only.
    """
    # At the rim of a round field walls are half padding, so that the lung would go on into the air along it.
    rim = ndimage.binary_dilation(padding, iterations=_HALF_PADDING)
    parts = components(_around(body, cells) & ~(solid | body | rim), cells, IN_SLICE)
    # The mean tells emphysema, of which much is as faint as air, from air, of which nothing is denser.
    like = (parts.mean_hu > _CUT_LUNG_MEAN_HU[0]) & (parts.mean_hu < _CUT_LUNG_MEAN_HU[1])
    like &= parts.sizes * cells.step_mm**2 > 100
    if not like[1:].any():
        return np.zeros_like(body)
    lungs = parts.chosen(like & (parts.share(_between(body)) > 0.8))
    beyond = _with_beyond(body, padding, cells)
    if beyond is not None:
        like &= parts.share((cells.hu > _CUT_LUNG_HU[0]) & (cells.hu < _CUT_LUNG_HU[1])) > _LUNG_SHARE
        like &= parts.share(_beside(body)) > 0.8
        lungs |= parts.chosen(like & (parts.share(_between(beyond)[:, 1:-1]) > 0.8))
        # In some slices less of the patient is seen where the picture cuts him.
        lungs |= reached(lungs, lungs | parts.chosen(like))
    return lungs | (grow(lungs, 1.0, _HALF_PADDING) & ~solid & rim & ~padding)


def _beside(body: np.ndarray) -> np.ndarray:
    """(k, j, i) bool: what has body to the left or to the right, as lungs have and a table beneath the back has not."""
    return np.maximum.accumulate(body, axis=2) | np.maximum.accumulate(body[:, :, ::-1], axis=2)[:, :, ::-1]


def _with_beyond(body: np.ndarray, padding: np.ndarray, cells: Cells) -> np.ndarray | None:
    """(k, j + 2, i) bool: the body with what lies before and behind the picture where a slice cuts it there.

    None where none does.
    """
    beyond = np.pad(padding, ((1, 1), (0, 0)), constant_values=True)
    middle, found = len(beyond) // 2, []
    for half in (slice(None, middle), slice(middle, None)):
        edge = np.zeros_like(beyond)
        edge[half] = beyond[half]
        near = (ndimage.binary_dilation(edge, iterations=_EDGE_CELLS) & ~edge)[1:-1]
        found.append((edge, np.count_nonzero(body[:, near], axis=1) * cells.step_mm > _CUT_MM * _EDGE_CELLS))
    if not any(cut.any() for _, cut in found):
        return None
    result = np.pad(body, ((0, 0), (1, 1), (0, 0)))
    for edge, cut in found:
        result[cut] |= edge
    return result


def _open_cavities(inside: np.ndarray, body: np.ndarray, head: np.ndarray, cells: Cells) -> np.ndarray:
    """(k, j, i) bool: what lies in nose and mouth, where a slice shows them open, and nowhere outside of them."""
    within = _between(body) & _between(body, axis=2) & head[:, None, None]
    rest = (cells.hu > _BLURRED_HU) & ~inside & head[:, None, None]
    if not (rest & within).any():
        return np.zeros_like(inside)
    parts = components(rest, cells, ALL_AROUND)
    return parts.chosen(parts.share(within) > _CAVITY_SHARE)


def _around(mask: np.ndarray, cells: Cells) -> np.ndarray:
    """(k, j, i) bool: the box around a mask; farther away there is nothing but the air all around."""
    result = np.zeros_like(mask)
    result[bounding_box(mask, cells.spacing, _BESIDE_MM)] = True
    return result


def _between(body: np.ndarray, axis: int = 1) -> np.ndarray:
    """(k, j, i) bool: what has body before and behind it, or on both sides (``axis`` 2)."""
    result, box = np.zeros_like(body), bounding_box(body)
    ahead = np.maximum.accumulate(body[box], axis=axis)
    result[box] = ahead & np.flip(np.maximum.accumulate(np.flip(body[box], axis), axis=axis), axis)
    return result
