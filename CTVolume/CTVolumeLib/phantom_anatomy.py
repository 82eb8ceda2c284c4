"""The phantom's body from skin to bone, in the order in which it is drawn.

Coordinates: x left, y back, s mm below the vertex of an adult of size 1 (1.71 m), lying on the back.
"""

from __future__ import annotations

# Points of curves read better in rows:
# fmt: off
import numpy as np

from .phantom_head import features, head_outline, skull, throat
from .phantom_organs import Sphere, airways, belly, lung_vessels, lungs, mediastinum, nodules, patches
from .phantom_painter import Paint
from .phantom_shapes import Both, Capsule, Ellipsoid, Loft, Shell, Slab, Without, tube
from .phantom_skeleton import arm_bones, legs, pelvis, ribcage, spine, thorax
from .phantom_tissue import AIR, FAT, FLESH, MUSCLE, PATIENT, SKIN

SKIN_MM = 1.8

BACK_MM = 116.0
"""y of the lowest part of the back at girth 1."""

HEAD_BACK_MM = 97.0
"""y of the back of the head without hair."""

Outline = Loft | Ellipsoid | Capsule


def patient(
    *,
    girth: float,
    lordosis: float,
    arms: str,
    hair: float,
    blood: float,
    seed: int,
    nodule_count: int,
    ground_glass: tuple[Sphere, ...],
    markers: tuple[Sphere, ...],
) -> list[Paint]:
    """All of the body, first what lies under the rest.

    Args:
        girth: 1 is slim to normal; each 0.1 more is 7 mm of fat under the skin of the trunk.
        lordosis: mm by which the lumbar spine lies further forward.
        arms: ``"up"``, ``"down"`` or ``"none"``.
        hair: mm.
        blood: HU.
        seed: of vessels, bowel and nodules.
        nodule_count: number of lung nodules.
        ground_glass: hazy patches in the lungs.
        markers: dense balls in the body, for tests that have to find a place again.
    """
    limbs = arm_line(arms)
    balls = nodules(seed, nodule_count)
    paints = features(hair) + _layers(girth, limbs) + _folds(girth)
    paints += belly(seed, blood) + lungs() + lung_vessels(seed, blood) + patches(ground_glass)
    paints += [Paint(_ball(ball), ball.hu, None, "organ") for ball in balls]
    paints += mediastinum(blood) + airways()
    paints += thorax() + spine(lordosis) + pelvis() + legs()
    for line in limbs:
        paints += arm_bones(line)
    paints += skull() + throat()
    paints += [Paint(_ball(ball), ball.hu, PATIENT) for ball in markers]
    return paints


def arm_line(arms: str) -> list[np.ndarray]:
    """(4, 3) shoulder, elbow, wrist and finger tips of each arm.

    Raises:
        ValueError: arms is neither up, down nor none.
    """
    if arms == "none":
        return []
    if arms == "down":
        line = [(166, 18, 336), (238, 40, 622), (226, 6, 866), (206, -10, 1040)]
    elif arms == "up":
        line = [(152, 12, 302), (168, -30, 40), (30, -20, -128), (-20, -18, -250)]
    else:
        raise ValueError(f"Arms are up, down or none, not {arms!r}.")
    # one arm is never bent quite as the other, and two hands do not fit in one place
    return [np.array([(x * side, y + (30 if side < 0 and s < 0 else 0), s) for x, y, s in line]) for side in (1, -1)]


def _layers(girth: float, limbs: list[np.ndarray]) -> list[Paint]:
    """Skin, the fat under it, and muscle as the filling, each for the whole body so that no seams show."""
    more = (girth - 1) * 70
    parts: list[tuple[Outline, float]] = [(shape, 3.5) for shape in head_outline()]
    parts.append((_trunk(more), 29 + more))  # the flesh of the trunk follows with its own outline
    for side in (1, -1):
        parts.append((_leg(side, more), 9 + 0.7 * more))
        parts += [
            (part, 6.0)
            for part in tube([(76 * side, 34, 1655), (76 * side, -30, 1690), (76 * side, -130, 1708)], (38, 34, 16))
        ]
    for line in limbs:
        radii = (52 + 0.4 * more, 41 + 0.4 * more, 28, 16)
        parts += [(part, 8 + 0.3 * more) for part in tube(line, radii)]
        root = (line[0][0] * 0.45, 22.0, line[0][2] + 18)
        parts += [(part, 9 + 0.3 * more) for part in tube([root, line[0]], (42 + 0.3 * more, radii[0]))]
    paints = [Paint(shape, SKIN, PATIENT) for shape, _ in parts]
    paints += [Paint(shape.grow(-SKIN_MM), FAT, PATIENT, grain=7) for shape, _ in parts]
    paints += [Paint(shape.grow(-SKIN_MM - fat), MUSCLE, FLESH, grain=9) for shape, fat in parts]
    paints.append(Paint(_trunk(0, flesh=True), MUSCLE, FLESH, grain=9))
    return paints + _fat_planes()


