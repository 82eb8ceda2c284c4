"""The phantom's bones from the neck to the feet. Coordinates: x left, y back, s mm below the vertex."""

from __future__ import annotations

# Points of curves read better in rows:
# fmt: off
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from .phantom_painter import Paint
from .phantom_shapes import Above, Both, Capsule, Ellipsoid, Loft, Shape, Sheet, Shell, Slab, Without, smooth, tube
from .phantom_tissue import BONE, CANCELLOUS, CARTILAGE, DISC, FLUID, LANDMARK_MM, MUSCLE, PATIENT

SPINE_MM = {
    "C1": LANDMARK_MM["C1"], "C2": 198.0, "C3": 217.0, "C4": 233.0, "C5": 249.0, "C6": 265.0, "C7": LANDMARK_MM["C7"],
    "T1": LANDMARK_MM["T1"], "T2": 317.0, "T3": 336.5, "T4": 356.5, "T5": 377.0, "T6": 398.0, "T7": 419.5,
    "T8": 441.5, "T9": 464.0, "T10": 487.0, "T11": 511.0, "T12": LANDMARK_MM["T12"], "L1": LANDMARK_MM["L1"],
    "L2": 598.5, "L3": 632.0, "L4": 666.0, "L5": 699.0, "S1": 731.0,
}
"""Centre of each vertebral body, mm below the vertex."""

_SPINE_Y = (
    (150, 4), (178, 4), (198, 4), (217, 3), (249, 6), (281, 20), (299, 28), (336, 38), (398, 45), (464, 44),
    (511, 37), (566, 29), (632, 21), (666, 23), (699, 33), (731, 50), (770, 70), (800, 73), (835, 60),
)


def spine_y(s: float | np.ndarray, lordosis: float = 0.0) -> np.ndarray:
    """Mm to the back of the middle of the vertebral bodies at s; lordosis moves L3 forward by so many mm."""
    table = np.array(_SPINE_Y, dtype=float)
    bulge = lordosis * np.exp(-(((np.asarray(s, dtype=float) - 632) / 60) ** 2))
    return np.interp(s, table[:, 0], table[:, 1]) - bulge


def ribcage(grow: float = 0.0) -> Loft:
    """The surface that the ribs lie on."""
    rows = (
        (300, 0, 24, 40, 34, 0), (318, 0, 17, 66, 48, 0), (345, 0, 8, 96, 66, 0), (375, 0, 2, 120, 80, 0.1),
        (420, 0, -4, 138, 90, 0.2), (470, 0, -6, 145, 94, 0.25), (520, 0, -6, 145, 93, 0.25),
        (570, 0, -6, 140, 90, 0.25), (620, 0, -6, 134, 86, 0.2),
    )
    return Loft(rows).grow(grow)


def spine(lordosis: float) -> list[Paint]:
    """Vertebrae C1 to L5 with discs, arches and cord, sacrum and coccyx."""
    column, bodies, marrow, arches, cord = [], [], [], [], []
    for name, s, top, bottom, middle in _levels(lordosis):
        width, depth = _body_size(s)
        disc = _disc(name, top, bottom)
        column.append(Paint(_vertebra(s, top - 2, bottom + 2, middle, width, depth), DISC, BONE))
        bodies.append(Paint(_vertebra(s, top + disc / 2, bottom - disc / 2, middle, width, depth), 620, BONE))
        marrow.append(
            Paint(_vertebra(s, top + disc, bottom - disc, middle, width - 2, depth - 2), CANCELLOUS, grain=25)
        )
        arches += _arch(name, s, middle[1], width, depth)
    canal = [(s, float(spine_y(s, lordosis)) + _body_size(s)[1] + _canal(s) + 1) for s in np.linspace(172, 735, 40)]
    for (s0, y0), (s1, y1) in pairwise(canal):
        cord.append(Paint(Capsule((0, y0, s0), (0, y1, s1), _canal(s0), _canal(s1)), FLUID, PATIENT))
        if s1 < 575:
            cord.append(Paint(Capsule((0, y0, s0), (0, y1, s1), 4.6, 4.6), 36))
    return column + bodies + marrow + _atlas(lordosis) + arches + cord + _sacrum()


