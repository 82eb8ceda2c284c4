"""Headrests, tables and other things of random shape, HU and texture, painted around a patient.

Every maker takes the ``Around`` of a patient and a random generator, and gives layers: what fraction of each voxel the
thing fills, its HU, and its label. Negative gaps push a thing into the patient, so that the skin lies on it over an
area; what would be inside the patient is taken away when the scene is put together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .labels import HEADREST, OTHER, TABLE

Layer = tuple[np.ndarray, np.ndarray | float, int]

_CLOSED_MM = 25.0
_CHANCES = {"mask": 0.18, "strap": 0.12, "blanket": 0.35, "cables": 0.25, "support": 0.1}


@dataclass(frozen=True, eq=False)
class Around:
    """Where things may lie around a patient; mm, with the patient's middle at the origin.

    Attributes:
        x: (1, 1, i) to the left.
        y: (1, j, 1) to the back.
        z: (k, 1, 1) to the head.
        pixel: mm.
        outside: (k, j, i) distance from the skin, 0 inside.
        hull: (k, j, i) the same from a smooth hull without hollows, in the slice.
        back: y of the patient's back.
        front: y of the front.
        half: half the width.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    pixel: float
    outside: np.ndarray
    hull: np.ndarray
    back: float
    front: float
    half: float


def around(mask: np.ndarray, pixel: float, step: float) -> Around:
    """Measure the space around a patient.

    Args:
        mask: (k, j, i) bool.
        pixel: mm, along i and j.
        step: mm, along k.
    """
    shape = mask.shape
    columns, rows = mask.any(axis=(0, 1)), mask.any(axis=(0, 2))
    i, j = np.flatnonzero(columns), np.flatnonzero(rows)
    x0 = (i[0] + i[-1]) / 2
    y0 = (j[0] + j[-1]) / 2
    outside = ndimage.distance_transform_edt(~mask, sampling=(step, pixel, pixel)).astype(np.float32)
    hull = np.empty(shape, np.float32)
    for k, picture in enumerate(mask):
        grown = ndimage.distance_transform_edt(~picture) * pixel <= _CLOSED_MM if picture.any() else picture
        closed = ndimage.distance_transform_edt(grown) * pixel > _CLOSED_MM
        hull[k] = ndimage.distance_transform_edt(~(closed | picture)) * pixel if picture.any() else 999.0
    return Around(
        ((np.arange(shape[2]) - x0) * pixel).reshape(1, 1, -1),
        ((np.arange(shape[1]) - y0) * pixel).reshape(1, -1, 1),
        ((np.arange(shape[0]) - (shape[0] - 1) / 2) * step).reshape(-1, 1, 1),
        pixel, outside, hull, float((j[-1] - y0) * pixel), float((j[0] - y0) * pixel), float(i[-1] - x0) * pixel,
    )  # fmt: skip


def headrest(at: Around, rng: np.random.Generator) -> list[Layer]:
    """Any headrest: dish, box with a cut-out, block, moulded cushion, hard cup, bolsters, frame; often with a pad."""
    makers = (_dish, _dish, _box, _block, _moulded, _moulded, _cup, _cup)
    layers = makers[rng.integers(len(makers))](at, rng)
    if rng.random() < 0.25:
        layers += _bolsters(at, rng)
    if rng.random() < 0.08:
        layers += _frame(at, rng)
    keep = _span(at, rng)
    return [(share * keep, hu, label) for share, hu, label in layers]


def pressed(at: Around, rng: np.random.Generator) -> list[Layer]:
    """A pad as dense as tissue that the head is pressed into, on a shell or board: the hardest thing to tell apart."""
    thick, wide = rng.uniform(3, 16), rng.uniform(12, at.half + 5)
    low = at.back - rng.uniform(4, 0.9 * (at.back - at.front))
    which = at.outside if rng.random() < 0.5 else at.hull
    shift = rng.normal(0, 8)
    edge = np.maximum(np.maximum(np.abs(at.x - shift) - wide, low - at.y), np.abs(at.z) - rng.uniform(15, 60))
    depth = which if rng.random() < 0.6 else at.y - at.back + 0 * which  # the latter is flat at the rear
    pad = np.maximum(depth - thick, edge)
    hu = rng.uniform(-140, 170)
    layers: list[Layer] = []
    for thickness, dense in sandwich(rng):
        body = np.maximum(np.maximum(thick - depth, depth - thick - thickness), low - 10 - at.y)
        body = np.maximum(body, np.abs(at.x) - at.half - 25)
        layers.append((share(at, body), texture(at, dense, rng), HEADREST))
        thick += thickness
    layers.append((share(at, pad), hu + smooth_noise(at, rng, rng.uniform(0, 15), 3), HEADREST))
    return layers


