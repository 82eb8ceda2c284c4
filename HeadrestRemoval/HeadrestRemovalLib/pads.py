"""Pads as dense as tissue that are pressed against the skin of the back: they are no patient.

No threshold tells such a pad from skin. What touches the patient from behind is looked at from behind (``back``), where
the skin runs beneath it is found (``beneath``), and what lies beyond that is pad if it is of one material.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy import ndimage

from . import back as backs
from . import beneath, seam
from .back import AIR_HU, SKIN_HU
from .grid import Factors, Step, middle_voxels
from .labels import BACKGROUND, EQUIPMENT, PATIENT
from .shapes import grow, shrink

_LEAST_CM2 = 1.5
"""What touches the back over less is left as it is."""

_BLUR_MM = 1.0
"""Where no seam shows it is looked for once more in HU blurred by so much (standard deviation of a Gauss): noise and a
sharp kernel make what is of one material look like several."""

_BESIDE_STEPS = 1.5
"""Voxels within so many rows of the skin hold some of both, and tell nothing of the pad's material."""

_PAD_ML = 0.8
"""A pad is larger: else it is the skin's own unevenness."""

_EVEN_HU, _EVEN_SHARE = 50, 0.5
"""A pad is of one material: at least that share of it is no farther from its median HU."""

_DENSE_HU = 75.0
"""Its spread is that of what is so near to its median; the rest are edges and films."""

_GAP_HU = -300
"""What is fainter is no skin: a gap behind it."""

_KNOWN_STEPS = 1.5
"""Where the seam is seen around, the skin ends no farther out than so many rows."""

_SKIN_MM = (2.0, 4.0)
"""Free skin is looked at so many mm (half of the range, middle) beneath its surface, whether it is as the pad is."""

_OTHER_SHARE = 0.1
"""It is not if less of it is. Larger pads whose seam is not seen are taken only then."""

_GAP_BEFORE_MM, _GAP_BEHIND_MM, _RISE_HU, _GAP_SHARE = 2.0, 3.0, 250, 0.5
"""In what only the skin around tells to be a pad a gap is looked for from so far before its end to so far behind it:
air, after which HU rises by so much within as much again. If a larger share of its columns shows one, it is no pad.
"""

_DEEPER_MM = 4.0
"""Then the pad's own material tells how deep it goes, that far beneath where the skin was thought to be."""

_MEAN_MM, _BONE_HU, _BONE_SHARE, _BONE_MM = 28.0, 300, 0.01, 1.0
"""No pad is on average thicker, and none holds as much bone, be it blurred over so much (standard deviation of a
Gauss): then the skin was thought too deep."""

_LOOSE_ML, _LOOSE_MM = 60.0, 24.0
"""What comes loose with a pad is smaller or thinner; else it may be an arm."""

_OWN_SHARE = 0.9
"""Of what comes loose at least that much belonged to the body before."""

_FAR_SIDE_MM = 10.0
"""How thick the foam behind a pad that was taken for the patient may be."""

_ALL_AROUND = np.ones((3, 3), bool)


def take(
    labels: np.ndarray, hu: np.ndarray, step: Step, factors: Factors, faceless: np.ndarray | None = None
) -> None:  # fmt: skip
    """Give to the equipment the pads behind the patient that were taken for the patient.

    Args:
        labels: (k, j, i) uint8, slices from the feet to the head, rows from front to back; is changed.
        hu: (k, j, i) the scan.
        step: mm along k, j, i.
        factors: voxels in a cell along k, j, i.
        faceless: (k, j, i) the labels without what is known to be the face of a holder, where no skin ends; None where
            nothing is known.
    """
    back = backs.find(labels, hu, step, factors)
    patches, _ = ndimage.label(ndimage.binary_closing(back.touched, _ALL_AROUND))
    before = None
    for number, box in enumerate(ndimage.find_objects(patches), start=1):
        if back.cm2(patches[box] == number) < _LEAST_CM2:
            continue
        room = [int(np.ceil(beneath.AROUND_MM / size)) for size in back.size]
        window = tuple(slice(max(0, side.start - add), side.stop + add) for side, add in zip(box, room))
        columns = partial(backs.columns, labels, labels if faceless is None else faceless, hu, factors, window)
        patch = patches[window] == number
        skin = beneath.find(back.part(window), patch, columns, step[1])
        if skin is None or not (skin.small or skin.seam):
            columns = partial(columns, blur=(_BLUR_MM / step[1], _BLUR_MM / back.size[1]))
            blurred = beneath.find(back.part(window), patch, columns, step[1])
            skin = blurred if blurred and blurred.seam else skin
        if skin is None:
            continue
        before = labels.copy() if before is None else before
        _take_beyond(labels, hu, step, factors, window, skin)
    if before is not None:
        _take_what_hung_on_it(labels, _largest(middle_voxels(before, factors) == PATIENT), step, factors)
        _take_far_sides(labels, hu, (before == PATIENT) & (labels > PATIENT), step)


