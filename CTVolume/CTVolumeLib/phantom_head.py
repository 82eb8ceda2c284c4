"""The phantom's head and neck: skull, brain, orbits, sinuses, jaws, throat. Coordinates: x left, y back, s down."""

from __future__ import annotations

# Points of curves read better in rows:
# fmt: off
import numpy as np

from .phantom_painter import Paint
from .phantom_shapes import Both, Capsule, Ellipsoid, Loft, Sheet, Slab, Without, smooth, tube
from .phantom_tissue import (
    AIR,
    AIRWAY,
    BONE,
    BRAIN,
    BRAIN_LABEL,
    CANCELLOUS,
    ENAMEL,
    EYE,
    FAT,
    FLESH,
    FLUID,
    LANDMARK_MM,
    MUSCLE,
    PATIENT,
    SKIN,
)

ORBIT = LANDMARK_MM["Center of orbit"]

CRANIUM = Ellipsoid((0, 1, 88), (77, 96, 88))
"""The skin of the brain's part of the head; its top is the vertex."""


def head_outline() -> list[Loft | Ellipsoid | Capsule]:
    """The skin of the head without ears and nose."""
    face = Loft(
        ((70, 0, -26, 60, 62, 0.1), (95, 0, -26, 68, 70, 0.15), (120, 0, -26, 70, 70, 0.1), (150, 0, -26, 66, 71, 0.05),
         (180, 0, -30, 59, 68, 0), (205, 0, -36, 52, 61, 0), (222, 0, -46, 42, 51, 0), (232, 0, -52, 30, 42, 0),
         (238, 0, -56, 14, 28, 0), (241, 0, -58, 4, 10, 0))
    )
    nape = Ellipsoid((0, 28, 150), (58, 49, 50))
    return [CRANIUM, face, nape]


def features(hair: float) -> list[Paint]:
    """Hair, ears and nose, drawn before the body so that only what sticks out remains.

    Args:
        hair: mm; 0 is bald.
    """
    paints = []
    if hair > 0:
        mop = CRANIUM.grow(hair)
        # hair grows above and behind a slanted line from the forehead to the nape
        hairline = Both((mop, Sheet((0, -78, 40), (1e4, 62), 16, below=False)))
        paints.append(Paint(hairline, -780, PATIENT, grain=190))
    for side in (1, -1):
        ear = Ellipsoid((75 * side, 14, 130), (5, 18, 31), (-28 * side, 0, 12))
        paints += [Paint(ear, -20, PATIENT), Paint(Ellipsoid((79 * side, 10, 128), (3, 9, 16), (-28 * side, 0, 12)),
            AIR, 0)]
        paints.append(Paint(Ellipsoid((71 * side, 14, 154), (5, 7, 9)), SKIN, PATIENT))
    nose = tube([(0, -88, 108), (0, -99, 138), (0, -102, 149), (0, -92, 156)], (7, 11, 14, 14))
    paints += [Paint(part, SKIN + 10, PATIENT) for part in nose]
    for side in (1, -1):
        paints.append(Paint(Capsule((5 * side, -104, 158), (6 * side, -92, 152), 3, 3.5), AIR, 0))
    return paints


def skull() -> list[Paint]:
    """Skull with brain and sinuses, orbits, face and lower jaw."""
    return _vault() + _brain() + _face() + _eyes() + _sinuses() + _jaws()


