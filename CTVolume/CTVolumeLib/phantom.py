"""A digital patient, head to feet, whose truth is known exactly: for tests, demonstration and sample data.

It is made of analytic shapes with the proportions of real people, rendered straight onto the wanted grid. Accuracy of
the tools is never claimed from it, only from real CT.

``make`` renders, ``displacement`` tells where a slice of one state of a patient is found in another, ``write_dicom``
writes a series. The body is in ``phantom_anatomy`` and what it calls, the truth along it in ``phantom_places``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from . import phantom_equipment as equipment
from .errors import CTError
from .phantom_anatomy import BACK_MM, HEAD_BACK_MM, patient
from .phantom_dicom import write_dicom
from .phantom_organs import Sphere
from .phantom_painter import Paint, Painter
from .phantom_parameters import PhantomParameters
from .phantom_places import displacement, forward, from_z, interpolate, landmarks_of, locations_at, unbreathe
from .phantom_tissue import (
    AIRWAY,
    BONE,
    BRAIN_LABEL,
    EYE,
    HEADREST,
    HEART,
    KIDNEY,
    LANDMARK_LOCATION,
    LEFT_LUNG,
    LIVER_LABEL,
    RIGHT_LUNG,
    TABLE,
)
from .volume import CTVolume

__all__ = [
    "Phantom",
    "PhantomParameters",
    "Sphere",
    "displacement",
    "landmarks_of",
    "locations_at",
    "make",
    "write_dicom",
]

_SLAB = 16
"""Slices that are finished at once, to save memory."""

_MASKS = {
    "left lung": (LEFT_LUNG,),
    "right lung": (RIGHT_LUNG,),
    "airway": (AIRWAY,),
    "table": (TABLE,),
    "headrest": (HEADREST,),
    "equipment": (TABLE, HEADREST),
    "bone": (BONE,),
    "liver": (LIVER_LABEL,),
    "heart": (HEART,),
    "kidneys": (KIDNEY,),
    "eyes": (EYE,),
    "brain": (BRAIN_LABEL,),
}


@dataclass(frozen=True, eq=False)
class Phantom:
    """A rendered patient and the truth about it.

    Attributes:
        parameters: what it was made from.
        volume: the scan, int16 HU, slices from the feet to the head.
        landmarks: LPS z in mm of all 12 landmarks, also of those outside the scan.
        locations: (k,) article location of each slice, piecewise linear in z between the landmarks.
        labels: (k, j, i) uint8, numbers as in ``phantom_tissue``.
        masks: name to (k, j, i) bool: left lung, right lung, airway, patient, table, headrest, equipment, bone, liver,
            heart, kidneys, eyes, brain. Lungs include vessels and nodules and leave out windpipe and main bronchi.
    """

    parameters: PhantomParameters
    volume: CTVolume
    landmarks: Mapping[str, float]
    locations: np.ndarray
    labels: np.ndarray
    masks: Mapping[str, np.ndarray] = field(repr=False)


def make(parameters: PhantomParameters | None = None) -> Phantom:
    """Render a patient.

    Raises:
        CTError: the wanted range holds no slice.
    """
    parameters = parameters or PhantomParameters()
    landmarks = landmarks_of(parameters)
    empty = _grid(parameters, landmarks)
    painter = Painter(empty.array.shape, frames(parameters, empty), edge(parameters))
    for paint in _equipment(parameters):
        painter.paint(paint)
    for paint in patient(
        girth=parameters.girth, lordosis=parameters.lordosis, arms=parameters.arms, hair=parameters.hair,
        blood=parameters.contrast, seed=parameters.seed, nodule_count=parameters.nodules,
        ground_glass=parameters.ground_glass, markers=parameters.markers,
    ):  # fmt: skip
        painter.paint(paint)
    array = _scan(painter.hu, painter.labels, parameters)
    volume = empty.with_array(array)
    return Phantom(
        parameters,
        volume,
        landmarks,
        locations_at(volume.superior(), landmarks),
        painter.labels,
        _Masks(painter.labels),
    )


def _grid(parameters: PhantomParameters, landmarks: Mapping[str, float]) -> CTVolume:
    """An empty volume with the wanted geometry."""
    di, dj, dk = (float(value) for value in parameters.spacing)
    columns, rows = (max(1, round(parameters.field_mm / step)) for step in (di, dj))
    if parameters.z_range is not None:
        low, high = (float(value) for value in parameters.z_range)
    else:
        locations, z = np.array(list(LANDMARK_LOCATION.values())), np.array(list(landmarks.values()))
        high, low = (float(interpolate(np.array(value), locations, z)) for value in parameters.coverage)
    count = int(np.floor((high - low) / dk + 1e-6)) + 1
    if count < 1:
        raise CTError(
            "bad_phantom", f"The phantom's range from z {low:.0f} to {high:.0f} mm holds no slice.", "Swap the two."
        )
    z = low + dk * np.arange(count)
    x = parameters.field_centre[0] - di * (columns - 1) / 2
    cos, sin = np.cos(np.radians(parameters.tilt)), np.sin(np.radians(parameters.tilt))
    half = dj * (rows - 1) / 2
    origins = np.stack(
        [np.full(count, x), np.full(count, parameters.field_centre[1] - half * cos), z - half * sin], axis=1
    )
    meta = {
        "modality": "CT", "kernel": parameters.kernel, "slice_thickness": dk, "patient_position": "HFS",
        "series_description": "Phantom", "warnings": (),
    }  # fmt: skip
    return CTVolume(
        np.zeros((count, rows, columns), dtype=np.int16), (di, dj, dk * cos), tuple(origins[0].tolist()),
        (1.0, 0.0, 0.0, 0.0, cos, -sin, 0.0, sin, cos),
        positions=None if parameters.tilt == 0 else np.arange(count) * dk * cos,
        slice_origins=None if parameters.tilt == 0 else origins, meta=meta,
    )  # fmt: skip


def frames(parameters: PhantomParameters, volume: CTVolume) -> dict[str, tuple[np.ndarray, ...]]:
    """Coordinates of the grid in the skeleton's, the organs' and the scanner's frame."""
    _, rows, columns = volume.array.shape
    origins, axes = volume.origins(), volume.axes()
    x = (origins[0, 0] + np.arange(columns) * volume.spacing[0]).reshape(1, 1, -1)
    down = (np.arange(rows) * volume.spacing[1]).reshape(1, -1, 1)
    y = origins[0, 1] + down * axes[1, 1] - parameters.offset_mm[1]
    z = origins[:, 2].reshape(-1, 1, 1) + down * axes[2, 1] if parameters.tilt else origins[:, 2].reshape(-1, 1, 1)
    s = from_z(z, parameters)
    x_body, y_body = (x - parameters.offset_mm[0]) / parameters.size, y / parameters.size
    if parameters.roll:
        cos, sin = np.cos(np.radians(parameters.roll)), np.sin(np.radians(parameters.roll))
        x_body, y_body = cos * x_body + sin * y_body, cos * y_body - sin * x_body
    y_body = y_body - forward(s, parameters)
    return {
        "body": (x_body, y_body, s), "organ": (x_body, y_body, unbreathe(s, parameters.breathing)), "world": (x, y, s),
    }  # fmt: skip


