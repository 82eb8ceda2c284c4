"""The phantom's organs in chest and belly. Coordinates: x left, y back, s mm below the vertex, at half a breath."""

from __future__ import annotations

# Points of curves read better in rows:
# fmt: off
from dataclasses import dataclass

import numpy as np

from .phantom_painter import Paint
from .phantom_shapes import INFINITE, Both, Capsule, Either, Ellipsoid, Loft, Sheet, Slab, smooth, tube
from .phantom_skeleton import spine_y
from .phantom_tissue import (
    AIR,
    AIRWAY,
    FAT,
    FLUID,
    HEART,
    KIDNEY,
    LANDMARK_MM,
    LEFT_LUNG,
    LIVER,
    LIVER_LABEL,
    LUNG,
    LUNGS,
    MUSCLE,
    PATIENT,
    RIGHT_LUNG,
)

ARCH, CARINA, DOME = (
    LANDMARK_MM[name] for name in ("Aortic arch", "Bifurcation of trachea", "Right dome of diaphragm")
)

_ROOTS = ((-36.0, 2.0, 408.0), (38.0, 6.0, 404.0))
"""Where the vessels enter the right and the left lung."""


@dataclass(frozen=True)
class Sphere:
    """A ball in the patient: x left, y back, s mm below the vertex in the phantom of size 1; radius in mm; HU."""

    x: float
    y: float
    s: float
    radius: float
    hu: float = 40.0


def lungs() -> list[Paint]:
    """Both lungs without their vessels."""
    paints = []
    for side, label in ((-1, RIGHT_LUNG), (1, LEFT_LUNG)):
        paints.append(Paint(_lung(side), LUNG, label, "organ", grain=12))
        # blood settles at the back of the lungs of who lies on the back
        for y in (5, 25, 42, 58, 72):
            paints.append(Paint(Both((_lung(side), Slab(1, y, 200))), LUNG + 90, None, "organ", share=0.2, grain=15))
    return paints


def lung_vessels(seed: int, blood: float) -> list[Paint]:
    """Branching arteries, veins and the larger bronchi of both lungs.

    Args:
        seed: of the tree.
        blood: HU.
    """
    rng = np.random.default_rng([seed, 1])
    paints: list[Paint] = []
    for root, side in zip(_ROOTS, (-1, 1)):
        label = (RIGHT_LUNG, LEFT_LUNG)[side > 0]
        ends = [
            (40, -40, 335), (60, 40, 350), (110, -20, 390), (60, -75, 420), (120, 30, 430), (80, 60, 480),
            (95, 10, 465), (60, -50, 470), (110, 60, 510), (70, 70, 530), (125, -10, 480), (50, 45, 400),
            (45, -65, 380),
        ]
        for end in ends:
            goal = np.array([end[0] * side, end[1], end[2]], dtype=float) + rng.normal(0, 5, 3)
            _branch(paints, np.array(root), goal, 4.6, 3, rng, blood, label)
    return paints