def vertebrae(lordosis: float) -> dict[str, list[Shape]]:
    """The bone of each vertebra from C1 to L5, as a segmentation has it: body and arch without the discs."""
    found: dict[str, list[Shape]] = dict(zip(("C1", "C2"), _atlas_and_axis(lordosis)))
    for name, s, top, bottom, middle in _levels(lordosis):
        width, depth = _body_size(s)
        disc = _disc(name, top, bottom)
        body = _vertebra(s, top + disc / 2, bottom - disc / 2, middle, width, depth)
        found[name] = [body, *(paint.shape for paint in _arch(name, s, middle[1], width, depth))]
    return found


def thorax() -> list[Paint]:
    """Ribs with cartilage, sternum, clavicles and shoulder blades."""
    paints: list[Paint] = []
    cores: list[Paint] = []
    for number in range(1, 13):
        for side in (1, -1):
            bone, cartilage = _rib(number, side)
            paints += [Paint(part, 620, BONE) for part in tube(bone, 5.0 if number < 11 else 4.0)]
            cores += [Paint(part, 260) for part in tube(bone, 2.6)]
            if cartilage is not None:
                paints += [Paint(part, CARTILAGE, PATIENT) for part in tube(cartilage, 5.0)]
    sternum = Loft(
        (
            (343, 0, -64, 24, 6, 0.6), (362, 0, -76, 20, 6, 0.6), (385, 0, -88, 16, 5.5, 0.6),
            (440, 0, -102, 19, 5.5, 0.6), (488, 0, -107, 15, 5, 0.6), (512, 0, -104, 5, 3, 0),
        )
    )
    paints += [Paint(sternum, 380, BONE), Paint(sternum.grow(-2), 160)]
    for side in (1, -1):
        clavicle = smooth(
            [(18 * side, -62, 345), (60 * side, -60, 333), (105 * side, -30, 322), (146 * side, -8, 318)], 8
        )
        paints += [Paint(part, 750, BONE) for part in tube(clavicle, 6)]
        cores += [Paint(part, 250) for part in tube(clavicle, 3.2)]
        blade = Ellipsoid((107 * side, 62, 395), (4.5, 44, 74), (52 * side, 6 * side, 0))
        spine_of_blade = [(76 * side, 80, 376), (120 * side, 62, 350), (156 * side, 18, 324)]
        socket = Ellipsoid((143 * side, 32, 347), (12, 14, 20), (30 * side, 0, 0))
        paints += [Paint(blade, 480, BONE), Paint(socket, 420, BONE)]
        paints += [Paint(part, 520, BONE) for part in tube(spine_of_blade, (4, 7, 8))]
    return paints + cores


