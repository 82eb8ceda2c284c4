"""Scans whose patient and equipment are known voxel by voxel, and the lists of them that are measured.

Equipment is drawn (``evaluation_equipment``) into the air around patients (``evaluation_patients``).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from CTVolumeLib import phantom
from CTVolumeLib.phantom_tissue import HEADREST as PHANTOM_HEADREST
from CTVolumeLib.phantom_tissue import TABLE as PHANTOM_TABLE
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

from . import evaluation_equipment as draw
from . import evaluation_kernels as kernels
from . import evaluation_patients as patients
from . import evaluation_supports as supports
from .evaluation_equipment import Patient, Scene

HEADS = ("hn10", "hn101", "hn124", "hn144", "hn146", "hn172", "hn182", "hn187")
BODIES = ("ga02", "ga03")
"""Real people whose outline is known and who are held out from training (``split``)."""

MORE_HEADS = ("hn21", "hn304", "hn311", "hn315", "hn324", "hn66", "hn7", "hn83")
"""More of them, so that no shape meets a single person only."""

FRESH_HEADS = ("hn309", "hn312", "hn31", "hn60", "hn332", "hn95", "hn4", "hn82")
"""On whose composed cases no rule was ever set: they tell what the rules are worth on others. Since the network was
trained on them, only the other methods are measured.
"""

FIRST_SEED, MORE_SEED, FRESH_SEED = 900, 800, 700
"""Of the phantoms, likewise."""

LEFT_OUT = {
    "hn10": "a real plate beneath the left shoulder lies within its outline, so that its truth is wrong",
    "hn144": "a real plate, 15 cm wide, lies within its outline beneath the back",
}
"""Of these, who is not measured, and why; they keep their turn, so that the others' cases stay the same."""

INSTEAD = {
    ("hn172", "mask and frame"): (
        "hn124",
        "the nose of hn172 is so open that the mask, drawn outside the patient, fills it, as it does in hn101, hn182"
        " and hn187",
    )
}
"""Who takes whose turn in a class, and why."""

FINE_MM, FINE = 1.0, ", 1 mm"
"""Pixels of the cases that are drawn anew as fine as scanners make them, and what the names of their classes end with.
"""

_ARMS_DOWN = {"arms": "down", "coverage": (0.2, 0.45), "field_mm": 560.0}

CONTACT = {"contact 10 cm2": 10.0, "contact 30 cm2": 30.0, "contact 60 cm2": 60.0}
GAP = {"gap 1 mm": 1.0, "gap 2 mm": 2.0, "gap 3 mm": 3.0}


@dataclass(frozen=True, eq=False)
class Case:
    """A scan with its truth.

    Attributes:
        name: unique.
        kind: class of case.
        source: "phantom" or "composed".
        person: who; cases of one person are not independent.
        volume: the scan.
        truth: (k, j, i) uint8 as in ``labels``.
        rim: (k, j, i) bool, blurred edge of the equipment, whose label is nobody's fault.
    """

    name: str
    kind: str
    source: str
    person: str
    volume: CTVolume
    truth: np.ndarray
    rim: np.ndarray


def _not_touching(scene: Scene, number: int) -> None:
    draw.headrest(scene, ("cradle", "shell", "block", "tub")[number % 4], 6.0)


def _gap(mm: float) -> Callable[[Scene, int], None]:
    return lambda scene, number: draw.headrest(scene, ("shell", "tub", "cradle", "block")[number % 4], mm)


def _contact(cm2: float) -> Callable[[Scene, int], None]:
    return lambda scene, number: draw.headrest(scene, ("tub", "cradle", "shell", "block")[number % 4], 0.0, cm2)


def _straps(scene: Scene, number: int) -> None:
    draw.headrest(scene, ("cradle", "shell")[number % 2], 3.0)
    draw.straps(scene)