def _take_beyond(
    labels: np.ndarray, hu: np.ndarray, step: Step, factors: Factors, window: tuple[slice, slice], skin: beneath.Skin
) -> None:  # fmt: skip
    """Make equipment what lies beyond the skin in the columns of a pad, if it is of one material."""
    k, i = (
        np.arange(side.start * factor, min(side.stop * factor, size))
        for side, factor, size in zip(window, factors[::2], labels.shape[::2])
    )
    at = np.meshgrid(
        *((one - factor // 2) / factor - side.start for one, factor, side in zip((k, i), factors[::2], window)),
        indexing="ij",
    )

    def on_voxels(mask: np.ndarray) -> np.ndarray:
        return ndimage.map_coordinates(mask.astype(np.uint8), at, order=0, mode="nearest")[:, None] > 0

    surface = ndimage.map_coordinates(skin.height, at, order=1, mode="nearest")[:, None]
    columns, exact = on_voxels(ndimage.binary_dilation(skin.patch, _ALL_AROUND)), on_voxels(skin.exact)
    box = (slice(k[0], k[-1] + 1), slice(None), slice(i[0], i[-1] + 1))
    kind, value = labels[box], np.nan_to_num(hu[box], nan=-1000.0)
    height = np.arange(labels.shape[1])[None, :, None] * step[1]
    beyond = (kind == PATIENT) & columns & (height > surface) & (height < surface + beneath.THICK_MM)
    if skin.seam is None:
        material = _material(kind, value, beyond, height > surface + _BESIDE_STEPS * step[1], step)
    else:
        material = skin.seam.middle_hu, skin.seam.spread_hu
    if material is None:
        return
    alike = seam.is_alike(value, *material)
    # The skin may lie farther out than thought: then the pad starts where its material does, or behind a gap.
    starts = alike | (value < _GAP_HU)
    if skin.seam is not None:
        beyond &= value < skin.seam.tissue_hu
        starts |= exact | (height > surface + _KNOWN_STEPS * step[1])
    beyond &= np.maximum.accumulate(starts & (height > surface), axis=1)
    if skin.seam is None:
        own = (kind == PATIENT) & ~columns & (np.abs(height - surface + _SKIN_MM[1]) < _SKIN_MM[0])
        if own.any() and np.mean(alike[own]) < _OTHER_SHARE:
            deeper = (kind == PATIENT) & columns & alike & (height > surface - _DEEPER_MM)
            for _ in range(int(np.ceil(2 * _DEEPER_MM / step[1]))):
                beyond[:, :-1] |= deeper[:, :-1] & (beyond | (kind > PATIENT))[:, 1:]
        elif not skin.small:
            return  # neither a seam nor another density: it may be the skin itself
        if beyond.any() and _ends_at_a_gap(value, beyond, step[1]):
            return
    thick = np.count_nonzero(beyond) * step[1] / max(np.count_nonzero(beyond.any(axis=1)), 1)
    if not beyond.any() or thick > _MEAN_MM or _is_bony(value, beyond, step):
        return
    kind[beyond] = _commonest(kind)


def _material(
    kind: np.ndarray, value: np.ndarray, beyond: np.ndarray, deep: np.ndarray, step: Step
) -> tuple[float, float] | None:
    """Median HU and standard deviation of what lies beyond the skin; None where it is little or of several materials.

    ``deep`` is (k, j, i) bool: what lies so far beyond the skin that it holds none of it.
    """
    inside = ndimage.binary_erosion(beyond | (kind > PATIENT), _ALL_AROUND[None]) & deep
    material = value[inside & beyond]
    if material.size * np.prod(step) / 1000 < _PAD_ML:
        return None
    middle = float(np.median(material))
    if np.mean(np.abs(material - middle) < _EVEN_HU) < _EVEN_SHARE:
        return None
    dense = material[np.abs(material - middle) < _DENSE_HU]
    middle = float(np.median(dense))
    return middle, 1.4826 * float(np.median(np.abs(dense - middle)))


def _is_bony(value: np.ndarray, pad: np.ndarray, step: Step) -> bool:
    """Whether what may be a pad holds bone; a sharp kernel makes the edges of plastic as dense, but thinner."""
    if np.mean(value[pad] > _BONE_HU) <= _BONE_SHARE:
        return False
    blurred = ndimage.gaussian_filter(value.astype(np.float32), (0, *(_BONE_MM / size for size in step[1:])))
    return bool(np.mean(blurred[pad] > _BONE_HU) > _BONE_SHARE)


def _ends_at_a_gap(value: np.ndarray, pad: np.ndarray, step_mm: float) -> bool:
    """Whether a gap parts most of what may be a pad from what is dense behind it: then it hangs on the patient alone.

    A pad lies on a holder, or is followed by its foam.
    """
    k, i = np.nonzero(pad.any(axis=1))
    last = pad.shape[1] - 1 - pad[k, ::-1, i].argmax(axis=1)
    before, behind = (max(1, round(reach / step_mm)) for reach in (_GAP_BEFORE_MM, _GAP_BEHIND_MM))
    rows = np.clip(last[:, None] + np.arange(-before, 2 * behind + 1), 0, pad.shape[1] - 1)
    column = value[k[:, None], rows, i[:, None]]
    darkest = np.minimum.accumulate(column[:, : before + behind + 1], axis=1)
    darkest = np.pad(darkest, ((0, 0), (0, behind)), mode="edge")
    gap = (darkest < SKIN_HU) & (column > darkest + _RISE_HU)
    return bool(np.mean(gap.any(axis=1)) > _GAP_SHARE)


def _take_what_hung_on_it(labels: np.ndarray, body: np.ndarray, step: Step, factors: Factors) -> None:
    """Make equipment the small parts that belonged to the body (cells, before) by nothing but pads."""
    parts, count = ndimage.label(middle_voxels(labels, factors) == PATIENT)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    loose = np.bincount(parts[body], minlength=count + 1) > _OWN_SHARE * sizes
    sizes[0] = 0
    loose[[0, int(sizes.argmax())]] = False
    if not loose.any():
        return
    thick = shrink(loose[parts], step[1] * factors[1], _LOOSE_MM / 2)
    large = sizes * np.prod(step) * np.prod(factors) / 1000 >= _LOOSE_ML
    loose &= ~large | (np.bincount(parts[thick], minlength=count + 1) == 0)
    if not loose.any():
        return
    cells = grow(loose[parts], 1.0, 1.0)
    kind = _commonest(middle_voxels(labels, factors)[ndimage.binary_dilation(cells)])
    keep = grow(parts == int(sizes.argmax()), 1.0, 1.0)
    for k, j, i in zip(*np.nonzero(cells & ~keep)):
        cell = labels[tuple(slice(at * factor, (at + 1) * factor) for at, factor in zip((k, j, i), factors))]
        cell[cell == PATIENT] = kind


def _take_far_sides(labels: np.ndarray, hu: np.ndarray, taken: np.ndarray, step: Step) -> None:
    """Make equipment what is more than air right behind what was taken: its blurred edge, or foam."""
    k, i = np.nonzero(taken.any(axis=1))
    if not k.size:
        return
    box = (slice(k.min(), k.max() + 1), slice(None), slice(i.min(), i.max() + 1))
    kind, reached = labels[box], np.where(taken[box], labels[box], BACKGROUND)
    faint = (kind == BACKGROUND) & (hu[box] > AIR_HU)
    for _ in range(round(_FAR_SIDE_MM / step[1])):
        reached[:, 1:] = np.where(faint[:, 1:] & (reached[:, 1:] == BACKGROUND), reached[:, :-1], reached[:, 1:])
    kind[faint] = reached[faint]


def _commonest(kind: np.ndarray) -> int:
    """The equipment that most of the labels are."""
    counts = np.bincount(kind.ravel(), minlength=max(EQUIPMENT) + 1)
    return max(EQUIPMENT, key=lambda one: counts[one])


def _largest(mask: np.ndarray) -> np.ndarray:
    parts, _ = ndimage.label(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return parts == int(sizes.argmax())
