"""What lies on the skin itself or hugs the patient, for the scenes that teach what the others leave weak.

Bands, masks and blankets that follow the skin, foam that the patient sinks into, cushions moulded all around, pads at
the ears, trays. As the makers of ``compose_shapes``: each takes the ``Around`` of a patient and a random generator, and
gives layers.
"""

from __future__ import annotations

import numpy as np

from . import compose_contact
from . import compose_shapes as shapes
from .compose_shapes import Around, Layer
from .labels import HEADREST, OTHER, TABLE

_NOTHING = 0.13
_CHANCES = {"mask": 0.04, "strap": 0.04, "blanket": 0.06, "cables": 0.12, "support": 0.05}


def things(at: Around, rng: np.random.Generator, head: bool) -> tuple[list[Layer], str]:
    """What lies around a patient in such a scene, and what it is called.

    Args:
        at: the patient.
        rng: decides what.
        head: a head or neck, which may lie on a headrest; else a trunk on its table.
    """
    if rng.random() < _NOTHING:
        return [], "nothing"
    layers: list[Layer] = []
    words = []
    if head:
        if rng.random() < 0.2:
            layers += shapes.table(at, rng, rng.uniform(25, 90))
        elif rng.random() < 0.25:
            layers += tray(at, rng)
        makers = {"pads": ear_pads, "hugged": hugging, "sunk": sunk, "free": shapes.headrest, "padded": _padded}
        word = rng.choice(list(makers), p=(0.17, 0.17, 0.17, 0.19, 0.3))
        layers += makers[word](at, rng)
    else:
        word = rng.choice(["padded", "table", "board", "sunk"], p=(0.4, 0.3, 0.1, 0.2))
        if word == "padded":
            layers += compose_contact.padded(at, rng, TABLE)
        elif word == "sunk":
            layers += sunk(at, rng, TABLE)
        else:
            layers += shapes.board(at, rng) if word == "board" else shapes.table(at, rng)
    words.append(str(word))
    kind = rng.random()
    if head and kind < 0.24:
        layers += mask(at, rng)
        words.append("mask")
    elif kind < (0.5 if head else 0.15):
        layers += [layer for _ in range(rng.integers(1, 4)) for layer in band(at, rng)]
        words.append("band")
    elif kind < 0.6:
        layers += blanket(at, rng)
        words.append("blanket")
    return layers + shapes.others(at, rng, _CHANCES), " ".join(words)


def band(at: Around, rng: np.random.Generator) -> list[Layer]:
    """A band on bare skin or a little above it, straight or askew, over the front, a part of it, or all around."""
    thick, half = rng.uniform(1.5, 5), rng.uniform(5, 25)
    gap = rng.uniform(-1, 0.3) if rng.random() < 0.7 else rng.uniform(0.3, 4)
    over = _over(at, rng)
    middle = rng.uniform(at.z.min(), at.z.max()) + rng.normal(0, 0.12) * at.x + rng.normal(0, 0.12) * at.y
    body = np.maximum(np.maximum(gap - over, over - gap - thick), np.abs(at.z - middle) - half)
    body = np.maximum(body, at.y - at.back + rng.uniform(-25, 60))
    if rng.random() < 0.4:
        body = np.maximum(body, np.abs(at.x - rng.normal(0, 15)) - at.half + rng.uniform(-10, 30))
    hu = rng.uniform(-450, 120)
    return [(shapes.share(at, body), hu + shapes.smooth_noise(at, rng, rng.uniform(1, 30), 3), OTHER)]


def mask(at: Around, rng: np.random.Generator) -> list[Layer]:
    """A thermoplastic mask: pressed on, or with a gap that comes and goes; with holes or without."""
    thick, most = rng.uniform(1.4, 4), rng.uniform(0.5, 7)
    gap = np.clip(most * (rng.uniform(-0.3, 0.8) + 0.5 * shapes.smooth_noise(at, rng, 1.0, 10)), -0.7, most)
    if rng.random() < 0.3:
        gap = rng.uniform(-0.7, 3.0)
    over = _over(at, rng)
    body = np.maximum(np.maximum(gap - over, over - gap - thick), at.y - rng.uniform(-0.2, 0.8) * at.back)
    if rng.random() < 0.4:
        body = np.maximum(body, (at.z - rng.uniform(at.z.min(), at.z.max())) * rng.choice([-1, 1]))
    amount = shapes.share(at, body)
    if rng.random() < 0.4:
        amount = amount * (shapes.smooth_noise(at, rng, 1.0, 2) < rng.uniform(0.3, 2))
    return [(amount, float(rng.uniform(-450, 220)), OTHER)]


def blanket(at: Around, rng: np.random.Generator) -> list[Layer]:
    """One or two sheets, thin or thick, that lie on the skin or hang a little above it."""
    layers, gap = [], rng.uniform(-1, 3)
    low = rng.uniform(-0.3, 1.0) * at.back
    for _ in range(rng.integers(1, 3)):
        thick = rng.uniform(1.2, 8)
        over = _over(at, rng) - np.abs(shapes.smooth_noise(at, rng, rng.uniform(0.2, 5), 12))
        body = np.maximum(np.maximum(gap - over, over - gap - thick), at.y - low)
        grain = shapes.smooth_noise(at, rng, rng.uniform(5, 80), 1.2)
        layers.append((shapes.share(at, body), rng.uniform(-930, -250) + grain, OTHER))
        gap += thick + rng.uniform(0, 6)
    return layers