def _fat_planes() -> list[Paint]:
    """Fat between the muscles, without which limbs and back look like dough."""
    paints = [Paint(Both((Shell(ribcage(8), 3.5), Slab(2, 310, 600))), FAT, only=(FLESH,), share=0.7)]
    for side in (1, -1):
        back = Loft(
            (
                (300, 26 * side, 66, 20, 18, 0.2),
                (400, 32 * side, 84, 24, 14, 0.3),
                (520, 34 * side, 76, 27, 20, 0.3),
                (640, 38 * side, 68, 32, 25, 0.3),
                (700, 34 * side, 80, 28, 17, 0.2),
                (740, 20 * side, 96, 12, 8, 0),
            )
        )
        paints += [*_muscle(back, 2, 16)]
        glutei = Ellipsoid((84 * side, 66, 800), (62, 30, 84), (-32 * side, -14 * side, 0))
        paints += [*_muscle(glutei, 2.5, 18)]
        for x, y, wide in ((104, -30, 30), (70, -12, 22), (84, 44, 30), (122, 6, 20)):
            line = [(x * side, y, 880), ((x - 6) * side, y, 980), ((x * 0.5 + 42) * side, y * 0.6, 1190)]
            muscle = tube(line, (wide, wide, wide * 0.5))
            paints += [paint for part in muscle for paint in _muscle(part, 2.2, 14)[:1]]
            paints += [paint for part in muscle for paint in _muscle(part, 2.2, 14)[1:]]
        chest = Ellipsoid((72 * side, -86, 380), (64, 11, 52), (26 * side, 20 * side, 6))
        paints += _muscle(chest, 2, 12)
        for centre, radii, turn in (
            ((112, 50, 400), (36, 12, 66), -40), ((104, 76, 392), (40, 11, 60), -38), ((168, 14, 350), (24, 40, 46), 0),
        ):
            blade = Ellipsoid((centre[0] * side, *centre[1:]), radii, (turn * side, 0, 0))
            paints += _muscle(blade, 2.2, 12)
    return paints


def _muscle(shape: Outline, gap: float, grain: float) -> list[Paint]:
    """A muscle in its wrap of fat, only where there is flesh."""
    return [Paint(shape.grow(gap), FAT, only=(FLESH,), share=0.7), Paint(shape, MUSCLE, only=(FLESH,), grain=grain)]


def _folds(girth: float) -> list[Paint]:
    """Air in the cleft of the buttocks and, in stout people, under the belly."""
    cleft = Without(Ellipsoid((0, 120 + 70 * (girth - 1), 876), (3.5, 36, 60)), Slab(2, 900, 1000))
    paints = [Paint(cleft, AIR, 0)]
    if girth > 1.25:
        crease = Ellipsoid((0, -112 - 70 * (girth - 1), 770), (125, 34, 2.4), (0, 0, 42))
        paints.append(Paint(crease, AIR, 0))
    return paints


def _trunk(more: float, flesh: bool = False) -> Loft:
    """The trunk's skin, or the outline of the flesh under the fat.

    Args:
        more: mm of fat more than a slim person has.
        flesh: whether the fat is left away, which is thickest at the buttocks.
    """
    # s, y, half width, half depth, squareness, share of the fat, mm of fat of a slim person
    rows = (
        (160, 22, 44, 46, 0, 0, 4), (190, 10, 55, 61, 0, 0.2, 5), (240, 7, 57, 61, 0, 0.3, 6),
        (272, 10, 60, 63, 0, 0.3, 7), (292, 19, 82, 66, 0, 0.4, 9), (308, 22, 128, 74, 0, 0.5, 10),
        (325, 19, 168, 82, 0.1, 0.6, 10), (350, 10, 185, 92, 0.2, 0.8, 11), (390, 0, 180, 104, 0.3, 0.9, 12),
        (440, -3, 172, 112, 0.35, 1, 13), (500, -3, 166, 113, 0.35, 1, 13), (570, -4, 158, 109, 0.35, 1, 14),
        (625, -4, 154, 106, 0.35, 1, 17), (690, -1, 164, 107, 0.35, 1, 18), (750, 2, 178, 111, 0.3, 1, 21),
        (826, 4, 184, 112, 0.3, 1, 22), (866, 4, 184, 110, 0.3, 1, 20), (890, 4, 182, 100, 0.2, 1, 16),
    )
    inset = [SKIN_MM + row[6] if flesh else -more * row[5] for row in rows]
    return Loft(tuple((s, 0.0, y, a - less, b - less, q) for (s, y, a, b, q, _, _), less in zip(rows, inset)))


def _leg(side: int, more: float) -> Loft:
    rows = (
        (846, 92, 4, 82, 92, 0.1), (900, 91, 4, 88, 96, 0), (1000, 88, 3, 78, 82, 0), (1120, 84, 6, 66, 70, 0),
        (1230, 80, 6, 56, 60, 0), (1300, 80, 12, 54, 60, 0), (1370, 80, 18, 56, 62, 0), (1480, 78, 14, 46, 52, 0),
        (1600, 75, 12, 34, 40, 0), (1660, 76, 14, 34, 42, 0), (1690, 76, 20, 30, 50, 0),
    )
    share = np.interp([row[0] for row in rows], (860, 1200, 1700), (0.9, 0.5, 0.1)) * more
    return Loft(tuple((s, x * side, y, a + g * 0.6, b + g, q) for (s, x, y, a, b, q), g in zip(rows, share)))


def _ball(ball: Sphere) -> Ellipsoid:
    return Ellipsoid((ball.x, ball.y, ball.s), (ball.radius,) * 3)