HEAD_KINDS: dict[str, Callable[[Scene, int], None]] = {
    "not touching": _not_touching,
    **{kind: _gap(mm) for kind, mm in GAP.items()},
    **{kind: _contact(cm2) for kind, cm2 in CONTACT.items()},
    "foam cushion": lambda scene, number: draw.cushion(scene, 12.0 + 4 * (number % 3), (-930.0, -890.0)[number % 2]),
    "straps": _straps,
    "ears against the holder": lambda scene, _: draw.ear_pads(scene),
    "vacuum cushion": lambda scene, _: draw.vacuum(scene),
    "mask and frame": lambda scene, _: draw.mask_frame(scene),
    "stereotactic frame": lambda scene, _: draw.stereotactic(scene),
    "no equipment": lambda _, __: None,
}
"""How the equipment of each class is drawn; the number chooses among the shapes."""

BODY_KINDS: dict[str, Callable[[Scene, int], None]] = {
    "table, not touching": lambda scene, _: draw.table(scene, 6.0, mattress=False),
    "table with mattress": lambda scene, _: draw.table(scene, 1.0),
    "table, contact": lambda scene, _: draw.table(scene, 0.0, mattress=False, contact=200.0),
    "cables and blanket": lambda scene, _: (draw.table(scene, 1.0), draw.blanket_and_cables(scene)),
    "no equipment": lambda _, __: None,
}


def make(patient: Patient, kind: str, number: int = 0, seed: int = 0) -> Case:
    """Draw the equipment of a class around a patient.

    Args:
        patient: in air.
        kind: one of ``HEAD_KINDS``, ``BODY_KINDS`` or ``evaluation_supports.KINDS``.
        number: chooses among the shapes of a class.
        seed: of the noise.
    """
    kinds = HEAD_KINDS if patient.head.stop > patient.head.start else BODY_KINDS
    scene = Scene(patient, seed)
    if kind in supports.KINDS:
        supports.KINDS[kind](scene)
    else:
        kinds[kind](scene, number)
    volume, truth, rim = scene.finish()
    source = "phantom" if patient.person.startswith("phantom") else "composed"
    return Case(f"{patient.name}, {kind}", kind, source, patient.person, volume, truth, rim)


KNOWN, FRESH, SUPPORTS, FINE_PIXELS = "known", "fresh", "supports", "fine"
GROUPS = (KNOWN, FRESH, SUPPORTS, FINE_PIXELS)
"""Cases that rules were set with; those of people on whom none was; those of supports of other kinds; and the heads of
the first on fine pixels, by several kernels."""


def all_cases(data: Path | None, every: int = 1, group: str = KNOWN) -> Iterator[Callable[[], Case]]:
    """Makers of all cases; each case is made when it is asked for.

    Args:
        data: folder of the real scans, or None for the phantom alone.
        every: take only each so many.
        group: one of ``GROUPS``.
    """
    known = ((FIRST_SEED, HEADS, BODIES), (MORE_SEED, MORE_HEADS, ()))
    makers: list[Callable[[], Case]] = []
    if group == SUPPORTS:
        makers = support_cases(data)
    elif group == FINE_PIXELS:
        makers = fine_cases(data)
    else:
        for seed, heads, bodies in ((FRESH_SEED, FRESH_HEADS, ()),) if group == FRESH else known:
            makers += [*phantom_cases(seed), *(composed_cases(data, heads, bodies) if data else ())]
    yield from makers[::every]


def is_fresh(person: str) -> bool:
    """Whether no rule was ever set on the cases of a person."""
    kind, _, seed = person.partition(" ")
    return person in FRESH_HEADS or (kind == "phantom" and FRESH_SEED <= int(seed) < MORE_SEED)


def phantom_cases(first: int = FIRST_SEED) -> list[Callable[[], Case]]:
    """Every class on phantoms of different build, the first of which has this seed."""
    makers = _phantom_heads(first)
    for number, tilt in ((1, 18.5), (4, -12.0)):
        makers.append(_later(_tilted, first + number, tilt))
    for number in (2, 5):
        makers += [_later(_truncated, first + number), _later(_prone, first + number)]
    body = first + 50
    for number, kind in enumerate(BODY_KINDS):
        for turn, arms in enumerate(("none", "up")):
            makers.append(_later(_phantom_body_case, body + number + 5 * turn, kind, {"arms": arms}, ""))
    arms_up = {"arms": "up", "coverage": (0.1, 0.35)}
    whole = {"arms": "down", "coverage": (-0.01, 0.52), "spacing": (4.0, 4.0, 5.0)}
    makers += [
        _later(_phantom_body_case, body + 11, "table with mattress", _ARMS_DOWN, "arms down"),
        _later(_phantom_body_case, body + 12, "table, contact", _ARMS_DOWN, "arms down, contact"),
        _later(_phantom_body_case, body + 13, "table with mattress", arms_up, "arms up"),
        _later(_phantom_body_case, body + 14, "table with mattress", whole, "whole body"),
        *(_later(_phantom_with_its_own, shape, first + 70) for shape in ("flat", "curved", "box")),
    ]
    return makers


