"""Where ribs and diaphragm are, on made cells: what is as dense as bone but no rib, and what lies below the dome."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib.cells import Cells
from LungSegmentLib import chest, consolidation

STEP_MM = 3.0
SHAPE = (40, 80, 100)


def cells_with(*parts: tuple[np.ndarray, float]) -> Cells:
    """Tissue with parts of another density in it."""
    hu = np.full(SHAPE, 40, np.int16)
    for part, value in parts:
        hu[part] = value
    return Cells(hu, (STEP_MM,) * 3, (1, 1, 1))


def ball(centre: tuple[int, int, int], radius_mm: float) -> np.ndarray:
    away = [(np.arange(size) - middle) * STEP_MM for size, middle in zip(SHAPE, centre, strict=True)]
    return away[0][:, None, None] ** 2 + away[1][:, None] ** 2 + away[2] ** 2 < radius_mm**2


def ring() -> tuple[np.ndarray, np.ndarray]:
    """The chest's inside, and a ring of bone around it, 132 mm to the sides and 96 mm to front and back."""
    j, i = np.mgrid[: SHAPE[1], : SHAPE[2]]
    away = np.hypot((j - 40) * STEP_MM / 96, (i - 50) * STEP_MM / 132)
    return tuple(np.broadcast_to(part, SHAPE).copy() for part in (away < 1, (away >= 1) & (away < 1.06)))


@pytest.fixture
def body() -> np.ndarray:
    return np.ones(SHAPE, bool)


def test_blood_full_of_contrast_medium_and_noise_are_no_ribs(body):
    _, ribs = ring()
    aorta, noise = ball((20, 45, 50), 15.0), np.zeros(SHAPE, bool)
    noise[20, 30, 70] = noise[5, 50, 30] = True
    bone = chest.bone_of(cells_with((ribs, 600), (aorta, 350), (noise, 300)), body)
    assert bone[ribs].all()
    assert not bone[aorta | noise].any()


def test_the_inside_reaches_the_ribs_beside_airless_lung(body):
    """The front half of the right lung is airless, with a vessel in it that is as bright as bone."""
    inside, ribs = ring()
    columns, rows = np.arange(SHAPE[2]), np.arange(SHAPE[1])
    left, right = inside & (columns > 60), inside & (columns < 40) & (rows > 45)[:, None]
    vessel = np.zeros(SHAPE, bool)
    vessel[:, 28:37, 30:32] = True  # as thin as a rib
    cells = cells_with((ribs, 600), (left | right, -850), (vessel, 350))
    found = chest.within_ribs(left | right, cells, body, range(SHAPE[0]), 1.0)
    airless = inside & (columns < 40) & (rows < 40)[:, None]
    assert found[airless].mean() > 0.8  # 0.59 without a look at what juts inwards
    assert not found[~(inside | ribs)].any()


def test_the_dome_is_that_of_the_diaphragm_not_the_top_of_the_heart():
    lung = np.zeros(SHAPE, bool)
    lung[10:, 10:70, 60:95] = True
    lung[:14, 42:60, 65:90] = False  # the dome
    lung[:30, 10:38, 60:95] = False  # the heart, in front
    assert 10 <= chest.dome_of(lung, cells_with()) <= 14


def test_a_scan_that_ends_above_the_diaphragm_has_its_dome_below_all_slices():
    lung = np.zeros(SHAPE, bool)
    lung[:, 10:70, 60:95] = True
    cells = cells_with()
    assert chest.dome_of(lung, cells) == 0
    assert chest.lowest_dome(lung.astype(np.uint8), cells) == 0
    assert chest.lowest_dome(np.zeros(SHAPE, np.uint8), cells) is None


def test_small_pockets_of_air_are_specks_and_the_rim_of_bowel_is_none():
    lung = np.zeros(SHAPE, bool)
    lung[:, 10:70, 70:95] = lung[:, 10:70, 5:10] = True
    bronchi = ball((10, 40, 20), 5.0) | ball((10, 25, 25), 5.0) | ball((30, 55, 20), 5.0)
    bowel = ball((25, 30, 25), 22.0)
    box = (slice(0, SHAPE[0]), slice(0, SHAPE[1]), slice(0, SHAPE[2]))
    cells = cells_with((lung, -850), (bronchi, -800), (bowel, -980))
    specks = consolidation.specks_of_air(lung, np.zeros(SHAPE, bool), cells, box)
    assert specks[bronchi & ~bowel].any()
    assert not specks[bowel].any()
    assert not specks[lung].any()


def test_a_single_speck_in_the_heart_takes_nothing_in(body):
    """Airless lung at the right with many bronchi, and one speck of noise far away, at the left before the heart."""
    inside, ribs = ring()
    columns, heights = np.arange(SHAPE[2]), np.arange(SHAPE[0])[:, None, None]
    lung = inside & (np.abs(columns - 50) > 10)
    airless = lung & (columns < 40) & (heights > 14)
    heart = ball((25, 30, 66), 40.0)
    lung &= ~(heart | airless)
    bronchi = np.zeros(SHAPE, bool)
    bronchi[18:38:4, 20:60:6, 12:36:6] = True
    noise = np.zeros(SHAPE, bool)
    noise[25, 30, 66] = True
    cells = cells_with((ribs, 600), (lung, -850), (airless, 50), (heart, 50), (airless & bronchi | noise, -800))
    labels = np.where(lung, np.where(columns < 50, 2, 1), 0).astype(np.uint8)
    found = consolidation.airless_lung(labels, np.zeros(SHAPE, bool), cells, body)
    assert (found.labels == 2)[airless].mean() > 0.4
    assert not found.labels[:, :, 50:].any()


def test_dark_rims_of_blood_full_of_contrast_medium_are_no_bronchi(body):
    """As sharp kernels make them: the same specks are bronchi in tissue without such blood beside them."""
    inside, ribs = ring()
    heart = ball((20, 40, 40), 30.0)
    lung = inside & ~ball((20, 40, 40), 60.0)
    rim = np.zeros(SHAPE, bool)
    rim[8:34:3, 22:60:4, 22:62:4] = True
    rim &= ball((20, 40, 40), 39.0) & ~heart
    labels = np.where(lung, np.where(np.arange(SHAPE[2]) < 50, 2, 1), 0).astype(np.uint8)
    added = [
        consolidation.airless_lung(
            labels, np.zeros(SHAPE, bool), cells_with((ribs, 600), (lung, -850), (heart, hu), (rim, -800)), body
        ).added_ml
        for hu in (50, 350)
    ]
    assert added[0] > 50
    assert added[1] == 0
