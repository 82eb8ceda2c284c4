"""What is not patient: the table and headrests of several shapes. Coordinates: x left, y back in mm, s down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .phantom_painter import Paint
from .phantom_shapes import INFINITE, Both, Bounds, Slab, Without
from .phantom_tissue import HEADREST, TABLE

FOAM = -700.0
CARBON = -80.0
CUSHION = -940.0

HEADRESTS = ("none", "flat", "curved", "box")


@dataclass(frozen=True)
class Dish:
    """All behind a curved surface: y > bottom - rise (x / half)^power, between two heights s.

    Attributes:
        bottom: y in mm of the deepest line.
        half: mm to the side at which the surface has risen by ``rise``.
        rise: mm.
        power: 2 is a bowl, more is a tub.
        span: s from and to, mm.
    """

    bottom: float
    half: float
    rise: float
    power: int
    span: tuple[float, float]

    def bounds(self) -> Bounds:
        """The box in mm."""
        return (-INFINITE, INFINITE), (self.bottom - 3 * self.rise, INFINITE), self.span

    def distance(self, x: np.ndarray, y: np.ndarray, s: np.ndarray) -> np.ndarray:
        """Signed distance in mm."""
        at = np.abs(x) / self.half
        slope = self.rise * self.power / self.half * at ** (self.power - 1)
        depth = (self.bottom - self.rise * at**self.power) - y
        return np.maximum(depth / np.sqrt(1 + slope**2), np.maximum(self.span[0] - s, s - self.span[1]))


def table(surface: float, span: tuple[float, float]) -> list[Paint]:
    """A dished foam table in a dense shell, a cushion on it and the cradle that carries it.

    Args:
        surface: y in mm of the patient's back.
        span: s from and to, mm.
    """
    wide = Slab(0, -205, 205)
    cushion = _between(surface, surface + 9, 205, 46, 2, wide, span)
    shell = _between(surface + 9, surface + 44, 205, 42, 2, wide, span)
    foam = _between(surface + 12, surface + 41, 205, 42, 2, Slab(0, -202, 202), span)
    cradle = _between(surface + 92, surface + 96, 230, 62, 2, Slab(0, -222, 222), span)
    rails = [Both((Slab(0, x - 6, x + 6), Slab(1, surface + 70, surface + 92), Slab(2, *span))) for x in (-120, 120)]
    return [
        Paint(cushion, CUSHION, TABLE, "world"), Paint(shell, CARBON, TABLE, "world"),
            Paint(foam, FOAM, TABLE, "world"),
        Paint(cradle, 60, TABLE, "world"), *[Paint(rail, -250, TABLE, "world") for rail in rails],
    ]  # fmt: skip


def headrest(
    kind: str, back: float, surface: float, centre: float, wide: float, span: tuple[float, float]
) -> list[Paint]:
    """A headrest under the head.

    Args:
        kind: one of ``HEADRESTS``.
        back: y in mm of the back of the head.
        surface: y in mm of the table's surface.
        centre: y in mm of the middle of the head.
        wide: half the head's width in mm.
        span: s from and to, mm.
    """
    if kind == "none":
        return []
    deep = max(surface, back + 22)
    if kind == "flat":
        sides = Slab(0, -wide - 25, wide + 25)
        pad = Both((sides, Slab(1, back + 1, back + 7), Slab(2, *span)))
        block = Both((sides, Slab(1, back + 7, deep), Slab(2, *span)))
        core = Both((Slab(0, -wide - 22, wide + 22), Slab(1, back + 10, deep - 3), Slab(2, span[0] + 3, span[1] - 3)))
        parts = [(pad, CUSHION), (block, CARBON), (core, FOAM)]
    elif kind == "curved":
        depths = ((0, 6, CUSHION + 60), (6, 10, 30.0), (10, 26, FOAM - 150))
        top = Slab(1, centre - 12, INFINITE)
        surfaces = {mm: Dish(back + 1 + mm, wide + 9 + mm, back - centre + 6 + mm, 3, span) for mm in (0, 6, 10, 26)}
        parts = [(Both((Without(surfaces[front], surfaces[rear]), top)), hu) for front, rear, hu in depths]
    elif kind == "box":
        outer = Both((Slab(0, -wide - 52, wide + 52), Slab(1, centre + 8, deep + 4), Slab(2, *span)))
        core = Both((Slab(0, -wide - 49, wide + 49), Slab(1, centre + 11, deep + 1), Slab(2, span[0] + 3, span[1] - 3)))
        cut = Dish(back + 1, wide + 12, back - centre + 6, 4, (span[0] - 1, span[1] + 1))
        deeper = Dish(cut.bottom + 3, cut.half + 3, cut.rise + 3, cut.power, cut.span)
        parts = [(Both((outer, cut)), -40.0), (Both((core, deeper)), FOAM + 40)]
    else:
        raise ValueError(f"Unknown headrest {kind!r}; known are {', '.join(HEADRESTS)}.")
    return [Paint(shape, hu, HEADREST, "world") for shape, hu in parts]


def _between(
    front: float, back: float, half: float, rise: float, power: int, sides: Slab, span: tuple[float, float]
) -> Both:
    """All between two dishes."""
    return Both((sides, Without(Dish(front, half, rise, power, span), Dish(back, half, rise * 0.9, power, span))))