def board(at: Around, rng: np.random.Generator) -> list[Layer]:
    """A dense plate under the shoulders, or beside them, that carries a mask's frame."""
    line = at.back + rng.uniform(-8, 1) + rng.normal(0, 0.05) * at.x
    middle, half = rng.uniform(-0.8, 0.8) * at.half, rng.uniform(20, 220)
    sides = np.maximum(np.abs(at.x - middle) - half, np.abs(at.z - rng.uniform(-20, 20)) - rng.uniform(10, 60))
    hu = float(rng.uniform(-100, 900))
    layers = [_slab(at, line, 0, rng.uniform(2, 9), sides, hu, TABLE, rng)]
    for side in (-1, 1):
        if rng.random() < 0.5:  # an upright part, such as the edge that the mask is clipped to
            x = np.abs(at.x - middle - side * half) - rng.uniform(2, 7)
            upright = np.maximum(np.maximum(x, line - rng.uniform(5, 45) - at.y), at.y - line - rng.uniform(5, 30))
            layers.append((share(at, np.maximum(upright, sides - 8)), hu, TABLE))
    return layers


def table(at: Around, rng: np.random.Generator, gap: float | None = None) -> list[Layer]:
    """A table top: mattress, shell and core, flat or dished, and what carries it."""
    gap = rng.uniform(-6, 10) if gap is None else gap
    half, rise = rng.uniform(170, 260), rng.choice([0.0, rng.uniform(5, 60)])
    shift = rng.uniform(-25, 25)
    thick = rng.uniform(14, 50)
    mattress = rng.uniform(4, 30) if rng.random() < 0.6 else 0.0
    shell = rng.uniform(1.5, 4.5)
    top = at.back + gap - _rise(0.0 * at.x, shift, half, rise, 2)
    line = top - _rise(at.x, shift, half, rise, 2) + _rise(0.0 * at.x, shift, half, rise, 2)
    sides = np.abs(at.x - shift) - half
    layers: list[Layer] = []
    if mattress:
        layers.append(_slab(at, line, 0, mattress, sides, rng.uniform(-985, -850), TABLE, rng))
        if rng.random() < 0.4:
            layers.append(_slab(at, line, -0.5, 1.0, sides, rng.uniform(-500, 0), TABLE, rng))
    hard = _hard(rng)
    layers.append(_slab(at, line, mattress, mattress + thick, sides, hard, TABLE, rng))
    core = (line, mattress + shell, mattress + thick - shell, sides + shell, rng.uniform(-980, -600))
    layers.append(_slab(at, *core, TABLE, rng))
    if rng.random() < 0.4:
        under = mattress + thick + rng.uniform(20, 60)
        layers.append(_slab(at, line, under, under + rng.uniform(2, 8), sides, _hard(rng), TABLE, rng))
    for _ in range(rng.integers(0, 4)):
        where, depth = rng.uniform(-half, half), mattress + thick * rng.uniform(0.2, 1.6)
        rail = np.maximum(np.abs(at.x - where) - rng.uniform(3, 12), np.abs(at.y - line - depth) - rng.uniform(2, 9))
        layers.append((share(at, rail), _hard(rng), TABLE))
    return layers


def others(at: Around, rng: np.random.Generator, chances: dict[str, float] | None = None) -> list[Layer]:
    """Some of: mask, strap, blanket, cables, arm support; ``chances`` by these words, None for the usual ones."""
    layers: list[Layer] = []
    for word, maker in _OTHERS.items():
        if rng.random() < (chances or _CHANCES)[word]:
            layers += maker(at, rng)
    return layers