def ear_pads(at: Around, rng: np.random.Generator) -> list[Layer]:
    """Padded cheeks of a holder that press on the sides of the head, mostly with a headrest behind."""
    layers: list[Layer] = []
    middle, tall = rng.uniform(-20, 0.5 * at.back), rng.uniform(14, 55)
    pad, plate = rng.uniform(3, 18), rng.uniform(1.5, 7)
    soft = rng.uniform(-960, -550) if rng.random() < 0.7 else rng.uniform(-550, 120)
    hard = rng.uniform(-250, 300)
    level, long = rng.uniform(-20, 20), rng.uniform(12, 60)
    for side in (-1, 1):
        if rng.random() < 0.08:
            continue
        across = side * at.x - at.half - rng.uniform(-7, 2) - rng.normal(0, 0.08) * (at.y - middle)
        block = np.maximum(np.abs(at.y - middle) - tall, np.abs(at.z - level) - long)
        layers.append((_between(at, across, 0, pad, block), shapes.texture(at, soft, rng, 50), HEADREST))
        layers.append((_between(at, across, pad, pad + plate, block), float(hard), HEADREST))
    return layers + (shapes.headrest(at, rng) if rng.random() < 0.7 else [])


def hugging(at: Around, rng: np.random.Generator) -> list[Layer]:
    """A cushion of beads in a skin that is moulded to the back and the sides."""
    begin, thick, film = rng.uniform(-1.5, 1), rng.uniform(12, 45), rng.uniform(1, 3.5)
    over = at.outside if rng.random() < 0.75 else at.hull
    sides = np.maximum(np.abs(at.x) - at.half - rng.uniform(10, 55), at.y - at.back - rng.uniform(12, 45))
    up = rng.uniform(0.5 * at.front, at.back - 8) + shapes.smooth_noise(at, rng, rng.uniform(0, 10), 8)
    body = np.maximum(np.maximum(np.maximum(begin - over, over - begin - thick), sides), up - at.y)
    beads = rng.uniform(-970, -790) + shapes.smooth_noise(at, rng, rng.uniform(10, 70), 1.2)
    return [
        (shapes.share(at, body), float(rng.uniform(-600, 60)), HEADREST),
        (shapes.share(at, body + film), beads, HEADREST),
    ]


def sunk(at: Around, rng: np.random.Generator, label: int = HEADREST) -> list[Layer]:
    """Foam, bare or in a cover, that the patient sinks into, on a shell: flat, dished, or a ring around the face."""
    thick, press = rng.uniform(5, 40), rng.uniform(2, min(45.0, 0.6 * (at.back - at.front)))
    half = at.half + rng.uniform(-20, 45)
    rise = rng.choice([0.0, rng.uniform(3, 40)]) * np.minimum(np.abs(at.x) / half, 1.5) ** rng.uniform(2, 4)
    floor = at.back + thick - rise
    sides = np.abs(at.x - rng.normal(0, 5)) - half
    if rng.random() < 0.2:
        sides = np.maximum(sides, rng.uniform(15, 40) - np.hypot(at.x, at.z - rng.uniform(-20, 20)))
    foam = np.maximum(np.maximum(floor - thick - press - at.y, at.y - floor), sides)
    layers: list[Layer] = []
    if rng.random() < 0.35:
        layers.append((shapes.share(at, foam), float(rng.uniform(-700, 0)), label))
        foam = foam + rng.uniform(0.6, 2)
    hu = rng.uniform(-975, -780) + shapes.smooth_noise(at, rng, rng.uniform(3, 40), 1.5)
    layers.append((shapes.share(at, foam), hu, label))
    plate = np.maximum(np.maximum(floor - at.y, at.y - floor - rng.uniform(1.5, 6)), sides)
    layers.append((shapes.share(at, plate), float(rng.uniform(-250, 250)), label))
    return layers


def tray(at: Around, rng: np.random.Generator) -> list[Layer]:
    """A board as wide as a headrest and beneath it, foam between two skins."""
    top, thick, skin = at.back + rng.uniform(8, 55), rng.uniform(6, 26), rng.uniform(1.2, 3)
    body = np.maximum(np.maximum(top - at.y, at.y - top - thick), np.abs(at.x) - at.half - rng.uniform(8, 70))
    return [
        (shapes.share(at, body), float(rng.uniform(-250, 200)), HEADREST),
        (shapes.share(at, body + skin), float(rng.uniform(-970, -500)), HEADREST),
    ]


def _padded(at: Around, rng: np.random.Generator) -> list[Layer]:
    return compose_contact.padded(at, rng, HEADREST)


def _over(at: Around, rng: np.random.Generator) -> np.ndarray:
    """Mm from the skin for something that follows it exactly, not at all into hollows, or in between."""
    exact = rng.choice([0.0, 1.0, rng.random()], p=(0.25, 0.45, 0.3))
    return exact * at.outside + (1 - exact) * at.hull


def _between(at: Around, across: np.ndarray, begin: float, end: float, sides: np.ndarray) -> np.ndarray:
    return shapes.share(at, np.maximum(np.maximum(begin - across, across - end), sides))
