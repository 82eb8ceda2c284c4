"""A digital patient, head to feet, whose truth is known exactly: for tests, demonstration and sample data.

It is made of analytic shapes with the proportions of real people, rendered straight onto the wanted grid. Accuracy of
the tools is never claimed from it, only from real CT.

A place in the body is s: mm below the vertex of the average adult that the shapes describe. Three maps lead from it
to LPS z: the breath moves organs along s; stature, posture and the person's own proportions stretch s; the vertex
lies at ``vertex_z_mm``. Axial planes stay axial planes under all of them, so the map between two states of a patient
is exact for whole slices (``displacement``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from . import phantom_equipment as equipment
from .errors import CTError
from .phantom_anatomy import BACK_MM, HEAD_BACK_MM, patient
from .phantom_dicom import write_dicom
from .phantom_organs import Sphere
from .phantom_shapes import Painter
from .phantom_tissue import (
    AIRWAY,
    BONE,
    BRAIN_LABEL,
    EYE,
    HEADREST,
    HEART,
    KIDNEY,
    LANDMARK_LOCATION,
    LANDMARK_MM,
    LEFT_LUNG,
    LIVER_LABEL,
    RIGHT_LUNG,
    TABLE,
)  # fmt: skip
from .volume import CTVolume

__all__ = ["Phantom", "PhantomParameters", "Sphere", "displacement", "make", "write_dicom"]

_DOME_TRAVEL = 36.0
"""mm that the right dome moves from full expiration to full inspiration in quiet to deep breathing."""

_NECK = (LANDMARK_MM["C1"], LANDMARK_MM["T1"])

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


@dataclass(frozen=True)
class PhantomParameters:
    """Who lies in the scanner, how, and what is scanned.

    Attributes:
        size: stature; 1 is 1.71 m. Stretches all axes.
        girth: 1 is slim to normal, 1.5 stout.
        variation: share (standard deviation) by which the seed stretches each part between two landmarks; 0.05 is
            much.
        neck_flexion: degrees; the chin goes down and the neck shortens in z.
        lordosis: mm by which the lumbar spine lies further forward.
        breathing: 0 is out, 1 is in; 36 mm between the two at the right dome.
        arms: ``"up"``, ``"down"`` or ``"none"``.
        hair: mm; 0 is bald.
        contrast: HU of blood; 45 is without contrast medium.
        nodules: number of nodules in the lungs, at places that the seed chooses.
        ground_glass: hazy patches in the lungs; x, y, s and radius in mm, HU about -500.
        markers: dense balls fixed to the skeleton; x, y, s in mm of the phantom of size 1.
        table: whether there is one.
        headrest: ``"none"``, ``"flat"``, ``"curved"`` or ``"box"``.
        vertex_z_mm: LPS z of the top of the head.
        offset_mm: LPS x, y by which the patient lies off the scanner's axis.
        roll: degrees by which the patient is turned about the body's axis, the left side down.
        tilt: degrees by which the gantry leans; the slices are sheared as on a real scanner.
        spacing: mm along i, j, k.
        field_mm: width of the square picture.
        field_centre: LPS x, y of its middle in mm.
        round_field: whether corners outside the round field are padded with -1024 HU.
        z_range: LPS z in mm of the lowest and the highest slice, or None to go by ``coverage``.
        coverage: article locations of the highest and the lowest slice.
        noise: standard deviation in HU, in a body of middle width.
        kernel: ``"smooth"`` or ``"sharp"``.
        seed: of the person: proportions, vessels, nodules.
        noise_seed: of the noise; None takes ``seed``.
    """

    size: float = 1.0
    girth: float = 1.0
    variation: float = 0.0
    neck_flexion: float = 0.0
    lordosis: float = 0.0
    breathing: float = 0.5
    arms: str = "none"
    hair: float = 6.0
    contrast: float = 45.0
    nodules: int = 3
    ground_glass: tuple[Sphere, ...] = ()
    markers: tuple[Sphere, ...] = ()
    table: bool = True
    headrest: str = "none"
    vertex_z_mm: float = 0.0
    offset_mm: tuple[float, float] = (0.0, 0.0)
    roll: float = 0.0
    tilt: float = 0.0
    spacing: tuple[float, float, float] = (2.0, 2.0, 5.0)
    field_mm: float = 500.0
    field_centre: tuple[float, float] = (0.0, 10.0)
    round_field: bool = False
    z_range: tuple[float, float] | None = None
    coverage: tuple[float, float] = (-0.01, 0.52)
    noise: float = 12.0
    kernel: str = "smooth"
    seed: int = 0
    noise_seed: int | None = None

    def __post_init__(self) -> None:
        _check(0.3 <= self.size <= 2, "size", self.size, "0.3 to 2")
        _check(0.8 <= self.girth <= 2.5, "girth", self.girth, "0.8 to 2.5")
        _check(0 <= self.variation <= 0.15, "variation", self.variation, "0 to 0.15")
        _check(-30 <= self.neck_flexion <= 40, "neck_flexion", self.neck_flexion, "-30 to 40 degrees")
        _check(0 <= self.breathing <= 1, "breathing", self.breathing, "0 to 1")
        _check(-35 <= self.tilt <= 35, "tilt", self.tilt, "-35 to 35 degrees")
        _check(self.arms in ("up", "down", "none"), "arms", self.arms, "up, down or none")
        _check(self.headrest in equipment.HEADRESTS, "headrest", self.headrest, ", ".join(equipment.HEADRESTS))
        _check(self.kernel in ("smooth", "sharp"), "kernel", self.kernel, "smooth or sharp")
        _check(min(self.spacing) > 0 and self.field_mm > 0, "spacing or field_mm", self.spacing, "above 0")
        _check(
            self.noise >= 0 and self.nodules >= 0 and self.hair >= 0, "noise, nodules or hair", self.noise, "0 or more"
        )


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
    painter = Painter(empty.array.shape, _frames(parameters, empty), _edge(parameters))
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


def landmarks_of(parameters: PhantomParameters) -> dict[str, float]:
    """LPS z in mm of the 12 landmarks, from head to feet."""
    s = np.array(list(LANDMARK_MM.values()))
    dome = list(LANDMARK_MM).index("Right dome of diaphragm")
    s[dome] = _breathe(s[dome], parameters.breathing)
    return dict(zip(LANDMARK_MM, (float(z) for z in _to_z(s, parameters))))


def locations_at(z_mm: np.ndarray, landmarks: Mapping[str, float]) -> np.ndarray:
    """Article location at LPS z: linear between the landmarks, continued beyond the first and the last.

    Args:
        z_mm: any shape.
        landmarks: LPS z in mm by name.
    """
    down = -np.array([landmarks[name] for name in LANDMARK_LOCATION])
    return _interpolate(-np.asarray(z_mm, dtype=float), down, np.array(list(LANDMARK_LOCATION.values())))


def displacement(
    first: Phantom | PhantomParameters, second: Phantom | PhantomParameters, tissue: str = "skeleton"
) -> Callable[[np.ndarray | float], np.ndarray]:
    """The exact map along the body from one state of a patient to another: LPS z (first) -> LPS z (second).

    Args:
        first: where z is given.
        second: where it is wanted.
        tissue: ``"skeleton"``, or ``"organs"`` for what the breath moves (lungs, heart, liver, kidneys). The two differ
            only where the breath differs, between carina and iliac crest.

    Raises:
        CTError: an unknown tissue.
    """
    if tissue not in ("skeleton", "organs"):
        raise CTError("bad_tissue", f"The tissue is skeleton or organs, not {tissue!r}.")
    one, two = (state.parameters if isinstance(state, Phantom) else state for state in (first, second))

    def moved(z_mm: np.ndarray | float) -> np.ndarray:
        s = _from_z(np.asarray(z_mm, dtype=float), one)
        if tissue == "organs":
            s = _breathe(_unbreathe(s, one.breathing), two.breathing)
        return _to_z(s, two)

    return moved


def _check(fine: bool, name: str, value: object, allowed: str) -> None:
    if not fine:
        raise CTError("bad_phantom", f"The phantom's {name} can't be {value}.", f"Choose {allowed}.")


def _interpolate(x: np.ndarray, xp: np.ndarray, fp: np.ndarray) -> np.ndarray:
    """Piecewise linear, continued beyond both ends by the nearest two points."""
    piece = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, len(xp) - 2)
    slope = (fp[piece + 1] - fp[piece]) / (xp[piece + 1] - xp[piece])
    return fp[piece] + (x - xp[piece]) * slope


def _stretch(parameters: PhantomParameters) -> tuple[np.ndarray, np.ndarray]:
    """Knots of the map from s to mm below the vertex in this person."""
    knots = np.array(list(LANDMARK_MM.values()))
    factors = np.full(len(knots) - 1, parameters.size)
    if parameters.variation:
        rng = np.random.default_rng([parameters.seed, 4])
        factors *= np.clip(1 + parameters.variation * rng.standard_normal(len(factors)), 0.7, 1.3)
    neck = (knots[:-1] >= _NECK[0]) & (knots[1:] <= _NECK[1])
    factors[neck] *= np.cos(np.radians(parameters.neck_flexion))
    # above the vertex and below the hips the body goes on with its size alone
    knots = np.concatenate([[knots[0] - 400], knots, [knots[-1] + 900]])
    factors = np.concatenate([[parameters.size], factors, [parameters.size]])
    below = np.concatenate([[0], np.cumsum(np.diff(knots) * factors)])
    return knots, below - below[1]


def _to_z(s: np.ndarray, parameters: PhantomParameters) -> np.ndarray:
    knots, below = _stretch(parameters)
    return parameters.vertex_z_mm - _interpolate(np.asarray(s, dtype=float), knots, below)


def _from_z(z_mm: np.ndarray, parameters: PhantomParameters) -> np.ndarray:
    knots, below = _stretch(parameters)
    return _interpolate(parameters.vertex_z_mm - np.asarray(z_mm, dtype=float), below, knots)


def _breath_knots(breathing: float) -> tuple[np.ndarray, np.ndarray]:
    """S of organs at half a breath, and where the breath takes them: most at the dome, nothing at the carina."""
    still = np.array(
        [
            0.0,
            *(LANDMARK_MM[name] for name in ("Bifurcation of trachea", "Right dome of diaphragm")),
            600.0,
            720.0,
            2000.0,
        ]
    )
    return still, still + (breathing - 0.5) * _DOME_TRAVEL * np.array([0, 0, 1.0, 0.55, 0, 0])


def _breathe(s: np.ndarray, breathing: float) -> np.ndarray:
    return _interpolate(np.asarray(s, dtype=float), *_breath_knots(breathing))


def _unbreathe(s: np.ndarray, breathing: float) -> np.ndarray:
    return _interpolate(np.asarray(s, dtype=float), *_breath_knots(breathing)[::-1])


def _grid(parameters: PhantomParameters, landmarks: Mapping[str, float]) -> CTVolume:
    """An empty volume with the wanted geometry."""
    di, dj, dk = (float(value) for value in parameters.spacing)
    columns, rows = (max(1, round(parameters.field_mm / step)) for step in (di, dj))
    if parameters.z_range is not None:
        low, high = (float(value) for value in parameters.z_range)
    else:
        locations, z = np.array(list(LANDMARK_LOCATION.values())), np.array(list(landmarks.values()))
        high, low = (float(_interpolate(np.array(value), locations, z)) for value in parameters.coverage)
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


def _frames(parameters: PhantomParameters, volume: CTVolume) -> dict[str, tuple[np.ndarray, ...]]:
    """Coordinates of the grid in the skeleton's, the organs' and the scanner's frame."""
    _, rows, columns = volume.array.shape
    origins, axes = volume.origins(), volume.axes()
    x = (origins[0, 0] + np.arange(columns) * volume.spacing[0]).reshape(1, 1, -1)
    down = (np.arange(rows) * volume.spacing[1]).reshape(1, -1, 1)
    y = origins[0, 1] + down * axes[1, 1] - parameters.offset_mm[1]
    z = origins[:, 2].reshape(-1, 1, 1) + down * axes[2, 1] if parameters.tilt else origins[:, 2].reshape(-1, 1, 1)
    s = _from_z(z, parameters)
    x_body, y_body = (x - parameters.offset_mm[0]) / parameters.size, y / parameters.size
    if parameters.roll:
        cos, sin = np.cos(np.radians(parameters.roll)), np.sin(np.radians(parameters.roll))
        x_body, y_body = cos * x_body + sin * y_body, cos * y_body - sin * x_body
    y_body = y_body - _forward(s, parameters)
    return {
        "body": (x_body, y_body, s), "organ": (x_body, y_body, _unbreathe(s, parameters.breathing)), "world": (x, y, s),
    }  # fmt: skip


def _forward(s: np.ndarray, parameters: PhantomParameters) -> np.ndarray:
    """Mm (size 1) to the back by which the bent neck moves neck and head."""
    reach = (_NECK[1] - _NECK[0]) * np.sin(np.radians(parameters.neck_flexion))
    return np.interp(
        s, (_NECK[0] - 20, _NECK[0] + 10, _NECK[1] - 20, _NECK[1] + 15), (-reach, -0.95 * reach, -0.05 * reach, 0)
    )


def _edge(parameters: PhantomParameters) -> float:
    pixel = max(parameters.spacing[:2]) / parameters.size
    return pixel * 1.1 if parameters.kernel == "sharp" else max(1.3 * pixel, 1.2)


def _equipment(parameters: PhantomParameters) -> list:
    size = parameters.size
    surface = (BACK_MM + 70 * (parameters.girth - 1)) * size + 1
    head = float(_forward(np.array(100.0), parameters))
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