def throat() -> list[Paint]:
    """Air from the nose to the windpipe's start, tongue, larynx, thyroid bone, neck muscles."""
    paints = []
    muscles = [
        ([(42, 24, 150), (37, -8, 240), (14, -34, 318)], 10, 0.5),
        ([(20, 40, 190), (24, 44, 250), (42, 62, 320)], 14, 0.5),
        ([(13, 26, 190), (15, 38, 260), (18, 60, 330)], 9, 0.4),
        ([(11, -10, 190), (12, -4, 255), (13, 10, 310)], 7, 0.4),
        ([(28, 14, 210), (34, 16, 260), (60, 12, 316)], 10, 0.5),
    ]
    for line, radius, fat in muscles:
        for side in (1, -1):
            points = smooth([(x * side, y, s) for x, y, s in line], 7)
            paints += [Paint(part.grow(1.5), FAT, only=(FLESH,), share=fat) for part in tube(points, radius)]
            paints += [Paint(part, MUSCLE + 6, only=(FLESH,), grain=6) for part in tube(points, radius)]
    tongue = Ellipsoid((0, -50, 190), (24, 34, 20), (0, 0, -14))
    paints += [Paint(tongue.grow(2), FAT, share=0.5), Paint(tongue, MUSCLE + 8, grain=8)]
    gullet = Loft(
        (
            (128, 0, -33, 13, 7, 0), (150, 0, -24, 13, 7, 0), (170, 0, -19, 12, 6, 0), (190, 0, -20, 13, 7, 0),
            (212, 0, -24, 14, 8, 0), (228, 0, -32, 9, 7, 0), (238, 0, -38, 6, 8, 0), (246, 0, -38, 3, 8, 0),
            (254, 0, -35, 7, 8, 0), (264, 0, -31, 9, 9, 0),
        )
    )
    larynx = Loft(
        ((222, 0, -34, 18, 14, 0.1), (240, 0, -38, 19, 16, 0), (254, 0, -36, 15, 13, 0), (266, 0, -31, 12, 12, 0))
    )
    shield = [tube([(0, -52, 236 + n), (20, -38, 233 + n), (22, -26, 232 + n)], 2.2) for n in range(0, 18, 3)]
    paints += [Paint(larynx, 62, PATIENT)]
    paints += [Paint(part, 170, PATIENT) for row in shield for part in row]
    paints += [
        Paint(part, 170, PATIENT)
        for row in shield
        for part in (Capsule((-p.start[0], *p.start[1:]), (-p.stop[0], *p.stop[1:]), 2.2, 2.2) for p in row)
    ]
    hyoid = [(20, -22, 216), (15, -44, 219), (0, -52, 221), (-15, -44, 219), (-20, -22, 216)]
    paints += [Paint(part, 420, BONE) for part in tube(hyoid, 3)]
    paints += [Paint(gullet, AIR, AIRWAY), Paint(Ellipsoid((0, -32, 215), (9, 2.5, 10), (0, 0, 25)), 45, PATIENT)]
    return paints


def _floor(grow: float) -> Sheet:
    """Everything above the skull base, which is deepest at the back of the head."""
    return Sheet((0, 42, 162 + grow), (82, 66), -27, below=False)


def _vault() -> list[Paint]:
    outer = CRANIUM.grow(-6)
    bone = Both((outer, _floor(4)))
    marrow = Without(Both((CRANIUM.grow(-8.5), _floor(0))), CRANIUM.grow(-10.5))
    return [Paint(bone, 950, BONE), Paint(marrow, 420, share=0.8)]


