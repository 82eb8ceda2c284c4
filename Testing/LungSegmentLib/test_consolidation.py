"""Airless lung is added where open bronchi show it, and fluid, masses and the chest's wall never are."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib.phantom import Phantom
from CTVolumeLib.volume import CTVolume
from LungSegmentLib import lungs, quality
from LungSegmentLib.lungs import LEFT, RIGHT
from scipy import ndimage
from support_lungs import chest, dice, true_labels

STEP_MM = 3.0


@pytest.fixture(scope="module")
def plain() -> Phantom:
    return chest(z_range=(-620.0, -300.0), spacing=(STEP_MM, STEP_MM, STEP_MM))


@pytest.fixture(scope="module")
def part(plain) -> np.ndarray:
    """(k, j, i) bool: the upper front of the right lung, a quarter of it."""
    k, j, _ = np.indices(plain.volume.array.shape)
    right = plain.masks["right lung"]
    height = k[right].max() - k[right].min()
    return right & (k > k[right].max() - 0.6 * height) & (j < np.quantile(j[right], 0.4))


def ill(plain: Phantom, part: np.ndarray, hu: float, *, bronchi: bool, noise_hu: float = 12.0) -> CTVolume:
    """A part of the lung as dense as asked for, up to the ribs and the mediastinum, with or without air in it."""
    random = np.random.default_rng(1)
    painted = part | (ndimage.binary_dilation(part, iterations=2) & (plain.volume.array < -100) & ~lung_of(plain))
    array = plain.volume.array.astype(np.float32)
    array[painted] = hu + noise_hu * random.standard_normal(np.count_nonzero(painted))
    if bronchi:
        texture = ndimage.gaussian_filter(random.standard_normal(part.shape), 1.0)
        array[part & (texture > np.quantile(texture[part], 0.95))] = -800
    return plain.volume.with_array(np.rint(array).astype(np.int16))


def lung_of(plain: Phantom) -> np.ndarray:
    return plain.masks["left lung"] | plain.masks["right lung"]


def test_healthy_lungs_stay_as_they_are(plain):
    found = lungs.segment(plain.volume)
    assert found.airless_ml == 0
    assert "airless_added" not in {sign.code for sign in quality.judge(plain.volume, found).notes}


def test_airless_lung_with_open_bronchi_is_added_on_its_side(plain, part):
    volume = ill(plain, part, 50.0, bronchi=True)
    found = lungs.segment(volume)
    inside = np.isin(found.labels, (LEFT, RIGHT))
    assert inside[part].mean() > 0.7
    assert (found.labels[part] == LEFT).sum() == 0
    assert dice(inside, lung_of(plain)) > 0.95  # 0.90 without it, 0.976 of the healthy chest at 3 mm
    # Nothing else is taken in: heart, ribs and the wall of the chest.
    extra = inside & ~ndimage.binary_dilation(lung_of(plain), iterations=1)
    assert extra.sum() < 0.08 * part.sum()
    added = found.airless_ml / (part.sum() * STEP_MM**3 / 1000)
    assert 0.5 < added < 1.2
    notes = {sign.code: sign for sign in quality.judge(volume, found).notes}
    assert f"{found.airless_ml:.0f} mL" in notes["airless_added"].text


@pytest.mark.parametrize(("hu", "bronchi"), [(50.0, False), (5.0, False), (5.0, True), (-90.0, True)])
def test_nothing_is_added_that_may_be_a_mass_fluid_or_fat(plain, part, hu, bronchi):
    """Fluid with gas in it, as after a puncture, is fluid."""
    found = lungs.segment(ill(plain, part, hu, bronchi=bronchi))
    assert found.airless_ml == 0
    assert np.isin(found.labels, (LEFT, RIGHT))[part].mean() < 0.35  # what closing fills at its border


@pytest.mark.parametrize(
    ("added", "left", "flagged"),
    [
        (quality.ADDED_AMBER - 0.04, 0.0, False),
        (quality.ADDED_AMBER + 0.04, 0.0, True),
        (0.05, quality.LEFT_AMBER - 0.01, False),
        (0.05, quality.LEFT_AMBER + 0.01, True),
    ],
)
def test_the_light_is_amber_where_much_was_added_or_more_is_seen(plain, added, left, flagged):
    labels = true_labels(plain)
    labels[labels > RIGHT] = 0
    millilitres = np.isin(labels, (LEFT, RIGHT)).sum() * STEP_MM**3 / 1000
    result = lungs.LungResult(
        labels, trachea_mm=100.0, airless_ml=added * millilitres, airless_left_ml=left * millilitres
    )
    light = quality.judge(plain.volume, result)
    assert ("airless_added" in {sign.code for sign in light.signs}) is flagged
    assert ("airless_added" in {sign.code for sign in light.notes}) is not flagged
