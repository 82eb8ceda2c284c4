"""Solids of any form and material against the patient, for the scenes that teach what equipment looks like at all.

Bags, rings, rolls, wedges and cushions, of water or gel as well as foam, where no maker of a known kind would put them.
As the makers of ``compose_shapes``: each takes the ``Around`` of a patient and a random generator, and gives layers.
"""

from __future__ import annotations

import numpy as np

from . import compose_shapes as shapes
from .compose_shapes import Around, Layer
from .labels import HEADREST, OTHER, TABLE

_NOTHING = 0.12
_MATERIALS = ((0.6, -150, 200), (0.75, -980, -600), (0.9, -600, -150), (1.0, 200, 1500))
"""Water, gel and rubber; foam; cloth and light plastic; sand and hard plastic: up to this chance, HU from and to."""


def things(at: Around, rng: np.random.Generator, head: bool) -> tuple[list[Layer], str]:
    """What lies around a patient in such a scene, and what it is called.

    Args:
        at: the patient.
        rng: decides what.
        head: a head or neck; else a trunk or legs.
    """
    if rng.random() < _NOTHING:
        return [], "nothing"
    layers = shapes.table(at, rng, rng.uniform(2, 90)) if rng.random() < 0.4 else []
    if head and rng.random() < 0.4:
        layers += shapes.headrest(at, rng)
    for _ in range(rng.integers(1, 4)):
        layers += solid(at, rng, HEADREST if head else TABLE)
    return layers + (shapes.others(at, rng) if rng.random() < 0.2 else []), "solids"


def solid(at: Around, rng: np.random.Generator, behind: int) -> list[Layer]:
    """A lump, ring or roll, stiff or moulded to the skin, from any side but mostly from behind; perhaps in a cover.

    Args:
        at: the patient.
        rng: decides all that.
        behind: its label, where it is not in front of the patient.
    """
    angle = rng.normal(np.pi / 2, 0.8) if rng.random() < 0.8 else rng.uniform(0, 2 * np.pi)
    out = np.array([np.cos(angle), np.sin(angle)])
    skin = out * (at.half, at.back if out[1] > 0 else -at.front)
    makers = (_lump, _lump, _ring, _roll)
    inner = makers[rng.integers(len(makers))](at, rng, out, skin)
    inner = inner + shapes.smooth_noise(at, rng, rng.uniform(0, 3), 8)
    if rng.random() < 0.4:
        inner = np.maximum(inner, at.outside - rng.uniform(5, 50))
    label = behind if out[1] > -0.3 else OTHER
    layers: list[Layer] = []
    if rng.random() < 0.35:
        layers.append((shapes.share(at, inner), _material(rng), label))
        inner = inner + rng.uniform(0.6, 3)
    hu = _material(rng)
    grain = rng.uniform(20, 80) if hu < -600 and rng.random() < 0.3 else rng.uniform(0, 20)
    return [*layers, (shapes.share(at, inner), hu + shapes.smooth_noise(at, rng, grain, rng.uniform(1.2, 6)), label)]


def _lump(at: Around, rng: np.random.Generator, out: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Signed distance of a body between ellipsoid and brick that is pressed on."""
    half = rng.uniform((10, 15, 15), (50, 90, 90))
    deep, across, along = _placed(at, rng, out, skin + out * (half[0] - rng.uniform(-3, 25)))
    power = rng.uniform(2, 8)
    sides = ((deep, half[0]), (across, half[1]), (along, half[2]))
    return min(half) * (sum(np.abs(where / size) ** power for where, size in sides) ** (1 / power) - 1)


def _ring(at: Around, rng: np.random.Generator, out: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Signed distance of a ring that the patient lies in, or of a part of one."""
    wide, thick = rng.uniform(25, 90), rng.uniform(7, 28)
    deep, across, along = _placed(at, rng, out, skin + out * rng.uniform(-15, thick + 2))
    ring = np.hypot(np.hypot(across, along) - wide, deep) - thick
    if rng.random() < 0.5:
        turn = rng.uniform(0, 2 * np.pi)
        ring = np.maximum(ring, np.cos(turn) * across + np.sin(turn) * along - rng.uniform(-0.3, 0.8) * wide)
    return ring


def _roll(at: Around, rng: np.random.Generator, out: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Signed distance of a roll around the patient or across, or along."""
    thick, flat = rng.uniform(6, 35), rng.uniform(0.5, 2)
    deep, across, along = _placed(at, rng, out, skin + out * (thick - rng.uniform(-3, 15)))
    kind = rng.random()
    if kind < 0.4:
        return np.maximum(np.hypot(at.hull - rng.uniform(-0.5, 1) * thick, along / flat) - thick, -20 - deep)
    if kind < 0.7:
        return np.maximum(np.hypot(deep, along / flat) - thick, np.abs(across) - rng.uniform(20, 100))
    return np.maximum(np.hypot(deep, across / flat) - thick, np.abs(along) - rng.uniform(15, 60))


def _placed(
    at: Around, rng: np.random.Generator, out: np.ndarray, middle: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mm away from the patient, across and along him, from a middle that is moved along him; a little askew."""
    turn = rng.normal(0, 0.25)
    x, y = at.x - middle[0], at.y - middle[1]
    away = np.array([out[0] * np.cos(turn) - out[1] * np.sin(turn), out[0] * np.sin(turn) + out[1] * np.cos(turn)])
    along = at.z - rng.uniform(-35, 35)
    lean = rng.normal(0, 0.2)
    deep, across = away[0] * x + away[1] * y, away[0] * y - away[1] * x
    return deep + lean * along, across, along - lean * deep


def _material(rng: np.random.Generator) -> float:
    """HU of anything that a pad, bag or cover is made of."""
    chance = rng.random()
    low, high = next((low, high) for most, low, high in _MATERIALS if chance < most)
    return float(rng.uniform(low, high))