def mediastinum(blood: float) -> list[Paint]:
    """Fat between the lungs, heart, great vessels, gullet.

    Args:
        blood: HU of contrast-filled blood.
    """
    between = Loft(
        (
            (300, 0, 5, 30, 40, 0.2), (330, 0, -6, 33, 46, 0.3), (360, 4, -14, 29, 52, 0.3),
            (390, 4, -16, 34, 54, 0.3), (430, 8, -22, 46, 58, 0.2), (480, 10, -26, 56, 58, 0.1),
            (520, 0, 10, 30, 40, 0),
        )
    ).grow(-4)
    paints = [Paint(between, FAT + 10, PATIENT, "organ", grain=20)]
    paravertebral = Loft(
        ((300, 0, 34, 22, 22, 0), (400, 0, 44, 22, 22, 0), (500, 0, 44, 26, 24, 0), (540, 0, 40, 28, 24, 0))
    )
    paints.append(Paint(paravertebral, MUSCLE - 20, PATIENT))
    heart = Ellipsoid((24, -34, 446), (56, 44, 55), (32, 28, 0))
    paints += [Paint(heart.grow(4), FAT, PATIENT, "organ"), Paint(heart, 60, HEART, "organ")]
    chambers = [
        (Ellipsoid((44, -32, 456), (34, 22, 30), (34, 24, 0)), blood),
        (Ellipsoid((12, -56, 452), (36, 17, 34), (24, 22, 0)), blood),
        (Ellipsoid((-22, -28, 440), (20, 26, 30)), blood),
        (Ellipsoid((12, 4, 424), (34, 18, 20)), blood),
    ]
    paints += [Paint(shape, hu + 5, HEART, "organ") for shape, hu in chambers]
    lungs_artery = smooth([(16, -62, 436), (18, -52, 415), (14, -30, 403), (8, -18, 401)], 8)
    right = smooth([(8, -18, 401), (-14, -14, 404), (-34, 2, 407)], 6)
    left = smooth([(14, -28, 402), (26, -8, 399), (38, 8, 402)], 6)
    cava = tube(smooth([(-24, -34, 350), (-26, -32, 400), (-24, -26, 432)], 6), 9)
    lower_cava = tube(smooth([(-22, -18, 462), (-24, -8, 500), (-20, 8, 560), (-18, 4, 640), (-16, 4, 672)], 10), 11)
    brachial = [
        tube([(-26, -34, 350), (-34, -26, 330), (-40, -12, 300), (-42, 0, 230)], (8, 7, 6, 6)),
        tube([(-24, -34, 350), (8, -46, 342), (32, -30, 328), (42, -12, 300), (42, 0, 230)], (7, 7, 7, 6, 6)),
    ]
    heads = [
        tube(
            [(-8, -28, ARCH - 8), (-20, -22, 334), (-26, -10, 300), (-27, 0, 250), (-27, 4, 190)], (6.5, 6, 4, 3.5, 3)
        ),
        tube([(2, -18, ARCH - 8), (14, -16, 334), (24, -8, 300), (27, 0, 250), (27, 4, 190)], (4.5, 4, 3.6, 3.5, 3)),
        tube([(14, 0, ARCH - 8), (22, 2, 334), (34, 2, 318), (70, -16, 322), (130, -10, 345)], (5.5, 5, 4.5, 4, 4)),
        tube([(-20, -22, 334), (-34, -2, 318), (-70, -16, 322), (-130, -10, 345)], (5, 4.5, 4, 4)),
    ]
    vessels = tube(lungs_artery, 12) + tube(right, 9.5) + tube(left, 9.5) + cava + lower_cava
    for part in (*(part for line in (*brachial, *heads) for part in line), *vessels, *aorta()):
        paints.append(Paint(part, blood, PATIENT, "organ"))
    gullet = tube(
        smooth([(0, -14, 266), (4, 2, 310), (6, 12, 350), (2, 16, 400), (4, 18, 450), (14, 8, 500), (30, -5, 520)], 16),
        6,
    )
    paints += [Paint(part, 40, PATIENT, "organ") for part in gullet] + [
        Paint(part.grow(-4.2), -420, None, "organ") for part in gullet[1:7]
    ]
    for side in (1, -1):
        lobe = Ellipsoid((17 * side, -26, 275), (8, 11, 21))
        paints.append(Paint(lobe, max(105.0, blood * 0.8), PATIENT))
    return paints


def aorta() -> list[Capsule]:
    """The aorta from the heart over its arch to where it divides."""
    line = smooth(
        [
            (8, -34, 436), (-14, -42, 415), (-18, -40, 392), (-16, -36, 372), (-6, -26, ARCH), (8, -6, ARCH),
            (20, 14, ARCH), (24, 24, 372), (24, 28, 400), (20, 26, 440), (12, 20, 500), (8, 12, 545), (6, 2, 600),
            (4, -4, 640), (2, -4, 664),
        ],
        60,
    )
    widths = np.interp(np.arange(60), (0, 12, 24, 32, 45, 59), (15, 15.5, 13.5, 12, 11, 8))
    return tube(line, list(widths))


