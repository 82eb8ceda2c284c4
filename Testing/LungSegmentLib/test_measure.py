"""Measures of the lungs against numpy on random labels."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest
from CTVolumeLib.volume import CTVolume
from LungSegmentLib import measure
from LungSegmentLib.lungs import AIRWAY, LEFT, RIGHT
from LungSegmentLib.measure import LungMeasures

SPACING = (0.7, 0.9, 2.5)
VOXEL_ML = 0.7 * 0.9 * 2.5 / 1000


def _scan(seed: int, dtype: type = np.int16) -> tuple[CTVolume, np.ndarray]:
    rng = np.random.default_rng(seed)
    array = rng.normal(-820, 150, (8, 30, 40)).clip(-1024, 2000)
    labels = rng.choice([0, LEFT, RIGHT, AIRWAY], (8, 30, 40), p=[0.3, 0.3, 0.35, 0.05]).astype(np.uint8)
    return CTVolume(array.astype(dtype), SPACING), labels


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_against_numpy(seed):
    volume, labels = _scan(seed)
    found = measure.measure(volume, labels)
    assert [one.name for one in found] == ["left lung", "right lung", "both lungs"]
    for one, sides in zip(found, ([LEFT], [RIGHT], [LEFT, RIGHT])):
        hu = volume.array[np.isin(labels, sides)].astype(float)
        assert one.volume_ml == pytest.approx(len(hu) * VOXEL_ML)
        assert one.mean_hu == pytest.approx(hu.mean())
        assert one.mass_g == pytest.approx((np.maximum(hu + 1000, 0) / 1000).sum() * VOXEL_ML)
        assert one.below_950_percent == pytest.approx(100 * np.mean(hu < -950))
        assert one.below_910_percent == pytest.approx(100 * np.mean(hu < -910))
        for percent in (5, 15, 50, 85, 95):
            wanted = np.percentile(hu, percent, method="inverted_cdf")
            assert getattr(one, f"percentile_{percent}_hu") == wanted


def test_water_and_air():
    """A lung of half water and half air weighs as much as its water."""
    array = np.full((2, 10, 10), -1000, np.int16)
    array[0] = 0
    left = measure.measure(CTVolume(array, (1.0, 1.0, 10.0)), np.full(array.shape, LEFT, np.uint8))[0]
    assert left.volume_ml == pytest.approx(2.0)
    assert left.mass_g == pytest.approx(1.0)
    assert left.mean_hu == pytest.approx(-500)
    assert left.below_950_percent == pytest.approx(50)


def test_floats_holes_and_metal():
    volume, labels = _scan(4, np.float32)
    plain = measure.measure(volume, labels)[2]
    whole = volume.with_array(np.rint(volume.array).astype(np.int16))
    assert plain.mean_hu == pytest.approx(measure.measure(whole, labels)[2].mean_hu)
    array = volume.array.copy()
    array[0, 0, :4] = [np.nan, 1e30, -np.inf, np.nan]
    odd = measure.measure(volume.with_array(array), labels)[2]
    assert odd.mean_hu == pytest.approx(plain.mean_hu, abs=5)
    assert math.isfinite(odd.mass_g)


def test_no_lung():
    volume, labels = _scan(5)
    labels[labels == LEFT] = 0
    left, right, both = measure.measure(volume, labels)
    assert left.volume_ml == 0
    assert math.isnan(left.mean_hu)
    assert math.isnan(left.mass_g)
    assert both.mean_hu == right.mean_hu
    assert both.volume_ml == right.volume_ml


def test_uneven_slices_are_as_high_as_their_median_step():
    volume, labels = _scan(6)
    places = np.array([0.0, 2, 4, 6, 8, 10, 30, 32])
    uneven = CTVolume(volume.array, SPACING, positions=places)
    assert measure.measure(uneven, labels)[0].volume_ml == pytest.approx((labels == LEFT).sum() * 0.7 * 0.9 * 2 / 1000)


def test_histogram():
    volume, labels = _scan(7)
    edges, parts = measure.histogram(volume, labels)
    assert (edges[0], edges[-1], np.unique(np.diff(edges)).tolist()) == (-1050, 240, [10])
    assert list(parts) == ["left lung", "right lung"]
    for side, name in ((LEFT, "left lung"), (RIGHT, "right lung")):
        hu = volume.array[labels == side]
        for edge, ml in zip(edges[1:-1], parts[name][1:-1]):
            assert ml == pytest.approx(np.count_nonzero((hu >= edge) & (hu < edge + 10)) * VOXEL_ML)
        assert parts[name].sum() == pytest.approx(len(hu) * VOXEL_ML), "nothing is left out"
        assert parts[name][-1] == pytest.approx(np.count_nonzero(hu >= 240) * VOXEL_ML)


def test_table():
    volume, labels = _scan(8)
    labels[labels == LEFT] = 0
    found = measure.measure(volume, labels)
    rows = list(csv.DictReader(io.StringIO(measure.to_csv(found))))
    assert [row["name"] for row in rows] == ["left lung", "right lung", "both lungs"]
    assert list(rows[0]) == list(LungMeasures.__dataclass_fields__)
    assert rows[0]["mean_hu"] == "nan"
    assert float(rows[1]["mean_hu"]) == pytest.approx(found[1].mean_hu, abs=0.005)
