"""Posts, plates, rails and boards that hold a patient, as shoulder retractors and bags of sand do, and touch the skin.

There a scan shows one thick part. But slice by slice posts lie apart, and nothing of a patient is dense all through:
fat and muscle surround each bone, and where a slice shows bone alone, as at the vertex or the elbow, flesh lies above
or below it. Metal rails beneath the back have air around most of them; no implant has. Plates stand off the patient,
and thin parts of a patient that do so, as fingers, hold bone; plates are denser than flesh and hold none. A flat board
goes on beside the back that lies on it, and nothing of a patient lies in its plane.
"""

from __future__ import annotations

import numpy as np
from CTVolumeLib.cells import Cells
from scipy import ndimage

from .components import BONE_HU, FAT_HU, MUSCLE_HU, components
from .shapes import ALL_AROUND, IN_SLICE, grow, grow_along, holes, reached, shrink

_MOSTLY = 0.5
"""A section is dense where more than this share of it is as bone is, and less as flesh is."""

_FLESH_SHARE, _FLESH_BESIDE = 0.21, 0.05
"""How much of a post may look like flesh, since edges are blurred, and how much flesh may lie right above and below it,
for its size. In 122 scans posts have .12 to .19 and at most .02; the vertex and ends of bones have from .23 and .09."""

_LEAST_ML = 5.0
_METAL_HU, _METAL_MEAN_HU, _FREE_SHARE, _LEAST_METAL_ML = 400, 1000, 0.5, 2.0
"""What may be metal, what is, how much of its rim in a slice borders air, and how much of it there must be."""

_GOES_ON, _GOES_ON_INSIDE = 0.6, 0.9
"""Share of a post's section that lies over its section in the slice before; and of one that touches the patient, whose
bone may be one section with it.
"""

_EDGE_CELLS = 2
"""So far from a post its edge is blurred."""

_PLATE_ML, _APART, _THICK_MM = 12.0, 0.3, 24.0
"""A plate is larger than an ear, at most that share of it lies in sections that touch the patient, and it is thinner.

In 122 scans nothing of a patient that is larger has less than a half in such sections but an arm, which holds bone.
"""

_PLASTIC_HU, _PLASTIC_SHARE, _NO_BONE = (80, 250), 0.25, 0.03
"""Denser than flesh, fainter than bone: that share of what no edge blurs is as dense, and no more of all is as bone."""

_SHELL_HU, _OPEN_HU = (-500, -120), -600
"""The shell of a board, a cell thick at most, is fainter than fat, and what lies before and behind is air or foam."""

_FREE_CM2, _PRESSED_CM2, _EVEN_HU, _ALIKE_HU, _BOARD_MM = 8.0, 40.0, 110, 130, 150.0
"""So much of a board is seen beside the back, and beneath it.

There the middle half of it spreads no more than the third, and board is what is denser than beside the back by no more
than the fourth. It is so wide; sheets that are seen so are creases of less.
"""


def find(body: np.ndarray, head: np.ndarray, cells: Cells) -> np.ndarray:
    """(k, j, i) bool: the posts in what was taken for the patient.

    Args:
        body: (k, j, i) bool on the cells.
        head: (k,) bool: slices through the head, where bone lies right beneath the skin.
        cells: the scan.
    """
    sections = components(body, cells, IN_SLICE)
    slices = np.array([0] + [box[0].start for box in sections.boxes])
    largest = np.zeros(len(body))
    np.maximum.at(largest, slices[1:], sections.millilitres[1:])
    apart = sections.millilitres < largest[slices]
    dense = sections.chosen(apart & (sections.fat + sections.muscle < _MOSTLY) & (sections.bone > _MOSTLY))
    parts = components(dense, cells, ALL_AROUND)
    flesh = body & ~dense & (cells.hu > FAT_HU[0]) & (cells.hu < MUSCLE_HU[1])
    beside = np.zeros(parts.count + 1)
    for number, box in enumerate(parts.boxes, start=1):
        wide = (slice(max(box[0].start - 1, 0), box[0].stop + 1), *box[1:])
        beside[number] = np.count_nonzero(grow_along(parts.labels[wide] == number, 1) & flesh[wide])
    hard = (parts.fat + parts.muscle < _FLESH_SHARE) & (beside < _FLESH_BESIDE * parts.millilitres / cells.millilitres)
    found = parts.chosen(hard & (parts.millilitres > _LEAST_ML))
    if found.any():
        found = _continued(found, sections.chosen(apart), body & (cells.hu > BONE_HU))
    return found | _rails(body & ~head[:, None, None], body, cells)


def plates(apart: np.ndarray, patient: np.ndarray, cells: Cells) -> np.ndarray:
    """(k, j, i) bool: plates in what was taken for the patient and is no part of its largest part.

    Args:
        apart: (k, j, i) bool on the cells.
        patient: (k, j, i) bool: the largest part.
        cells: the scan.
    """
    plastic = apart & (cells.hu > _PLASTIC_HU[0]) & (cells.hu < _PLASTIC_HU[1])
    if np.count_nonzero(plastic) * cells.millilitres < _PLASTIC_SHARE * _PLATE_ML:
        return np.zeros_like(apart)
    parts = components(apart, cells, ALL_AROUND)
    large = parts.millilitres > _PLATE_ML
    if not large.any():
        return np.zeros_like(apart)
    large = parts.chosen(large & (parts.bone < _NO_BONE))
    touching = reached(grow(patient, cells.step_mm, cells.step_mm), large, IN_SLICE)
    thick = parts.touching(shrink(large, cells.step_mm, _THICK_MM / 2))
    inner = ndimage.binary_erosion(large, IN_SLICE)
    dense = parts.share(inner & plastic) > _PLASTIC_SHARE * parts.share(inner)
    return parts.chosen(dense & ~thick & (parts.share(touching) < _APART))