def airways() -> list[Paint]:
    """Windpipe and main bronchi; the two are apart from the landmark's slice on."""
    trachea = smooth([(0, -29, 258), (0, -22, 290), (0, -10, 330), (-2, -1, 360), (-2, 3, CARINA - 12)], 12)
    # bronchi of radius r that leave one point at angles t (from vertical) part where depth (tan t1 + tan t2) is
    # r1 / cos t1 + r2 / cos t2: 12 mm below that point here
    top = np.array([-2.0, 3.0, CARINA - 12.0])
    right = tube([top, top + np.array([-26, 4, 44]), top + np.array([-40, 6, 62])], (7.4, 6.6, 4.5))
    left = tube([top, top + np.array([34, 8, 36]), top + np.array([50, 12, 50])], (7.0, 5.8, 4))
    upper = tube([top + np.array([-15, 2, 25]), top + np.array([-44, -6, 24])], (4.5, 3))
    tubes = [*tube(trachea, 9.3), *right, *left, *upper]
    walls = [Paint(part.grow(1.8), 30, PATIENT, "organ") for part in tubes]
    return walls + [Paint(part, AIR + 4, AIRWAY, "organ") for part in tubes]


def nodules(seed: int, count: int) -> list[Sphere]:
    """Round nodules at places in the lungs that the seed chooses, radius 3 to 9 mm."""
    rng = np.random.default_rng([seed, 2])
    found: list[Sphere] = []
    while len(found) < count:
        side = rng.choice((-1, 1))
        s = rng.uniform(340, 510)
        centre_x, y, a, b, _ = (float(value) for value in _cavity(side).section(np.array(s)))
        angle, reach = rng.uniform(0, 2 * np.pi), 0.75 * np.sqrt(rng.uniform())
        x, y = centre_x + a * reach * np.cos(angle), y + b * reach * np.sin(angle)
        radius = float(rng.uniform(3, 9))
        point = (np.array([x]), np.array([y]), np.array([s]))
        if _lung(side).distance(*point)[0] < -radius - 4 and abs(x) > 55:
            found.append(Sphere(float(x), float(y), float(s), radius, float(rng.uniform(10, 60))))
    return found


def patches(spheres: tuple[Sphere, ...]) -> list[Paint]:
    """Ground glass: hazy patches inside the lungs that let the vessels show."""
    return [
        Paint(Ellipsoid((ball.x, ball.y, ball.s), (ball.radius,) * 3), ball.hu, None, "organ", LUNGS, 0.75, grain=70)
        for ball in spheres
    ]


