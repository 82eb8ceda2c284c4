"""Posts, plates and rails that hold a patient, as shoulder retractors do, and touch the skin somewhere.

There a scan shows one thick part. But slice by slice posts lie apart, and nothing of a patient is dense all through:
fat and muscle surround each bone, and where a slice shows bone alone, as at the vertex or the elbow, flesh lies above
or below it. Metal rails beneath the back have air around most of them; no implant has.
"""

from __future__ import annotations

import numpy as np
from CTVolumeLib.cells import Cells
from scipy import ndimage

from .components import BONE_HU, FAT_HU, MUSCLE_HU, components
from .shapes import ALL_AROUND, IN_SLICE, grow_along, holes

_MOSTLY = 0.5
"""A section is dense where more than this share of it is as bone is, and less as flesh is."""

_FLESH_SHARE, _FLESH_BESIDE = 0.21, 0.05
"""How much of a post may look like flesh, since edges are blurred, and how much flesh may lie right above and below it,
for its size. In 122 scans posts have .12 to .19 and at most .02; the vertex and ends of bones have from .23 and .09."""

_LEAST_ML = 5.0
_METAL_HU, _METAL_MEAN_HU, _FREE_SHARE, _LEAST_METAL_ML = 400, 1000, 0.5, 2.0
"""What may be metal, what is, how much of its rim in a slice borders air, and how much of it there must be."""

_GOES_ON = 0.6
"""Share of a post's section that lies over its section in the slice before."""


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
            for mask in (apart[k], dense[k]):
                labels, count = ndimage.label(mask)
                share = np.bincount(labels[before], minlength=count + 1) / np.bincount(labels.ravel())
                share[0] = 0
                result[k] |= (share > _GOES_ON)[labels]
    return result