def boards(body: np.ndarray, cells: Cells) -> np.ndarray:
    """(k, j, i) bool: the shell of a flat board where the back lies on it, as far as it is as faint as beside the back.

    Args:
        body: (k, j, i) bool: what was taken for the patient.
        cells: the scan.
    """
    result = np.zeros_like(body)
    open_ = cells.hu < _OPEN_HU
    faint = (cells.hu > _SHELL_HU[0]) & (cells.hu < _SHELL_HU[1])
    faint[:, :-1] &= open_[:, 1:]
    cm2 = cells.spacing[0] * cells.spacing[2] / 100
    for row in np.flatnonzero(faint.sum(axis=(0, 2)) * cm2 > _FREE_CM2 + _PRESSED_CM2):
        if not 0 < row < body.shape[1] - 1:
            continue
        free = faint[:, row] & open_[:, row - 1] & ~body[:, row]
        across = np.flatnonzero(free.any(axis=0))
        if not across.size:
            continue
        # The faintest of it was not taken for the patient, but would be for the skin's blurred edge.
        pressed = (body[:, row] | (faint[:, row] & body[:, row - 1])) & open_[:, row + 1] & ~free
        pressed &= ~body[:, row + 1 :].any(axis=1)
        pressed[:, : across[0]] = pressed[:, across[-1] + 1 :] = False
        parts, count = ndimage.label(free | pressed, np.ones((3, 3), bool))
        enough = np.bincount(parts[free], minlength=count + 1) * cm2 > _FREE_CM2
        enough &= np.bincount(parts[pressed], minlength=count + 1) * cm2 > _PRESSED_CM2
        for number in np.flatnonzero(enough):
            own = parts == number
            beside = np.percentile(cells.hu[:, row][own & free], 75)  # the rest is blurred
            least, most = np.percentile(cells.hu[:, row][own & pressed], [25, 75])
            wide = np.count_nonzero(own.any(axis=0)) * cells.spacing[0] > _BOARD_MM
            if wide and most - least < _EVEN_HU and (least + most) / 2 < beside + _ALIKE_HU:
                result[:, row] |= own & pressed & (cells.hu[:, row] < beside + _ALIKE_HU)
    return result


def edges(posts: np.ndarray, body: np.ndarray, cells: Cells) -> np.ndarray:
    """(k, j, i) bool: the blurred edges of posts, which remain of what was taken for the patient as thin rims.

    Args:
        posts: (k, j, i) bool, from ``find``.
        body: (k, j, i) bool: the rest.
        cells: the scan.
    """
    step = cells.step_mm
    thick = grow(shrink(body, step, step), step, 2 * step, within=body)
    return body & ~thick & grow(posts, step, _EDGE_CELLS * step)


def _rails(trunk: np.ndarray, body: np.ndarray, cells: Cells) -> np.ndarray:
    """(k, j, i) bool: metal of the trunk that has air around most of it."""
    dense = trunk & (cells.hu > _METAL_HU)
    if not dense.any():
        return dense
    metal = components(dense, cells, IN_SLICE)
    possible = metal.chosen(metal.mean_hu > _METAL_MEAN_HU)
    if not possible.any():
        return possible
    outside = ~(body | holes(body))
    rim = possible & ~ndimage.binary_erosion(possible, IN_SLICE, border_value=1)
    free = metal.share(rim & ndimage.binary_dilation(outside, IN_SLICE)) > _FREE_SHARE * metal.share(rim)
    parts = components(metal.chosen(free & (metal.mean_hu > _METAL_MEAN_HU)), cells, ALL_AROUND)
    return parts.chosen(parts.millilitres > _LEAST_METAL_ML)


def _continued(posts: np.ndarray, apart: np.ndarray, dense: np.ndarray) -> np.ndarray:
    """Posts with what goes on from them, slice by slice: whole sections that are apart, or the dense part of others."""
    result = posts.copy()
    for step, slices in ((1, range(1, len(posts))), (-1, range(len(posts) - 2, -1, -1))):
        for k in slices:
            if not result[k - step].any():
                continue
            before = ndimage.binary_dilation(result[k - step])
            for mask, least in ((apart[k], _GOES_ON), (dense[k], _GOES_ON_INSIDE)):
                result[k] |= _covered(mask, before, least)
            # A bone that a post touches makes one section with it: then it goes on where it was.
            result[k] |= dense[k] & _covered(result[k - step], dense[k], _GOES_ON)
    return result


def _covered(mask: np.ndarray, by: np.ndarray, least: float) -> np.ndarray:
    """(j, i) bool: the components of a mask of which another mask covers more than a share."""
    labels, count = ndimage.label(mask)
    share = np.bincount(labels[by], minlength=count + 1) / np.bincount(labels.ravel())
    share[0] = 0
    return (share > least)[labels]
