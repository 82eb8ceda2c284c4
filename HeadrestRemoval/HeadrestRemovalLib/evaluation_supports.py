"""Draws supports of other kinds than those that rules and network were made with, into the air around a head.

They are what operating theatres, emergency rooms and wards use: their figures tell what the methods are worth where
equipment is unlike what they know.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from .evaluation_equipment import FOAM_HU, METAL_HU, PLASTIC_HU, STRAP_HU, Scene, headrest, strap_place
from .labels import HEADREST, OTHER, TABLE

GEL_HU, SOFT_GEL_HU, WATER_HU = 60.0, -30.0, 15.0
SAND_HU, SILICONE_HU, ICE_PACK_HU = 900.0, 160.0, -20.0
_SOFT_FOAM_HU, _COVER_HU, _TOWEL_HU, _BLOCK_HU, _NEOPRENE_HU = -940.0, -600.0, -780.0, -700.0, -450.0
_BAG_HU, _STRAP_FOAM_HU = -200.0, -500.0
_DENT_MM = 1.5
"""So deep straps lie within the outline of a head whose hollows are closed."""


def gel_ring(scene: Scene) -> None:
    """A ring of gel beneath the back of the head, on a plate."""
    left, right, _, back, low, high = scene.head_box()
    around = np.hypot(scene.x - (left + right) / 2, scene.z - (low + high) / 2 - 10)
    scene.paint(np.hypot(around - 52, scene.y - back - 2) - 17, GEL_HU, HEADREST)
    _plate(scene, back + 18, 4, PLASTIC_HU, HEADREST, 30)


def horseshoe(scene: Scene) -> None:
    """Two pads of soft gel and one above them, pressed on from behind, on arms of metal."""
    left, right, _, back, low, high = scene.head_box()
    x, z = scene.x - (left + right) / 2, scene.z - (low + high) / 2
    shape = np.where(z < 0, np.abs(np.abs(x) - 50), np.abs(np.hypot(x, z) - 50))
    pad = np.maximum(shape - 16, _into_skin(scene, back - 25) - scene.y)
    pad = np.maximum(pad, np.maximum(scene.y - back - 8, low - scene.z))
    scene.paint(pad, SOFT_GEL_HU, HEADREST)
    arm = np.maximum(np.maximum(shape - 10, back + 8 - scene.y), np.maximum(scene.y - back - 14, low - 60 - scene.z))
    scene.paint(arm, METAL_HU, HEADREST)


def water_cushion(scene: Scene) -> None:
    """A cushion of water, moulded to the back of the head, with nothing behind it."""
    _moulded(scene, (back_of(scene) - 22, back_of(scene) + 25), 70, 45, WATER_HU, 0.0)


def towel(scene: Scene) -> None:
    """A folded towel beneath the head, on a plate."""
    back = back_of(scene)
    _moulded(scene, (back - 35, back + 12), 75, 60, _TOWEL_HU, 60.0)
    _plate(scene, back + 13, 3, PLASTIC_HU, HEADREST, 50)


def pillow(scene: Scene) -> None:
    """A soft pillow with a cover, that the head sinks into."""
    left, right, _, back, low, high = scene.head_box()
    across, along = (scene.x - (left + right) / 2) / 110, (scene.z - (low + high) / 2) / 120
    distance = 45 * (np.cbrt(across**4 + np.abs((scene.y - back - 20) / 48) ** 2.5 + along**4) - 1)
    scene.paint(distance, _COVER_HU, HEADREST)
    scene.paint(distance + 2, _SOFT_FOAM_HU, HEADREST, grain=12)


def neck_roll(scene: Scene) -> None:
    """A roll of foam with a cover beneath the neck, on a board."""
    left, right, _, back, low, _ = scene.head_box()
    neck = scene.back[np.abs(scene.z[:, 0, 0] - low).argmin()]
    behind = float(neck[np.isfinite(neck)].max())
    distance = np.hypot(scene.y - behind - 18, scene.z - low) - 28
    distance = np.maximum(distance, np.abs(scene.x - (left + right) / 2) - 80)
    scene.paint(distance, -500.0, HEADREST)
    scene.paint(distance + 1.5, _SOFT_FOAM_HU, HEADREST, grain=10)
    _plate(scene, max(back, behind + 46) + 1, 5, -50.0, HEADREST, 60)


def collar(scene: Scene) -> None:
    """A collar of foam and plastic about the neck, the head in a shell."""
    low = scene.head_box()[4]
    where = np.broadcast_to(np.abs(scene.z - low + 5) - 35, scene.labels.shape)
    scene.shell(-1.0, 8.0, _SOFT_FOAM_HU, OTHER, where)
    scene.shell(8.0, 10.5, PLASTIC_HU, OTHER, where)
    headrest(scene, "shell", 4.0)


def head_blocks(scene: Scene) -> None:
    """Blocks of firm foam on both sides of the head, on a board."""
    left, right, front, back, low, high = scene.head_box()
    block = np.maximum(np.abs(scene.y - (front + back) / 2 - 15) - 60, np.abs(scene.z - (low + high) / 2) - 55)
    for side, x in ((-1, left), (1, right)):
        across = (scene.x - x) * side
        scene.paint(np.maximum(np.maximum(-1 - across, across - 60), block), _BLOCK_HU, HEADREST, grain=10)
    _board(scene, lowest_of(scene) + 0.5, 3.0, 40.0, 0.0)


def flat_couch(scene: Scene) -> None:
    """The head's end of a flat couch of carbon, with a mat that the head rests on."""
    back = lowest_of(scene)
    _board(scene, back + 5.5, 2.0, 50.0, -100.0)
    _plate(scene, back + 0.5, 5, _NEOPRENE_HU, HEADREST, 40)