def pelvis() -> list[Paint]:
    """Iliac wings, hip sockets, pubis, ischium."""
    bowl = Loft(
        (
            (665, 0, 14, 141, 88, 0.1), (700, 0, 14, 139, 86, 0.1), (730, 0, 16, 129, 80, 0.1),
            (760, 0, 16, 112, 70, 0), (790, 0, 14, 97, 60, 0), (830, 0, 8, 84, 54, 0), (860, 0, 4, 76, 50, 0),
        )
    )
    crest = Sheet((0, 12, LANDMARK_MM["Tip of iliac crest"]), (1e4, 62), 42, below=True)
    front, notch = Above((0, 2), 828), Above((0, -1), 858)
    paints: list[Paint] = []
    cores: list[Paint] = []
    for side in (1, -1):
        flank = Slab(0, 42, 200) if side > 0 else Slab(0, -200, -42)
        window = (crest, flank, front, notch, Slab(1, -50, 84), Slab(2, 600, 815))
        paints.append(Paint(Both((Shell(bowl, 9.5), *window)), 700, BONE))
        cores.append(Paint(Both((Shell(bowl, 4.5), *window)), 260, grain=40))
        head = (88 * side, -2, LANDMARK_MM["Head of femur"])
        socket = Ellipsoid((head[0] - 5 * side, head[1] + 2, head[2] - 5), (35, 34, 34))
        paints.append(Paint(Both((socket, Slab(0, 40, 106) if side > 0 else Slab(0, -106, -40))), 520, BONE))
        pubis = [(70 * side, -26, 824), (42 * side, -52, 834), (11 * side, -64, 850)]
        lower = [(11 * side, -64, 858), (26 * side, -44, 878), (50 * side, 4, 898)]
        ischium = [(72 * side, 22, 822), (66 * side, 42, 855), (56 * side, 36, 892)]
        for line, radius in ((pubis, (12, 8, 10)), (lower, (9, 6, 10)), (ischium, (17, 12, 15))):
            paints += [Paint(part, 620, BONE) for part in tube(line, radius)]
            cores += [Paint(part.grow(-3.5), 240) for part in tube(line, radius)]
    return paints + cores + [Paint(Capsule((0, -66, 846), (0, -62, 866), 4, 4), CARTILAGE, PATIENT)]


def legs() -> list[Paint]:
    """Femora with their heads in the sockets, knees, shins and feet."""
    paints: list[Paint] = []
    cores: list[Paint] = []
    for side in (1, -1):
        x, y, s = 88 * side, -2.0, LANDMARK_MM["Head of femur"]
        head = Ellipsoid((x, y, s), (24, 24, 24))
        paints += [Paint(head.grow(2.5), CARTILAGE, PATIENT), Paint(head, 560, BONE)]
        cores.append(Paint(head.grow(-3), 330, grain=40))
        neck = tube([(x + 6 * side, y + 1, s + 4), (132 * side, 9, 852)], (15, 18))
        trochanter = Ellipsoid((141 * side, 14, 845), (15, 18, 22))
        shaft = tube(
            [(134 * side, 10, 860), (131 * side, 8, 905), (112 * side, -4, 1060), (88 * side, 6, 1225)],
            (18, 15, 14, 17),
        )
        condyles = [Ellipsoid((80 * side + at, 12, 1250), (19, 30, 22)) for at in (-19, 19)]
        plateau = Ellipsoid((80 * side, 10, 1290), (38, 26, 20))
        shin = tube([(80 * side, 6, 1298), (78 * side, 0, 1400), (74 * side, 6, 1630)], (22, 13, 14))
        calf = tube([(112 * side, 22, 1300), (106 * side, 22, 1620), (100 * side, 18, 1660)], (8, 7, 10))
        knee_cap = Ellipsoid((80 * side, -28, 1238), (21, 9, 22))
        talus = Ellipsoid((76 * side, 10, 1660), (20, 26, 16))
        heel = Ellipsoid((76 * side, 42, 1680), (15, 30, 20))
        foot = [
            part
            for n in range(5)
            for part in tube(
                [
                    ((58 + 9 * n) * side, -8, 1672),
                    ((48 + 14 * n) * side, -75, 1690),
                    ((48 + 14 * n) * side, -128, 1700),
                ],
                6,
            )
        ]
        for part in (*neck, trochanter, *shaft, *condyles, plateau, *shin, *calf, knee_cap, talus, heel, *foot):
            dense = part in shaft or part in shin or part in calf
            paints.append(Paint(part, 1150 if dense else 560, BONE))
            cores.append(Paint(part.grow(-6 if dense else -3), 30 if dense and part is not shaft[0] else 260))
    return paints + cores