def belly(seed: int, blood: float) -> list[Paint]:
    """Liver, spleen, stomach, kidneys, bowel, bladder and the fat about them."""
    inside = Loft(
        (
            (455, 0, -8, 134, 84, 0.2), (520, 0, -8, 134, 84, 0.2), (570, 0, -14, 128, 76, 0.2),
            (620, 0, -20, 120, 70, 0.2), (680, 0, -22, 120, 72, 0.2), (740, 0, -16, 112, 72, 0.1),
            (790, 0, -8, 86, 66, 0), (835, 0, -2, 62, 56, 0), (866, 0, 6, 20, 30, 0),
        )
    )
    enhanced = blood > 100
    under = Either((_dome(-1, True, 4), _dome(1, True, 4)))
    paints = [Paint(Both((inside, under)), FAT, PATIENT, "organ", grain=8)]
    right_lobe = Loft(
        ((470, -62, -14, 74, 82, 0.2), (520, -56, -14, 86, 84, 0.2), (560, -64, -12, 72, 78, 0.1),
         (595, -80, -8, 52, 62, 0), (625, -94, -4, 32, 44, 0), (648, -98, -2, 9, 16, 0))
    )
    left_lobe = Loft(
        ((488, 8, -46, 52, 36, 0), (520, 18, -50, 62, 34, 0), (550, 2, -58, 50, 26, 0), (575, -12, -64, 30, 17, 0),
         (592, -22, -66, 8, 6, 0))
    )
    liver = Both((inside, Either((right_lobe, left_lobe)), under))
    liver_hu = LIVER + (45 if enhanced else 0)
    paints.append(Paint(liver, liver_hu, LIVER_LABEL, "organ", grain=5))
    rng = np.random.default_rng([seed, 3])
    for n in range(10):
        end = (-70 + 55 * np.cos(n * 0.7), -10 + 55 * np.sin(n * 0.7), 505 + 40 * rng.random())
        for part in tube(smooth([(-34, -12, 548), (-50, -10, 530), end], 5), (5, 4.5, 4, 3, 1.5)):
            paints.append(Paint(part, liver_hu + (35 if enhanced else -16), None, "organ", (LIVER_LABEL,)))
    gall = Ellipsoid((-52, -52, 572), (15, 22, 19), (20, 0, 30))
    spleen = Both((Ellipsoid((96, 32, 542), (32, 46, 48), (-24, 0, 0)), inside, under))
    stomach = Both(
        (
            Loft(
                (
                    (492, 62, -24, 40, 40, 0), (520, 58, -30, 46, 42, 0), (550, 44, -46, 46, 30, 0),
                    (580, 22, -58, 44, 22, 0), (600, 5, -60, 26, 14, 0),
                )
            ),
            inside,
            under,
        )
    )
    paints += [
        Paint(spleen, 52 + (60 if enhanced else 0), PATIENT, "organ", grain=4),
        Paint(stomach, 46, PATIENT, "organ"),
    ]
    within = _inset(stomach, 5)
    paints += [
        Paint(within, 28, None, "organ", grain=22),
        Paint(Both((within, Slab(1, -INFINITE, -46))), AIR, None, "organ"),
    ]
    paints.append(Paint(gall, 12, PATIENT, "organ"))
    pancreas = smooth([(-32, -30, 586), (-8, -34, 578), (30, -22, 566), (72, 8, 552)], 10)
    paints += [Paint(part, 42 + (45 if enhanced else 0), PATIENT, "organ", grain=14) for part in tube(pancreas, 11)]
    for side, s in ((-1, 600), (1, 588)):
        kidney = Ellipsoid((60 * side, 34, s), (29, 25, 55), (-35 * side, 12 * side, 8))
        sinus = Ellipsoid((52 * side, 28, s), (15, 9, 26), (-35 * side, 12 * side, 0))
        hu = 34 + (120 if enhanced else 0)
        paints += [Paint(kidney.grow(9), FAT - 5, PATIENT, "organ"), Paint(kidney, hu, KIDNEY, "organ")]
        paints += [Paint(sinus, FAT + 25, None, "organ", grain=30)]
        paints.append(Paint(Ellipsoid((40 * side, 6, s - 42), (12, 5, 13)), 28, PATIENT, "organ"))
        psoas = [
            (34 * side, float(spine_y(590)) + 6, 590),
            (46 * side, 24, 640),
            (56 * side, 18, 700),
            (74 * side, -8, 770),
        ]
        for part in tube([*psoas, (92 * side, -18, 830)], (11, 20, 22, 17, 12)):
            paints.append(Paint(part, MUSCLE + 4, PATIENT, grain=7))
    return paints + _bowel(rng) + _pelvic_organs(blood)


@dataclass(frozen=True)
class _inset:  # noqa: N801 - reads like a function
    """What lies deeper than so many mm in a shape."""

    shape: Both
    mm: float

    def bounds(self) -> tuple[tuple[float, float], ...]:
        return self.shape.bounds()

    def distance(self, x: np.ndarray, y: np.ndarray, s: np.ndarray) -> np.ndarray:
        return self.shape.distance(x, y, s) + self.mm


def _dome(side: int, below: bool, deeper: float = 0.0) -> Sheet:
    """The diaphragm of one side: bowl with its top at the landmark, 12 mm lower on the left."""
    apex = (70.0 * side, -22.0, DOME + deeper + (12 if side > 0 else 0))
    return Sheet(apex, (72, 100), 62, below)


def _cavity(side: int) -> Loft:
    return Loft(
        (
            (318, 40 * side, 22, 4, 5, 0),
            (323, 42 * side, 20, 19, 20, 0),
            (335, 47 * side, 14, 30, 34, 0),
            (360, 60 * side, 6, 49, 58, 0.1),
            (400, 72 * side, 0, 61, 80, 0.25),
            (450, 76 * side, -4, 64, 86, 0.3),
            (500, 77 * side, -4, 64, 87, 0.3),
            (560, 77 * side, -4, 62, 85, 0.3),
            (600, 77 * side, -4, 58, 80, 0.3),
        )
    )