def _brain() -> list[Paint]:
    cavity = Both((CRANIUM.grow(-12.5), _floor(0)))
    paints = [
        Paint(cavity, FLUID + 12, BRAIN_LABEL),
        Paint(Both((CRANIUM.grow(-15.5), _floor(-3))), BRAIN + 3, grain=2.5),
    ]
    white = Ellipsoid((0, 0, 82), (46, 62, 46))
    paints += [Paint(white, BRAIN - 6, share=0.8, grain=2)]
    for side in (1, -1):
        horn = tube(
            smooth([(8 * side, -32, 84), (9 * side, -8, 76), (16 * side, 22, 82), (22 * side, 42, 92)], 7),
            (7, 7, 6, 6, 7, 7, 5),
        )
        paints += [Paint(part, FLUID) for part in horn]
        paints.append(Paint(Ellipsoid((16 * side, 0, 92), (9, 14, 11)), BRAIN + 4))
        sylvian = [(40 * side, -22, 100), (52 * side, -8, 94), (57 * side, 16, 86)]
        paints += [Paint(part, FLUID + 6, share=0.8) for part in tube(sylvian, 2.2)]
        for n, s in ((n, s) for s in (46.0, 68.0, 90.0) for n in range(11)):
            angle = np.radians(12 + 15 * n)
            wide = np.sqrt(1 - ((s - 88) / 76) ** 2)
            x, y = 57 * wide * np.sin(angle) * side, -75 * wide * np.cos(angle)
            furrow = Ellipsoid((x, y, s), (8, 1.5, 11), (float(np.degrees(np.arctan2(y, x))), 0, 0))
            paints.append(Paint(furrow, FLUID + 4, share=0.8))
    falx = Both((CRANIUM.grow(-12.5), Slab(0, -1.1, 1.1), Slab(2, 0, 76)))
    paints.append(Paint(falx, 48, share=0.8))
    paints.append(Paint(Ellipsoid((0, -4, 94), (2.5, 12, 8)), FLUID))
    paints.append(Paint(Capsule((0, 14, 122), (0, 10, 168), 13, 8), BRAIN))
    paints.append(Paint(Ellipsoid((0, 28, 135), (7, 5, 7)), FLUID))
    paints.append(Paint(Ellipsoid((0, -14, 118), (16, 9, 6)), FLUID + 4))
    paints.append(Paint(Ellipsoid((0, 12, 87), (2, 2, 3)), 210))
    for side in (1, -1):
        petrous = Capsule((12 * side, -2, 139), (58 * side, 22, 133), 7, 12)
        mastoid = Ellipsoid((59 * side, 24, 145), (12, 14, 21))
        paints += [Paint(mastoid, 560, BONE), Paint(petrous, 1150, BONE)]
    return paints


def _face() -> list[Paint]:
    maxilla = Loft(
        ((120, 0, -60, 34, 24, 0.2), (140, 0, -60, 42, 30, 0.2), (160, 0, -62, 36, 27, 0), (176, 0, -62, 29, 24, 0))
    )
    base = Ellipsoid((0, -18, 128), (34, 24, 12))
    paints = [Paint(maxilla, 420, BONE), Paint(maxilla.grow(-3), 60, PATIENT), Paint(base, 520, BONE)]
    for side in (1, -1):
        arch = smooth([(38 * side, -78, 140), (56 * side, -62, 136), (67 * side, -30, 133), (66 * side, -4, 129)], 8)
        paints += [Paint(part, 850, BONE) for part in tube(arch, (7, 7, 6, 5, 4, 4, 4, 5))]
        rim = [
            (24 * np.cos(t) * side + 33 * side, -76 + 8 * np.cos(t), ORBIT - 19 * np.sin(t))
            for t in np.linspace(0, 2 * np.pi, 13)
        ]
        paints += [Paint(part, 880, BONE) for part in tube(rim, 3.6)]
        chew = Ellipsoid((57 * side, -28, 178), (9, 20, 34))
        temple = Ellipsoid((64 * side, -32, 112), (8, 26, 28), (18 * side, 0, 0))
        paints += [Paint(chew, MUSCLE + 10, only=(FLESH,), grain=6),
            Paint(temple, MUSCLE + 8, only=(FLESH, PATIENT), grain=6)]
    return paints


