"""Draws equipment into the air around a patient whose outline is known: the truth of the evaluation is exact.

The patient lies on the back, x to the left, y to the back, z to the head, in mm. Equipment is drawn in air first and
the patient laid over it with its blurred skin, so that a voxel of the skin that touches plastic holds some of both, as
in a scan.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from CTVolumeLib.cells import slice_step
from CTVolumeLib.phantom_shapes import Shape, tube
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

from .contact import contact_cm2
from .labels import BACKGROUND, HEADREST, OTHER, PATIENT, TABLE

AIR_HU = -1000.0
PLASTIC_HU, CARBON_HU, FOAM_HU, CUSHION_HU, BEADS_HU, STRAP_HU, METAL_HU, CLOTH_HU, MATTRESS_HU = (
    60.0, -80.0, -860.0, -930.0, -870.0, -180.0, 2900.0, -650.0, -930.0,
)  # fmt: skip
_AIR_NOISE_HU = 9.0


@dataclass(frozen=True, eq=False)
class Patient:
    """A patient in air.

    Attributes:
        name: for the tables.
        person: who; cases of one person are not independent.
        volume: axial scan, the equipment's place filled with air.
        mask: (k, j, i) bool, all within the skin.
        cover: (k, j, i) float32, share of each voxel that the patient takes; 1 inside, blurred at the skin.
        head: slices of the head from the nape up, where a headrest may lie; empty without a head.
    """

    name: str
    person: str
    volume: CTVolume
    mask: np.ndarray
    cover: np.ndarray
    head: slice = field(default_factory=lambda: slice(0, 0))


class Scene:
    """Equipment around one patient, drawn piece by piece.

    Args:
        patient: the patient.
        seed: of the noise.
    """

    def __init__(self, patient: Patient, seed: int = 0) -> None:
        self.patient, self.rng = patient, np.random.default_rng(seed)
        volume = patient.volume
        self.step = (slice_step(volume), volume.spacing[1], volume.spacing[0])
        shape = volume.array.shape
        origins, axes = volume.origins(), volume.axes()
        down = np.arange(shape[1]).reshape(1, -1, 1) * volume.spacing[1]
        self.x = (origins[0, 0] + np.arange(shape[2]) * volume.spacing[0]).astype(np.float32).reshape(1, 1, -1)
        self.y = (origins[0, 1] + down * axes[1, 1]).astype(np.float32)
        self.z = (origins[:, 2].reshape(-1, 1, 1) + down * axes[2, 1]).astype(np.float32)
        self.hu = np.full(shape, AIR_HU, np.float32)
        self.labels = np.zeros(shape, np.uint8)
        self.touched = np.zeros(shape, bool)
        rows = np.where(patient.mask.any(axis=1), shape[1] - patient.mask[:, ::-1].argmax(axis=1), -1)
        y = self.y[0, :, 0]
        self.back = np.where(rows >= 0, y[np.maximum(rows - 1, 0)] + self.step[1] / 2, -np.inf)
        """(k, i) y of the patient's back, -inf beside the patient."""
        self._away: np.ndarray | None = None

    def away(self) -> np.ndarray:
        """(k, j, i) mm from the patient, 0 inside, also in the nostrils and the mouth: nothing is put there."""
        if self._away is None:
            filled = self.patient.mask.copy()
            for plane in filled:
                if plane.any():
                    plane[...] = closed(plane, 9.0 / self.step[1])
            self._away = ndimage.distance_transform_edt(~filled, self.step).astype(np.float32)
        return self._away

    def head_box(self) -> tuple[float, float, float, float, float, float]:
        """Of the head: x from and to, y from and to, z from and to."""
        part = self.patient.mask[self.patient.head]
        z = self.z[self.patient.head, :, 0].mean(axis=1)
        # the head from the ears up, not the shoulders: the median width of the slices
        columns = part.any(axis=1).sum(axis=1).argsort()[len(part) // 2]
        i, j = np.flatnonzero(part[columns].any(axis=0)), np.flatnonzero(part[columns].any(axis=1))
        x, y = self.x[0, 0], self.y[0, :, 0]
        return float(x[i[0]]), float(x[i[-1]]), float(y[j[0]]), float(y[j[-1]]), float(z[0]), float(z[-1])

    def paint(self, distance: np.ndarray, hu: float, label: int, grain: float = 0.0) -> None:
        """Draw what lies at a negative distance (mm), its edge blurred over a pixel, over what is there."""
        cover = np.clip(0.5 - distance / max(self.step[1:]), 0, 1)
        material = hu if not grain else hu + grain * self.rng.standard_normal(cover.shape).astype(np.float32)
        self.hu += cover * (material - self.hu)
        self.labels[distance < 0] = label
        self.touched |= cover > 0.02

    def shape(self, shape: Shape, hu: float, label: int) -> None:
        """Draw a shape of the phantom's."""
        self.paint(np.asarray(shape.distance(self.x, self.y, -self.z)), hu, label)

    def slab(
        self,
        top: np.ndarray,
        thick: float | np.ndarray,
        hu: float,
        label: int,
        x: tuple[float, float],
        z: tuple[float, float],
        grain: float = 0.0,
    ) -> None:
        """Draw a layer behind a surface.

        Args:
            top: (k, i) or (1, i) y of the surface.
            thick: mm along y, one or (k, i); nothing is drawn where it is not above 0.
            hu: of the material.
            label: its label.
            x: from, to.
            z: from, to.
            grain: HU of its texture.
        """
        top = top[:, None, :]
        thick = np.asarray(thick, np.float32)
        thick = thick[:, None, :] if thick.ndim else thick
        distance = np.maximum(top - self.y, self.y - top - thick)
        sides = np.maximum(np.maximum(x[0] - self.x, self.x - x[1]), np.maximum(z[0] - self.z, self.z - z[1]))
        self.paint(np.maximum(distance, sides), hu, label, grain)

    def shell(self, inner: float, outer: float, hu: float, label: int, where: np.ndarray, grain: float = 0.0) -> None:
        """Draw all between two distances from the patient where ``where`` (mm, negative inside) allows."""
        away = self.away()
        self.paint(np.maximum(np.maximum(inner - away, away - outer), where), hu, label, grain)

    def finish(self, noise: float = _AIR_NOISE_HU) -> tuple[CTVolume, np.ndarray, np.ndarray]:
        """The scan, its labels and the voxels that no truth is known for: the equipment's blurred edge."""
        patient = self.patient
        hu = patient.volume.array.astype(np.float32)
        hu += (1 - patient.cover) * (self.hu - AIR_HU + noise * self.rng.standard_normal(hu.shape).astype(np.float32))
        labels = np.where(patient.mask, PATIENT, self.labels).astype(np.uint8)
        rim = self.touched & (labels == BACKGROUND)
        array = np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
        return patient.volume.with_array(array), labels, rim

    def contact(self) -> float:
        """Area in cm2 over which patient and equipment touch so far."""
        return contact_cm2(self.patient.volume, np.where(self.patient.mask, PATIENT, self.labels))


def headrest(scene: Scene, kind: str, gap_mm: float = 5.0, contact: float | None = None) -> None:
    """A headrest under the head.

    Args:
        scene: where it is drawn.
        kind: "shell" (curved plastic), "cradle" (curved, carbon over foam, padded), "block" (foam with a skin, flat)
            or "tub" (deep, hard, with sides).
        gap_mm: between head and headrest.
        contact: cm2 over which it touches instead, or None.
    """
    left, right, front, back, low, high = scene.head_box()
    middle, half = (left + right) / 2, (right - left) / 2
    rise, power, wide = {
        "shell": (28.0, 3, half + 12),
        "cradle": (back - (front + back) / 2, 3, half + 16),
        "block": (0.0, 2, half + 20),
        "tub": (back - (front + back) / 2 + 10, 4, half + 18),
    }[kind]
    surface = np.float32(-rise) * np.abs((scene.x[0, 0] - middle) / wide) ** power
    x, z = (middle - wide, middle + wide), (low, high + 12)
    level = surface + np.float32(_lowest(scene, surface, x, z) + (gap_mm if contact is None else 0.5))
    top = level[None, :]
    layers = {
        "shell": ((0, 4, PLASTIC_HU), (4, 7, FOAM_HU)),
        "cradle": ((0, 3, CARBON_HU), (3, 14, FOAM_HU), (14, 17, CARBON_HU)),
        "block": ((0, 2, -300.0), (2, 34, FOAM_HU + 60), (34, 37, CARBON_HU)),
        "tub": ((0, 5, 110.0), (5, 9, -400.0)),
    }[kind]
    for start, stop, hu in layers:
        scene.slab(top + np.float32(start), stop - start, hu, HEADREST, x, z)
    if contact is not None:
        raised = _filled(scene, level, x, z, contact)
        scene.slab(raised, np.where(raised < top, top - raised + 1, 0), layers[0][2], HEADREST, x, z)


def cushion(scene: Scene, thick: float = 18.0, hu: float = CUSHION_HU, press: float = 26.0) -> None:
    """A foam cushion that the head sinks into, on a plastic shell; it touches all over."""
    left, right, _, _, low, high = scene.head_box()
    middle, half = (left + right) / 2, (right - left) / 2
    x, z = (middle - half - 14, middle + half + 14), (low, high + 15)
    flat = np.zeros_like(scene.x[0, 0])
    lowest = _lowest(scene, flat, x, z)
    shape = 24 * np.abs((scene.x[0, 0] - middle) / (half + 14)) ** 3
    floor = np.float32(lowest + thick) - shape
    top = (floor - np.float32(thick + press))[None, :]
    scene.slab(top, thick + press, hu, HEADREST, x, z, grain=14)
    scene.slab(floor[None, :], 4, PLASTIC_HU, HEADREST, x, z)


def vacuum(scene: Scene) -> None:
    """A vacuum cushion of beads in a thin skin, moulded to the back and the sides of the head."""
    left, right, front, back, low, high = scene.head_box()
    middle = (left + right) / 2
    depth = front + 0.45 * (back - front) - scene.y
    where = np.maximum(depth, np.maximum(low - scene.z, scene.z - high - 10))
    where = np.maximum(where, np.abs(scene.x - middle) - (right - left) / 2 - 45)
    where = np.maximum(where, scene.y - back - 34)
    scene.shell(-1.0, 40.0, -350.0, HEADREST, where)
    scene.shell(2.0, 38.0, BEADS_HU, HEADREST, where + 2, grain=45)


def ear_pads(scene: Scene) -> None:
    """A holder whose padded cheeks press on the ears, and a shell behind the head."""
    left, right, front, back, low, high = scene.head_box()
    middle_y, z = (front + back) / 2, (low + high) / 2
    for side, x in ((-1, left), (1, right)):
        block = np.maximum(np.abs(scene.y - middle_y - 10) - 34, np.abs(scene.z - z) - 38)
        across = (scene.x - x) * side
        scene.paint(np.maximum(np.maximum(-3.0 - across, across - 9.0), block), FOAM_HU + 60, HEADREST)
        scene.paint(np.maximum(np.maximum(9.0 - across, across - 14.0), block), PLASTIC_HU, HEADREST)
    headrest(scene, "shell", 3.0)


def straps(scene: Scene) -> None:
    """Straps over forehead and chin, from the headrest over the skin."""
    for share, width in ((0.8, 14.0), (0.28, 9.0)):
        scene.shell(-1.0, 3.0, STRAP_HU, OTHER, strap_place(scene, share, width))


def strap_place(scene: Scene, share: float, width: float) -> np.ndarray:
    """(k, j, i) mm, negative where a strap lies round the front: so high up the head, from 0 to 1, and half so wide."""
    left, right, _, back, low, high = scene.head_box()
    where = np.maximum(np.abs(scene.z - low - share * (high - low)) - width, scene.y - back + 12)
    return np.maximum(where, np.abs(scene.x - (left + right) / 2) - (right - left) / 2 - 6)


def mask_frame(scene: Scene) -> None:
    """A thermoplastic mask, 2 mm over the face, on a board behind the head."""
    left, right, front, back, low, high = scene.head_box()
    half = (right - left) / 2
    where = np.maximum(scene.y - (front + back) / 2 - 20, np.maximum(low + 6 - scene.z, scene.z - high + 4))
    where = np.maximum(where, np.abs(scene.x - (left + right) / 2) - half - 8)
    scene.shell(2.0, 4.5, -150.0, OTHER, where)
    board = np.full_like(scene.x[0, 0], back + 34)
    scene.slab(board[None, :], 14, FOAM_HU + 100, HEADREST, (left - 40, right + 40), (low - 20, high + 15))
    scene.slab(board[None, :] - 2, 2, CARBON_HU, HEADREST, (left - 40, right + 40), (low - 20, high + 15))
    headrest(scene, "shell", 2.0)


def stereotactic(scene: Scene) -> None:
    """A metal ring about the head with four posts whose pins reach the skin."""
    left, right, front, back, low, high = scene.head_box()
    x, y = (left + right) / 2, (front + back) / 2
    a, b = (right - left) / 2 + 38, (back - front) / 2 + 30
    s = -(low + 0.3 * (high - low))
    ring = [(x + a * np.cos(t), y + b * np.sin(t), s) for t in np.linspace(0, 2 * np.pi, 33)]
    for part in tube(ring, 5.0):
        scene.shape(part, METAL_HU, OTHER)
    tip_s = -(low + 0.72 * (high - low))
    j, i = scene.y[0, :, 0], scene.x[0, 0]
    k = int(np.argmin(np.abs(scene.z[:, 0, 0] + tip_s)))
    for angle in np.radians((40, 140, 220, 320)):
        corner = (x + a * 0.95 * np.cos(angle), y + b * 0.95 * np.sin(angle))
        for part in tube([(*corner, s), (*corner, tip_s)], 4.5):
            scene.shape(part, METAL_HU, OTHER)
        along = np.linspace(0, 1, 200)
        line = np.stack([corner[0] + along * (x - corner[0]), corner[1] + along * (y - corner[1])], axis=1)
        inside = scene.patient.mask[k, np.abs(j[None] - line[:, 1:]).argmin(1), np.abs(i[None] - line[:, :1]).argmin(1)]
        tip = line[int(inside.argmax())] if inside.any() else line[120]
        for part in tube([(*corner, tip_s), (float(tip[0]), float(tip[1]), tip_s)], (3.0, 1.5)):
            scene.shape(part, METAL_HU, OTHER)


def table(scene: Scene, gap_mm: float = 1.0, mattress: bool = True, contact: float | None = None) -> None:
    """A dished table, with a mattress that the patient sinks into by some mm."""
    body = np.isfinite(scene.back)
    x_of = np.flatnonzero(body.any(axis=0))
    middle = float(scene.x[0, 0][x_of].mean())
    surface = np.float32(-40.0) * np.abs((scene.x[0, 0] - middle) / 210) ** 2
    x, z = (middle - 205, middle + 205), (float(scene.z.min()) - 5, float(scene.z.max()) + 5)
    level = surface + np.float32(_lowest(scene, surface, x, z) + (gap_mm if contact is None else 0.5))
    top = level[None, :]
    if contact is not None:
        raised = _filled(scene, level, x, z, contact)
        scene.slab(raised, np.where(raised < top, top - raised + 1, 0), CARBON_HU, TABLE, x, z)
    thick = 0.0
    if mattress:
        thick = 14.0
        scene.slab(top - np.float32(8), thick + 8, MATTRESS_HU, TABLE, x, z, grain=10)
        scene.slab(top - np.float32(9.5), 1.5, -500.0, TABLE, x, z)
    scene.slab(top + np.float32(thick), 2.5, CARBON_HU, TABLE, x, z)
    scene.slab(top + np.float32(thick + 2.5), 28, FOAM_HU + 120, TABLE, x, z)
    scene.slab(top + np.float32(thick + 30.5), 2.5, CARBON_HU, TABLE, x, z)


def blanket_and_cables(scene: Scene) -> None:
    """A blanket over the front of the body and three cables on and beside it."""
    where = np.broadcast_to(scene.y - float(np.median(scene.back[np.isfinite(scene.back)])) + 40, scene.labels.shape)
    scene.shell(1.5, 6.0, CLOTH_HU, OTHER, where, grain=60)
    z = (float(scene.z.min()) - 5, float(scene.z.max()) + 5)
    front = front_of(scene)
    for n, x in enumerate((-70.0, 10.0, 95.0)):
        column = int(np.argmin(np.abs(scene.x[0, 0] - x)))
        heights = front[:, column]
        good = np.isfinite(heights)
        if not good.any():
            continue
        ks = np.flatnonzero(good)[:: max(1, round(12 / scene.step[0]))]
        points = [(x + 3 * np.sin(k / 5 + n), float(heights[k]) - 9, -float(scene.z[k, 0, 0])) for k in ks]
        points = [(points[0][0], points[0][1], -z[0]), *points] if len(points) > 1 else []
        for part in tube(points, 2.6):
            scene.shape(part, 400.0 if n else 1400.0, OTHER)


def front_of(scene: Scene) -> np.ndarray:
    """(k, i) y of the patient's front, inf beside the patient."""
    mask = scene.patient.mask
    return np.where(mask.any(axis=1), scene.y[0, :, 0][mask.argmax(axis=1)], np.inf)


def closed(plane: np.ndarray, pixels: float) -> np.ndarray:
    """A slice whose openings narrower than twice as many pixels are closed."""
    grown = ndimage.distance_transform_edt(~plane) <= pixels
    return plane | (ndimage.distance_transform_edt(ndimage.binary_fill_holes(grown)) > pixels)


def _lowest(scene: Scene, surface: np.ndarray, x: tuple[float, float], z: tuple[float, float]) -> float:
    """By how much a surface (i,) has to be moved back so that it just touches the patient."""
    i = (scene.x[0, 0] >= x[0]) & (scene.x[0, 0] <= x[1])
    heights = scene.z[:, :, 0].mean(axis=1)
    k = (heights >= z[0]) & (heights <= z[1])
    return float((scene.back[k][:, i] - surface[i]).max())


def _filled(
    scene: Scene, surface: np.ndarray, x: tuple[float, float], z: tuple[float, float], contact: float
) -> np.ndarray:
    """(k, i) y of a surface (i,) whose padding is pressed against the patient over this many cm2.

    The padding fills the gap where it is narrowest, so that nothing reaches into the patient.
    """
    before = scene.labels.copy()
    room = surface[None, :] - scene.back
    sides = (scene.x[0, 0] >= x[0]) & (scene.x[0, 0] <= x[1])
    heights = scene.z[:, :, 0].mean(axis=1)
    allowed = sides[None, :] & ((heights >= z[0]) & (heights <= z[1]))[:, None] & np.isfinite(room)
    raised = np.broadcast_to(surface, room.shape)
    low, high = 0.0, 40.0
    for _ in range(9):
        width = (low + high) / 2
        raised = np.where(allowed & (room < width), np.minimum(scene.back - 1, surface), surface).astype(np.float32)
        thick = np.maximum(surface - raised, 0)[:, None, :] + 4
        top = raised[:, None, :]
        inside = (scene.y >= top) & (scene.y < top + thick) & allowed[:, None, :]
        scene.labels = np.where(inside, HEADREST, before).astype(np.uint8)
        if scene.contact() < contact:
            low = width
        else:
            high = width
    scene.labels = before
    return raised