def arm_bones(line: np.ndarray) -> list[Paint]:
    """Upper arm, forearm and hand along the points of an arm, from the shoulder on.

    Args:
        line: (4, 3) shoulder, elbow, wrist, finger tips.
    """
    shoulder, elbow, wrist, tips = (np.asarray(point, dtype=float) for point in line)
    bones = tube([shoulder, elbow], (13, 12))
    side = np.array([9.0, 4.0, 0.0])
    bones += tube([elbow + side, wrist + side], (10, 8)) + tube([elbow - side, wrist - side], (9, 7))
    for n in range(-2, 3):
        bones += tube([wrist + side * n * 0.5, tips + side * n * 0.9], (6, 4))
    head = Ellipsoid(tuple(shoulder), (23, 23, 23))
    return (
        [Paint(head.grow(2), CARTILAGE, PATIENT), Paint(head, 520, BONE)]
        + [Paint(bone, 1100, BONE) for bone in bones]
        + [Paint(head.grow(-3), 280, grain=40)]
        + [Paint(bone.grow(-4), 60) for bone in bones]
    )


def _body_size(s: float) -> tuple[float, float]:
    """Half width and half depth in mm of the vertebral body at s."""
    at = (190, 281, 299, 400, 511, 566, 666, 731)
    return (
        float(np.interp(s, at, (11, 14, 15, 15.5, 19, 22, 25, 27))),
        float(np.interp(s, at, (8, 9, 9.5, 14, 15.5, 16.5, 18, 19))),
    )


def _canal(s: float) -> float:
    """Radius in mm of the spinal canal at s."""
    return float(np.interp(s, (170, 280, 330, 500, 560, 735), (10, 9.5, 8, 8, 9.5, 9)))


def _vertebra(s: float, top: float, bottom: float, y: tuple[float, float, float], width: float, depth: float) -> Loft:
    """A body with a slight waist, between two heights; y is its middle at the top, the centre and the bottom."""
    y_top, middle, y_bottom = y
    flat = 0.25
    return Loft(
        (
            (top, 0, y_top, width, depth, flat),
            (s, 0, middle, width * 0.93, depth * 0.94, flat),
            (bottom, 0, y_bottom, width, depth, flat),
        )
    )


def _arch(name: str, s: float, y: float, width: float, depth: float) -> list[Paint]:
    """Pedicles, laminae, spinous and transverse processes of one vertebra."""
    canal = _canal(s)
    back = y + depth
    lamina = back + 2 * canal + 4
    kind = name[0]
    slope = {"C": 8, "T": 20, "L": 6}[kind]
    reach = {"C": 16 if name not in ("C7", "C2") else 26, "T": 22, "L": 28}[kind]
    parts = [*tube([(0, lamina, s + 2), (0, lamina + reach, s + slope)], (4.5, 4.0 if kind != "L" else 5.5))]
    for side in (1, -1):
        rim = (canal + 3) * side
        parts += tube([(width * 0.6 * side, back - 3, s - 2), (rim, back + canal, s), (0, lamina, s + 3)], (5, 4, 4))
        facet = (canal + 7) * side
        parts += tube([(facet, back + canal + 2, s - 9), (facet, back + canal + 5, s + 9)], 5.5)
        out = {"C": 27, "T": 32, "L": 42}[kind]
        turn = {"C": -4, "T": 16, "L": 2}[kind]
        parts += tube([(rim, back + canal - 2, s), (out * side, back + canal + turn, s - 2)], (5, 3.5))
    return [Paint(part, 560 if kind != "C" else 500, BONE) for part in parts]


def _levels(lordosis: float) -> Iterator[tuple[str, float, float, float, tuple[float, float, float]]]:
    """Name, centre, upper and lower end of each vertebra with a body like the others, and its y at top, centre, end."""
    names = list(SPINE_MM)
    for n, name in enumerate(names[2:-1], start=2):
        s, above, below = SPINE_MM[name], SPINE_MM[names[n - 1]], SPINE_MM[names[n + 1]]
        top, bottom = (s + above) / 2, (s + below) / 2
        middle, y_top, y_bottom = (float(spine_y(at, lordosis)) for at in (s, top, bottom))
        yield name, s, top, bottom, (y_top, middle, y_bottom)


def _disc(name: str, top: float, bottom: float) -> float:
    """Height in mm of the disc."""
    return {"C": 0.3, "T": 0.22, "L": 0.28}[name[0]] * (bottom - top)


