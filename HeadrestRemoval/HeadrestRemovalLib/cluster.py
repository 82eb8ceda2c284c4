"""Headrest, table and other equipment by clustering: K-means on HU, connected components, place and shape.

1. K-means parts the HU of the scan into classes (``kmeans``); between those of foam and of tissue lies what is solid.
2. The patient is the thick parts of tissue with all they enclose (``body``).
3. Equipment is what is solid and no patient, and what is fainter, but more than air (``faint``).
4. What is equipment is told apart into headrest, table and others by where it lies (``kinds``); dense cloth goes on
   to the skin that it lies on (``cloth``).
5. Surfaces are found on the scan's own voxels (``surface``); pads as dense as tissue and faces of holders
   (``pressed``), sheets over the skin of the head (``sheets``) and straps on it (``straps``) are taken off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from CTVolumeLib.errors import CTError
from CTVolumeLib.progress import Progress, Steps
from CTVolumeLib.volume import CTVolume

from . import body as bodies
from . import cloth, faint, field, kinds, kmeans, pressed, rays, sheets, straps, surface, window
from .contact import contact_cm2
from .grid import cells_of, voxel_step
from .labels import EQUIPMENT, PATIENT
from .results import NO_EQUIPMENT, TOUCHING, TRUNCATED, UNCERTAIN, EquipmentResult

DENSE_HU = -300
"""Denser than this, equipment that touches the skin is told from it by shape alone."""

_LEAST_ML = 1.0
"""Less than this in all is no equipment: thin as they are, rims of ears and tips of noses come in such crumbs."""

_TOUCHING_CM2, _DOUBTFUL_ML = 1.0, 3.0
_FEW_SLICES = 8
_BELOW_AIR_HU, _PADDING_HU, _BELOW_AIR_SHARE = -1300, 10, 0.05
"""No larger share of a scan is fainter than any air and yet no padding."""

_CUT = (TRUNCATED, "The picture cuts the patient at a side; what lies there was kept as patient.")
_NONE = (NO_EQUIPMENT, "No headrest, table or other equipment was found; nothing is removed.")


@dataclass(frozen=True)
class ClusterOptions:
    """How equipment is found.

    Attributes:
        classes: number of classes of HU: air, foam, fat, soft tissue, bone.
    """

    classes: int = 5

    def __post_init__(self) -> None:
        if not 3 <= self.classes <= 12:
            raise CTError(
                "bad_option", f"{self.classes} classes don't tell air, foam and tissue apart.", "Choose 3 to 12."
            )


def label(volume: CTVolume, options: ClusterOptions | None = None, progress: Progress | None = None) -> EquipmentResult:
    """Tell patient, headrest, table and other equipment apart.

    Args:
        volume: a CT with its slices in any order and direction.
        options: see ``ClusterOptions``.
        progress: called with done, total and text; returning False cancels.

    Raises:
        CTError: ``not_ct``, ``no_body``, ``too_few_slices``, ``cancelled``.
    """
    options = options or ClusterOptions()
    steps = Steps(progress, 6, "Looking for equipment")
    labels = np.zeros(volume.array.shape, np.uint8)
    axial, target = volume.as_axial(), volume.with_array(labels).as_axial().array  # the latter is a view
    _refuse_at_once(axial)
    axial = window.with_air(axial)
    steps("Reading the slices")
    cells = cells_of(axial)
    each = kmeans.counts(cells.hu)
    if _fills_the_picture(each) or field.is_within(cells, field.outside(cells)):
        target[...] = PATIENT
        return EquipmentResult(labels, warnings=(_CUT, _NONE))
    steps("Clustering the densities")
    threshold = kmeans.tissue_threshold(kmeans.classes(*kmeans.histogram(each), options.classes))
    steps("Looking for the patient")
    body = bodies.find(cells, threshold)
    steps("Looking for equipment")
    equipment = faint.find(cells, body)
    steps("Telling headrest from table")
    kind = kinds.tell_apart(equipment.mask, body, cells)
    body = cloth.take(body, kind, cells)
    steps("Finding the surfaces")
    surface.onto_voxels(body, equipment, kind, cells, axial.array, target)
    step = voxel_step(cells)
    pressed.take(target, axial.array, step, cells.factors)
    skin = rays.cast(target, axial.array, body.head, step, cells.factors)
    if skin:
        sheets.take(target, axial.array, skin, step, cells.factors)
        straps.take(target, axial.array, skin, step, cells.factors)
    if np.count_nonzero(kind) * cells.millilitres < _LEAST_ML:
        found = target > PATIENT
        if np.count_nonzero(found) * np.prod(step) / 1000 < _LEAST_ML:
            target[found] = PATIENT
    steps("Done")
    warnings = warnings_of(volume, labels, body.cut, body.doubtful_ml)
    return EquipmentResult(labels, "clustering", contact_cm2(volume, labels), warnings)


def refuse_what_is_no_ct(volume: CTVolume) -> None:
    """For other methods: refuse the scans that ``label`` refuses at once.

    Raises:
        CTError: ``not_ct``, ``no_body``, ``too_few_slices``.
    """
    axial = volume.as_axial()
    _refuse_at_once(axial)
    axial = window.with_air(axial)
    _fills_the_picture(kmeans.counts(cells_of(axial).hu))


def warnings_of(
    volume: CTVolume, labels: np.ndarray, cut: bool, doubtful_ml: float = 0.0
) -> tuple[tuple[str, str], ...]:
    """What is to be said about labels, whatever method made them: pairs of a code and a sentence.

    Args:
        volume: the scan.
        labels: (k, j, i) as in ``labels``.
        cut: whether the picture cuts the patient.
        doubtful_ml: see ``body.Body``.
    """
    found = [_CUT] if cut else []
    floor_hu = window.floor_hu(volume)
    if floor_hu is not None:
        text = (
            f"Values below {floor_hu:.0f} HU were cut off in this scan; what is fainter, as foam, can't be seen in it."
        )
        found.append((UNCERTAIN, text))
    if doubtful_ml > _DOUBTFUL_ML:
        text = f"About {doubtful_ml:.0f} mL that hardly touch the patient may be equipment; they were kept as patient."
        found.append((UNCERTAIN, text))
    if labels.max() < min(EQUIPMENT):
        return (*found, _NONE)
    dense_cm2 = contact_cm2(volume, labels, above_hu=DENSE_HU)
    if dense_cm2 >= _TOUCHING_CM2:
        text = f"Equipment as dense as skin touches the patient over {dense_cm2:.0f} cm2; the cut there is a guess."
        found.append((TOUCHING, text))
    if min(volume.array.shape) < _FEW_SLICES:
        found.append(
            (UNCERTAIN, "The scan has few slices, so that parts of patient and equipment are hard to tell apart.")
        )
    return tuple(found)


def _refuse_at_once(axial: CTVolume) -> None:
    if len(axial.array) < 2:
        raise CTError("too_few_slices", "The scan has a single slice.", "Choose a scan of at least two slices.")
    # Padding is far below air, but everywhere the same.
    some = window.samples(axial)
    if np.mean((some < _BELOW_AIR_HU) & (some > some.min() + _PADDING_HU)) > _BELOW_AIR_SHARE:
        raise CTError(
            "not_ct",
            "Much of the scan is fainter than air, so its values are no Hounsfield units.",
            "Load the original DICOM series, or add the offset that is missing (mostly 1024).",
        )
    floor_hu = window.floor_hu(axial)
    if floor_hu is not None and floor_hu > window.LUNG_HU:
        raise CTError(
            "not_ct",
            f"Values below {floor_hu:.0f} HU were cut off in this scan, so that lungs and foam look like air.",
            "Load the original CT, not one that was prepared for a window of HU.",
        )


def _fills_the_picture(each: np.ndarray) -> bool:
    """Whether a scan, of which the counts are given, holds a body and no air around it.

    Raises:
        CTError: ``not_ct``, ``no_body``.
    """
    low, high = kmeans.percentile(each, 0.5), kmeans.percentile(each, 99.5)
    if high < -150:
        raise CTError("no_body", "No patient was found in this scan: it holds air only.", "Choose another scan.")
    if low > -40 or high - low < 20:
        raise CTError(
            "not_ct",
            "The scan holds neither air nor fat, so it is empty, or its values are no Hounsfield units.",
            "Choose a CT; MR and PET have other values.",
        )
    return low > -200