def composed_cases(
    data: Path, heads: Sequence[str] = HEADS, bodies: Sequence[str] = BODIES
) -> list[Callable[[], Case]]:
    """Every class on real heads, several heads for each, and tables under real bodies."""
    makers = _composed_heads(data, heads)
    for body in bodies:
        makers += [_later(_composed, data, body, kind, 0) for kind in BODY_KINDS]
    return sorted(makers, key=lambda maker: maker.args[1])  # a head is read once


def fine_cases(data: Path | None) -> list[Callable[[], Case]]:
    """The heads of the known cases on fine pixels; of each class the kernels take turns."""
    makers: list[Callable[[], Case]] = []
    for seed, heads in ((FIRST_SEED, HEADS), (MORE_SEED, MORE_HEADS)):
        makers += _phantom_heads(seed, FINE_MM)
        makers += _composed_heads(data, heads, FINE_MM) if data else []
    turns = dict.fromkeys(HEAD_KINDS, 0)
    fine = []
    for maker in makers:
        kind = next(arg for arg in maker.args if arg in turns)
        fine.append(_later(_by_kernel, maker, kernels.KERNELS[turns[kind] % len(kernels.KERNELS)], turns[kind]))
        turns[kind] += 1
    return sorted(fine, key=lambda later: str(later.args[0].args[:2]))  # a head is read once


def _phantom_heads(first: int, pixel: float | None = None) -> list[Callable[[], Case]]:
    makers: list[Callable[[], Case]] = []
    for number, kind in enumerate(HEAD_KINDS):
        for turn in range(2):
            seed = first + (number + 5 * turn) % 10
            makers.append(_later(_phantom_case, seed, kind, number + turn, pixel))
    return makers


def _composed_heads(data: Path, heads: Sequence[str], pixel: float | None = None) -> list[Callable[[], Case]]:
    makers: list[Callable[[], Case]] = []
    for number, kind in enumerate(HEAD_KINDS):
        count = 4 if kind in CONTACT or kind in ("not touching", "gap 1 mm") else 2
        for turn in range(count):
            head = heads[(number + turn * 2) % len(heads)]
            head, _ = INSTEAD.get((head, kind), (head, ""))
            if head not in LEFT_OUT:
                makers.append(_later(_composed, data, head, kind, number + turn, pixel))
    return makers


def support_cases(data: Path | None) -> list[Callable[[], Case]]:
    """Each kind of ``evaluation_supports`` on a phantom and three real heads."""
    heads = [name for name in (*HEADS, *MORE_HEADS) if name not in LEFT_OUT]
    makers: list[Callable[[], Case]] = []
    for number, kind in enumerate(supports.KINDS):
        makers.append(_later(_phantom_case, FIRST_SEED + number, kind, number))
        for turn in range(3) if data else ():
            makers.append(_later(_composed, data, heads[(3 * number + turn) % len(heads)], kind, number + turn))
    return makers


def licences(data: Path) -> dict[str, str]:
    """Licence of each scan."""
    with (data / "scans.csv").open(encoding="utf-8") as file:
        return {row["id"]: row["licence"] for row in csv.DictReader(file)}


class _later:  # noqa: N801 - reads as a function
    """A call for later, whose arguments can be looked at."""

    def __init__(self, function: Callable[..., Case], *args) -> None:
        self.function, self.args = function, args

    def __call__(self) -> Case:
        return self.function(*self.args)


def _phantom_case(seed: int, kind: str, number: int, pixel: float | None = None) -> Case:
    return make(_phantom_head(seed, pixel), kind, number, seed)


