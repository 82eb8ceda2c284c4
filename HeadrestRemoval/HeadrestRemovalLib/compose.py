"""Scenes with exact truth for training: a patient whose skin is known, and equipment that lies on it.

A scene is a dozen slices on the network's cells, with the share of each cell that is background, patient, headrest,
table or other equipment. Where equipment presses against the skin, each voxel at the edge holds some of both, as in a
real scan, so that nothing gives the seam away but what it looks like.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from . import compose_contact, compose_solids, compose_worn
from . import compose_shapes as shapes
from .compose_patients import Patient
from .labels import BACKGROUND, HEADREST, OTHER, PATIENT, TABLE
from .netgrid import AIR_HU, CELL_MM, SIZE

SLICES = 12
FINE_MM = CELL_MM / 2
"""Scenes are put together on pixels of this size."""
_FINE = 2 * SIZE
_PRONE, _UPRIGHT = 0.13, 0.75
"""Share of patients who lie on the front, and of these, whose scan says so: then the equipment is above in the picture.
"""
_SHOWN = {"contact": compose_contact, "worn": compose_worn, "solids": compose_solids}
"""What scenes of these kinds show is made there."""
_VARIED, _VARIED_PRONE, _VARIED_SCALE = (0.4, 0.35, 0.25), 0.25, (0.85, 1.25)
"""Of scenes that vary: shares of these kinds, of patients who lie on the front, and how small and large they are."""
_HEAD_MM = 240.0
"""What is narrower is a head or neck, which may lie on a headrest."""


@dataclass(frozen=True)
class _Kernel:
    """How many scenes are made by a kernel that sharpens, and with what weight at most."""

    sharp: float
    most: float


_USUAL_KERNEL, _ANY_KERNEL = _Kernel(0.15, 0.6), _Kernel(0.4, 1.8)


@dataclass(frozen=True, eq=False)
class Scene:
    """Some slices of a patient with equipment.

    Attributes:
        hu: (12, 160, 160) int16.
        shares: (12, 160, 160, 5) uint8, what share of each cell each label has, 255 for all of it.
        kind: what was made, for people.
    """

    hu: np.ndarray
    shares: np.ndarray
    kind: str


def scene(patient: Patient, rng: np.random.Generator, own: bool = False, show: str = "all") -> Scene:
    """Compose a scene.

    Args:
        patient: whose slices are taken, at a random height.
        rng: decides everything else.
        own: paint the patient's own surroundings (a real table and so on), moved closer or not, instead of made-up
            things.
        show: "all" there is; "hard", more of what is hard: the vertex, pads as dense as tissue, plates under the
            shoulders; "contact", equipment that touches over a known area, or none at all; "worn", equipment that lies
            on the skin or hugs the patient, who in a part of the scenes lies on the front; "solids", bodies of any form
            and material; "varied", one of the last three, on more patients of any size who lie on the front, by any
            kernel.
    """
    varied = show == "varied"
    if varied:
        show = str(rng.choice(list(_SHOWN), p=_VARIED))
    prone = (varied or show == "worn") and rng.random() < (_VARIED_PRONE if varied else _PRONE)
    scale = rng.uniform(*_VARIED_SCALE) if varied else None
    hu, inside, around_hu, step = _posed(patient, rng, own, show == "hard", prone, scale)
    mask = inside > 0.5
    at = shapes.around(mask, FINE_MM, step)
    full = mask & (ndimage.distance_transform_edt(mask, sampling=(step, FINE_MM, FINE_MM)) > 2.5)
    if rng.random() < 0.5:
        share = np.clip((hu - AIR_HU) / 950, 0, 1) * (at.outside < 2.5)
        share[full] = 1
    else:
        share = inside.copy()
    scenery = np.full(hu.shape, AIR_HU, np.float32)
    labels = np.zeros(hu.shape, np.uint8)
    if own:
        kind = f"{patient.name} own"
        scenery, labels = _own_things(around_hu, mask, at, rng)
    else:
        if show in _SHOWN:
            layers, kind = _SHOWN[show].things(at, rng, 2 * at.half < _HEAD_MM)
        else:
            layers, kind = _hard_things(at, rng) if show == "hard" else _things(at, rng)
        for amount, value, label in layers:
            scenery += amount * (value - scenery)
            labels[amount >= 0.5] = label
        kind = f"{patient.name} {kind}"
    # hu at the skin is already mixed with air; what takes the air's place is added.
    picture = np.where(share > 0, hu, AIR_HU) + (1 - share) * (scenery - AIR_HU)
    labels[mask] = PATIENT
    picture = _scanned(picture, rng, _ANY_KERNEL if varied else _USUAL_KERNEL)
    if rng.random() < 0.25:
        radius = rng.uniform(105, 240)
        corner = np.hypot(at.x + rng.normal(0, 10), at.y + rng.normal(0, 15)) > radius
        picture[:, corner[0]] = rng.choice([-1024.0, AIR_HU])
        labels[:, corner[0]] = BACKGROUND
    if prone and rng.random() < _UPRIGHT:
        picture, labels, kind = picture[:, ::-1], labels[:, ::-1], f"{kind} prone"
    return Scene(*_on_cells(picture, labels), kind)


def _posed(
    patient: Patient, rng: np.random.Generator, own: bool, hard: bool, prone: bool, scale: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, float]:
    """Slices of the patient on the fine pixels, turned, scaled and moved: HU, share inside the skin, all around, step.

    The patient is far away from pixels that have another patient's part in it, so the surroundings come apart.
    """
    thin = max(1, round(3.0 / patient.spacing[2]))
    wanted = SLICES * thin
    first = int(rng.integers(0, max(1, len(patient.hu) - wanted + 1)))
    if rng.random() < 0.6:  # heads are what matters most
        first = max(0, len(patient.hu) - wanted - int(rng.integers(0, max(1, len(patient.hu) // 2))))
    if hard and rng.random() < 0.4:
        first = max(0, len(patient.hu) - wanted - int(rng.integers(0, 2 * thin)))
    index = np.clip(np.arange(first, first + wanted, thin), 0, len(patient.hu) - 1)
    hu, mask = patient.hu[index], patient.mask[index]
    if not mask.any():
        index = np.clip(index - wanted, 0, len(patient.hu) - 1)
        hu, mask = patient.hu[index], patient.mask[index]
    angle = np.radians(rng.normal(0, 2 if own else 7))
    scale = float(rng.uniform(0.88, 1.15)) if scale is None else scale
    columns, rows = np.flatnonzero(mask.any(axis=(0, 1))), np.flatnonzero(mask.any(axis=(0, 2)))
    middle = np.array([(rows[0] + rows[-1]) / 2, (columns[0] + columns[-1]) / 2])
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.diag(1 / np.array(patient.spacing[1::-1])) @ turned * FINE_MM / scale
    if rng.random() < 0.5:
        matrix = matrix @ np.diag([1.0, -1.0])
    if (not own and rng.random() < 0.08) or prone:
        matrix = matrix @ np.diag([-1.0, 1.0])  # lying on the front
    target = (np.array([_FINE, _FINE]) - 1) / 2 + np.array([rng.normal(-15, 15), rng.normal(0, 12)]) / FINE_MM
    offset = middle - matrix @ target

    def onto(pictures: np.ndarray, outside: float) -> np.ndarray:
        return np.stack(
            [
                ndimage.affine_transform(picture, matrix, offset, (_FINE, _FINE), np.float32, 1, cval=outside)
                for picture in pictures
            ]
        )

    rim = ndimage.binary_dilation(mask, np.ones((1, 3, 3), bool))
    inside = onto(mask.astype(np.float32), 0.0)
    alone = onto(np.where(rim, np.maximum(hu, AIR_HU), AIR_HU).astype(np.float32), AIR_HU)
    everything = onto(np.where(mask, AIR_HU, hu).astype(np.float32), AIR_HU) if own else None
    return alone, inside, everything, patient.spacing[2] * thin


def _things(at: shapes.Around, rng: np.random.Generator) -> tuple[list[shapes.Layer], str]:
    if rng.random() < 0.04:
        return [], "nothing"
    layers, words = [], []
    if 2 * at.half < _HEAD_MM and rng.random() < 0.85:
        if rng.random() < 0.4:
            layers += shapes.table(at, rng, rng.uniform(15, 90))
            words.append("table")
        layers += shapes.headrest(at, rng)
        words.append("headrest")
    else:
        layers += shapes.table(at, rng)
        words.append("table")
    more = shapes.others(at, rng)
    return layers + more, " ".join(words + ["others"] * bool(more))


def _hard_things(at: shapes.Around, rng: np.random.Generator) -> tuple[list[shapes.Layer], str]:
    layers: list[shapes.Layer] = []
    if rng.random() < 0.3:
        layers += shapes.table(at, rng, rng.uniform(15, 90))
    if 2 * at.half > _HEAD_MM and rng.random() < 0.6:
        return layers + shapes.board(at, rng), "board"
    layers += shapes.pressed(at, rng) if rng.random() < 0.6 else shapes.headrest(at, rng)
    return layers + (shapes.others(at, rng) if rng.random() < 0.4 else []), "hard headrest"


def _own_things(
    around_hu: np.ndarray, mask: np.ndarray, at: shapes.Around, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """What really lay around the patient, as it was or moved against the back."""
    things = ndimage.gaussian_filter(around_hu, (0, 0.7, 0.7)) > -890
    near = at.outside < 2 * FINE_MM
    labelled, count = ndimage.label(things & ~near)
    sizes = np.bincount(labelled.ravel(), minlength=count + 1)
    sizes[0] = 0
    things &= ~near | (sizes[labelled] > 0)
    below = (at.y > at.back - 25) & things
    if rng.random() < 0.6 and below.any():
        # Move what lies below up to the patient, and a little into him.
        rows = np.flatnonzero(mask.any(axis=(0, 2)))
        columns = np.flatnonzero(below[:, rows[-1] - 10 :].any(axis=(0, 1)))
        gaps = []
        for i in columns[:: max(1, len(columns) // 60)]:
            skin, top = np.flatnonzero(mask[:, :, i].any(axis=0)), np.flatnonzero(below[:, :, i].any(axis=0))
            if len(skin) and len(top):
                gaps.append(top[0] - skin[-1])
        up = round(min(gaps, default=0) + rng.uniform(-1, 4))
        around_hu, things = (np.roll(array, -up, axis=1) for array in (around_hu, things))
    labels = np.zeros(mask.shape, np.uint8)
    labels[things] = OTHER
    labels[things & (at.y > at.back - 25)] = HEADREST if 2 * at.half < _HEAD_MM else TABLE
    return np.maximum(around_hu, AIR_HU), labels


def _scanned(picture: np.ndarray, rng: np.random.Generator, kernel: _Kernel) -> np.ndarray:
    """What the scanner makes of it: resolution, noise, offset."""
    picture = ndimage.gaussian_filter(picture, (0, *[rng.uniform(0, 1.4)] * 2))
    if rng.random() < kernel.sharp:
        picture += rng.uniform(0.2, kernel.most) * (picture - ndimage.gaussian_filter(picture, (0, 1, 1)))
    noise = rng.standard_normal(picture.shape).astype(np.float32)
    noise = ndimage.gaussian_filter(noise, (0, *[rng.uniform(0, 1.2)] * 2))
    picture += noise * (rng.uniform(0, 30) / noise.std())
    return picture + rng.normal(0, 10)


def _on_cells(picture: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    def mean(fine: np.ndarray) -> np.ndarray:
        return fine.reshape(len(fine), SIZE, 2, SIZE, 2).mean(axis=(2, 4), dtype=np.float32)

    hu = np.rint(np.clip(mean(picture), -1024, 3071)).astype(np.int16)
    shares = np.stack([mean(labels == value) for value in (BACKGROUND, PATIENT, HEADREST, TABLE, OTHER)], axis=-1)
    return hu, np.rint(shares * 255).astype(np.uint8)