def _lung(side: int) -> Both:
    return Both((_cavity(side), _dome(side, below=False)))


def _branch(
    paints: list[Paint],
    start: np.ndarray,
    stop: np.ndarray,
    radius: float,
    depth: int,
    rng: np.random.Generator,
    blood: float,
    label: int,
) -> None:
    """One vessel that bends a little and sends off two smaller ones, and so on."""
    way = stop - start
    middle = start + 0.5 * way + rng.normal(0, 0.06, 3) * np.linalg.norm(way)
    for part in tube([start, middle, stop], (radius, radius * 0.72, radius * 0.45)):
        paints.append(Paint(part, max(blood, 45.0) - 10, None, "organ", (label,)))
    if depth == 0 or radius < 0.9:
        return
    for at in (0.45, 0.75, 1.0):
        origin = (
            start + at * way
            if at == 1.0
            else (start + (middle - start) * at * 2 if at < 0.5 else middle + (stop - middle) * (at * 2 - 1))
        )
        turn = rng.normal(0, 1, 3)
        goal = origin + 0.34 * way + turn / np.linalg.norm(turn) * 0.3 * np.linalg.norm(way)
        _branch(
            paints, origin, goal, radius * (0.62 if at < 1 else 0.5), depth - (2 if depth > 1 else 1), rng, blood, label
        )


def _bowel(rng: np.random.Generator) -> list[Paint]:
    """Colon as a frame with gas and stool, small bowel as loops inside."""
    colon = smooth(
        [
            (-92, -10, 745), (-98, 0, 690), (-96, 0, 640), (-78, -52, 625), (-30, -74, 640), (30, -74, 634),
            (84, -30, 596), (100, 10, 612), (102, 6, 690), (92, -4, 745), (50, -10, 775), (16, 20, 790), (4, 44, 800),
        ],
        70,
    )
    paints = []
    for n in range(30):
        centre = np.array([rng.uniform(-66, 66), rng.uniform(-70, -8), rng.uniform(650, 775)])
        for _ in range(3):
            goal = np.clip(centre + rng.normal(0, 1, 3) * (20, 12, 13), (-72, -72, 640), (72, 4, 785))
            loop = tube([centre, goal], rng.uniform(9, 13))
            paints += [Paint(part, 42, PATIENT) for part in loop]
            paints += [Paint(part.grow(-3.5), 18 if n % 4 else -700, None, share=0.8, grain=15) for part in loop]
            centre = goal
    widths = 17 + 4 * np.sin(np.arange(70) * 1.9)
    wall = tube(colon, list(widths))
    paints += [Paint(part.grow(5), FAT, PATIENT, share=0.7) for part in wall]
    paints += [Paint(part, 45, PATIENT) for part in wall]
    paints += [Paint(part.grow(-3.5), -110, grain=150) for part in wall]
    for part in wall[18:34:2]:
        gas = Both((part.grow(-3.5), Slab(1, -INFINITE, part.start[1] - 2)))
        paints.append(Paint(gas, AIR))
    return paints


def _pelvic_organs(blood: float) -> list[Paint]:
    bladder = Ellipsoid((0, -34, 812), (40, 30, 30))
    paints = [Paint(bladder, 40, PATIENT), Paint(bladder.grow(-3), FLUID - 3)]
    paints += [Paint(Ellipsoid((0, 2, 842), (22, 18, 18)), 46, PATIENT)]
    rectum = tube([(0, 44, 800), (0, 46, 830), (0, 34, 866), (0, 44, 888)], (17, 18, 13, 9))
    paints += [Paint(part, 45, PATIENT) for part in rectum] + [
        Paint(part.grow(-4), -150, grain=250) for part in rectum[:2]
    ]
    for side in (1, -1):
        for offset, radius in ((0, 5.5), (12, 6.5)):
            vessel = smooth(
                [
                    (2 * side, offset, 664),
                    (28 * side, 14 + offset, 715),
                    (60 * side, -18 + offset, 780),
                    (78 * side, -56 + offset, 830),
                    (84 * side, -48 + offset, 900),
                    (80 * side, -20 + offset, 1080),
                ],
                16,
            )
            paints += [Paint(part, blood, PATIENT) for part in tube(vessel, radius)]
    return paints