def _eyes() -> list[Paint]:
    paints = []
    for side in (1, -1):
        centre = (32 * side, -68, ORBIT)
        socket = tube([(30 * side, -66, ORBIT), (15 * side, -30, ORBIT + 3)], (19, 4))
        paints += [Paint(part.grow(2.2), 700, BONE) for part in socket]
        paints += [Paint(part, FAT + 10, PATIENT) for part in socket]
        apex = np.array([17 * side, -33, ORBIT + 2])
        for x, s in ((12, 0), (-12, 0), (0, 12), (0, -12)):
            paints.append(Paint(Capsule(tuple(apex), (centre[0] + x, centre[1] + 5, centre[2] + s), 1.5, 2.3), MUSCLE))
        paints.append(Paint(Capsule(tuple(apex), (centre[0], centre[1] + 11, ORBIT), 2.2, 2.2), 38))
        ball = Ellipsoid(centre, (12.3, 12.3, 12.3))
        paints += [Paint(ball, 65, EYE), Paint(ball.grow(-1.6), 14)]
        paints.append(Paint(Ellipsoid((centre[0], centre[1] - 7.5, ORBIT), (4.6, 2.4, 4.6)), 105))
    return paints


def _sinuses() -> list[Paint]:
    paints = []
    for side in (1, -1):
        maxillary = Ellipsoid((29 * side, -60, 146), (13, 18, 16))
        paints += [Paint(maxillary.grow(1.8), 480, BONE), Paint(maxillary, AIR, PATIENT)]
        ethmoid = Ellipsoid((7 * side, -62, 117), (6, 20, 12))
        paints += [Paint(ethmoid, -520, PATIENT, grain=420)]
        frontal = Ellipsoid((12 * side, -82, 92), (13, 4.5, 10))
        paints += [Paint(frontal.grow(1.5), 900, BONE), Paint(frontal, AIR, PATIENT)]
        passage = Ellipsoid((6.5 * side, -62, 150), (4.5, 30, 14))
        shelf = Ellipsoid((7 * side, -62, 154), (2.8, 22, 4))
        paints += [Paint(passage, AIR, PATIENT), Paint(shelf, 45, PATIENT)]
        cells = Ellipsoid((59 * side, 24, 144), (9, 11, 17))
        paints += [Paint(cells, -380, PATIENT, grain=480)]
        canal = Capsule((84 * side, 8, 130), (50 * side, 10, 131), 3.2, 3)
        paints += [Paint(canal, AIR, PATIENT)]
    sphenoid = Ellipsoid((0, -26, 128), (13, 11, 10))
    paints += [Paint(sphenoid, AIR, PATIENT)]
    return [*paints, Paint(Ellipsoid((0, -62, 138), (1.0, 29, 27)), 150, PATIENT)]


def _jaws() -> list[Paint]:
    arch = np.array(
        [(38, -32), (33, -56), (21, -74), (7, -81), (-7, -81), (-21, -74), (-33, -56), (-38, -32)], dtype=float
    )
    curve = smooth(arch, 17)
    paints = [Paint(part, 640, BONE) for part in tube([(x, y + 1, 174) for x, y in curve], 6)]
    chin = smooth(
        [
            (43, -30, 208), (35, -57, 214), (22, -75, 218), (7, -83, 220), (-7, -83, 220), (-22, -75, 218),
            (-35, -57, 214), (-43, -30, 208),
        ],
        17,
    )
    paints += [Paint(part, 1050, BONE) for part in tube(chin, 7.5)]
    paints += [Paint(part, 900, BONE) for part in tube([(x, y + 2, s - 10) for x, y, s in chin], 6)]
    paints += [Paint(part, CANCELLOUS) for part in tube([(x, y, s - 2) for x, y, s in chin], 4)]
    for side in (1, -1):
        ramus = Both((Ellipsoid((48 * side, -22, 178), (5, 17, 45), (0, 6 * side, 12)), Slab(2, 138, 224)))
        paints += [Paint(ramus, 900, BONE), Paint(Ellipsoid((50 * side, -4, 140), (9, 5, 6)), 850, BONE)]
    for x, y in curve:
        paints.append(Paint(Capsule((x, y, 175), (x * 1.02, y - 1, 190), 2.6, 4.0), ENAMEL, BONE))
        paints.append(Paint(Capsule((x * 0.97, y + 1.5, 206), (x * 0.97, y + 1, 191.5), 2.4, 3.8), ENAMEL - 100, BONE))
    return paints
