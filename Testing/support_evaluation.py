"""Made-up scans with known errors, for tests of the evaluation."""

from __future__ import annotations

import numpy as np
from CTSliceLocalizerLib.evaluation_cases import Case, LandmarkError
from CTVolumeLib.volume import CTVolume

BODY = np.linspace(520.0, 300.0, 56)


def make_case(number: int, off_mm: float, *, sigma_mm: float = 5.0, missed: bool = False, family: str = "all") -> Case:
    """A scan from T12 to T1 whose every slice and landmark is found too high by so many mm."""
    name, patient = f"scan{number}", f"p{number}"
    z_mm = 4.0 * np.arange(len(BODY))
    errors = [
        LandmarkError(name, patient, family, "Aortic arch", off_mm, sigma_mm, True, False, z_mm[40]),
        LandmarkError(name, patient, family, "T1", None if missed else off_mm, sigma_mm, True, False, z_mm[-1]),
    ]
    found = BODY - off_mm
    return Case(
        name, patient, family, z_mm, True, BODY, np.ones(len(BODY), bool), found, found,
        np.full(len(BODY), sigma_mm), tuple(errors), (), _block,
    )  # fmt: skip


def _block() -> CTVolume:
    array = np.full((56, 40, 40), -1024, np.int16)
    array[:, 8:32, 6:34] = 40
    return CTVolume(array, (4.0, 4.0, 4.0))