def edge(parameters: PhantomParameters) -> float:
    """Mm over which the edge of a shape is blurred."""
    pixel = max(parameters.spacing[:2]) / parameters.size
    return pixel * 1.1 if parameters.kernel == "sharp" else max(1.3 * pixel, 1.2)


def _equipment(parameters: PhantomParameters) -> list[Paint]:
    size = parameters.size
    surface = (BACK_MM + 70 * (parameters.girth - 1)) * size + 1
    head = float(forward(np.array(100.0), parameters))
    back = (HEAD_BACK_MM + head + min(parameters.hair, 5)) * size
    headrest = parameters.headrest
    paints = equipment.table(surface, (-500 if headrest == "none" else 288, 2000)) if parameters.table else []
    return paints + equipment.headrest(headrest, back, surface, head * size, 77 * size, (12, 268))


def _scan(hu: np.ndarray, labels: np.ndarray, parameters: PhantomParameters) -> np.ndarray:
    """What the scanner makes of it: kernel, noise, round field, whole numbers."""
    seed = parameters.seed if parameters.noise_seed is None else parameters.noise_seed
    rng = np.random.default_rng([seed, 5])
    array = np.empty(hu.shape, dtype=np.int16)
    for start in range(0, len(hu), _SLAB):
        slab = slice(start, start + _SLAB)
        picture = hu[slab]
        if parameters.kernel == "sharp":
            picture = picture + 0.6 * (picture - ndimage.gaussian_filter(picture, (0, 1, 1)))
        if parameters.noise > 0:
            picture = picture + _noise(rng, labels[slab], parameters)
        array[slab] = np.clip(np.rint(picture), -1024, 3071)
    if parameters.round_field:
        j, i = (np.arange(size) - (size - 1) / 2 for size in array.shape[1:])
        outside = np.hypot(j[:, None] / array.shape[1], i[None, :] / array.shape[2]) > 0.5
        array[:, outside] = -1024
        labels[:, outside] = 0
    return array


def _noise(rng: np.random.Generator, labels: np.ndarray, parameters: PhantomParameters) -> np.ndarray:
    """HU to add to a slab, as strong as the body lets through few photons."""
    noise = rng.standard_normal(labels.shape, dtype=np.float32)
    if parameters.kernel == "smooth":
        width = 0.7  # pixels; a Gaussian leaves the share 1 / (2 sqrt(pi) width) of white noise
        noise = ndimage.gaussian_filter(noise, (0, width, width)) * (2 * np.sqrt(np.pi) * width)
    inside = ~np.isin(labels, (0, TABLE, HEADREST))
    area = inside.sum(axis=(1, 2)) * parameters.spacing[0] * parameters.spacing[1]
    # 60 000 mm2 is the cross-section of a middle trunk
    level = parameters.noise * np.clip(0.5 + 0.5 * area / 60_000, 0.5, 2) * (1.8 if parameters.kernel == "sharp" else 1)
    return noise * level.astype(np.float32)[:, None, None]


class _Masks(Mapping):
    """Masks made when they are asked for: a whole set would need more memory than the scan."""

    def __init__(self, labels: np.ndarray) -> None:
        self._labels = labels

    def __getitem__(self, name: str) -> np.ndarray:
        if name == "patient":
            return ~np.isin(self._labels, (0, TABLE, HEADREST))
        return np.isin(self._labels, _MASKS[name])

    def __iter__(self) -> Iterator[str]:
        return iter((*_MASKS, "patient"))

    def __len__(self) -> int:
        return len(_MASKS) + 1