def sandbags(scene: Scene) -> None:
    """Bags of sand on both sides of the head, on a board."""
    left, right, front, back, low, high = scene.head_box()
    up, along = (scene.y - (front + back) / 2 - 15) / 50, (scene.z - (low + high) / 2) / 80
    for side, x in ((-1, left), (1, right)):
        across = ((scene.x - x) * side - 26) / 30
        bag = 30 * (np.cbrt(np.abs(across) ** 3 + np.abs(up) ** 3 + np.abs(along) ** 3) - 1)
        scene.paint(bag, _BAG_HU, OTHER)
        scene.paint(bag + 1.5, SAND_HU, OTHER, grain=60)
    _board(scene, lowest_of(scene) + 0.5, 3.0, 40.0, 0.0)


def ice_pack(scene: Scene) -> None:
    """A pack of gel on the brow, the head in a shell."""
    left, right, front, _, low, high = scene.head_box()
    middle = (low + high) / 2
    where = np.maximum(np.maximum(middle - scene.z, scene.z - high), scene.y - front - 45)
    where = np.maximum(where, np.abs(scene.x - (left + right) / 2) - 55)
    scene.shell(-1.0, 18.0, ICE_PACK_HU, OTHER, where)
    headrest(scene, "shell", 4.0)


def silicone_wedge(scene: Scene) -> None:
    """A wedge of silicone that the back of the head is pressed into, on a plate."""
    left, right, _, back, low, high = scene.head_box()
    along = scene.z - (low + high) / 2
    sides = np.maximum(np.abs(scene.x - (left + right) / 2) - 60, np.abs(along) - 55)
    wedge = np.maximum(_into_skin(scene, back - 12) - scene.y, scene.y - back - 15)
    wedge = np.maximum(wedge, 0.25 * along - 14 + back - scene.y)
    scene.paint(np.maximum(wedge, sides), SILICONE_HU, HEADREST)
    _plate(scene, back + 15, 4, PLASTIC_HU, HEADREST, 30)


def thick_straps(scene: Scene) -> None:
    """A padded strap over the forehead and one of foam over the chin, 5 mm thick; they bridge what is hollow."""
    headrest(scene, "cradle", 3.0)
    bridged = ndimage.distance_transform_edt(scene.away() <= 0, scene.step) - _DENT_MM
    for share, width, hu in ((0.8, 16.0, STRAP_HU), (0.28, 11.0, _STRAP_FOAM_HU)):
        scene.shell(-_DENT_MM, 5.0, hu, OTHER, np.maximum(strap_place(scene, share, width), bridged))


KINDS: dict[str, Callable[[Scene], None]] = {
    "gel ring": gel_ring,
    "horseshoe of gel": horseshoe,
    "cushion of water": water_cushion,
    "towel": towel,
    "pillow": pillow,
    "neck roll": neck_roll,
    "cervical collar": collar,
    "head blocks": head_blocks,
    "flat couch": flat_couch,
    "sandbags": sandbags,
    "ice pack": ice_pack,
    "wedge of silicone": silicone_wedge,
    "thick straps": thick_straps,
}


def back_of(scene: Scene) -> float:
    """Height (y) of the back of the head."""
    return scene.head_box()[3]


def lowest_of(scene: Scene) -> float:
    """Height (y) of the lowest place of the back of the head, which stiff things don't reach beyond."""
    back = scene.back[scene.patient.head]
    return float(back[np.isfinite(back)].max())


def _into_skin(scene: Scene, highest: float) -> np.ndarray:
    """(k, 1, i) heights (y) of the back of the patient, a mm within the skin, and no higher than so high."""
    return np.maximum(np.where(np.isfinite(scene.back), scene.back, -np.inf)[:, None, :], highest) - 1


def _plate(scene: Scene, y: float, thick: float, hu: float, label: int, beside: float) -> None:
    """A flat plate, so many mm wider than the head."""
    left, right, _, _, low, high = scene.head_box()
    x, z = (left - beside, right + beside), (low - 50, high + 25)
    scene.slab(np.full((1, scene.x.shape[-1]), np.float32(y)), thick, hu, label, x, z)


def _board(scene: Scene, y: float, face: float, thick: float, hu: float) -> None:
    """A flat board of foam between two faces, beneath the head: shoulders would cut into it."""
    left, right, _, _, low, high = scene.head_box()
    x, z = (left - 130, right + 130), (low, high + 60)
    top = np.full((1, scene.x.shape[-1]), np.float32(y))
    for start, stop, value in ((0, face, hu), (face, face + thick, FOAM_HU - 60), (face + thick, 2 * face + thick, hu)):
        scene.slab(top + np.float32(start), stop - start, value, TABLE, x, z)


def _moulded(scene: Scene, y: tuple[float, float], wide: float, thick: float, hu: float, grain: float) -> None:
    """What lies on the skin of the head from and to y, so wide on each side, no farther from it than so thick."""
    left, right, _, _, low, high = scene.head_box()
    where = np.maximum(np.maximum(y[0] - scene.y, scene.y - y[1]), np.maximum(low + 5 - scene.z, scene.z - high))
    where = np.maximum(where, np.abs(scene.x - (left + right) / 2) - wide)
    scene.shell(-1.0, thick, hu, HEADREST, where, grain)