def _atlas(lordosis: float) -> list[Paint]:
    """C1 as a ring about the dens of C2."""
    ring, axis = _atlas_and_axis(lordosis)
    return [Paint(part, 680, BONE) for part in (*ring, *axis)] + [Paint(part.grow(-3), 320) for part in axis]


def _atlas_and_axis(lordosis: float) -> tuple[list[Shape], list[Shape]]:
    s = SPINE_MM["C1"]
    y = float(spine_y(s, lordosis))
    ring = [(20 * np.sin(t), y + 16 - 24 * np.cos(t), s + 1) for t in np.linspace(0, 2 * np.pi, 19)]
    parts = tube(ring, 4.0)
    for side in (1, -1):
        parts += [Ellipsoid((21 * side, y + 6, s), (9, 11, 9))]
        parts += tube([(24 * side, y + 8, s), (38 * side, y + 10, s + 1)], (5, 4))
    dens = tube([(0, y + 3, SPINE_MM["C2"]), (0, y + 2, s - 7)], (7.5, 5.5))
    return parts, [*dens, Ellipsoid((0, y + 2, SPINE_MM["C2"] + 3), (14, 9, 11))]


def _sacrum() -> list[Paint]:
    plate = Loft(
        (
            (714, 0, 41, 30, 18, 0.2), (731, 0, 52, 50, 20, 0.2), (750, 0, 66, 48, 17, 0.2), (775, 0, 77, 36, 13, 0),
            (800, 0, 78, 24, 10, 0), (815, 0, 72, 14, 7, 0), (840, 0, 58, 5, 4, 0),
        )
    )
    holes = [
        Paint(
            Capsule((x * side, 40 + (s - 731) * 0.62, s), (x * side, 76 + (s - 731) * 0.3, s + 4), 4, 4),
            FLUID + 30,
            PATIENT,
        )
        for side in (1, -1)
        for s, x in ((744, 22), (764, 19), (783, 15))
    ]
    return [
        Paint(plate, 520, BONE),
        Paint(plate.grow(-3), 190, grain=30),
        *holes,
        Paint(Without(Ellipsoid((0, 82, 735), (7, 7, 30)), Slab(2, 760, 900)), FLUID + MUSCLE / 4, PATIENT),
    ]


def _rib(number: int, side: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Points of a rib from the spine to its front end, and of its cartilage to the sternum or the costal arch."""
    s = SPINE_MM[f"T{number}"]
    drop = (30, 52, 68, 80, 90, 98, 104, 104, 96, 84, 56, 36)[number - 1]
    end = np.radians((128, 138, 143, 146, 147, 146, 142, 132, 122, 112, 84, 62)[number - 1])
    cage = ribcage()
    angle = np.linspace(np.radians(24 if number > 1 else 40), end, 14)
    heights = s + drop * (1 - np.cos(angle)) / 2 + 4
    _, y, a, b, _ = cage.section(heights)
    line = np.stack([side * a * np.sin(angle), y + b * np.cos(angle), heights], axis=1)
    head = np.array([[15 * side, float(spine_y(s)) + 8, s - 4], [30 * side, float(spine_y(s)) + 28, s]])
    line = np.concatenate([head if number > 1 else head[:1], line])
    if number > 10:
        return line, None
    goal_s = (350, 366, 386, 406, 426, 446, 462, 500, 530, 556)[number - 1]
    if number <= 7:
        goal = np.array([17 * side, float(np.interp(goal_s, (343, 385, 440, 500), (-64, -88, -102, -106))), goal_s])
        middle = (line[-1] + goal) / 2 + np.array([6 * side, -5, 8])
    else:
        _, y, a, b, _ = cage.section(np.array(goal_s - 10.0))
        turn = end + np.radians(14)
        goal = np.array([side * float(a) * np.sin(turn), float(y) + float(b) * np.cos(turn), goal_s - 10.0])
        middle = (line[-1] + goal) / 2
    return line, np.stack([line[-1], middle, goal])