def _dish(at: Around, rng: np.random.Generator) -> list[Layer]:
    gap = _gap(rng)
    half = at.half + rng.uniform(-15, 35)
    rise = rng.uniform(0, 1.0) * (at.back - at.front) * 0.8
    power = rng.choice([2, 3, 4])
    shift = rng.normal(0, 4)
    line = at.back + gap - _rise(at.x, shift, half, rise, power)
    top = np.maximum(rng.uniform(at.front * 0.5, at.back - 15) - at.y, np.abs(at.x - shift) - half - 45)
    layers, depth = [], 0.0
    for thick, hu in sandwich(rng):
        # Layers are as thick across the surface as they say, also where it is steep.
        slope = np.abs(np.gradient(line, at.pixel, axis=2))
        across = np.sqrt(1 + np.minimum(slope, 6) ** 2)
        begin, end = line + depth * across, line + (depth + thick) * across
        body = np.maximum(np.maximum(begin - at.y, at.y - end) / across, top)
        layers.append((share(at, body), texture(at, hu, rng), HEADREST))
        depth += thick
    return layers


def _box(at: Around, rng: np.random.Generator) -> list[Layer]:
    gap = _gap(rng)
    deep = at.back + rng.uniform(15, 60)
    half = at.half + rng.uniform(15, 60)
    up = rng.uniform(at.front * 0.6, at.back - 20)
    outer = np.maximum(np.maximum(np.abs(at.x) - half, up - at.y), at.y - deep)
    power, wide = rng.choice([2, 3, 4, 6]), at.half + rng.uniform(-6, 15)
    line = at.back + gap - _rise(at.x, 0, wide, rng.uniform(0.5, 1) * (at.back - up), power)
    body = np.maximum(outer, (line - at.y) / 1.3)
    skin = rng.uniform(1.5, 5)
    layers = [(share(at, body), _hard(rng), HEADREST)]
    layers.append((share(at, body + skin), texture(at, rng.uniform(-980, -500), rng), HEADREST))
    return layers


def _block(at: Around, rng: np.random.Generator) -> list[Layer]:
    tilt = rng.normal(0, 0.06)
    line = at.back + _gap(rng) + tilt * at.x + rng.normal(0, 0.08) * at.z
    sides = np.abs(at.x) - at.half - rng.uniform(-25, 60)
    layers, depth = [], 0.0
    for thick, hu in sandwich(rng):
        layers.append(_slab(at, line, depth, depth + thick, sides, hu, HEADREST, rng))
        depth += thick
    return layers


def _moulded(at: Around, rng: np.random.Generator) -> list[Layer]:
    """A cushion that follows the skin, such as a vacuum cushion or soft foam."""
    gap = rng.choice([-2.0, 0.0, rng.uniform(0, 4)])
    outer = np.maximum(at.y - at.back - rng.uniform(10, 50), np.abs(at.x) - at.half - rng.uniform(10, 60))
    up = rng.uniform(at.front * 0.7, at.back - 10) + smooth_noise(at, rng, 15, 5)
    which = at.outside if rng.random() < 0.6 else at.hull
    body = np.maximum(np.maximum(outer, up - at.y), gap - which)
    film = rng.uniform(0.5, 2.5)
    hard = rng.uniform(-600, 150) if rng.random() < 0.7 else None
    inner = texture(at, rng.uniform(-985, -780), rng, 60)
    if hard is None:
        return [(share(at, body), inner, HEADREST)]
    return [(share(at, body), hard, HEADREST), (share(at, body + film), inner, HEADREST)]


def _cup(at: Around, rng: np.random.Generator) -> list[Layer]:
    """Shells that follow the smooth hull behind and beside the head."""
    gap = _gap(rng)
    up = rng.uniform(at.front * 0.5, at.back - 12) + rng.normal(0, 0.15) * at.x
    wave = smooth_noise(at, rng, 2.5, 12)
    # A cup of one size fits no head exactly: it comes off towards the sides.
    off = rng.uniform(0, 0.35) * np.maximum(at.back - at.y, 0) ** 1.2 / 3
    depth_of = at.hull - gap - wave - off
    layers, depth = [], 0.0
    for thick, hu in sandwich(rng):
        body = np.maximum(np.maximum(depth - depth_of, depth_of - depth - thick), up - at.y)
        layers.append((share(at, body), texture(at, hu, rng), HEADREST))
        depth += thick
    return layers


