"""Phantom chests with and without patches of ground glass: labelled scans to try the classifier with.

The patches are small, and the density of healthy lungs differs from patient to patient and grows towards the back, as
breath, scanner and weight make it in life. So a histogram of the lungs tells little: who wants to tell the scans apart
has to see where the haze is.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from CTVolumeLib import phantom, phantom_organs, segments
from CTVolumeLib.batch import Item, Outcome, run
from CTVolumeLib.errors import CTError
from CTVolumeLib.progress import Progress
from CTVolumeLib.volume import CTVolume

from . import table

TABLE, SCANS = "scans.csv", "scans"
PATCH_HU = -600.0

_PATCHES, _RADIUS_MM = (1, 3), (15.0, 24.0)
_DENSITY = (0.80, 1.12)
"""By what the distance of healthy lung from -500 HU is multiplied: -780 to -890 HU."""
_DENSER_BACK_HU = (0.0, 300.0)
_SLIMMEST = 1.02
"""In slimmer ones the chest wall is thinner than these coarse voxels, and lungs are not found."""


def write(
    out: Path, scans: int = 200, seed: int = 0, patch_hu: float = PATCH_HU, jobs: int = 1,
    progress: Progress | None = None,
) -> Path:  # fmt: skip
    """Write phantom chests as NIfTI and their table; every second one has the finding.

    Args:
        out: folder; gets ``scans.csv`` and ``scans/``. What is there already is kept.
        scans: how many, each of a patient of its own.
        seed: another number is other patients.
        patch_hu: of the patches; healthy lung has about -850.
        jobs: processes.
        progress: called after each scan; False cancels.

    Returns:
        The path of the table.

    Raises:
        CTError: the folder can't be written.
    """
    settings = {"seed": seed, "patch_hu": patch_hu}
    items = [
        Item(f"chest-{number:04d}", "phantom", settings=settings | {"number": number}, payload=(seed, number, patch_hu))
        for number in range(scans)
    ]
    failed = [outcome for outcome in run(items, _write_one, out / SCANS, jobs=jobs, progress=progress) if _bad(outcome)]
    if failed:
        raise CTError(failed[0].code or "bad_phantom", failed[0].message, failed[0].hint)
    rows = [
        (out / SCANS / item.name / f"{item.name}.nii.gz", int(number % 2 == 0), f"phantom {number}")
        for number, item in enumerate(items)
    ]
    table.write(out / TABLE, rows)
    return out / TABLE


def chest(seed: int, number: int, patch_hu: float = PATCH_HU) -> CTVolume:
    """One of the chests; even numbers have the finding."""
    rng = np.random.default_rng([seed, number])
    person = int(rng.integers(1 << 30))
    parameters = phantom.PhantomParameters(
        size=rng.uniform(0.9, 1.1),
        girth=max(_SLIMMEST, rng.uniform(0.9, 1.3)),
        variation=0.04,
        breathing=rng.uniform(0.1, 1.0),
        arms=str(rng.choice(["up", "down"])),
        contrast=rng.uniform(40, 160),
        nodules=int(rng.integers(0, 5)),
        offset_mm=(rng.uniform(-10, 10), rng.uniform(-10, 10)),
        roll=rng.uniform(-4, 4),
        spacing=(*[rng.uniform(3.7, 4.2)] * 2, rng.uniform(5.0, 6.5)),
        field_mm=440.0,
        coverage=(0.165, 0.315),
        noise=rng.uniform(8, 22),
        kernel=str(rng.choice(["smooth", "sharp"])),
        seed=person,
    )
    count = int(rng.integers(*_PATCHES, endpoint=True))
    density, denser = rng.uniform(*_DENSITY), rng.uniform(*_DENSER_BACK_HU)
    radii = rng.uniform(*_RADIUS_MM, count)
    if number % 2 == 0:
        # Nodules are placed well inside the lungs, which is where patches belong, too.
        places = phantom_organs.nodules(person + 1, count)
        patches = tuple(replace(place, radius=float(radius), hu=patch_hu) for place, radius in zip(places, radii))
        parameters = replace(parameters, ground_glass=patches)
    made = phantom.make(parameters)
    _breathe(made, density, denser)
    return made.volume


def _breathe(made: phantom.Phantom, density: float, denser: float) -> None:
    """Make the lungs denser or less dense, and denser towards the back; vessels and all that is dense stay as it is."""
    array = made.volume.array
    lung = (made.masks["left lung"] | made.masks["right lung"]) & (array < -500)
    _, j, _ = np.nonzero(lung)
    back = (j - j.min()) / max(np.ptp(j), 1)
    below = (array[lung] + 500.0) * density
    # Towards -500 HU less is added, so that no edge comes up between what is changed and what is not.
    array[lung] = np.rint(-500 + below * (1 - denser * back**2 / 500))


def _write_one(item: Item, folder: Path) -> dict[str, int]:
    seed, number, patch_hu = item.payload
    segments.write_volume(folder / f"{item.name}.nii.gz", chest(seed, number, patch_hu))
    return {"label": int(number % 2 == 0)}


def _bad(outcome: Outcome) -> bool:
    return outcome.state == "failed"
