"""What a phantom can be told: who lies in the scanner, how, and what is scanned."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import CTError
from .phantom_equipment import HEADRESTS
from .phantom_organs import Sphere


@dataclass(frozen=True)
class PhantomParameters:
    """Who lies in the scanner, how, and what is scanned.

    Attributes:
        size: stature; 1 is 1.71 m. Stretches all axes.
        girth: 1 is slim to normal, 1.5 stout.
        variation: share (standard deviation) by which the seed stretches each part between two landmarks; 0.05 is
            much.
        neck_flexion: degrees; the chin goes down and the neck shortens in z.
        lordosis: mm by which the lumbar spine lies further forward.
        breathing: 0 is out, 1 is in; 36 mm between the two at the right dome.
        arms: ``"up"``, ``"down"`` or ``"none"``.
        hair: mm; 0 is bald.
        contrast: HU of blood; 45 is without contrast medium.
        nodules: number of nodules in the lungs, at places that the seed chooses.
        ground_glass: hazy patches in the lungs; x, y, s and radius in mm, HU about -500.
        markers: dense balls fixed to the skeleton; x, y, s in mm of the phantom of size 1.
        table: whether there is one.
        headrest: ``"none"``, ``"flat"``, ``"curved"`` or ``"box"``.
        vertex_z_mm: LPS z of the top of the head.
        offset_mm: LPS x, y by which the patient lies off the scanner's axis.
        roll: degrees by which the patient is turned about the body's axis, the left side down.
        tilt: degrees by which the gantry leans; the slices are sheared as on a real scanner.
        spacing: mm along i, j, k.
        field_mm: width of the square picture.
        field_centre: LPS x, y of its middle in mm.
        round_field: whether corners outside the round field are padded with -1024 HU.
        z_range: LPS z in mm of the lowest and the highest slice, or None to go by ``coverage``.
        coverage: article locations of the highest and the lowest slice.
        noise: standard deviation in HU, in a body of middle width.
        kernel: ``"smooth"`` or ``"sharp"``.
        seed: of the person: proportions, vessels, nodules.
        noise_seed: of the noise; None takes ``seed``.
    """

    size: float = 1.0
    girth: float = 1.0
    variation: float = 0.0
    neck_flexion: float = 0.0
    lordosis: float = 0.0
    breathing: float = 0.5
    arms: str = "none"
    hair: float = 6.0
    contrast: float = 45.0
    nodules: int = 3
    ground_glass: tuple[Sphere, ...] = ()
    markers: tuple[Sphere, ...] = ()
    table: bool = True
    headrest: str = "none"
    vertex_z_mm: float = 0.0
    offset_mm: tuple[float, float] = (0.0, 0.0)
    roll: float = 0.0
    tilt: float = 0.0
    spacing: tuple[float, float, float] = (2.0, 2.0, 5.0)
    field_mm: float = 500.0
    field_centre: tuple[float, float] = (0.0, 10.0)
    round_field: bool = False
    z_range: tuple[float, float] | None = None
    coverage: tuple[float, float] = (-0.01, 0.52)
    noise: float = 12.0
    kernel: str = "smooth"
    seed: int = 0
    noise_seed: int | None = None

    def __post_init__(self) -> None:
        _check(0.3 <= self.size <= 2, "size", self.size, "0.3 to 2")
        _check(0.8 <= self.girth <= 2.5, "girth", self.girth, "0.8 to 2.5")
        _check(0 <= self.variation <= 0.15, "variation", self.variation, "0 to 0.15")
        _check(-30 <= self.neck_flexion <= 40, "neck_flexion", self.neck_flexion, "-30 to 40 degrees")
        _check(0 <= self.breathing <= 1, "breathing", self.breathing, "0 to 1")
        _check(-35 <= self.tilt <= 35, "tilt", self.tilt, "-35 to 35 degrees")
        _check(self.arms in ("up", "down", "none"), "arms", self.arms, "up, down or none")
        _check(self.headrest in HEADRESTS, "headrest", self.headrest, ", ".join(HEADRESTS))
        _check(self.kernel in ("smooth", "sharp"), "kernel", self.kernel, "smooth or sharp")
        _check(min(self.spacing) > 0 and self.field_mm > 0, "spacing or field_mm", self.spacing, "above 0")
        _check(
            self.noise >= 0 and self.nodules >= 0 and self.hair >= 0, "noise, nodules or hair", self.noise, "0 or more"
        )


def _check(fine: bool, name: str, value: object, allowed: str) -> None:
    if not fine:
        raise CTError("bad_phantom", f"The phantom's {name} can't be {value}.", f"Choose {allowed}.")