def _bolsters(at: Around, rng: np.random.Generator) -> list[Layer]:
    layers = []
    for side in (-1, 1):
        if rng.random() < 0.15:
            continue
        inner = at.half + rng.uniform(-5, 4)
        wide, tall = rng.uniform(12, 45), rng.uniform(15, 50)
        middle = rng.uniform(-15, at.back * 0.6)
        x = side * at.x
        if rng.random() < 0.5:
            body = np.maximum(np.maximum(inner - x, x - inner - wide), np.abs(at.y - middle) - tall)
        else:
            body = (np.hypot((x - inner - wide / 2) / (wide / 2), (at.y - middle) / tall) - 1) * wide / 2
        film = rng.uniform(0.5, 3)
        layers.append((share(at, body), rng.uniform(-500, 120), HEADREST))
        layers.append((share(at, body + film), texture(at, rng.uniform(-980, -750), rng), HEADREST))
    return layers


def _frame(at: Around, rng: np.random.Generator) -> list[Layer]:
    """A stereotactic frame: a square ring with pins that touch the skull."""
    clear, bar = rng.uniform(18, 45), rng.uniform(5, 12)
    middle = (at.back + at.front) / 2
    far = np.maximum(np.abs(at.x) - at.half - clear, np.abs(at.y - middle) - (at.back - at.front) / 2 - clear)
    level = rng.uniform(at.z.min(), at.z.max())
    ring = np.maximum(np.abs(far) - bar, np.abs(at.z - level) - rng.uniform(5, 12))
    hu = float(rng.choice([-50.0, rng.uniform(100, 800), rng.uniform(1500, 3000)]))
    layers = [(share(at, ring), hu, HEADREST)]
    for angle in np.radians([40, 140, 220, 320]) + rng.normal(0, 0.1, 4):
        along = at.x * np.cos(angle) + (at.y - middle) * np.sin(angle)
        across = np.hypot(-at.x * np.sin(angle) + (at.y - middle) * np.cos(angle), at.z - level)
        pin = np.maximum(np.maximum(across - rng.uniform(2, 4), -along), far)
        layers.append((share(at, pin), hu, HEADREST))
    return layers


def _mask(at: Around, rng: np.random.Generator) -> list[Layer]:
    """A thermoplastic mask over the front, with holes."""
    gap, thick = rng.uniform(-0.5, 2.5), rng.uniform(1.2, 3.5)
    distance = at.outside if rng.random() < 0.5 else at.hull
    cut = rng.uniform(0, at.back * 0.7)
    body = np.maximum(np.maximum(gap - distance, distance - gap - thick), at.y - cut)
    holes = smooth_noise(at, rng, 1.0, 2) > rng.uniform(-0.5, 2.5)
    return [(share(at, body) * ~holes, rng.uniform(-500, 200), OTHER)]


def _strap(at: Around, rng: np.random.Generator) -> list[Layer]:
    """A band across."""
    gap, thick = rng.uniform(-0.5, 2), rng.uniform(1.5, 5)
    middle, half = rng.uniform(at.z.min(), at.z.max()), rng.uniform(8, 25)
    body = np.maximum(np.maximum(gap - at.hull, at.hull - gap - thick), np.abs(at.z - middle) - half)
    body = np.maximum(body, at.y - at.back)
    return [(share(at, body), rng.uniform(-800, 50), OTHER)]


def _blanket(at: Around, rng: np.random.Generator) -> list[Layer]:
    """One to three loose sheets over the front."""
    layers, depth = [], rng.uniform(-1, 12)
    cut = rng.uniform(-0.2, 1.1) * at.back
    for _ in range(rng.integers(1, 4)):
        thick = rng.uniform(1, 5)
        wave = np.abs(smooth_noise(at, rng, rng.uniform(2, 12), 12))
        body = np.abs(at.hull - depth - wave) - thick / 2
        layers.append((share(at, np.maximum(body, at.y - cut)), texture(at, rng.uniform(-960, -550), rng), OTHER))
        depth += thick + rng.uniform(0, 6)
    return layers


def _cables(at: Around, rng: np.random.Generator) -> list[Layer]:
    layers = []
    for _ in range(rng.integers(1, 4)):
        angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(1.2, 4)
        gap = rng.uniform(-0.5, 15)
        turn = angle + rng.normal(0, 0.01) * at.z
        beside = np.abs(-at.x * np.sin(turn) + at.y * np.cos(turn)) + 99 * (
            (at.x * np.cos(turn) + at.y * np.sin(turn)) < 0
        )
        body = np.hypot(beside, at.hull - gap - radius) - radius
        layers.append((share(at, body), float(rng.choice([rng.uniform(-200, 300), rng.uniform(300, 2500)])), OTHER))
    return layers


