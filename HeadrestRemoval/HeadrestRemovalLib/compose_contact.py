"""Equipment that touches the patient over a known area, for the scenes that teach where the skin runs beneath it.

As the makers of ``compose_shapes``: each takes the ``Around`` of a patient and a random generator, and gives layers.
"""

from __future__ import annotations

import numpy as np

from . import compose_shapes as shapes
from .compose_shapes import Around, Layer
from .labels import HEADREST, OTHER, TABLE

MOST_CM2 = 40.0
"""Area of contact within the 36 mm of a scene."""
_CHANCES = {"mask": 0.25, "strap": 0.1, "blanket": 0.12, "cables": 0.12, "support": 0.05}


def things(at: Around, rng: np.random.Generator, head: bool) -> tuple[list[Layer], str]:
    """What lies around a patient in a scene of contact, and what it is called.

    Args:
        at: the patient.
        rng: decides what.
        head: a head or neck, which may lie on a headrest; else a trunk on its table.
    """
    if rng.random() < 0.1:
        return [], "nothing"
    if head:
        layers = shapes.table(at, rng, rng.uniform(15, 90)) if rng.random() < 0.25 else []
        layers += _kept(padded(at, rng, HEADREST) if rng.random() < 0.65 else shapes.headrest(at, rng), at, rng)
    elif rng.random() < 0.75:
        layers = padded(at, rng, TABLE)
    else:
        layers = shapes.board(at, rng) if rng.random() < 0.5 else shapes.table(at, rng)
    if rng.random() < 0.2:
        layers += band(at, rng)
    return layers + shapes.others(at, rng, _CHANCES), "contact"


def padded(at: Around, rng: np.random.Generator, label: int) -> list[Layer]:
    """A rest that touches in one place and fills the gap around it up to an area, as a pad or as what it is made of.

    Args:
        at: the patient.
        rng: decides form, material and area; in a third of cases nothing fills the gap.
        label: HEADREST or TABLE.
    """
    back = _back(at)
    half = at.half + rng.uniform(5, 40)
    level = _surface(at, rng, half)
    sides = np.abs(at.x) - half
    near = np.where(sides[:, 0] < 0, back - level, -np.inf)
    if not np.isfinite(near).any():
        return shapes.headrest(at, rng)
    level = level + near.max() + rng.uniform(0, 1)
    material = shapes.sandwich(rng)
    layers, depth = [], 0.0
    for thick, hu in material:
        body = np.maximum(level[:, None] + depth - at.y, at.y - level[:, None] - depth - thick)
        layers.append((shapes.share(at, np.maximum(body, sides)), shapes.texture(at, hu, rng), label))
        depth += thick
    if rng.random() < 0.35:
        return layers
    room = np.where(sides[:, 0] < 0, level - back, np.inf)
    if rng.random() < 0.5:  # a pad whose outline is not where the gap is widest
        room = room + np.abs(at.x[:, 0] - rng.normal(0, 15)) * rng.uniform(0, 0.3)
        room = room + np.abs(at.z[:, 0] - rng.uniform(-20, 20)) * rng.uniform(0, 0.3)
    step = abs(float(at.z[1, 0, 0] - at.z[0, 0, 0])) if len(at.z) > 1 else 3.0
    count = int(rng.uniform(2, MOST_CM2) * 100 / (at.pixel * step))
    known = np.sort(room[np.isfinite(room)])
    limit = min(float(known[min(count, len(known) - 1)]), 35.0)
    body = np.maximum((back - 2)[:, None] - at.y, at.y - level[:, None] - 1)
    body = np.where((room < limit)[:, None], body, 99.0)
    hu = material[0][1] if rng.random() < 0.6 else rng.uniform(-350, 170)
    return [*layers, (shapes.share(at, body), shapes.texture(at, float(hu), rng), label)]


def band(at: Around, rng: np.random.Generator) -> list[Layer]:
    """A band that lies on the skin itself, over the front or all around."""
    thick, half = rng.uniform(1.5, 5), rng.uniform(6, 22)
    on_skin = at.outside if rng.random() < 0.7 else at.hull
    body = np.maximum(np.maximum(-1 - on_skin, on_skin - thick), np.abs(at.z - rng.uniform(-18, 18)) - half)
    body = np.maximum(body, at.y - at.back + rng.uniform(-20, 60))
    return [(shapes.share(at, body), float(rng.uniform(-450, 80)), OTHER)]


def _surface(at: Around, rng: np.random.Generator, half: float) -> np.ndarray:
    """(k, i) mm to the back of a rest's surface: flat, dished or a trough, and a little askew."""
    rise = rng.choice([0.0, rng.uniform(5, 40), rng.uniform(0.3, 0.9) * (at.back - at.front)])
    across = -rise * np.minimum(np.abs(at.x - rng.normal(0, 5)) / half, 1.5) ** rng.uniform(2, 5)
    return (across + rng.normal(0, 0.05) * at.x + rng.normal(0, 0.12) * at.z)[:, 0]


def _back(at: Around) -> np.ndarray:
    """(k, i) mm to the back where the patient ends, -inf beside the patient."""
    inside = at.outside <= 0
    last = inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    return np.where(inside.any(axis=1), at.y[0, :, 0][last] + at.pixel / 2, -np.inf)


def _kept(layers: list[Layer], at: Around, rng: np.random.Generator) -> list[Layer]:
    """The same, everywhere along the patient or only up to a height: a neck has nothing behind it."""
    if rng.random() < 0.55:
        return layers
    edge, side = rng.uniform(at.z.min(), at.z.max()), rng.choice([-1, 1])
    here = shapes.share(at, (at.z - edge) * side)
    return [(amount * here, hu, label) for amount, hu, label in layers]