def _by_kernel(maker: Callable[[], Case], kernel: str, seed: int) -> Case:
    case = maker()
    rim = case.rim
    if kernel == "soft":  # it blurs the edge over more pixels
        rim = ndimage.binary_dilation(rim | (case.truth > draw.PATIENT), patients.SQUARE, 2)
        rim &= case.truth == draw.BACKGROUND
    return replace(
        case, name=f"{case.name}{FINE}, {kernel}", kind=f"{case.kind}{FINE}",
        volume=kernels.by(case.volume, kernel, seed), rim=rim,
    )  # fmt: skip


def _tilted(seed: int, tilt: float) -> Case:
    patient = patients.phantom_head(seed, tilt=tilt, z_range=(-230.0, 40.0))
    return replace(make(patient, "gap 2 mm", seed, seed), name=f"{patient.name}, tilt {tilt}", kind="gantry tilt")


def _truncated(seed: int) -> Case:
    """The picture cuts the headrest, the ears and the nose."""
    case = make(_phantom_head(seed), "gap 2 mm", 0, seed)
    j, i = (np.flatnonzero((case.truth == draw.PATIENT).any(axis=axes)) for axes in ((0, 2), (0, 1)))
    cut_j = slice(j[0] + 6, min(j[-1] + 8, case.truth.shape[1]))
    middle, half = (i[0] + i[-1]) // 2, round(72 / case.volume.spacing[0])
    cut_i = slice(middle - half, middle + half)
    return replace(
        case, name=f"phantom {seed}, truncated", kind="truncated field of view",
        volume=case.volume.crop(j=cut_j, i=cut_i), truth=case.truth[:, cut_j, cut_i], rim=case.rim[:, cut_j, cut_i],
    )  # fmt: skip


def _prone(seed: int) -> Case:
    """The patient lies on the face: equipment lies in front, the picture is turned by the scanner's own axes."""
    patient = patients.phantom_head(seed, field_centre=(0.0, 0.0))
    flipped = replace(
        patient, volume=patient.volume.with_array(patient.volume.array[:, ::-1].copy()),
        mask=patient.mask[:, ::-1].copy(), cover=patient.cover[:, ::-1].copy(),
    )  # fmt: skip
    case = make(flipped, "foam cushion", seed, seed)
    return replace(
        case, name=f"phantom {seed}, prone", kind="prone",
        volume=case.volume.with_array(case.volume.array[:, ::-1].copy()), truth=case.truth[:, ::-1].copy(),
        rim=case.rim[:, ::-1].copy(),
    )  # fmt: skip


def _phantom_body_case(seed: int, kind: str, parameters: dict, name: str) -> Case:
    case = make(patients.phantom_body(seed, **parameters), kind, 0, seed)
    return replace(case, name=f"phantom {seed}, {name or kind}", kind=name or kind)


def _phantom_with_its_own(shape: str, seed: int) -> Case:
    """The phantom's own headrests and table."""
    made = phantom.make(
        phantom.PhantomParameters(
            seed=seed, headrest=shape, spacing=(2.0, 2.0, 3.0), field_mm=400.0, field_centre=(0.0, 30.0),
            z_range=(-340.0, 10.0), hair=4.0,
        )
    )  # fmt: skip
    truth = np.select(
        [made.masks["patient"], made.labels == PHANTOM_HEADREST, made.labels == PHANTOM_TABLE],
        [draw.PATIENT, draw.HEADREST, draw.TABLE],
    ).astype(np.uint8)
    patients.fill(truth)
    equipment = truth > draw.PATIENT
    rim = ndimage.binary_dilation(equipment, patients.SQUARE) & (truth == draw.BACKGROUND)
    name = f"phantom {seed}"
    return Case(f"{name}, {shape}", "phantom's own headrests", "phantom", name, made.volume, truth, rim)


def _composed(data: Path, name: str, kind: str, number: int, pixel: float | None = None) -> Case:
    return make(_real(data, name, pixel), kind, number, number)


@lru_cache(maxsize=2)
def _real(data: Path, name: str, pixel: float | None = None) -> Patient:
    return patients.real_body(data, name) if name in BODIES else patients.real_head(data, name, pixel)


@lru_cache(maxsize=2)
def _phantom_head(seed: int, pixel: float | None = None) -> Patient:
    return patients.phantom_head(seed, (pixel, pixel, 3.0)) if pixel else patients.phantom_head(seed)