def _support(at: Around, rng: np.random.Generator) -> list[Layer]:
    """A board or pad beside the patient."""
    side = rng.choice([-1, 1])
    inner = at.half + rng.uniform(-3, 20)
    x = side * at.x
    wide, low, tall = rng.uniform(5, 60), rng.uniform(-20, at.back), rng.uniform(4, 40)
    body = np.maximum(np.maximum(inner - x, x - inner - wide), np.abs(at.y - low) - tall)
    hu, film = rng.uniform(-980, -600), rng.uniform(1, 3)
    return [(share(at, body), _hard(rng), OTHER), (share(at, body + film), hu, OTHER)]


def sandwich(rng: np.random.Generator) -> list[tuple[float, float]]:
    """Thicknesses and HU of layers from the head outwards: perhaps a pad, a hard skin, a core, a skin."""
    layers = []
    if rng.random() < 0.45:
        layers.append((rng.uniform(2, 14), rng.uniform(-985, -750)))
    hard, skin = _hard(rng), rng.uniform(1.2, 7)
    kind = rng.random()
    if kind < 0.35:
        layers.append((skin, hard))
    elif kind < 0.8:
        layers += [(skin, hard), (rng.uniform(6, 35), rng.uniform(-980, -450)), (skin, hard)]
    else:
        layers.append((rng.uniform(8, 40), rng.uniform(-980, -100)))
    return layers


def _hard(rng: np.random.Generator) -> float:
    """HU of plastic, carbon, plywood or fibreglass."""
    return float(rng.uniform(-250, 250) if rng.random() < 0.8 else rng.uniform(-500, 1300))


def _gap(rng: np.random.Generator) -> float:
    """Mm between head and headrest; mostly pressed together, since that is what is hard."""
    return float(rng.uniform(-6, 0.5) if rng.random() < 0.7 else rng.uniform(0.5, 15))


def _span(at: Around, rng: np.random.Generator) -> np.ndarray | float:
    """Where along z a headrest is: everywhere, or up to an edge."""
    if rng.random() < 0.7:
        return 1.0
    edge = rng.uniform(at.z.min(), at.z.max())
    return share(at, (at.z - edge) * rng.choice([-1, 1]))


def _slab(
    at: Around, line: np.ndarray, begin: float, end: float, sides: np.ndarray, hu: float, label: int,
    rng: np.random.Generator,
) -> Layer:  # fmt: skip
    body = np.maximum(np.maximum(line + begin - at.y, at.y - line - end), sides)
    return share(at, body), texture(at, hu, rng), label


def _rise(x: np.ndarray, shift: float, half: float, rise: float, power: int) -> np.ndarray:
    return rise * np.minimum(np.abs(x - shift) / half, 1.6) ** power


def share(at: Around, distance: np.ndarray) -> np.ndarray:
    """How much of each voxel is inside a shape with this signed distance."""
    share = np.clip(0.5 - distance / at.pixel, 0, 1).astype(np.float32)
    return np.broadcast_to(share, at.outside.shape)


def texture(at: Around, hu: float, rng: np.random.Generator, most: float = 30) -> np.ndarray | float:
    """HU of a material: the same everywhere where it is dense, often uneven where it is foam."""
    if hu > -400 or rng.random() < 0.4:
        return hu
    return hu + np.abs(smooth_noise(at, rng, rng.uniform(5, most), 1.5)) - 10


def smooth_noise(at: Around, rng: np.random.Generator, size: float, coarse: float) -> np.ndarray:
    """(k, j, i) noise with this standard deviation, smooth over so many pixels."""
    shape = at.outside.shape
    small = [max(3, int(np.ceil(length / coarse)) + 1) for length in shape[1:]]
    noise = rng.standard_normal((shape[0], *small)).astype(np.float32)
    noise = ndimage.gaussian_filter(noise, (1.5, 0.6, 0.6))
    noise *= size / max(float(noise.std()), 1e-6)
    zoom = (1, shape[1] / small[0], shape[2] / small[1])
    return ndimage.zoom(noise, zoom, order=1, grid_mode=True, mode="nearest")


_OTHERS = {"mask": _mask, "strap": _strap, "blanket": _blanket, "cables": _cables, "support": _support}
